package judge

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// String is the report as a text: shares, matrices, and what the judge got wrong.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s against the gold set, %s a case, seed %d\n\n", r.Judge, count(r.Votes, "vote"), r.Seed)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "cases\tagreed\tn\trate\t95 %\terrors")
	row := func(s Share) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%.2f to %.2f\t%d\n", s.Name, s.Agreed, s.N, decimal(s.Rate), s.Lo, s.Hi, s.Errors)
	}
	row(r.All)
	for _, s := range append(append([]Share{}, r.Kinds...), r.Rubrics...) {
		row(s)
	}
	row(r.Adversarial)
	flush(w)
	b.WriteString("\nAll and its parts leave the adversarial cases out. Errors are cases without a grade; n leaves them out.\n")
	for _, m := range r.Matrices {
		b.WriteString("\n" + m.String())
	}
	if len(r.Misses) > 0 {
		b.WriteString("\nDisagreements and errors\n")
	}
	for _, m := range r.Misses {
		b.WriteString("\n" + m.String())
	}
	return b.String()
}

// flush writes a table out; what it writes to can't fail.
func flush(w *tabwriter.Writer) {
	if err := w.Flush(); err != nil {
		panic("judge: " + err.Error())
	}
}

func decimal(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f", *v)
}

// String is the matrix as a table, the cases' labels down and the judge's across.
func (m Matrix) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: agreed %d of %d (%.2f to %.2f), kappa %s (%s to %s), errors %d\n",
		m.Rubric, m.Question, m.Agreed, m.N, m.Lo, m.Hi, decimal(m.Kappa), decimal(m.KappaLo), decimal(m.KappaHi), m.Errors)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "  label \\ judge\t%s\n", strings.Join(m.Labels, "\t"))
	for i, l := range m.Labels {
		fmt.Fprintf(w, "  %s", l)
		for _, n := range m.Counts[i] {
			fmt.Fprintf(w, "\t%d", n)
		}
		fmt.Fprintln(w)
	}
	flush(w)
	for _, text := range m.Warnings {
		fmt.Fprintf(&b, "  note: %s\n", text)
	}
	return b.String()
}

// String says what was wanted and what the judge gave, each with its reason.
func (m Miss) String() string {
	kind := m.Kind
	if m.Adversarial {
		kind += ", adversarial"
	}
	if m.Error != "" {
		return fmt.Sprintf("%s (%s): error: %s\n", m.Item, kind, m.Error)
	}
	return fmt.Sprintf("%s (%s): %s: want %s: %s\n  got %s: %s\n", m.Item, kind, m.Question, m.Want, m.Because, m.Got, m.Why)
}
