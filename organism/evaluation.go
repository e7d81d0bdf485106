package organism

import (
	"context"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval/batch"
)

// evaluate runs a task of this world on a model. The scenes depend on the world's seed and the task's options, never
// on the model, so that arms are compared on the same scenes.
func (w *World) evaluate(ctx context.Context, name string, t task, o taskOptions, n int, m because.Model) ([]batch.Scored, batch.Counts, error) {
	bt, seed, err := w.batch(name, t, o, n)
	if err != nil {
		return nil, batch.Counts{}, err
	}
	return batch.Run(ctx, bt, m, seed)
}

// batch makes the n items of a task, and the seed with which they are answered.
func (w *World) batch(name string, t task, o taskOptions, n int) (batch.Task, uint64, error) {
	wr := w.writer("eval/" + name)
	items, err := t.items(wr, o, n)
	if err != nil {
		return batch.Task{}, 0, err
	}
	bt := batch.Task{Name: name, MaxTokens: answerTokens, Temperature: 1, Likelihood: o.Likelihood}
	for _, it := range items {
		bt.Items = append(bt.Items, batch.Item{Sample: it.sample, Groups: it.groups, Score: it.score, Observe: observed, Candidates: it.candidates})
	}
	return bt, wr.r.Uint64(), nil
}

// Task makes the samples of an order, with their scorers, without asking a model.
func (t *Target) Task(o batch.Order) (batch.Task, error) {
	w, err := openWorld(o.World, o.Seed)
	if err != nil {
		return batch.Task{}, err
	}
	tk, opts, err := w.task(o.Task, o.With)
	if err != nil {
		return batch.Task{}, err
	}
	bt, _, err := w.batch(o.Task, tk, opts, o.Samples)
	return bt, err
}

// TaskNames lists the tasks of this world.
func TaskNames() []string { return sortedKeys(tasks) }

// observed groups answers by whether they reflect before they act.
func observed(answer string) []string {
	if reflects(answer) {
		return []string{"reflected=yes"}
	}
	return []string{"reflected=no"}
}
