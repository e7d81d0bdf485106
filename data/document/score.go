package document

import (
	"context"
	"errors"
	"strconv"

	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/judge"
)

// scorer has a judge score documents.
type scorer struct {
	rubric  *judge.Rubric
	options judge.Options
	least   int
	persona string
}

// score drops documents that don't agree with the constitution, and those that nobody could grade.
func (s scorer) score(ctx context.Context, step *pipe.Step, it pipe.Item) ([]pipe.Item, error) {
	chat, err := step.Model(Judge)
	if err != nil {
		return nil, err
	}
	j, err := judge.New(chat, s.rubric, s.options)
	if err != nil {
		return nil, err
	}
	facts := map[string]string{}
	for _, f := range s.rubric.Facts {
		if text, ok := it.Lookup(f.Name); ok {
			facts[f.Name] = text
		}
	}
	subject := judge.Subject{Text: it.Get("document"), Facts: facts}
	if s.persona != "" {
		subject.Names = []string{s.persona}
	}
	verdict, err := j.Grade(ctx, step.Seed("consistency"), subject)
	var unread *judge.Unparsable
	if errors.As(err, &unread) {
		return nil, pipe.Drop("the judge gave no grade")
	}
	if err != nil {
		return nil, err
	}
	return s.read(it, verdict)
}

func (s scorer) read(it pipe.Item, v judge.Verdict) ([]pipe.Item, error) {
	f, err := v.Finding("consistency")
	var divided *judge.Undecided
	switch {
	case errors.As(err, &divided):
		return nil, pipe.Drop("the judge's votes are divided")
	case err != nil:
		return nil, err
	case f.Value == nil:
		return nil, pipe.Drop("the judge gave no grade")
	case *f.Value < float64(s.least):
		return nil, pipe.Drop("does not agree with the constitution")
	}
	if s.rubric.Question("invented") != nil {
		invented, err := v.Finding("invented")
		if errors.As(err, &divided) {
			return nil, pipe.Drop("the judge's votes are divided")
		}
		if err != nil {
			return nil, err
		}
		if invented.Answer == judge.Yes {
			return nil, pipe.Drop("invents facts about the world")
		}
	}
	return []pipe.Item{it.With("consistency", strconv.FormatFloat(*f.Value, 'g', -1, 64))}, nil
}
