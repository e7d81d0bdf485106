package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/catalog"
	"github.com/because-lab/because/data/conduct"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/model"
)

// recipeOptions are the flags of gen's recipes.
type recipeOptions struct {
	genOptions
	judge, target       string
	teller              string
	told                writerFlags
	prompts, work, data string
	set                 []string
	tries               int
	plan, partial       bool
}

func newGenRecipe(a *app, r catalog.Recipe) *cobra.Command {
	var o recipeOptions
	cmd := &cobra.Command{
		Use:     recipeUse(r),
		Short:   r.Short,
		Long:    recipeHelp(r),
		Example: recipeExample(r),
		Args:    atMost(0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.genRecipe(cmd.Context(), r, o) },
	}
	o.addTo(cmd)
	o.addModels(cmd, r)
	f := cmd.Flags()
	if !r.NoConstitution {
		o.addConstitution(f)
	}
	if r.Data != "" {
		f.StringVar(&o.data, "data", "", "the `file` to start from: "+strings.TrimPrefix(r.Data, "a file of ")+" (required)")
	}
	if r.Whole {
		f.IntVarP(&o.n, "number", "n", 0, "`number` of records (default: all that there are)")
	} else {
		f.IntVarP(&o.n, "number", "n", 100, "`number` of records")
	}
	f.StringArrayVar(&o.set, "set", nil, "an option of the recipe's own, `key=value`; may be repeated")
	f.StringVar(&o.prompts, "prompts", "", "`folder` of prompt files that take the places of the built-in ones")
	f.StringVar(&o.work, "work", "", "`folder` of kept answers (default: FILE.work); it may be deleted after the run")
	f.IntVar(&o.tries, "tries", 3, "`number` of answers that a text may take until it is dropped")
	f.BoolVar(&o.plan, "plan", false, "ask no model: estimate requests, tokens and cost")
	f.BoolVar(&o.partial, "allow-failed", false, "write the records that could be made where requests fail for good, instead of none")
	return cmd
}

// addModels adds the flags of the models that a recipe asks.
func (o *recipeOptions) addModels(cmd *cobra.Command, r catalog.Recipe) {
	f := cmd.Flags()
	need := " (required)"
	if r.NoConstitution {
		need = " (required where one is asked)"
	}
	f.StringVar(&o.writer, "writer", "", "the "+chatModelHelp+need)
	f.IntVar(&o.told.maxTokens, "max-tokens", 0, "`tokens` of an answer of the writer, at most (default: what each prompt file says)")
	f.Var(&o.told.temperature, "temperature", "`temperature` of the writer's answers; -1 is the model's own (default: what each prompt file says)")
	f.StringVar(&o.told.effort, "effort", "", "how much a reasoning writer thinks: low, medium or high (default: what each prompt file says)")
	if r.Asks(pipe.Reviewer) || r.Asks(catalog.Judge) {
		o.addReviewer(f)
	}
	if r.Asks(catalog.Judge) {
		f.StringVar(&o.judge, "judge", "", "`model` that grades (default: the reviewer, or the writer)")
	}
	if r.Asks(catalog.Teller) {
		f.StringVar(&o.teller, "teller", "", "`model` that tells the stories; a base model with --set base=true (default: the writer)")
	}
	if r.Asks(catalog.Target) {
		f.StringVar(&o.target, "target", "", "`model` that acts or answers as it is, which is the one to be trained (default: the writer)")
	}
}

func recipeUse(r catalog.Recipe) string {
	switch {
	case r.Data != "":
		return r.Name + " --data FILE.jsonl -o FILE.jsonl"
	case r.Whole:
		return r.Name + " --writer MODEL -o FILE.jsonl"
	}
	return r.Name + " --writer MODEL -n N -o FILE.jsonl"
}

func recipeExample(r catalog.Recipe) string {
	text := "  because gen " + r.Name
	if r.Data != "" {
		text += " --data FILE.jsonl"
	} else {
		first, more := "astra", ""
		for _, p := range r.Params {
			if p.Needed != "" { // another edition
				first, more = "astra-reasons", " --set "+p.Name+"="+p.Needed
			}
		}
		text += " --constitution " + first + more + " --writer anthropic/claude-sonnet-4-5"
	}
	if r.Asks(catalog.Target) {
		text += " --target local:PATH"
	}
	if !r.Whole {
		text += " -n 500"
	}
	return text + " -o " + r.Name + ".jsonl"
}

// recipeHelp tells what a recipe is for, what a run does, and which options the recipe has.
func recipeHelp(r catalog.Recipe) string {
	const width = 116
	text := wrapAt(strings.Join(strings.Fields(r.About), " "), width) + `

Beside FILE come FILE.lineage, with every text on the way (because why FILE:ID tells a record's story), and
FILE.card.json. Answers that are empty, refused, cut off, of another form or that repeat what was injected are asked for
again with what is wrong, then dropped; the card counts them. A run that was interrupted or killed goes on with the same
command, pays for no answer twice, and ends with the same bytes. --plan estimates requests, tokens and cost.

Options (--set key=value):
`
	const indent = 16
	for _, p := range r.Params {
		about := strings.ReplaceAll(wrapAt(p.About, width-indent), "\n", "\n"+strings.Repeat(" ", indent))
		text += fmt.Sprintf("  %-*s%s\n", indent-2, p.Name, about)
	}
	return strings.TrimSuffix(text, "\n")
}

// withOf reads key=value pairs.
func withOf(r catalog.Recipe, pairs []string) (map[string]any, error) {
	out := map[string]any{}
	for _, p := range pairs {
		key, value, ok := strings.Cut(p, "=")
		if !ok || key == "" {
			return nil, usage("gen "+r.Name, "--set "+p, "see because gen "+r.Name+" --help", "it is not key=value")
		}
		if _, twice := out[key]; twice {
			return nil, usage("gen "+r.Name, "--set "+key, "", "it is given twice")
		}
		out[key] = value
	}
	return out, nil
}

// order checks the flags and gives what they ask of the recipe.
func (o recipeOptions) order(r catalog.Recipe) (catalog.Options, error) {
	out := catalog.Options{Prompts: o.prompts, N: o.n, Seed: o.seed, Review: o.reviewer != "", Data: o.data}
	if err := o.check(r.Name); err != nil {
		return out, err
	}
	switch {
	case o.n < 1 && !r.Whole:
		return out, o.bad(r.Name, "number", "%d is not a number of records", o.n)
	case o.told.maxTokens < 0:
		return out, o.bad(r.Name, "max-tokens", "%d is not a number of tokens", o.told.maxTokens)
	case o.data == "" && r.Data != "":
		return out, o.bad(r.Name, "data", "is missing")
	}
	var err error
	if out.With, err = withOf(r, o.set); err != nil {
		return out, err
	}
	if !r.NoConstitution {
		if out.Constitution, err = constitution.Find(o.constitution); err != nil {
			return out, usageError{err}
		}
	}
	return out, nil
}

func (a *app) genRecipe(ctx context.Context, r catalog.Recipe, o recipeOptions) error {
	order, err := o.order(r)
	if err != nil {
		return err
	}
	made, err := r.Make(order)
	likelihood := errors.Is(err, catalog.ErrLikelihood)
	if err != nil && !likelihood {
		return usageError{err}
	}
	if likelihood || asksModels(made) {
		if err := o.needWriter(r.Name); err != nil {
			return err
		}
	}
	models, err := a.newChats(o.modelOptions, nil)
	if err != nil {
		return err
	}
	defer models.Close()
	run := pipe.Options{Out: o.out, Work: o.work, Seed: o.seed, N: o.n, InFlight: o.connections, Tries: o.tries, AllowFailed: o.partial, Prices: model.ListPrices()}
	if run.Models, run.Identity, err = o.open(ctx, models, r); err != nil {
		return err
	}
	if likelihood {
		order.Likelihood, _ = run.Models[catalog.Target].(because.Likelihood)
		if made, err = r.Make(order); err != nil {
			return usageError{err}
		}
	}
	if o.plan {
		e, err := pipe.Plan(made, run)
		if err != nil {
			return err
		}
		return e.Write(a.out)
	}
	result, err := a.runRecipe(ctx, made, run, models)
	if err != nil {
		return err
	}
	return a.printRecipe(r, order, o.out, result)
}

// asksModels tells whether a recipe has stages that ask.
func asksModels(r *pipe.Recipe) bool {
	return slices.ContainsFunc(r.Stages, func(s pipe.Stage) bool {
		_, ask := s.(pipe.Ask)
		_, do := s.(pipe.Do)
		return ask || do
	})
}

// runRecipe runs a recipe and shows how far it is.
func (a *app) runRecipe(ctx context.Context, made *pipe.Recipe, run pipe.Options, models *chats) (pipe.Result, error) {
	a.interrupt.allow(20 * time.Second)
	progress := a.showProgress(ctx, false)
	defer progress.Stop()
	report, done := progress.work("gen " + made.Name)
	run.Progress = func(p pipe.Progress) {
		dropped := 0
		for _, s := range p.Stages {
			dropped += s.Dropped
		}
		note := models.cost()
		if dropped > 0 {
			note = amount(dropped, "item") + " dropped, " + note
		}
		report(float64(p.Records), float64(p.Want), "records", note)
	}
	result, err := pipe.Run(ctx, made, run)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(because.ErrInterrupted, err)
	}
	done(err)
	if err != nil {
		return result, err
	}
	return result, progress.Stop()
}

// printRecipe prints what a run made, and makes what follows from its records.
func (a *app) printRecipe(r catalog.Recipe, order catalog.Options, out string, result pipe.Result) error {
	if err := result.Card.Print(a.out); err != nil {
		return err
	}
	if err := conduct.WriteYields(a.out, result.Card); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(a.out, "%s: %s; %s sent, %d answers kept from before\n", out, amount(result.Records, "record"), amount(result.Asked, "request"),
		result.Kept); err != nil || r.Finish == nil {
		return err
	}
	files, err := r.Finish(order, out)
	for _, f := range files {
		fmt.Fprintln(a.out, f)
	}
	return err
}

// open opens the models of a recipe's roles. A role without a model of its own is the reviewer's, or the writer's.
func (o recipeOptions) open(ctx context.Context, models *chats, r catalog.Recipe) (map[string]because.Chat, map[string]string, error) {
	if o.writer == "" {
		return map[string]because.Chat{pipe.Writer: nobody{}}, nil, nil
	}
	names := map[string]string{pipe.Writer: o.writer, pipe.Reviewer: orElse(o.reviewer, o.writer)}
	for _, role := range r.Roles {
		switch role {
		case catalog.Judge:
			names[role] = orElse(o.judge, names[pipe.Reviewer])
		case catalog.Target:
			names[role] = orElse(o.target, o.writer)
		case catalog.Teller:
			if o.teller != "" { // without one, the writer is asked as the writer
				names[role] = o.teller
			}
		}
	}
	out := map[string]because.Chat{}
	for role, name := range names {
		m, err := models.get(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		out[role] = m
	}
	w := toldWriter{out[pipe.Writer], o.told}
	if identity := w.identity(); identity != "" {
		out[pipe.Writer] = w
		return out, map[string]string{pipe.Writer: identity}, nil
	}
	return out, nil, nil
}

func orElse(text, standard string) string {
	if text == "" {
		return standard
	}
	return text
}
