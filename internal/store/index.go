package store

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/because-lab/because"
)

// Index gives the last key of every step of a study, by step. It only serves to explain what changed: a missing index
// is empty, and so is a damaged one, which is reported to Options.Warn.
func (s *Store) Index(study string) (map[string]string, error) {
	path := s.indexPath(study)
	index := map[string]string{}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return index, nil
	case err != nil:
		return nil, fault("read index", path, err)
	}
	if err := json.Unmarshal(text, &index); err != nil {
		s.opt.Warn(because.E("read index", path, err, "changes since the last run can't be explained this time"))
		return map[string]string{}, nil
	}
	return index, nil
}

// SetIndex replaces the index of a study. The process must hold the lock.
func (s *Store) SetIndex(study string, index map[string]string) error {
	if err := s.writable("write index"); err != nil {
		return err
	}
	text, err := Encode(index)
	if err != nil {
		return err
	}
	return s.writeFile(s.indexPath(study), text)
}

// indexPath gives the file of a study's index. The name is escaped, since a study may be called anything.
func (s *Store) indexPath(study string) string {
	return filepath.Join(s.root, "index", url.PathEscape(study)+".json")
}
