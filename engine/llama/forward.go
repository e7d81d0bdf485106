package llama

import "github.com/because-lab/because/engine/kernel"

// weights are the parameters that a pass reads: the model's, in the kernels'
// layout too unless packed is nil, and those of an adapter unless it is nil.
type weights struct {
	*views
	packed  *packedWeights
	adapter *LoRA
}

// layerWeights are those of one layer.
type layerWeights struct {
	*layerViews
	packed packedLayer
	lora   *loraLayer
}

func (w *weights) layer(i int) layerWeights {
	l := layerWeights{layerViews: &w.layers[i]}
	if w.packed != nil {
		l.packed = w.packed.layers[i]
	}
	if w.adapter != nil {
		l.lora = &w.adapter.v.layers[i]
	}
	return l
}

// forwardStrip runs the layers over a strip and leaves the residual stream in
// ws.final [T,D]. With keep every layer's activations stay for the backward
// pass, or its input alone if that recomputes them; without, one set of
// buffers serves all layers.
func (m *Model) forwardStrip(ws *Workspace, w weights, s strip, keep bool) {
	m.forwardVisit(ws, w, s, keep, func(int, *activations) {})
}

// forwardVisit is forwardStrip with a function that sees each layer's activations.
func (m *Model) forwardVisit(ws *Workspace, w weights, s strip, keep bool, visit func(layer int, a *activations)) {
	t, d := len(s.tokens), m.cfg.HiddenSize
	layers, inputs := 1, 1
	if keep {
		inputs = m.cfg.Layers
		if !ws.recompute {
			layers = m.cfg.Layers
		}
	}
	ws.reserve(t, layers, inputs)
	ws.setPositions(s.spans)
	ws.planProbs(s.spans, layers, keep)
	for i, tok := range s.tokens {
		copy(ws.inputs[0][i*d:(i+1)*d], w.embed[int(tok)*d:])
	}
	for i := range w.layers {
		a := &ws.layers[min(i, layers-1)]
		a.x1 = ws.inputs[min(i, inputs-1)]
		next := ws.final
		if i+1 < m.cfg.Layers {
			next = ws.inputs[min(i+1, inputs-1)]
		}
		m.forwardLayer(ws, w.layer(i), a, s.spans, t, next)
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
func (m *Model) forwardLayer(ws *Workspace, w layerWeights, a *activations, spans []span, t int, next []float32) {
	d, f := m.cfg.HiddenSize, m.cfg.IntermediateSize
	m.activateLayer(ws, w, a, spans, t)
	copy(next[:t*d], a.x2)
	ws.linear(t, d, f, a.act, w.down, w.packed.down, next, true)
	ws.expand(w.lora, a, t, next, loraDown)
}

// activateLayer computes everything that the backward pass reads of a layer
// from its input a.x1.
func (m *Model) activateLayer(ws *Workspace, w layerWeights, a *activations, spans []span, t int) {
	c := &m.cfg
	d, f, q, aw := c.HiddenSize, c.IntermediateSize, c.qkvWidth(), c.attnWidth()

	ws.normRows(a.normed, a.x1, w.norm1, a.inv1, t)
	ws.linear(t, q, d, a.normed, w.qkv, w.packed.qkv, a.qkv, false)
	ws.adapt(w.lora, a, t, a.normed, a.qkv, loraQ, loraK, loraV)
	ws.finishQKV(w.layerViews, a, t)
	ws.rotate(m, a.qkv, t, false)
	ws.attend(a, spans)

	copy(a.x2[:t*d], a.x1)
	ws.linear(t, d, aw, a.attn, w.out, w.packed.out, a.x2, true)
	ws.adapt(w.lora, a, t, a.attn, a.x2, loraO)
	ws.normRows(a.mlpIn, a.x2, w.norm2, a.inv2, t)
	ws.linear(t, 2*f, d, a.mlpIn, w.gateUp, w.packed.gateUp, a.gateUp, false)
	ws.adapt(w.lora, a, t, a.mlpIn, a.gateUp, loraGate, loraUp)
	ws.forRows(t, func(_, lo, hi int) {
		kernel.SwiGLURows(a.act[lo*f:], a.gateUp[lo*2*f:], hi-lo, f)
	})
	ws.reduce(w.lora, a, t, a.act, loraDown)
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
	q, e, heads := c.qkvWidth(), c.HeadDim, c.qkHeads()
	turn := kernel.RoPERows
	if back {
		turn = kernel.RoPEBackwardRows
	}
	ws.forRows(t, func(_, lo, hi int) {
		turn(qkv[lo*q:], q, heads, m.rope.cos, m.rope.sin, e/2, ws.pos[lo:hi])
	})
}
