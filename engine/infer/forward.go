package infer

import (
	"math"
	"sync/atomic"

	"github.com/because-lab/because/engine/kernel"
)

// A span is the tokens of one sequence that pass through the network in a
// step: rows lo..lo+n, positions pos..pos+n of the sequence.
type span struct {
	s          *sequence
	lo, n, pos int
	err        error // what its job said to the logits
}

// network computes steps. Its buffers grow to the largest step.
type network struct {
	m    *model
	pool *kernel.Pool
	rows int
	pos  []int32 // R, position of each row

	x      []float32 // R,D
	normed []float32 // R,D
	qkv    []float32 // R,Q
	attn   []float32 // R,A
	gateUp []float32 // R,2F
	act    []float32 // R,F
	inv    []float32 // R

	queries []queries   // of a step
	scores  [][]float32 // scratch of each worker
}

// queries are rows lo..lo+n of a span, to be attended by the query heads of one key/value head.
type queries struct {
	sp        *span
	lo, n, kv int
}

func newNetwork(m *model, pool *kernel.Pool) *network {
	return &network{m: m, pool: pool, scores: make([][]float32, pool.Workers())}
}

// run takes the spans through all layers: keys and values into their pages, the
// residual stream into x.
func (f *network) run(spans []span) {
	f.start(spans)
	for i := range f.m.layers {
		f.layer(i, spans)
	}
}

// start embeds the tokens and plans the attention.
func (f *network) start(spans []span) {
	f.rows, f.queries = 0, f.queries[:0]
	for i := range spans {
		sp := &spans[i]
		f.rows += sp.n
		for lo := 0; lo < sp.n; lo += queryRows {
			for kv := range f.m.c.KVHeads {
				f.queries = append(f.queries, queries{sp, lo, min(queryRows, sp.n-lo), kv})
			}
		}
	}
	f.reserve(f.rows)
	d := f.m.c.HiddenSize
	f.pool.Run(len(spans), func(i int) {
		sp := spans[i]
		for j := range sp.n {
			f.pos[sp.lo+j] = int32(sp.pos + j)
			f.m.embed.Row(int(sp.s.tokens[sp.pos+j]), f.x[(sp.lo+j)*d:(sp.lo+j+1)*d])
		}
	})
}

// queryRows is how many tokens of a sequence a task of the attention takes.
const queryRows = 48

func (f *network) reserve(n int) {
	c := &f.m.c
	f.x, f.normed = grow(f.x, n*c.HiddenSize), grow(f.normed, n*c.HiddenSize)
	f.qkv, f.attn = grow(f.qkv, n*qkvWidth(*c)), grow(f.attn, n*attnWidth(*c))
	f.gateUp, f.act = grow(f.gateUp, n*2*c.IntermediateSize), grow(f.act, n*c.IntermediateSize)
	f.inv = grow(f.inv, n)
	if cap(f.pos) < n {
		f.pos = make([]int32, n)
	}
	f.pos = f.pos[:n]
}

func (f *network) layer(i int, spans []span) {
	c, w, p, n := &f.m.c, &f.m.layers[i], f.pool, f.rows
	d, q, a, ff := c.HiddenSize, qkvWidth(*c), attnWidth(*c), c.IntermediateSize

	f.norm(f.normed, f.x, w.norm1)
	w.qkv.mul(p, n, f.normed, d, f.qkv, q, false)
	f.eachRows(func(lo, hi int) { f.position(w, lo, hi) })
	f.store(i, spans)
	f.attend(i)
	w.out.mul(p, n, f.attn, a, f.x, d, true)

	f.norm(f.normed, f.x, w.norm2)
	w.gateUp.mul(p, n, f.normed, d, f.gateUp, 2*ff, false)
	f.eachRows(func(lo, hi int) {
		kernel.SwiGLURows(f.act[lo*ff:], f.gateUp[lo*2*ff:], hi-lo, ff)
	})
	w.down.mul(p, n, f.act, ff, f.x, d, true)
}

// rowChunk is how many rows a task of a row-wise operation takes.
const rowChunk = 16

// eachRows divides the rows among the workers.
func (f *network) eachRows(do func(lo, hi int)) {
	f.pool.Run((f.rows+rowChunk-1)/rowChunk, func(t int) { do(t*rowChunk, min(f.rows, (t+1)*rowChunk)) })
}

func (f *network) norm(dst, x, w []float32) {
	d, eps := f.m.c.HiddenSize, float32(f.m.c.NormEps)
	f.eachRows(func(lo, hi int) {
		kernel.RMSNormRows(dst[lo*d:], x[lo*d:], w, eps, f.inv[lo:hi], d)
	})
}

// position adds biases, norms and rotates the queries and keys of some rows.
func (f *network) position(w *layer, lo, hi int) {
	c := &f.m.c
	q, e, heads := qkvWidth(*c), c.HeadDim, c.Heads+c.KVHeads
	for i := lo; i < hi; i++ {
		row := f.qkv[i*q : (i+1)*q]
		if w.bias != nil {
			kernel.Add(row, w.bias)
		}
		if w.qNorm != nil {
			normHeads(row[:c.Heads*e], w.qNorm, float32(c.NormEps))
			normHeads(row[c.Heads*e:heads*e], w.kNorm, float32(c.NormEps))
		}
	}
	kernel.RoPERows(f.qkv[lo*q:], q, heads, f.m.cos, f.m.sin, e/2, f.pos[lo:hi])
}

// normHeads norms each head of x by itself.
func normHeads(x, w []float32, eps float32) {
	var inv [1]float32
	for ; len(x) > 0; x = x[len(w):] {
		kernel.RMSNormRows(x, x, w, eps, inv[:], len(w))
	}
}

// store writes the keys and values of spans with several rows to their pages.
// Single rows are written when they are attended.
func (f *network) store(layer int, spans []span) {
	g := f.m.c.KVHeads
	f.pool.Run(len(spans)*g, func(t int) {
		if sp := &spans[t/g]; sp.n > 1 {
			f.storeHead(layer, sp, t%g)
		}
	})
}

func (f *network) storeHead(layer int, sp *span, kv int) {
	c := &f.m.c
	e, q, at := c.HeadDim, qkvWidth(*c), pagedHead(c, layer, kv)
	for i := range sp.n {
		pos := sp.pos + i
		data, slot := sp.s.pages[pos/kernel.PageTokens].data, pos%kernel.PageTokens
		row := f.qkv[(sp.lo+i)*q:]
		copy(data[at.Values+slot*e:][:e], row[(c.Heads+c.KVHeads+kv)*e:])
		keys := data[at.Keys+slot:]
		for x, v := range row[(c.Heads+kv)*e:][:e] {
			keys[x*kernel.PageTokens] = v
		}
	}
}

// attend mixes the values for every row.
func (f *network) attend(layer int) {
	var next atomic.Int64
	f.pool.Run(min(len(f.scores), len(f.queries)), func(worker int) {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(f.queries) {
				return
			}
			f.scores[worker] = f.attendRows(layer, &f.queries[i], f.scores[worker])
		}
	})
}

func (f *network) attendRows(layer int, t *queries, scores []float32) []float32 {
	c, sp := &f.m.c, t.sp
	e, q, a, group := c.HeadDim, qkvWidth(*c), attnWidth(*c), c.Heads/c.KVHeads
	at, scale := pagedHead(c, layer, t.kv), float32(1/math.Sqrt(float64(e)))
	row, seen := sp.lo+t.lo, sp.pos+t.lo+1
	out, in := f.attn[row*a+t.kv*group*e:], f.qkv[row*q+t.kv*group*e:]
	if sp.n == 1 {
		f.storeHead(layer, sp, t.kv)
		return kernel.AttendPaged(out, e, in, e, group, at, sp.s.kv, seen, false, scale, scores)
	}
	for h := range group {
		scores = kernel.AttendPaged(out[h*e:], a, in[h*e:], q, t.n, at, sp.s.kv, seen, true, scale, scores)
	}
	return scores
}
