package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/because-lab/because/internal/stats"
)

// Text writes the tables of a study: arms by world, arms along RL, claims, ablations, checks of the
// instrument, contamination and warnings.
func Text(w io.Writer, r *Results, style Style) error {
	for _, t := range r.tables() {
		if err := t.render(w, style); err != nil {
			return fmt.Errorf("write tables: %w", err)
		}
	}
	p := painter{style: style}
	for _, s := range append([]string{r.Contamination.sentence()}, r.allWarnings()...) {
		for _, l := range wrapText(s, max(80, style.Width)) {
			p.line(p.ascii(l))
		}
	}
	if _, err := io.WriteString(w, p.String()); err != nil {
		return fmt.Errorf("write tables: %w", err)
	}
	return nil
}

func (r *Results) tables() []table {
	var tables []table
	for _, w := range r.Worlds {
		tables = append(tables, r.armsTable(w))
	}
	for _, w := range r.Worlds {
		tables = append(tables, r.curvesTable(w))
	}
	return append(tables, r.claimsTable(), r.ablationsTable(), r.checksTable())
}

// armsTable shows the arms of one world on the study's primary cell.
func (r *Results) armsTable(w World) table {
	t := table{
		title: fmt.Sprintf("Arms · %s · %s", w.title(), r.Primary),
		columns: []column{
			{head: "arm", wrap: true}, {head: "harmful [95 %]"}, {bar: true}, {head: "invalid", right: true},
			{head: "admirable", right: true}, {head: "recall", right: true},
			{head: "trained", right: true}, {head: "own", right: true},
		},
	}
	errors, recalls := 0, false
	for i := range r.Arms {
		a := &r.Arms[i]
		if a.World != w.Name {
			continue
		}
		var harmful, invalid, admirable *Count
		if e := a.Find(r.Primary); e != nil {
			harmful, invalid, admirable = e.Harmful, e.Invalid, e.Admirable
			errors += e.Errors
		}
		recall := r.recall(a)
		recalls = recalls || recall != nil
		level := cell{bar: -1}
		if harmful != nil && harmful.Rate.OK() {
			level.bar = float64(harmful.Rate)
		}
		t.rows = append(t.rows, []cell{text(a.title()), text(harmful.rate()), level, text(invalid.point()),
			text(admirable.point()), text(recall.point()), text(tokens(a.TokensTrained)), text(tokens(a.OwnTokens))})
	}
	if !recalls {
		t.drop("recall")
	}
	if errors > 0 {
		t.notes = append(t.notes, fmt.Sprintf("%s could not be scored and are in no rate", plural(errors, "sample")))
	}
	if note := r.validity(w.Name); note != "" {
		t.notes = append(t.notes, note)
	}
	return t
}

// validity says which of a world's tasks measure anything, by its known-group checks.
func (r *Results) validity(world string) string {
	verdicts := map[string]Validity{}
	for _, a := range r.Arms {
		for _, e := range a.Evals {
			if a.World == world && e.Validity != "" {
				verdicts[e.Task] = e.Validity
			}
		}
	}
	var parts []string
	for _, task := range slices.Sorted(maps.Keys(verdicts)) {
		part := task + " " + string(verdicts[task])
		if verdicts[task] == Invalid {
			part += " (its rates are not interpretable as propensities)"
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return ""
	}
	return "validity by known groups: " + strings.Join(parts, ", ")
}

func (r *Results) recall(a *Arm) *Count {
	if r.Recall == nil {
		return nil
	}
	if e := a.Find(*r.Recall); e != nil {
		return e.Correct
	}
	return nil
}

// curvesTable shows the arms of one world that RL trained: where they start, how they fare on the way
// and where they end.
func (r *Results) curvesTable(w World) table {
	t := table{
		title: fmt.Sprintf("Along RL · %s · %s", w.title(), r.Primary),
		columns: []column{{head: "arm", wrap: true}, {head: "start", right: true}, {head: "mean", right: true},
			{head: "end [95 %]"}, {bar: true}, {head: "invalid", right: true}, {head: "admirable", right: true}, {head: "reward", right: true}},
	}
	for _, a := range r.WorldArms(w.Name, true) {
		first, last := a.Curve[0], a.Curve[len(a.Curve)-1]
		level := cell{bar: -1}
		if last.Harmful.Rate.OK() {
			level.bar = float64(last.Harmful.Rate)
		}
		t.rows = append(t.rows, []cell{text(a.title()), text(first.Harmful.point()), text(meanAlong(a.Curve)),
			text(last.Harmful.rate()), level, text(last.Invalid.point()), text(last.Admirable.point()), text(rewards(a.Curve))})
	}
	return t
}

// meanAlong gives the mean harmful rate over the evaluations after the start.
func meanAlong(curve []Point) string {
	sum, n := 0.0, 0
	for _, p := range curve[min(1, len(curve)-1):] {
		if p.Harmful.Rate.OK() {
			sum, n = sum+float64(p.Harmful.Rate), n+1
		}
	}
	if n == 0 {
		return missing
	}
	return fmt.Sprintf("%.2f", sum/float64(n))
}

// rewards gives the first and the last reward of a run: "0.31 → 0.78".
func rewards(curve []Point) string {
	first, last := NaN, NaN
	for _, p := range curve {
		if p.Reward.OK() {
			if !first.OK() {
				first = p.Reward
			}
			last = p.Reward
		}
	}
	if !first.OK() {
		return missing
	}
	return fmt.Sprintf("%.2f → %.2f", first, last)
}

func (r *Results) claimsTable() table {
	t := table{
		title: "Claims · effect = treated - control, mean over seeds",
		columns: []column{{head: "id"}, {head: "claim", wrap: true}, {head: "published", wrap: true},
			{head: "ours [95 %]"}, {head: "p Holm", right: true}, {head: "verdict"}},
	}
	for _, c := range r.Claims {
		t.rows = append(t.rows, []cell{text(c.ID), text(c.Title), text(c.Published),
			text(effect(c.Effect, c.Lo, c.Hi)), text(pValue(c.PHolm)), verdictCell(c.Verdict)})
		if c.Verdict != stats.Supported {
			t.notes = append(t.notes, fmt.Sprintf("%s is %s: %s", c.ID, c.Verdict, c.Reason))
		}
	}
	return t
}

func (r *Results) ablationsTable() table {
	t := table{
		title: "Ablations and negative controls · the effect must vanish",
		columns: []column{{head: "id"}, {head: "what", wrap: true}, {head: "ours [95 %]"}, {head: "margin", right: true},
			{head: "p TOST", right: true}, {head: "verdict"}},
	}
	for _, c := range r.Ablations {
		margin, p := missing, missing
		if c.Margin != nil {
			margin = "±" + short(*c.Margin)
		}
		if c.PTOST != nil {
			p = pValue(*c.PTOST)
		}
		t.rows = append(t.rows, []cell{text(c.ID), text(c.Title), text(effect(c.Effect, c.Lo, c.Hi)),
			text(margin), text(p), verdictCell(c.Verdict)})
		if c.Verdict != stats.Null {
			t.notes = append(t.notes, fmt.Sprintf("%s is %s: %s", c.ID, c.Verdict, c.Reason))
		}
	}
	return t
}

func (r *Results) checksTable() table {
	t := table{
		title: "Known-group checks of the instrument · harmful rate",
		columns: []column{{head: "check", wrap: true}, {head: "high", wrap: true}, {head: "low", wrap: true},
			{head: "difference [95 %]"}, {head: "result"}},
	}
	for _, c := range r.Checks {
		result := cell{text: good.mark() + " passed", tone: good}
		if !c.Passed {
			result = cell{text: bad.mark() + " failed", tone: bad}
			t.notes = append(t.notes, fmt.Sprintf("%s failed: %s", c.Name, c.Reason))
		}
		t.rows = append(t.rows, []cell{text(c.Title), text(c.HighCell + " " + c.High.point()),
			text(c.LowCell + " " + c.Low.point()), text(effect(c.Difference, c.Lo, c.Hi)), result})
	}
	return t
}

func verdictCell(v stats.Verdict) cell {
	t := verdictTone(v)
	return cell{text: t.mark() + " " + string(v), tone: t}
}

// sentence says what the search for the evaluation in the training data found.
func (c Contamination) sentence() string {
	if c.Records == 0 {
		return "Contamination: no record was searched."
	}
	s := fmt.Sprintf("Contamination: %s of %s searched for %s of the evaluation; %s removed before training, %s in what was trained on.",
		thousands(c.Checked), plural(c.Records, "record"), plural(c.Spans, "span"), thousands(c.Removed), plural(c.Hits, "hit"))
	if c.Hits > 0 || c.Checked < c.Records {
		s += " The numbers above are not sound until this is mended."
	}
	return s
}

// allWarnings gives what a reader of any number must know, those that follow from the results first.
func (r *Results) allWarnings() []string {
	var out []string
	if r.Quick {
		out = append(out, "Warning: a quick run, with fewer seeds and samples than the study asks for. Its numbers are for trying things out.")
	}
	if len(r.Seeds) < stats.MinSeeds {
		out = append(out, fmt.Sprintf("Warning: %s; a verdict needs at least %d.", plural(len(r.Seeds), "seed"), stats.MinSeeds))
	}
	for _, c := range r.Checks {
		if !c.Passed {
			out = append(out, "Warning: a check of the instrument failed; no number here may be read as a propensity.")
			break
		}
	}
	for _, w := range r.Warnings {
		out = append(out, "Warning: "+w)
	}
	for _, list := range [][]Claim{r.Claims, r.Ablations} {
		for _, c := range list {
			for _, w := range c.Warnings {
				out = append(out, "Warning: "+c.ID+": "+w)
			}
		}
	}
	return out
}

// drop removes a column.
func (t *table) drop(head string) {
	for i, c := range t.columns {
		if c.head != head {
			continue
		}
		t.columns = append(append([]column{}, t.columns[:i]...), t.columns[i+1:]...)
		for j, row := range t.rows {
			t.rows[j] = append(append([]cell{}, row[:i]...), row[i+1:]...)
		}
		return
	}
}
