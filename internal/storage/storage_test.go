package storage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
)

// places runs a test on a folder and on the fake server.
func places(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Run("file", func(t *testing.T) {
		test(t, openFake(t, fileURI(filepath.Join(t.TempDir(), "store"))))
	})
	t.Run("s3", func(t *testing.T) {
		newFake(t)
		test(t, openFake(t, "s3://"+fakeBucket+"/some/prefix"))
	})
}

func fileURI(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return "file://" + path
}

// random is content of a given length, the same for the same seed.
func random(seed uint64, n int) []byte {
	out := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	r.Read(out)
	return out
}

func write(t *testing.T, path string, text []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func put(t *testing.T, s *Store, key string, text []byte) {
	t.Helper()
	if err := s.Put(context.Background(), key, bytes.NewReader(text), int64(len(text)), sumOf(text)); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s *Store, key string) []byte {
	t.Helper()
	r, info, err := s.Get(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil || int64(len(text)) != info.Size {
		t.Fatalf("%s: %d bytes of %d, %v", key, len(text), info.Size, err)
	}
	return text
}

func keys(t *testing.T, s *Store) []string {
	t.Helper()
	var out []string
	if err := s.List(context.Background(), func(i Info) error { out = append(out, i.Key); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPutGetStatList(t *testing.T) {
	ctx := context.Background()
	places(t, func(t *testing.T, s *Store) {
		if got := keys(t, s); got != nil {
			t.Fatalf("an empty store lists %v", got)
		}
		want := map[string][]byte{"b/two": random(2, 1000), "a": random(1, 200<<10), "b/empty": {}, "b-c": random(3, 1), "ünï code": []byte("x")}
		for key, text := range want {
			put(t, s, key, text)
		}
		for key, text := range want {
			if got := get(t, s, key); !bytes.Equal(got, text) {
				t.Errorf("%s comes back with %d bytes of %d", key, len(got), len(text))
			}
		}
		if diff := cmp.Diff([]string{"a", "b-c", "b/empty", "b/two", "ünï code"}, keys(t, s)); diff != "" {
			t.Error(diff)
		}
		info, err := s.Stat(ctx, "b/two")
		if err != nil || info.Size != 1000 || info.Key != "b/two" {
			t.Errorf("stat: %+v, %v", info, err)
		}
		below, err := s.Join("b")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"empty", "two"}, keys(t, below)); diff != "" {
			t.Error(diff)
		}
		if below.URI("two") != s.URI("b/two") {
			t.Errorf("%s is not %s", below.URI("two"), s.URI("b/two"))
		}
		for key, want := range map[string]bool{"a": true, "b": false, "c": false, "b/two": true, "a/b": false} {
			if got, err := s.Exists(ctx, key); err != nil || got != want {
				t.Errorf("Exists(%q) = %v, %v", key, got, err)
			}
		}
		if _, _, err := s.Get(ctx, "nothing"); !errors.Is(err, ErrNotFound) || because.Hint(err) == "" || !strings.Contains(err.Error(), s.URI("nothing")) {
			t.Errorf("a missing file: %v (%s)", err, because.Hint(err))
		}
	})
}

// What is not the announced content is not stored, under the size of one request and above it.
func TestPutRefusesOtherContent(t *testing.T) {
	places(t, func(t *testing.T, s *Store) {
		for name, n := range map[string]int{"small": 1000, "large": 6 << 20, "none": 0} {
			text := random(1, n)
			for _, c := range []struct {
				what string
				got  []byte
				size int64
			}{
				{"longer", append(bytes.Clone(text), 1), int64(n)},
				{"shorter", text[:n/2], int64(n) + 1},
				{"other", random(2, n+1), int64(n) + 1},
			} {
				err := s.Put(context.Background(), name, bytes.NewReader(c.got), c.size, sumOf(text))
				if !errors.Is(err, ErrDamaged) {
					t.Errorf("%s, %s: %v", name, c.what, err)
				}
			}
		}
		if got := keys(t, s); got != nil {
			t.Errorf("left behind: %v", got)
		}
		put(t, s, "kept", []byte("first"))
		if err := s.Put(context.Background(), "kept", strings.NewReader("other"), 5, sumOf([]byte("first"))); err == nil {
			t.Error("other content was taken")
		}
		if got := get(t, s, "kept"); string(got) != "first" {
			t.Errorf("kept is now %q", got)
		}
	})
}

func TestFiles(t *testing.T) {
	ctx := context.Background()
	places(t, func(t *testing.T, s *Store) {
		dir := t.TempDir()
		for name, n := range map[string]int{"small": 1000, "large": 5<<20 + 3, "none": 0} {
			text := random(7, n)
			path := write(t, filepath.Join(dir, name), text)
			last, total := -1.0, 0.0
			info, err := s.PutFile(ctx, "f/"+name, path, func(done, of float64, _, _ string) { last, total = done, of })
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(Info{Key: "f/" + name, Size: int64(n), SHA256: sumOf(text)}, info, cmp.AllowUnexported(Info{})); diff != "" {
				t.Error(diff)
			}
			if last != float64(n) || total != float64(n) {
				t.Errorf("%s: progress ends at %v of %v, want %d", name, last, total, n)
			}
			to := filepath.Join(dir, "back", name)
			got, err := s.GetFile(ctx, "f/"+name, to, "", nil)
			if err != nil || got.SHA256 != sumOf(text) {
				t.Fatalf("%s: %+v, %v", name, got, err)
			}
			if back, err := os.ReadFile(to); err != nil || !bytes.Equal(back, text) {
				t.Errorf("%s comes back with %d bytes of %d: %v", name, len(back), n, err)
			}
			if _, err := s.GetFile(ctx, "f/"+name, to+"2", sumOf([]byte("other")), nil); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s against another checksum: %v", name, err)
			}
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "back", ".*")); left != nil {
			t.Errorf("left behind: %v", left)
		}
		if entries, _ := os.ReadDir(filepath.Join(dir, "back")); len(entries) != 3 {
			t.Errorf("%d files came back, want 3", len(entries))
		}
	})
}

func TestPutBlob(t *testing.T) {
	places(t, func(t *testing.T, s *Store) {
		text := random(5, 5000)
		path := write(t, filepath.Join(t.TempDir(), "data.jsonl"), text)
		for range 2 {
			uri, sum, err := s.PutBlob(context.Background(), path)
			if err != nil || sum != sumOf(text) || uri != s.URI("sha256/"+sum+"/data.jsonl") {
				t.Fatalf("%s %s %v", uri, sum, err)
			}
		}
		if got := get(t, s, "sha256/"+sumOf(text)+"/data.jsonl"); !bytes.Equal(got, text) {
			t.Error("the blob has other content")
		}
	})
}

// A file under way of a killed writer is no file of the store, and no other program's file is taken for whole.
func TestPartsAreNoFiles(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "a", ".model.bin.123"+partSuffix), []byte("half"))
	write(t, filepath.Join(root, "a", ".hidden"), []byte("x"))
	s := openFake(t, fileURI(root))
	if diff := cmp.Diff([]string{"a/.hidden"}, keys(t, s)); diff != "" {
		t.Error(diff)
	}
}

func TestCancel(t *testing.T) {
	places(t, func(t *testing.T, s *Store) {
		text := random(1, 6<<20)
		path := write(t, filepath.Join(t.TempDir(), "f"), text)
		put(t, s, "f", text)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := s.PutFile(ctx, "g", path, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("PutFile: %v", err)
		}
		if _, err := s.GetFile(ctx, "f", path+"2", sumOf(text), nil); !errors.Is(err, context.Canceled) {
			t.Errorf("GetFile: %v", err)
		}
		if err := s.Put(ctx, "g", bytes.NewReader(text), int64(len(text)), sumOf(text)); !errors.Is(err, context.Canceled) {
			t.Errorf("Put: %v", err)
		}
		if diff := cmp.Diff([]string{"f"}, keys(t, s)); diff != "" {
			t.Error(diff)
		}
	})
}
