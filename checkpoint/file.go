package checkpoint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/data/columns"
)

// ResolveData replaces the path of a file by its hash, and remembers where it lies.
func (t *Target) ResolveData(o data.Order) (data.Order, error) {
	given, ok := o.With[pathKey]
	if o.Recipe != fileRecipe || !ok {
		return o, nil
	}
	name, isText := given.(string)
	if !isText || name == "" {
		return o, because.E("read option", pathKey, fmt.Errorf("%v is no path", given), "")
	}
	path := t.path(name)
	hash, err := hashFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return o, because.E("read data", pathKey, fmt.Errorf("there is no file %s", path), "the path is relative to the study file")
	case err != nil:
		return o, because.E("read data", pathKey, err, "")
	}
	t.mu.Lock()
	t.files[hash] = path
	t.mu.Unlock()
	o.With = maps.Clone(o.With)
	delete(o.With, pathKey)
	o.With[hashKey] = hash
	return o, nil
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// checkFile checks a resolved order for a file, whose rows it reads.
func (t *Target) checkFile(o data.Order) error {
	for key := range o.With {
		if key != hashKey {
			return because.E("read option", key, errors.New("unknown to recipe file"), "it has path")
		}
	}
	path, _, err := t.dataFile(o)
	if err != nil {
		return err
	}
	_, err = records(columns.Read(path), fileRecipe)
	return err
}

// dataFile gives the path of an order's file.
func (t *Target) dataFile(o data.Order) (path, hash string, err error) {
	hash, _ = o.With[hashKey].(string)
	t.mu.Lock()
	path, ok := t.files[hash]
	t.mu.Unlock()
	switch {
	case hash == "":
		return "", "", because.E("read data", fileRecipe, errors.New("it is not said which file"), "with: {path: my.jsonl}, relative to the study file")
	case !ok:
		return "", "", because.E("read data", hashKey, fmt.Errorf("no file with the hash %.12s is known", hash), "name it by its path: with: {path: my.jsonl}")
	}
	return path, hash, nil
}

// fromFile takes records of a file.
func (t *Target) fromFile(ctx context.Context, o data.Order, w because.Work) (data.Dataset, error) {
	path, hash, err := t.dataFile(o)
	if err != nil {
		return data.Dataset{}, err
	}
	rows, err := records(columns.Read(path), fileRecipe)
	if err != nil {
		return data.Dataset{}, err
	}
	if err := unchanged(path, hash); err != nil {
		return data.Dataset{}, err
	}
	return t.draw(ctx, o, rows, w, path)
}

// unchanged wants a file that has been read to be the one that was resolved.
func unchanged(path, hash string) error {
	now, err := hashFile(path)
	if err != nil {
		return because.E("read data", path, err, "")
	}
	if now != hash {
		return because.E("read data", path, errChanged, "start the study again")
	}
	return nil
}
