package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// floatOf converts an integer register to a float32 in an XMM register.
func floatOf(n Register) VecVirtual {
	x := XMM()
	VXORPS(x, x, x)
	VCVTSI2SSQ(n, x, x)
	return x
}

func norms(s isa) {
	rmsNorm(s)
	rmsNormBackward(s)
}

// rmsNorm: inv = 1/sqrt(sum(x²)/width + eps), dst = (x*inv)*w.
func rmsNorm(s isa) {
	s.text("rmsNorm", "func(dst, x, w, inv []float32, width int, eps float32)", "normalises len(inv) rows.")
	dst, x, w, inv, rows := base("dst"), base("x"), base("w"), base("inv"), length("inv")
	width := number("width")
	n := floatOf(width)
	eps := Load(Param("eps"), XMM())
	one := XMM()
	VMOVSS(s.one(), one)
	c := s.columns(width, accumulators)
	bytes(width)
	repeat(rows, func() {
		accs := s.zeros(accumulators)
		c.run(func(p place) {
			v := p.load(x)
			s.fma(accs[p.u], v, v)
		})
		r := s.sum(accs...)
		VDIVSS(n, r, r)
		VADDSS(eps, r, r)
		VSQRTSS(r, r, r)
		VDIVSS(r, one, r)
		VMOVSS(r, Mem{Base: inv})
		scale := s.broadcast(r)
		c.run(func(p place) {
			v := s.mul(p.operand(x), scale)
			s.to(VMULPS, p.operand(w), v, v)
			p.store(v, dst)
		})
		ADDQ(Imm(4), inv)
		ADDQ(width, x)
		ADDQ(width, dst)
	})
	s.end()
}

// one is the constant 1 in memory.
func (s isa) one() Mem {
	s.constant(1)
	return constants["f3f800000"+s.name]
}

// rmsNormBackward: with u = dy*w and c = sum(u*x)*inv³/width,
// dx += inv*u - c*x and dw += dy*(x*inv).
func rmsNormBackward(s isa) {
	s.text("rmsNormBackward", "func(dx, dw, dy, x, w, inv []float32, width int)", "adds the gradient over len(inv) rows.")
	dx, dw, dy, x, w := base("dx"), base("dw"), base("dy"), base("x"), base("w")
	inv, rows := base("inv"), length("inv")
	width := number("width")
	n := floatOf(width)
	c := s.columns(width, accumulators)
	bytes(width)
	repeat(rows, func() {
		accs := s.zeros(accumulators)
		c.run(func(p place) {
			u := s.mul(p.operand(dy), p.load(w))
			s.fma(accs[p.u], u, p.operand(x))
		})
		r, i := s.sum(accs...), XMM()
		VMOVSS(Mem{Base: inv}, i)
		for range 3 {
			VMULSS(i, r, r)
		}
		VDIVSS(n, r, r)
		coef, scale := s.broadcast(r), s.broadcast(i)
		c.run(func(p place) {
			d, xv := p.load(dy), p.load(x)
			u := s.mul(p.operand(w), d)
			g := p.load(dx)
			s.fma(g, u, scale)
			s.fnma(g, xv, coef)
			p.store(g, dx)
			s.to(VMULPS, scale, xv, xv)
			h := p.load(dw)
			s.fma(h, d, xv)
			p.store(h, dw)
		})
		ADDQ(Imm(4), inv)
		for _, r := range []Register{dx, dy, x} {
			ADDQ(width, r)
		}
	})
	s.end()
}

func swiGLUs(s isa) {
	s.text("swiGLU", "func(dst []float32, ldd int, gate, up []float32, ldg, rows, width int)", "computes silu(gate)*up.")
	dst, gate, up := base("dst"), base("gate"), base("up")
	ldd, ldg, rows := bytes(number("ldd")), bytes(number("ldg")), number("rows")
	e := s.exponential()
	c := s.columns(number("width"), 1)
	repeat(rows, func() {
		c.run(func(p place) {
			g := p.load(gate)
			v := s.mul(e.sigmoid(g), g)
			s.to(VMULPS, p.operand(up), v, v)
			p.store(v, dst)
		})
		ADDQ(ldd, dst)
		ADDQ(ldg, gate)
		ADDQ(ldg, up)
	})
	s.end()

	swiGLUBackward(s)
}

// swiGLUBackward: with s = sigmoid(gate), f = gate*s:
// dup = dy*f, dgate = dy*up*(s + f*(1-s)).
func swiGLUBackward(s isa) {
	s.text("swiGLUBackward", "func(dgate, dup []float32, ldd int, dy []float32, ldy int, gate, up []float32, ldg, rows, width int)",
		"computes the gradient of swiGLU; the results may be written over gate and up.")
	dgate, dup, dy, gate, up := base("dgate"), base("dup"), base("dy"), base("gate"), base("up")
	e := s.exponential()
	c := s.columns(number("width"), 1)
	rows := number("rows")
	repeat(rows, func() {
		c.run(func(p place) {
			g := p.load(gate)
			sig := e.sigmoid(g)
			f := s.mul(sig, g)
			rest := s.sub(s.inRegister(e.one), sig)
			s.fma(sig, f, rest)
			d := p.load(dy)
			du := s.mul(d, f)
			s.to(VMULPS, p.operand(up), d, d)
			s.to(VMULPS, sig, d, d)
			p.store(du, dup)
			p.store(d, dgate)
		})
		advance := func(ld string, rs ...Register) {
			b := bytes(number(ld))
			for _, r := range rs {
				ADDQ(b, r)
			}
		}
		advance("ldd", dgate, dup)
		advance("ldy", dy)
		advance("ldg", gate, up)
	})
	s.end()
}

// ropes rotates (lo, hi) to (lo*c - hi*t, hi*c + lo*t), t = sin*sign.
func ropes(s isa) {
	s.text("rope", "func(x []float32, ld, heads int, cos, sin []float32, half int, pos []int32, sign float32)", "rotates the heads of len(pos) rows.")
	x, pos, rows, half := base("x"), base("pos"), length("pos"), number("half")
	sign := s.scalar("sign")
	c := s.columns(half, 1)
	bytes(half)
	repeat(rows, func() {
		cos, sin := base("cos"), base("sin")
		at := GP64()
		MOVLQSX(Mem{Base: pos}, at)
		IMULQ(half, at)
		ADDQ(at, cos)
		ADDQ(at, sin)
		lo, heads := GP64(), number("heads")
		MOVQ(x, lo)
		repeat(heads, func() {
			hi := GP64()
			LEAQ(Mem{Base: lo, Index: half, Scale: 1}, hi)
			c.run(func(p place) {
				a, b := p.load(lo), p.load(hi)
				cv, t := p.load(cos), s.mul(p.operand(sin), sign)
				d, e := s.mul(a, cv), s.mul(b, cv)
				s.fnma(d, b, t)
				s.fma(e, a, t)
				p.store(d, lo)
				p.store(e, hi)
			})
			LEAQ(Mem{Base: lo, Index: half, Scale: 2}, lo)
		})
		ADDQ(bytes(number("ld")), x)
		ADDQ(Imm(4), pos)
	})
	s.end()
}
