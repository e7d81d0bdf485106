package llama

import "github.com/because-lab/because/engine/kernel"

// backwardStrip takes ws.dx [T,D], the gradient with respect to the residual
// stream after the last layer, down to the embedding, adding to g on the way.
func (m *Model) backwardStrip(ws *Workspace, s strip, g *views) {
	t, d := len(s.tokens), m.cfg.HiddenSize
	for i := m.cfg.Layers - 1; i >= 0; i-- {
		m.backwardLayer(ws, &m.p.layers[i], &g.layers[i], &ws.layers[i], s.spans, t)
	}
	for i, tok := range s.tokens {
		kernel.Add(g.embed[int(tok)*d:(int(tok)+1)*d], ws.dx[i*d:(i+1)*d])
	}
}

// backwardLayer turns ws.dx from the gradient of a layer's output into that of
// its input. a.gateUp is overwritten by its gradient.
func (m *Model) backwardLayer(ws *Workspace, w, g *layerViews, a *activations, spans []span, t int) {
	c, p := &m.cfg, ws.pool
	d, f, q, aw := c.HiddenSize, c.IntermediateSize, c.qkvWidth(), c.attnWidth()

	kernel.GemmNN(p, t, f, d, ws.dx, d, w.down, f, ws.dact, f, false)
	kernel.GemmTN(p, d, f, t, ws.dx, d, a.act, f, g.down, f, true)
	ws.forRows(t, func(_, lo, hi int) {
		gu := a.gateUp[lo*2*f:]
		kernel.SwiGLUBackwardRows(gu, ws.dact[lo*f:], gu, hi-lo, f)
	})
	kernel.GemmNN(p, t, d, 2*f, a.gateUp, 2*f, w.gateUp, d, ws.dnorm, d, false)
	kernel.GemmTN(p, 2*f, d, t, a.gateUp, 2*f, a.mlpIn, d, g.gateUp, d, true)
	ws.normRowsBackward(ws.dx, g.norm2, ws.dnorm, a.x2, w.norm2, a.inv2, t)

	kernel.GemmNN(p, t, aw, d, ws.dx, d, w.out, aw, ws.dattn, aw, false)
	kernel.GemmTN(p, d, aw, t, ws.dx, d, a.attn, aw, g.out, aw, true)
	ws.attendBackward(ws.dqkv, ws.dattn, a, spans)
	ws.rotate(m, ws.dqkv, t, true)
	kernel.GemmNN(p, t, d, q, ws.dqkv, q, w.qkv, d, ws.dnorm, d, false)
	kernel.GemmTN(p, q, d, t, ws.dqkv, q, a.normed, d, g.qkv, d, true)
	ws.normRowsBackward(ws.dx, g.norm1, ws.dnorm, a.x1, w.norm1, a.inv1, t)
}

// normRowsBackward adds the gradient of RMSNorm to dx [rows,D] and to dgain [D].
// The gain's gradient is summed per chunk of rows and the chunks in turn.
func (ws *Workspace) normRowsBackward(dx, dgain, dy, x, gain, inv []float32, rows int) {
	d := ws.cfg.HiddenSize
	part := ws.dgain[:chunks(rows)*d]
	clear(part)
	ws.forRows(rows, func(chunk, lo, hi int) {
		dg := part[chunk*d : (chunk+1)*d]
		kernel.RMSNormBackwardRows(dx[lo*d:], dg, dy[lo*d:], x[lo*d:], gain, inv[lo:hi], d)
	})
	for at := 0; at < len(part); at += d {
		kernel.Add(dgain, part[at:at+d])
	}
}
