package llama

import (
	"context"
	"fmt"
	"slices"

	"github.com/because-lab/because/engine/kernel"
)

// LogProbs returns, for each prompt, the log-probability of every token of its
// continuation. Identical consecutive prompts are read once, as long as their
// continuations fit into one pass. Results do not depend on the neighbours or
// the pool. It checks ctx between passes.
func (m *Model) LogProbs(ctx context.Context, prompts, continuations [][]int32, pool *kernel.Pool) ([][]float32, error) {
	if len(prompts) != len(continuations) {
		return nil, fmt.Errorf("llama: log-probabilities: %d prompts but %d continuations", len(prompts), len(continuations))
	}
	out := make([][]float32, len(prompts))
	for i, p := range prompts {
		if err := m.checkPrompt(i, p); err != nil {
			return nil, err
		}
		if n := len(p) + len(continuations[i]); n > m.cfg.MaxPositions+1 {
			return nil, fmt.Errorf("llama: prompt %d and its continuation have %d tokens, the model takes at most %d", i, n, m.cfg.MaxPositions+1)
		}
		if err := checkTokens(&m.cfg, fmt.Sprintf("continuation %d", i), continuations[i]); err != nil {
			return nil, err
		}
		out[i] = make([]float32, len(continuations[i]))
	}
	l := likelihood{m: m, ws: NewWorkspace(m.cfg, 0, pool), prompts: prompts, continuations: continuations, out: out}
	for next := 0; next < len(prompts); {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("llama: log-probabilities: stopped after %d of %d: %w", next, len(prompts), err)
		}
		next = l.pass(next)
	}
	return out, nil
}

// likelihood scores continuations in strips. A prompt is one span of a strip
// and each continuation another whose prefix is the prompt.
type likelihood struct {
	m                      *Model
	ws                     *Workspace
	prompts, continuations [][]int32
	out                    [][]float32
	tokens                 []int32
}

// pass scores the pairs from first on that fit into a strip, at least one, and
// returns the index of the next one.
func (l *likelihood) pass(first int) int {
	var prompt span // of prompts[last], if last >= 0
	last := -1
	h := &l.ws.head
	h.reset()
	spans, tokens := l.ws.spans[:0], l.tokens[:0]
	next := first
	for ; next < len(l.prompts); next++ {
		p, cont := l.prompts[next], l.continuations[next]
		if len(cont) == 0 {
			continue
		}
		shared := last >= 0 && slices.Equal(p, l.prompts[last])
		need := len(cont) - 1
		if !shared {
			need += len(p)
		}
		if len(tokens) > 0 && len(tokens)+need > stripTokens {
			break
		}
		if !shared {
			prompt, last = span{lo: len(tokens), n: len(p)}, next
			spans, tokens = append(spans, prompt), append(tokens, p...)
		}
		h.rows = append(h.rows, int32(prompt.lo+prompt.n-1))
		if n := len(cont) - 1; n > 0 {
			spans = append(spans, span{lo: len(tokens), n: n, prefixLo: prompt.lo, prefixN: prompt.n})
			for i := range n {
				h.rows = append(h.rows, int32(len(tokens)+i))
			}
			tokens = append(tokens, cont[:n]...)
		}
		h.targets = append(h.targets, cont...)
	}
	l.ws.spans, l.tokens = spans, tokens
	if len(tokens) == 0 {
		return next
	}
	l.m.forwardStrip(l.ws, weights{views: l.m.p}, strip{tokens, spans}, false)
	l.m.headLoss(l.ws, nil)
	at := 0
	for i := first; i < next; i++ {
		at += copy(l.out[i], h.logp[at:])
	}
	return next
}
