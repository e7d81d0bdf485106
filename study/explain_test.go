package study_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/study"
)

func TestExplain(t *testing.T) {
	dir := scratch(t)
	s := open(t, &toy{}, study.Options{Dir: dir, Overrides: seeds(11, 12)})
	run(t, s, 4)
	explain := func(ref string) ([]*study.Origin, string) {
		origins, err := study.Explain(dir, ref, nil)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := study.WriteOrigins(&out, origins); err != nil {
			t.Fatal(err)
		}
		return origins, out.String()
	}
	origins, text := explain("linked/documents-then-behaviour")
	golden(t, "why.golden", regexp.MustCompile(`[0-9a-f]{12}`).ReplaceAllString(text, "HASH"))
	results := filepath.Join(s.Folder(), "results.json")
	for ref, want := range map[string]struct {
		step  string
		count int
	}{
		"advice":                       {"linked/seed11/advice/1-sft", 2},
		"cut/advice":                   {"cut/seed11/advice/1-sft", 2},
		"arms.advice":                  {"linked/seed11/advice/1-sft", 2},
		"arms.advice.evals.honeypot":   {"linked/seed11/advice/eval/honeypot", 2},
		"E3":                           {"linked/seed11/deliberation/eval/honeypot", 4},
		"ablations.E3 (cut)":           {"cut/seed11/deliberation/eval/honeypot", 4},
		"checks.context":               {"linked/seed11/check/context/high", 4},
		results + "#claims.E3":         {"linked/seed11/deliberation/eval/honeypot", 4},
		"linked/seed12/rl-advice/1-rl": {"linked/seed12/rl-advice/1-rl", 1},
		origins[1].Key:                 {"linked/seed12/documents-then-behaviour/1-sft", 1},
		origins[1].Artifact[:10]:       {"linked/seed12/documents-then-behaviour/1-sft", 1},
		s.Folder() + "/checkpoints/linked/rl-advice/seed-12":        {"linked/seed12/rl-advice/1-rl", 1},
		s.Folder() + "/checkpoints/linked/rl-advice/seed-12/step-4": {"linked/seed12/rl-advice/1-rl", 1},
	} {
		got, _ := explain(ref)
		if len(got) != want.count || got[0].Step != want.step {
			t.Errorf("%s: %d origins, first %s; want %d and %s", ref, len(got), got[0].Step, want.count, want.step)
		}
	}
	for _, ref := range []string{"nothing", "arms.nothing", "advice.evals.nothing", "claims.advice", dir} {
		if _, err := study.Explain(dir, ref, nil); err == nil || because.Hint(err) == "" {
			t.Errorf("%s: got %v, want an error with a hint", ref, err)
		}
	}
}

// TestCheckpointFile follows a file that stands for a link.
func TestCheckpointFile(t *testing.T) {
	dir := scratch(t)
	for text, want := range map[string]string{"../there/files\n": filepath.Join(filepath.Dir(dir), "there/files"), "two\nlines\n": filepath.Join(dir, "seed-1"), "no end": filepath.Join(dir, "seed-1")} {
		path := filepath.Join(dir, "seed-1")
		write(t, path, text)
		if got, err := study.Checkpoint(path); err != nil || got != want {
			t.Errorf("%q leads to %s, %v; want %s", text, got, err, want)
		}
	}
	if got, err := study.Checkpoint(dir); err != nil || got != dir {
		t.Errorf("a folder leads to %s, %v", got, err)
	}
}
