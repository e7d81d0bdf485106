package kernel

// The products of causal attention leave out the part of the score matrix
// above the diagonal. In all of them row i of the [queries, keys] matrix has
// first+i columns, as in [CausalSoftmaxRows]; first is at least 1. They run on
// the caller, in blocks of tallRows rows that share the limit of the last.

// GemmNTCausal computes the scores C[m,n] = A[m,k] B[n,k]^T in the columns
// below first+i of each row i, with the bits of [GemmNT]. The other elements
// of C are unspecified.
func GemmNTCausal(m, n, k, first int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) {
	const op = "GemmNTCausal"
	checkMatrix(op, "a", m, k, a, lda)
	checkMatrix(op, "b", n, k, b, ldb)
	checkMatrix(op, "c", m, n, c, ldc)
	checkCausal(op, m, n, first)
	if m == 0 || n == 0 {
		return
	}
	if k == 0 {
		clearUnless(false, m, n, c, ldc)
		return
	}
	g := &active.gemm
	o := operand{k: k, n: n, data: b, ld: ldb, transposed: true}
	buf := getScratch(min(kcRows, k) * g.nr)
	for k0 := 0; k0 < k; k0 += kcRows {
		kc := min(kcRows, k-k0)
		for j := 0; j < n; j += g.nr {
			i := max(0, j-first+1) // the first row that reaches this panel
			if i >= m {
				break
			}
			w := min(g.nr, n-j)
			o.packPanel(g, k0, kc, j, w, buf.data)
			g.tile(m-i, w, kc, a[i*lda+k0:], lda, 1, buf.data, g.nr, c[i*ldc+j:], ldc, k0 > 0)
		}
	}
	buf.put()
}

// GemmNNCausal computes C[m,n] = A[m,k] B[k,n], or adds to C if acc is set,
// for attention weights A whose row i is zero from column first+i on: a
// query's mix of values, or its gradient from those of the scores. The result
// is that of [GemmNN].
func GemmNNCausal(m, n, k, first int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	const op = "GemmNNCausal"
	checkMatrix(op, "a", m, k, a, lda)
	checkMatrix(op, "b", k, n, b, ldb)
	checkMatrix(op, "c", m, n, c, ldc)
	checkCausal(op, m, k, first)
	if m == 0 || n == 0 {
		return
	}
	if k == 0 {
		clearUnless(acc, m, n, c, ldc)
		return
	}
	g := &active.gemm
	for i := 0; i < m; i += tallRows {
		rows := min(tallRows, m-i)
		end := min(k, first+i+rows-1)
		for k0 := 0; k0 < end; k0 += kcRows {
			kc := min(kcRows, end-k0)
			for j := 0; j < n; j += g.nr {
				g.tile(rows, min(g.nr, n-j), kc, a[i*lda+k0:], lda, 1, b[k0*ldb+j:], ldb, c[i*ldc+j:], ldc, acc || k0 > 0)
			}
		}
	}
}

// GemmTNCausal computes C[m,n] = A[k,m]^T B[k,n], or adds to C if acc is set,
// for attention weights A whose row x is zero from column first+x on: the
// gradient of keys and values. The result is that of [GemmTN].
func GemmTNCausal(m, n, k, first int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	const op = "GemmTNCausal"
	checkMatrix(op, "a", k, m, a, lda)
	checkMatrix(op, "b", k, n, b, ldb)
	checkMatrix(op, "c", m, n, c, ldc)
	checkCausal(op, k, m, first)
	if m == 0 || n == 0 {
		return
	}
	g := &active.gemm
	for i := 0; i < m; i += tallRows {
		rows := min(tallRows, m-i)
		start := max(0, i-first+1) // the first query that sees key i
		if start >= k {
			clearUnless(acc, m-i, n, c[i*ldc:], ldc)
			return
		}
		for k0 := start; k0 < k; {
			end := min(k, k0-k0%kcOuter+kcOuter) // the blocks of GemmTN
			for j := 0; j < n; j += g.nr {
				g.tile(rows, min(g.nr, n-j), end-k0, a[k0*lda+i:], 1, lda, b[k0*ldb+j:], ldb, c[i*ldc+j:], ldc, acc || k0 > start)
			}
			k0 = end
		}
	}
}
