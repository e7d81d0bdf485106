package story

import (
	"context"
	_ "embed"
	"errors"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/judge"
	"github.com/because-lab/because/scenario"
)

//go:embed rubrics/story.yaml
var shippedRubric []byte

// grader asks a judge about stories.
type grader struct {
	rubric     *judge.Rubric
	options    judge.Options
	least      int
	persona    string
	situations string
}

func newGrader(o Options) (*grader, error) {
	g := &grader{rubric: o.Rubric, options: o.Judge, least: o.Least, persona: o.Constitution.Persona}
	if g.rubric == nil {
		var err error
		if g.rubric, err = judge.ParseRubric("rubrics/story.yaml", shippedRubric); err != nil {
			return nil, err
		}
	}
	for _, id := range []string{"fictional", "reserved", "conduct"} {
		if g.rubric.Question(id) == nil || g.rubric.About != judge.Text {
			return nil, because.E(op, "rubric "+g.rubric.Name, errors.New("it must be about documents and ask "+id), "")
		}
	}
	lib, err := scenario.Embedded()
	if err != nil {
		return nil, err
	}
	var abouts []string
	for _, f := range lib.Evaluated() {
		abouts = append(abouts, f.About)
	}
	g.situations = strings.Join(abouts, "\n\n")
	return g, nil
}

// grade drops stories that could be taken for reports, that are about what is evaluated, or whose mind acts against the constitution; and those
// that nobody could grade.
func (g *grader) grade(ctx context.Context, step *pipe.Step, it pipe.Item) ([]pipe.Item, error) {
	chat, err := step.Model(Judge)
	if err != nil {
		return nil, err
	}
	j, err := judge.New(chat, g.rubric, g.options)
	if err != nil {
		return nil, err
	}
	subject := judge.Subject{Text: it.Get("title") + "\n\n" + it.Get("story"), Facts: map[string]string{"excerpt": it.Get("excerpt"), "situations": g.situations}}
	if g.persona != "" {
		subject.Names = []string{g.persona}
	}
	v, err := j.Grade(ctx, step.Seed("story"), subject)
	var unread *judge.Unparsable
	if errors.As(err, &unread) {
		return nil, pipe.Drop("the judge gave no grade")
	}
	if err != nil {
		return nil, err
	}
	if err := g.read(v); err != nil {
		return nil, err
	}
	return []pipe.Item{it}, nil
}

func (g *grader) read(v judge.Verdict) error {
	for _, q := range []struct{ id, want, reason string }{
		{"fictional", judge.Yes, "is no plainly invented story"},
		{"reserved", judge.No, "is about what is evaluated"},
		{"conduct", "", "does not agree with the constitution"},
	} {
		f, err := v.Finding(q.id)
		var divided *judge.Undecided
		switch {
		case errors.As(err, &divided):
			return pipe.Drop("the judge's votes are divided")
		case err != nil:
			return err
		case q.want != "" && f.Answer != q.want:
			return pipe.Drop(q.reason)
		case q.want == "" && (f.Value == nil || *f.Value < float64(g.least)):
			return pipe.Drop(q.reason)
		}
	}
	return nil
}
