package storage

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// checkpoint writes a folder as a trainer leaves it.
func checkpoint(t *testing.T, seed uint64) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "checkpoint")
	write(t, filepath.Join(dir, "config.json"), []byte(`{"model_type": "llama"}`))
	write(t, filepath.Join(dir, "model-00001-of-00002.safetensors"), random(seed, 300<<10))
	write(t, filepath.Join(dir, "model-00002-of-00002.safetensors"), random(seed+1, 200<<10))
	write(t, filepath.Join(dir, "state", "rank 0", "optimizer.pt"), random(seed+2, 100))
	write(t, filepath.Join(dir, "empty"), nil)
	return dir
}

// tree reads a folder, hidden files included.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.Walk(dir, func(path string, st os.FileInfo, err error) error {
		if err != nil || st.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[filepath.ToSlash(rel)] = sumOf(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDir(t *testing.T) {
	ctx := context.Background()
	places(t, func(t *testing.T, s *Store) {
		dir := checkpoint(t, 1)
		var last, total float64
		progress := func(done, of float64, _, _ string) { last, total = done, of }
		put, err := s.PutDir(ctx, dir, progress)
		if err != nil {
			t.Fatal(err)
		}
		if want := float64(put.Size()); last != want || total != want || want != 500<<10+100+23 {
			t.Errorf("progress ends at %v of %v, want %v", last, total, want)
		}
		m, err := s.Manifest(ctx)
		if err != nil || !cmp.Equal(m, put) {
			t.Fatalf("the manifest is %+v, %v", m, err)
		}
		to := filepath.Join(t.TempDir(), "here", "checkpoint")
		for range 2 { // the second finds it there
			got, err := s.GetDir(ctx, to, progress)
			if err != nil || !cmp.Equal(got, put) {
				t.Fatalf("%+v, %v", got, err)
			}
			if diff := cmp.Diff(tree(t, dir), tree(t, to)); diff != "" {
				t.Error(diff)
			}
		}
		if entries, _ := os.ReadDir(filepath.Dir(to)); len(entries) != 1 {
			t.Errorf("beside it lie %v", entries)
		}
		write(t, filepath.Join(to, "empty"), []byte("not any more"))
		if _, err := s.GetDir(ctx, to, nil); err == nil || !strings.Contains(err.Error(), "other files") {
			t.Errorf("a folder with other files is overwritten: %v", err)
		}
	})
}

func TestHalfWritten(t *testing.T) {
	ctx := context.Background()
	places(t, func(t *testing.T, s *Store) {
		if _, err := s.GetDir(ctx, t.TempDir(), nil); !errors.Is(err, ErrNotFound) || errors.Is(err, ErrHalfWritten) {
			t.Errorf("nothing is there: %v", err)
		}
		put(t, s, "model.safetensors", random(1, 100))
		to := filepath.Join(t.TempDir(), "to")
		_, err := s.GetDir(ctx, to, nil)
		if !errors.Is(err, ErrHalfWritten) || !strings.Contains(err.Error(), s.URI("")) || !strings.Contains(err.Error(), "half-written") {
			t.Errorf("without a manifest: %v", err)
		}
		if _, err := os.Stat(to); !os.IsNotExist(err) {
			t.Errorf("a folder was made: %v", err)
		}
	})
}

// Whatever is wrong with a file of the folder, it is found, and the folder does not appear.
func TestDamagedDir(t *testing.T) {
	ctx := context.Background()
	places(t, func(t *testing.T, s *Store) {
		dir := checkpoint(t, 1)
		name := "model-00001-of-00002.safetensors"
		for what, text := range map[string][]byte{"shorter": random(1, 299<<10), "other": random(9, 300<<10), "longer": random(1, 301<<10)} {
			if _, err := s.PutDir(ctx, dir, nil); err != nil {
				t.Fatal(err)
			}
			put(t, s, name, text)
			to := filepath.Join(t.TempDir(), "to")
			_, err := s.GetDir(ctx, to, nil)
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), s.URI(name)) {
				t.Errorf("%s: %v", what, err)
			}
			if _, err := os.Stat(to); !os.IsNotExist(err) {
				t.Errorf("%s: the folder appeared: %v", what, err)
			}
			// Stored once more, it is whole again, and fetching goes on from what has arrived.
			if _, err := s.PutDir(ctx, dir, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := s.GetDir(ctx, to, nil); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if diff := cmp.Diff(tree(t, dir), tree(t, to)); diff != "" {
				t.Error(diff)
			}
		}
		if err := s.backend.remove(ctx, join(s.prefix, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.GetDir(ctx, filepath.Join(t.TempDir(), "to"), nil); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "lists it") {
			t.Errorf("a missing file: %v", err)
		}
	})
}

// While another folder is written over an old one there is no moment at which a manifest names files that are not there.
func TestPutDirRetiresManifest(t *testing.T) {
	ctx := context.Background()
	f := newFake(t)
	s := openFake(t, "s3://"+fakeBucket+"/run")
	if _, err := s.PutDir(ctx, checkpoint(t, 1), nil); err != nil {
		t.Fatal(err)
	}
	other := checkpoint(t, 50)
	f.setFault(denyPut("config.json", "rank 0"))
	write(t, filepath.Join(other, "config.json"), []byte(`{}`))
	if _, err := s.PutDir(ctx, other, nil); !errors.Is(err, ErrForbidden) {
		t.Fatal(err)
	}
	if _, err := s.Manifest(ctx); !errors.Is(err, ErrHalfWritten) {
		t.Errorf("after a cut write: %v", err)
	}
	f.setFault(nil)
	if _, err := s.PutDir(ctx, other, nil); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "to")
	if _, err := s.GetDir(ctx, to, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tree(t, other), tree(t, to)); diff != "" {
		t.Error(diff)
	}
}

// What is there is not sent again, and the manifest is the last that is sent.
func TestPutDirSendsOnce(t *testing.T) {
	ctx := context.Background()
	f := newFake(t)
	s := openFake(t, "s3://"+fakeBucket+"/run")
	dir := checkpoint(t, 1)
	m, err := s.PutDir(ctx, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := f.requests("PUT ")
	if last := f.log[len(f.log)-1]; first != len(m.Files)+1 || !strings.HasPrefix(last, "PUT ") || !strings.Contains(last, ManifestName) {
		t.Errorf("%d files are sent in %d requests, the last is %s", len(m.Files), first, last)
	}
	if _, err := s.PutDir(ctx, dir, nil); err != nil {
		t.Fatal(err)
	}
	if again := f.requests("PUT ") - first; again != 0 {
		t.Errorf("%d requests send again what is there", again)
	}
	write(t, filepath.Join(dir, "empty"), []byte("not any more"))
	if _, err := s.PutDir(ctx, dir, nil); err != nil {
		t.Fatal(err)
	}
	if again := f.requests("PUT ") - first; again != 2 {
		t.Errorf("%d requests for one changed file and the manifest", again)
	}
}

func TestPutDirRefuses(t *testing.T) {
	s := openFake(t, fileURI(t.TempDir()))
	empty := t.TempDir()
	if _, err := s.PutDir(context.Background(), empty, nil); err == nil {
		t.Error("an empty folder is stored")
	}
	if _, err := s.PutDir(context.Background(), filepath.Join(empty, "none"), nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("a missing folder: %v", err)
	}
	loop := t.TempDir()
	write(t, filepath.Join(loop, "f"), []byte("x"))
	if err := os.Symlink(loop, filepath.Join(loop, "link")); err == nil {
		if _, err := s.PutDir(context.Background(), loop, nil); err == nil {
			t.Error("a link to a folder is stored")
		}
	}
}

func TestManifestRules(t *testing.T) {
	sum := strings.Repeat("0a", 32)
	line := func(path string, rest string) string {
		p, _ := json.Marshal(path)
		return `{"path": ` + string(p) + `, ` + rest + `}`
	}
	good := `"size": 1, "sha256": "` + sum + `"`
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"one":              {`{"files": [` + line("a", good) + `]}`, true},
		"unknown keys":     {`{"made_by": "x", "files": [` + line("a/b.c", good+`, "mtime": 3`) + `]}`, true},
		"none":             {`{"files": []}`, false},
		"empty":            {``, false},
		"no object":        {`[]`, false},
		"trailing":         {`{"files": [` + line("a", good) + `]} {}`, false},
		"parent":           {`{"files": [` + line("../a", good) + `]}`, false},
		"inner parent":     {`{"files": [` + line("a/../../b", good) + `]}`, false},
		"absolute":         {`{"files": [` + line("/a", good) + `]}`, false},
		"dot":              {`{"files": [` + line("./a", good) + `]}`, false},
		"empty part":       {`{"files": [` + line("a//b", good) + `]}`, false},
		"slash at the end": {`{"files": [` + line("a/", good) + `]}`, false},
		"backslash":        {`{"files": [` + line(`a\b`, good) + `]}`, false},
		"drive":            {`{"files": [` + line(`C:a`, good) + `]}`, false},
		"itself":           {`{"files": [` + line(ManifestName, good) + `]}`, false},
		"twice":            {`{"files": [` + line("a", good) + `,` + line("a", good) + `]}`, false},
		"unsorted":         {`{"files": [` + line("b", good) + `,` + line("a", good) + `]}`, false},
		"file and folder":  {`{"files": [` + line("a", good) + `,` + line("a-b", good) + `,` + line("a/b", good) + `]}`, false},
		"negative":         {`{"files": [` + line("a", `"size": -1, "sha256": "`+sum+`"`) + `]}`, false},
		"fraction":         {`{"files": [` + line("a", `"size": 1.5, "sha256": "`+sum+`"`) + `]}`, false},
		"upper case":       {`{"files": [` + line("a", `"size": 1, "sha256": "`+strings.ToUpper(sum)+`"`) + `]}`, false},
		"short sum":        {`{"files": [` + line("a", `"size": 1, "sha256": "00"`) + `]}`, false},
	} {
		if _, err := ParseManifest([]byte(c.text)); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		} else if err != nil && !strings.Contains(err.Error(), ManifestName) {
			t.Errorf("%s: the error does not name the file: %v", name, err)
		}
	}
}

// Any manifest comes back as it was written, whatever the order of its files.
func TestManifestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-zé<&"]{1,5}x(/[a-z]{1,3}y){0,2}z`), 1, 8, rapid.ID[string]).Draw(t, "names")
		var m Manifest
		for _, n := range names {
			m.Files = append(m.Files, ManifestFile{n, rapid.Int64Range(0, 1<<40).Draw(t, "size"), sumOf([]byte(n))})
		}
		text, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseManifest(text)
		if err != nil {
			t.Fatal(err)
		}
		again, err := back.Encode()
		if err != nil || string(again) != string(text) || len(back.Files) != len(names) || back.Size() != m.Size() {
			t.Fatalf("%s\nbecomes\n%s (%v)", text, again, err)
		}
	})
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"files": [{"path": "a/b", "size": 1, "sha256": "` + strings.Repeat("0a", 32) + `"}]}`))
	f.Add([]byte(`{"files": [{"path": "..", "size": 1}]}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseManifest(text)
		if err != nil {
			return
		}
		for _, file := range m.Files {
			if !filepath.IsLocal(filepath.FromSlash(file.Path)) {
				t.Errorf("accepted the path %q", file.Path)
			}
		}
		out, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseManifest(out); err != nil || !cmp.Equal(back, m) {
			t.Errorf("comes back as %+v, %v", back, err)
		}
	})
}
