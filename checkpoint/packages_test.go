package checkpoint

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/because-lab/because/"

// roots are what each kind of step runs of what this package imports.
var roots = map[string][]string{
	kindData:  {"constitution", "data", "data/catalog", "data/columns", "data/pipe", "data/quality", "internal/input", "model", "model/openai", "model/pretrained"},
	kindTrain: {"data", "engine/kernel", "engine/optim", "engine/weights", "internal/input", "model/pretrained", "train", "train/finetune"},
	kindRL:    {"data", "data/columns", "engine/llama", "engine/weights", "internal/input", "judge", "model", "model/pretrained", "train", "train/reward"},
	kindEval: {"constitution", "engine/infer", "engine/llama", "eval", "eval/batch", "eval/evallog", "eval/honeypot", "eval/understanding", "internal/input", "model", "model/openai",
		"model/pretrained", "scenario"},
}

// The hash of the sources covers this package and what each kind of step runs, and no more.
func TestPackagesAreThoseThatRun(t *testing.T) {
	for kind, of := range roots {
		want := append(closure(t, of), "checkpoint")
		slices.Sort(want)
		if d := cmp.Diff(want, packages[kind]); d != "" {
			t.Errorf("packages of %s (-run +hashed):\n%s", kind, d)
		}
	}
}

// What this package imports belongs to some kind of step. The corpora have a hash of their own.
func TestEveryImportIsSomeStepsPart(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{join .Imports " "}}`, ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(string(out)) {
		folder, ours := strings.CutPrefix(path, module)
		if !ours || folder == "corpora" {
			continue
		}
		if !slices.Contains(slices.Concat(roots[kindData], roots[kindTrain], roots[kindRL], roots[kindEval]), folder) {
			t.Errorf("%s is no kind of step's: add it to those that run it", folder)
		}
	}
}

// closure gives packages of this module and all that they import of it.
func closure(t *testing.T, of []string) []string {
	args := []string{"list", "-deps"}
	for _, folder := range of {
		args = append(args, module+folder)
	}
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, path := range strings.Fields(string(out)) {
		if folder, ok := strings.CutPrefix(path, module); ok {
			list = append(list, folder)
		}
	}
	return list
}
