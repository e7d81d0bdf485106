package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// exponential computes exp(x) = 2^n exp(r), n = round(x/ln 2), |r| <= ln(2)/2.
// The polynomial of degree 6 for exp(r) has a relative error of 4e-9; its
// coefficients and the constants are those of generic_vector.go.
type exponential struct {
	s                                 isa
	low, high, log2E, round           vec
	ln2Hi, ln2Lo, c2, c3, c4, c5, one vec
	c6                                vec
}

const (
	expLow  = -87.3
	expHigh = 88.0
)

func (s isa) exponential() *exponential {
	c := s.constant
	return &exponential{
		s: s, low: c(expLow), high: c(expHigh), log2E: c(1.44269504088896341), round: c(0x1.8p23),
		ln2Hi: c(0.693145751953125), ln2Lo: c(1.42860682030941723212e-6),
		c2: c(0.4999999403953552), c3: c(0.1666652113199234), c4: c(0.04166838899254799), c5: c(0.00836874544620514),
		c6: c(0.0013814539415761828), one: c(1),
	}
}

// of returns exp(x) for expLow <= x <= expHigh. A NaN stays one. x is overwritten.
func (e *exponential) of(x vec) vec {
	s := e.s
	t := s.copy(e.round)
	s.fma(t, x, e.log2E)
	n := s.sub(t, e.round)
	s.fnma(x, n, e.ln2Hi)
	s.fnma(x, n, e.ln2Lo)
	p := s.copy(e.c6)
	for _, c := range []vec{e.c5, e.c4, e.c3, e.c2, e.one, e.one} {
		s.horner(p, x, c)
	}
	s.each(func(i int) {
		VPSLLD(Imm(23), t[i], t[i]) // n, in the low bits of t, becomes an exponent
		VPADDD(t[i], p[i], p[i])
	})
	return p
}

// flushed returns exp(x) for x <= 0, and zero below expLow. x is overwritten.
func (e *exponential) flushed(x vec) vec {
	s := e.s
	const notLess = 5 // or unordered, so that a NaN is kept
	if s.wide {
		k := K()
		VCMPPS(Imm(notLess), e.low[0], x[0], k)
		y := e.of(x)
		VMOVAPS_Z(y[0], k, y[0])
		return y
	}
	keep := s.reg()
	s.each(func(i int) { VCMPPS(Imm(notLess), e.low[i], x[i], keep[i]) })
	y := e.of(x)
	s.to(VANDPS, keep, y, y)
	return y
}

// sigmoid returns 1/(1+exp(-x)).
func (e *exponential) sigmoid(x vec) vec {
	s := e.s
	z := s.zero()
	s.to(VSUBPS, x, z, z)
	s.to(VMINPS, z, s.inRegister(e.high), z) // in this order MIN and MAX return z if z is a NaN
	s.to(VMAXPS, z, s.inRegister(e.low), z)
	y := e.of(z)
	s.to(VADDPS, e.one, y, y)
	return s.div(s.inRegister(e.one), y)
}
