package report

import (
	"fmt"
	"strings"
)

// The tables of this file are too long for a terminal; report.md and report.html show them.

// stagesTable says what was done in each arm.
func (r *Results) stagesTable() table {
	t := table{title: "What was done in each arm",
		columns: []column{{head: "arm"}, {head: "name in the study"}, {head: "worlds"}, {head: "stages on top of the start"}}}
	index := map[string]int{}
	for i := range r.Arms {
		a := &r.Arms[i]
		stages := strings.Join(a.Stages, "; then ")
		if stages == "" {
			stages = "nothing"
		}
		key := a.Name + "\x00" + stages
		if at, ok := index[key]; ok {
			t.rows[at][2].text += ", " + a.World
			continue
		}
		index[key] = len(t.rows)
		t.rows = append(t.rows, []cell{text(a.title()), text(a.Name), text(a.World), text(stages)})
	}
	return t
}

// evalsTable shows every cell of every evaluation of one world's arms.
func (r *Results) evalsTable(w World) table {
	t := table{title: "Every evaluation · " + w.title(),
		columns: []column{{head: "arm"}, {head: "task"}, {head: "cell"}, {head: "harmful [95 %]"}, {head: "invalid", right: true},
			{head: "admirable", right: true}, {head: "correct [95 %]"}, {head: "n", right: true}, {head: "errors", right: true}}}
	for i := range r.Arms {
		a := &r.Arms[i]
		if a.World != w.Name {
			continue
		}
		for _, e := range a.Evals {
			t.rows = append(t.rows, []cell{text(a.title()), text(e.Task), text(e.Cell), text(e.Harmful.rate()), text(e.Invalid.point()),
				text(e.Admirable.point()), text(e.Correct.rate()), text(thousands(e.samples())), text(thousands(e.Errors))})
		}
	}
	return t
}

// samples gives the n of an eval's counts.
func (e *Eval) samples() int {
	for _, c := range []*Count{e.Harmful, e.Correct, e.Invalid, e.Admirable} {
		if c != nil {
			return c.N
		}
	}
	return 0
}

// dataTable shows the data cards.
func (r *Results) dataTable() table {
	t := table{title: "Data cards",
		columns: []column{{head: "recipe"}, {head: "world"}, {head: "records", right: true}, {head: "tokens", right: true}, {head: "kept by its filters"},
			{head: "distinct 4-grams", right: true}, {head: "near-duplicates", right: true}, {head: "removed (contamination)", right: true}}}
	for _, d := range r.Data {
		title := d.Title
		if title == "" {
			title = d.Name
		}
		distinct := missing
		if d.Distinct.OK() {
			distinct = fmt.Sprintf("%.0f %%", 100*d.Distinct)
		}
		t.rows = append(t.rows, []cell{text(title), text(d.World), text(thousands(d.Records)), text(tokens(d.Tokens)), text(d.kept()),
			text(distinct), text(thousands(d.NearDuplicates)), text(thousands(d.Contaminated))})
	}
	return t
}

// seedsTable shows a claim's contrast in each seed.
func (c Claim) seedsTable() table {
	t := table{columns: []column{{head: "seed", right: true}, {head: "treated", right: true}, {head: "control", right: true}, {head: "effect", right: true}}}
	side := func(n *Number) string {
		if n == nil || !n.OK() {
			return missing
		}
		return fmt.Sprintf("%.3f", *n)
	}
	for _, s := range c.PerSeed {
		e := missing
		if s.Effect.OK() {
			e = fmt.Sprintf("%+.3f", s.Effect)
		}
		t.rows = append(t.rows, []cell{text(fmt.Sprint(s.Seed)), text(side(s.Treated)), text(side(s.Control)), text(e)})
	}
	return t
}
