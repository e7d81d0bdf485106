package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// newStore gives a locked store in a fresh folder; warnings fail the test.
func newStore(t *testing.T) *Store {
	t.Helper()
	return openStore(t, filepath.Join(t.TempDir(), "store"), func(err error) { t.Errorf("unexpected warning: %v", err) })
}

// openStore gives the locked store under root.
func openStore(t *testing.T, root string, warn func(error)) *Store {
	t.Helper()
	s, err := Open(root, Options{Warn: warn})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.TryLock(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Unlock(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// put stores files given as path -> content.
func put(t *testing.T, s *Store, files map[string]string) string {
	t.Helper()
	id, err := s.Put(t.Context(), writeTree(files))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// writeTree gives a fill function that writes files.
func writeTree(files map[string]string) func(string) error {
	return func(dir string) error {
		for name, text := range files {
			path := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				return err
			}
		}
		return nil
	}
}

// readTree reads a folder as path -> content.
func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// wantEmptyTmp fails where anything unfinished is left.
func wantEmptyTmp(t *testing.T, s *Store) {
	t.Helper()
	left, err := os.ReadDir(s.tmpDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("left in tmp: %s", entry.Name())
	}
}

func TestPutGivesBackWhatWasWritten(t *testing.T) {
	s := newStore(t)
	files := map[string]string{"config.json": "{}", "deep/er/weights": strings.Repeat("w", 3<<20), "empty": ""}
	id := put(t, s, files)
	dir, err := s.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(files, readTree(t, dir)); diff != "" {
		t.Error(diff)
	}
	for name := range files {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o444 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	wantEmptyTmp(t, s)
}

func TestEqualContentIsOneArtifact(t *testing.T) {
	s := newStore(t)
	a := put(t, s, map[string]string{"a/x": "1", "b": "2"})
	b, err := s.Put(t.Context(), func(dir string) error {
		return errors.Join(os.MkdirAll(filepath.Join(dir, "only/empty/folders"), 0o700), writeTree(map[string]string{"b": "2", "a/x": "1"})(dir))
	})
	if err != nil {
		t.Fatal(err)
	}
	if a != b {
		t.Errorf("equal files have IDs %s and %s", a, b)
	}
	for _, other := range []map[string]string{{"a/x": "1"}, {"a/x": "1", "c": "2"}, {"a/x": "2", "b": "1"}, {"ax": "1", "b": "2"}, {}} {
		if id := put(t, s, other); id == a {
			t.Errorf("%v has the same ID", other)
		}
	}
}

func TestEqualFilesShareBytes(t *testing.T) {
	s := newStore(t)
	a := put(t, s, map[string]string{"tokenizer.json": "same", "weights": "1"})
	b := put(t, s, map[string]string{"tok/copy.json": "same", "weights": "2"})
	one, err := os.Stat(filepath.Join(s.Path(a), "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.Stat(filepath.Join(s.Path(b), "tok/copy.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(one, two) {
		t.Error("equal files are stored twice")
	}
	u, err := s.Size()
	if err != nil {
		t.Fatal(err)
	}
	if want := (Usage{Artifacts: 2, Bytes: 6}); u != want {
		t.Errorf("usage %+v, want %+v", u, want)
	}
}

func TestPutStoresNothingWhereItFails(t *testing.T) {
	s := newStore(t)
	before := readTree(t, filepath.Join(s.Root(), "artifacts"))
	boom := errors.New("boom")
	tests := []struct {
		name string
		fill func(cancel func(), dir string) error
		want string
	}{
		{"fill fails", func(_ func(), dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "x"), nil, 0o600), boom)
		}, "boom"},
		{"cancelled although fill returns nil", func(cancel func(), dir string) error {
			cancel()
			return os.WriteFile(filepath.Join(dir, "half"), nil, 0o600)
		}, "canceled"},
		{"symbolic link", func(_ func(), dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "p")) }, "symbolic link"},
		{"invalid name", func(_ func(), dir string) error { return os.WriteFile(filepath.Join(dir, "\xff"), nil, 0o600) }, "UTF-8"},
		{"read-only folder left", func(_ func(), dir string) error {
			sub := filepath.Join(dir, "sub")
			return errors.Join(os.Mkdir(sub, 0o755), os.WriteFile(filepath.Join(sub, "x"), nil, 0o400), os.Chmod(sub, 0o555), boom)
		}, "boom"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			id, err := s.Put(ctx, func(dir string) error { return tt.fill(cancel, dir) })
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %q, error %v, want one with %q", id, err, tt.want)
			}
			if diff := cmp.Diff(before, readTree(t, filepath.Join(s.Root(), "artifacts"))); diff != "" {
				t.Error(diff)
			}
			wantEmptyTmp(t, s)
		})
	}
}

func TestConcurrentPuts(t *testing.T) {
	s := newStore(t)
	var wg sync.WaitGroup
	ids := make([]string, 24)
	for i := range ids {
		wg.Go(func() {
			id, err := s.Put(t.Context(), writeTree(map[string]string{"shared": "same", "own": fmt.Sprint(i % 4)}))
			if err != nil {
				t.Error(err)
			}
			ids[i] = id
		})
	}
	wg.Wait()
	for i, id := range ids {
		if id != ids[i%4] {
			t.Errorf("put %d gave %s, its twin %s", i, id, ids[i%4])
		}
		if _, err := s.Open(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	wantEmptyTmp(t, s)
}

// record stores files as the result of a computation with the given inputs.
func record(t *testing.T, s *Store, inputs any, files map[string]string, by map[string]string) (key, id string) {
	t.Helper()
	key, payload, err := s.Key(inputs)
	if err != nil {
		t.Fatal(err)
	}
	id = put(t, s, files)
	if err := s.Record(key, payload, id, by); err != nil {
		t.Fatal(err)
	}
	return key, id
}

func TestResultKeepsWhatWasHashed(t *testing.T) {
	s := newStore(t)
	by := map[string]string{"step": "arm/train", "host": "h"}
	key, id := record(t, s, map[string]any{"lr": 0.5, "kind": "train"}, map[string]string{"m": "x"}, by)
	got, ok, err := s.Lookup(t.Context(), key, true)
	if err != nil || !ok || got != id {
		t.Fatalf("lookup gave %q, %v, %v", got, ok, err)
	}
	r, err := s.Result(key)
	if err != nil {
		t.Fatal(err)
	}
	if string(r.Payload) != `{"kind":"train","lr":0.5}` || r.Artifact != id || len(r.Output.Files) != 1 {
		t.Errorf("result %+v", r)
	}
	if diff := cmp.Diff(by, r.By); diff != "" {
		t.Error(diff)
	}
	other, _, err := s.Key("something else")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.Lookup(t.Context(), other, false); ok || err != nil {
		t.Errorf("lookup of an unknown key gave %v, %v", ok, err)
	}
	if err := s.Record(other, r.Payload, id, nil); err == nil {
		t.Error("recorded a payload under a key that is not its hash")
	}
}

func TestRecordReportsWhatIsNotReproducible(t *testing.T) {
	var warnings []error
	s := openStore(t, t.TempDir(), func(err error) { warnings = append(warnings, err) })
	by := map[string]string{"step": "dice"}
	record(t, s, 1, map[string]string{"roll": "3"}, by)
	record(t, s, 1, map[string]string{"roll": "3"}, by)
	if len(warnings) > 0 {
		t.Fatalf("equal results warned: %v", warnings)
	}
	record(t, s, 1, map[string]string{"roll": "4"}, by)
	if len(warnings) != 1 || !strings.Contains(warnings[0].Error(), "dice") {
		t.Errorf("warnings %v", warnings)
	}
}

func TestResolve(t *testing.T) {
	s := newStore(t)
	key, id := record(t, s, 1, map[string]string{"a/b": "x"}, map[string]string{"step": "arm/one"})
	key2, _ := record(t, s, 2, map[string]string{"a/b": "x"}, map[string]string{"step": "arm/two"})
	record(t, s, 3, map[string]string{"a/b": "y"}, map[string]string{"step": "arm/three"})
	link := filepath.Join(t.TempDir(), "checkpoint")
	if err := os.Symlink(s.Path(id), link); err != nil {
		t.Fatal(err)
	}
	both := []string{min(key, key2), max(key, key2)}
	for ref, want := range map[string][]string{
		key: {key}, key[:8]: {key}, id: both, id[:10]: both, "arm/two": {key2},
		s.Path(id): both, filepath.Join(s.Path(id), "a", "b"): both, link: both,
	} {
		found, err := s.Resolve(ref)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		var keys []string
		for _, r := range found {
			keys = append(keys, r.Key)
		}
		if diff := cmp.Diff(want, keys); diff != "" {
			t.Errorf("%s: %s", ref, diff)
		}
	}
	for _, ref := range []string{"", "ab", "0000000000", "no/such/step", t.TempDir()} {
		if found, err := s.Resolve(ref); err == nil {
			t.Errorf("%q resolved to %v", ref, found)
		}
	}
}

func TestGCKeepsWhatItIsTold(t *testing.T) {
	s := newStore(t)
	key, id := record(t, s, 1, map[string]string{"shared": "s", "mine": "m"}, nil)
	gone, goneID := record(t, s, 2, map[string]string{"shared": "s", "other": "o"}, nil)
	if err := s.GC([]string{id}); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := s.Lookup(t.Context(), key, true); got != id || !ok || err != nil {
		t.Errorf("kept artifact: %q %v %v", got, ok, err)
	}
	if _, ok, err := s.Lookup(t.Context(), gone, true); ok || err != nil {
		t.Errorf("dropped artifact: %v %v", ok, err)
	}
	if _, err := os.Stat(s.artifactPath(goneID)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("dropped artifact is still there: %v", err)
	}
	if got := len(readTree(t, filepath.Join(s.Root(), "objects"))); got != 2 {
		t.Errorf("%d objects left, want 2", got)
	}
}

func TestIndex(t *testing.T) {
	var warnings int
	s := openStore(t, t.TempDir(), func(error) { warnings++ })
	if got, err := s.Index("a study/with: odd name"); err != nil || len(got) != 0 {
		t.Fatalf("fresh index %v, %v", got, err)
	}
	want := map[string]string{"arm/train": "k1", "arm/eval": "k2"}
	if err := s.SetIndex("a study/with: odd name", want); err != nil {
		t.Fatal(err)
	}
	got, err := s.Index("a study/with: odd name")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(s.indexPath("a study/with: odd name"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Index("a study/with: odd name"); err != nil || len(got) != 0 || warnings != 1 {
		t.Errorf("damaged index gave %v, %v and %d warnings", got, err, warnings)
	}
}

func TestReadingNeedsNoStore(t *testing.T) {
	root := filepath.Join(t.TempDir(), "none")
	s, err := Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := s.Key(1)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.Lookup(t.Context(), key, false); ok || err != nil {
		t.Errorf("lookup: %v %v", ok, err)
	}
	if u, err := s.Size(); err != nil || u != (Usage{}) {
		t.Errorf("size: %v %v", u, err)
	}
	if _, err := s.Put(t.Context(), func(string) error { return nil }); err == nil || !strings.Contains(err.Error(), "not locked") {
		t.Errorf("put without lock: %v", err)
	}
	if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading created the store: %v", err)
	}
}
