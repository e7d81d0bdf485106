package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// attend emits the attention of one token: for each of its heads the scores
// against n transposed keys, their softmax, and the mix of n values.
func attend(s isa) {
	s.text("attend", "func(out, q, keys []float32, ldk int, values []float32, ldv, heads, size, n int, scale float32, scores []float32)",
		"computes the attention of heads of the given size over the same keys and values.")
	one := XMM()
	VMOVSS(s.one(), one)
	scale := s.scalar("scale")
	e := s.exponential()
	// Registers are few: what changes from head to head stays in the arguments.
	out, q, heads := parameter(Param("out").Base()), parameter(Param("q").Base()), parameter(Param("heads"))
	scores := base("scores")
	c := s.ragged(number("n"))
	next := label("head")
	Label(next)
	{
		top := s.attendScores(c, q, scores, scale)
		shift := s.broadcast(s.fold(VMAXPS, VMAXSS, top))
		acc := s.zero()
		weigh := func(p place, last bool) {
			p.partial = false // the buffer has room for whole vectors
			y := e.flushed(s.sub(p.load(scores), shift))
			if last {
				s.keep(y, c.tail)
			}
			s.to(VADDPS, y, acc, acc)
			p.store(y, scores)
		}
		c.full(func(p place) { weigh(p, false) })
		weigh(c.last(), true)
		r := s.sum(acc)
		VDIVSS(r, one, r)
		s.attendMix(out, scores, s.broadcast(r))
		size := bytes(number("size"))
		ADDQ(size, out)
		ADDQ(size, q)
	}
	DECQ(heads)
	JNZ(LabelRef(next))
	s.end()
}

// attendScores stores scale * q K^T and returns a vector of its largest lanes.
func (s isa) attendScores(c *columns, q Mem, scores Register, scale vec) vec {
	top := s.reg()
	keys, ldk := base("keys"), bytes(number("ldk"))
	score := func(p place) vec {
		d, key, at := number("size"), GP64(), GP64()
		MOVQ(keys, key)
		MOVQ(q, at)
		acc := s.zero()
		repeat(d, func() {
			s.fma(acc, s.shared(Mem{Base: at}), p.operand(key))
			ADDQ(Imm(4), at)
			ADDQ(ldk, key)
		})
		s.to(VMULPS, scale, acc, acc)
		p.partial = false
		p.store(acc, scores)
		return acc
	}
	inf := s.broadcast(s.minusInf())
	s.each(func(i int) { VMOVAPS(inf[i], top[i]) })
	c.full(func(p place) { s.to(VMAXPS, score(p), top, top) })
	s.maximum(top, c.last(), score(c.last()))
	return top
}

// attendMix computes out = inv * sum of scores[j]*values[j], four chains of
// additions at a time.
func (s isa) attendMix(outParam Mem, scores Register, inv vec) {
	out, ldv := GP64(), bytes(number("ldv"))
	MOVQ(outParam, out)
	c := s.columns(number("size"), 1)
	c.run(func(p place) {
		accs := s.zeros(4)
		v, at, n, four := base("values"), GP64(), number("n"), GP64()
		MOVQ(scores, at)
		MOVQ(n, four)
		single, done := label("single"), label("mixed")
		step := func(u int) {
			s.fma(accs[u], s.shared(Mem{Base: at, Disp: 4 * u}), p.operand(v))
			ADDQ(ldv, v)
		}
		SHRQ(Imm(2), four)
		JZ(LabelRef(single))
		repeat(four, func() {
			for u := range accs {
				step(u)
			}
			ADDQ(Imm(16), at)
		})
		Label(single)
		ANDQ(Imm(3), n)
		JZ(LabelRef(done))
		repeat(n, func() {
			step(0)
			ADDQ(Imm(4), at)
		})
		Label(done)
		s.to(VADDPS, accs[2], accs[0], accs[0])
		s.to(VADDPS, accs[3], accs[1], accs[1])
		s.to(VADDPS, accs[1], accs[0], accs[0])
		s.to(VMULPS, inv, accs[0], accs[0])
		p.store(accs[0], out)
	})
}

// parameter returns the memory of a parameter.
func parameter(p gotypes.Component) Mem {
	c, err := p.Resolve()
	if err != nil {
		panic(err)
	}
	return c.Addr
}

// minusInf is the constant -Inf in memory.
func (s isa) minusInf() Mem {
	name := "minusInf" + s.name
	if _, ok := constants[name]; !ok {
		constants[name] = ConstData(name, U32(0xff800000))
	}
	return constants[name]
}
