package main

import (
	"bufio"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/because-lab/because/internal/graph"
	"github.com/because-lab/because/study"
)

func newStudyPlan(a *app) *cobra.Command {
	var o studyOptions
	cmd := &cobra.Command{
		Use:   "plan [FILE]",
		Short: "show what a run of a study would do",
		Long: `Plan lists the steps of a study: cached (the store has the output), stale (it has an output made from something else;
what changed is named) or missing, with the tokens that a step trains on and its share of the work. It changes nothing.`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, models, err := a.openStudy(cmd.Context(), first(args), o, o.options())
			if err != nil {
				return err
			}
			defer models.Close()
			return a.printPlan(cmd.Context(), s)
		},
	}
	o.add(cmd)
	return cmd
}

// printPlan prints a line per step and a summary.
func (a *app) printPlan(ctx context.Context, s *study.Study) error {
	plan, err := s.Plan(ctx)
	if err != nil {
		return err
	}
	total := 0.0
	for _, step := range plan.Steps {
		total += step.Cost.FLOP
	}
	out := bufio.NewWriter(a.out)
	fmt.Fprintf(out, "%-8s %8s %7s  %s\n", "state", "tokens", "work", "step")
	for _, step := range plan.Steps {
		fmt.Fprintln(out, planLine(step, total))
	}
	fmt.Fprintf(out, "\n%s\n", planSummary(s.File.Study, plan, cores(0)))
	return out.Flush()
}

// planLine shows a step: its state, its cost, its name, and why it is not cached where that can be told.
func planLine(step study.PlanStep, total float64) string {
	tokens := "-"
	if step.Cost.Tokens > 0 {
		tokens = count(step.Cost.Tokens)
	}
	line := fmt.Sprintf("%-8s %8s %6.2f%%  %s", step.State, tokens, 100*step.Cost.FLOP/total, step.ID)
	switch {
	case step.State != graph.Cached && !step.Runs:
		line += "  (not needed)"
	case step.Reason != "":
		line += "  (" + step.Reason + ")"
	}
	return line
}
