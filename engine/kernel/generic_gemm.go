package kernel

const nrGeneric = 32

// generic is the portable implementation.
var generic = implementation{
	name: "generic",
	gemm: gemmKernels{nr: nrGeneric, tile: tileGeneric, packT: packTGeneric, copyRows: copyRowsGeneric, tileBF16: tileBF16Generic},
	vec: vectorKernels{
		add: addGeneric, axpy: axpyGeneric, scale: scaleGeneric, dot: dotGeneric,
		sumSquares: sumSquaresGeneric, max: maxGeneric, sum: sumGeneric, adamw: adamwGeneric,
	},
	row: rowKernels{
		rmsNorm: rmsNormGeneric, rmsNormBackward: rmsNormBackwardGeneric,
		swiGLU: swiGLUGeneric, swiGLUBackward: swiGLUBackwardGeneric, rope: ropeGeneric,
		softmax: softmaxGeneric, softmaxBackward: softmaxBackwardGeneric,
		crossEntropy: crossEntropyGeneric, logSumExp: logSumExpGeneric, attend: attendGeneric,
	},
}

// tileGeneric computes C[m,n] (+)= A B in tiles of 2 x 4 accumulators, which
// fit the registers of every target. A's rows are gathered first so that the
// inner loop reads two streams.
func tileGeneric(m, n, k int, a []float32, rs, cs int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	var rows [2 * kcRows]float32
	i := 0
	for ; i+2 <= m; i += 2 {
		at := a[i*rs:]
		for x := range k {
			rows[2*x], rows[2*x+1] = at[x*cs], at[x*cs+rs]
		}
		c0, c1 := c[i*ldc:i*ldc+n], c[(i+1)*ldc:(i+1)*ldc+n]
		j := 0
		for ; j+4 <= n; j += 4 {
			tile2x4(rows[:2*k], b[j:], ldb, c0[j:j+4], c1[j:j+4], acc)
		}
		for ; j < n; j++ {
			store(&c0[j], column(rows[:2*k], 0, 2, b[j:], ldb), acc)
			store(&c1[j], column(rows[:2*k], 1, 2, b[j:], ldb), acc)
		}
	}
	if i < m {
		at := a[i*rs:]
		for x := range k {
			rows[x] = at[x*cs]
		}
		for j := range n {
			store(&c[i*ldc+j], column(rows[:k], 0, 1, b[j:], ldb), acc)
		}
	}
}

func tile2x4(rows []float32, b []float32, ldb int, c0, c1 []float32, acc bool) {
	var s00, s01, s02, s03, s10, s11, s12, s13 float32
	for o := 0; len(rows) >= 2; o += ldb {
		q := b[o : o+4 : o+4]
		x, y := rows[0], rows[1]
		s00 += x * q[0]
		s01 += x * q[1]
		s02 += x * q[2]
		s03 += x * q[3]
		s10 += y * q[0]
		s11 += y * q[1]
		s12 += y * q[2]
		s13 += y * q[3]
		rows = rows[2:]
	}
	c0, c1 = c0[:4], c1[:4]
	if acc {
		s00, s01, s02, s03 = c0[0]+s00, c0[1]+s01, c0[2]+s02, c0[3]+s03
		s10, s11, s12, s13 = c1[0]+s10, c1[1]+s11, c1[2]+s12, c1[3]+s13
	}
	c0[0], c0[1], c0[2], c0[3] = s00, s01, s02, s03
	c1[0], c1[1], c1[2], c1[3] = s10, s11, s12, s13
}

// column returns the product of every step-th element of row with a column of B.
func column(row []float32, first, step int, b []float32, ldb int) (s float32) {
	for x, o := first, 0; x < len(row); x, o = x+step, o+ldb {
		s += row[x] * b[o]
	}
	return s
}

func store(c *float32, v float32, acc bool) {
	if acc {
		v = *c + v
	}
	*c = v
}

func packTGeneric(rows, k int, b []float32, ldb int, dst []float32) {
	for j := range rows {
		row := b[j*ldb : j*ldb+k]
		for x, v := range row {
			dst[x*nrGeneric+j] = v
		}
	}
}

func copyRowsGeneric(dst []float32, ldd int, src []float32, lds, rows, width int) {
	for i := range rows {
		copy(dst[i*ldd:i*ldd+width], src[i*lds:i*lds+width])
	}
}
