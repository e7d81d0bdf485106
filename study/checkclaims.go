package study

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/because-lab/because/train"
)

func (f *File) checkClaims() error {
	seen := map[string]string{}
	for i, c := range f.Claims {
		path := fmt.Sprintf("claims[%d]", i)
		if err := f.checkClaimID(path, c.ID, seen); err != nil {
			return err
		}
		switch c.Predict {
		case PredictLower, PredictHigher:
			if c.Margin != nil {
				return f.bad(path+".margin", "remove it, or predict: same", "a claim of an effect has a sesoi and no margin")
			}
			if err := f.checkBound(path+".sesoi", c.SESOI, "give the smallest effect size of interest, such as sesoi: 0.1"); err != nil {
				return err
			}
		case PredictSame:
			if c.SESOI != nil {
				return f.bad(path+".sesoi", "remove it, or predict: lower or higher", "a claim of no effect has a margin and no sesoi")
			}
			if err := f.checkBound(path+".margin", c.Margin, "give the margin within which effects count as none, such as margin: 0.1"); err != nil {
				return err
			}
		case "":
			return f.bad(path+".predict", "use lower, higher or same", "missing")
		default:
			return f.bad(path+".predict", "use lower, higher or same", "no prediction is named %q", c.Predict)
		}
		if err := f.checkTerms(path, c); err != nil {
			return err
		}
	}
	return nil
}

func (f *File) checkClaimID(path, id string, seen map[string]string) error {
	if id == "" {
		return f.bad(path+".id", "", "missing")
	}
	if first, twice := seen[id]; twice {
		return f.bad(path+".id", "give it another id", "%q is taken by %s", id, f.other(first))
	}
	seen[id] = path
	return nil
}

func (f *File) checkBound(path string, bound *float64, hint string) error {
	switch {
	case bound == nil:
		return f.bad(path, hint, "missing")
	case !(*bound > 0) || math.IsInf(*bound, 0):
		return f.bad(path, hint, "is %v; it must be positive", *bound)
	}
	return nil
}

// full gives a term with what it takes from its claim filled in.
func (f *File) full(c Claim, t Term) Term {
	fill := func(to *string, from string) {
		if *to == "" {
			*to = from
		}
	}
	fill(&t.Eval, c.Eval)
	fill(&t.Outcome, c.Outcome)
	fill(&t.Group, c.Group)
	fill(&t.World, f.worldOr(c.World))
	if t.Step == "" {
		t.Step = StepLast
	}
	if t.Weight == nil {
		t.Weight = new(1.0)
	}
	return t
}

// checkTerms checks a contrast: each term must be measured.
func (f *File) checkTerms(path string, c Claim) error {
	if c.World != "" {
		if err := f.checkRef(path+".world", "world", c.World, f.worldNames()); err != nil {
			return err
		}
	}
	if len(c.Terms) == 0 {
		return f.bad(path+".contrast", "such as contrast: [{arm: a}, {arm: b, weight: -1}]", "missing")
	}
	for i, t := range c.Terms {
		if err := f.checkTerm(path, fmt.Sprintf("%s.contrast[%d]", path, i), c, t); err != nil {
			return err
		}
	}
	return nil
}

func (f *File) checkTerm(claim, path string, c Claim, t Term) error {
	// A key that the term lacks was taken from the claim, and that is where it is wrong.
	at := func(key, own string) string {
		if own == "" {
			return claim + "." + key
		}
		return path + "." + key
	}
	full := f.full(c, t)
	if err := f.checkRef(path+".arm", "arm", full.Arm, f.armNames()); err != nil {
		return err
	}
	switch {
	case full.Eval == "":
		return f.bad(at("eval", t.Eval), "say which eval the claim is about", "missing")
	case full.Outcome == "":
		return f.bad(at("outcome", t.Outcome), "say which outcome the claim counts, such as outcome: harmful", "missing")
	}
	if err := f.checkRef(at("eval", t.Eval), "eval", full.Eval, f.evalNames()); err != nil {
		return err
	}
	if err := f.checkRef(at("world", t.World), "world", full.World, f.worldNames()); err != nil {
		return err
	}
	if w := *full.Weight; w == 0 || math.IsInf(w, 0) || math.IsNaN(w) {
		return f.bad(path+".weight", "", "is %v; a term must count", w)
	}
	if !f.inWorld(full.Arm, full.World) {
		return f.bad(path+".arm", "let it run there, or leave it out", "arm %s does not run in world %s", full.Arm, full.World)
	}
	if !f.measures(full.Eval, full.Arm, full.World) {
		return f.bad(path+".arm", "add it to the arms or worlds of the eval, or the eval to those of the arm",
			"eval %s is not run on arm %s in world %s", full.Eval, full.Arm, full.World)
	}
	return f.checkStep(path+".step", full)
}

// checkStep checks that a term's step is evaluated.
func (f *File) checkStep(path string, t Term) error {
	if t.Step == StepLast {
		return nil
	}
	rl := f.rlOf(t.Arm)
	if rl == nil {
		return f.bad(path, "remove it", "the last stage of arm %s is not RL, so it has no steps", t.Arm)
	}
	if !slices.Contains(f.Along, t.Eval) {
		return f.bad(path, "add it: along: ["+t.Eval+"]", "eval %s is not run along RL", t.Eval)
	}
	if t.Step == StepMean {
		return nil
	}
	n, err := strconv.Atoi(string(t.Step))
	if err != nil || strconv.Itoa(n) != string(t.Step) {
		return f.bad(path, "give a number of updates, last or mean", "no step is named %q", t.Step)
	}
	if points := rl.points(); !slices.Contains(points, n) {
		return f.bad(path, fmt.Sprintf("evaluated are %v; add others to snapshots", points), "step %d of arm %s is not evaluated", n, t.Arm)
	}
	return nil
}

// rlOf gives the merged settings of an arm's last stage where that is RL, else nil.
func (f *File) rlOf(arm string) *Settings {
	stages := f.arm(arm).Stages
	if len(stages) == 0 || stages[len(stages)-1].RL == nil {
		return nil
	}
	return f.merged(train.RL, stages[len(stages)-1].RL)
}

// points gives the steps at which merged RL settings are evaluated: the start, all snapshots, the end.
func (s *Settings) points() []int {
	points := append([]int{0}, s.Snapshots...)
	if points[len(points)-1] != *s.Steps {
		points = append(points, *s.Steps)
	}
	return points
}

func (f *File) checkAblations() error {
	seen := map[string]string{}
	for i, c := range f.Claims {
		seen[c.ID] = fmt.Sprintf("claims[%d]", i)
	}
	for i, a := range f.Ablations {
		path := fmt.Sprintf("ablations[%d]", i)
		if err := f.checkBound(path+".margin", a.Margin, "give the margin within which effects count as none, such as margin: 0.1"); err != nil {
			return err
		}
		switch {
		case a.SESOI != nil:
			return f.bad(path+".sesoi", "remove it", "an ablation has a margin and no sesoi")
		case a.Predict != "":
			return f.bad(path+".predict", "remove it", "an ablation predicts that the effect is gone")
		}
		if a.Repeat != nil {
			if err := f.checkRepeat(path, a, seen); err != nil {
				return err
			}
			continue
		}
		if err := f.checkClaimID(path, a.ID, seen); err != nil {
			return err
		}
		if err := f.checkTerms(path, a.Claim); err != nil {
			return err
		}
	}
	return nil
}

// checkRepeat checks an ablation that repeats claims in another world.
func (f *File) checkRepeat(path string, a Ablation, seen map[string]string) error {
	for _, key := range []struct{ name, value string }{{"id", a.ID}, {"says", a.Says}, {"published", a.Published},
		{"eval", a.Eval}, {"outcome", a.Outcome}, {"group", a.Group}} {
		if key.value != "" {
			return f.bad(path+"."+key.name, "remove it: all but world, margin and note is the claims' own", "does not go with repeat")
		}
	}
	if a.Terms != nil {
		return f.bad(path+".contrast", "remove it: the claims' contrasts are repeated", "does not go with repeat")
	}
	if len(a.Repeat) == 0 {
		return f.bad(path+".repeat", "list the ids of claims", "no claims")
	}
	if a.World == "" {
		return f.bad(path+".world", "say in which world the claims are repeated", "missing")
	}
	if err := f.checkRef(path+".world", "world", a.World, f.worldNames()); err != nil {
		return err
	}
	if err := f.checkRefs(path+".repeat", "claim", a.Repeat, names(f.Claims, func(c Claim) string { return c.ID })); err != nil {
		return err
	}
	for i := range a.Repeat {
		at := fmt.Sprintf("%s.repeat[%d]", path, i)
		c := f.repeated(a, i)
		if first, twice := seen[c.ID]; twice {
			return f.bad(at, "remove one of them", "%q is taken by %s", c.ID, f.other(first))
		}
		seen[c.ID] = at
		for j, t := range c.Terms {
			if err := f.checkTerm(at, at, c, t); err != nil {
				return f.bad(at, "let the arms and evals of the claim run in that world",
					"contrast[%d] of claim %s can't be measured in world %s: %w", j, a.Repeat[i], a.World, unplaced(err))
			}
		}
	}
	return nil
}

// repeated gives the i-th claim that an ablation repeats, as it is repeated.
func (f *File) repeated(a Ablation, i int) Claim {
	at := slices.IndexFunc(f.Claims, func(c Claim) bool { return c.ID == a.Repeat[i] })
	c := f.Claims[at]
	c.ID = fmt.Sprintf("%s (%s)", c.ID, a.World)
	c.World, c.Margin, c.Note = a.World, a.Margin, a.Note
	c.Predict, c.SESOI, c.Published = "", nil, ""
	c.Terms = slices.Clone(c.Terms)
	for j := range c.Terms {
		c.Terms[j].World = a.World
	}
	return c
}

// ablations gives all ablations as claims with a margin.
func (f *File) ablations() []Claim {
	var out []Claim
	for _, a := range f.Ablations {
		if a.Repeat == nil {
			out = append(out, a.Claim)
		}
		for i := range a.Repeat {
			out = append(out, f.repeated(a, i))
		}
	}
	return out
}
