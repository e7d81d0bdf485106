package infer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
)

// An Engine runs a model for any number of goroutines.
type Engine struct {
	m      *model
	limit  int
	sched  *scheduler
	pool   *kernel.Pool
	closed sync.Once
}

// New reads the weights of a checkpoint and starts an engine. Every tensor's
// presence and shape are checked before memory is taken; see [Estimate] for how
// much that will be. The source is not used after New has returned.
func New(src llama.Source, o Options) (*Engine, error) {
	c, err := complete(src.Config())
	if err != nil {
		return nil, err
	}
	if o, err = o.check(c); err != nil {
		return nil, err
	}
	if err := checkSource(src, c); err != nil {
		return nil, err
	}
	pool := kernel.NewPool(o.Workers)
	m, err := load(src, c, o.Precision, positions(c, o), pool)
	if err != nil {
		pool.Close()
		return nil, err
	}
	e := &Engine{m: m, limit: positions(c, o), pool: pool, sched: newScheduler(m, o, pool)}
	go e.sched.loop()
	return e, nil
}

// Close ends the engine: what runs or waits gets ErrClosed. It returns when nothing runs any more.
func (e *Engine) Close() {
	e.closed.Do(func() {
		e.sched.close()
		e.pool.Close()
	})
}

// Config returns the model's sizes, with defaults filled in.
func (e *Engine) Config() llama.Config { return e.m.c }

// Limit is the most tokens that a sequence can have, prompt and answer together.
func (e *Engine) Limit() int { return e.limit }

// Stats tells what an engine is doing and has done.
type Stats struct {
	Running, Waiting          int
	KVTokens, KVInUse, KVKept int   // positions: in all, held by sequences, kept for prompts to come
	Steps                     int64 // passes through the network
	Computed                  int64 // tokens that passed through it
	Shared                    int64 // tokens that did not have to, thanks to shared prefixes
	Drawn                     int64 // tokens that were drawn
	Preempted                 int64 // times that a sequence had to give up its memory
}

// Stats returns the present numbers.
func (e *Engine) Stats() Stats {
	b := &e.sched.inbox
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stats
	s.Waiting = b.queued
	return s
}

// Request asks for the continuation of a prompt.
type Request struct {
	Prompt      []int32
	MaxNew      int     // most tokens of the answer; 0 means as many as fit
	Temperature float64 // 0 takes the likeliest token
	TopP        float64 // nucleus; 0 and 1 mean all tokens
	TopK        int     // only the likeliest; 0 means all tokens
	Seed        uint64
	Stop        []int32 // tokens that end the answer
	LogProbs    bool    // tell each token's log-probability
	TopLogProbs int     // tell that of the likeliest tokens at each place, too
}

// Token is a token of an answer or of a scored text.
type Token struct {
	ID      int32
	LogProb float32    // under the model itself: at temperature 1, of all tokens
	Top     []TopToken // the likeliest tokens in its place, likeliest first
}

// TopToken is a candidate for a place.
type TopToken struct {
	ID      int32
	LogProb float32
}

// StopReason says why an answer ended.
type StopReason string

// The reasons.
const (
	StopToken  StopReason = "stop"   // a token of Request.Stop was drawn
	StopLength StopReason = "length" // MaxNew or the engine's limit was reached
	StopCaller StopReason = "caller" // emit returned ErrStop
)

// Result is an answer.
type Result struct {
	Tokens    []Token // without the stop token
	Stop      StopReason
	StopToken int32 // the token that ended it, if Stop is StopToken
	Cached    int   // prompt tokens whose keys and values were there already; depends on what ran before
}

// Generate draws the answer to a request. emit, unless nil, is called with each
// token as it comes, on the caller's goroutine; other requests do not wait for
// it. If it returns ErrStop the answer ends with that token; any other error ends
// it and is returned. When ctx ends, Generate returns at once with what there
// is, and the request's place and memory are free after the step that runs.
func (e *Engine) Generate(ctx context.Context, r Request, emit func(Token) error) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("infer: generate: %w", err)
	}
	g, err := e.generation(&r)
	if err != nil {
		return Result{}, err
	}
	q := newSequence(g, slices.Clone(r.Prompt), math.MaxInt)
	if err := e.sched.submit(true, q); err != nil {
		return Result{}, err
	}
	var res Result
	for {
		select {
		case <-ctx.Done():
			e.sched.cancel(q)
			return res, fmt.Errorf("infer: generate: %w", ctx.Err())
		case <-g.box.ready:
		}
		tokens, closed, err := g.box.collect()
		res.Cached = int(max(0, q.cached.Load()))
		for _, t := range tokens {
			res.Tokens = append(res.Tokens, t)
			if emit == nil {
				continue
			}
			if err := emit(t); err != nil {
				e.sched.cancel(q)
				if errors.Is(err, ErrStop) {
					res.Stop, err = StopCaller, nil
				}
				return res, err
			}
		}
		if closed {
			res.Stop, res.StopToken = g.box.reason, g.box.stopped
			return res, err
		}
	}
}

// generation checks a request.
func (e *Engine) generation(r *Request) (*generation, error) {
	const op = "generate"
	switch {
	case r.MaxNew < 0:
		return nil, fmt.Errorf("infer: %s: MaxNew is %d, want 0 or a positive number", op, r.MaxNew)
	case !(r.Temperature >= 0) || math.IsInf(r.Temperature, 0):
		return nil, fmt.Errorf("infer: %s: temperature is %v, want 0 or a positive number", op, r.Temperature)
	case !(r.TopP >= 0 && r.TopP <= 1):
		return nil, fmt.Errorf("infer: %s: top-p is %v, want a number in [0, 1]", op, r.TopP)
	case r.TopK < 0:
		return nil, fmt.Errorf("infer: %s: top-k is %d, want 0 or a positive number", op, r.TopK)
	case r.TopLogProbs < 0 || r.TopLogProbs > e.m.c.VocabSize:
		return nil, fmt.Errorf("infer: %s: TopLogProbs is %d, want 0 to %d", op, r.TopLogProbs, e.m.c.VocabSize)
	}
	if err := e.checkTokens(op, r.Prompt, r.MaxNew); err != nil {
		return nil, err
	}
	last := e.limit
	if r.MaxNew > 0 {
		last = len(r.Prompt) + r.MaxNew
	} else if len(r.Prompt) == e.limit {
		return nil, fmt.Errorf("infer: %s: a prompt of %d tokens leaves no room for an answer: %w", op, len(r.Prompt), ErrTooLong)
	}
	return &generation{
		sampling: sampling{temperature: r.Temperature, topP: r.TopP, topK: r.TopK},
		rand:     stream(r.Seed), stop: slices.Clone(r.Stop), last: last,
		logProbs: r.LogProbs || r.TopLogProbs > 0, top: r.TopLogProbs,
		length: len(r.Prompt), box: newMailbox(),
	}, nil
}

// checkTokens reports tokens that are none and sequences that can never fit.
func (e *Engine) checkTokens(op string, tokens []int32, more int) error {
	if len(tokens) == 0 {
		return fmt.Errorf("infer: %s: the prompt is empty; a model needs at least one token to go on from", op)
	}
	if len(tokens) > e.limit || more > e.limit-len(tokens) {
		return fmt.Errorf("infer: %s: %d tokens and %d to come make more than %d (the model's positions: %d, the cache's: %d): %w",
			op, len(tokens), more, e.limit, e.m.c.MaxPositions, e.sched.o.KVTokens, ErrTooLong)
	}
	for i, t := range tokens {
		if t < 0 || int(t) >= e.m.c.VocabSize {
			return fmt.Errorf("infer: %s: token %d at position %d is outside the vocabulary of %d", op, t, i, e.m.c.VocabSize)
		}
	}
	return nil
}
