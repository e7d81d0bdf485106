package study

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/because-lab/because/internal/stats"
)

// cell is one rate of a contrast, in every seed.
type cell struct {
	weight  float64
	steps   []string // by seed
	outcome string
	group   string
}

// contrast finds the cells behind a claim's terms. Terms of the same rate are added up, so that they cancel where their
// weights do.
func (g *gathering) contrast(c Claim) []cell {
	f := g.s.File
	var cells []cell
	add := func(weight float64, steps []string, t Term) {
		for i := range cells {
			if slices.Equal(cells[i].steps, steps) && cells[i].outcome == t.Outcome && cells[i].group == t.Group {
				cells[i].weight += weight
				return
			}
		}
		cells = append(cells, cell{weight, steps, t.Outcome, t.Group})
	}
	for _, t := range c.Terms {
		t = f.full(c, t)
		units := g.units(t.World, t.Arm)
		if t.Step == StepLast {
			add(*t.Weight, names(units, func(u *unit) string { return u.evals[t.Eval] }), t)
			continue
		}
		points := f.rlOf(t.Arm).points()
		for i, at := range points {
			steps := names(units, func(u *unit) string { return u.along[t.Eval][i].step })
			switch {
			case t.Step == StepMean:
				add(*t.Weight/float64(len(points)), steps, t)
			case string(t.Step) == strconv.Itoa(at):
				add(*t.Weight, steps, t)
			}
		}
	}
	return cells
}

// measured is a contrast in numbers.
type measured struct {
	cells   []cell
	tallies [][]tally // by cell and seed
	effects []float64 // by seed
	n       int       // samples
}

func (g *gathering) measure(c Claim) (*measured, error) {
	m := &measured{cells: g.contrast(c), effects: make([]float64, len(g.s.File.Seeds))}
	for _, cell := range m.cells {
		var tallies []tally
		for seed, step := range cell.steps {
			t, err := g.count(step, cell.outcome, cell.group)
			if err != nil {
				return nil, err
			}
			tallies = append(tallies, t)
			m.effects[seed] += cell.weight * t.rate()
			m.n += t.n
		}
		m.tallies = append(m.tallies, tallies)
	}
	for seed := range m.effects {
		m.effects[seed] = exact(m.effects[seed])
	}
	return m, nil
}

// exact rounds away what adding up weighted rates leaves in the last digits, so that seeds that agree are seen to agree.
func exact(x float64) float64 { return math.Round(x*1e12) / 1e12 }

// sides gives the treated and the control rate in one seed, where the contrast is a difference of two (means of) rates.
func (m *measured) sides(seed int) (treated, control float64, ok bool) {
	var plus, minus float64
	for i, cell := range m.cells {
		rate := m.tallies[i][seed].rate()
		if cell.weight > 0 {
			plus, treated = plus+cell.weight, treated+cell.weight*rate
		} else {
			minus, control = minus-cell.weight, control-cell.weight*rate
		}
	}
	const rounding = 1e-9
	return treated, control, math.Abs(plus-1) < rounding && math.Abs(minus-1) < rounding
}

// estimate gives the effect with its interval and p. Seeds are the unit: Student's t over the differences within seeds.
// Where all seeds agree exactly, or there is but one, the spread between seeds is unknown, and the interval is that of
// sampling scenarios from these models; a warning says so.
func (m *measured) estimate() (stats.Estimate, stats.Mean, []string) {
	mean := stats.MeanT(m.effects, 0.95)
	e := mean.Estimate()
	if math.IsNaN(e.Effect) || !math.IsNaN(e.Lo) {
		return e, mean, mean.Warnings
	}
	e.Lo, e.Hi = m.sampling(e.Effect)
	if mean.N == 1 {
		return e, mean, nil // that there is one seed, the verdict says
	}
	e.P = m.samplingP(e.Effect)
	return e, mean, []string{fmt.Sprintf("all %d seeds gave the same effect: the interval and p are those of sampling from these models", mean.N)}
}

// pooled adds up a cell's seeds.
func (m *measured) pooled(i int) tally {
	sum := tally{}
	for _, t := range m.tallies[i] {
		sum.k, sum.n = sum.k+t.k, sum.n+t.n
	}
	return sum
}

// sampling gives the 95 % interval of an effect from the samples alone: each rate's Wilson interval, recovered into one of
// the weighted sum (for a difference of two rates, Newcombe's method 10).
//
// Source: G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures: a general approach",
// Statistics in Medicine 27 (2008) 1693-1702.
func (m *measured) sampling(effect float64) (lo, hi float64) {
	var down, up float64
	for i, cell := range m.cells {
		t := m.pooled(i)
		l, u := stats.Wilson(t.k, t.n, 0.95)
		below, above := cell.weight*(t.rate()-l), cell.weight*(u-t.rate())
		if cell.weight < 0 {
			below, above = -above, -below
		}
		down, up = down+below*below, up+above*above
	}
	return effect - math.Sqrt(down), effect + math.Sqrt(up)
}

// samplingP is the two-sided p of no effect from the samples alone, by the normal approximation with two successes and
// two failures added to each rate (Agresti and Coull), so that rates of 0 and 1 have a spread.
func (m *measured) samplingP(effect float64) float64 {
	variance := 0.0
	for i, cell := range m.cells {
		t := m.pooled(i)
		n := float64(t.n) + 4
		p := (float64(t.k) + 2) / n
		variance += cell.weight * cell.weight * p * (1 - p) / n
	}
	return math.Erfc(math.Abs(effect) / math.Sqrt(2*variance))
}

// spell writes a contrast in words: "deliberation - replay", with what tells the terms apart.
func (g *gathering) spell(c Claim) string {
	f := g.s.File
	var full []Term
	for _, t := range c.Terms {
		full = append(full, f.full(c, t))
	}
	vary := func(of func(Term) string) bool {
		return slices.ContainsFunc(full, func(t Term) bool { return of(t) != of(full[0]) })
	}
	evals, outcomes := vary(func(t Term) string { return t.Eval }), vary(func(t Term) string { return t.Outcome })
	groups, worlds := vary(func(t Term) string { return t.Group }), vary(func(t Term) string { return t.World })
	var b strings.Builder
	for i, t := range full {
		w := *t.Weight
		switch {
		case w < 0:
			b.WriteString(map[bool]string{true: "- ", false: " - "}[i == 0])
		case i > 0:
			b.WriteString(" + ")
		}
		if w := math.Abs(w); w != 1 {
			b.WriteString(strconv.FormatFloat(w, 'g', 4, 64) + " x ")
		}
		b.WriteString(t.Arm)
		var notes []string
		for _, note := range []struct {
			show bool
			text string
		}{{outcomes, t.Outcome}, {evals, t.Eval}, {groups, groupWords(t.Group)}, {worlds, "in " + t.World},
			{t.Step == StepMean, "mean along RL"}, {t.Step != StepMean && t.Step != StepLast, "step " + string(t.Step)}} {
			if note.show {
				notes = append(notes, note.text)
			}
		}
		if notes != nil {
			b.WriteString(" (" + strings.Join(notes, ", ") + ")")
		}
	}
	if !worlds && full[0].World != f.Worlds[0].Name {
		b.WriteString(", in " + full[0].World)
	}
	return b.String()
}

func groupWords(group string) string {
	if group == "" {
		return "all"
	}
	return group
}

// metric says what a claim counts, where all its terms count the same.
func (g *gathering) metric(c Claim) string {
	first := g.s.File.full(c, c.Terms[0])
	for _, t := range c.Terms {
		if t = g.s.File.full(c, t); t.Eval != first.Eval || t.Outcome != first.Outcome || t.Group != first.Group {
			return "rates as in the contrast"
		}
	}
	text := fmt.Sprintf("%s rate, %s", first.Outcome, first.Eval)
	if first.Group != "" {
		text += ", " + first.Group
	}
	return text
}
