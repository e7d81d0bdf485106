package llama

import (
	"sync/atomic"

	"github.com/because-lab/because/engine/kernel"
)

// queryBlock is the number of queries of a span of n tokens whose scores are
// computed at once. A block needs the keys up to its last query only, so small
// blocks save work; but each block arranges its keys anew, which long spans
// would do too often.
func queryBlock(n int) int {
	if n <= keepProbs {
		return 24
	}
	return 48
}

// attnScratch is the memory of one worker.
type attnScratch struct {
	scores  buffer // queries of a block, keys
	dscores buffer // the same
}

// forHeads runs f for every span i and key/value head. The query heads that
// share a key/value head belong to one task, so that its gradient has one
// writer and a fixed order.
func (ws *Workspace) forHeads(spans []span, f func(s *attnScratch, i int, kv int)) {
	g := ws.cfg.KVHeads
	n := len(spans) * g
	workers := min(len(ws.attn), n)
	if workers == 1 {
		for i := range n {
			f(&ws.attn[0], i/g, i%g)
		}
		return
	}
	var next atomic.Int64
	ws.pool.Run(workers, func(worker int) {
		for {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			f(&ws.attn[worker], i/g, i%g)
		}
	})
}

// keepProbs is the longest span whose attention weights are kept for the
// backward pass. Those of longer ones would take too much memory and are
// computed again.
const keepProbs = 128

// planProbs lays out the attention weights to keep: for each span that
// qualifies, H,n,n elements of a layer's probs.
func (ws *Workspace) planProbs(spans []span, layers int, keep bool) {
	ws.probs = ws.probs[:0]
	size := 0
	for _, sp := range spans {
		if !keep || sp.n > keepProbs {
			ws.probs = append(ws.probs, -1)
			continue
		}
		ws.probs = append(ws.probs, size)
		size += ws.cfg.Heads * sp.n * sp.n
	}
	for i := range layers {
		ws.layers[i].probs = grow(ws.layers[i].probs, size)
	}
}

// blockProbs returns the place of the kept weights of queries lo.. of head h,
// or nil.
func (ws *Workspace) blockProbs(a *activations, i int, sp span, h, lo int) []float32 {
	if ws.probs[i] < 0 {
		return nil
	}
	return a.probs[ws.probs[i]+(h*sp.n+lo)*sp.n:]
}

// attend computes causal softmax attention within each span: a.attn [T,A] from
// a.qkv [T,Q] with rotated queries and keys.
func (ws *Workspace) attend(a *activations, spans []span) {
	ws.forHeads(spans, func(s *attnScratch, i int, kv int) {
		c, sp, qkv := &ws.cfg, spans[i], a.qkv
		q, e, aw, group := c.qkvWidth(), c.HeadDim, c.attnWidth(), c.Heads/c.KVHeads
		values, block := (c.Heads+c.KVHeads+kv)*e, queryBlock(sp.n)
		for h := kv * group; h < (kv+1)*group; h++ {
			for lo := 0; lo < sp.n; lo += block {
				rows := min(block, sp.n-lo)
				own, total := lo+rows, sp.prefixN+lo+rows
				p := ws.blockProbs(a, i, sp, h, lo)
				if p == nil {
					p = s.scores.take(rows * total)
				}
				ws.scoreBlock(p, qkv, sp, h, kv, lo, rows)
				o := a.attn[(sp.lo+lo)*aw+h*e:]
				if sp.prefixN > 0 {
					kernel.GemmNN(nil, rows, e, sp.prefixN, p, total, qkv[sp.prefixLo*q+values:], q, o, aw, false)
				}
				kernel.GemmNN(nil, rows, e, own, p[sp.prefixN:], total, qkv[sp.lo*q+values:], q, o, aw, sp.prefixN > 0)
			}
		}
	})
}

// scoreBlock fills s [rows, prefixN+lo+rows] with the attention weights of
// head h for queries lo..lo+rows of a span: softmax over the keys up to each
// query, zero after it.
func (ws *Workspace) scoreBlock(s, qkv []float32, sp span, h, kv, lo, rows int) {
	c := &ws.cfg
	q, e := c.qkvWidth(), c.HeadDim
	keys := (c.Heads + kv) * e
	own, total := lo+rows, sp.prefixN+lo+rows
	query := qkv[(sp.lo+lo)*q+h*e:]
	if sp.prefixN > 0 {
		kernel.GemmNT(nil, rows, sp.prefixN, e, query, q, qkv[sp.prefixLo*q+keys:], q, s, total, false)
	}
	kernel.GemmNT(nil, rows, own, e, query, q, qkv[sp.lo*q+keys:], q, s[sp.prefixN:], total, false)
	causalSoftmax(s, rows, total, sp.prefixN+lo+1, ws.attnScale())
}

// attendBackward computes dqkv [T,Q] from dout [T,A].
func (ws *Workspace) attendBackward(dqkv, dout []float32, a *activations, spans []span) {
	ws.forHeads(spans, func(s *attnScratch, i int, kv int) {
		c, sp := &ws.cfg, spans[i]
		q, e, group, block := c.qkvWidth(), c.HeadDim, c.Heads/c.KVHeads, queryBlock(sp.n)
		for t := sp.lo; t < sp.lo+sp.n; t++ {
			row := dqkv[t*q : (t+1)*q]
			clear(row[(c.Heads+kv)*e:][:e])
			clear(row[(c.Heads+c.KVHeads+kv)*e:][:e])
		}
		for h := kv * group; h < (kv+1)*group; h++ {
			for lo := 0; lo < sp.n; lo += block {
				rows := min(block, sp.n-lo)
				p := ws.blockProbs(a, i, sp, h, lo)
				if p == nil {
					p = s.scores.take(rows * (lo + rows))
					ws.scoreBlock(p, a.qkv, sp, h, kv, lo, rows)
				}
				ws.backwardBlock(s, p, dqkv, dout, a.qkv, sp, h, kv, lo, rows)
			}
		}
	})
}

// backwardBlock adds the gradients of the keys and values, and sets those of
// the queries, that come from queries lo..lo+rows of head h, whose attention
// weights are p [rows,lo+rows].
func (ws *Workspace) backwardBlock(s *attnScratch, p, dqkv, dout, qkv []float32, sp span, h, kv, lo, rows int) {
	c := &ws.cfg
	q, e, aw := c.qkvWidth(), c.HeadDim, c.attnWidth()
	keys, values := sp.lo*q+(c.Heads+kv)*e, sp.lo*q+(c.Heads+c.KVHeads+kv)*e
	query, do := (sp.lo+lo)*q+h*e, dout[(sp.lo+lo)*aw+h*e:]
	seen := lo + rows

	dp := s.dscores.take(rows * seen)
	kernel.GemmTN(nil, seen, e, rows, p, seen, do, aw, dqkv[values:], q, true)
	kernel.GemmNT(nil, rows, seen, e, do, aw, qkv[values:], q, dp, seen, false)
	causalSoftmaxBackward(dp, p, rows, seen, lo+1, ws.attnScale())
	kernel.GemmNN(nil, rows, e, seen, dp, seen, qkv[keys:], q, dqkv[query:], q, false)
	kernel.GemmTN(nil, seen, e, rows, dp, seen, qkv[query:], q, dqkv[keys:], q, true)
}

// kernelColumns is the widest row that the kernels' causal forms take.
const kernelColumns = 8192

// causalSoftmax normalises rows of scores [rows,cols] in place; row i sees its
// first min(cols, first+i) columns and the others become zero.
func causalSoftmax(s []float32, rows, cols, first int, scale float32) {
	if cols <= kernelColumns {
		kernel.CausalSoftmaxRows(s, cols, rows, cols, first, scale)
		return
	}
	for i := range rows {
		row := s[i*cols : (i+1)*cols]
		seen := min(cols, first+i)
		kernel.Softmax(row[:seen], row[:seen], scale)
		clear(row[seen:])
	}
}

// causalSoftmaxBackward turns the gradient of the weights p into that of the scores.
func causalSoftmaxBackward(ds, p []float32, rows, cols, first int, scale float32) {
	if cols <= kernelColumns {
		kernel.CausalSoftmaxBackwardRows(ds, p, cols, rows, cols, first, scale)
		return
	}
	for i := range rows {
		// The weights after the query are zero, and so become their gradients.
		d := ds[i*cols : (i+1)*cols]
		kernel.SoftmaxBackward(d, p[i*cols:(i+1)*cols], d, scale)
	}
}
