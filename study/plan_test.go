package study_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/because-lab/because/internal/graph"
	"github.com/because-lab/because/internal/store"
	"github.com/because-lab/because/study"
)

// planOf gives the steps of a plan by ID.
func planOf(t *testing.T, s *study.Study) map[string]study.PlanStep {
	t.Helper()
	p, err := s.Plan(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	steps := map[string]study.PlanStep{}
	for _, step := range p.Steps {
		steps[step.ID] = step
	}
	return steps
}

// edited opens the toy study with texts replaced.
func edited(t *testing.T, w study.World, o study.Options, oldNew ...string) *study.Study {
	t.Helper()
	text, err := os.ReadFile("testdata/toy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(oldNew); i += 2 {
		if !strings.Contains(string(text), oldNew[i]) {
			t.Fatalf("the toy study has no %q", oldNew[i])
		}
	}
	f, err := study.Parse("toy.yaml", []byte(strings.NewReplacer(oldNew...).Replace(string(text))))
	if err != nil {
		t.Fatal(err)
	}
	s, err := study.Open(f, w, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPlanGolden(t *testing.T) {
	s := open(t, &toy{}, study.Options{Dir: t.TempDir(), Overrides: study.Overrides{Seeds: []uint64{11}}})
	var out strings.Builder
	for _, step := range s.Steps() {
		if !strings.HasPrefix(step.ID, "linked/") {
			continue
		}
		text, err := store.Encode(step.Params)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s\n  %s, version %s: %s\n  %s\n", step.ID, step.Kind, step.Version, step.Title, text)
		for _, need := range step.Needs {
			fmt.Fprintf(&out, "  %s = %s\n", need.Name, need.Step)
		}
	}
	golden(t, "plan.golden", out.String())
}

// TestShared shows what is one step: equal stages of two arms, the start of RL and the eval of the arm that it starts from.
func TestShared(t *testing.T) {
	steps := planOf(t, open(t, &toy{}, study.Options{Dir: t.TempDir()}))
	for _, id := range []string{
		"linked/seed11/rl-replay/1-sdf",                 // of replay
		"linked/seed11/rl-replay/1-data",                // the same
		"linked/seed11/rl-none/step-0/eval/honeypot",    // of none
		"linked/seed11/rl-advice/step-12/eval/honeypot", // of rl-advice itself
	} {
		if _, ok := steps[id]; ok {
			t.Errorf("%s is planned, though another step does the same", id)
		}
	}
	for _, id := range []string{
		"linked/seed11/documents-then-behaviour/1-data", // behaviour sampled from another model than in the arm behaviour
		"cut/seed11/behaviour/1-data",
		"linked/seed12/mix",
		"linked/seed11/rl-advice/step-4/eval/honeypot",
	} {
		if _, ok := steps[id]; !ok {
			t.Errorf("%s is not planned", id)
		}
	}
}

// TestServedModelsAreShared wants the evaluations of a served model, and them alone, to follow each other.
func TestServedModelsAreShared(t *testing.T) {
	for train, served := range map[string]bool{"": false, "\ntrain: {engine: ray, storage: /shared}\n": true} {
		byShare := map[string]int{}
		for _, step := range edited(t, &toy{}, study.Options{Dir: t.TempDir()}, "\nseeds:", train+"\nseeds:").Steps() {
			want := ""
			if served && step.Kind == study.KindEval {
				want = step.Needs[0].Step + "/"
			}
			if !strings.HasPrefix(step.Share, want) || want == "" && step.Share != "" {
				t.Errorf("%s shares %q, its model is %q", step.ID, step.Share, want)
			}
			byShare[step.Share]++
		}
		if most := byShare["linked/seed11/replay/1-sdf/0"]; served && most < 2 {
			t.Errorf("the models of evaluations: %v", byShare)
		}
	}
}

// keys gives the keys of a study's steps.
func keys(t *testing.T, s *study.Study) map[string]string {
	out := map[string]string{}
	for id, step := range planOf(t, s) {
		out[id] = step.Key
	}
	return out
}

// changed lists the steps, without world and seed, whose keys differ.
func changed(before, after map[string]string) []string {
	var out []string
	for id, key := range after {
		if parts := strings.SplitN(id, "/", 3); before[id] != key && parts[0] == "linked" && parts[1] == "seed11" {
			out = append(out, parts[2])
		}
	}
	slices.Sort(out)
	return out
}

func TestIdentity(t *testing.T) {
	o := study.Options{Dir: t.TempDir()}
	before := keys(t, open(t, &toy{}, o))
	for _, c := range []struct {
		name   string
		world  *toy
		oldNew []string
		want   []string
	}{
		{"words", &toy{}, []string{"title: Replay only", "title: Other", "about: every", "about: any", "sesoi: 0.1", "sesoi: 0.2", "margin: 0.2}\nclaims", "margin: 0.3}\nclaims"}, nil},
		{"a number written otherwise", &toy{}, []string{"lr: 5e-4", "lr: 0.0005"}, nil},
		{"one arm's tokens", &toy{}, []string{"recipe: advice, tokens: 100", "recipe: advice, tokens: 120"},
			[]string{"advice-4th/1-data", "advice-4th/1-sft", "advice-4th/eval/honeypot", "advice-4th/eval/recall"}},
		{"an eval's samples", &toy{}, []string{"task: recall, samples: 60", "task: recall, samples: 70"},
			[]string{"advice-4th/eval/recall", "advice/eval/recall", "behaviour/eval/recall", "deliberation/eval/recall", "documents-then-behaviour/eval/recall",
				"documents/eval/recall", "none/eval/recall", "replay/eval/recall"}},
		{"snapshots", &toy{}, []string{"snapshots: [4, 8]", "snapshots: [4, 9]"},
			[]string{"rl-advice/1-rl", "rl-advice/eval/honeypot", "rl-advice/step-4/eval/honeypot", "rl-advice/step-9/eval/honeypot",
				"rl-none/1-rl", "rl-none/eval/honeypot", "rl-none/step-4/eval/honeypot", "rl-none/step-9/eval/honeypot",
				"rl-replay/2-rl", "rl-replay/eval/honeypot", "rl-replay/step-4/eval/honeypot", "rl-replay/step-9/eval/honeypot"}},
		{"the code of RL", &toy{version: map[string]string{"rl": "2"}}, nil,
			[]string{"rl-advice/1-rl", "rl-advice/eval/honeypot", "rl-advice/step-4/eval/honeypot", "rl-advice/step-8/eval/honeypot",
				"rl-none/1-rl", "rl-none/eval/honeypot", "rl-none/step-4/eval/honeypot", "rl-none/step-8/eval/honeypot",
				"rl-replay/2-rl", "rl-replay/eval/honeypot", "rl-replay/step-4/eval/honeypot", "rl-replay/step-8/eval/honeypot"}},
	} {
		if got := changed(before, keys(t, edited(t, c.world, o, c.oldNew...))); !slices.Equal(got, c.want) {
			t.Errorf("%s: changed %q, want %q", c.name, got, c.want)
		}
	}
}

// TestQuickIsPart shows that a quick run trains what the full one trains too.
func TestQuickIsPart(t *testing.T) {
	o := study.Options{Dir: t.TempDir()}
	full := map[string]bool{}
	for _, key := range keys(t, open(t, &toy{}, o)) {
		full[key] = true
	}
	o.Quick = true
	s := open(t, &toy{}, o)
	trained := 0
	for id, step := range planOf(t, s) {
		if step.Kind == study.KindEval {
			continue
		}
		trained++
		if !full[step.Key] {
			t.Errorf("%s is not of the full study", id)
		}
	}
	if trained != 11 {
		t.Errorf("%d steps that train or make data, want 11", trained)
	}
	if got := strings.Join(armNames(s.File), " "); got != "none replay deliberation rl-advice" {
		t.Errorf("arms %s", got)
	}
}

func armNames(f *study.File) []string {
	var out []string
	for _, a := range f.Arms {
		out = append(out, a.Name)
	}
	return out
}

// TestResolved shows that the file written beside the results asks for the same.
func TestResolved(t *testing.T) {
	for _, quick := range []bool{false, true} {
		o := study.Options{Dir: t.TempDir(), Overrides: study.Overrides{Quick: quick}}
		s := open(t, &toy{}, o)
		text, err := s.File.Resolved()
		if err != nil {
			t.Fatal(err)
		}
		f, err := study.Parse("resolved.yaml", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		again, err := study.Open(f, &toy{}, study.Options{Dir: o.Dir})
		if err != nil {
			t.Fatal(err)
		}
		before, after := keys(t, s), keys(t, again)
		for id, key := range before {
			if after[id] != key {
				t.Errorf("quick %v: %s has another key in the resolved study", quick, id)
			}
		}
		if len(after) != len(before) {
			t.Errorf("quick %v: %d steps, and %d of the resolved study", quick, len(before), len(after))
		}
	}
}

func TestPlanStates(t *testing.T) {
	o := study.Options{Dir: scratch(t), Overrides: seeds(11)}
	s := open(t, &toy{}, o)
	p, err := s.Plan(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if p.Count[graph.Missing] != len(p.Steps) || p.Todo.Tokens == 0 || p.Todo.FLOP == 0 {
		t.Errorf("before the run: %v, to do %+v", p.Count, p.Todo)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, ".because")); !os.IsNotExist(err) {
		t.Error("planning wrote something")
	}
	run(t, s, 4)
	if p, err = open(t, &toy{}, o).Plan(context.Background()); err != nil {
		t.Fatal(err)
	}
	if p.Count[graph.Cached] != len(p.Steps) || p.Todo != (study.Cost{}) {
		t.Errorf("after the run: %v, to do %+v", p.Count, p.Todo)
	}
	steps := planOf(t, edited(t, &toy{}, o, "recipe: advice, tokens: 100", "recipe: advice, tokens: 120"))
	step := steps["linked/seed11/advice-4th/1-data"]
	if step.State != graph.Stale || step.Reason != "params.tokens: 100 -> 120" {
		t.Errorf("after an edit: %s because %s", step.State, step.Reason)
	}
}
