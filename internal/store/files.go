package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// writeFile makes path hold data, at once or not at all, durably.
func (s *Store) writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(s.tmpDir(), "file-")
	if err != nil {
		return fault("write store", s.tmpDir(), err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = s.moveInto(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name()) // the first error is the one to tell
		return fault("write store", path, err)
	}
	return nil
}

// moveInto renames from to path, whose folder it makes where it is missing, and flushes that folder.
func (s *Store) moveInto(from, path string) error {
	dir := filepath.Dir(path)
	if err := makeDir(dir); err != nil {
		return err
	}
	if err := os.Rename(from, path); err != nil {
		return err
	}
	return syncDir(dir)
}

// makeDir makes a folder inside an existing one, durably.
func makeDir(dir string) error {
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil // where a file is in the way, the next operation says so
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// removeAll removes path even where folders in it are read-only.
func removeAll(path string) error {
	if os.RemoveAll(path) == nil {
		return nil
	}
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(p, 0o755)
		}
		return nil // what can't be walked, RemoveAll names
	})
	return errors.Join(os.RemoveAll(path), err)
}

// hashBlocks holds buffers for hashFile: a cached study hashes thousands of small files.
var hashBlocks = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// hashFile gives the SHA-256 of an open file's remaining bytes and their number. It stops when ctx ends.
func hashFile(ctx context.Context, f io.Reader) (sum string, size int64, err error) {
	h := sha256.New()
	block := hashBlocks.Get().(*[]byte)
	defer hashBlocks.Put(block)
	buf := *block
	for {
		if err := ctx.Err(); err != nil {
			return "", 0, err
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		size += int64(n)
		if err == io.EOF {
			return hex.EncodeToString(h.Sum(nil)), size, nil
		}
		if err != nil {
			return "", 0, err
		}
	}
}

// hashPath is hashFile of the file at path.
func hashPath(ctx context.Context, path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	return hashFile(ctx, f)
}
