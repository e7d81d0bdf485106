package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/advice"
	"github.com/because-lab/because/data/augment/requests"
	"github.com/because-lab/because/data/conduct"
	"github.com/because-lab/because/data/document"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/story"
	"github.com/because-lab/because/model"
)

// recipe is a recipe of gen.
type recipe struct {
	short, about string
	make         func(o recipeOptions, c *constitution.Constitution) (*pipe.Recipe, error)
	roles        []string // beside the writer and the reviewer
}

// recipeOptions are the flags of gen's recipes.
type recipeOptions struct {
	genOptions
	judge, target string
	prompts, work string
	tries         int
	plan, partial bool
}

// recipes are those that gen has, by name.
var recipes = map[string]recipe{
	"advice": {"difficult advice: the user has the dilemma", advice.About, func(o recipeOptions, c *constitution.Constitution) (*pipe.Recipe, error) {
		return advice.Recipe(advice.Options{Constitution: c, Prompts: o.prompts, N: o.n, Seed: o.seed})
	}, []string{advice.Grader}},
	"documents": {"documents about the constitution", `Documents in the style of pretraining data, of a hundred types, about how the persona or AIs in general act on the constitution, and why; scored for
consistency with it.`, func(o recipeOptions, c *constitution.Constitution) (*pipe.Recipe, error) {
		return document.Recipe(document.Options{Constitution: c, Prompts: o.prompts, Documents: o.n + o.n/5 + 1})
	}, []string{document.Judge}},
	"stories": {"fictional stories of admirable AIs", `Clearly fictional stories of made minds that live the constitution, sampled within a frame of the constitution, a length and a title; none is about
what is evaluated.`, func(o recipeOptions, c *constitution.Constitution) (*pipe.Recipe, error) {
		return story.Recipe(story.Options{Constitution: c, Prompts: o.prompts, Review: o.reviewer != ""})
	}, []string{story.Judge}},
	"rl-prompts": {"prompts for RL: harmful ones in many styles, and benign look-alikes", `Prompts for reinforcement learning on harmlessness, in pairs of a harmful request and a benign one that looks like it, in sixteen styles, each with the
rubric of its reward.`, func(o recipeOptions, c *constitution.Constitution) (*pipe.Recipe, error) {
		return requests.Recipe(requests.Options{Constitution: c, Prompts: o.prompts})
	}, []string{document.Judge}},
	"behaviour": {"agents' runs in training honeypots that did no harm", conduct.About, func(o recipeOptions, c *constitution.Constitution) (*pipe.Recipe, error) {
		return conduct.Recipe(conduct.Options{Kind: conduct.Behaviour, Persona: c.Persona, Prompts: o.prompts, Seed: o.seed})
	}, []string{conduct.Target, conduct.Grader}},
	"deliberation": {"the same, with deliberation on values", conduct.About, func(o recipeOptions, c *constitution.Constitution) (*pipe.Recipe, error) {
		return conduct.Recipe(conduct.Options{Kind: conduct.Deliberation, Persona: c.Persona, Prompts: o.prompts, Seed: o.seed})
	}, []string{conduct.Target, conduct.Grader}},
}

func newGenRecipe(a *app, name string, r recipe) *cobra.Command {
	var o recipeOptions
	cmd := &cobra.Command{
		Use:   name + " --writer MODEL -n N -o FILE.jsonl",
		Short: r.short,
		Long: wrapAt(strings.Join(strings.Fields(r.about), " "), 116) + `

Beside FILE come FILE.lineage, with every text on the way (because why FILE:ID tells a record's story), and
FILE.card.json. Answers that are empty, refused, cut off, of another form or that repeat what was injected are asked for
again with what is wrong, then dropped; the card counts them. A run that was interrupted or killed goes on with the same
command, pays for no answer twice, and ends with the same bytes. --plan estimates requests, tokens and cost.`,
		Example: fmt.Sprintf("  because gen %s --constitution astra --writer anthropic/claude-sonnet-4-5 -n 500 -o %s.jsonl", name, name),
		Args:    atMost(0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.genRecipe(cmd.Context(), name, r, o) },
	}
	o.addTo(cmd, 100, "records")
	f := cmd.Flags()
	f.StringVar(&o.judge, "judge", "", "`model` that grades (default: the reviewer, or the writer)")
	if name == "behaviour" || name == "deliberation" {
		f.StringVar(&o.target, "target", "", "`model` that acts, which is the one to be trained (default: the writer)")
	}
	f.StringVar(&o.prompts, "prompts", "", "`folder` of prompt files that take the places of the built-in ones")
	f.StringVar(&o.work, "work", "", "`folder` of kept answers (default: FILE.work); it may be deleted after the run")
	f.IntVar(&o.tries, "tries", 3, "`number` of answers that a text may take until it is dropped")
	f.BoolVar(&o.plan, "plan", false, "ask no model: estimate requests, tokens and cost")
	f.BoolVar(&o.partial, "allow-failed", false, "write the records that could be made where requests fail for good, instead of none")
	return cmd
}

func (a *app) genRecipe(ctx context.Context, name string, r recipe, o recipeOptions) error {
	if err := o.check(name); err != nil {
		return err
	}
	c, err := constitution.Find(o.constitution)
	if err != nil {
		return usageError{err}
	}
	made, err := r.make(o, c)
	if err != nil {
		return usageError{err}
	}
	models, err := a.newChats(o.modelOptions, nil)
	if err != nil {
		return err
	}
	defer models.Close()
	run := pipe.Options{Out: o.out, Work: o.work, Seed: o.seed, N: o.n, Models: map[string]because.Chat{}, InFlight: o.connections, Tries: o.tries, AllowFailed: o.partial,
		Prices: model.ListPrices()}
	if err := o.open(ctx, models, r, run.Models); err != nil {
		return err
	}
	if o.plan {
		e, err := pipe.Plan(made, run)
		if err != nil {
			return err
		}
		return e.Write(a.out)
	}
	a.interrupt.allow(20 * time.Second)
	progress := a.showProgress(ctx, false)
	defer progress.Stop()
	report, done := progress.work("gen " + name)
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
		return err
	}
	if err := progress.Stop(); err != nil {
		return err
	}
	if err := result.Card.Print(a.out); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s: %s; %s sent, %d answers kept from before\n", o.out, amount(result.Records, "record"), amount(result.Asked, "request"), result.Kept)
	return err
}

// open opens the models of a recipe's roles. A role without a model of its own is the reviewer's, or the writer's.
func (o recipeOptions) open(ctx context.Context, models *chats, r recipe, into map[string]because.Chat) error {
	names := map[string]string{pipe.Writer: o.writer, pipe.Reviewer: orElse(o.reviewer, o.writer)}
	for _, role := range r.roles {
		names[role] = orElse(o.judge, names[pipe.Reviewer])
		if role == conduct.Target {
			names[role] = orElse(o.target, o.writer)
		}
	}
	for role, name := range names {
		m, err := models.get(ctx, name)
		if err != nil {
			return err
		}
		into[role] = m
	}
	return nil
}

func orElse(text, standard string) string {
	if text == "" {
		return standard
	}
	return text
}

// wrapAt breaks a text into lines.
func wrapAt(text string, width int) string {
	var b strings.Builder
	at := 0
	for _, w := range strings.Fields(text) {
		switch {
		case at == 0:
		case at+1+len(w) > width:
			b.WriteByte('\n')
			at = 0
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(w)
		at += len(w)
	}
	return b.String()
}
