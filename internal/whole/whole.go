// Package whole writes files that appear whole or not at all.
package whole

import (
	"errors"
	"os"
	"path/filepath"
)

// File is a file under way: it lies beside its place under another name until it is put there.
type File struct {
	*os.File
	path     string
	finished bool
	gone     bool // committed or aborted
}

// Create begins a file.
func Create(path string) (*File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return nil, err
	}
	return &File{File: f, path: path}, nil
}

// Finish flushes and closes the file, which stays under its other name (Name).
func (f *File) Finish() error {
	if f.finished {
		return nil
	}
	f.finished = true
	return errors.Join(f.Chmod(0o644), f.Sync(), f.Close())
}

// Commit puts the finished file in its place.
func (f *File) Commit() error {
	if f.gone {
		return nil
	}
	if err := f.Finish(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), f.path); err != nil {
		return err
	}
	f.gone = true
	return SyncDir(filepath.Dir(f.path))
}

// Abort removes the file unless it has been put in its place.
func (f *File) Abort() {
	if f.gone {
		return
	}
	f.gone = true
	if !f.finished {
		f.Close()
	}
	os.Remove(f.Name())
}

// WriteFile makes a path hold a text, at once or not at all.
func WriteFile(path string, text []byte) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Commit()
}
