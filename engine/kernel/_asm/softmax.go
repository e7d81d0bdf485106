package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// causal walks rows of which row i has min(cols, first+i) valid columns. row
// emits the code for the valid ones; it stores all vectors but the last, which
// it returns. The rest of dst is cleared.
func (s isa) causal(dst Register, row func(c *columns) vec, advance func(ld Register)) {
	cols, first, rows := number("cols"), number("first"), number("rows")
	end := s.ragged(cols)
	repeat(rows, func() {
		n := GP64()
		MOVQ(first, n)
		CMPQ(cols, n)
		CMOVQLT(cols, n)
		c := s.ragged(n)
		v := row(c)
		s.storeRest(v, dst, c, end)
		advance(bytes(number("ld")))
		INCQ(first)
	})
}

// storeRest stores v, the last vector of the valid columns, and zeros from
// there to the end of the row. Stores do not reach beyond the row's last
// vector, and are whole but for that one: a load that overlaps a partial store
// would have to wait for it.
func (s isa) storeRest(v vec, dst Register, c, end *columns) {
	last := label("last")
	CMPQ(c.idx, end.whole)
	JEQ(LabelRef(last))
	here := place{c: c}
	here.store(v, dst)
	s.clear(v)
	ADDQ(U32(uint32(s.vectorBytes())), c.idx)
	c.until(end.whole, 1, func(p place) { p.store(v, dst) })
	Label(last)
	s.storeTail(v, here.mem(dst), end.tail)
}

func softmaxes(s isa) {
	softmax(s)
	softmaxBackward(s)
	crossEntropy(s, true)
	crossEntropy(s, false)
}

func softmax(s isa) {
	s.text("softmax", "func(dst, src []float32, ld, rows, cols, first int, scale float32)",
		"computes the softmax of scale*src over the first min(cols, first+i) columns of row i and clears the others.")
	dst, src := base("dst"), base("src")
	scale := s.scalar("scale")
	e := s.exponential()
	one := XMM()
	VMOVSS(s.one(), one)
	s.causal(dst, func(c *columns) vec {
		top := s.mul(s.broadcast(Mem{Base: src}), scale)
		c.full(func(p place) {
			s.maximum(top, p, s.mul(p.operand(src), scale))
		})
		x := s.mul(c.last().load(src), scale)
		s.maximum(top, c.last(), x)
		shift := s.broadcast(s.fold(VMAXPS, VMAXSS, top))
		acc := s.zero()
		c.full(func(p place) {
			v := s.sub(s.mul(p.operand(src), scale), shift)
			y := e.flushed(v)
			s.to(VADDPS, y, acc, acc)
			p.store(y, dst)
		})
		s.to(VSUBPS, shift, x, x)
		y := e.flushed(x)
		s.keep(y, c.tail)
		s.to(VADDPS, y, acc, acc)
		r := s.sum(acc)
		VDIVSS(r, one, r)
		inv := s.broadcast(r)
		c.full(func(p place) {
			p.store(s.mul(p.operand(dst), inv), dst)
		})
		s.to(VMULPS, inv, y, y)
		return y
	}, func(ld Register) {
		ADDQ(ld, dst)
		ADDQ(ld, src)
	})
	s.end()
}

// softmaxBackward: dx = (scale*y) * (dy - sum(y*dy)).
func softmaxBackward(s isa) {
	s.text("softmaxBackward", "func(dx, y, dy []float32, ld, rows, cols, first int, scale float32)",
		"computes the gradient of softmax over the first min(cols, first+i) columns of row i and clears the others.")
	dx, y, dy := base("dx"), base("y"), base("dy")
	scale := s.scalar("scale")
	s.causal(dx, func(c *columns) vec {
		acc := s.zero()
		c.full(func(p place) {
			s.fma(acc, p.load(y), p.operand(dy))
		})
		yl, dl := c.last().load(y), c.last().load(dy)
		s.fma(acc, yl, dl)
		dot := s.broadcast(s.sum(acc))
		c.full(func(p place) {
			d := s.sub(p.load(dy), dot)
			v := s.mul(p.operand(y), scale)
			s.to(VMULPS, v, d, d)
			p.store(d, dx)
		})
		s.to(VSUBPS, dot, dl, dl)
		s.to(VMULPS, scale, yl, yl)
		s.to(VMULPS, yl, dl, dl)
		return dl
	}, func(ld Register) {
		for _, r := range []Register{dx, y, dy} {
			ADDQ(ld, r)
		}
	})
	s.end()
}

// crossEntropy emits the passes over a row of logits: the largest, the sum of
// exp(logit - largest) and, with gradient, weight*softmax.
func crossEntropy(s isa, gradient bool) {
	if gradient {
		s.text("crossEntropy", "func(dlogits, logits []float32, ld, width int, weights, shifts, sums []float32)",
			"stores weight*softmax, the largest logit and the sum of exp(logit - largest) of len(sums) rows.")
	} else {
		s.text("logSumExp", "func(logits []float32, ld, width int, shifts, sums []float32)",
			"stores the largest logit and the sum of exp(logit - largest) of len(sums) rows.")
	}
	logits, shifts, sums, rows := base("logits"), base("shifts"), base("sums"), length("sums")
	var dlogits, weights Register
	if gradient {
		dlogits, weights = base("dlogits"), base("weights")
	}
	ld := bytes(number("ld"))
	e := s.exponential()
	c := s.columns(number("width"), 2)
	repeat(rows, func() {
		tops := []vec{s.broadcast(Mem{Base: logits}), s.broadcast(Mem{Base: logits})}
		c.run(func(p place) { s.maximum(tops[p.u], p, p.operand(logits)) })
		top := s.fold(VMAXPS, VMAXSS, tops...)
		VMOVSS(top, Mem{Base: shifts})
		shift := s.broadcast(top)
		accs := s.zeros(2)
		c.run(func(p place) {
			y := e.flushed(s.sub(p.load(logits), shift))
			if p.partial {
				s.keep(y, c.tail)
			}
			s.to(VADDPS, y, accs[p.u], accs[p.u])
			if gradient {
				p.store(y, dlogits)
			}
		})
		sum := s.sum(accs...)
		VMOVSS(sum, Mem{Base: sums})
		if gradient {
			w := XMM()
			VMOVSS(Mem{Base: weights}, w)
			VDIVSS(sum, w, w)
			scale := s.broadcast(w)
			c.run(func(p place) { p.store(s.mul(p.operand(dlogits), scale), dlogits) })
			ADDQ(Imm(4), weights)
			ADDQ(ld, dlogits)
		}
		ADDQ(Imm(4), shifts)
		ADDQ(Imm(4), sums)
		ADDQ(ld, logits)
	})
	s.end()
}
