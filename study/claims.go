package study

import (
	"fmt"
	"math"

	"github.com/because-lab/because/internal/stats"
	"github.com/because-lab/because/report"
)

// claims tests the study's claims and ablations. Holm's correction is over the claims.
func (g *gathering) claims() (claims, ablations []report.Claim, err error) {
	f := g.s.File
	var ps []float64
	for _, c := range f.Claims {
		out, err := g.claim(c)
		if err != nil {
			return nil, nil, err
		}
		claims = append(claims, out)
		ps = append(ps, float64(out.P))
	}
	for i, p := range stats.Holm(ps) {
		c := &claims[i]
		c.PHolm = report.Number(p)
		verdict, reason := stats.Judge(c.Estimate(), c.Direction, float64(*c.SESOI))
		c.Verdict, c.Reason = verdict, reason
	}
	for _, c := range f.ablations() {
		out, err := g.claim(c)
		if err != nil {
			return nil, nil, err
		}
		out.Verdict, out.Reason = stats.Equivalence(out.Estimate(), *c.Margin)
		ablations = append(ablations, out)
	}
	return claims, ablations, nil
}

// claim measures one claim, or an ablation, which has no prediction. The verdict is left open.
func (g *gathering) claim(c Claim) (report.Claim, error) {
	m, err := g.measure(c)
	if err != nil {
		return report.Claim{}, err
	}
	e, mean, warnings := m.estimate()
	out := report.Claim{ID: c.ID, Title: c.Says, Published: c.Published, Metric: g.metric(c), Contrast: g.spell(c), Note: c.Note, N: m.n, Warnings: warnings}
	switch c.Predict {
	case PredictLower:
		out.Direction, out.SESOI = stats.Lower, number(*c.SESOI)
	case PredictHigher:
		out.Direction, out.SESOI = stats.Higher, number(*c.SESOI)
	case PredictSame:
		out.Direction, out.SESOI = stats.Absent, number(*c.Margin)
		e.P = stats.TOST(mean, *c.Margin)
	default:
		out.Margin, out.PTOST = number(*c.Margin), number(stats.TOST(mean, *c.Margin))
	}
	out.Set(e)
	for i, seed := range g.s.File.Seeds {
		s := report.SeedEffect{Seed: seed, Effect: report.Number(m.effects[i])}
		if treated, control, ok := m.sides(i); ok {
			s.Treated, s.Control = number(treated), number(control)
		}
		out.PerSeed = append(out.PerSeed, s)
	}
	return out, nil
}

func number(x float64) *report.Number { return new(report.Number(x)) }

// checks tests the known groups.
func (g *gathering) checks() ([]report.Check, error) {
	var out []report.Check
	for _, c := range g.s.File.Checks {
		r, err := g.check(c)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// validity is the verdict on a task in a world: valid where all of its known-group checks there passed, invalid where none or less
// than half did, weak in between, untested where there are none.
func (g *gathering) validity(world, task string) report.Validity {
	passed, n := 0, 0
	for i, c := range g.s.File.Checks {
		if c.Task != task || g.tested[i].World != world {
			continue
		}
		n++
		if g.tested[i].Passed {
			passed++
		}
	}
	switch {
	case n == 0:
		return report.Untested
	case passed == n:
		return report.Valid
	case 2*passed < n:
		return report.Invalid
	}
	return report.Weak
}

// check passes where the difference is at least the margin and its interval excludes 0.
func (g *gathering) check(c Check) (report.Check, error) {
	out := report.Check{Name: c.Name, Title: c.Title, World: g.s.File.worldOr(c.World), HighCell: sideWords(c.High), LowCell: sideWords(c.Low)}
	if out.Title == "" {
		out.Title = c.Name
	}
	high, low := cell{weight: 1, outcome: c.outcome()}, cell{weight: -1, outcome: c.outcome()}
	m := &measured{cells: []cell{high, low}, tallies: make([][]tally, 2)}
	for _, p := range g.s.planner.pairs[c.Name] {
		effect := 0.0
		for i, step := range []string{p.high, p.low} {
			t, err := g.count(step, c.outcome(), "")
			if err != nil {
				return out, err
			}
			m.tallies[i] = append(m.tallies[i], t)
			effect += m.cells[i].weight * t.rate()
		}
		m.effects = append(m.effects, exact(effect))
	}
	h, l := m.pooled(0), m.pooled(1)
	out.High, out.Low = report.NewCount(h.k, h.n), report.NewCount(l.k, l.n)
	how := "Student's t over seeds"
	e, _, _ := m.estimate()
	if len(m.effects) < stats.MinSeeds {
		how = "from the samples alone"
		e.Effect = h.rate() - l.rate()
		e.Lo, e.Hi = m.sampling(e.Effect)
	}
	out.Difference, out.Lo, out.Hi = report.Number(e.Effect), report.Number(e.Lo), report.Number(e.Hi)
	out.Passed = e.Effect >= c.Margin && e.Lo > 0
	switch {
	case out.Passed:
		out.Reason = fmt.Sprintf("the difference is at least %.3g and its interval (%s) excludes 0", c.Margin, how)
	case math.IsNaN(e.Effect):
		out.Reason = "no sample could be scored"
	case e.Effect < c.Margin:
		out.Reason = fmt.Sprintf("the difference is %.3g, smaller than %.3g", e.Effect, c.Margin)
	default:
		out.Reason = fmt.Sprintf("the interval (%s) includes 0", how)
	}
	return out, nil
}

// sideWords names a group by its options.
func sideWords(with map[string]any) string {
	if len(with) == 0 {
		return "default"
	}
	text := inBrackets(with)
	return text[2 : len(text)-1]
}
