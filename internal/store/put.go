package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/because-lab/because"
)

// Put stores a new artifact. It calls fill with the path of an empty folder to write files and folders into, and makes
// what lies there when fill returns read-only and durable. Where fill fails or ctx ends meanwhile, nothing is
// stored. Empty folders don't count; anything but files and folders is an error. The process must hold the lock.
func (s *Store) Put(ctx context.Context, fill func(dir string) error) (id string, err error) {
	const op = "store artifact"
	if err := s.writable(op); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(s.tmpDir(), "put-")
	if err != nil {
		return "", fault(op, s.tmpDir(), err)
	}
	defer func() {
		if rm := removeAll(work); rm != nil && err == nil {
			err = fault(op, work, rm)
		}
	}()
	entry := filepath.Join(work, "entry")
	files := filepath.Join(entry, "files")
	if err := os.MkdirAll(files, 0o755); err != nil {
		return "", fault(op, files, err)
	}
	if err := fill(files); err != nil {
		if diskFull(err) {
			err = because.E(op, s.root, err, hint(err))
		}
		return "", err
	}
	list, err := seal(ctx, files)
	if err != nil {
		return "", err
	}
	// Work that was told to stop may have returned early without an error: what it left is not to be trusted.
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
	return s.publish(ctx, work, entry, list)
}

// seal makes every file under dir read-only and durable and lists them with their hashes. Folders without files go.
func seal(ctx context.Context, dir string) ([]File, error) {
	var list []File
	var dirs []string // parents before children
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fault("store artifact", path, err)
		}
		if d.IsDir() {
			dirs = append(dirs, path)
			return os.Chmod(path, 0o755)
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if !d.Type().IsRegular() {
			return because.E("store artifact", rel, fmt.Errorf("is a %s; an artifact holds regular files only", kindOf(d.Type())), "")
		}
		f, err := sealFile(ctx, path)
		if err != nil {
			return err
		}
		f.Path = filepath.ToSlash(rel)
		list = append(list, f)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if i > 0 && os.Remove(dirs[i]) == nil { // succeeds on empty folders only
			continue
		}
		if err := syncDir(dirs[i]); err != nil {
			return nil, fault("store artifact", dirs[i], err)
		}
	}
	return list, nil
}

// kindOf names a type of file for messages.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	}
	return "special file"
}

// sealFile flushes one file, makes it read-only, and gives its size and hash.
func sealFile(ctx context.Context, path string) (File, error) {
	if err := os.Chmod(path, 0o644); err != nil {
		return File{}, fault("store artifact", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return File{}, fault("store artifact", path, err)
	}
	sum, size, err := hashFile(ctx, f)
	if err == nil {
		err = errors.Join(f.Chmod(0o444), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return File{}, fault("store artifact", path, err)
	}
	return File{SHA256: sum, Size: size}, nil
}

// publish moves a sealed entry to its place, its contents shared with equal files of other artifacts. What already is
// there is kept where it is whole and replaced where it is damaged.
func (s *Store) publish(ctx context.Context, work, entry string, list []File) (id string, err error) {
	_, text, id, err := newManifest(list)
	if err != nil {
		return "", err
	}
	s.publishing.Lock()
	defer s.publishing.Unlock()
	target := s.artifactPath(id)
	err = s.check(ctx, id, true)
	switch {
	case err == nil:
		return id, nil
	case !isDamage(err):
		return "", err
	}
	for _, f := range list {
		path := filepath.Join(entry, "files", filepath.FromSlash(f.Path))
		if err := s.share(ctx, path, filepath.Join(work, "link"), f); err != nil {
			return "", fault("store artifact", path, err)
		}
	}
	if err := writeSynced(filepath.Join(entry, "manifest.json"), text); err != nil {
		return "", err
	}
	if err := syncDir(entry); err != nil {
		return "", fault("store artifact", entry, err)
	}
	if err := os.Rename(target, filepath.Join(work, "damaged")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fault("store artifact", target, err)
	}
	if err := s.moveInto(entry, target); err != nil {
		return "", fault("store artifact", target, err)
	}
	return id, nil
}

// share makes the file at path and the object of its content one: it becomes the object where there is none yet, or a
// damaged one, and a link to the object otherwise. On file systems without hard links it stays a copy.
func (s *Store) share(ctx context.Context, path, spare string, f File) error {
	object := s.objectPath(f.SHA256)
	if err := makeDir(filepath.Dir(object)); err != nil {
		return err
	}
	err := checkContent(ctx, object, f)
	from, to := object, path // link the object in
	switch {
	case isDamage(err):
		if _, there := os.Lstat(object); there == nil {
			s.opt.Warn(because.E("store artifact", f.Path, err, "it is replaced"))
		}
		from, to = path, object // make or replace the object
	case err != nil:
		return err
	}
	if err := os.Link(from, spare); err != nil {
		if cannotLink(err) {
			return nil
		}
		return err
	}
	if err := os.Rename(spare, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

// writeSynced writes a new file inside a folder that is not published yet.
func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return fault("store artifact", path, err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fault("store artifact", path, err)
	}
	return nil
}
