// Package sft trains a model on sequences with a loss mask: supervised fine-tuning, fine-tuning on documents (SDF),
// and pretraining of small models. Run is the readable loop: batch, gradient, clip, AdamW.
package sft

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/train"
)

// Sequence is one training example in tokens. Loss is taken on the tokens from index Loss on; the first token is
// never predicted.
type Sequence struct {
	Tokens []int32
	Loss   int
}

// Source gives the n-th sequence of a run. It is called in order, so that a corpus can be written while it is read.
type Source func(n int) (Sequence, error)

// Shuffled visits the sequences in a random order, and in a fresh one each time round.
func Shuffled(seqs []Sequence, r *rand.Rand) Source {
	var order []int
	return func(n int) (Sequence, error) {
		if len(seqs) == 0 {
			return Sequence{}, errors.New("there are no sequences to train on")
		}
		if n%len(seqs) == 0 {
			order = r.Perm(len(seqs))
		}
		return seqs[order[n%len(seqs)]], nil
	}
}

// Run trains the model in place on the given number of sequences, Batch at a time; the last batch takes what is left.
// The loss of a step is the mean over the tokens of its batch that carry loss. After an error the model is that of the
// last whole step. It checks ctx before each step.
func Run(ctx context.Context, m *llama.Model, next Source, records int, j train.Job, pool *kernel.Pool, report because.Progress) (train.Run, error) {
	if j.Batch < 1 {
		return train.Run{}, because.E("train", "batch", fmt.Errorf("is %d; it must be at least 1", j.Batch), "")
	}
	steps := (records + j.Batch - 1) / j.Batch
	learner, err := train.NewLearner(m, j, steps, pool)
	if err != nil {
		return train.Run{}, err
	}
	run := train.Run{Method: j.Method, Steps: steps, Records: records}
	var losses tenths
	var pack train.Packer
	for step := range steps {
		if err := ctx.Err(); err != nil {
			return run, because.E("train", fmt.Sprintf("before step %d of %d", step+1, steps), err, "")
		}
		if err := fill(&pack, next, step*j.Batch, min(j.Batch, records-step*j.Batch)); err != nil {
			return run, because.E("train", fmt.Sprintf("step %d", step+1), err, "")
		}
		loss, err := learner.Update(pack.Batch)
		if err != nil {
			return run, err
		}
		run.Tokens += len(pack.Batch.Tokens)
		losses.add(step, steps, loss)
		if report != nil && (step%4 == 3 || step+1 == steps) {
			report(float64(run.Tokens), float64(run.Tokens)*float64(steps)/float64(step+1), "tokens", fmt.Sprintf("loss %.3f", loss))
		}
	}
	run.Loss = losses.means()
	return run, nil
}

// fill packs n sequences and gives every token that carries loss the same weight; the weights sum to one.
func fill(p *train.Packer, next Source, first, n int) error {
	p.Reset()
	for i := range n {
		s, err := next(first + i)
		if err != nil {
			return err
		}
		p.Add(s.Tokens, s.Loss, 1)
	}
	var total float32
	for _, w := range p.Batch.Weights {
		total += w
	}
	if total == 0 {
		return errors.New("no token of the batch carries loss")
	}
	for i := range p.Batch.Weights {
		p.Batch.Weights[i] /= total
	}
	return nil
}

// tenths keeps the mean loss of each tenth of a run.
type tenths struct {
	sum [10]float64
	n   [10]int
}

func (t *tenths) add(step, steps int, loss float64) {
	i := step * 10 / steps
	t.sum[i] += loss
	t.n[i]++
}

func (t *tenths) means() []float64 {
	var out []float64
	for i, n := range t.n {
		if n > 0 {
			out = append(out, t.sum[i]/float64(n))
		}
	}
	return out
}
