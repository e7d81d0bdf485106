package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/because-lab/because"
)

// filesAtOnce bounds how many files of a folder are under way.
const filesAtOnce = 4

// meter adds up the bytes of files that are under way at once.
type meter struct {
	mu          sync.Mutex
	done, total int64
	progress    because.Progress
}

func newMeter(p because.Progress, total int64) *meter { return &meter{progress: p, total: total} }

func (m *meter) advance(n int64, note string) {
	if m.progress == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	m.progress(float64(min(max(m.done, 0), m.total)), float64(m.total), "bytes", note)
}

// PutDir stores a folder and its manifest, which it writes last and gives back. Files that are there with the same checksum are not sent
// again, so a run that was cut goes on. Links to files are followed. What the store held under other names stays and is no longer part of it.
func (s *Store) PutDir(ctx context.Context, dir string, progress because.Progress) (Manifest, error) {
	const op = "store folder"
	m, err := describeDir(ctx, dir)
	if err != nil {
		return Manifest{}, s.failure(op, dir, err)
	}
	text, err := m.Encode()
	if err != nil {
		return Manifest{}, s.failure(op, dir, err)
	}
	key, err := s.key(ManifestName)
	if err != nil {
		return Manifest{}, s.failure(op, s.URI(""), err)
	}
	if err := s.retire(ctx, key, text); err != nil {
		return Manifest{}, s.failure(op, s.URI(""), err)
	}
	count := newMeter(progress, m.Size())
	err = eachFile(ctx, m, func(ctx context.Context, f ManifestFile) error {
		full, err := s.key(f.Path)
		if err == nil {
			err = s.send(ctx, full, filepath.Join(dir, filepath.FromSlash(f.Path)), f.Size, f.SHA256, func(n int64) { count.advance(n, f.Path) })
		}
		return s.failure(op, s.URI(f.Path), err)
	})
	if err != nil {
		return Manifest{}, err
	}
	size, sum := int64(len(text)), sumOf(text)
	if there, err := s.has(ctx, key, size, sum); err != nil || there {
		return m, s.failure(op, s.URI(ManifestName), err)
	}
	return m, s.failure(op, s.URI(ManifestName), s.backend.put(ctx, key, source{r: bytes.NewReader(text), size: size, sum: sum}))
}

func sumOf(text []byte) string {
	h := sha256.Sum256(text)
	return hex.EncodeToString(h[:])
}

// eachFile works on files, a bounded number at once; the first error ends the others.
func eachFile(ctx context.Context, m Manifest, work func(context.Context, ManifestFile) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(filesAtOnce)
	for _, f := range m.Files {
		group.Go(func() error {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			return work(ctx, f)
		})
	}
	return group.Wait()
}

// retire removes a manifest of other content, before that content is overwritten.
func (s *Store) retire(ctx context.Context, key string, next []byte) error {
	old, err := s.readManifest(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	case bytes.Equal(old, next):
		return nil
	}
	return s.backend.remove(ctx, key)
}

func (s *Store) readManifest(ctx context.Context, key string) ([]byte, error) {
	info, err := s.backend.stat(ctx, key)
	if err != nil {
		return nil, err
	}
	body, err := s.backend.get(ctx, key, info, 0)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(reader(ctx, body), maxManifest+1))
	if err == nil && len(text) > maxManifest {
		err = fmt.Errorf("%s has more than %d bytes", ManifestName, maxManifest)
	}
	return text, err
}

// describeDir lists the files of a folder with their checksums.
func describeDir(ctx context.Context, dir string) (Manifest, error) {
	m, err := listDir(dir)
	if err != nil {
		return Manifest{}, local(err)
	}
	index := map[string]int{}
	for i, f := range m.Files {
		index[f.Path] = i
	}
	err = eachFile(ctx, m, func(ctx context.Context, f ManifestFile) error {
		size, sum, err := hashPath(ctx, filepath.Join(dir, filepath.FromSlash(f.Path)))
		m.Files[index[f.Path]] = ManifestFile{f.Path, size, sum}
		return err
	})
	return m, err
}

// listDir lists the files of a folder, sorted. A manifest at its top is none of them.
func listDir(dir string) (Manifest, error) {
	var m Manifest
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return m, err
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		st, err := os.Stat(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		key := filepath.ToSlash(rel)
		if key == ManifestName || isPart(d.Name()) {
			return nil
		}
		if !st.Mode().IsRegular() {
			return fmt.Errorf("%s is neither a file nor a folder (%v)", key, d.Type())
		}
		if err := checkKey(key); err != nil {
			return err
		}
		m.Files = append(m.Files, ManifestFile{Path: key, Size: st.Size()})
		return nil
	})
	if err == nil && len(m.Files) == 0 {
		err = errors.New("it has no files")
	}
	slices.SortFunc(m.Files, func(a, b ManifestFile) int { return bytes.Compare([]byte(a.Path), []byte(b.Path)) })
	return m, err
}

// Manifest reads the manifest of the folder. A folder with files but without one is an ErrHalfWritten.
func (s *Store) Manifest(ctx context.Context) (Manifest, error) {
	key, err := s.key(ManifestName)
	if err == nil {
		var text []byte
		if text, err = s.readManifest(ctx, key); err == nil {
			m, err := ParseManifest(text)
			return m, s.failure("read manifest", s.URI(ManifestName), err)
		}
	}
	if errors.Is(err, ErrNotFound) {
		errFound := errors.New("found")
		listed := s.backend.list(ctx, s.prefix, func(Info) error { return errFound })
		if errors.Is(listed, errFound) {
			err = ErrHalfWritten
		} else if listed != nil {
			err = listed
		}
	}
	return Manifest{}, s.failure("read manifest", s.URI(""), err)
}

// GetDir fetches a stored folder, every file of it held against the manifest, to a folder that must not exist yet or be empty; if it is there with the same
// files already, nothing is done. The download lies beside it under a name that begins with a dot, where the next call continues it, and
// gets its name when it is whole. A folder without a manifest is refused as ErrHalfWritten.
func (s *Store) GetDir(ctx context.Context, dir string, progress because.Progress) (Manifest, error) {
	const op = "fetch folder"
	m, err := s.Manifest(ctx)
	if err != nil {
		return Manifest{}, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return Manifest{}, s.failure(op, dir, err)
	}
	done, err := m.occupied(ctx, dir)
	if err != nil || done {
		return m, s.failure(op, dir, err)
	}
	text, err := m.Encode()
	if err != nil {
		return Manifest{}, s.failure(op, s.URI(""), err)
	}
	part := filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+"."+sumOf(text)[:16]+partSuffix)
	count := newMeter(progress, m.Size())
	err = eachFile(ctx, m, func(ctx context.Context, f ManifestFile) error {
		return s.failure(op, s.URI(f.Path), s.getListed(ctx, f, part, func(n int64) { count.advance(n, f.Path) }))
	})
	if err != nil {
		return Manifest{}, err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // an empty one
		return Manifest{}, s.failure(op, dir, local(err))
	}
	if err := errors.Join(os.Rename(part, dir), syncDir(filepath.Dir(dir))); err != nil {
		return Manifest{}, s.failure(op, dir, local(err))
	}
	return m, nil
}

// getListed fetches one file of a manifest into a folder.
func (s *Store) getListed(ctx context.Context, f ManifestFile, dir string, advance func(int64)) error {
	key, err := s.key(f.Path)
	if err != nil {
		return err
	}
	info, err := s.backend.stat(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: %s lists it, but it is not there", ErrDamaged, ManifestName)
	}
	if err != nil {
		return err
	}
	if info.Size != f.Size {
		return fmt.Errorf("%w: %d bytes, want %d", ErrDamaged, info.Size, f.Size)
	}
	info.SHA256 = f.SHA256
	_, err = s.fetch(ctx, key, filepath.Join(dir, filepath.FromSlash(f.Path)), info, advance)
	return err
}

// occupied reports whether a folder has these files already. One with others is an error.
func (m Manifest) occupied(ctx context.Context, dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(entries) == 0:
		return false, nil
	case err != nil:
		return false, local(err)
	}
	there, err := describeDir(ctx, dir)
	if err != nil {
		return false, local(err)
	}
	if !slices.Equal(there.Files, m.Files) {
		return false, because.E("fetch folder", dir, errors.New("it exists and holds other files"), "name a folder that does not exist")
	}
	return true, nil
}
