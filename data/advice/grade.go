package advice

import (
	"context"
	"errors"
	"fmt"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/judge"
	"github.com/because-lab/because/scenario"
)

// grade lets a judge say how well the answers follow the excerpt, and keeps those that do. What can't be graded is dropped and counted.
func (r *recipe) grade(ctx context.Context, s *pipe.Step, it pipe.Item) ([]pipe.Item, error) {
	m, err := s.Model(Grader)
	if err != nil {
		return nil, err
	}
	j, err := judge.New(m, r.rubric, judge.Options{Votes: r.o.Votes})
	if err != nil {
		return nil, err
	}
	rec, err := record(it)
	if err != nil {
		return nil, err
	}
	v, err := j.Grade(ctx, s.Seed("adherence"), judge.Subject{Transcript: because.Transcript{Messages: rec.Messages},
		Facts: map[string]string{"excerpt": it.Get("excerpt")}})
	var unread *judge.Unparsable
	if errors.As(err, &unread) {
		return nil, pipe.Drop("the judge's grade could not be read")
	}
	if err != nil {
		return nil, err
	}
	f, err := v.Finding("adherence")
	if err != nil {
		return nil, pipe.Drop("the judge's votes are divided")
	}
	if f.Value == nil || *f.Value < r.o.Least {
		return nil, pipe.Drop("follows the constitution too little")
	}
	return []pipe.Item{it.With("adherence", fmt.Sprint(*f.Value))}, nil
}

// clean drops conversations that repeat what an evaluation reserves.
func (r *recipe) clean(it pipe.Item) string {
	rec, err := record(it)
	if err != nil {
		return err.Error()
	}
	return r.repeats(rec.Row)
}

// repeats gives a reason to drop a row that has one of the sentences that carry an evaluated scenario's pressure and lever, or eight words of one.
func (r *recipe) repeats(row columns.Row) string {
	if len(r.reserved.Find(row)) > 0 {
		return "repeats an evaluated scenario"
	}
	return ""
}

// reserve makes the index of those sentences.
func reserve() (*quality.Index, error) {
	spans := scenario.DecisiveSpans()
	return quality.NewIndex(quality.Reserved{Name: "honeypot", Texts: spans, Spans: spans})
}
