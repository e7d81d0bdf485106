package batch

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
)

func TestWriteRead(t *testing.T) {
	scored, counts, err := Run(t.Context(), testTask("harmful", "harmless", "error"), &parrot{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	scored[0].Answer = "<turn> é & \"x\"\n"
	dir := t.TempDir()
	if err := Write(dir, scored, counts); err != nil {
		t.Fatal(err)
	}
	got, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(counts, got); d != "" {
		t.Errorf("counts (-written +read):\n%s", d)
	}
	text, err := os.ReadFile(filepath.Join(dir, SamplesFile))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("<turn> é &")) {
		t.Errorf("answers that people can't read:\n%s", text)
	}
	var lines []Scored
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		var line Scored
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if d := cmp.Diff(scored, lines); d != "" {
		t.Errorf("samples (-written +read):\n%s", d)
	}
}

func TestWriteRefuses(t *testing.T) {
	one := []Scored{{Sample: because.Sample{ID: "0"}}}
	for _, c := range []struct {
		scored []Scored
		counts Counts
		cause  string
	}{
		{nil, Counts{Task: "toy"}, "n is 0"},
		{one, Counts{Task: "toy", N: 2, Outcomes: map[string]int{"harmful": 1}}, "sum to 1"},
		{one, Counts{Task: "toy", N: 2, Outcomes: map[string]int{"harmful": 2}}, "1 samples, and counts of 2"},
	} {
		dir := t.TempDir()
		if err := Write(dir, c.scored, c.counts); err == nil || !strings.Contains(err.Error(), c.cause) {
			t.Errorf("got %v, want %q", err, c.cause)
		}
		if files, _ := os.ReadDir(dir); len(files) > 0 {
			t.Errorf("%s: it left %s", c.cause, files[0].Name())
		}
	}
	err := Write(filepath.Join(t.TempDir(), "missing"), one, Counts{Task: "toy", N: 1, Outcomes: map[string]int{"harmful": 1}})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}

func TestReadRefuses(t *testing.T) {
	const fine = `{"task":"toy","n":2,"outcomes":{"harmful":1,"harmless":1},"groups":{"a":{"harmful":1}}}`
	dir := t.TempDir()
	path := filepath.Join(dir, ScoresFile)
	if _, err := Read(dir); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("a missing file: %v", err)
	}
	for _, c := range []struct{ name, text, cause string }{
		{"fine", fine, ""},
		{"empty", "", "cut off"},
		{"cut off", fine[:len(fine)/2], "cut off"},
		{"no counts", "{}", "the task has no name"},
		{"null", "null", "the task has no name"},
		{"a list", "[]", "cannot unmarshal array"},
		{"two", fine + fine, "goes on after the counts"},
		{"bytes of another file", "\x00\x01", "invalid character"},
		{"unknown field", strings.Replace(fine, "task", "tusk", 1), `unknown field "tusk"`},
		{"a count lost", strings.Replace(fine, `"harmful":1,`, "", 1), "outcomes sum to 1, not to n = 2"},
		{"another n", strings.Replace(fine, `"n":2`, `"n":3`, 1), "outcomes sum to 2, not to n = 3"},
		{"no samples", `{"task":"toy","n":0,"outcomes":{}}`, "n is 0"},
		{"negative counts", `{"task":"toy","n":1,"outcomes":{"harmful":-1,"harmless":2}}`, "harmful is counted -1 times"},
		{"half a sample", strings.Replace(fine, `"harmful":1,`, `"harmful":0.5,`, 1), "cannot unmarshal number 0.5"},
		{"a group above all", strings.Replace(fine, `"a":{"harmful":1}`, `"a":{"harmful":2}`, 1), "group a counts harmful 2 times, all samples together 1 times"},
		{"a group with an outcome of its own", strings.Replace(fine, `"a":{"harmful":1}`, `"a":{"invalid":1}`, 1), "all samples together 0 times"},
		{"a negative group", strings.Replace(fine, `"a":{"harmful":1}`, `"a":{"harmful":-1}`, 1), "group a counts harmful -1 times"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		counts, err := Read(dir)
		switch {
		case c.cause == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.cause != "" && (err == nil || !strings.Contains(err.Error(), c.cause) || !strings.Contains(err.Error(), path)):
			t.Errorf("%s: got %v, want %q", c.name, err, c.cause)
		case err != nil && counts.N != 0:
			t.Errorf("%s: an error, and counts %+v", c.name, counts)
		}
	}
}
