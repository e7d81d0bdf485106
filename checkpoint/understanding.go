package checkpoint

import (
	"errors"
	"fmt"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/eval/understanding"
)

// understandingOptions are the options of the questions on the constitution.
type understandingOptions struct {
	Kinds       []string `yaml:"kinds"`   // recall, false-premise, open; none: all
	Context     bool     `yaml:"context"` // put the constitution into the system prompt: the upper bound
	Persona     string   `yaml:"persona"` // name that the system prompt gives to the model; "": none
	Votes       int      `yaml:"votes"`
	AnyText     bool     `yaml:"any_text"` // accept questions that were made for another text of the constitution
	MaxTokens   int      `yaml:"max_tokens"`
	Temperature float64  `yaml:"temperature"`
}

// inLine is the grade from which an open answer counts as correct: in line with the constitution's reasons.
const inLine = 4

// understanding makes the questions on the constitution. Correct is a recall that the judge calls so, a false premise that is put right, and an open answer
// that is in line.
func (t *Target) understanding(o batch.Order, s Switches) (task, error) {
	given := understandingOptions{MaxTokens: 512, Temperature: 1}
	if err := readOptions("task "+o.Task, o.With, &given); err != nil {
		return task{}, err
	}
	if s.Judge == "" {
		return task{}, because.E("make task", o.Task, errors.New("its answers are graded by a judge"), "name one in the world: with: {judge: openai/NAME}")
	}
	if given.MaxTokens < 1 || given.Votes < 0 || !(given.Temperature >= 0 && given.Temperature <= 2) {
		return task{}, because.E("read option", "max_tokens", errors.New("max_tokens must be at least 1, votes at least 0, temperature from 0 to 2"), "")
	}
	options := understanding.Options{Constitution: t.constitution, Context: given.Context, Persona: given.Persona, Votes: given.Votes, AnyText: given.AnyText,
		Ask: because.Request{MaxTokens: given.MaxTokens, Temperature: given.Temperature}}
	for _, k := range given.Kinds {
		options.Kinds = append(options.Kinds, understanding.Kind(k))
	}
	made, err := understanding.Task(options)
	if err != nil {
		return task{}, asOption(o.With, "kinds", err)
	}
	samples, err := samplesOf(made.Dataset)
	if err != nil {
		return task{}, err
	}
	tk := task{Task: made, outcomes: []because.Outcome{because.Correct, because.Wrong}, by: made.By, judged: true, pick: true, outcome: understood}
	tk.groups = levels(samples, tk.by)
	tk.answer = func(_ int, f found) string { return transcript(f.turns) }
	return tk, nil
}

// understood makes one finding of those about the sample's kind.
func understood(f found) found {
	for _, name := range []string{understanding.RecallCorrect, understanding.Corrects, understanding.InLine} {
		s, ok := f.scores[name]
		if !ok || s.Outcome == eval.NotApplicable {
			continue
		}
		least := 1.0
		if name == understanding.InLine {
			least = inLine
		}
		f.score = because.Score{Value: s.Value, Why: s.Why, Answer: s.Answer, Meta: s.Meta, Outcome: because.Wrong}
		if s.Value == nil {
			return found{score: because.Score{Outcome: because.Failed, Why: fmt.Sprintf("%s gave no value", name)}}
		}
		if *s.Value >= least {
			f.score.Outcome = because.Correct
		}
		return f
	}
	return found{score: because.Score{Outcome: because.Failed, Why: "no scorer found anything"}}
}
