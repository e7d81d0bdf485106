package storage

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// parityFiles are what tools/parity/storage.py writes and expects; the large one takes several parts.
var parityFiles = map[string]int{"config.json": 23, "model.safetensors": 70 << 20, "state/rank 0/optimizer.pt": 1 << 20, "state/empty": 0, "ünï@1.txt": 7}

// pattern is content that Python makes too.
func pattern(seed, n int) []byte {
	block := make([]byte, 1004)
	for j := range block {
		block[j] = byte((j*31 + seed) % 251)
	}
	return bytes.Repeat(block, n/len(block)+1)[:n]
}

// TestParity is run by tools/parity/storage.sh, which names a folder on a real server (or a disk) in BECAUSE_STORAGE_URI. Python has written some
// folders there and reads what this test writes.
func TestParity(t *testing.T) {
	uri := os.Getenv("BECAUSE_STORAGE_URI")
	if uri == "" {
		t.Skip("run tools/parity/storage.sh")
	}
	ctx := context.Background()
	root, err := Open(ctx, uri)
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) *Store {
		s, err := root.Join(name)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	to := filepath.Join(t.TempDir(), "to")
	m, err := in("from-python").GetDir(ctx, to, nil)
	if err != nil || len(m.Files) != len(parityFiles) {
		t.Fatalf("Python's folder: %+v, %v", m, err)
	}
	for name, n := range parityFiles {
		if got, err := os.ReadFile(filepath.Join(to, filepath.FromSlash(name))); err != nil || !bytes.Equal(got, pattern(1, n)) {
			t.Errorf("Python's %s: %d bytes, %v", name, len(got), err)
		}
	}
	if _, err := in("half-written").GetDir(ctx, to+"2", nil); !errors.Is(err, ErrHalfWritten) {
		t.Errorf("Python's half-written folder: %v", err)
	}
	if _, err := in("damaged").GetDir(ctx, to+"3", nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("Python's damaged folder: %v", err)
	}
	dir := t.TempDir()
	for name, n := range parityFiles {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), pattern(2, n))
	}
	if _, err := in("from-go").PutDir(ctx, dir, nil); err != nil {
		t.Fatal(err)
	}
	put(t, in("from-go-half-written"), "model.safetensors", pattern(2, 1000))
	if _, _, err := in("blobs").PutBlob(ctx, filepath.Join(dir, "config.json")); err != nil {
		t.Error(err)
	}
	var found int
	if err := in("from-go").List(ctx, func(Info) error { found++; return nil }); err != nil || found != len(parityFiles)+1 {
		t.Errorf("the folder lists %d files, %v", found, err)
	}
	missing, err := Open(ctx, root.at.scheme+"://because-no-such-bucket/x")
	if root.at.scheme == schemeS3 && err == nil {
		if _, err := missing.Exists(ctx, "k"); !errors.Is(err, ErrNoBucket) {
			t.Errorf("a bucket that is not there: %v", err)
		}
	}
}
