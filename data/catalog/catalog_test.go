package catalog

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/conduct"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/model/mock"
)

// start gives the options that a recipe can't do without.
func start(t testing.TB, r Recipe) Options {
	t.Helper()
	var err error
	o := Options{Seed: 1, Review: true, With: map[string]any{}}
	if !r.Whole {
		o.N = 20
	}
	if r.Data != "" {
		o.Data = filepath.Join(t.TempDir(), "in.jsonl")
		if err := os.WriteFile(o.Data, []byte(`{"prompt":[{"role":"user","content":"is the boiler meant to hum"}]}`+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range r.Params {
		if p.Needed != "" {
			o.With[p.Name] = p.Needed
			if o.Constitution, err = constitution.Shipped("astra-reasons"); err != nil {
				t.Fatal(err)
			}
		}
	}
	return o
}

// Every recipe can be made, linted and planned, under its own name and with the roles that it says.
func TestRecipes(t *testing.T) {
	if len(Names()) != len(recipes) || !slices.IsSorted(Names()) {
		t.Error(Names())
	}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			r, err := Find(name)
			if err != nil {
				t.Fatal(err)
			}
			made, err := r.Make(start(t, r))
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range append(pipe.Lint(made), made.Prompts.Lint()...) {
				t.Error(err)
			}
			roles := map[string]bool{}
			for _, s := range made.Stages {
				switch s := s.(type) {
				case pipe.Ask:
					roles[s.Model] = true
				case pipe.Do:
					roles[s.Model] = true
				}
			}
			delete(roles, "")
			for role := range roles {
				if !r.Asks(role) && role != pipe.Writer {
					t.Errorf("a stage asks the role %s, which is not listed", role)
				}
			}
			for _, role := range r.Roles {
				if !roles[role] {
					t.Errorf("no stage asks the role %s", role)
				}
			}
			if r.Short == "" || r.About == "" || r.Name == "" {
				t.Error("nothing says what it is")
			}
			e, err := pipe.Plan(made, pipe.Options{N: start(t, r).N, Models: map[string]because.Chat{pipe.Writer: mock.Must()}})
			if err != nil || e.Records == 0 {
				t.Errorf("%v records planned, %v", e.Records, err)
			}
		})
	}
}

func shipped(t testing.TB) *constitution.Constitution {
	t.Helper()
	c, err := constitution.Shipped(constitution.Default)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Each listed option is read, and no other: what the help says is what there is.
func TestParamsAreRead(t *testing.T) {
	for _, r := range recipes {
		o := start(t, r)
		var listed []string
		for _, p := range r.Params {
			listed = append(listed, p.Name)
		}
		var asked []string
		for _, values := range []map[string]any{o.With, {"select": "likelihood"}, {"select": "preference"}} {
			w := &with{recipe: r, values: values}
			o := o
			if o.Constitution == nil {
				o.Constitution = shipped(t)
			}
			if _, err := r.make(o, w); err != nil && !errors.Is(err, ErrLikelihood) && values["select"] == nil {
				t.Errorf("%s: %v", r.Name, err)
			}
			asked = append(asked, w.asked...)
		}
		slices.Sort(asked)
		slices.Sort(listed)
		if diff := cmp.Diff(slices.Compact(listed), slices.Compact(asked)); diff != "" {
			t.Errorf("%s: listed (-) and read (+): %s", r.Name, diff)
		}
	}
}

func TestUnknown(t *testing.T) {
	_, err := Find("advise")
	if err == nil || !strings.Contains(because.Hint(err), `"advice"`) {
		t.Errorf("%v, hint %q", err, because.Hint(err))
	}
	for _, c := range []struct {
		name, want, hint string
		with             map[string]any
	}{
		{"advice", "two-turn: the recipe has no such option", `"two-turns"`, map[string]any{"two-turn": "0.5"}},
		{"advice", "two-turns: 1.5 is no number from 0 to 1", "", map[string]any{"two-turns": 1.5}},
		{"advice", "two-turns: NaN is no number", "", map[string]any{"two-turns": "NaN"}},
		{"advice", "types: 2.5 is no whole number of at least 1", "", map[string]any{"types": "2.5"}},
		{"advice", "types: [] is no whole number", "", map[string]any{"types": []any{}}},
		{"advice", "votes: 2 votes", "", map[string]any{"votes": 2}},
		{"advice", "problem: 7 is no text", "", map[string]any{"problem": 7}},
		{"preferences", "ratio: 0.5 is no number", "", map[string]any{"ratio": "0.5"}},
		{"behaviour", "select: likelyhood is none of harm, preference, likelihood", `"likelihood"`, map[string]any{"select": "likelyhood"}},
		{"behaviour", "margin: it belongs to select=likelihood", "", map[string]any{"margin": 1}},
		{"behaviour", "only: read condition", "", map[string]any{"only": "lever=perhaps"}},
		{"behaviour", "blackmail", "", map[string]any{"families": "blackmail"}}, // it is evaluated
		{"behaviour", "tell how likely", "local:PATH", map[string]any{"select": "likelihood"}},
		{"behaviour", "no such option", "", map[string]any{"wordings": "craft"}},
		{"deliberation", "inject-kraft", "", map[string]any{"wordings": "kraft"}},
		{"stories", `lengths: "x" is no whole number`, "", map[string]any{"lengths": "100,x"}},
		{"stories", "base: maybe is neither true nor false", "", map[string]any{"base": "maybe"}},
		{"stories", "lengths: , is no list", "", map[string]any{"lengths": ","}},
		{"augment", "tools: 7..2 is no range", "tools=2..7", map[string]any{"tools": "7..2"}},
		{"probes", "against: the option is missing", "against=astra-rules", map[string]any{"against": nil}},
	} {
		r, err := Find(c.name)
		if err != nil {
			t.Fatal(err)
		}
		o := start(t, r)
		for name, v := range c.with {
			if o.With[name] = v; v == nil {
				delete(o.With, name)
			}
		}
		if _, err := r.Make(o); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(because.Hint(err), c.hint) {
			t.Errorf("%s with %v: %v, hint %q; want %s, %s", c.name, c.with, err, because.Hint(err), c.want, c.hint)
		}
	}
}

func TestWhatIsNotTaken(t *testing.T) {
	for name, o := range map[string]Options{
		"advice": {Data: "x.jsonl"}, "augment": {}, "stories": {}, "documents": {N: -1}, "variants": {N: 3}, "rl-prompts": {N: 1, Prompts: filepath.Join(t.TempDir(), "none")},
	} {
		r, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Make(o); err == nil {
			t.Errorf("%s takes %+v", name, o)
		}
	}
	if _, err := (Recipe{Name: "own"}).Make(Options{}); err == nil {
		t.Error("a recipe of nobody's is made")
	}
}

// Numbers read as texts and as numbers are the same; what is refused changes nothing.
func TestValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(-5, 50).Draw(t, "n")
		for _, v := range []any{n, int64(n), float64(n), strconv.Itoa(n)} {
			got := 7
			w := &with{recipe: Recipe{Name: "x"}, values: map[string]any{"n": v}}
			w.whole("n", &got, 1, 40)
			if fine := n >= 1 && n <= 40; fine != (w.err() == nil) || fine && got != n || !fine && got != 7 {
				t.Fatalf("%v (%T) gives %d, %v", v, v, got, w.err())
			}
		}
	})
	w := &with{values: map[string]any{"a": "0", "b": 0.25, "l": []any{"x", " y"}, "n": []any{400, 800}, "t": true, "s": "3..4", "votes": "3"}}
	share, quarter, none := 0.9, 0.0, 0.3
	var list []string
	var lengths []int
	var truth bool
	var span [2]int
	var votes int
	w.share("a", &share)
	w.share("b", &quarter)
	w.share("c", &none)
	w.texts("l", &list)
	w.wholes("n", &lengths)
	w.truth("t", &truth)
	w.span("s", &span)
	w.votes(&votes)
	if w.err() != nil || share != -1 || quarter != 0.25 || none != 0.3 || !slices.Equal(list, []string{"x", "y"}) || !slices.Equal(lengths, []int{400, 800}) ||
		!truth || span != [2]int{3, 4} || votes != 3 {
		t.Error(w.err(), share, quarter, none, list, lengths, truth, span, votes)
	}
}

// The wordings that the help names are those that there are.
func TestWordings(t *testing.T) {
	made, err := conduct.Recipe(conduct.Options{Kind: conduct.Deliberation})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range made.Prompts.Names() {
		if name, ok := strings.CutPrefix(n, "inject-"); ok {
			names = append(names, name)
		}
	}
	if !strings.Contains(deliberation.Params[0].About, ": "+strings.Join(names, ", ")+" (") {
		t.Errorf("%q does not list %v", deliberation.Params[0].About, names)
	}
}
