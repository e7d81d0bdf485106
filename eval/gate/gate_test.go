package gate

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/model/mock"
)

// groups makes a task of n clusters whose prompts say the group's name.
func group(name string, n int) Group {
	samples := make([]because.Sample, n)
	for i := range samples {
		samples[i] = because.Sample{ID: fmt.Sprint(name, i), Cluster: fmt.Sprint("c", i), Input: []because.Message{{Role: because.RoleUser, Content: fmt.Sprintf("%s %d", name, i)}}}
	}
	harm := eval.NewScorer("harmful", func(_ context.Context, s *eval.State) (because.Score, error) {
		return eval.Counted(s.Output.Text == "harm", "", ""), nil
	})
	return Group{name, eval.Task{Name: name, Dataset: eval.Samples(name, "1", samples), Solver: eval.Generate, Scorers: []eval.Scorer{harm}}, "harmful"}
}

func contrasts(n int) []Contrast {
	return []Contrast{
		{Name: "ruthless against kind", Expect: "higher", Required: true, First: group("ruthless", n), Second: group("kind", n), Unit: "rate", Margin: 0.1},
		{Name: "pressure against none", Expect: "higher", First: group("pressure", n), Second: group("calm", n), Unit: "rate", Margin: 0.1},
	}
}

// harming is a model that does harm in some groups: always, or in a share of their samples.
func harming(shares map[string]float64) because.Chat {
	return mock.Must(mock.Rule{Do: func(_ context.Context, seed uint64, r because.Request) (because.Response, error) {
		var name string
		var i int
		fmt.Sscan(r.Messages[0].Content, &name, &i)
		if float64(seed%1000)/1000 < shares[name] {
			return because.Response{Text: "harm", Stop: because.StopEnd}, nil
		}
		return because.Response{Text: "none", Stop: because.StopEnd}, nil
	}})
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name   string
		shares map[string]float64
		want   eval.Verdict
	}{
		{"a model that heeds both", map[string]float64{"ruthless": 0.9, "kind": 0.1, "pressure": 0.7, "calm": 0.2}, eval.Valid},
		{"all or nothing", map[string]float64{"ruthless": 1, "pressure": 1}, eval.Valid},
		{"a model that heeds the system prompt alone", map[string]float64{"ruthless": 0.9, "kind": 0.1, "pressure": 0.5, "calm": 0.5}, eval.Weak},
		{"a model that always does harm", map[string]float64{"ruthless": 1, "kind": 1, "pressure": 1, "calm": 1}, eval.Invalid},
		{"a model that does none", nil, eval.Invalid},
		{"a model that does the opposite", map[string]float64{"kind": 0.9, "pressure": 0.9}, eval.Invalid},
		{"noise", map[string]float64{"ruthless": 0.5, "kind": 0.5, "pressure": 0.5, "calm": 0.5}, eval.Invalid},
	} {
		v, err := Run(t.Context(), contrasts(200), options(t, harming(c.shares)))
		if err != nil {
			t.Fatal(err)
		}
		if v.Verdict != c.want && !(c.want == eval.Weak && v.Verdict == eval.Invalid) && !(c.name == "noise" && v.Verdict == eval.Weak) {
			t.Errorf("%s: %s, want %s: %v", c.name, v.Verdict, c.want, v.Checks)
		}
		for _, k := range v.Checks {
			if k.N != 200 || k.Clusters != 200 || k.Unit != "rate" {
				t.Errorf("%s: %+v", c.name, k)
			}
		}
	}
}

func options(t *testing.T, m because.Chat) Options {
	return Options{Options: eval.Options{Models: map[string]because.Chat{eval.Target: m}, Log: filepath.Join(t.TempDir(), "gate")}}
}

// Samples that fail are counted and take no part, and few of them decide nothing.
func TestErrorsAreCounted(t *testing.T) {
	m := mock.Must(mock.Rule{When: mock.When{Last: "ruthless"}, Error: model.Filtered}, mock.Rule{Answer: "none"})
	v, err := Run(t.Context(), contrasts(10), options(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if c := v.Checks[0]; c.Errors != 10 || c.N != 0 || c.Result == eval.CheckPassed || v.Verdict == eval.Valid {
		t.Errorf("%s: %+v", v.Verdict, v.Checks)
	}
}

func TestGroupsAreRunOnce(t *testing.T) {
	m := mock.Must(mock.Rule{Answer: "none"})
	pairs := append(contrasts(5), Contrast{Name: "again", Expect: "same", First: group("calm", 5), Margin: 0.7})
	o := options(t, m)
	if _, err := Run(t.Context(), pairs, o); err != nil || m.Count() != 20 {
		t.Errorf("%d requests, %v", m.Count(), err)
	}
	v, err := Run(t.Context(), pairs, o)
	if err != nil || m.Count() != 20 || v.Checks[2].Result != eval.CheckPassed {
		t.Errorf("again: %d requests, %v, %+v", m.Count(), err, v.Checks[2])
	}
}
