package organism

import (
	"context"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval/batch"
)

// evaluate runs a task of this world on a model. The scenes depend on the world's seed and the task's options, never
// on the model, so that arms are compared on the same scenes.
func (w *World) evaluate(ctx context.Context, name string, t task, o taskOptions, n int, m because.Model) ([]batch.Scored, batch.Counts, error) {
	wr := w.writer("eval/" + name)
	items, err := t.items(wr, o, n)
	if err != nil {
		return nil, batch.Counts{}, err
	}
	et := batch.Task{Name: name, MaxTokens: answerTokens, Temperature: 1, Likelihood: o.Likelihood}
	for _, it := range items {
		et.Items = append(et.Items, batch.Item{Sample: it.sample, Groups: it.groups, Score: it.score, Observe: observed, Candidates: it.candidates})
	}
	return batch.Run(ctx, et, m, wr.r.Uint64())
}

// observed groups answers by whether they reflect before they act.
func observed(answer string) []string {
	if reflects(answer) {
		return []string{"reflected=yes"}
	}
	return []string{"reflected=no"}
}
