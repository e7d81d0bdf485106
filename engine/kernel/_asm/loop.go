package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// tail selects the first lanes of a vector: an opmask with AVX-512, with AVX2
// the address of 16 words, all ones for a selected lane.
type tail struct {
	k    OpmaskVirtual
	base Register
}

// tail selects the lowest n%lanes lanes.
func (s isa) tail(n Register) tail {
	count := GP64()
	MOVQ(n, count)
	ANDQ(Imm(uint64(s.lanes()-1)), count)
	return s.lowest(count)
}

// tailPlusOne selects the lowest n%lanes + 1 lanes.
func (s isa) tailPlusOne(n Register) tail {
	count := GP64()
	MOVQ(n, count)
	ANDQ(Imm(uint64(s.lanes()-1)), count)
	INCQ(count)
	return s.lowest(count)
}

// lowest selects the lowest count lanes; count is used up.
func (s isa) lowest(count GPVirtual) tail {
	if s.wide {
		ones, k := GP32(), K()
		MOVL(U32(0xffff), ones)
		BZHIL(count.As32(), ones, ones)
		KMOVW(ones, k)
		return tail{k: k}
	}
	base := GP64()
	LEAQ(s.tailTable().Offset(4*tableOnes), base)
	SHLQ(Imm(2), count)
	SUBQ(count, base)
	return tail{base: base}
}

// tableOnes is how many selected lanes tailTable provides for.
const tableOnes = 16

// tailTable holds 16 words of ones, then 16 of zeros.
func (s isa) tailTable() Mem {
	name := "tails" + s.name
	if _, ok := constants[name]; !ok {
		m := GLOBL(name, RODATA|NOPTR)
		for i := range tableOnes {
			DATA(4*i, U32(0xffffffff))
		}
		for i := range tableOnes {
			DATA(4*(tableOnes+i), U32(0))
		}
		constants[name] = m
	}
	return constants[name]
}

// lanes returns the selection as a vector of all-ones and zero words (AVX2).
func (s isa) selection(t tail) vec { return s.copy(s.mem(Mem{Base: t.base})) }

// loadTail loads the selected lanes and clears the others.
func (s isa) loadTail(m vec, t tail) vec {
	if s.wide {
		d := s.reg()
		VMOVUPS_Z(m[0], t.k, d[0])
		return d
	}
	d := s.selection(t)
	s.each(func(i int) { VMASKMOVPS(m[i], d[i], d[i]) })
	return d
}

// storeTail stores the selected lanes.
func (s isa) storeTail(v, m vec, t tail) {
	if s.wide {
		VMOVUPS(v[0], t.k, m[0])
		return
	}
	sel := s.selection(t)
	s.each(func(i int) { VMASKMOVPS(v[i], sel[i], m[i]) })
}

// keep clears the lanes of v that are not selected.
func (s isa) keep(v vec, t tail) {
	if s.wide {
		VMOVAPS_Z(v[0], t.k, v[0])
		return
	}
	s.to(VANDPS, s.mem(Mem{Base: t.base}), v, v)
}

// columns walks the elements of a row by a byte index that all operands share.
type columns struct {
	s           isa
	idx         Register
	n           Register // elements
	wide, whole Register // ends, in bytes, of the unrolled and of the plain loop
	unroll      int
	tail        tail
}

// columns prepares to walk rows of n elements, unroll vectors at a time.
func (s isa) columns(n Register, unroll int) *columns {
	if unroll&(unroll-1) != 0 {
		panic("unroll must be a power of two")
	}
	c := &columns{s: s, idx: GP64(), n: GP64(), unroll: unroll, whole: GP64(), tail: s.tail(n)}
	MOVQ(n, c.n)
	MOVQ(n, c.whole)
	SHLQ(Imm(2), c.whole)
	ANDQ(I32(int32(-s.vectorBytes())), c.whole)
	c.wide = c.whole
	if unroll > 1 {
		c.wide = GP64()
		MOVQ(n, c.wide)
		SHLQ(Imm(2), c.wide)
		ANDQ(I32(int32(-s.vectorBytes()*unroll)), c.wide)
	}
	return c
}

// ragged prepares to walk rows whose lengths vary, n >= 1 elements now. Their
// last vector is always handled as a partial one (see last), even if it is
// full: the branches then change only every 16 lengths and are predicted.
func (s isa) ragged(n Register) *columns {
	c := &columns{s: s, idx: GP64(), unroll: 1, whole: GP64()}
	before := GP64()
	LEAQ(Mem{Base: n, Disp: -1}, before)
	MOVQ(before, c.whole)
	SHLQ(Imm(2), c.whole)
	ANDQ(I32(int32(-s.vectorBytes())), c.whole)
	c.tail = s.tailPlusOne(before)
	return c
}

// full emits the walk over all vectors but the last of a ragged row and leaves
// the index there.
func (c *columns) full(body func(p place)) {
	XORQ(c.idx, c.idx)
	c.until(c.whole, 1, body)
}

// last is the place after full.
func (c *columns) last() place { return place{c: c, partial: true} }

// place is one vector's position in a row.
type place struct {
	c       *columns
	u       int // number of the vector in an unrolled iteration
	partial bool
}

// mem returns the operand of the row that begins at base.
func (p place) mem(base Register) vec {
	return p.c.s.mem(Mem{Base: base, Index: p.c.idx, Scale: 1, Disp: p.u * p.c.s.vectorBytes()})
}

// load loads the vector of the row at base; lanes after the row's end are zero.
func (p place) load(base Register) vec {
	if p.partial {
		return p.c.s.loadTail(p.mem(base), p.c.tail)
	}
	return p.c.s.copy(p.mem(base))
}

// operand is load without a register where an instruction can read memory.
func (p place) operand(base Register) vec {
	if p.partial {
		return p.load(base)
	}
	return p.mem(base)
}

func (p place) store(v vec, base Register) {
	if p.partial {
		p.c.s.storeTail(v, p.mem(base), p.c.tail)
		return
	}
	p.c.s.each(func(i int) { VMOVUPS(v[i], p.mem(base)[i]) })
}

// run emits the walk: body is called for each vector of an unrolled iteration,
// for the single vectors that remain (u = 0), and for the partial last one.
func (c *columns) run(body func(p place)) {
	XORQ(c.idx, c.idx)
	if c.unroll > 1 {
		c.until(c.wide, c.unroll, body)
	}
	c.until(c.whole, 1, body)
	done := label("done")
	TESTQ(U32(uint32(c.s.lanes()-1)), c.n)
	JZ(LabelRef(done))
	body(place{c: c, partial: true})
	Label(done)
}

func (c *columns) until(end Register, unroll int, body func(p place)) {
	top, out := label("loop"), label("out")
	CMPQ(c.idx, end)
	JGE(LabelRef(out))
	Label(top)
	for u := range unroll {
		body(place{c: c, u: u})
	}
	ADDQ(U32(uint32(c.s.vectorBytes()*unroll)), c.idx)
	CMPQ(c.idx, end)
	JLT(LabelRef(top))
	Label(out)
}

// repeat emits a loop that runs count times; count >= 1 is used up.
func repeat(count Register, body func()) {
	top := label("rows")
	Label(top)
	body()
	DECQ(count)
	JNZ(LabelRef(top))
}

// bytes converts a register from elements to bytes in place.
func bytes(r Register) Register {
	SHLQ(Imm(2), r)
	return r
}
