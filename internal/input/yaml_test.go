package input

import (
	"strings"
	"testing"

	"github.com/because-lab/because"
)

type file struct {
	Name  string         `yaml:"name"`
	Rows  []row          `yaml:"rows"`
	Extra map[string]row `yaml:"extra"`
}

type row struct {
	Label string `yaml:"label"`
	Count int    `yaml:"count"`
}

func TestYAML(t *testing.T) {
	var f file
	if err := YAML("read rows", "rows.yaml", []byte("name: x\nrows: [{label: a, count: 2}]\n"), &f); err != nil || f.Rows[0].Count != 2 {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestYAMLNamesThePlace(t *testing.T) {
	for _, c := range []struct{ name, text, want, hint string }{
		{"an unknown key", "name: x\nrows:\n  - {label: a, coutn: 2}\n", "read rows: rows.yaml:3: unknown key coutn", `did you mean "count"?`},
		{"an unknown key in a map", "extra: {x: {lable: a}}\n", "rows.yaml:1: unknown key lable", `did you mean "label"?`},
		{"an unknown key like no other", "zzzzzzz: 1\n", "rows.yaml:1: unknown key zzzzzzz", "known: extra, name, rows"},
		{"a repeated key", "name: x\nname: y\n", "rows.yaml:2: mapping key \"name\" already defined", ""},
		{"a wrong type", "name: x\nrows: [{count: many}]\n", "rows.yaml:2: cannot unmarshal", ""},
		{"broken syntax", "name: x\nrows: [\n", "rows.yaml:", ""},
		{"nothing", "", "rows.yaml: the file is empty", ""},
		{"two documents", "name: x\n---\nname: y\n", "rows.yaml: a second document follows", ""},
	} {
		err := YAML("read rows", "rows.yaml", []byte(c.text), new(file))
		if err == nil || !strings.Contains(err.Error(), c.want) || because.Hint(err) != c.hint {
			t.Errorf("%s: got %v (hint %q), want %q (hint %q)", c.name, err, because.Hint(err), c.want, c.hint)
		}
	}
}

func FuzzYAML(f *testing.F) {
	f.Add([]byte("name: x\nrows: [{label: a, count: 2}]\n"))
	f.Add([]byte("a: &x [*x]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := YAML("read", "f", text, new(file)); err != nil && !strings.HasPrefix(err.Error(), "read: f") {
			t.Errorf("an error without its place: %v", err)
		}
	})
}
