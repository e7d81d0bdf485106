package llama

import "github.com/because-lab/because/engine/kernel"

// adapt adds scale B A x to the columns of dst that belong to each target, for
// targets that share their input x [t,in]. Without an adapter it does nothing.
func (ws *Workspace) adapt(l *loraLayer, a *activations, t int, x, dst []float32, targets ...int) {
	for _, target := range targets {
		ws.reduce(l, a, t, x, target)
		ws.expand(l, a, t, dst, target)
	}
}

// reduce keeps scale A x [t,r], which the backward pass reads.
func (ws *Workspace) reduce(l *loraLayer, a *activations, t int, x []float32, target int) {
	if l == nil || l.pairs[target].a == nil {
		return
	}
	p, in := &l.pairs[target], ws.cfg.loraPlace(target).in
	a.lora[target] = grow(a.lora[target], t*l.rank)
	kernel.GemmNT(ws.pool, t, l.rank, in, x, in, p.a, in, a.lora[target], l.rank, false)
	kernel.Scale(a.lora[target], l.scale)
}

// expand adds B times what reduce kept to dst.
func (ws *Workspace) expand(l *loraLayer, a *activations, t int, dst []float32, target int) {
	if l == nil || l.pairs[target].a == nil {
		return
	}
	p, at := &l.pairs[target], ws.cfg.loraPlace(target)
	kernel.GemmNT(ws.pool, t, at.out, l.rank, a.lora[target], l.rank, p.b, l.rank, dst[at.at:], at.ld, true)
}

// adaptBackward adds the gradients of the targets' factors to g and those of
// their input x [t,in] to dx, from that of their fused output, dy.
func (ws *Workspace) adaptBackward(l, g *loraLayer, a *activations, t int, dy, x, dx []float32, targets ...int) {
	if l == nil {
		return
	}
	r, pool := l.rank, ws.pool
	for _, target := range targets {
		p, at := &l.pairs[target], ws.cfg.loraPlace(target)
		if p.a == nil {
			continue
		}
		dout, to := dy[at.at:], &g.pairs[target]
		kernel.GemmTN(pool, at.out, r, t, dout, at.ld, a.lora[target], r, to.b, r, true)
		ws.dlora = grow(ws.dlora, t*r)
		kernel.GemmNN(pool, t, r, at.out, dout, at.ld, p.b, r, ws.dlora, r, false)
		kernel.Scale(ws.dlora, l.scale)
		kernel.GemmTN(pool, r, at.in, t, ws.dlora, r, x, at.in, to.a, at.in, true)
		kernel.GemmNN(pool, t, at.in, r, ws.dlora, r, p.a, at.in, dx, at.in, true)
	}
}

// Merge returns a model of its own whose weights are W + Alpha/Rank B A.
func (l *LoRA) Merge() *Model {
	m := l.base.Clone()
	c, r := &m.cfg, l.o.Rank
	for i := range m.p.layers {
		w := &m.p.layers[i]
		for target, p := range l.v.layers[i].pairs {
			if p.a == nil {
				continue
			}
			at := c.loraPlace(target)
			change := alignedFloats(at.out * at.in)
			kernel.GemmNN(nil, at.out, at.in, r, p.b, r, p.a, at.in, change, at.in, false)
			kernel.Axpy(w.target(target)[at.at*at.in:][:at.out*at.in], l.v.layers[i].scale, change)
		}
	}
	return m
}

// target gives the fused matrix that a target's rows are part of.
func (w *layerViews) target(target int) []float32 {
	switch target {
	case loraQ, loraK, loraV:
		return w.qkv
	case loraO:
		return w.out
	case loraGate, loraUp:
		return w.gateUp
	default:
		return w.down
	}
}
