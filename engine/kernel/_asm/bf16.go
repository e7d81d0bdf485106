package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// bf16Tiles emits the kernels of products whose B is a packed panel of bfloat16.
// They are as high and wide as the float32 ones and add in the same order. The
// panel's rows are whole, so nothing is masked.
func bf16Tiles(s isa) {
	height, cols := 6, 16
	if s.wide {
		height, cols = 12, 32
	}
	for rows := 1; rows <= height; rows++ {
		t := &bf16Tile{tile: tile{s: s, rows: rows, cols: cols}}
		t.emit(rows == height)
	}
}

// bf16Tile is a tile whose row of B takes as many bytes as one register: the
// low half of each word belongs to the left half of the columns, the high half
// to the right one, so that a shift and a mask widen it.
type bf16Tile struct {
	tile
	high vec // selects the high halves of words
}

func (t *bf16Tile) emit(tallest bool) {
	t.s.text(fmt.Sprintf("bf16Tile%d", t.rows), "func(blocks, k int, a *float32, rs int, b *uint16, c *float32, ldc int, acc bool)",
		fmt.Sprintf("computes blocks of %d rows and %d columns of C (+)= A B, B a panel of bfloat16.", t.rows, t.cols))
	t.high = t.s.constant(math.Float32frombits(0xffff0000))
	rs, c, ldc := bytes(number("rs")), number("c"), bytes(number("ldc"))
	t.blocks(rs, c, ldc, func(a []Register) { t.loop(a, rs, tallest) })
}

// loop runs over k.
func (t *bf16Tile) loop(a []Register, rs Register, tallest bool) {
	unroll := 4
	if tallest {
		unroll = 2
	}
	k, count, b := number("k"), GP64(), number("b")
	MOVQ(k, count)
	single, done := label("single"), label("done")
	steps := func(n int) {
		for u := range n {
			t.step(a, rs, b, u)
		}
		for _, r := range a {
			ADDQ(Imm(uint64(4*n)), r)
		}
		ADDQ(U32(uint32(n*t.s.partBytes())), b)
	}
	SHRQ(Imm(uint64(unroll/2)), count)
	JZ(LabelRef(single))
	repeat(count, func() { steps(unroll) })
	Label(single)
	ANDQ(Imm(uint64(unroll-1)), k)
	JZ(LabelRef(done))
	repeat(k, func() { steps(1) })
	Label(done)
}

// step adds the product of column u of A and row u of B, counted from where the
// pointers are. B is read in order, which the processor foresees: prefetching it made a row of C slower.
func (t *bf16Tile) step(a []Register, rs, b Register, u int) {
	bv := t.widen(Mem{Base: b, Disp: u * t.s.partBytes()})
	for i := range t.rows {
		m := Mem{Base: a[i/3], Disp: 4 * u}
		if i%3 > 0 {
			m.Index, m.Scale = rs, uint8(i%3)
		}
		var av VecVirtual = YMM()
		if t.s.wide {
			av = ZMM()
		}
		VBROADCASTSS(m, av)
		for j := range bv {
			VFMADD231PS(bv[j], av, t.acc[i][j])
		}
	}
}

// widen loads a row of B as float32.
func (t *bf16Tile) widen(m Mem) [2]VecVirtual {
	fresh := func() VecVirtual {
		if t.s.wide {
			return ZMM()
		}
		return YMM()
	}
	lo, hi := fresh(), fresh()
	VMOVUPS(m, hi)
	VPSLLD(Imm(16), hi, lo)
	VANDPS(t.high[0], hi, hi)
	return [2]VecVirtual{lo, hi}
}
