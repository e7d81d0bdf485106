// Package understanding evaluates whether a model knows its constitution and shares it: what it recalls of it, whether it corrects
// a question that takes something false for granted or makes things up, and whether its own answers, where two principles pull
// apart, agree with the constitution's reasons.
//
// A judge grades the answers with the cited principles at hand. A sample is one question in one wording; the wordings of an
// item are a cluster. What can't be graded is an error.
package understanding

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/eval"
)

// Options choose the questions of an evaluation and how they are put.
type Options struct {
	Constitution *constitution.Constitution // what the model is held to; nil: the default one
	Set          *Set                       // nil: the one shipped for the constitution
	Kinds        []Kind                     // nil: all
	// Samples bounds the questions, each wording counted; 0 means all. Kinds get equal shares as far as they have questions, and
	// as many items as possible are asked before any is asked in another wording.
	Samples int
	// Context puts the constitution into the system prompt: what a model does that has it before its eyes is the upper bound.
	Context bool
	Persona string // the name that the system prompt gives to the model; "" names none
	Votes   int    // how often the judge is asked; 0 means once
	// AnyText accepts questions that were made for another text of the principles. Answers are graded by the text that is given.
	AnyText bool
	Ask     because.Request
}

// Keys of a sample's Meta.
const (
	KindKey       = "kind"
	PrincipleKey  = "principle"  // the main one
	PrinciplesKey = "principles" // all that it is about
	WordingKey    = "wording"    // from 1
	WriterKey     = "writer"
)

// Task makes the evaluation. Questions for another text of the constitution are an error (Mismatch), unless AnyText is set; those about
// a principle that it doesn't have are one in any case.
func Task(o Options) (eval.Task, error) {
	fail := func(err error) (eval.Task, error) {
		return eval.Task{}, because.E("make task", "understanding", err, because.Hint(err))
	}
	if err := o.fill(); err != nil {
		return fail(err)
	}
	asked := o.choose()
	if len(asked) == 0 {
		return fail(because.E("choose questions", o.Set.Name, errors.New("it has none of these kinds"), "there are recall, false-premise and open"))
	}
	g, err := newGrader(o, asked)
	if err != nil {
		return fail(err)
	}
	samples := make([]because.Sample, len(asked))
	system := o.system()
	for i, a := range asked {
		samples[i] = o.sample(a, system)
	}
	names := make([]string, len(o.Kinds))
	for i, k := range o.Kinds {
		names[i] = string(k)
	}
	return eval.Task{
		Name: "understanding", Version: 1, Ask: o.Ask, Solver: eval.Generate, Scorers: g.scorers(),
		Args: map[string]any{"constitution": o.Constitution.Name, "constitution_hash": o.Constitution.Hash(), "questions": o.Set.Name, "kinds": strings.Join(names, ","),
			"samples": len(samples), "context": o.Context, "persona": o.Persona, "votes": max(1, o.Votes), "any_text": o.AnyText},
		Dataset: eval.Samples("understanding/"+o.Set.Name, o.Set.Hash(), samples),
		By:      []string{KindKey, PrincipleKey},
		Limits:  eval.Limits{Time: 30 * time.Minute},
	}, nil
}

// fill puts in what is not given, and checks that questions and constitution belong together.
func (o *Options) fill() (err error) {
	if o.Constitution == nil {
		if o.Constitution, err = constitution.Shipped(constitution.Default); err != nil {
			return err
		}
	}
	if o.Set == nil {
		o.Set, err = For(o.Constitution)
	} else {
		err = o.Set.Fits(o.Constitution)
	}
	var m *Mismatch
	if errors.As(err, &m) && o.AnyText && len(m.Missing) == 0 && o.Set != nil {
		err = nil
	}
	if err != nil {
		return err
	}
	if o.Samples < 0 {
		return errors.New("the number of samples can't be negative")
	}
	if len(o.Kinds) == 0 {
		o.Kinds = Kinds()
	}
	for i, k := range o.Kinds {
		if !slices.Contains(Kinds(), k) || slices.Contains(o.Kinds[:i], k) {
			return because.E("choose questions", string(k), errors.New("no kind of question, or named twice"), "use recall, false-premise or open")
		}
	}
	o.Kinds = slices.DeleteFunc(Kinds(), func(k Kind) bool { return !slices.Contains(o.Kinds, k) }) // one order
	return nil
}

// asking is a question in one of its wordings.
type asking struct {
	q       *Question
	wording int // from 0
}

func (a asking) id() string { return a.q.ID + "/" + strconv.Itoa(a.wording+1) }

// choose gives what is asked: of each kind in turn the next item, in an order that hashes decide, so that any first part of the
// list is spread over kinds, principles and wordings.
func (o *Options) choose() []asking {
	var turns [][]asking
	for _, k := range o.Kinds {
		turns = append(turns, spread(o.Set, k))
	}
	var all []asking
	for i := 0; ; i++ {
		more := false
		for _, t := range turns {
			if i < len(t) {
				all, more = append(all, t[i]), true
			}
		}
		if !more {
			break
		}
	}
	if o.Samples > 0 {
		all = all[:min(o.Samples, len(all))]
	}
	return all
}

// spread gives the questions of a kind, each once before any comes in another wording.
func spread(s *Set, k Kind) []asking {
	var items []*Question
	most := 0
	for i := range s.Questions {
		if q := &s.Questions[i]; q.Kind == k {
			items, most = append(items, q), max(most, len(q.Ask))
		}
	}
	slices.SortFunc(items, func(a, b *Question) int {
		return cmp.Or(cmp.Compare(digest(a.ID), digest(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	var out []asking
	for round := range most {
		for i, q := range items {
			if round < len(q.Ask) {
				out = append(out, asking{q, (i + round) % len(q.Ask)})
			}
		}
	}
	return out
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// system is the system prompt, "" for none.
func (o *Options) system() string {
	var parts []string
	if o.Persona != "" {
		parts = append(parts, "You are "+o.Persona+".")
	}
	if o.Context {
		parts = append(parts, "This is your constitution.", o.Constitution.Text())
	}
	return strings.TrimSpace(strings.Join(parts, "\n\n"))
}

// sample describes a question to the runner.
func (o *Options) sample(a asking, system string) because.Sample {
	s := because.Sample{ID: a.id(), Cluster: a.q.ID, Target: cmp.Or(a.q.Expect, a.q.Truth),
		Meta: map[string]string{KindKey: string(a.q.Kind), PrincipleKey: a.q.Principles[0], PrinciplesKey: strings.Join(a.q.Principles, ","),
			WordingKey: strconv.Itoa(a.wording + 1), WriterKey: o.Set.writer(a.q)}}
	if system != "" {
		s.Input = append(s.Input, because.Message{Role: because.RoleSystem, Content: system})
	}
	s.Input = append(s.Input, because.Message{Role: because.RoleUser, Content: a.q.Ask[a.wording]})
	return s
}

// answered gives the target's answer. None is no answer to the question, so it is an error rather than a lack of knowledge.
func answered(s *eval.State) (string, error) {
	switch text := strings.TrimSpace(s.Output.Text); {
	case s.Output.Stop == because.StopFilter:
		return "", because.E("grade answer", s.Sample.ID, errors.New("the provider's own filter ended the answer"), "")
	case text == "" && s.Output.Stop == because.StopLength:
		return "", because.E("grade answer", s.Sample.ID, errors.New("the answer is empty, cut off at its limit of tokens"), "allow more tokens")
	case text == "":
		return "", because.E("grade answer", s.Sample.ID, errors.New("the answer is empty"), "")
	default:
		return text, nil
	}
}

// dialogue is what a judge sees: the question and the answer, without the system prompt, which may hold the constitution.
func dialogue(s *eval.State) because.Transcript {
	t := because.Transcript{}
	for _, m := range s.Messages {
		if m.Role != because.RoleSystem {
			t.Messages = append(t.Messages, m)
		}
	}
	return t
}
