package arch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// TestTree checks this module.
func TestTree(t *testing.T) {
	for _, err := range CheckTree(root) {
		t.Error(err)
	}
}

// TestRequirements checks this module's go.mod.
func TestRequirements(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "module "+Module+"\n") {
		t.Errorf("go.mod does not declare module %s", Module)
	}
	if err := checkRequirements(string(text)); err != nil {
		t.Error(err)
	}
}

// TestDependenciesAreUsed keeps the list short: a module that go.mod no longer has must go from it.
func TestDependenciesAreUsed(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range Dependencies {
		if !strings.Contains(string(text), d.Module+" v") {
			t.Errorf("%s is allowed but not in go.mod: remove it from Dependencies", d.Module)
		}
	}
}

func TestCheckRequirements(t *testing.T) {
	good := "module m\n\ngo 1.26.0\n\nrequire github.com/spf13/cobra v1.10.2\n\nrequire (\n\texample.com/x v1.0.0 // indirect\n)\n"
	if err := checkRequirements(good); err != nil {
		t.Errorf("an allowed go.mod: %v", err)
	}
	for _, bad := range []string{"require example.com/x v1.0.0\n", "require (\n\texample.com/x v1.0.0\n)\n"} {
		if err := checkRequirements(bad); err == nil || !strings.Contains(err.Error(), "example.com/x") {
			t.Errorf("%q: got %v, want an error that names the module", bad, err)
		}
	}
}

// TestRules breaks each rule in a small tree and looks for the advice.
func TestRules(t *testing.T) {
	tests := []struct {
		name, file, imports string
		want                string // part of the error; "" for none
	}{
		{"down", "study/a.go", Module + "/internal/graph", ""},
		{"root", "engine/kernel/a.go", Module, ""},
		{"standard library", "because.go", "encoding/json", ""},
		{"allowed module", "cmd/because/a.go", "github.com/spf13/cobra", ""},
		{"package below a module", "internal/stats/a.go", "gonum.org/v1/gonum/stat/distuv", ""},
		{"own test", "study/a_test.go", Module + "/study", ""},
		{"rank below", "engine/weights/a.go", Module + "/engine/llama", ""},
		{"group's own package", "data/advice/a.go", Module + "/data", ""},
		{"test of a sibling", "internal/graph/a_test.go", Module + "/internal/store", ""},
		{"upward", "engine/llama/a.go", Module + "/organism", "engine/llama/a.go:2: engine/llama (layer 1) imports upward: organism is layer 5"},
		{"upward in a test", "engine/llama/a_test.go", Module + "/organism", "imports upward"},
		{"sibling", "organism/a.go", Module + "/study", "sibling study"},
		{"siblings in layer 1", "internal/graph/a.go", Module + "/internal/store", "sibling internal/store"},
		{"equal rank", "engine/llama/a.go", Module + "/engine/optim", "not below it within engine"},
		{"rank above", "engine/kernel/a.go", Module + "/engine/llama", "not below it within engine"},
		{"parent imports child", "data/a.go", Module + "/data/advice", "not below it within data"},
		{"no layer", "helpers/a.go", "fmt", "package helpers has no layer"},
		{"below a sealed group", "internal/store/deep/a.go", "fmt", "package internal/store/deep has no layer"},
		{"unknown engine package", "engine/gpu/a.go", "fmt", "package engine/gpu has no layer"},
		{"import without layer", "study/a.go", Module + "/helpers", "imports helpers, which has no layer"},
		{"module not allowed", "study/a.go", "example.com/x", "module is not allowed"},
		{"name like an allowed module", "study/a.go", "github.com/spf13/cobrax", "module is not allowed"},
		{"test module", "study/a.go", "pgregory.net/rapid", "in tests only"},
		{"test module in a test", "study/a_test.go", "pgregory.net/rapid", ""},
		{"nouns with a dependency", "because.go", "golang.org/x/sync/errgroup", "standard library alone"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, filepath.FromSlash(test.file))
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte("package a\nimport \""+test.imports+"\"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			errs := CheckTree(dir)
			want := test.want
			switch {
			case want == "" && len(errs) > 0:
				t.Errorf("unexpected: %v", errs)
			case want != "" && len(errs) != 1:
				t.Errorf("got %d errors %v, want one with %q", len(errs), errs, want)
			case want != "" && !strings.Contains(errs[0].Error(), want):
				t.Errorf("got  %v\nwant %q in it", errs[0], want)
			}
		})
	}
}

// TestIgnored leaves out what is not a package of this module.
func TestIgnored(t *testing.T) {
	dir := t.TempDir()
	for file, text := range map[string]string{
		"engine/kernel/_asm/gemm.go":   "package main\nimport \"github.com/mmcloughlin/avo/build\"\n",
		"study/testdata/a.go":          "package a\nimport \"example.com/x\"\n",
		".hidden/a.go":                 "package a\nimport \"example.com/x\"\n",
		"tools/other/go.mod":           "module other\n",
		"tools/other/a.go":             "package a\nimport \"example.com/x\"\n",
		"study/testdata/broken/bad.go": "not Go",
	} {
		file := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if errs := CheckTree(dir); len(errs) > 0 {
		t.Errorf("unexpected: %v", errs)
	}
}

// TestUnreadable reports a file that does not parse.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bad.go"), []byte("not Go"), 0o644); err != nil {
		t.Fatal(err)
	}
	if errs := CheckTree(dir); len(errs) != 1 {
		t.Errorf("got %v, want one error", errs)
	}
}

// TestTable keeps the table itself consistent: layers ascend and no group contains another.
func TestTable(t *testing.T) {
	for i, g := range Layers {
		if i > 0 && g.Layer < Layers[i-1].Layer {
			t.Errorf("%s: layer %d follows layer %d", g.Path, g.Layer, Layers[i-1].Layer)
		}
		for _, other := range Layers {
			if _, ok := within(other.Path, g.Path); ok && other.Path != g.Path {
				t.Errorf("group %s lies within group %s", g.Path, other.Path)
			}
		}
	}
}
