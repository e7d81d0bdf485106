package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// tile is a kernel for blocks of rows x cols elements of C, held in registers
// while k runs. A masked one handles fewer columns.
type tile struct {
	s          isa
	rows, cols int
	masked     bool

	acc  [][]VecVirtual // [rows][cols/width]
	mask []OpmaskVirtual
	tail tail
}

// tiles emits the kernels of every height up to the one that fills the
// registers: 12 x 32 or 12 x 16 with AVX-512, 6 x 16 with AVX2.
func tiles(s isa) {
	height, widths := 6, []int{16}
	if s.wide {
		height, widths = 12, []int{32, 16}
	}
	for _, cols := range widths {
		for rows := 1; rows <= height; rows++ {
			for _, masked := range []bool{false, true} {
				t := &tile{s: s, rows: rows, cols: cols, masked: masked}
				t.emit(rows == height)
			}
		}
	}
}

// width is the number of lanes of a register.
func (t *tile) width() int { return t.s.partBytes() / 4 }

func (t *tile) emit(tallest bool) {
	name, what := fmt.Sprintf("tile%dx%d", t.rows, t.cols), "full"
	if t.masked {
		name, what = name+"m", "the first n"
	}
	t.s.text(name, "func(blocks, n, k int, a *float32, rs, cs int, b *float32, ldb int, c *float32, ldc int, acc bool)",
		fmt.Sprintf("computes blocks of %d rows of C (+)= A B, %s of %d columns.", t.rows, what, t.cols))
	t.masks()
	ldb, rs, cs := bytes(number("ldb")), bytes(number("rs")), bytes(number("cs"))
	c, ldc := number("c"), bytes(number("ldc"))
	t.blocks(rs, c, ldc, func(a []Register) { t.loop(a, rs, cs, ldb, tallest) })
}

// blocks ends a function with its loop over blocks of rows of A, rs bytes apart, and of C. In a are pointers to every
// third row of the block.
func (t *tile) blocks(rs, c, ldc Register, loop func(a []Register)) {
	next := number("a")
	a := []Register{GP64()}
	for range (t.rows - 1) / 3 {
		a = append(a, GP64())
	}
	top := label("block")
	Label(top)
	MOVQ(next, a[0])
	for i := 1; i < len(a); i++ {
		LEAQ(Mem{Base: a[i-1], Index: rs, Scale: 2}, a[i])
		ADDQ(rs, a[i])
	}
	last, left := a[len(a)-1], t.rows-3*(len(a)-1) // the next block follows the last row
	LEAQ(Mem{Base: last, Index: rs, Scale: 1}, next)
	for range left - 1 {
		ADDQ(rs, next)
	}
	t.start(c, ldc)
	loop(a)
	t.finish(c, ldc)
	blocks := NewParamAddr("blocks", 0)
	DECQ(blocks)
	JNZ(LabelRef(top))
	t.s.end()
}

// masks prepares the selection of columns.
func (t *tile) masks() {
	if !t.masked {
		return
	}
	n := number("n")
	if !t.s.wide {
		// The table begins with 16 words of ones: n = 16 selects all.
		t.tail.base = GP64()
		LEAQ(t.s.tailTable().Offset(4*tableOnes), t.tail.base)
		SHLQ(Imm(2), n)
		SUBQ(n, t.tail.base)
		return
	}
	bits := GP64()
	MOVQ(I32(-1), bits)
	BZHIQ(n, bits, bits)
	for range t.cols / t.width() {
		k := K()
		KMOVW(bits.As32(), k)
		SHRQ(Imm(16), bits)
		t.mask = append(t.mask, k)
	}
}

// start clears the accumulators and asks for the lines of C.
func (t *tile) start(c, ldc Register) {
	row := GP64()
	MOVQ(c, row)
	t.acc = nil
	for i := range t.rows {
		var accs []VecVirtual
		for range t.cols / t.width() {
			if t.s.wide {
				r := ZMM()
				VPXORD(r, r, r)
				accs = append(accs, r)
			} else {
				r := YMM()
				VXORPS(r, r, r)
				accs = append(accs, r)
			}
		}
		t.acc = append(t.acc, accs)
		for line := 0; line < t.cols; line += 16 {
			PREFETCHT0(Mem{Base: row, Disp: 4 * line})
		}
		if i < t.rows-1 {
			ADDQ(ldc, row)
		}
	}
}

// loop runs over k.
func (t *tile) loop(a []Register, rs, cs, ldb Register, tallest bool) {
	unroll := 2
	if tallest {
		unroll = 4
	}
	k, count, b := number("k"), GP64(), number("b")
	MOVQ(k, count)
	single, done := label("single"), label("done")
	SHRQ(Imm(uint64(unroll/2)), count)
	JZ(LabelRef(single))
	repeat(count, func() {
		for range unroll {
			t.step(a, rs, cs, b, ldb)
		}
	})
	Label(single)
	ANDQ(Imm(uint64(unroll-1)), k)
	JZ(LabelRef(done))
	repeat(k, func() { t.step(a, rs, cs, b, ldb) })
	Label(done)
}

// step adds the product of one column of A and one row of B.
func (t *tile) step(a []Register, rs, cs, b, ldb Register) {
	var bv []VecVirtual
	for j := range t.cols / t.width() {
		bv = append(bv, t.load(Mem{Base: b, Disp: j * t.s.partBytes()}, j))
	}
	for i := range t.rows {
		m := Mem{Base: a[i/3]}
		if i%3 > 0 {
			m.Index, m.Scale = rs, uint8(i%3)
		}
		if len(bv) == 1 {
			VFMADD231PS_BCST(m, bv[0], t.acc[i][0])
		} else {
			var av VecVirtual = YMM()
			if t.s.wide {
				av = ZMM()
			}
			VBROADCASTSS(m, av)
			for j := range bv {
				VFMADD231PS(bv[j], av, t.acc[i][j])
			}
		}
		if i%3 == 2 || i == t.rows-1 {
			ADDQ(cs, a[i/3])
		}
	}
	ADDQ(ldb, b)
}

// load loads register j of a row of B or C.
func (t *tile) load(m Mem, j int) VecVirtual {
	if t.s.wide {
		r := ZMM()
		if t.masked {
			VMOVUPS_Z(m, t.mask[j], r)
		} else {
			VMOVUPS(m, r)
		}
		return r
	}
	r := YMM()
	if t.masked {
		VMOVUPS(Mem{Base: t.tail.base, Disp: 32 * j}, r)
		VMASKMOVPS(m, r, r)
	} else {
		VMOVUPS(m, r)
	}
	return r
}

// finish adds C if acc is set and stores; c moves to the next block.
func (t *tile) finish(c, ldc Register) {
	store := label("store")
	acc := GP8()
	Load(Param("acc"), acc)
	TESTB(acc, acc)
	JZ(LabelRef(store))
	row := GP64()
	MOVQ(c, row)
	t.eachRow(row, ldc, func(m Mem, i, j int) {
		if t.masked {
			VADDPS(t.load(m, j), t.acc[i][j], t.acc[i][j])
		} else {
			VADDPS(m, t.acc[i][j], t.acc[i][j])
		}
	})
	Label(store)
	t.eachRow(c, ldc, func(m Mem, i, j int) {
		switch {
		case !t.masked:
			VMOVUPS(t.acc[i][j], m)
		case t.s.wide:
			VMOVUPS(t.acc[i][j], t.mask[j], m)
		default:
			sel := YMM()
			VMOVUPS(Mem{Base: t.tail.base, Disp: 32 * j}, sel)
			VMASKMOVPS(t.acc[i][j], sel, m)
		}
	})
}

// eachRow emits code for every register of the tile, advancing row.
func (t *tile) eachRow(row, ldc Register, emit func(m Mem, i, j int)) {
	for i := range t.rows {
		for j := range t.cols / t.width() {
			emit(Mem{Base: row, Disp: j * t.s.partBytes()}, i, j)
		}
		ADDQ(ldc, row)
	}
}
