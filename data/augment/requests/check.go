package requests

import (
	"context"
	"errors"

	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/judge"
)

// checker asks a judge about messages.
type checker struct {
	rubric  *judge.Rubric
	options judge.Options
}

// grade drops messages that would help to do harm, and those whose label isn't what a judge who doesn't know it finds.
func (c checker) grade(ctx context.Context, step *pipe.Step, it pipe.Item) ([]pipe.Item, error) {
	chat, err := step.Model(Judge)
	if err != nil {
		return nil, err
	}
	j, err := judge.New(chat, c.rubric, c.options)
	if err != nil {
		return nil, err
	}
	v, err := j.Grade(ctx, step.Seed("request"), judge.Subject{Text: it.Get("message")})
	var unread *judge.Unparsable
	if errors.As(err, &unread) {
		return nil, pipe.Drop("the judge gave no grade")
	}
	if err != nil {
		return nil, err
	}
	for _, q := range []struct{ id, want, reason string }{
		{"operational", judge.No, "would help to do harm"},
		{"label", it.Get("label"), "the judge finds another label"},
	} {
		f, err := v.Finding(q.id)
		var divided *judge.Undecided
		if errors.As(err, &divided) {
			return nil, pipe.Drop("the judge's votes are divided")
		}
		if err != nil {
			return nil, err
		}
		if f.Answer != q.want {
			return nil, pipe.Drop(q.reason)
		}
	}
	return []pipe.Item{it}, nil
}
