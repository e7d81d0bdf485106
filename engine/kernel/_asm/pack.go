package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// packT emits the transposing copy of rows of B into a panel, square by square
// in registers: 16 x 16 with AVX-512, 8 x 8 with AVX2.
func packT(s isa) {
	s.text("packT", "func(rows, k int, b *float32, ldb int, dst *float32)",
		"writes B[rows,k] transposed to dst[k][nr]. Where a square has more columns than rows are left, the last row fills them.")
	side, panel := 8, 16
	if s.wide {
		side, panel = 16, 32
	}
	b, ldb := number("b"), bytes(number("ldb"))
	rows, dst := number("rows"), number("dst")
	zero := GP64()
	XORQ(zero, zero)
	groups := GP64()
	MOVQ(U32(2), groups)
	group, out := label("group"), label("out")
	Label(group)
	src, to, left := GP64(), GP64(), number("k")
	MOVQ(b, src)
	MOVQ(dst, to)
	square, last := label("square"), label("last")
	Label(square)
	t := s.tailUpTo(left, side)
	regs := s.loadRows(src, ldb, rows, zero, side, t)
	regs = s.transpose(regs)
	for i, r := range regs {
		VMOVUPS(r, Mem{Base: to, Disp: 4 * panel * i})
		if i < side-1 {
			CMPQ(left, Imm(uint64(i+1)))
			JE(LabelRef(last))
		}
	}
	ADDQ(U32(4*side), src)
	ADDQ(U32(4*panel*side), to)
	SUBQ(Imm(uint64(side)), left)
	JG(LabelRef(square))
	Label(last)
	// The second group: the next rows, or the last row again.
	ADDQ(U32(4*side), dst)
	SUBQ(Imm(uint64(side)), rows)
	if s.wide {
		JLE(LabelRef(out)) // tiles of 16 columns do not read the other half
	}
	add := GP64()
	MOVQ(ldb, add)
	SHLQ(Imm(map[int]uint64{8: 3, 16: 4}[side]), add)
	if !s.wide {
		// With no row left, go back to a row that exists.
		one := GP64()
		MOVQ(U32(1), one)
		CMPQ(rows, zero)
		CMOVQLE(zero, add)
		CMOVQLE(one, rows)
	}
	ADDQ(add, b)
	DECQ(groups)
	JNZ(LabelRef(group))
	Label(out)
	s.end()
}

// copyRows emits a copy between strides.
func copyRows(s isa) {
	s.text("copyRows", "func(dst []float32, ldd int, src []float32, lds, rows, width int)", "copies rows between strides.")
	dst, src := base("dst"), base("src")
	ldd, lds, rows := bytes(number("ldd")), bytes(number("lds")), number("rows")
	c := s.columns(number("width"), 2)
	repeat(rows, func() {
		c.run(func(p place) { p.store(p.load(src), dst) })
		ADDQ(ldd, dst)
		ADDQ(lds, src)
	})
	s.end()
}

// tailUpTo selects the first min(n, side) lanes of one register.
func (s isa) tailUpTo(n Register, side int) tail {
	count, most := GP64(), GP64()
	MOVQ(n, count)
	MOVQ(U32(uint32(side)), most)
	CMPQ(count, most)
	CMOVQGT(most, count)
	return s.lowest(count)
}

// loadRows loads the selected columns of side rows, staying on the last of them.
func (s isa) loadRows(src, ldb, rows, zero Register, side int, t tail) []VecVirtual {
	row, step := GP64(), GP64()
	MOVQ(src, row)
	var regs []VecVirtual
	for i := range side {
		if s.wide {
			r := ZMM()
			VMOVUPS_Z(Mem{Base: row}, t.k, r)
			regs = append(regs, r)
		} else {
			r := YMM()
			VMOVUPS(Mem{Base: t.base}, r)
			VMASKMOVPS(Mem{Base: row}, r, r)
			regs = append(regs, r)
		}
		if i < side-1 {
			MOVQ(ldb, step)
			CMPQ(rows, Imm(uint64(i+2)))
			CMOVQLT(zero, step)
			ADDQ(step, row)
		}
	}
	return regs
}

// transpose returns the columns of the square whose rows are given.
func (s isa) transpose(in []VecVirtual) []VecVirtual {
	fresh := func() VecVirtual {
		if s.wide {
			return ZMM()
		}
		return YMM()
	}
	// Within 128-bit lanes: pairs, then groups of four rows. Afterwards
	// quad[4*q+c] holds, in lane l, rows 4q..4q+3 of column 4l+c.
	quad := make([]VecVirtual, len(in))
	for q := 0; q < len(in); q += 4 {
		var pair [4]VecVirtual
		for i := range pair {
			pair[i] = fresh()
		}
		VUNPCKLPS(in[q+1], in[q], pair[0])
		VUNPCKHPS(in[q+1], in[q], pair[1])
		VUNPCKLPS(in[q+3], in[q+2], pair[2])
		VUNPCKHPS(in[q+3], in[q+2], pair[3])
		for c := range 4 {
			quad[q+c] = fresh()
			if c%2 == 0 {
				VUNPCKLPD(pair[2+c/2], pair[c/2], quad[q+c])
			} else {
				VUNPCKHPD(pair[2+c/2], pair[c/2], quad[q+c])
			}
		}
	}
	out := make([]VecVirtual, len(in))
	for c := range 4 {
		if !s.wide {
			out[c], out[4+c] = fresh(), fresh()
			VPERM2F128(Imm(0x20), quad[4+c], quad[c], out[c])
			VPERM2F128(Imm(0x31), quad[4+c], quad[c], out[4+c])
			continue
		}
		// Lanes 0 and 2, then 1 and 3, of the upper and lower eight rows.
		var half [4]VecVirtual
		for i := range half {
			half[i] = fresh()
		}
		VSHUFF32X4(Imm(0x88), quad[4+c], quad[c], half[0])
		VSHUFF32X4(Imm(0x88), quad[12+c], quad[8+c], half[1])
		VSHUFF32X4(Imm(0xdd), quad[4+c], quad[c], half[2])
		VSHUFF32X4(Imm(0xdd), quad[12+c], quad[8+c], half[3])
		for l := range 4 {
			out[4*l+c] = fresh()
		}
		VSHUFF32X4(Imm(0x88), half[1], half[0], out[c])
		VSHUFF32X4(Imm(0xdd), half[1], half[0], out[8+c])
		VSHUFF32X4(Imm(0x88), half[3], half[2], out[4+c])
		VSHUFF32X4(Imm(0xdd), half[3], half[2], out[12+c])
	}
	return out
}
