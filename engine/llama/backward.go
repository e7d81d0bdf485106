package llama

import "github.com/because-lab/because/engine/kernel"

// gradients are where a backward pass adds its results: those of all
// parameters, or those of an adapter while the model stays as it is.
type gradients struct {
	full *views
	lora *loraViews
}

// layer gives the parts of layer i, nil where there are none.
func (g *gradients) layer(i int) (full *layerViews, lora *loraLayer) {
	if g.full != nil {
		full = &g.full.layers[i]
	}
	if g.lora != nil {
		lora = &g.lora.layers[i]
	}
	return full, lora
}

// backwardStrip takes ws.dx [T,D], the gradient with respect to the residual
// stream after the last layer, down to the embedding, adding to g on the way.
func (m *Model) backwardStrip(ws *Workspace, w weights, s strip, g *gradients) {
	t, d := len(s.tokens), m.cfg.HiddenSize
	for i := m.cfg.Layers - 1; i >= 0; i-- {
		a, lw := &ws.layers[0], w.layer(i)
		if !ws.recompute {
			a = &ws.layers[i]
		} else if i+1 < m.cfg.Layers { // the last layer's are still there
			a.x1 = ws.inputs[i]
			m.activateLayer(ws, lw, a, s.spans, t)
		}
		full, lora := g.layer(i)
		m.backwardLayer(ws, lw, full, lora, a, s.spans, t)
	}
	if g.full == nil {
		return
	}
	for i, tok := range s.tokens {
		kernel.Add(g.full.embed[int(tok)*d:(int(tok)+1)*d], ws.dx[i*d:(i+1)*d])
	}
}

// backwardLayer turns ws.dx from the gradient of a layer's output into that of
// its input. a.gateUp is overwritten by its gradient.
func (m *Model) backwardLayer(ws *Workspace, w layerWeights, g *layerViews, lora *loraLayer, a *activations, spans []span, t int) {
	c, p := &m.cfg, ws.pool
	d, f, q, aw := c.HiddenSize, c.IntermediateSize, c.qkvWidth(), c.attnWidth()
	if g == nil {
		g = &layerViews{}
	}
	kernel.GemmNN(p, t, f, d, ws.dx, d, w.down, f, ws.dact, f, false)
	ws.weightGradient(d, f, t, ws.dx, a.act, g.down)
	ws.adaptBackward(w.lora, lora, a, t, ws.dx, a.act, ws.dact, loraDown)
	ws.forRows(t, func(_, lo, hi int) {
		gu := a.gateUp[lo*2*f:]
		kernel.SwiGLUBackwardRows(gu, ws.dact[lo*f:], gu, hi-lo, f)
	})
	kernel.GemmNN(p, t, d, 2*f, a.gateUp, 2*f, w.gateUp, d, ws.dnorm, d, false)
	ws.weightGradient(2*f, d, t, a.gateUp, a.mlpIn, g.gateUp)
	ws.adaptBackward(w.lora, lora, a, t, a.gateUp, a.mlpIn, ws.dnorm, loraGate, loraUp)
	ws.normRowsBackward(ws.dx, g.norm2, ws.dnorm, a.x2, w.norm2, a.inv2, t)

	kernel.GemmNN(p, t, aw, d, ws.dx, d, w.out, aw, ws.dattn, aw, false)
	ws.weightGradient(d, aw, t, ws.dx, a.attn, g.out)
	ws.adaptBackward(w.lora, lora, a, t, ws.dx, a.attn, ws.dattn, loraO)
	ws.attendBackward(ws.dqkv, ws.dattn, a, spans)
	ws.rotate(m, ws.dqkv, t, true)
	ws.finishQKVBackward(ws.dqkv, w.layerViews, g, a, t)
	kernel.GemmNN(p, t, d, q, ws.dqkv, q, w.qkv, d, ws.dnorm, d, false)
	ws.weightGradient(q, d, t, ws.dqkv, a.normed, g.qkv)
	ws.adaptBackward(w.lora, lora, a, t, ws.dqkv, a.normed, ws.dnorm, loraQ, loraK, loraV)
	ws.normRowsBackward(ws.dx, g.norm1, ws.dnorm, a.x1, w.norm1, a.inv1, t)
}

// weightGradient adds dy^T x to g [n,k], for dy [t,n] and x [t,k], unless g is nil.
func (ws *Workspace) weightGradient(n, k, t int, dy, x, g []float32) {
	if g != nil {
		kernel.GemmTN(ws.pool, n, k, t, dy, n, x, k, g, k, true)
	}
}

// normRowsBackward adds the gradient of RMSNorm to dx [rows,D] and to dgain [D]
// unless that is nil. The gain's gradient is summed per chunk of rows and the
// chunks in turn.
func (ws *Workspace) normRowsBackward(dx, dgain, dy, x, gain, inv []float32, rows int) {
	d := ws.cfg.HiddenSize
	part := ws.dgain[:chunks(rows)*d]
	clear(part)
	ws.forRows(rows, func(chunk, lo, hi int) {
		dg := part[chunk*d : (chunk+1)*d]
		kernel.RMSNormBackwardRows(dx[lo*d:], dg, dy[lo*d:], x[lo*d:], gain, inv[lo:hi], d)
	})
	if dgain == nil {
		return
	}
	for at := 0; at < len(part); at += d {
		kernel.Add(dgain, part[at:at+d])
	}
}
