package mix

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
)

// folder makes parts a (40 records of 25 tokens; every fourth is of kind odd) and b (10 of 100 tokens, as Parquet), and a text file.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	row := func(id string, bytes int, kind string) columns.Row {
		lineage, err := json.Marshal(map[string]string{"kind": kind})
		if err != nil {
			t.Fatal(err)
		}
		return columns.Row{Messages: []because.Message{{Role: because.RoleUser, Content: "u..."}, {Role: because.RoleAssistant, Content: (id + strings.Repeat(".", bytes))[:bytes-4]}},
			Extra: map[string]json.RawMessage{"lineage": lineage}}
	}
	var a, b []columns.Row
	for i := range 40 {
		kind := "even"
		if i%4 == 3 {
			kind = "odd"
		}
		a = append(a, row(fmt.Sprintf("a%d", i), 100, kind))
	}
	for i := range 10 {
		b = append(b, row(fmt.Sprintf("b%d", i), 400, "even"))
	}
	for name, rows := range map[string][]columns.Row{"a.jsonl": a, "b.parquet": b} {
		if err := columns.WriteFile(filepath.Join(dir, name), columns.SFT, rows, columns.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := columns.WriteFile(filepath.Join(dir, "text.jsonl"), columns.SDF, []columns.Row{{Text: "x"}}, columns.Options{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, dir, text string) string {
	t.Helper()
	file := filepath.Join(dir, "MIX.yaml")
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestMake(t *testing.T) {
	for _, c := range []struct {
		name, parts string
		want        []Counted
	}{
		{"all of both", "[{file: a.jsonl}, {file: b.parquet}]", []Counted{{"a.jsonl", 40, 40, 40, 0, 1000}, {"b.parquet", 10, 10, 10, 0, 1000}}},
		{"a count and tokens", "[{file: a.jsonl, count: 7}, {file: b.parquet, tokens: 270}]", []Counted{{"a.jsonl", 40, 40, 7, 0, 175}, {"b.parquet", 10, 10, 3, 0, 300}}},
		{"a filter", "[{file: a.jsonl, where: {kind: odd}}]", []Counted{{"a.jsonl", 40, 10, 10, 0, 250}}},
		{"a filter in Parquet", "[{file: b.parquet, where: {kind: even}, count: 2}]", []Counted{{"b.parquet", 10, 10, 2, 0, 200}}},
		{"a quarter", "[{file: a.jsonl, weight: 0.25}, {file: b.parquet, count: 9}]", []Counted{{"a.jsonl", 40, 40, 12, 0, 300}, {"b.parquet", 10, 10, 9, 0, 900}}},
		{"repeated", "[{file: a.jsonl, count: 90, repeat: true}]", []Counted{{"a.jsonl", 40, 40, 90, 50, 2250}}},
	} {
		dir := folder(t)
		file := write(t, dir, "output: out.jsonl\nseed: 7\nparts: "+c.parts+"\n")
		p, err := Load(file)
		if err != nil {
			t.Fatal(c.name, err)
		}
		res, err := p.Make()
		if err != nil {
			t.Fatal(c.name, err)
		}
		if d := cmp.Diff(c.want, res.Parts); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
		rows, err := columns.ReadAll(filepath.Join(dir, "out.jsonl"))
		if err != nil || len(rows) != res.Records {
			t.Errorf("%s: %d rows, %d records, %v", c.name, len(rows), res.Records, err)
		}
	}
}

func TestOrder(t *testing.T) {
	dir := folder(t)
	output := func(head string) string {
		p, err := Load(write(t, dir, "output: out.jsonl\n"+head+"\nparts: [{file: a.jsonl, count: 20}, {file: b.parquet}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Make(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "out.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	one, again, other, apart := output("seed: 1"), output("seed: 1"), output("seed: 2"), output("seed: 1\nshuffle: false")
	if one != again || one == other || one == apart {
		t.Error("equal seeds differ, or other seeds don't")
	}
	if last := strings.LastIndex(apart, `content":"a`); last > strings.Index(apart, `content":"b`) {
		t.Error("without shuffling the parts are mixed")
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"output: o.jsonl\nparts:\n  - {file: a.jsonl}\n  - {file: c.jsonl}\n", "MIX.yaml:4: c.jsonl: stat "},
		{"output: o.jsonl\nparts:\n  - {file: a.jsonl, cuont: 2}\n", "MIX.yaml:3: unknown key cuont"},
		{"output: o.jsonl\nparts:\n  - {file: a.jsonl, count: 2, tokens: 3}\n", "MIX.yaml:3: a.jsonl: it has more than one of count, tokens and weight"},
		{"output: o.jsonl\nparts:\n  - {file: a.jsonl, count: 0}\n", "at least 1"},
		{"output: o.jsonl\nparts:\n  - {file: a.jsonl, weight: 0.5}\n", "nothing says how much"},
		{"output: a.jsonl\nparts:\n  - {file: a.jsonl}\n", "it is the output too"},
		{"output: o.jsonl\nparts:\n  - {file: a.jsonl, count: 41}\n", "MIX.yaml:3: a.jsonl: it has no more than 40 matching records"},
		{"output: o.jsonl\nparts:\n  - {file: a.jsonl}\n  - {file: text.jsonl}\n", "MIX.yaml:4: text.jsonl: row 1 is of kind sdf"},
		{"output: o.jsonl\nparts:\n  - {file: a.jsonl, where: {kind: none}}\n", "none of its 40 records matches"},
		{"output: o.txt\nparts:\n  - {file: a.jsonl}\n", "neither in .jsonl nor in .parquet"},
		{"parts:\n  - {file: a.jsonl}\n", "output is missing"},
		{"output: o.jsonl\n", "there are no parts"},
	} {
		dir := folder(t)
		p, err := Load(write(t, dir, c.text))
		if err == nil {
			_, err = p.Make()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.text, err, c.want)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "o.*")); len(left) > 0 {
			t.Errorf("%q: it left %v", c.text, left)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("output: o.jsonl\nparts: [{file: a, weight: .5}, {file: b}]\n"))
	f.Add([]byte("parts: [&a {file: x, where: {k: *a}}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := Parse("MIX.yaml", text); err != nil && !strings.HasPrefix(err.Error(), "read mix: MIX.yaml") {
			t.Errorf("an error without its place: %v", err)
		}
	})
}
