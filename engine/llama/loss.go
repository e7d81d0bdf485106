package llama

import (
	"fmt"

	"github.com/because-lab/because/engine/kernel"
)

// Loss is the result of a pass over a batch.
type Loss struct {
	Sum    float64 // sum over positions of weight * -log p(target)
	Weight float64 // sum of the weights
	// LogProbs [T] holds log p(target) where the weight is not 0, else 0. It
	// belongs to the workspace: valid until its next use.
	LogProbs []float32
}

// ForwardBackward adds to g the gradient of the loss
//
//	sum over t of Weights[t] * -log p(Targets[t] | document up to t)
//
// A batch passes through the network in strips of whole documents, whose size
// depends on the config alone.
func (m *Model) ForwardBackward(ws *Workspace, b Batch, g *Grads) (Loss, error) {
	if g == nil || len(g.v.flat) != len(m.p.flat) || g.cfg != m.cfg {
		return Loss{}, fmt.Errorf("llama: forward-backward: the gradients belong to another config")
	}
	return m.pass(ws, weights{views: m.p}, b, &gradients{full: g.v})
}

// Forward computes the loss of a batch without gradients.
func (m *Model) Forward(ws *Workspace, b Batch) (Loss, error) {
	return m.pass(ws, weights{views: m.p}, b, nil)
}

func (m *Model) pass(ws *Workspace, w weights, b Batch, g *gradients) (Loss, error) {
	if ws.cfg != m.cfg {
		return Loss{}, fmt.Errorf("llama: forward: the workspace was made for another config")
	}
	if err := b.check(&m.cfg); err != nil {
		return Loss{}, err
	}
	ws.logp = grow(ws.logp, len(b.Tokens))
	clear(ws.logp)
	out := Loss{LogProbs: ws.logp}
	for doc := 0; doc < len(b.Starts)-1; {
		var s strip
		at := int(b.Starts[doc])
		s, doc = ws.nextStrip(&b, doc)
		ws.head.gather(&b, at, len(s.tokens))
		if len(ws.head.rows) == 0 {
			continue
		}
		m.forwardStrip(ws, w, s, g != nil)
		m.headLoss(ws, g)
		if g != nil {
			ws.reserveBackward(len(s.tokens))
			m.headBackward(ws, g.full, len(s.tokens))
			m.backwardStrip(ws, w, s, g)
		}
		ws.head.report(&out, at)
	}
	return out, nil
}

// nextStrip takes whole documents from doc on, at least one, while they fit.
func (ws *Workspace) nextStrip(b *Batch, doc int) (strip, int) {
	at := b.Starts[doc]
	ws.spans = ws.spans[:0]
	for {
		lo, hi := b.Starts[doc], b.Starts[doc+1]
		ws.spans = append(ws.spans, span{lo: int(lo - at), n: int(hi - lo)})
		doc++
		if doc == len(b.Starts)-1 || int(b.Starts[doc+1]-at) > stripTokens {
			return strip{b.Tokens[at:hi], ws.spans}, doc
		}
	}
}

// gather lists the rows of positions at..at+n that carry loss: logits are
// computed for those alone.
func (h *headBuffers) gather(b *Batch, at, n int) {
	h.reset()
	for i := range n {
		if w := b.Weights[at+i]; w != 0 {
			h.rows = append(h.rows, int32(i))
			h.targets = append(h.targets, b.Targets[at+i])
			h.weights = append(h.weights, w)
		}
	}
}

func (h *headBuffers) reset() {
	h.rows, h.targets, h.weights = h.rows[:0], h.targets[:0], h.weights[:0]
}

// report adds the gathered rows to the loss of the batch.
func (h *headBuffers) report(out *Loss, at int) {
	for i, row := range h.rows {
		out.LogProbs[at+int(row)] = h.logp[i]
		out.Sum -= float64(h.weights[i]) * float64(h.logp[i])
		out.Weight += float64(h.weights[i])
	}
}

// headNorm gathers the listed rows of ws.final and applies the last norm.
func (m *Model) headNorm(ws *Workspace) {
	h, d := &ws.head, m.cfg.HiddenSize
	r := len(h.rows)
	h.x, h.inv, h.normed = grow(h.x, r*d), grow(h.inv, r), grow(h.normed, r*d)
	for i, row := range h.rows {
		copy(h.x[i*d:(i+1)*d], ws.final[int(row)*d:])
	}
	ws.normRows(h.normed, h.x, m.p.norm, h.inv, r)
}

// headChunk bounds the logits held at once, in elements: 1 MB.
const headChunk = 1 << 18

// headRows is how many rows of logits are held at once. A few rows of a small
// vocabulary stay in the cache; where the head itself is far larger than any
// cache, each pass over it should serve as many rows as a strip has.
func headRows(v int) int {
	if v > headChunk/16 {
		return stripTokens
	}
	return headChunk / v
}

// headLoss computes the log-probabilities of the gathered rows' targets and,
// if g is not nil, the gradients of the head's input and, in a pass over all
// parameters, of its weight.
func (m *Model) headLoss(ws *Workspace, g *gradients) {
	h, d, v := &ws.head, m.cfg.HiddenSize, m.cfg.VocabSize
	r := len(h.rows)
	m.headNorm(ws)
	step := min(r, headRows(v))
	h.logp, h.logits = grow(h.logp, r), grow(h.logits, step*v)
	if g != nil {
		h.dnorm = grow(h.dnorm, r*d)
	}
	for lo := 0; lo < r; lo += step {
		n := min(step, r-lo)
		normed := h.normed[lo*d : (lo+n)*d]
		kernel.GemmNT(ws.pool, n, v, d, normed, d, m.p.head, d, h.logits, v, false)
		ws.forRows(n, func(_, i, hi int) {
			z, to := h.logits[i*v:hi*v], lo+hi
			if g == nil {
				kernel.CrossEntropyRows(nil, z, v, v, h.targets[lo+i:to], nil, h.logp[lo+i:to])
			} else {
				kernel.CrossEntropyRows(z, z, v, v, h.targets[lo+i:to], h.weights[lo+i:to], h.logp[lo+i:to])
			}
		})
		if g != nil {
			kernel.GemmNN(ws.pool, n, d, v, h.logits, v, m.p.head, d, h.dnorm[lo*d:], d, false)
			if g.full != nil {
				kernel.GemmTN(ws.pool, v, d, n, h.logits, v, normed, d, g.full.head, d, true)
			}
		}
	}
}

// headBackward passes h.dnorm through the last norm and scatters it to ws.dx
// [t,D]. The norm's gain gets its gradient unless g is nil.
func (m *Model) headBackward(ws *Workspace, g *views, t int) {
	h, d := &ws.head, m.cfg.HiddenSize
	r := len(h.rows)
	h.dx = grow(h.dx, r*d)
	clear(h.dx[:r*d])
	var dgain []float32
	if g != nil {
		dgain = g.norm
	}
	ws.normRowsBackward(h.dx, dgain, h.dnorm, h.x, m.p.norm, h.inv, r)
	clear(ws.dx[:t*d])
	for i, row := range h.rows {
		copy(ws.dx[int(row)*d:int(row+1)*d], h.dx[i*d:])
	}
}

// Logits returns the logits [T,V] of every position of packed documents, in
// new memory.
func (m *Model) Logits(ws *Workspace, tokens, starts []int32) ([]float32, error) {
	if ws.cfg != m.cfg {
		return nil, fmt.Errorf("llama: logits: the workspace was made for another config")
	}
	if err := checkPacked(&m.cfg, tokens, starts); err != nil {
		return nil, err
	}
	d, v := m.cfg.HiddenSize, m.cfg.VocabSize
	out := alignedFloats(len(tokens) * v)
	b := Batch{Tokens: tokens, Starts: starts}
	for doc := 0; doc < len(starts)-1; {
		var s strip
		at := int(starts[doc])
		s, doc = ws.nextStrip(&b, doc)
		m.forwardStrip(ws, weights{views: m.p}, s, false)
		ws.head.reset()
		for i := range s.tokens {
			ws.head.rows = append(ws.head.rows, int32(i))
		}
		m.headNorm(ws)
		kernel.GemmNT(ws.pool, len(s.tokens), v, d, ws.head.normed, d, m.p.head, d, out[at*v:], v, false)
	}
	return out, nil
}
