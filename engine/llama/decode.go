package llama

import (
	"math"
	"sync/atomic"

	"github.com/because-lab/because/engine/kernel"
)

// decodeBuffers are the activations of one token of each of N sequences.
type decodeBuffers struct {
	x       []float32 // N,D
	normed  []float32 // N,D
	qkv     []float32 // N,Q
	attn    []float32 // N,A
	gateUp  []float32 // N,2F
	act     []float32 // N,F
	inv     []float32 // N
	headInv []float32 // H+G
	pos     []int32   // N
	logits  []float32 // N,V
}

func (b *decodeBuffers) reserve(c Config, n int) {
	b.x, b.normed = alignedFloats(n*c.HiddenSize), alignedFloats(n*c.HiddenSize)
	b.qkv, b.attn = alignedFloats(n*c.qkvWidth()), alignedFloats(n*c.attnWidth())
	b.gateUp, b.act = alignedFloats(n*2*c.IntermediateSize), alignedFloats(n*c.IntermediateSize)
	b.inv, b.headInv, b.pos = make([]float32, n), make([]float32, c.qkHeads()), make([]int32, n)
	b.logits = alignedFloats(n * c.VocabSize)
}

// step feeds every sequence its last token and draws the next one.
func (d *decoder) step() {
	m, b, n := d.m, &d.x, len(d.rows)
	width, v, eps := m.cfg.HiddenSize, m.cfg.VocabSize, float32(m.cfg.NormEps)
	for i, s := range d.rows {
		copy(b.x[i*width:(i+1)*width], m.p.embed[int(s.last)*width:])
		b.pos[i] = int32(s.length)
	}
	for i := range m.p.layers {
		d.stepLayer(i, n)
	}
	for i := range d.rows {
		d.rows[i].length++
	}
	kernel.RMSNormRows(b.normed, b.x, m.p.norm, eps, b.inv[:n], width)
	kernel.GemmPacked(d.pool, n, b.normed, width, d.weights.head, b.logits, v, false)
	d.draw(d.rows)
	d.retire()
}

func (d *decoder) stepLayer(layer, n int) {
	c, p, b := &d.m.cfg, d.pool, &d.x
	w, l := &d.weights.layers[layer], &d.m.p.layers[layer]
	width, f, q, aw, eps := c.HiddenSize, c.IntermediateSize, c.qkvWidth(), c.attnWidth(), float32(c.NormEps)

	kernel.RMSNormRows(b.normed, b.x, l.norm1, eps, b.inv[:n], width)
	kernel.GemmPacked(p, n, b.normed, width, w.qkv, b.qkv, q, false)
	d.finishQKV(l, n)
	kernel.RoPERows(b.qkv, q, c.qkHeads(), d.m.rope.cos, d.m.rope.sin, c.HeadDim/2, b.pos[:n])
	d.attend(layer, n)
	kernel.GemmPacked(p, n, b.attn, aw, w.out, b.x, width, true)

	kernel.RMSNormRows(b.normed, b.x, l.norm2, eps, b.inv[:n], width)
	kernel.GemmPacked(p, n, b.normed, width, w.gateUp, b.gateUp, 2*f, false)
	kernel.SwiGLURows(b.act, b.gateUp, n, f)
	kernel.GemmPacked(p, n, b.act, f, w.down, b.x, width, true)
}

// finishQKV applies biases and the heads' norms to the rows, in place.
func (d *decoder) finishQKV(l *layerViews, n int) {
	c, q := &d.m.cfg, d.m.cfg.qkvWidth()
	for i := range n {
		row := d.x.qkv[i*q : (i+1)*q]
		l.addBias(row)
		if c.QKNorm {
			l.normHeads(c, row, row, d.x.headInv)
		}
	}
}

// attend stores the new keys and values and mixes the values for each sequence.
func (d *decoder) attend(layer, n int) {
	workers := min(len(d.heads), n)
	if workers == 1 {
		for i := range n {
			d.heads[0].attend(d, layer, i)
		}
		return
	}
	var next atomic.Int64
	d.pool.Run(workers, func(worker int) {
		for {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			d.heads[worker].attend(d, layer, i)
		}
	})
}

// headBundle computes the attention of one token. Narrow heads make poor use
// of wide vectors, so a few of them share a product: the queries of a bundle of
// B key/value heads become the block diagonal of a matrix [B*H/G, B*E], and of
// the mixed values [B*H/G, B*E] the blocks on the diagonal are taken.
type headBundle struct {
	heads   int       // B
	queries []float32 // B*H/G, B*E: zero off the diagonal
	scores  []float32 // H, positions
	mixed   []float32 // B*H/G, B*E
}

// bundleWidth is how wide a bundle of heads may be, in elements.
const bundleWidth = 64

func newHeadBundle(c Config, positions int) headBundle {
	b := headBundle{heads: 1}
	for n := 2; n*c.HeadDim <= bundleWidth; n++ {
		if c.KVHeads%n == 0 {
			b.heads = n
		}
	}
	size := b.heads * c.Heads / c.KVHeads * b.heads * c.HeadDim
	b.queries, b.mixed = alignedFloats(size), alignedFloats(size)
	b.scores = alignedFloats(c.Heads * positions)
	return b
}

// attend writes row i of the attention's output.
func (b *headBundle) attend(d *decoder, layer, i int) {
	c, s := &d.m.cfg, &d.rows[i]
	e, group, held := c.HeadDim, c.Heads/c.KVHeads, s.length+1
	rows, width, all := b.heads*group, b.heads*e, c.KVHeads*e
	q, out := d.x.qkv[i*c.qkvWidth():], d.x.attn[i*c.attnWidth():]
	d.cache.put(layer, s.slot, s.length, q)
	keys, values := d.cache.slot(layer, s.slot)
	for kv := 0; kv < c.KVHeads; kv += b.heads {
		for r := range rows {
			copy(b.queries[r*width+r/group*e:][:e], q[(kv*group+r)*e:])
		}
		kernel.GemmNN(nil, rows, held, width, b.queries, width, keys[kv*e*d.cache.positions:], d.cache.positions, b.scores[kv*group*held:], held, false)
	}
	softmaxRows(b.scores, c.Heads, held, float32(1/math.Sqrt(float64(e))))
	for kv := 0; kv < c.KVHeads; kv += b.heads {
		kernel.GemmNN(nil, rows, width, held, b.scores[kv*group*held:], held, values[kv*e:], all, b.mixed, width, false)
		for r := range rows {
			copy(out[(kv*group+r)*e:][:e], b.mixed[r*width+r/group*e:])
		}
	}
}

// softmaxRows normalises rows of scores [rows,cols] in place.
func softmaxRows(s []float32, rows, cols int, scale float32) {
	causalSoftmax(s, rows, cols, cols, scale)
}
