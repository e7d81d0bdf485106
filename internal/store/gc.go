package store

import (
	"errors"
	"io/fs"
	"os"

	"github.com/because-lab/because"
)

// Usage is what a store holds.
type Usage struct {
	Artifacts int
	Results   int
	Bytes     int64 // of file contents, each counted once however many artifacts share it
}

// Size adds up what the store holds. Damaged artifacts are left out.
func (s *Store) Size() (Usage, error) {
	var u Usage
	seen := map[string]bool{}
	err := s.eachHash("artifacts", func(id string) error {
		m, err := s.Manifest(id)
		if isDamage(err) {
			return nil
		}
		if err != nil {
			return err
		}
		u.Artifacts++
		for _, f := range m.Files {
			if !seen[f.SHA256] {
				seen[f.SHA256] = true
				u.Bytes += f.Size
			}
		}
		return nil
	})
	if err != nil {
		return Usage{}, err
	}
	err = s.eachHash("results", func(string) error { u.Results++; return nil })
	return u, err
}

// GC removes every artifact that keep doesn't name, the results that led to them, and contents that nothing uses any
// more. Killed half-way it leaves results without artifacts, which count as absent. The process must hold the lock.
func (s *Store) GC(keep []string) error {
	if err := s.writable("collect garbage"); err != nil {
		return err
	}
	s.publishing.Lock()
	defer s.publishing.Unlock()
	kept, contents := map[string]bool{}, map[string]bool{}
	for _, id := range keep {
		m, err := s.Manifest(id)
		if err != nil {
			return because.E("collect garbage", short(id), err, "")
		}
		kept[id] = true
		for _, f := range m.Files {
			contents[f.SHA256] = true
		}
	}
	dropResult := func(key string) error {
		r, err := s.Result(key)
		if err != nil && !isDamage(err) {
			return err
		}
		if err == nil && kept[r.Artifact] {
			return nil
		}
		return remove(s.resultPath(key))
	}
	dropArtifact := func(id string) error {
		if kept[id] {
			return nil
		}
		return remove(s.artifactPath(id))
	}
	dropObject := func(hash string) error {
		if contents[hash] {
			return nil
		}
		return remove(s.objectPath(hash))
	}
	// Links before what they lead to, so that nothing dangles.
	return errors.Join(s.eachHash("results", dropResult), s.eachHash("artifacts", dropArtifact), s.eachHash("objects", dropObject))
}

// remove deletes a file or folder.
func remove(path string) error {
	if err := os.RemoveAll(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault("collect garbage", path, err)
	}
	return nil
}
