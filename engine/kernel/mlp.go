package kernel

// SwiGLU computes dst = silu(gate) * up with silu(z) = z/(1+exp(-z))
// (Shazeer, "GLU Variants Improve Transformer", 2020). dst may be gate or up.
func SwiGLU(dst, gate, up []float32) {
	checkLen("SwiGLU", "gate", len(gate), len(dst))
	checkLen("SwiGLU", "up", len(up), len(dst))
	for len(dst) > 0 {
		n := min(len(dst), callElements)
		active.row.swiGLU(dst, 0, gate, up, 0, 1, n)
		dst, gate, up = dst[n:], gate[n:], up[n:]
	}
}

// SwiGLURows applies [SwiGLU] to the fused output of the gate and up
// projections: each of the rows of gu is [gate(width) | up(width)], each of
// dst is [width].
func SwiGLURows(dst, gu []float32, rows, width int) {
	checkRows("SwiGLURows", "dst", dst, rows, width)
	checkRows("SwiGLURows", "gu", gu, rows, 2*width)
	if width == 0 {
		return
	}
	step := rowsPerCall(width)
	for i := 0; i < rows; i += step {
		g := gu[i*2*width:]
		active.row.swiGLU(dst[i*width:], width, g, g[width:], 2*width, min(step, rows-i), width)
	}
}

// SwiGLUBackward computes the gradient of [SwiGLU] from that of its result:
// with s = 1/(1+exp(-gate)),
//
//	dup = dy*gate*s;  dgate = dy*up*s*(1 + gate*(1-s))
//
// dgate may be gate and dup may be up.
func SwiGLUBackward(dgate, dup, dy, gate, up []float32) {
	checkLen("SwiGLUBackward", "dgate", len(dgate), len(dy))
	checkLen("SwiGLUBackward", "dup", len(dup), len(dy))
	checkLen("SwiGLUBackward", "gate", len(gate), len(dy))
	checkLen("SwiGLUBackward", "up", len(up), len(dy))
	for len(dy) > 0 {
		n := min(len(dy), callElements)
		active.row.swiGLUBackward(dgate, dup, 0, dy, 0, gate, up, 0, 1, n)
		dgate, dup, dy, gate, up = dgate[n:], dup[n:], dy[n:], gate[n:], up[n:]
	}
}

// SwiGLUBackwardRows applies [SwiGLUBackward] to fused rows: dgu and gu are
// [rows, gate(width) | up(width)], dy is [rows,width]. dgu may be gu.
func SwiGLUBackwardRows(dgu, dy, gu []float32, rows, width int) {
	checkRows("SwiGLUBackwardRows", "dgu", dgu, rows, 2*width)
	checkRows("SwiGLUBackwardRows", "dy", dy, rows, width)
	checkRows("SwiGLUBackwardRows", "gu", gu, rows, 2*width)
	if width == 0 {
		return
	}
	step := rowsPerCall(width)
	for i := 0; i < rows; i += step {
		d, g := dgu[i*2*width:], gu[i*2*width:]
		active.row.swiGLUBackward(d, d[width:], 2*width, dy[i*width:], width, g, g[width:], 2*width, min(step, rows-i), width)
	}
}
