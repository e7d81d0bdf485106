package quality

import (
	"fmt"
	"strings"

	"github.com/because-lab/because/judge"
)

// print prints what a judge found: how many records, then each question, then what could not be graded and why.
func (j Judged) print(b *strings.Builder) {
	fmt.Fprintf(b, "\njudged by %s, rubric %s %s", j.Judge, j.Rubric, j.Hash)
	if j.Constitution != "" {
		fmt.Fprintf(b, ", constitution %s", j.Constitution)
	}
	fmt.Fprintf(b, "\n  %d of %d records", j.Drawn, j.Of)
	if j.Drawn < j.Of {
		fmt.Fprintf(b, ", drawn by seed %d", j.Seed)
	}
	fmt.Fprintf(b, ": %d graded, %d unusable", j.Graded, j.Unusable)
	if j.Failed > 0 {
		fmt.Fprintf(b, ", %d with failed requests", j.Failed)
	}
	if j.Without > 0 {
		fmt.Fprintf(b, ", %d with nothing to grade", j.Without)
	}
	b.WriteString("\n")
	for _, s := range j.Scores {
		s.print(b)
	}
	for _, r := range sorted(j.Reasons) {
		fmt.Fprintf(b, "  not graded %d: %s\n", j.Reasons[r], r)
	}
	if len(j.Excerpts) > 0 {
		var list []string
		for _, how := range sorted(j.Excerpts) {
			list = append(list, fmt.Sprintf("%s %d", how, j.Excerpts[how]))
		}
		fmt.Fprintf(b, "  part of the constitution shown: %s\n", strings.Join(list, ", "))
	}
	if j.SelfJudged > 0 {
		fmt.Fprintf(b, "  %d of the graded records were written by the judge's own model; models prefer their own work\n", j.SelfJudged)
	}
	if j.Shortened > 0 {
		fmt.Fprintf(b, "  %d of the graded records were too long to be shown whole\n", j.Shortened)
	}
}

// print prints one question on a line, with a second one for each warning.
func (s JudgeScore) print(b *strings.Builder) {
	name := s.Question
	if s.Label != "" {
		name += ": " + s.Label
	}
	about, form, factor := fmt.Sprintf("mean of %d to %d, t interval", s.Min, s.Max), "%.2f", 1.0
	if s.Kind != judge.Scale {
		about, form, factor = "share of yes, Wilson interval", "%.1f", 100
		if s.Label != "" {
			about = "share, Wilson interval"
		}
	}
	value, band := "-", "-"
	if s.Mean != nil {
		value = fmt.Sprintf(form, factor**s.Mean)
		if factor == 100 {
			value += " %"
		}
	}
	if s.Lo != nil && s.Hi != nil {
		band = fmt.Sprintf("["+form+", "+form+"]", factor**s.Lo, factor**s.Hi)
	}
	fmt.Fprintf(b, "  %-16s %8s  95 %% %-15s n %d  (%s)\n", name, value, band, s.N, about)
	if s.Undecided > 0 {
		fmt.Fprintf(b, "    %d more with divided votes\n", s.Undecided)
	}
	for _, w := range s.Warnings {
		fmt.Fprintf(b, "    note: %s\n", w)
	}
}
