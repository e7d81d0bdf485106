package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/whole"
)

// Encode gives the bytes of results.json: indented, in a fixed order of keys, with a final newline.
// Results that contradict themselves are an error.
func Encode(r *Results) ([]byte, error) {
	r = r.withLists()
	if err := r.Check(); err != nil {
		return nil, fmt.Errorf("encode results: %w", err)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return nil, fmt.Errorf("encode results: %w", err)
	}
	// What this package writes it must read: a claim with an ablation's margin, say, ends here.
	if _, err := Decode(out.Bytes()); err != nil {
		return nil, fmt.Errorf("encode results: %w", err)
	}
	return out.Bytes(), nil
}

// Decode reads the bytes of a results.json. Unknown and missing keys, wrong types, another schema version
// and numbers that contradict each other are errors that name the place.
func Decode(data []byte) (*Results, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, withLine(data, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("line %d: more follows the results", lineOf(data, dec.InputOffset()))
	}
	// The version first: another version's file differs in ways that would mislead.
	if object, ok := tree.(map[string]any); ok {
		if v, ok := object["schema"].(json.Number); ok && v.String() != fmt.Sprint(SchemaVersion) {
			return nil, fmt.Errorf("schema: version %s, this program reads version %d", v, SchemaVersion)
		}
	}
	root := resultsSchema()
	if err := root.violation(root, "", tree); err != nil {
		return nil, err
	}
	var r Results
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, withLine(data, err)
	}
	if err := r.Check(); err != nil {
		return nil, err
	}
	return &r, nil
}

// Read reads a results.json.
func Read(path string) (*Results, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, because.E("read results", path, err, "run the study first: because study")
	}
	if err != nil {
		return nil, because.E("read results", path, err, "")
	}
	r, err := Decode(data)
	if err != nil {
		return nil, because.E("read results", path, err, "the file was changed or is another version's; run the study again to write it anew")
	}
	return r, nil
}

// writeFile replaces path by data, or leaves it as it was: the bytes go to a temporary file beside it,
// which is renamed when it is complete and on disk.
func writeFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	fail := func(err error) error { return because.E("write report", path, err, writeHint(err, dir)) }
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fail(err)
	}
	if err := whole.WriteFile(path, data); err != nil {
		return fail(err)
	}
	return nil
}

func writeHint(err error, dir string) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "the disk is full: free some space or choose another folder with --dir"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return dir + " cannot be written: choose another folder with --dir"
	}
	return ""
}

func withLine(data []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("line %d: %w", lineOf(data, syntax.Offset), err)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("line %d: the file ends too early", lineOf(data, int64(len(data))))
	}
	return err
}

func lineOf(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(int64(len(data)), max(0, offset))], []byte("\n"))
}

// withLists gives a copy in which lists that hold nothing are empty rather than null.
func (r *Results) withLists() *Results {
	c := *r
	c.Seeds, c.Worlds, c.Arms = list(r.Seeds), list(r.Worlds), list(r.Arms)
	c.Claims, c.Ablations, c.Checks = list(r.Claims), list(r.Ablations), list(r.Checks)
	c.Data, c.Warnings, c.Reproduce = list(r.Data), list(r.Warnings), list(r.Reproduce)
	for i := range c.Worlds {
		if c.Worlds[i].Switches == nil {
			c.Worlds[i].Switches = map[string]string{}
		}
	}
	for i := range c.Arms {
		a := &c.Arms[i]
		a.Stages, a.Evals = list(a.Stages), list(a.Evals)
		for j := range a.Evals {
			a.Evals[j].BySeed = list(a.Evals[j].BySeed)
		}
	}
	for _, claims := range [][]Claim{c.Claims, c.Ablations} {
		for i := range claims {
			claims[i].PerSeed = list(claims[i].PerSeed)
		}
	}
	for i := range c.Data {
		c.Data[i].Filters = list(c.Data[i].Filters)
	}
	return &c
}

// list gives a copy of items that is never nil.
func list[T any](items []T) []T {
	return append(make([]T, 0, len(items)), items...)
}
