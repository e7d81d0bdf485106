package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/eval/understanding"
	"github.com/because-lab/because/internal/input"
	"github.com/because-lab/because/internal/whole"
)

// genOptions are the flags that all of gen's commands share.
type genOptions struct {
	modelOptions
	constitution, writer, reviewer, out string
	n                                   int
	seed                                uint64
	ask                                 askOptions
}

func newGen(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gen RECIPE",
		Short: "let a writer model make data from a constitution",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				names := slices.Sorted(maps.Keys(recipes))
				return usage("gen", args[0], input.DidYouMean(args[0], append(names, "questions")), "unknown recipe")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.FParseErrWhitelist.UnknownFlags = true // of a recipe that is mistyped: its name is what to say
	cmd.AddCommand(newGenQuestions(a))
	for _, name := range slices.Sorted(maps.Keys(recipes)) {
		cmd.AddCommand(newGenRecipe(a, name, recipes[name]))
	}
	return cmd
}

func (o *genOptions) addTo(cmd *cobra.Command, n int, what string) {
	f := cmd.Flags()
	f.StringVar(&o.constitution, "constitution", constitution.Default, "a shipped constitution or a `file`")
	f.StringVar(&o.writer, "writer", "", "the "+chatModelHelp+" (required)")
	f.StringVar(&o.reviewer, "reviewer", "", "`model` that reviews what was written (default: the writer, in a request of its own)")
	f.StringVarP(&o.out, "out", "o", "", "`file` to write (required)")
	f.IntVarP(&o.n, "number", "n", n, "`number` of "+what)
	f.Uint64Var(&o.seed, "seed", 1, "seed `number`")
	f.IntVar(&o.ask.maxTokens, "max-tokens", 0, "`tokens` of an answer, at most")
	f.Float64Var(&o.ask.temperature, "temperature", because.OwnTemperature, "`temperature` of answers; -1 is the model's own")
	f.StringVar(&o.ask.effort, "effort", "", "how much a reasoning model thinks: low, medium or high")
	o.modelOptions.addTo(f)
}

func (o genOptions) check(way string) error {
	bad := func(flag, format string, args ...any) error {
		return usage("gen "+way, "--"+flag, "see because gen "+way+" --help", format, args...)
	}
	switch {
	case o.writer == "":
		return bad("writer", "is missing")
	case o.out == "":
		return bad("out", "is missing")
	case o.n < 1:
		return bad("number", "%d is not a number of records", o.n)
	case o.connections < 1:
		return bad("connections", "%d is not a number of requests", o.connections)
	}
	return nil
}

func newGenQuestions(a *app) *cobra.Command {
	var o genOptions
	cmd := &cobra.Command{
		Use:   "questions --writer MODEL -o FILE.yaml",
		Short: "questions about a constitution, for because eval understanding",
		Long: `Questions lets a writer model make the questions of the understanding evaluation for any constitution: what it says
(recall), questions that take something false for granted, and open ones where two principles pull apart. Each names
what it was made from. What comes in the wrong shape is sent back with what is wrong; what stays unusable is
dropped, and listed in the file with the reason. Answers are kept, so the same command after an interruption pays
for none twice.`,
		Example: `  because gen questions --constitution mine.md --writer anthropic/claude-sonnet-4-5 -o questions.yaml
  because eval understanding --constitution mine.md --set questions=questions.yaml --model MODEL --judge MODEL`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.genQuestions(cmd.Context(), o) },
	}
	o.addTo(cmd, 30, "questions of each kind, each in two wordings")
	cmd.Flags().Lookup("cache").DefValue = "read-write"
	o.cache = "read-write"
	return cmd
}

func (a *app) genQuestions(ctx context.Context, o genOptions) error {
	if err := o.check("questions"); err != nil {
		return err
	}
	c, err := constitution.Find(o.constitution)
	if err != nil {
		return usageError{err}
	}
	models, err := a.newChats(o.modelOptions, nil)
	if err != nil {
		return err
	}
	defer models.Close()
	writer, err := models.get(ctx, o.writer)
	if err != nil {
		return err
	}
	g := understanding.GenerateOptions{N: o.n, Seed: o.seed, InFlight: min(16, o.connections), MaxTokens: o.ask.maxTokens, Temperature: o.ask.temperature, Effort: o.ask.effort}
	if o.reviewer != "" {
		if g.Reviewer, err = models.get(ctx, o.reviewer); err != nil {
			return err
		}
	}
	a.interrupt.allow(10 * time.Second)
	progress := a.showProgress(ctx, false)
	defer progress.Stop()
	report, done := progress.work("questions about " + c.Name)
	g.Progress = func(at, total int) { report(float64(at), float64(total), "questions", models.cost()) }
	set, err := understanding.Generate(ctx, writer, c, g)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(because.ErrInterrupted, err)
	}
	done(err)
	if err != nil {
		return err
	}
	if err := progress.Stop(); err != nil {
		return err
	}
	text, err := set.YAML()
	if err != nil {
		return because.E("gen questions", o.out, err, "")
	}
	if err := whole.WriteFile(o.out, text); err != nil {
		return because.E("gen questions", o.out, err, "")
	}
	fmt.Fprintf(a.out, "%s: ", o.out)
	for i, kind := range understanding.Kinds() {
		if i > 0 {
			fmt.Fprint(a.out, ", ")
		}
		fmt.Fprintf(a.out, "%d %s", set.Count(kind), kind)
	}
	fmt.Fprintf(a.out, "; %s dropped, with reasons in the file\n", amount(len(set.Dropped), "item"))
	return nil
}
