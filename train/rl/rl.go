// Package rl trains a model by policy gradient on episodes with a reward: GRPO (Shao et al. 2024, arXiv:2402.03300).
//
// It departs from published GRPO in four places. Each batch of answers is used for one update, so the probability
// ratio is 1 and no clipping of it is needed. There is no penalty for distance from the start (beta = 0). The loss is
// averaged over all answer tokens of the batch, not per answer first (as in DAPO, Yu et al. 2025, arXiv:2503.14476).
// The spread that advantages are divided by gets 0.1 added, so that a nearly unanimous group does not dominate.
package rl

import (
	"context"
	"fmt"
	"math"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/train"
)

// Episode is one prompt and the reward of an answer to it.
type Episode struct {
	Prompt []int32
	Reward func(answer string) float64
	// Reserved tells that an answer holds something that the evaluation reserves; it is left out of the update and
	// counted. May be nil.
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
	// Snapshot keeps the model after the given number of steps; it is called at each of the job's Snapshots.
	Snapshot func(step int) error
}

const spreadFloor = 0.1

// Run trains the model in place for j.Steps updates of j.Prompts groups of j.Group answers each.
func Run(ctx context.Context, m *llama.Model, env Env, j train.Job, o Options) (train.Run, error) {
	learner, err := train.NewLearner(m, j, j.Steps, o.Pool)
	if err != nil {
		return train.Run{}, err
	}
	run := train.Run{Method: train.RL, Steps: j.Steps, Records: j.Steps * j.Prompts * j.Group}
	keep := map[int]bool{}
	for _, s := range j.Snapshots {
		keep[s] = true
	}
	var pack train.Packer
	for step := range j.Steps {
		groups, err := rollout(ctx, m, env, j, o, step)
		if err != nil {
			return run, err
		}
		run.Rewards = append(run.Rewards, meanReward(groups))
		if fill(&pack, groups, o.Stop) {
			if _, err := learner.Update(pack.Batch); err != nil {
				return run, err
			}
		}
		for _, g := range groups {
			for i, a := range g.answers {
				run.Tokens += len(g.prompt) + len(a.Tokens)
				if g.left[i] {
					run.Removed++
				}
			}
		}
		if o.Report != nil {
			o.Report(float64(step+1), float64(j.Steps), "steps", fmt.Sprintf("reward %.2f", run.Rewards[step]))
		}
		if done := step + 1; keep[done] && done < j.Steps {
			if err := o.Snapshot(done); err != nil {
				return run, err
			}
		}
	}
	return run, nil
}

// group is the answers to one prompt, which share a baseline.
type group struct {
	prompt  []int32
	answers []llama.Completion
	rewards []float64
	left    []bool // answers left out of the update
}

func rollout(ctx context.Context, m *llama.Model, env Env, j train.Job, o Options, step int) ([]group, error) {
	groups := make([]group, j.Prompts)
	episodes := make([]Episode, j.Prompts)
	var prompts [][]int32
	for i := range episodes {
		var err error
		if episodes[i], err = env(); err != nil {
			return nil, because.E("roll out", fmt.Sprintf("step %d", step+1), err, "")
		}
		for range j.Group {
			prompts = append(prompts, episodes[i].Prompt)
		}
	}
	answers, err := m.Generate(ctx, prompts, llama.SampleOptions{MaxNew: o.MaxTokens, Temperature: 1, Stop: []int32{o.Stop},
		Seed: o.Seed, First: step * len(prompts), Pool: o.Pool})
	if err != nil {
		return nil, err
	}
	for i := range groups {
		g := group{prompt: episodes[i].Prompt, answers: answers[i*j.Group : (i+1)*j.Group]}
		for _, a := range g.answers {
			text, err := o.Decode(a.Tokens)
			if err != nil {
				return nil, because.E("roll out", fmt.Sprintf("step %d", step+1), err, "")
			}
			g.rewards = append(g.rewards, episodes[i].Reward(text))
			g.left = append(g.left, episodes[i].Reserved != nil && episodes[i].Reserved(text))
		}
		groups[i] = g
	}
	return groups, nil
}

func meanReward(groups []group) float64 {
	sum, n := 0.0, 0
	for _, g := range groups {
		for _, r := range g.rewards {
			sum += r
			n++
		}
	}
	return sum / float64(n)
}

// fill packs the answers of groups that disagree, each token weighted by its answer's advantage over the number of
// answer tokens. It reports whether there is anything to learn.
func fill(p *train.Packer, groups []group, stop int32) bool {
	p.Reset()
	tokens := 0
	for _, g := range groups {
		for _, a := range g.answers {
			tokens += len(a.Tokens) + 1
		}
	}
	for _, g := range groups {
		for i, adv := range advantages(g.rewards) {
			if adv == 0 || g.left[i] {
				continue
			}
			seq := append(append([]int32(nil), g.prompt...), g.answers[i].Tokens...)
			if g.answers[i].Stop == llama.StopToken {
				seq = append(seq, stop)
			}
			p.Add(seq, len(g.prompt), float32(adv/float64(tokens)))
		}
	}
	return len(p.Batch.Tokens) > 0
}

// advantages normalises the rewards of a group: (reward - mean) / (standard deviation + 0.1).
func advantages(rewards []float64) []float64 {
	mean := 0.0
	for _, r := range rewards {
		mean += r
	}
	mean /= float64(len(rewards))
	ss := 0.0
	for _, r := range rewards {
		ss += (r - mean) * (r - mean)
	}
	spread := math.Sqrt(ss / float64(max(1, len(rewards)-1)))
	out := make([]float64, len(rewards))
	for i, r := range rewards {
		out[i] = (r - mean) / (spread + spreadFloor)
	}
	return out
}
