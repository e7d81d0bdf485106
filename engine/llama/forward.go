package llama

import "github.com/because-lab/because/engine/kernel"

// forwardStrip runs the layers over a strip and leaves the residual stream in
// ws.final [T,D]. With keep every layer's activations stay for the backward
// pass; without, one set of buffers serves all layers.
func (m *Model) forwardStrip(ws *Workspace, s strip, keep bool) {
	m.forwardVisit(ws, s, keep, nil, func(int, *activations) {})
}

// forwardVisit is forwardStrip with packed weights, unless nil, and a function
// that sees each layer's activations.
func (m *Model) forwardVisit(ws *Workspace, s strip, keep bool, pk *packedWeights, visit func(layer int, a *activations)) {
	t, d := len(s.tokens), m.cfg.HiddenSize
	layers := 1
	if keep {
		layers = m.cfg.Layers
	}
	ws.reserve(t, layers)
	ws.setPositions(s.spans)
	ws.planProbs(s.spans, layers, keep)
	x := ws.layers[0].x1
	for i, tok := range s.tokens {
		copy(x[i*d:(i+1)*d], m.p.embed[int(tok)*d:])
	}
	for i := range m.p.layers {
		a := &ws.layers[0]
		if keep {
			a = &ws.layers[i]
		}
		next := ws.final
		switch {
		case i == m.cfg.Layers-1:
		case keep:
			next = ws.layers[i+1].x1
		default:
			next = a.x1
		}
		var packed packedLayer
		if pk != nil {
			packed = pk.layers[i]
		}
		m.forwardLayer(ws, &m.p.layers[i], packed, a, s.spans, t, next)
		visit(i, a)
	}
}

func (ws *Workspace) setPositions(spans []span) {
	for _, sp := range spans {
		for i := range sp.n {
			ws.pos[sp.lo+i] = int32(sp.prefixN + i)
		}
	}
}

// forwardLayer computes next [T,D] from a.x1 [T,D]; they may be the same.
func (m *Model) forwardLayer(ws *Workspace, w *layerViews, pk packedLayer, a *activations, spans []span, t int, next []float32) {
	c := &m.cfg
	d, f, q, aw := c.HiddenSize, c.IntermediateSize, c.qkvWidth(), c.attnWidth()

	ws.normRows(a.normed, a.x1, w.norm1, a.inv1, t)
	ws.linear(t, q, d, a.normed, w.qkv, pk.qkv, a.qkv, false)
	ws.rotate(m, a.qkv, t, false)
	ws.attend(a, spans)

	copy(a.x2[:t*d], a.x1)
	ws.linear(t, d, aw, a.attn, w.out, pk.out, a.x2, true)
	ws.normRows(a.mlpIn, a.x2, w.norm2, a.inv2, t)
	ws.linear(t, 2*f, d, a.mlpIn, w.gateUp, pk.gateUp, a.gateUp, false)
	ws.forRows(t, func(_, lo, hi int) {
		kernel.SwiGLURows(a.act[lo*f:], a.gateUp[lo*2*f:], hi-lo, f)
	})
	copy(next[:t*d], a.x2)
	ws.linear(t, d, f, a.act, w.down, pk.down, next, true)
}

// normRows writes RMSNorm of x [rows,D] to dst and 1/rms of each row to inv.
func (ws *Workspace) normRows(dst, x, gain, inv []float32, rows int) {
	d, eps := ws.cfg.HiddenSize, float32(ws.cfg.NormEps)
	ws.forRows(rows, func(_, lo, hi int) {
		kernel.RMSNormRows(dst[lo*d:], x[lo*d:], gain, eps, inv[lo:hi], d)
	})
}

// rotate turns the queries and keys of qkv [T,Q] by their positions, or back.
func (ws *Workspace) rotate(m *Model, qkv []float32, t int, back bool) {
	c := &ws.cfg
	q, e, heads := c.qkvWidth(), c.HeadDim, c.Heads+c.KVHeads
	turn := kernel.RoPERows
	if back {
		turn = kernel.RoPEBackwardRows
	}
	ws.forRows(t, func(_, lo, hi int) {
		turn(qkv[lo*q:], q, heads, m.rope.cos, m.rope.sin, e/2, ws.pos[lo:hi])
	})
}
