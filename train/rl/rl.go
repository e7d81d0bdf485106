// Package rl trains a model by policy gradient on episodes with a reward: GRPO (Shao et al. 2024, arXiv:2402.03300).
//
// It departs from published GRPO in four places. Each batch of answers is used for one update, so the probability
// ratio is 1 and no clipping of it is needed. There is no penalty for distance from the start (beta = 0). The loss is
// averaged over all answer tokens of the batch, end markers included, not per answer first (as in DAPO, Yu et al. 2025,
// arXiv:2503.14476). The spread that advantages are divided by gets 0.1 added, so that a nearly unanimous group does
// not dominate.
package rl

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/train"
)

// Episode is one prompt and the reward of an answer to it.
type Episode struct {
	Prompt []int32
	Reward func(answer string) float64
	// Reserved tells that an answer holds something that the evaluation reserves. Such an answer is counted, and has no
	// part in the update: neither its tokens nor, through its group's baseline, its reward. May be nil.
	Reserved func(answer string) bool
}

// Env makes the episodes of a run. It is called in order; its episodes depend on its own stream alone.
type Env func() (Episode, error)

// Options are what a job does not say.
type Options struct {
	Seed      uint64
	MaxTokens int
	Stop      int32 // ends an answer
	Decode    func(answer []int32) (string, error)
	Pool      *kernel.Pool
	Report    because.Progress
	// Snapshot keeps the model after the given number of steps. It is called at each of the job's Snapshots before the
	// last step, which is the run's own result, and may be nil where the job has none.
	Snapshot func(step int) error
}

const spreadFloor = 0.1

// Run trains the model in place for j.Steps updates of j.Prompts groups of j.Group answers each. A step in which the
// answers of every group agree in reward leaves the model as it is. It checks ctx before each token.
func Run(ctx context.Context, m *llama.Model, env Env, j train.Job, o Options) (train.Run, error) {
	if err := check(j, o); err != nil {
		return train.Run{}, because.E("train", "", err, "")
	}
	learner, err := train.NewLearner(m, j, j.Steps, o.Pool)
	if err != nil {
		return train.Run{}, err
	}
	run := train.Run{Method: train.RL, Steps: j.Steps, Records: j.Steps * j.Prompts * j.Group}
	var pack train.Packer
	for step := range j.Steps {
		r, err := rollout(ctx, m, env, j, o, step)
		if err != nil {
			return run, because.E("roll out", fmt.Sprintf("step %d", step+1), err, "")
		}
		if fill(&pack, r.groups, o.Stop) {
			if _, err := learner.Update(pack.Batch); err != nil {
				return run, err
			}
		}
		run.Rewards = append(run.Rewards, r.reward)
		run.Tokens += r.tokens
		run.Removed += r.removed
		if o.Report != nil {
			o.Report(float64(step+1), float64(j.Steps), "steps", fmt.Sprintf("reward %.2f", r.reward))
		}
		if done := step + 1; done < j.Steps && slices.Contains(j.Snapshots, done) {
			if err := o.Snapshot(done); err != nil {
				return run, because.E("keep snapshot", fmt.Sprintf("step %d", done), err, "")
			}
		}
	}
	return run, nil
}

func check(j train.Job, o Options) error {
	switch {
	case j.Prompts < 1:
		return fmt.Errorf("prompts is %d; it must be at least 1", j.Prompts)
	case j.Group < 2:
		return fmt.Errorf("group is %d; answers are compared, so it must be at least 2", j.Group)
	case len(j.Snapshots) > 0 && o.Snapshot == nil:
		return errors.New("the job has snapshots, and nothing keeps them")
	}
	return nil
}
