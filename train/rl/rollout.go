package rl

import (
	"context"
	"fmt"
	"math"

	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/train"
)

// group is the answers to one prompt, which share a baseline; those left out are not in it.
type group struct {
	prompt  []int32
	answers []llama.Completion
	rewards []float64
}

// rolled is what one step sampled.
type rolled struct {
	groups  []group
	reward  float64 // mean over all answers
	tokens  int     // of all prompts and answers
	removed int     // answers left out
}

// rollout samples j.Group answers to each of j.Prompts episodes and rewards them.
func rollout(ctx context.Context, m *llama.Model, env Env, j train.Job, o Options, step int) (rolled, error) {
	r := rolled{groups: make([]group, j.Prompts)}
	episodes := make([]Episode, j.Prompts)
	var prompts [][]int32
	for i := range episodes {
		var err error
		if episodes[i], err = env(); err != nil {
			return r, err
		}
		for range j.Group {
			prompts = append(prompts, episodes[i].Prompt)
		}
	}
	answers, err := m.Generate(ctx, prompts, llama.SampleOptions{MaxNew: o.MaxTokens, Temperature: 1, Stop: []int32{o.Stop},
		Seed: o.Seed, First: step * len(prompts), Pool: o.Pool})
	if err != nil {
		return r, err
	}
	sum := 0.0
	for i, a := range answers {
		e, g := episodes[i/j.Group], &r.groups[i/j.Group]
		text, err := o.Decode(a.Tokens)
		if err != nil {
			return r, err
		}
		reward := e.Reward(text)
		if math.IsNaN(reward) || math.IsInf(reward, 0) {
			return r, fmt.Errorf("the reward of %q is %v", text, reward)
		}
		sum += reward
		r.tokens += len(e.Prompt) + len(a.Tokens)
		g.prompt = e.Prompt
		if e.Reserved != nil && e.Reserved(text) {
			r.removed++
			continue
		}
		g.answers, g.rewards = append(g.answers, a), append(g.rewards, reward)
	}
	r.reward = sum / float64(len(answers))
	return r, nil
}

// fill packs the answers of groups that disagree, each token weighted by its answer's advantage over the number of
// answer tokens. It reports whether there is anything to learn.
func fill(p *train.Packer, groups []group, stop int32) bool {
	p.Reset()
	tokens := 0
	for _, g := range groups {
		for _, a := range g.answers {
			tokens += len(drawn(a, stop))
		}
	}
	for _, g := range groups {
		for i, adv := range advantages(g.rewards) {
			if adv == 0 {
				continue
			}
			seq := append(append([]int32(nil), g.prompt...), drawn(g.answers[i], stop)...)
			p.Add(seq, len(g.prompt), float32(adv/float64(tokens)))
		}
	}
	return len(p.Batch.Tokens) > 0
}

// drawn gives the tokens that the model chose: an answer that it ended has its end marker too.
func drawn(a llama.Completion, stop int32) []int32 {
	if a.Stop != llama.StopToken {
		return a.Tokens
	}
	return append(a.Tokens[:len(a.Tokens):len(a.Tokens)], stop)
}

// advantages normalises the rewards of a group: (reward - mean) / (standard deviation + 0.1). Equal rewards give
// exactly 0, whatever the rounding of their mean.
func advantages(rewards []float64) []float64 {
	out := make([]float64, len(rewards))
	mean, agree := 0.0, true
	for _, r := range rewards {
		mean += r
		agree = agree && r == rewards[0]
	}
	if agree {
		return out
	}
	mean /= float64(len(rewards))
	ss := 0.0
	for _, r := range rewards {
		ss += (r - mean) * (r - mean)
	}
	spread := math.Sqrt(ss / float64(len(rewards)-1))
	for i, r := range rewards {
		out[i] = (r - mean) / (spread + spreadFloor)
	}
	return out
}
