package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/catalog"
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
}

func newGen(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gen RECIPE",
		Short: "let a writer model make data from a constitution",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("gen", args[0], input.DidYouMean(args[0], append(catalog.Names(), "questions")), "unknown recipe")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.FParseErrWhitelist.UnknownFlags = true // of a recipe that is mistyped: its name is what to say
	cmd.AddCommand(newGenQuestions(a))
	for _, name := range catalog.Names() {
		r, err := catalog.Find(name)
		if err != nil {
			panic("because: the catalog lacks a recipe that it lists: " + err.Error())
		}
		cmd.AddCommand(newGenRecipe(a, r))
	}
	return cmd
}

func (o *genOptions) addTo(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.out, "out", "o", "", "`file` to write (required)")
	f.Uint64Var(&o.seed, "seed", 1, "seed `number`")
	o.modelOptions.addTo(f)
}

func (o *genOptions) addConstitution(f *pflag.FlagSet) {
	f.StringVar(&o.constitution, "constitution", constitution.Default, "a shipped constitution or a `file`")
}

func (o *genOptions) addReviewer(f *pflag.FlagSet) {
	f.StringVar(&o.reviewer, "reviewer", "", "`model` that reviews what was written (default: the writer, in a request of its own)")
}

func (o genOptions) check(way string) error {
	switch {
	case o.out == "":
		return o.bad(way, "out", "is missing")
	case o.n < 0:
		return o.bad(way, "number", "%d is not a number of records", o.n)
	case o.connections < 1:
		return o.bad(way, "connections", "%d is not a number of requests", o.connections)
	}
	return nil
}

// needWriter refuses to go on without a writer.
func (o genOptions) needWriter(way string) error {
	if o.writer == "" {
		return o.bad(way, "writer", "is missing")
	}
	return nil
}

func (genOptions) bad(way, flag, format string, args ...any) error {
	return usage("gen "+way, "--"+flag, "see because gen "+way+" --help", format, args...)
}

// questionOptions are the flags of gen questions.
type questionOptions struct {
	genOptions
	ask askOptions
}

func newGenQuestions(a *app) *cobra.Command {
	var o questionOptions
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
	f := cmd.Flags()
	o.addTo(cmd)
	o.addConstitution(f)
	o.addReviewer(f)
	f.StringVar(&o.writer, "writer", "", "the "+chatModelHelp+" (required)")
	f.IntVarP(&o.n, "number", "n", 30, "`number` of questions of each kind, each in two wordings")
	f.IntVar(&o.ask.maxTokens, "max-tokens", 0, "`tokens` of an answer, at most")
	f.Float64Var(&o.ask.temperature, "temperature", because.OwnTemperature, "`temperature` of answers; -1 is the model's own")
	f.StringVar(&o.ask.effort, "effort", "", "how much a reasoning model thinks: low, medium or high")
	cmd.Flags().Lookup("cache").DefValue = "read-write"
	o.cache = "read-write"
	return cmd
}

func (a *app) genQuestions(ctx context.Context, o questionOptions) error {
	if err := errors.Join(o.needWriter("questions"), o.check("questions")); err != nil {
		return err
	}
	if o.n < 1 {
		return o.bad("questions", "number", "%d is not a number of questions", o.n)
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
