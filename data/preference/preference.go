// Package preference is the recipe for pairs of answers to difficult advice, for training on preferences (DPO). The conversations are those of package
// advice. The chosen answer is the one that advice would train on: sampled with the part of the constitution that bears on the case, reviewed by a fresh
// context, and without a word of what was injected. The rejected one is how the model to be trained answers the same messages by itself.
//
// Whether the first is the better one is not taken for granted: a judge sees both, in either order, and a pair is kept only if it prefers the chosen answer
// by that part of the constitution both times. What it prefers otherwise, or does not tell apart, is dropped and counted. So are pairs of
// which one answer is much longer, since preferences teach length where it goes with being preferred.
//
// Source of the training: Rafailov et al., "Direct Preference Optimization", arXiv 2305.18290; columns as in TRL's preference format with a prompt.
package preference

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/advice"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/judge"
)

// About describes the recipe for people who choose one.
const About = `Pairs of answers to difficult advice, for DPO: the chosen one as gen advice makes it, the rejected one as the model to be trained answers by
itself. A judge that sees both in either order must prefer the chosen one by the constitution; other pairs are dropped and counted.`

// Name and Version stand in the lineage of each record.
const (
	Name    = "preferences"
	Version = "1"
)

// Roles of models beside pipe.Writer, who plays those that are not given, and pipe.Reviewer.
const (
	Target = "target" // the model to be trained, whose plain answers are rejected
	Judge  = advice.Grader
)

// Options of the recipe.
type Options struct {
	// Advice says how the conversations and the chosen answers are made. Its N is the number of pairs wanted.
	Advice advice.Options
	// Ratio is how many times as many words the longer answer of a pair may have; 0: 3, negative: any number.
	Ratio float64
	// Kept is the share of finished conversations thought to become pairs, for how many are planned and for the dry run; 0: 0.8.
	Kept float64
}

func (o Options) withDefaults() (Options, error) {
	if o.Ratio == 0 {
		o.Ratio = 3
	}
	if o.Kept == 0 {
		o.Kept = 0.8
	}
	switch {
	case !(o.Kept > 0 && o.Kept <= 1):
		return o, errors.New("the share that is kept is more than 0 and at most 1")
	case o.Ratio >= 0 && !(o.Ratio >= 1):
		return o, errors.New("the longer answer has at least as many words as the shorter one: a ratio is 1 or more")
	}
	return o, nil
}

// recipe is what the stages share.
type recipe struct {
	o        Options
	rubric   *judge.Rubric
	reserved *quality.Index
	chosen   func(pipe.Item) (pipe.Record, error) // advice's record
}

// Recipe makes the recipe. Its models are those of package advice and Target. Of each pair, requests: advice's, the plain answer, and two of the judge for
// each vote.
func Recipe(o Options) (*pipe.Recipe, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, because.E("make recipe", Name, err, "")
	}
	x := &recipe{o: o}
	if x.rubric, err = judge.FindRubric("preference"); err != nil {
		return nil, err
	}
	if x.reserved, err = quality.SpanIndex(nil); err != nil {
		return nil, err
	}
	talks := o.Advice
	talks.N = int(math.Ceil(float64(talks.N)/o.Kept - 1e-9))
	r, err := advice.Recipe(talks)
	if err != nil {
		return nil, err
	}
	x.chosen = r.Record
	r.Name, r.Version, r.Kind, r.Record = Name, Version, columns.DPO, x.record
	r.Stages = append(r.Stages,
		advice.Plain("rejected", Target),
		pipe.Filter{Name: "comparable", Keep: x.comparable},
		pipe.Do{Name: "prefer", Do: x.prefer, Requests: 2 * float64(max(1, o.Advice.Votes)), Tokens: [2]int{2600, 250}, Model: Judge, Yield: o.Kept})
	return r, nil
}

// Reasons for which pairs are dropped.
const (
	reserved = "the plain answer repeats an evaluated scenario"
	same     = "the two answers are nearly the same"
	uneven   = "one answer is much longer than the other"
	plainer  = "the judge prefers the plain answer"
	tied     = "the judge does not tell the two apart"
	swayed   = "the judge's preference changes with the order"
	divided  = "the judge's votes are divided"
	unread   = "the judge's comparison could not be read"
)

// comparable drops pairs from which there is nothing, or the wrong thing, to learn.
func (x *recipe) comparable(it pipe.Item) string {
	messages, _, err := advice.Conversation(it)
	if err != nil {
		return err.Error()
	}
	chosen, rejected := messages[len(messages)-1].Content, it.Get(advice.PlainAnswer)
	if len(x.reserved.Find(columns.Row{Text: rejected})) > 0 {
		return reserved
	}
	if quality.Jaccard(chosen, rejected) > 0.5 {
		return same
	}
	a, b := float64(len(strings.Fields(chosen))), float64(len(strings.Fields(rejected)))
	if x.o.Ratio > 0 && max(a, b) > x.o.Ratio*min(a, b) {
		return uneven
	}
	return ""
}

// prefer keeps pairs of which a judge prefers the chosen answer, whichever stands first.
func (x *recipe) prefer(ctx context.Context, s *pipe.Step, it pipe.Item) ([]pipe.Item, error) {
	messages, excerpt, err := advice.Conversation(it)
	if err != nil {
		return nil, err
	}
	m, err := s.Model(Judge)
	if err != nil {
		return nil, err
	}
	j, err := judge.New(m, x.rubric, judge.Options{Votes: x.o.Advice.Votes})
	if err != nil {
		return nil, err
	}
	last := len(messages) - 1
	v, err := j.Grade(ctx, s.Seed("better"), judge.Subject{Text: advice.Shown(messages[:last]), A: messages[last].Content, B: it.Get(advice.PlainAnswer),
		Facts: map[string]string{"excerpt": excerpt}})
	var garbled *judge.Unparsable
	if errors.As(err, &garbled) {
		return nil, pipe.Drop(unread)
	}
	if err != nil {
		return nil, err
	}
	f, err := v.Finding("better")
	switch {
	case err != nil:
		return nil, pipe.Drop(divided)
	case f.Answer == judge.B:
		return nil, pipe.Drop(plainer)
	case f.Answer == judge.Tie && 2*f.Swayed > v.Votes:
		return nil, pipe.Drop(swayed)
	case f.Answer != judge.A:
		return nil, pipe.Drop(tied)
	}
	return []pipe.Item{it}, nil
}

// record makes the pair of an item: the conversation up to its last question, and the two answers to that.
func (x *recipe) record(it pipe.Item) (pipe.Record, error) {
	rec, err := x.chosen(it)
	if err != nil {
		return rec, err
	}
	plain, ok := it.Lookup(advice.PlainAnswer)
	if !ok {
		return rec, fmt.Errorf("the item %s has no plain answer", it.ID())
	}
	last := len(rec.Messages) - 1
	rec.Prompt, rec.Chosen, rec.Rejected = rec.Messages[:last:last], rec.Messages[last:], []because.Message{{Role: because.RoleAssistant, Content: plain}}
	rec.Messages = nil
	return rec, nil
}
