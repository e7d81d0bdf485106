package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"encoding/json"

	"github.com/because-lab/because/eval"
	"github.com/because-lab/because/eval/evallog"
	"github.com/because-lab/because/report"
)

// style suits the standard output.
func (a *app) style() report.Style {
	if f, ok := a.out.(*os.File); ok {
		return report.StyleFor(f)
	}
	return report.Style{Width: 100, Unicode: true}
}

// printEval prints what an evaluation counted, groups for the main scorer alone (the log has them all), and the verdict on whether
// its rates may be read as propensities.
func (a *app) printEval(title string, r *eval.Results, main string, v *eval.Validity) error {
	title += fmt.Sprintf(": %s scored, %s", amount(r.Scored, "sample"), amount(r.Errors, "error"))
	if r.Limited > 0 {
		title += fmt.Sprintf(", %d ended by a limit", r.Limited)
	}
	t := report.Table{Title: title, Columns: evalColumns("counted"), Notes: errorNotes(r)}
	groups := report.Table{Title: main + ", by group", Columns: evalColumns("group")}
	for _, s := range r.Scores {
		for _, row := range s.Rows {
			switch {
			case row.Group == "":
				t.Rows = append(t.Rows, evalRow(counted(s.Scorer, row.Outcome), row))
			case s.Scorer == main && row.Outcome == "":
				groups.Rows = append(groups.Rows, evalRow(row.Group, row))
			}
		}
		if s.NotApplicable > 0 {
			t.Notes = append(t.Notes, fmt.Sprintf("%s does not apply to %s", s.Scorer, amount(s.NotApplicable, "sample")))
		}
	}
	if len(t.Rows) == 0 {
		t.Rows = append(t.Rows, report.Row{Cells: []string{"nothing was scored"}})
	}
	if err := t.Write(a.out, a.style()); err != nil {
		return err
	}
	if err := groups.Write(a.out, a.style()); err != nil {
		return err
	}
	return a.printValidity(v)
}

func evalColumns(first string) []report.Column {
	return []report.Column{{Head: first}, {Head: "value", Right: true}, {Head: "95 %"}, {Head: "n", Right: true}, {Head: "clusters", Right: true}, {Head: "", Bar: true}}
}

func evalRow(name string, row eval.Row) report.Row {
	value, band, share := percent(row.Value), interval(row.Lo*100, row.Hi*100), row.Value
	if row.Grade {
		value, band, share = number(row.Value), interval(row.Lo, row.Hi), 0
	}
	return report.Row{Cells: []string{name, value, band, strconv.Itoa(row.N), strconv.Itoa(row.Clusters)}, Share: share}
}

// errorNotes lists the most frequent errors.
func errorNotes(r *eval.Results) []string {
	const most = 5
	var out []string
	for i, c := range r.Causes {
		if i == most {
			return append(out, fmt.Sprintf("%d more kinds of errors stand in the log", len(r.Causes)-most))
		}
		out = append(out, fmt.Sprintf("%s: %s", amount(c.Count, "error"), firstLine(c.Text)))
	}
	return out
}

// printValidity prints the verdict on a task with what it rests on.
func (a *app) printValidity(v *eval.Validity) error {
	if v == nil {
		return nil
	}
	words := map[eval.Verdict]string{
		eval.Valid:    "valid: known groups differ as they must, so its rates may be read as propensities",
		eval.Weak:     "weak: not every known-group check passed; read its rates with care",
		eval.Invalid:  "invalid: known groups do not differ as they must; its rates are NOT INTERPRETABLE as propensities of this model",
		eval.Untested: "untested: whether it measures anything on this model is unknown (because eval --gate)",
	}
	if len(v.Checks) == 0 {
		_, err := fmt.Fprintf(a.out, "This eval on this model is %s.\n\n", words[v.Verdict])
		return err
	}
	t := report.Table{Title: "This eval on this model is " + words[v.Verdict], Columns: []report.Column{{Head: "known groups", Wrap: true}, {Head: "first", Right: true},
		{Head: "second", Right: true}, {Head: "effect", Right: true}, {Head: "95 %"}, {Head: "n", Right: true}, {Head: "clusters", Right: true}, {Head: "result"}}}
	for _, c := range v.Checks {
		t.Rows = append(t.Rows, report.Row{Cells: []string{c.Name, number(c.First), number(c.Second), signed(c.Effect), interval(c.Lo, c.Hi), strconv.Itoa(c.N),
			strconv.Itoa(c.Clusters), string(c.Result)}})
		if c.Errors > 0 {
			t.Notes = append(t.Notes, fmt.Sprintf("%s: %s", c.Name, amount(c.Errors, "sample")+" failed and count nowhere"))
		}
	}
	return t.Write(a.out, a.style())
}

// validityKey is where the metadata of a log's results has the verdict.
const validityKey = "validity"

// validityOf reads the verdict from a log, nil where it has none.
func validityOf(h *evallog.Header) *eval.Validity {
	var meta map[string]json.RawMessage
	if h.Results == nil || json.Unmarshal(h.Results.Metadata, &meta) != nil || meta[validityKey] == nil {
		return nil
	}
	var v eval.Validity
	if json.Unmarshal(meta[validityKey], &v) != nil || v.Verdict == "" {
		return nil
	}
	return &v
}

// validityIn reads the verdict from a log of an earlier run, nil where there is none.
func validityIn(path string) *eval.Validity {
	r, err := evallog.Open(path)
	if err != nil {
		return nil // the run will say what is wrong with a log that is there
	}
	defer r.Close()
	return validityOf(r.Header())
}

// counted names what a row counts.
func counted(scorer, outcome string) string {
	if outcome == "" {
		return scorer
	}
	return scorer + ": " + outcome
}

func percent(x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return strconv.FormatFloat(100*x, 'f', 1, 64) + " %"
}

func number(x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return strconv.FormatFloat(x, 'f', 3, 64)
}

func signed(x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return fmt.Sprintf("%+.3f", x)
}

// interval gives [lo, hi], or a dash where there is none.
func interval(lo, hi eval.Bound) string {
	if math.IsNaN(float64(lo)) || math.IsNaN(float64(hi)) {
		return "-"
	}
	digits := 3
	if max(math.Abs(float64(lo)), math.Abs(float64(hi))) > 1.5 {
		digits = 1
	}
	return fmt.Sprintf("[%.*f, %.*f]", digits, float64(lo), digits, float64(hi))
}

func pValue(p eval.Bound) string {
	switch {
	case math.IsNaN(float64(p)):
		return "-"
	case p < 0.001:
		return "<.001"
	}
	return strings.TrimPrefix(strconv.FormatFloat(float64(p), 'f', 3, 64), "0")
}

// amount counts things in words.
func amount(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
