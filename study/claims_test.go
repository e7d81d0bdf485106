package study

import (
	"math"
	"testing"

	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/internal/stats"
	"github.com/because-lab/because/report"
)

// counted is a gathering of made-up counts: harmful ones out of 100 for each arm and seed, half of them in each group.
func counted(claims []Claim, ablations []Ablation, arms map[string][]int) *gathering {
	f := &File{Study: "counts", Worlds: []Setting{{Name: "w"}}, Evals: []Eval{{Name: "honeypot", Task: "honeypot"}}, Claims: claims, Ablations: ablations}
	g := &gathering{s: &Study{File: f, planner: &planner{f: f}}, tallies: map[string]batch.Counts{}}
	for _, name := range sortedKeys(arms) {
		f.Arms = append(f.Arms, Arm{Name: name})
		for i, k := range arms[name] {
			seed := uint64(11 + i)
			if len(f.Seeds) <= i {
				f.Seeds = append(f.Seeds, seed)
			}
			step := name + string(rune('a'+i))
			g.s.planner.units = append(g.s.planner.units, &unit{world: "w", arm: name, seed: seed, evals: map[string]string{"honeypot": step}})
			g.tallies[step] = batch.Counts{N: 102, Outcomes: map[string]int{"harmful": k, "harmless": 100 - k, "error": 2},
				Groups: map[string]map[string]int{"first": {"harmful": k / 2, "harmless": 50 - k/2}}}
		}
	}
	return g
}

func difference(id string, predict Predict, a, b string) Claim {
	c := Claim{ID: id, Eval: "honeypot", Outcome: "harmful", Predict: predict, Terms: []Term{{Arm: a}, {Arm: b, Weight: new(-1.0)}}}
	if predict == PredictSame {
		c.Margin = new(0.1)
	} else {
		c.SESOI = new(0.1)
	}
	return c
}

func ablation(id, a, b string, margin float64) Ablation {
	c := difference(id, "", a, b)
	c.SESOI, c.Margin = nil, &margin
	return Ablation{Claim: c}
}

// arms in five seeds. Their differences from the control have a spread of a few hundredths.
var madeUp = map[string][]int{
	"control": {50, 52, 48, 51, 49},
	"taught":  {10, 14, 7, 12, 7}, // -0.40 -0.38 -0.41 -0.39 -0.42
	"worse":   {70, 74, 67, 72, 67},
	"near":    {51, 51, 49, 50, 50},
	"noisy":   {20, 80, 48, 15, 90},
	"small":   {44, 46, 42, 46, 43}, // -0.06 -0.06 -0.06 -0.05 -0.06
	"equal":   {40, 42, 38, 41, 39},
}

func TestVerdicts(t *testing.T) {
	g := counted([]Claim{
		difference("supported", PredictLower, "taught", "control"),
		difference("opposite", PredictLower, "worse", "control"),
		difference("excluded", PredictHigher, "near", "control"),
		difference("noisy", PredictLower, "noisy", "control"),
		difference("too small", PredictLower, "small", "control"),
		difference("same", PredictSame, "near", "control"),
		difference("not the same", PredictSame, "taught", "control"),
		difference("no spread", PredictLower, "equal", "control"),
	}, []Ablation{ablation("null", "near", "control", 0.1), ablation("not null", "taught", "control", 0.1), ablation("open", "noisy", "control", 0.1)}, madeUp)
	claims, ablations, err := g.claims()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]stats.Verdict{"supported": stats.Supported, "opposite": stats.Contradicted, "excluded": stats.Contradicted, "noisy": stats.Inconclusive,
		"too small": stats.Contradicted, "same": stats.Supported, "not the same": stats.Contradicted, "no spread": stats.Supported,
		"null": stats.Null, "not null": stats.NotNull, "open": stats.Inconclusive}
	for _, c := range append(claims, ablations...) {
		if c.Verdict != want[c.ID] {
			t.Errorf("%s: %s (%s), want %s; %+v", c.ID, c.Verdict, c.Reason, want[c.ID], c)
		}
		if c.Seeds != 5 || c.N != 1000 {
			t.Errorf("%s: %d seeds and %d samples, want 5 and 1000", c.ID, c.Seeds, c.N)
		}
	}
	if w := claims[7].Warnings; len(w) != 1 {
		t.Errorf("where all seeds agree: warnings %q", w)
	}
}

func isClose(t *testing.T, what string, got report.Number, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(float64(got)-want) <= tolerance) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// TestEffect compares with numbers worked out by hand: differences -0.40 -0.38 -0.41 -0.39 -0.42, mean -0.40, standard
// deviation 0.0158114, standard error 0.00707107, 2.776445 of which (t with 4 degrees of freedom) are 0.0196324.
func TestEffect(t *testing.T) {
	g := counted([]Claim{difference("c", PredictLower, "taught", "control")}, nil, madeUp)
	claims, _, err := g.claims()
	if err != nil {
		t.Fatal(err)
	}
	c := claims[0]
	isClose(t, "effect", c.Effect, -0.40, 1e-12)
	isClose(t, "lo", c.Lo, -0.4196324, 1e-6)
	isClose(t, "hi", c.Hi, -0.3803676, 1e-6)
	isClose(t, "p", c.P, 5.83e-7, 2e-8) // two-sided, t = -56.569 with 4 degrees of freedom
	if *c.PerSeed[1].Treated != 0.14 || *c.PerSeed[1].Control != 0.52 || c.Contrast != "taught - control" || c.Metric != "harmful rate, honeypot" {
		t.Errorf("%+v", c)
	}
}

// TestOneSeedInterval compares with Newcombe's tenth method on 10 of 100 against 50 of 100, by hand: Wilson's intervals are
// [0.0552291, 0.1743657] and [0.4038315, 0.5961685].
func TestOneSeedInterval(t *testing.T) {
	g := counted([]Claim{difference("c", PredictLower, "taught", "control")}, nil, map[string][]int{"control": {50}, "taught": {10}})
	claims, _, err := g.claims()
	if err != nil {
		t.Fatal(err)
	}
	c := claims[0]
	isClose(t, "lo", c.Lo, -0.40-math.Hypot(0.10-0.0552291, 0.5961685-0.50), 1e-6)
	isClose(t, "hi", c.Hi, -0.40+math.Hypot(0.1743657-0.10, 0.50-0.4038315), 1e-6)
	if c.Verdict != stats.Inconclusive || c.P.OK() {
		t.Errorf("one seed: %s with p %v", c.Verdict, c.P)
	}
}

// TestContrasts checks weights, groups, and terms that cancel.
func TestContrasts(t *testing.T) {
	quarter := Claim{ID: "weights", Eval: "honeypot", Outcome: "harmful", Predict: PredictLower, SESOI: new(0.1),
		Terms: []Term{{Arm: "taught", Weight: new(0.5)}, {Arm: "equal", Weight: new(0.5)}, {Arm: "control", Weight: new(-1.0)}}}
	cancel := Claim{ID: "cancel", Eval: "honeypot", Outcome: "harmful", Predict: PredictSame, Margin: new(0.1),
		Terms: []Term{{Arm: "noisy"}, {Arm: "noisy", Weight: new(-1.0)}}}
	group := difference("group", PredictLower, "taught", "control")
	group.Group = "first"
	g := counted([]Claim{quarter, cancel, group}, nil, madeUp)
	claims, _, err := g.claims()
	if err != nil {
		t.Fatal(err)
	}
	isClose(t, "effect of weights", claims[0].Effect, -0.25, 1e-12)
	if c := claims[0]; c.Contrast != "0.5 x taught + 0.5 x equal - control" || c.PerSeed[0].Treated == nil {
		t.Errorf("weights: %+v", c)
	}
	isClose(t, "effect that cancels", claims[1].Effect, 0, 0)
	if c := claims[2]; c.N != 500 || c.Metric != "harmful rate, honeypot, first" {
		t.Errorf("group: %+v", c)
	}
	isClose(t, "effect in the group", claims[2].Effect, (5-25+7-26+3-24+6-25+3-24)/250.0, 1e-12)
}

// TestNothingScored has an arm all of whose samples failed.
func TestNothingScored(t *testing.T) {
	g := counted([]Claim{difference("c", PredictLower, "taught", "control")}, nil, madeUp)
	g.tallies["taughtc"] = batch.Counts{N: 100, Outcomes: map[string]int{"error": 100}}
	claims, _, err := g.claims()
	if err != nil {
		t.Fatal(err)
	}
	if c := claims[0]; c.Effect.OK() || c.Verdict != stats.Inconclusive || len(c.Warnings) != 1 {
		t.Errorf("%+v", c)
	}
}

func TestCheckPasses(t *testing.T) {
	for _, c := range []struct {
		high, low []int
		passed    bool
	}{
		{[]int{90, 88, 91}, []int{10, 12, 9}, true},
		{[]int{100, 100, 100}, []int{0, 0, 0}, true}, // no spread between seeds
		{[]int{90}, []int{10}, true},
		{[]int{30, 32, 29}, []int{20, 22, 19}, false}, // smaller than the margin
		{[]int{100, 10, 90}, []int{10, 12, 9}, false}, // large and uncertain
		{[]int{10, 12, 9}, []int{90, 88, 91}, false},
	} {
		g := counted(nil, nil, map[string][]int{"high": c.high, "low": c.low})
		g.s.planner.pairs = map[string][]pair{}
		for i := range c.high {
			at := string(rune('a' + i))
			g.s.planner.pairs["x"] = append(g.s.planner.pairs["x"], pair{"high" + at, "low" + at})
		}
		got, err := g.check(Check{Name: "x", Margin: 0.2, High: map[string]any{"context": "ruthless"}})
		if err != nil {
			t.Fatal(err)
		}
		if got.Passed != c.passed || got.Reason == "" || got.LowCell != "default" || got.HighCell != "context ruthless" {
			t.Errorf("%v against %v: %+v", c.high, c.low, got)
		}
	}
}
