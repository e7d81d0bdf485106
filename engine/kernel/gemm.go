package kernel

import "fmt"

// GemmNN computes C[m,n] = A[m,k] B[k,n], or C += A B if acc is set. lda, ldb
// and ldc are the row strides of the operands in elements; slices may be
// longer than needed. C must not overlap A or B.
func GemmNN(p *Pool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	checkMatrix("GemmNN", "a", m, k, a, lda)
	checkMatrix("GemmNN", "b", k, n, b, ldb)
	checkMatrix("GemmNN", "c", m, n, c, ldc)
	gemmRows(p, m, operand{k: k, n: n, data: b, ld: ldb}, a, lda, c, ldc, acc)
}

// GemmNT computes C[m,n] = A[m,k] B[n,k]^T, or adds to C if acc is set: a
// linear layer's forward pass. See [GemmNN] for strides and aliasing.
func GemmNT(p *Pool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	checkMatrix("GemmNT", "a", m, k, a, lda)
	checkMatrix("GemmNT", "b", n, k, b, ldb)
	checkMatrix("GemmNT", "c", m, n, c, ldc)
	gemmRows(p, m, operand{k: k, n: n, data: b, ld: ldb, transposed: true}, a, lda, c, ldc, acc)
}

// GemmTN computes C[m,n] = A[k,m]^T B[k,n], or adds to C if acc is set: the
// gradient of a linear layer's weight. See [GemmNN] for strides and aliasing.
func GemmTN(p *Pool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	checkMatrix("GemmTN", "a", k, m, a, lda)
	checkMatrix("GemmTN", "b", k, n, b, ldb)
	checkMatrix("GemmTN", "c", m, n, c, ldc)
	gemmOuter(p, m, n, k, a, lda, b, ldb, c, ldc, acc)
}

// Packed is the right-hand operand of a product in the layout that the
// kernels read. Packing a weight once pays when it is used for many products
// with few rows, as in decoding. It belongs to the implementation that was in
// use when it was made.
type Packed struct {
	n, k int
	im   *implementation
	data []float32 // for each block of kcRows rows: panels of nr columns, [kc][nr] each
}

// PackNN prepares B[k,n] with row stride ldb for [GemmPacked].
func PackNN(k, n int, b []float32, ldb int) *Packed {
	checkMatrix("PackNN", "b", k, n, b, ldb)
	return pack(operand{k: k, n: n, data: b, ld: ldb})
}

// PackNT prepares the transpose of B[n,k], a linear layer's weight with row
// stride ldb, for [GemmPacked].
func PackNT(n, k int, b []float32, ldb int) *Packed {
	checkMatrix("PackNT", "b", n, k, b, ldb)
	return pack(operand{k: k, n: n, data: b, ld: ldb, transposed: true})
}

// GemmPacked computes C[m,n] = A[m,k] B, or adds to C if acc is set, with the
// bits that [GemmNN] or [GemmNT] would give for the operand that b was packed from.
func GemmPacked(p *Pool, m int, a []float32, lda int, b *Packed, c []float32, ldc int, acc bool) {
	checkMatrix("GemmPacked", "a", m, b.k, a, lda)
	checkMatrix("GemmPacked", "c", m, b.n, c, ldc)
	if b.im != active {
		panic(fmt.Sprintf("kernel: GemmPacked: operand was packed for %s, but %s is in use", b.im.name, active.name))
	}
	gemmPacked(p, m, b, a, lda, c, ldc, acc)
}

// checkMatrix panics unless data holds rows x cols elements with stride ld.
func checkMatrix(op, name string, rows, cols int, data []float32, ld int) {
	if rows < 0 || cols < 0 {
		panic(fmt.Sprintf("kernel: %s: %s has negative size %d x %d", op, name, rows, cols))
	}
	if rows == 0 || cols == 0 {
		return
	}
	if ld < cols && rows > 1 {
		panic(fmt.Sprintf("kernel: %s: %s has %d columns but row stride %d", op, name, cols, ld))
	}
	if need := (rows-1)*ld + cols; len(data) < need {
		panic(fmt.Sprintf("kernel: %s: %s has %d elements, needs %d (%d x %d, row stride %d)", op, name, len(data), need, rows, cols, ld))
	}
}
