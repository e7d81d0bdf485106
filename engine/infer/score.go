package infer

import (
	"context"
	"fmt"
	"slices"
)

// Score gives the log-probability of every token of each continuation after
// its prompt: out[i][j] is log p(continuations[i][j] | prompts[i],
// continuations[i][:j]), in nats. All pairs are computed together, and prompts
// that begin alike are read once.
func (e *Engine) Score(ctx context.Context, prompts, continuations [][]int32) ([][]float32, error) {
	if len(prompts) != len(continuations) {
		return nil, fmt.Errorf("infer: score: %d prompts and %d continuations, want as many of each", len(prompts), len(continuations))
	}
	var seqs []*sequence
	jobs := make([]*scoring, len(prompts))
	done := make(chan error, len(prompts))
	for i, p := range prompts {
		if err := e.checkTokens(fmt.Sprintf("score: pair %d", i), p, len(continuations[i])); err != nil {
			return nil, err
		}
		tokens := slices.Concat(p, continuations[i])
		if err := e.checkTokens(fmt.Sprintf("score: pair %d", i), tokens, 0); err != nil {
			return nil, err
		}
		jobs[i] = newScoring(tokens, len(p), 0, done)
		if len(continuations[i]) > 0 {
			seqs = append(seqs, newSequence(jobs[i], tokens[:len(tokens)-1], len(p)-1))
		}
	}
	if err := e.await(ctx, "score", done, seqs); err != nil {
		return nil, err
	}
	out := make([][]float32, len(jobs))
	for i, g := range jobs {
		out[i] = make([]float32, len(g.out))
		for j, t := range g.out {
			out[i][j] = t.LogProb
		}
	}
	return out, nil
}

// LogProbs judges a text: the log-probability of every token but the first,
// about which a model has nothing to say, and the top likeliest ones in its place.
func (e *Engine) LogProbs(ctx context.Context, tokens []int32, top int) ([]Token, error) {
	if err := e.checkTokens("log-probabilities", tokens, 0); err != nil {
		return nil, err
	}
	if top < 0 || top > e.m.c.VocabSize {
		return nil, fmt.Errorf("infer: log-probabilities: top is %d, want 0 to %d", top, e.m.c.VocabSize)
	}
	done := make(chan error, 1)
	g := newScoring(tokens, 1, top, done)
	if len(tokens) > 1 {
		q := newSequence(g, slices.Clone(tokens[:len(tokens)-1]), 0)
		if err := e.await(ctx, "log-probabilities", done, []*sequence{q}); err != nil {
			return nil, err
		}
	}
	return slices.Concat([]Token{{ID: tokens[0]}}, g.out), nil
}

// Logits returns those after every position, [len(tokens),V], to compare with
// other implementations.
func (e *Engine) Logits(ctx context.Context, tokens []int32) ([]float32, error) {
	if err := e.checkTokens("logits", tokens, 0); err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	g := &reading{out: make([]float32, len(tokens)*e.m.c.VocabSize), done: done}
	if err := e.await(ctx, "logits", done, []*sequence{newSequence(g, slices.Clone(tokens), 0)}); err != nil {
		return nil, err
	}
	return g.out, nil
}

func newScoring(tokens []int32, from, top int, done chan<- error) *scoring {
	g := &scoring{from: from, top: top, out: make([]Token, len(tokens)-from), done: done}
	for i := range g.out {
		g.out[i].ID = tokens[from+i]
	}
	return g
}

// await submits sequences and waits until all have ended or one has failed.
func (e *Engine) await(ctx context.Context, op string, done <-chan error, seqs []*sequence) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("infer: %s: %w", op, err)
	}
	if err := e.sched.submit(false, seqs...); err != nil {
		return err
	}
	for range seqs {
		select {
		case <-ctx.Done():
			e.sched.cancel(seqs...)
			return fmt.Errorf("infer: %s: %w", op, ctx.Err())
		case err := <-done:
			if err != nil {
				e.sched.cancel(seqs...)
				return err
			}
		}
	}
	return nil
}

// newSequence makes a sequence that may take as many as reuse positions from shared pages.
func newSequence(j job, tokens []int32, reuse int) *sequence {
	q := &sequence{job: j, tokens: tokens, reuse: reuse}
	q.cached.Store(-1)
	return q
}
