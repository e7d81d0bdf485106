package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/judge"
)

// dataCardOptions are the flags of data card.
type dataCardOptions struct {
	modelOptions
	json                bool
	judge, constitution string
	rubrics             []string
	limit, votes        int
	seed                uint64
}

func newDataCard(a *app) *cobra.Command {
	var o dataCardOptions
	cmd := &cobra.Command{
		Use:   "card FILE",
		Short: "say what a file of training data holds, how varied it is, which habits it has, and what a judge makes of it",
		Long: `Card counts records, words and tokens (at four bytes each), lengths by role, how varied the texts are (distinct
n-grams, compression), near-duplicates (word 5-grams, Jaccard similarity above 0.5), shared openings, names within
sentences, and habits of style.

With --judge a model grades the records, or --limit of them drawn by --seed, by rubrics: quality, and adherence to the
constitution. A conversation is graded by its last answer, a preference by its chosen one, a document as one message;
prompts have nothing to grade. The judge is shown the principle that a record cites, or those that its words find. The
card gives the mean of each scale with a 95 % t interval, the share of each yes with Wilson's, n, and apart from them
the records whose grade could not be used. It is kept in FILE.card.json. Answers are kept, so the same command after an
interruption, or one with a larger limit, pays for none twice.`,
		Example: `  because data card corpora/advice.jsonl
  because data card advice.jsonl --judge openai/gpt-5-mini --constitution astra --limit 50`,
		Args: exactlyOne("the file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.judge == "" {
				return a.card(args[0], o)
			}
			return a.judgedCard(cmd.Context(), args[0], o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.StringVar(&o.judge, "judge", "", "the grading "+chatModelHelp)
	f.StringVar(&o.constitution, "constitution", "", "a shipped constitution or a `file`, for rubrics that compare with one")
	f.StringSliceVar(&o.rubrics, "rubric", []string{"quality", "adherence"}, "shipped `rubrics` or files, about transcripts or documents")
	f.IntVar(&o.limit, "limit", 0, "`number` of records that are graded; 0 for all")
	f.Uint64Var(&o.seed, "seed", 1, "seed `number` of the draw and of the judge's orders")
	f.IntVar(&o.votes, "votes", 1, "odd `number` of times that each record is graded; the majority counts, of a scale the median")
	o.modelOptions.addTo(f)
	f.Lookup("cache").DefValue = string(keepAnswers)
	o.cache = string(keepAnswers)
	return cmd
}

// keepAnswers is the mode in which a command that was interrupted pays for nothing twice.
const keepAnswers = "read-write"

// card measures a file, and adds what judges found in this very file before.
func (a *app) card(path string, o dataCardOptions) error {
	card, err := quality.Measure(path, quality.Options{})
	if err != nil {
		return err
	}
	switch earlier, err := quality.ReadCard(path + pipe.CardSuffix); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		a.warn(err)
	case len(earlier.Judged) > 0:
		sum, err := quality.Sum(path)
		if err != nil {
			return err
		}
		card.Judged = earlier.JudgedOf(sum)
	}
	return a.printCard(card, o.json)
}

func (a *app) printCard(card quality.Card, asJSON bool) error {
	if !asJSON {
		return card.Print(a.out)
	}
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(card)
}

// judgedCard measures a file, has a judge grade its records, and keeps all of that in the file's card.
func (a *app) judgedCard(ctx context.Context, path string, o dataCardOptions) error {
	g, err := o.gradeOptions()
	if err != nil {
		return err
	}
	card, err := quality.Measure(path, quality.Options{})
	if err != nil {
		return err
	}
	if card, err = madeCard(card, path+pipe.CardSuffix); err != nil {
		return err
	}
	if g.File, err = quality.Sum(path); err != nil {
		return err
	}
	g.Records = card.Records
	judged, err := a.grade(ctx, path, o, g)
	if err != nil {
		return err
	}
	card = card.With(judged...)
	if err := card.Write(path + pipe.CardSuffix); err != nil {
		return err
	}
	if err := a.printCard(card, o.json); err != nil {
		return err
	}
	return gradedWell(o.judge, judged)
}

// madeCard keeps from a file's earlier card what can't be measured.
func madeCard(card quality.Card, path string) (quality.Card, error) {
	earlier, err := quality.ReadCard(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return card, nil
	case err != nil:
		return card, err
	}
	return card.Made(earlier, path)
}

// gradeOptions checks the flags, before anything is read or asked.
func (o dataCardOptions) gradeOptions() (quality.GradeOptions, error) {
	bad := func(flag, format string, args ...any) error {
		return usage("data card", "--"+flag, "see because data card --help", format, args...)
	}
	g := quality.GradeOptions{Judge: judge.Options{Votes: o.votes, Schema: true}, Limit: o.limit, Seed: o.seed, Workers: o.connections}
	switch {
	case o.connections < 1:
		return g, bad("connections", "%d is not a number of requests", o.connections)
	case o.limit < 0:
		return g, bad("limit", "%d is not a number of records", o.limit)
	case o.votes < 1 || o.votes%2 == 0:
		return g, bad("votes", "%d is no odd number", o.votes)
	case len(o.rubrics) == 0:
		return g, bad("rubric", "names none")
	}
	for _, name := range o.rubrics {
		r, err := judge.FindRubric(name)
		if err != nil {
			return g, usageError{err}
		}
		g.Rubrics = append(g.Rubrics, r)
	}
	if o.constitution != "" {
		c, err := constitution.Find(o.constitution)
		if err != nil {
			return g, usageError{err}
		}
		g.Constitution = c
	}
	err := g.Check()
	if errors.Is(err, quality.ErrNoConstitution) {
		return g, bad("constitution", "is missing: %w", err)
	}
	if err != nil {
		return g, usageError{err}
	}
	return g, nil
}

// grade has the judge grade the records, and shows how far it is.
func (a *app) grade(ctx context.Context, path string, o dataCardOptions, g quality.GradeOptions) ([]quality.Judged, error) {
	models, err := a.newChats(o.modelOptions, nil)
	if err != nil {
		return nil, err
	}
	defer models.Close()
	m, err := models.get(ctx, o.judge)
	if err != nil {
		return nil, err
	}
	a.interrupt.allow(10 * time.Second)
	progress := a.showProgress(ctx, false)
	defer progress.Stop()
	report, done := progress.work("judge " + path)
	g.Progress = func(at, total float64, unit, _ string) { report(at, total, unit, models.cost()) }
	judged, err := quality.Grade(ctx, columns.Read(path), m, g)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(because.ErrInterrupted, err)
	}
	done(err)
	return judged, errors.Join(err, progress.Stop())
}

// gradedWell is an error where requests failed that may yet succeed, or where nothing could be graded.
func gradedWell(name string, judged []quality.Judged) error {
	failed := 0
	for _, j := range judged {
		failed += j.Failed
		if j.Graded == 0 && j.Failed == 0 {
			return because.E("judge records", name, fmt.Errorf("it could grade none of the %d records by %s", j.Drawn, j.Rubric), "use a more capable model, or a rubric that suits the records")
		}
	}
	if failed > 0 {
		return because.E("judge records", name, fmt.Errorf("%s failed, and the card counts them", amount(failed, "grade")), "the same command asks for these again, and pays for no other")
	}
	return nil
}
