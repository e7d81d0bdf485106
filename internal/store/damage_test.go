package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// flip inverts one bit in the middle of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	overwrite(t, path, text)
}

// overwrite changes a read-only file in place, as a bad disk would: every link to it changes.
func overwrite(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := errors.Join(os.Chmod(path, 0o644), os.WriteFile(path, text, 0), os.Chmod(path, 0o444)); err != nil {
		t.Fatal(err)
	}
}

func TestDamageIsFoundReportedAndRepaired(t *testing.T) {
	files := map[string]string{"config.json": `{"layers":4}`, "sub/weights": strings.Repeat("w", smallFile+1)}
	in := func(s *Store, id, name string) string { return filepath.Join(s.Path(id), filepath.FromSlash(name)) }
	cut := func(t *testing.T, path string) { overwrite(t, path, []byte("x")) }
	remove := func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name   string
		path   func(s *Store, key, id string) string
		damage func(t *testing.T, path string)
		full   bool // only a full check finds it
		result bool // the result is hit, the artifact is whole
	}{
		{name: "small file altered", path: func(s *Store, _, id string) string { return in(s, id, "config.json") }, damage: flip},
		{name: "large file altered", path: func(s *Store, _, id string) string { return in(s, id, "sub/weights") }, damage: flip, full: true},
		{name: "large file cut", path: func(s *Store, _, id string) string { return in(s, id, "sub/weights") }, damage: cut},
		{name: "file missing", path: func(s *Store, _, id string) string { return in(s, id, "sub/weights") }, damage: remove},
		{name: "file added", path: func(s *Store, _, id string) string { return in(s, id, "extra") }, damage: func(t *testing.T, path string) {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "folder in place of a file", path: func(s *Store, _, id string) string { return in(s, id, "config.json") }, damage: func(t *testing.T, path string) {
			remove(t, path)
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "manifest altered", path: func(s *Store, _, id string) string { return s.manifestPath(id) }, damage: flip},
		{name: "manifest missing", path: func(s *Store, _, id string) string { return s.manifestPath(id) }, damage: remove},
		{name: "result altered", path: func(s *Store, key, _ string) string { return s.resultPath(key) }, damage: flip, result: true},
		{name: "result cut", path: func(s *Store, key, _ string) string { return s.resultPath(key) }, damage: cut, result: true},
		{name: "result empty", path: func(s *Store, key, _ string) string { return s.resultPath(key) }, damage: func(t *testing.T, path string) { overwrite(t, path, nil) }, result: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var warnings []error
			s := openStore(t, t.TempDir(), func(err error) { warnings = append(warnings, err) })
			key, id := record(t, s, "inputs", files, nil)
			path := tt.path(s, key, id)
			tt.damage(t, path)

			if _, ok, err := s.Lookup(t.Context(), key, false); ok != tt.full || err != nil {
				t.Errorf("quick lookup gave %v, %v", ok, err)
			}
			if _, ok, err := s.Lookup(t.Context(), key, true); ok || err != nil {
				t.Errorf("full lookup gave %v, %v", ok, err)
			}
			var damaged *DamageError
			if len(warnings) == 0 || !errors.As(warnings[0], &damaged) || damaged.Path != path {
				t.Errorf("warnings %v, want one that names %s", warnings, path)
			}
			if _, err := s.Open(t.Context(), id); !tt.result && !errors.As(err, &damaged) {
				t.Errorf("opened a damaged artifact, error %v", err)
			}

			again, id2 := record(t, s, "inputs", files, nil)
			if again != key || id2 != id {
				t.Fatalf("rebuilt as %s %s, was %s %s", again, id2, key, id)
			}
			if _, ok, err := s.Lookup(t.Context(), key, true); !ok || err != nil {
				t.Errorf("after the repair: %v, %v", ok, err)
			}
			if _, err := s.Open(t.Context(), id); err != nil {
				t.Errorf("after the repair: %v", err)
			}
			wantEmptyTmp(t, s)
		})
	}
}

// A file that two artifacts share is damaged in both; rebuilding one must not reuse the damaged bytes.
func TestSharedDamageIsNotReused(t *testing.T) {
	var warnings []error
	s := openStore(t, t.TempDir(), func(err error) { warnings = append(warnings, err) })
	one := map[string]string{"shared": "tokenizer", "own": "1"}
	two := map[string]string{"shared": "tokenizer", "own": "2"}
	a, b := put(t, s, one), put(t, s, two)
	flip(t, filepath.Join(s.Path(a), "shared"))
	if _, err := s.Open(t.Context(), b); !isDamage(err) {
		t.Fatalf("the twin opened, error %v", err)
	}
	c := put(t, s, map[string]string{"shared": "tokenizer", "own": "3"})
	for _, id := range []string{put(t, s, one), put(t, s, two), c} {
		dir, err := s.Open(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(filepath.Join(dir, "shared")); err != nil || !bytes.Equal(text, []byte("tokenizer")) {
			t.Errorf("shared file holds %q, %v", text, err)
		}
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0].Error(), "objects") {
		t.Errorf("warnings %v, want one about the object", warnings)
	}
}

func TestVerifyVariableChecksEveryByte(t *testing.T) {
	t.Setenv(VerifyEnv, "1")
	warned := 0
	s := openStore(t, t.TempDir(), func(error) { warned++ })
	key, id := record(t, s, 1, map[string]string{"big": strings.Repeat("b", smallFile+1)}, nil)
	flip(t, filepath.Join(s.Path(id), "big"))
	if _, ok, err := s.Lookup(t.Context(), key, false); ok || err != nil || warned != 1 {
		t.Errorf("lookup gave %v, %v and %d warnings", ok, err, warned)
	}
}
