package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// base and length load a slice parameter's parts; number loads an int.
func base(name string) Register   { return Load(Param(name).Base(), GP64()) }
func length(name string) Register { return Load(Param(name).Len(), GP64()) }
func number(name string) Register { return Load(Param(name), GP64()) }

// scalar broadcasts a float32 parameter; the result must not be written.
func (s isa) scalar(name string) vec {
	return s.shared(parameter(Param(name)))
}

// accumulators of a reduction: enough chains to hide the latency of an addition.
const accumulators = 4

func (s isa) zeros(n int) []vec {
	vs := make([]vec, n)
	for i := range vs {
		vs[i] = s.zero()
	}
	return vs
}

func vectors(s isa) {
	s.text("add", "func(dst, x []float32)", "computes dst += x.")
	dst, x := base("dst"), base("x")
	s.columns(length("dst"), 4).run(func(p place) {
		p.store(s.add(p.operand(dst), p.load(x)), dst)
	})
	s.end()

	s.text("axpy", "func(dst []float32, a float32, x []float32)", "computes dst += a*x.")
	dst, x = base("dst"), base("x")
	a := s.scalar("a")
	s.columns(length("dst"), 4).run(func(p place) {
		d := p.load(dst)
		s.fma(d, a, p.operand(x))
		p.store(d, dst)
	})
	s.end()

	s.text("scale", "func(dst []float32, a float32)", "computes dst *= a.")
	dst = base("dst")
	a = s.scalar("a")
	s.columns(length("dst"), 4).run(func(p place) {
		p.store(s.mul(p.operand(dst), a), dst)
	})
	s.end()

	s.text("dot", "func(x, y []float32) float32", "returns the inner product.")
	x, y := base("x"), base("y")
	accs := s.zeros(accumulators)
	s.columns(length("x"), accumulators).run(func(p place) {
		s.fma(accs[p.u], p.load(x), p.operand(y))
	})
	Store(s.sum(accs...), ReturnIndex(0))
	s.end()

	s.text("sum", "func(x []float32) float32", "returns the sum.")
	x = base("x")
	accs = s.zeros(accumulators)
	s.columns(length("x"), accumulators).run(func(p place) {
		s.to(VADDPS, p.operand(x), accs[p.u], accs[p.u])
	})
	Store(s.sum(accs...), ReturnIndex(0))
	s.end()

	s.text("max", "func(x []float32) float32", "returns the largest element.")
	x = base("x")
	accs = nil
	for range accumulators {
		accs = append(accs, s.broadcast(Mem{Base: x}))
	}
	s.columns(length("x"), accumulators).run(func(p place) {
		s.maximum(accs[p.u], p, p.operand(x))
	})
	Store(s.fold(VMAXPS, VMAXSS, accs...), ReturnIndex(0))
	s.end()

	sumSquares(s)
	adamw(s)
}

// maximum raises the lanes of d to those of v, a vector at p. Lanes after the
// row's end have no say.
func (s isa) maximum(d vec, p place, v vec) {
	if !p.partial {
		s.to(VMAXPS, v, d, d)
		return
	}
	if s.wide {
		VMAXPS(v[0], d[0], p.c.tail.k, d[0])
		return
	}
	sel := s.selection(p.c.tail)
	s.each(func(i int) {
		t := YMM()
		VBLENDVPS(sel[i], v[i], d[i], t)
		VMAXPS(t, d[i], d[i])
	})
}

// sumSquares accumulates in float64: a vector's lower and upper half (or, with
// AVX2, its four quarters) are converted and summed apart.
func sumSquares(s isa) {
	s.text("sumSquares", "func(x []float32) float64", "returns the sum of squares, accumulated in float64.")
	x := base("x")
	quarters := 4
	wideReg := func() VecVirtual { return YMM() }
	if s.wide {
		quarters = 2
		wideReg = func() VecVirtual { return ZMM() }
	}
	var accs [2][]VecVirtual
	for u := range accs {
		for range quarters {
			r := wideReg()
			if s.wide {
				VPXORD(r, r, r)
			} else {
				VXORPD(r, r, r)
			}
			accs[u] = append(accs[u], r)
		}
	}
	s.columns(length("x"), 2).run(func(p place) {
		v := p.load(x)
		for q := range quarters {
			d := wideReg()
			VCVTPS2PD(s.quarter(v, q), d)
			VFMADD231PD(d, d, accs[p.u][q])
		}
	})
	for q := range quarters {
		VADDPD(accs[1][q], accs[0][q], accs[0][q])
	}
	// Now 16 sums: fold 16 to 8 to 4 to 2 to 1.
	r := accs[0]
	var y VecVirtual
	if s.wide {
		VADDPD(r[1], r[0], r[0])
		y = YMM()
		VEXTRACTF64X4(Imm(1), r[0], y)
		VADDPD(y, r[0].AsY(), y)
	} else {
		VADDPD(r[2], r[0], r[0])
		VADDPD(r[3], r[1], r[1])
		y = YMM()
		VADDPD(r[1], r[0], y)
	}
	hi := XMM()
	if s.wide {
		VEXTRACTF32X4(Imm(1), y, hi)
	} else {
		VEXTRACTF128(Imm(1), y, hi)
	}
	VADDPD(hi, y.AsX(), hi)
	top := XMM()
	VSHUFPD(Imm(1), hi, hi, top)
	VADDSD(top, hi, hi)
	Store(hi, ReturnIndex(0))
	s.end()
}

// quarter returns the part of v that one register of float64 takes: half a ZMM
// or half a YMM.
func (s isa) quarter(v vec, q int) Op {
	if s.wide {
		if q == 0 {
			return v[0].(VecVirtual).AsY()
		}
		y := YMM()
		VEXTRACTF64X4(Imm(1), v[0], y)
		return y
	}
	r := v[q/2].(VecVirtual)
	if q%2 == 0 {
		return r.AsX()
	}
	x := XMM()
	VEXTRACTF128(Imm(1), r, x)
	return x
}

// flushToZero makes subnormal inputs and results zero until restore. Moments of
// parameters without gradient decay towards the subnormal numbers and would
// stay there, where each operation takes over a hundred cycles.
func flushToZero() (restore func()) {
	old, flush := AllocLocal(8), AllocLocal(8)
	VSTMXCSR(old)
	MOVL(U32(0x9fc0), flush) // the default and the bits FZ and DAZ
	VLDMXCSR(flush)
	return func() { VLDMXCSR(old) }
}

func adamw(s isa) {
	s.text("adamw", "func(w, g, m, v []float32, c *[9]float32)", "updates w, m and v; c is in the order of adamwConstants.")
	w, g, m, v := base("w"), base("g"), base("m"), base("v")
	c := Load(Param("c"), GP64())
	restore := flushToZero()
	ks := map[string]vec{}
	for i, name := range []string{"gradScale", "beta1", "oneMinusBeta1", "beta2", "oneMinusBeta2", "rootCorrection", "eps", "step", "keep"} {
		ks[name] = s.shared(Mem{Base: c, Disp: 4 * i})
	}
	s.columns(length("w"), 1).run(func(p place) {
		d := s.mul(p.operand(g), ks["gradScale"])
		mv := s.mul(p.operand(m), ks["beta1"])
		s.fma(mv, d, ks["oneMinusBeta1"])
		p.store(mv, m)
		s.to(VMULPS, d, d, d)
		vv := s.mul(p.operand(v), ks["beta2"])
		s.fma(vv, d, ks["oneMinusBeta2"])
		p.store(vv, v)
		s.each(func(i int) { VSQRTPS(vv[i], vv[i]) })
		s.to(VMULPS, ks["rootCorrection"], vv, vv)
		s.to(VADDPS, ks["eps"], vv, vv)
		s.to(VMULPS, ks["step"], mv, mv)
		s.to(VDIVPS, vv, mv, mv)
		wv := s.mul(p.operand(w), ks["keep"])
		s.to(VSUBPS, mv, wv, wv)
		p.store(wv, w)
	})
	restore()
	s.end()
}

// shared broadcasts a float to a vector that is never written: with AVX2 one
// register serves both halves.
func (s isa) shared(m Mem) vec {
	if s.wide {
		return s.broadcast(m)
	}
	y, v := YMM(), make(vec, s.parts)
	VBROADCASTSS(m, y)
	s.each(func(i int) { v[i] = y })
	return v
}
