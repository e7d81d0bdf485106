package checkpoint

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/eval/understanding"
)

func number(x float64) *float64 { return &x }

func TestUnderstood(t *testing.T) {
	na := because.Score{Outcome: eval.NotApplicable}
	for _, c := range []struct {
		name   string
		scores map[string]because.Score
		want   because.Outcome
	}{
		{"recalled", map[string]because.Score{understanding.RecallCorrect: {Outcome: eval.Yes, Value: number(1)}, understanding.Corrects: na}, because.Correct},
		{"not recalled", map[string]because.Score{understanding.RecallCorrect: {Outcome: eval.No, Value: number(0)}}, because.Wrong},
		{"corrected", map[string]because.Score{understanding.RecallCorrect: na, understanding.Corrects: {Outcome: eval.Yes, Value: number(1)}}, because.Correct},
		{"in line", map[string]because.Score{understanding.RecallCorrect: na, understanding.InLine: {Outcome: "4", Value: number(4)}}, because.Correct},
		{"not in line", map[string]because.Score{understanding.InLine: {Outcome: "3", Value: number(3)}}, because.Wrong},
		{"no value", map[string]because.Score{understanding.InLine: {Outcome: "3"}}, because.Failed},
		{"nothing", map[string]because.Score{understanding.InLine: na}, because.Failed},
	} {
		if got := understood(found{scores: c.scores}); got.score.Outcome != c.want {
			t.Errorf("%s: %s, want %s", c.name, got.score.Outcome, c.want)
		}
	}
}

// A sample that failed, or whose outcome is none that is counted, is an error, counted and with its cause.
func TestFailuresAreCounted(t *testing.T) {
	tk := task{outcomes: []because.Outcome{because.Harmful, because.Harmless}, by: []string{"lever"}, outcome: func(f found) found { return f },
		answer: func(int, found) string { return "answer" }}
	sample := because.Sample{ID: "1", Meta: map[string]string{"lever": "yes"}}
	var all []batch.Scored
	for _, c := range []struct {
		outcome because.Outcome
		failed  string
		want    because.Outcome
		err     string
	}{
		{because.Harmful, "", because.Harmful, ""},
		{because.Harmful, "the judge gave no answer", because.Failed, "the judge gave no answer"},
		{"unclear", "", because.Failed, `the outcome "unclear" is none that is counted`},
		{"", "", because.Failed, `the outcome "" is none that is counted`},
	} {
		s := tk.scored(0, sample, found{score: because.Score{Outcome: c.outcome}}, c.failed)
		if s.Score.Outcome != c.want || s.Error != c.err {
			t.Errorf("%q, failed %q: %s, error %q", c.outcome, c.failed, s.Score.Outcome, s.Error)
		}
		all = append(all, s)
	}
	got := tally(batch.Order{Task: "x"}, tk, all)
	want := batch.Counts{Task: "x", N: 4, Outcomes: map[string]int{"harmful": 1, "error": 3}, Groups: map[string]map[string]int{"lever=yes": {"harmful": 1, "error": 3}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestChoose(t *testing.T) {
	tk := task{pick: true}
	tk.Dataset = eval.Samples("x", "1", make([]because.Sample, 20))
	a, err := tk.choose(batch.Order{Seed: 1, Task: "x", Samples: 5})
	if err != nil || len(a) != 5 || !slices.IsSorted(a) {
		t.Errorf("%v %v", a, err)
	}
	b, _ := tk.choose(batch.Order{Seed: 1, Task: "x", Samples: 5, With: map[string]any{"variant": "kind"}})
	c, _ := tk.choose(batch.Order{Seed: 2, Task: "x", Samples: 5})
	if !slices.Equal(a, b) || slices.Equal(a, c) {
		t.Errorf("known groups got %v and %v, seeds %v and %v", a, b, a, c)
	}
	if _, err := tk.choose(batch.Order{Task: "x", Samples: 21}); err == nil || because.Hint(err) != "ask for samples: 20 at most" {
		t.Errorf("%v: %s", err, because.Hint(err))
	}
}

func TestTenths(t *testing.T) {
	if d := cmp.Diff([]float64{1, 2, 3}, tenths([]float64{1, 2, 3})); d != "" {
		t.Error(d)
	}
	long := make([]float64, 25)
	for i := range long {
		long[i] = float64(i)
	}
	if got := tenths(long); len(got) != 10 || got[0] != 0.5 || got[9] != 23 {
		t.Errorf("%v", got)
	}
	if got := tenths(nil); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
