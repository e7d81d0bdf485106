package graph_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because/internal/graph"
	"github.com/because-lab/because/internal/store"
)

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		name string
		make func(w *world)
		want []string
	}{
		{"no ID", func(w *world) { w.add("", 1) }, []string{"number 0", "no ID"}},
		{"two of one ID", func(w *world) { w.add("a", 1); w.add("a", 2) }, []string{"a", "two steps"}},
		{"no function", func(w *world) { w.add("a", 1).Run = nil }, []string{"a", "no function"}},
		{"negative weight", func(w *world) { w.add("a", 1).Weight = -1 }, []string{"a", "weight -1"}},
		{"unknown step", func(w *world) { w.add("a", 1, "b") }, []string{"a", `needs "b"`, "not a step"}},
		{"two inputs of one name", func(w *world) { w.add("a", 1); w.add("b", 1); w.add("c", 1, "x=a", "x=b") }, []string{"c", `named "x"`}},
		{"itself", func(w *world) { w.add("a", 1, "a") }, []string{"cycle: a needs a"}},
		{"cycle", func(w *world) {
			w.add("free", 1)
			w.add("start", 1, "a")
			w.add("a", 1, "free", "b")
			w.add("b", 1, "c")
			w.add("c", 1, "a")
		}, []string{"cycle: a needs b needs c needs a"}},
		{"unstable parameters", func(w *world) { w.add("a", 1).Params = map[string]any{"f": func() {}} }, []string{"a", "params.f", "func()"}},
		{"everything at once", func(w *world) { w.add("a", 1, "gone"); w.add("b", 1).Run = nil }, []string{"gone", "b: has no function"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			tt.make(w)
			_, err := graph.New("test", w.steps, newStore(t))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestKeysFollowIdentityOnly(t *testing.T) {
	s := newStore(t)
	base := func() *world {
		w := newWorld()
		w.add("a", 1)
		w.add("b", 1)
		w.add("c", 1, "x=a", "y=b")
		return w
	}
	key := func(w *world) string {
		k, ok := w.graph(t, s).Key("c")
		if !ok {
			t.Fatal("no key")
		}
		return k
	}
	want := key(base())
	same := map[string]func(w *world){
		"order of inputs": func(w *world) { n := w.steps[2].Needs; n[0], n[1] = n[1], n[0] },
		"order of steps":  func(w *world) { w.steps[0], w.steps[2] = w.steps[2], w.steps[0] },
		"title, weight":   func(w *world) { w.steps[2].Title, w.steps[2].Weight = "C", 7 },
		"ID of an input":  func(w *world) { w.steps[0].ID, w.steps[2].Needs[0].Step = "renamed", "renamed" },
		"bystander":       func(w *world) { w.add("d", 9, "c") },
	}
	for name, change := range same {
		w := base()
		change(w)
		if key(w) != want {
			t.Errorf("%s changed the key", name)
		}
	}
	differ := map[string]func(w *world){
		"kind":                 func(w *world) { w.steps[2].Kind = "other" },
		"version":              func(w *world) { w.steps[2].Version = "2" },
		"params":               func(w *world) { w.steps[2].Params = 2 },
		"name of an input":     func(w *world) { w.steps[2].Needs[0].Name = "z" },
		"inputs swapped":       func(w *world) { n := w.steps[2].Needs; n[0].Step, n[1].Step = n[1].Step, n[0].Step },
		"input's params":       func(w *world) { w.set("a", 2) },
		"input's version":      func(w *world) { w.steps[0].Version = "2" },
		"an input less":        func(w *world) { w.steps[2].Needs = w.steps[2].Needs[:1] },
		"parameter type":       func(w *world) { w.steps[2].Params = map[string]any{"id": "c", "value": 1.0} },
		"parameter in a field": func(w *world) { w.steps[2].Params = map[string]any{"id": "c", "value": map[string]int{"v": 1}} },
	}
	for name, change := range differ {
		w := base()
		change(w)
		if key(w) == want {
			t.Errorf("%s left the key as it was", name)
		}
	}
}

// planText prints a plan as a table.
func planText(t *testing.T, g *graph.Graph, want ...string) string {
	t.Helper()
	plan, err := g.Plan(t.Context(), want...)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	tab := tabwriter.NewWriter(&buf, 0, 0, 2, ' ', 0)
	for _, p := range plan {
		runs := "-"
		if p.Runs {
			runs = "runs"
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%g\t%s\n", p.ID, p.Key[:8], p.State, runs, p.Weight, p.Reason)
	}
	if err := tab.Flush(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(buf.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func TestPlanGolden(t *testing.T) {
	s := newStore(t)
	w := diamond()
	w.steps[2].Weight = 20
	var text strings.Builder
	section := func(title string, want ...string) {
		fmt.Fprintf(&text, "## %s\n%s\n", title, planText(t, w.graph(t, s), want...))
	}
	run := func(want ...string) {
		if _, err := w.graph(t, s).Run(t.Context(), graph.Options{Want: want}); err != nil {
			t.Fatal(err)
		}
	}
	section("a fresh store")
	section("one wanted step", "s1/train")
	run("s1/train")
	section("after that step was made")
	run()
	section("after everything was made")
	w.set("s2/data", 20)
	section("after a change of data")
	w.steps[3].Version = "2"
	section("and of the code of a step")
	golden := filepath.Join("testdata", "plan.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Errorf("plan changed (-update rewrites it):\n%s", diff)
	}
}

// A plan says exactly what the next run does.
func TestPlanForetellsTheRun(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	for range 8 {
		s := newStore(t)
		w := randomWorld(r, 3+r.IntN(7))
		for range 3 {
			w.set(fmt.Sprintf("step%d", r.IntN(len(w.steps))), r.IntN(3))
			want := []string{fmt.Sprintf("step%d", r.IntN(len(w.steps))), fmt.Sprintf("step%d", r.IntN(len(w.steps)))}
			g := w.graph(t, s)
			plan, err := g.Plan(t.Context(), want...)
			if err != nil {
				t.Fatal(err)
			}
			if ran := w.took(); len(ran) > 0 {
				t.Fatalf("planning ran %v", ran)
			}
			foretold := map[string]bool{}
			for _, p := range plan {
				if p.Runs {
					foretold[p.ID] = true
				}
			}
			sum, err := g.Run(t.Context(), graph.Options{Want: want, Jobs: 1 + r.IntN(3)})
			if err != nil {
				t.Fatal(err)
			}
			w.check(t, s, sum)
			ran := map[string]bool{}
			for _, id := range w.took() {
				ran[id] = true
			}
			if diff := cmp.Diff(foretold, ran); diff != "" {
				t.Errorf("planned and run:\n%s", diff)
			}
		}
	}
}

func TestExplainNamesTheChangedField(t *testing.T) {
	s := newStore(t)
	w := diamond()
	if _, err := w.graph(t, s).Run(t.Context(), graph.Options{}); err != nil {
		t.Fatal(err)
	}
	was, _ := w.graph(t, s).Key("s1/data")
	w.set("s1/data", 7)
	w.steps[2].Version = "2" // s1/train
	g := w.graph(t, s)
	is, _ := g.Key("s1/data")
	e, err := g.Explain("s1/train")
	if err != nil {
		t.Fatal(err)
	}
	want := []graph.Change{
		{Field: "inputs.data", Old: fmt.Sprintf("%q", was), New: fmt.Sprintf("%q", is)},
		{Field: "version", Old: `"1"`, New: `"2"`},
	}
	if diff := cmp.Diff(want, e.Changes); diff != "" {
		t.Error(diff)
	}
	if len(e.Inputs) != 2 || e.Inputs[1].Step != "s1/data" || e.Inputs[1].Key != is {
		t.Errorf("inputs %+v", e.Inputs)
	}
	if !strings.Contains(string(e.Payload), `"params":{"id":"s1/train","value":3}`) {
		t.Errorf("payload %s", e.Payload)
	}
	if e, err := g.Explain("s2/eval"); err != nil || len(e.Changes) > 0 {
		t.Errorf("an unchanged step: %v, %v", e.Changes, err)
	}
	if _, err := g.Explain("nothing"); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("an unknown step: %v", err)
	}
}

func TestDiff(t *testing.T) {
	tests := []struct {
		old, new string
		want     []graph.Change
	}{
		{`{"a":1}`, `{"a":1}`, nil},
		{`{"a":1}`, `{"a":1.0}`, []graph.Change{{Field: "a", Old: "1", New: "1.0"}}},
		{`{"a":{"b":[1,2]}}`, `{"a":{"b":[1,3,4]}}`, []graph.Change{{Field: "a.b[1]", Old: "2", New: "3"}, {Field: "a.b[2]", Old: "", New: "4"}}},
		{`{"a":{},"b":[]}`, `{"b":{}}`, []graph.Change{{Field: "a", Old: "{}", New: ""}, {Field: "b", Old: "[]", New: "{}"}}},
		{`1`, `null`, []graph.Change{{Field: "", Old: "1", New: "null"}}},
	}
	for _, tt := range tests {
		got, err := graph.Diff([]byte(tt.old), []byte(tt.new))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s to %s: %s", tt.old, tt.new, diff)
		}
	}
	if _, err := graph.Diff([]byte(`{`), []byte(`{}`)); err == nil {
		t.Error("compared what is not JSON")
	}
}

func TestUnknownWantedStep(t *testing.T) {
	g := diamond().graph(t, newStore(t))
	if _, err := g.Run(t.Context(), graph.Options{Want: []string{"s3/eval"}}); err == nil || !strings.Contains(err.Error(), "s3/eval") {
		t.Errorf("run: %v", err)
	}
	if _, err := g.Plan(t.Context(), "s3/eval"); err == nil || !strings.Contains(err.Error(), "s3/eval") {
		t.Errorf("plan: %v", err)
	}
}

// A run without the store's lock fails in its first step and leaves nothing.
func TestRunWithoutLock(t *testing.T) {
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = diamond().graph(t, s).Run(t.Context(), graph.Options{})
	var run *graph.RunError
	if !errors.As(err, &run) || !strings.Contains(err.Error(), "not locked") {
		t.Errorf("error %v", err)
	}
}
