package study

import (
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/internal/store"
	"github.com/because-lab/because/train"
)

// asked is a world that is asked each question of a Check method once: a study has many orders that differ only in what
// those methods don't look at. It is used by one goroutine at a time.
type asked struct {
	World
	answers map[string]answer // by question
}

// answer is what a Check method answered, where it found nothing wrong.
type answer struct {
	needsModel       bool
	outcomes, groups []string
}

func askOnce(w World) *asked { return &asked{World: w, answers: map[string]answer{}} }

// resolve gives the order by which a dataset is known.
func (a *asked) resolve(o data.Order) (data.Order, error) {
	if r, ok := a.World.(Resolving); ok {
		return r.ResolveData(o)
	}
	return o, nil
}

// resolveJob gives the job by which a checkpoint is known: of RL, whose environment may read a file.
func (a *asked) resolveJob(j train.Job) (train.Job, error) {
	if j.Method != train.RL {
		return j, nil
	}
	o, err := a.resolve(data.Order{World: j.World, Seed: j.Seed, Recipe: j.Recipe, With: j.With})
	j.With = o.With
	return j, err
}

// ask gives the answer to a question, from ask where it was not asked before.
func (a *asked) ask(method string, order any, ask func() (answer, error)) (answer, error) {
	key, err := store.Encode([]any{method, order})
	if err != nil {
		return answer{}, err
	}
	if known, ok := a.answers[string(key)]; ok {
		return known, nil
	}
	got, err := ask()
	if err == nil {
		a.answers[string(key)] = got
	}
	return got, err
}

// CheckData implements World. The order may still name files.
func (a *asked) CheckData(o data.Order) (needsModel bool, err error) {
	if o, err = a.resolve(o); err != nil {
		return false, err
	}
	question := o
	question.Seed, question.Tokens, question.Stream = 0, 0, ""
	got, err := a.ask("data", question, func() (got answer, err error) {
		got.needsModel, err = a.World.CheckData(o)
		return got, err
	})
	return got.needsModel, err
}

// CheckTrain implements World. The job may still name files.
func (a *asked) CheckTrain(j train.Job) error {
	j, err := a.resolveJob(j)
	if err != nil {
		return err
	}
	question := train.Job{World: j.World, Method: j.Method, Recipe: j.Recipe, With: j.With, Model: j.Model}
	_, err = a.ask("train", question, func() (answer, error) { return answer{}, a.World.CheckTrain(j) })
	return err
}

// CheckEval implements World.
func (a *asked) CheckEval(o batch.Order) (outcomes, groups []string, err error) {
	question := o
	question.Seed, question.Samples = 0, 0
	got, err := a.ask("eval", question, func() (got answer, err error) {
		got.outcomes, got.groups, err = a.World.CheckEval(o)
		return got, err
	})
	return got.outcomes, got.groups, err
}
