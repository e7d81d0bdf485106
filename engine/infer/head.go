package infer

import "github.com/because-lab/because/engine/kernel"

// headRows is how many rows of logits are computed together: few enough that
// those of a large vocabulary take little memory.
const headRows = 64

// head computes logits where a job wants them and hands them over.
type head struct {
	m    *model
	pool *kernel.Pool

	wanted  []wanted
	x       []float32 // headRows,D
	normed  []float32 // headRows,D
	inv     []float32 // headRows
	logits  []float32 // headRows,V
	samples []sampler // one for each row
}

// wanted is row i of a span.
type wanted struct {
	sp  *span
	i   int
	err error
}

// run leaves the first error of a span's rows in the span.
func (h *head) run(net *network, spans []span) {
	h.wanted = h.wanted[:0]
	for j := range spans {
		sp := &spans[j]
		for i := range sp.n {
			if sp.s.job.wants(sp.pos + i) {
				h.wanted = append(h.wanted, wanted{sp: sp, i: i})
			}
		}
	}
	for lo := 0; lo < len(h.wanted); lo += headRows {
		h.block(net, h.wanted[lo:min(len(h.wanted), lo+headRows)])
	}
	for _, w := range h.wanted {
		if w.sp.err == nil {
			w.sp.err = w.err
		}
	}
}

func (h *head) block(net *network, rows []wanted) {
	n, d, v := len(rows), h.m.c.HiddenSize, h.m.c.VocabSize
	h.x, h.normed, h.inv = grow(h.x, n*d), grow(h.normed, n*d), grow(h.inv, n)
	h.logits = grow(h.logits, n*v)
	for len(h.samples) < n {
		h.samples = append(h.samples, sampler{})
	}
	for r, w := range rows {
		copy(h.x[r*d:(r+1)*d], net.x[(w.sp.lo+w.i)*d:])
	}
	kernel.RMSNormRows(h.normed, h.x, h.m.norm, float32(h.m.c.NormEps), h.inv, d)
	h.m.head.mul(h.pool, n, h.normed, d, h.logits, v, false)
	h.pool.Run(n, func(r int) {
		w := &rows[r]
		w.err = w.sp.s.job.take(w.sp.pos+w.i, h.logits[r*v:(r+1)*v], &h.samples[r])
	})
}
