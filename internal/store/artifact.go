package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"github.com/because-lab/because"
)

// smallFile is the size in bytes up to which every lookup hashes a file; larger ones are only measured then, and
// hashed when they are opened. Hashing a MiB takes less than a millisecond.
const smallFile = 1 << 20

// File is one file of an artifact.
type File struct {
	Path   string `json:"path"`   // relative, with slashes
	SHA256 string `json:"sha256"` // of its content, hexadecimal
	Size   int64  `json:"size"`   // bytes
}

// Manifest lists the files of an artifact, sorted by path. Its canonical encoding is what an artifact's ID hashes.
type Manifest struct {
	Files   []File `json:"files"`
	Version int    `json:"version"` // of the manifest's form
}

// newManifest sorts files into a manifest and gives its encoding and the ID of the artifact.
func newManifest(files []File) (m Manifest, text []byte, id string, err error) {
	sort.Slice(files, func(i, j int) bool { return files[i].Path < files[j].Path })
	m = Manifest{Version: 1, Files: files}
	text, err = Encode(m)
	if err != nil {
		return Manifest{}, nil, "", err
	}
	sum := sha256.Sum256(text)
	return m, text, hex.EncodeToString(sum[:]), nil
}

// Manifest reads what an artifact consists of. It does not look at the files themselves. The error is a DamageError
// where the manifest is missing or altered.
func (s *Store) Manifest(id string) (Manifest, error) {
	if !isHash(id) {
		return Manifest{}, because.E("read artifact", id, errors.New("not an artifact's ID"), "")
	}
	path := s.manifestPath(id)
	text, err := os.ReadFile(path)
	if err != nil {
		return Manifest{}, readFault(path, err)
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != id {
		return Manifest{}, damage(path, "its hash is not the artifact's ID")
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return Manifest{}, damage(path, "%v", err)
	}
	return m, nil
}

// Open checks every byte of an artifact and gives its folder, to be read only. The error is a DamageError where a file
// is missing, altered or added.
func (s *Store) Open(ctx context.Context, id string) (dir string, err error) {
	if err := s.check(ctx, id, true); err != nil {
		if isDamage(err) {
			err = because.E("open artifact", short(id), err, "run again: what is damaged is rebuilt")
		}
		return "", err
	}
	return s.filesPath(id), nil
}

// Path gives the folder of an artifact without looking at it.
func (s *Store) Path(id string) string { return s.filesPath(id) }

// short abbreviates a hash for messages.
func short(hash string) string {
	if len(hash) > 12 {
		return hash[:12]
	}
	return hash
}

// check compares an artifact's folder with its manifest: names and sizes always, contents where the file is small or
// full is set.
func (s *Store) check(ctx context.Context, id string, full bool) error {
	m, err := s.Manifest(id)
	if err != nil {
		return err
	}
	root := s.filesPath(id)
	want := make(map[string]File, len(m.Files))
	for _, f := range m.Files {
		want[f.Path] = f
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return readFault(path, err)
		}
		if d.IsDir() {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		f, listed := want[filepath.ToSlash(rel)]
		if !listed {
			return damage(path, "does not belong to the artifact")
		}
		delete(want, f.Path)
		return checkFile(ctx, path, d, f, full)
	})
	if err != nil {
		return err
	}
	for _, f := range m.Files {
		if _, missing := want[f.Path]; missing {
			return damage(filepath.Join(root, filepath.FromSlash(f.Path)), "is missing")
		}
	}
	return nil
}

// checkFile compares one file with its entry in the manifest.
func checkFile(ctx context.Context, path string, d fs.DirEntry, want File, full bool) error {
	info, err := d.Info()
	switch {
	case err != nil:
		return readFault(path, err)
	case !info.Mode().IsRegular():
		return damage(path, "is not a regular file")
	case info.Size() != want.Size:
		return damage(path, "has %d bytes instead of %d", info.Size(), want.Size)
	case !full && want.Size > smallFile:
		return nil
	}
	return checkContent(ctx, path, want)
}

// checkContent hashes the file at path and compares.
func checkContent(ctx context.Context, path string, want File) error {
	sum, size, err := hashPath(ctx, path)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("check %s: %w", path, context.Cause(ctx))
	case err != nil:
		return readFault(path, err)
	case size != want.Size:
		return damage(path, "has %d bytes instead of %d", size, want.Size)
	case sum != want.SHA256:
		return damage(path, "its content has hash %s instead of %s", short(sum), short(want.SHA256))
	}
	return nil
}
