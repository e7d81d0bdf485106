package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// isa emits code for one instruction set in terms of vectors: of 16 floats,
// one ZMM register with AVX-512 and a pair of YMM registers with AVX2, so that
// both get the same operations in the same order and the same results.
type isa struct {
	name  string
	wide  bool // ZMM registers and opmasks
	parts int  // registers of a vector
}

var (
	avx512 = isa{name: "AVX512", wide: true, parts: 1}
	avx2   = isa{name: "AVX2", parts: 2}
	// short has vectors of eight floats, for heads narrower than 16.
	short = isa{name: "AVX2", parts: 1}
)

// vec is a vector: an operand, register or memory, for each part.
type vec []Op

// partBytes is the size of a register.
func (s isa) partBytes() int {
	if s.wide {
		return 64
	}
	return 32
}

// vectorBytes is the size of a vector, lanes its length.
func (s isa) vectorBytes() int { return s.parts * s.partBytes() }
func (s isa) lanes() int       { return s.vectorBytes() / 4 }

// text begins a function that does not retain its arguments.
func (s isa) text(name, signature, doc string) {
	TEXT(name+s.name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + s.name + " " + doc)
}

// end closes a function.
func (s isa) end() {
	VZEROUPPER()
	RET()
}

// reg returns fresh registers.
func (s isa) reg() vec {
	v := make(vec, s.parts)
	s.each(func(i int) {
		if s.wide {
			v[i] = ZMM()
		} else {
			v[i] = YMM()
		}
	})
	return v
}

// mem returns the vector at an address.
func (s isa) mem(m Mem) vec {
	v := make(vec, s.parts)
	for i := range v {
		v[i] = m.Offset(i * s.partBytes())
	}
	return v
}

// each emits an instruction for every part.
func (s isa) each(emit func(i int)) {
	for i := range s.parts {
		emit(i)
	}
}

func (s isa) zero() vec {
	v := s.reg()
	s.clear(v)
	return v
}

func (s isa) clear(v vec) {
	s.each(func(i int) {
		if s.wide {
			VPXORD(v[i], v[i], v[i])
		} else {
			VXORPS(v[i], v[i], v[i])
		}
	})
}

func (s isa) copy(v vec) vec {
	d := s.reg()
	s.each(func(i int) { VMOVUPS(v[i], d[i]) })
	return d
}

type binary func(ops ...Op)

// op computes f(a, b); b must be in registers.
func (s isa) op(f binary, b, a vec) vec {
	d := s.reg()
	s.to(f, b, a, d)
	return d
}

// to computes d = f(a, b) where b may be in memory (Intel's last operand, Go's first).
func (s isa) to(f binary, b, a, d vec) {
	s.each(func(i int) { f(b[i], a[i], d[i]) })
}

func (s isa) add(b, a vec) vec { return s.op(VADDPS, b, a) }
func (s isa) mul(b, a vec) vec { return s.op(VMULPS, b, a) }

// sub returns a - b; b may be in memory.
func (s isa) sub(a, b vec) vec { return s.op(VSUBPS, b, a) }

// div returns a / b.
func (s isa) div(a, b vec) vec { return s.op(VDIVPS, b, a) }

// fma adds a*b to d; b may be in memory.
func (s isa) fma(d, a, b vec) { s.to(VFMADD231PS, b, a, d) }

// fnma subtracts a*b from d; b may be in memory.
func (s isa) fnma(d, a, b vec) { s.to(VFNMADD231PS, b, a, d) }

// horner sets p = p*x + c; c may be in memory.
func (s isa) horner(p, x, c vec) { s.to(VFMADD213PS, c, x, p) }

func (s isa) sqrt(a vec) vec {
	d := s.reg()
	s.each(func(i int) { VSQRTPS(a[i], d[i]) })
	return d
}

// broadcast fills a vector with a float in memory or in the low lane of a register.
func (s isa) broadcast(x Op) vec {
	d := s.reg()
	VBROADCASTSS(x, d[0])
	for _, p := range d[1:] {
		VMOVAPS(d[0], p)
	}
	return d
}

var constants = map[string]Mem{}

// constant returns a vector of 16 equal floats: hoisted into a register with
// AVX-512, a memory operand with AVX2, whose registers are few.
func (s isa) constant(x float32) vec {
	bits := math.Float32bits(x)
	name := fmt.Sprintf("f%08x%s", bits, s.name)
	if s.wide {
		if _, ok := constants[name]; !ok {
			constants[name] = ConstData(name, U32(bits))
		}
		return s.broadcast(constants[name])
	}
	if _, ok := constants[name]; !ok {
		m := GLOBL(name, RODATA|NOPTR)
		for i := range 8 {
			DATA(4*i, U32(bits))
		}
		constants[name] = m
	}
	return vec{constants[name], constants[name]}
}

// inRegister returns v, loaded if it is a memory operand.
func (s isa) inRegister(v vec) vec {
	if _, ok := v[0].(Mem); ok {
		return s.copy(v)
	}
	return v
}

// sum folds the vectors, then the lanes from the top half down, and returns
// the total in the low lane of an XMM register.
func (s isa) sum(vs ...vec) VecVirtual { return s.fold(VADDPS, VADDSS, vs...) }

func (s isa) fold(packed, scalar binary, vs ...vec) VecVirtual {
	for len(vs) > 1 {
		half := len(vs) / 2
		for i := range half {
			s.to(packed, vs[half+i], vs[i], vs[i])
		}
		vs = vs[:half]
	}
	y := s.halves(packed, vs[0])
	hi, x := XMM(), XMM()
	if s.wide {
		VEXTRACTF32X4(Imm(1), y, hi)
	} else {
		VEXTRACTF128(Imm(1), y, hi)
	}
	packed(hi, y.AsX(), x)
	swap := XMM()
	VSHUFPS(Imm(0x0e), x, x, swap)
	packed(swap, x, x)
	VSHUFPS(Imm(0x01), x, x, swap)
	scalar(swap, x, x)
	return x
}

// halves combines the lower and upper eight lanes.
func (s isa) halves(packed binary, v vec) VecVirtual {
	y := YMM()
	if !s.wide {
		packed(v[1], v[0], y)
		return y
	}
	VEXTRACTF64X4(Imm(1), v[0], y)
	packed(y, v[0].(VecVirtual).AsY(), y)
	return y
}

var labels int

// label returns a new label name.
func label(name string) string {
	labels++
	return fmt.Sprintf("%s%d", name, labels)
}
