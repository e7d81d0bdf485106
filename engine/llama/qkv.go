package llama

import "github.com/because-lab/because/engine/kernel"

// This file holds what some families do to queries, keys and values between
// their projection and the rotation: Qwen2 adds a bias, Qwen3 normalises each
// head of queries and keys (as in Dehghani et al. 2023, arXiv:2302.05442).

// finishQKV adds the bias to a.qkv [T,Q] and applies the heads' norms, keeping
// in a.raw and a.rawInv what their backward pass needs.
func (ws *Workspace) finishQKV(w *layerViews, a *activations, t int) {
	c := &ws.cfg
	if !c.QKVBias && !c.QKNorm {
		return
	}
	q, heads, width := c.qkvWidth(), c.qkHeads(), c.qkHeads()*c.HeadDim
	ws.forRows(t, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			row := a.qkv[i*q : (i+1)*q]
			w.addBias(row)
			if c.QKNorm {
				raw := a.raw[i*width : (i+1)*width]
				copy(raw, row)
				w.normHeads(c, row, raw, a.rawInv[i*heads:(i+1)*heads])
			}
		}
	})
}

// addBias adds the bias, if there is one, to one token's queries, keys and values.
func (w *layerViews) addBias(qkv []float32) {
	if w.bias != nil {
		kernel.Add(qkv, w.bias)
	}
}

// normHeads writes the normed heads of raw [(H+G)*E] to dst, which may be raw,
// and 1/rms of each to inv [H+G].
func (w *layerViews) normHeads(c *Config, dst, raw, inv []float32) {
	aw, eps := c.attnWidth(), float32(c.NormEps)
	kernel.RMSNormRows(dst, raw, w.qNorm, eps, inv[:c.Heads], c.HeadDim)
	kernel.RMSNormRows(dst[aw:], raw[aw:], w.kNorm, eps, inv[c.Heads:], c.HeadDim)
}

// finishQKVBackward turns the gradient dqkv [T,Q] of the finished queries, keys
// and values into that of the projection's output, adding to what g has. Sums
// over rows are taken per chunk and the chunks in turn.
func (ws *Workspace) finishQKVBackward(dqkv []float32, w, g *layerViews, a *activations, t int) {
	c := &ws.cfg
	if !c.QKVBias && !c.QKNorm {
		return
	}
	q, cols := c.qkvWidth(), c.qkvWidth()+2*c.HeadDim
	part := ws.dcols[:chunks(t)*cols]
	clear(part)
	ws.forRows(t, func(chunk, lo, hi int) {
		sums := part[chunk*cols : (chunk+1)*cols]
		for i := lo; i < hi; i++ {
			row := dqkv[i*q : (i+1)*q]
			if c.QKNorm {
				ws.normHeadsBackward(chunk, row, sums[q:], w, a, i)
			}
			if g.bias != nil {
				kernel.Add(sums[:q], row)
			}
		}
	})
	for at := 0; at < len(part); at += cols {
		sums := part[at : at+cols]
		if g.bias != nil {
			kernel.Add(g.bias, sums[:q])
		}
		if g.qNorm != nil {
			kernel.Add(g.qNorm, sums[q:q+c.HeadDim])
			kernel.Add(g.kNorm, sums[q+c.HeadDim:])
		}
	}
}

// normHeadsBackward replaces the gradient of row i's normed queries and keys by
// that of the raw ones and adds those of the gains to dgain [2E].
func (ws *Workspace) normHeadsBackward(chunk int, row, dgain []float32, w *layerViews, a *activations, i int) {
	c := &ws.cfg
	e, aw, heads, width := c.HeadDim, c.attnWidth(), c.qkHeads(), c.qkHeads()*c.HeadDim
	dy, raw, inv := ws.dhead[chunk*width:(chunk+1)*width], a.raw[i*width:(i+1)*width], a.rawInv[i*heads:(i+1)*heads]
	copy(dy, row)
	clear(row[:width])
	kernel.RMSNormBackwardRows(row, dgain[:e], dy, raw, w.qNorm, inv[:c.Heads], e)
	kernel.RMSNormBackwardRows(row[aw:], dgain[e:], dy[aw:], raw[aw:], w.kNorm, inv[c.Heads:], e)
}
