package store

import (
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/because-lab/because"
)

// Results lists every result, sorted by key. Damaged ones are reported to Options.Warn and left out.
func (s *Store) Results() iter.Seq2[*Result, error] {
	return func(yield func(*Result, error) bool) {
		err := s.eachHash("results", func(key string) error {
			r, err := s.Result(key)
			switch {
			case isDamage(err):
				s.opt.Warn(because.E("list results", short(key), err, "it will be rebuilt"))
				return nil
			case errors.Is(err, fs.ErrNotExist):
				return nil // removed meanwhile
			case err != nil:
				return err
			}
			if !yield(r, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.SkipAll) {
			yield(nil, err)
		}
	}
}

// eachHash calls f for every entry of ROOT/kind, sorted, until f fails.
func (s *Store) eachHash(kind string, f func(hash string) error) error {
	root := filepath.Join(s.root, kind)
	shards, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault("list store", root, err)
	}
	for _, shard := range shards {
		dir := filepath.Join(root, shard.Name())
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fault("list store", dir, err)
		}
		for _, entry := range entries {
			if !isHash(entry.Name()) {
				continue
			}
			if err := f(entry.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Resolve finds the results that a person means by ref: a key, an artifact's ID, at least four digits of either, a
// path into the store's artifacts, or the ID of a step. The error says where nothing fits.
func (s *Store) Resolve(ref string) ([]*Result, error) {
	prefix := s.idInPath(ref)
	if prefix == "" && len(ref) >= 4 && isHex(ref) {
		prefix = ref
	}
	var found []*Result
	for r, err := range s.Results() {
		if err != nil {
			return nil, err
		}
		match := r.By["step"] == ref
		if prefix != "" {
			match = match || strings.HasPrefix(r.Key, prefix) || strings.HasPrefix(r.Artifact, prefix)
		}
		if match {
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		return nil, because.E("find artifact", ref, errors.New("the store "+s.root+" has no such result"),
			"give a step, a key or an artifact's ID (four digits or more), or a path into the store")
	}
	return found, nil
}

// idInPath gives the artifact's ID in a path to a stored file or folder, "" where there is none. Links are followed, so
// that a link to an artifact from elsewhere works.
func (s *Store) idInPath(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}
	if real, err = filepath.Abs(real); err != nil {
		return ""
	}
	root, err := filepath.EvalSymlinks(filepath.Join(s.root, "artifacts"))
	if err != nil {
		return ""
	}
	rel, err := filepath.Rel(root, real)
	if err != nil {
		return ""
	}
	if parts := strings.Split(filepath.ToSlash(rel), "/"); len(parts) >= 2 && isHash(parts[1]) {
		return parts[1]
	}
	return ""
}
