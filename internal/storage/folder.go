package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// folder is the backend of file://.
type folder struct{ root string }

func (f *folder) path(key string) string { return filepath.Join(f.root, filepath.FromSlash(key)) }

// Files under way lie beside their place under a name that begins with a dot and ends so. They are no files of the store.
const partSuffix = ".part"

func isPart(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, partSuffix)
}

func (f *folder) put(ctx context.Context, key string, s source) error {
	path := f.path(key)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return local(err)
	}
	part, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*"+partSuffix)
	if err != nil {
		return local(err)
	}
	_, err = io.Copy(part, reader(ctx, s.checked()))
	if err == nil {
		err = errors.Join(part.Chmod(0o644), part.Sync())
	}
	if err = errors.Join(err, part.Close()); err == nil {
		if err = os.Rename(part.Name(), path); err == nil {
			return local(syncDir(filepath.Dir(path)))
		}
	}
	os.Remove(part.Name())
	return local(err)
}

func (f *folder) get(_ context.Context, key string, _ Info, from int64) (io.ReadCloser, error) {
	file, err := os.Open(f.path(key))
	if err != nil {
		return nil, local(err)
	}
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func (f *folder) stat(_ context.Context, key string) (Info, error) {
	st, err := os.Stat(f.path(key))
	switch {
	case err != nil:
		return Info{}, local(err)
	case st.IsDir():
		return Info{}, fmt.Errorf("%w: it is a folder", ErrNotFound)
	case !st.Mode().IsRegular():
		return Info{}, fmt.Errorf("it is no regular file (%v)", st.Mode().Type())
	}
	return Info{Key: key, Size: st.Size(), Modified: st.ModTime()}, nil
}

func (f *folder) sum(ctx context.Context, key string, _ Info) (string, error) {
	file, err := os.Open(f.path(key))
	if err != nil {
		return "", local(err)
	}
	defer file.Close()
	_, sum, err := hashFile(ctx, file)
	return sum, local(err)
}

func (f *folder) list(ctx context.Context, below string, visit func(Info) error) error {
	var found []Info
	root := f.path(below)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			if path == root && errors.Is(err, fs.ErrNotExist) {
				return filepath.SkipAll // as in a bucket, a folder without files is not there
			}
			return err
		}
		if isPart(d.Name()) && path != root {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		st, err := os.Stat(path)
		if err != nil || !st.Mode().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(f.root, path)
		found = append(found, Info{Key: filepath.ToSlash(rel), Size: st.Size(), Modified: st.ModTime()})
		return err
	})
	if err != nil {
		return local(err)
	}
	return visitSorted(found, visit)
}

func (f *folder) remove(_ context.Context, key string) error {
	if err := os.Remove(f.path(key)); !errors.Is(err, fs.ErrNotExist) {
		return local(err)
	}
	return nil
}

func (f *folder) access() string { return "check the permissions of " + f.root }
