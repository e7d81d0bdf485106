package report

import (
	"fmt"
	"slices"

	"github.com/because-lab/because/internal/stats"
)

// Check finds the first inconsistency that the schema cannot express: counts that don't add up, references
// to nothing, names that occur twice, verdicts of the other kind.
func (r *Results) Check() error {
	if r.Schema != SchemaVersion {
		return fmt.Errorf("schema: version %d, this program knows %d", r.Schema, SchemaVersion)
	}
	worlds := map[string]bool{}
	for i, w := range r.Worlds {
		if worlds[w.Name] {
			return fmt.Errorf("worlds[%d]: %q occurs twice", i, w.Name)
		}
		worlds[w.Name] = true
	}
	if err := r.checkArms(worlds); err != nil {
		return err
	}
	claims := []stats.Verdict{stats.Supported, stats.Contradicted, stats.Inconclusive}
	if err := checkClaims("claims", r.Claims, claims); err != nil {
		return err
	}
	ablations := []stats.Verdict{stats.Null, stats.NotNull, stats.Inconclusive}
	if err := checkClaims("ablations", r.Ablations, ablations); err != nil {
		return err
	}
	for i, c := range r.Checks {
		place := fmt.Sprintf("checks[%d] (%s)", i, c.Name)
		if !worlds[c.World] {
			return fmt.Errorf("%s: no world %q", place, c.World)
		}
		if err := firstError(c.High.check(place+".high"), c.Low.check(place+".low")); err != nil {
			return err
		}
	}
	for i, d := range r.Data {
		if !worlds[d.World] {
			return fmt.Errorf("data[%d] (%s): no world %q", i, d.Name, d.World)
		}
	}
	return nil
}

func (r *Results) checkArms(worlds map[string]bool) error {
	seen := map[string]bool{}
	for i := range r.Arms {
		a := &r.Arms[i]
		place := fmt.Sprintf("arms[%d] (%s)", i, a.Name)
		id := a.World + "/" + a.Name
		switch {
		case seen[id]:
			return fmt.Errorf("%s: occurs twice in world %q", place, a.World)
		case !worlds[a.World]:
			return fmt.Errorf("%s: no world %q", place, a.World)
		case a.TokensTrained < 0 || a.OwnTokens < 0:
			return fmt.Errorf("%s: negative number of tokens", place)
		}
		seen[id] = true
		for j := range a.Evals {
			if err := a.Evals[j].check(fmt.Sprintf("%s.evals[%d]", place, j)); err != nil {
				return err
			}
		}
		for j, p := range a.Curve {
			at := fmt.Sprintf("%s.curve[%d]", place, j)
			if j > 0 && p.Step <= a.Curve[j-1].Step {
				return fmt.Errorf("%s: step %d after step %d", at, p.Step, a.Curve[j-1].Step)
			}
			if err := checkCounts(at, &p.Harmful, &p.Invalid, p.Admirable, p.Correct); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Eval) check(place string) error {
	if err := checkCounts(place, e.Harmful, e.Invalid, e.Admirable, e.Correct); err != nil {
		return err
	}
	for _, kind := range []struct {
		name   string
		pooled *Count
		seed   func(SeedCounts) *int
	}{
		{"harmful", e.Harmful, func(s SeedCounts) *int { return s.Harmful }},
		{"invalid", e.Invalid, func(s SeedCounts) *int { return s.Invalid }},
		{"admirable", e.Admirable, func(s SeedCounts) *int { return s.Admirable }},
		{"correct", e.Correct, func(s SeedCounts) *int { return s.Correct }},
	} {
		k, n, present := 0, 0, false
		for _, s := range e.BySeed {
			if v := kind.seed(s); v != nil {
				k, n, present = k+*v, n+s.N, true
			}
		}
		if present && (kind.pooled == nil || kind.pooled.K != k || kind.pooled.N != n) {
			return fmt.Errorf("%s.%s: the seeds' counts add up to %d of %d, not to the pooled count", place, kind.name, k, n)
		}
	}
	return nil
}

func checkCounts(place string, harmful, invalid, admirable, correct *Count) error {
	for _, c := range []struct {
		name  string
		count *Count
	}{{"harmful", harmful}, {"invalid", invalid}, {"admirable", admirable}, {"correct", correct}} {
		if c.count == nil {
			continue
		}
		if err := c.count.check(place + "." + c.name); err != nil {
			return err
		}
	}
	return nil
}

func (c Count) check(place string) error {
	if c.N < 0 || c.K < 0 || c.K > c.N {
		return fmt.Errorf("%s: %d events in %d samples", place, c.K, c.N)
	}
	return nil
}

var directions = []stats.Direction{stats.Lower, stats.Higher, stats.Absent}

func checkClaims(list string, claims []Claim, verdicts []stats.Verdict) error {
	seen := map[string]bool{}
	for i, c := range claims {
		place := fmt.Sprintf("%s[%d] (%s)", list, i, c.ID)
		bound, name := c.SESOI, "sesoi"
		if list == "ablations" {
			bound, name = c.Margin, "margin"
		}
		switch {
		case seen[c.ID]:
			return fmt.Errorf("%s: occurs twice", place)
		case !slices.Contains(verdicts, c.Verdict):
			return fmt.Errorf("%s: verdict %q, want one of %q", place, c.Verdict, verdicts)
		case bound == nil || !(*bound > 0):
			return fmt.Errorf("%s: %s must be positive", place, name)
		case list == "claims" && !slices.Contains(directions, c.Direction):
			return fmt.Errorf("%s: direction %q, want one of %q", place, c.Direction, directions)
		}
		seen[c.ID] = true
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
