package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/because-lab/because"
)

// wantFault fails unless err names the place and the cause and has a hint.
func wantFault(t *testing.T, err error, place, cause string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{place, cause} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	if because.Hint(err) == "" {
		t.Errorf("error %q has no hint", err)
	}
}

func TestFileInPlaceOfFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(file, Options{})
	wantFault(t, err, file, "is a file")

	below, err := Open(filepath.Join(file, "store"), Options{})
	if err == nil {
		err = below.TryLock()
	}
	wantFault(t, err, file, "not a directory")

	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "objects"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantFault(t, s.TryLock(), filepath.Join(root, "objects"), "not a directory")
	if text, err := os.ReadFile(file); err != nil || string(text) != "mine" {
		t.Errorf("the file now holds %q, %v", text, err)
	}
}

func TestOtherLayoutIsRefused(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "format"), []byte("because store 99\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(root, Options{})
	wantFault(t, err, "format", "because store 99")
}

func TestFullDiskInFill(t *testing.T) {
	s := newStore(t)
	_, err := s.Put(t.Context(), func(dir string) error {
		return &os.PathError{Op: "write", Path: filepath.Join(dir, "weights"), Err: syscall.ENOSPC}
	})
	wantFault(t, err, s.Root(), "weights: no space left on device")
	if !errors.Is(err, syscall.ENOSPC) {
		t.Error("the cause is lost")
	}
	wantEmptyTmp(t, s)
}
