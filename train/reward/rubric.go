package reward

import (
	"context"
	"fmt"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/because-lab/because"
	"github.com/because-lab/because/judge"
)

// Rubric is the name of the rubric that rewards answers by what the row of their prompt says a good one does.
const Rubric = "reward"

// Judged rewards answers by a judge: the mean of its rubric's questions, a scale's lowest value being 0 and its highest 1, yes 1 and no 0. The item's Task is the
// rubric's fact "wanted". A vote that cannot be read or is divided is an error. At most inFlight answers are graded at a time.
func Judged(j *judge.Judge, inFlight int) (Func, error) {
	r := j.Rubric()
	if r.About != judge.Conversation {
		return nil, because.E("reward", r.Name, fmt.Errorf("the rubric is about a %s", r.About), "use one that is about a transcript")
	}
	for _, q := range r.Questions {
		if q.Kind != judge.Scale && q.Kind != judge.YesNo {
			return nil, because.E("reward", r.Name+": "+q.ID, fmt.Errorf("a question of kind %s gives no number", q.Kind), "use a rubric of scales and yes-no questions")
		}
	}
	return func(ctx context.Context, items []Item) ([]float64, error) {
		out := make([]float64, len(items))
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(max(1, inFlight))
		for i, it := range items {
			g.Go(func() (err error) {
				if out[i], err = graded(ctx, j, it, uint64(i)); err != nil {
					return because.E("reward", it.name(i), err, "")
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			return nil, err
		}
		return out, nil
	}, nil
}

func (it Item) name(i int) string {
	if it.ID != "" {
		return it.ID
	}
	return "item " + strconv.Itoa(i+1)
}

func graded(ctx context.Context, j *judge.Judge, it Item, seed uint64) (float64, error) {
	v, err := j.Grade(ctx, seed, judge.Subject{Facts: map[string]string{"wanted": it.Task}, Transcript: because.Transcript{Messages: []because.Message{
		{Role: because.RoleUser, Content: it.Prompt}, {Role: because.RoleAssistant, Content: it.Completion}}}})
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, q := range j.Rubric().Questions {
		f, err := v.Finding(q.ID)
		if err != nil {
			return 0, err
		}
		x := *f.Value
		if q.Kind == judge.Scale {
			x = (x - float64(q.Min)) / float64(q.Max-q.Min)
		}
		sum += x
	}
	return sum / float64(len(j.Rubric().Questions)), nil
}
