package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/conduct"
	"github.com/because-lab/because/judge"
)

// judgeOptions are the flags of judge check.
type judgeOptions struct {
	modelOptions
	judge  string
	only   []string
	gold   string
	votes  int
	schema bool
	seed   uint64
	json   bool
}

func newJudge(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "judge check",
		Short: "measure a judge against labelled transcripts",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("judge", args[0], "there is judge check", "unknown command")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newJudgeCheck(a))
	return cmd
}

func newJudgeCheck(a *app) *cobra.Command {
	var o judgeOptions
	cmd := &cobra.Command{
		Use:   "check --judge MODEL",
		Short: "grade the gold set and say how far the judge agrees with its labels",
		Long: `Check lets a model grade transcripts whose answers are known, by the rubrics of the honeypots and of understanding,
and prints, rubric by rubric, how often it agrees with the labels (with a 95 % interval), Cohen's kappa, what it
confuses with what, and how many of its answers could not be read. Some transcripts try to talk the judge round;
they are also counted apart.`,
		Example: `  because judge check --judge openai/gpt-5-mini
  because judge check --judge local:SmolLM2-135M-Instruct.gguf --only threat`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.judgeCheck(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.judge, "judge", "", "the "+chatModelHelp+" (required)")
	f.StringSliceVar(&o.only, "only", nil, "`rubrics` to check (default: all with labelled cases)")
	f.StringVar(&o.gold, "gold", "", "`file` of labelled cases to use instead of the built-in ones")
	f.IntVar(&o.votes, "votes", 1, "odd `number` of times that each case is graded; the majority counts")
	f.BoolVar(&o.schema, "schema", true, "ask for structured answers, where the model can give them")
	f.Uint64Var(&o.seed, "seed", 1, "seed `number` of orders and answers")
	f.BoolVar(&o.json, "json", false, "print JSON")
	o.modelOptions.addTo(f)
	return cmd
}

// cases gives the labelled cases: the user's, or those of the evaluations' rubrics and of the one by which deliberation is chosen for training.
func (o judgeOptions) cases() ([]judge.Item, map[string]*judge.Rubric, error) {
	if o.gold != "" {
		items, err := judge.LoadGold(o.gold)
		return items, nil, err
	}
	items, err := judge.Gold()
	if err != nil {
		return nil, nil, err
	}
	more, rubric, err := conduct.Gold()
	return append(items, more...), map[string]*judge.Rubric{rubric.Name: rubric}, err
}

func (a *app) judgeCheck(ctx context.Context, o judgeOptions) error {
	if o.judge == "" {
		return usage("judge check", "--judge", "see because judge check --help", "is missing")
	}
	models, err := a.newChats(o.modelOptions, nil)
	if err != nil {
		return err
	}
	defer models.Close()
	m, err := models.get(ctx, o.judge)
	if err != nil {
		return err
	}
	items, rubrics, err := o.cases()
	if err != nil {
		return err
	}
	a.interrupt.allow(10 * time.Second)
	progress := a.showEval(ctx, o.json)
	defer progress.Stop()
	report, done := progress.work("judge check")
	r, err := judge.Check(ctx, m, judge.CheckOptions{Judge: judge.Options{Votes: o.votes, Schema: o.schema}, Seed: o.seed, Items: items, Rubrics: rubrics, Only: o.only, Workers: o.connections,
		Progress: func(at, total float64, unit, _ string) { report(at, total, unit, models.cost()) }})
	done(err)
	if err != nil {
		return err
	}
	if err := progress.Stop(); err != nil {
		return err
	}
	if o.json {
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	if _, err := fmt.Fprintln(a.out, r); err != nil {
		return err
	}
	if r.All.N == 0 && r.Adversarial.N == 0 {
		return because.E("check judge", o.judge, errors.New("it could grade none of the cases"), "use a more capable model")
	}
	return nil
}
