package kernel

import (
	"sync"
	"unsafe"
)

// gemmKernels is the inner part of the matrix products.
type gemmKernels struct {
	nr int // width of a panel of B in elements

	// tile computes C[m,n] (+)= A[m,k] B[k,n] for n <= nr, k >= 1. A has row
	// stride rs and column stride cs. Each element is one chain of additions
	// over k, starting from zero; with acc the chain's result is then added to C.
	tile func(m, n, k int, a []float32, rs, cs int, b []float32, ldb int, c []float32, ldc int, acc bool)

	// packT writes B[rows,k] transposed to dst[k][nr], rows <= nr. Columns of
	// dst from rows on are unspecified.
	packT func(rows, k int, b []float32, ldb int, dst []float32)

	// copyRows copies rows of the given width between strides.
	copyRows func(dst []float32, ldd int, src []float32, lds, rows, width int)

	// tileBF16 is tile for all nr columns of a panel of [PackedBF16], with the
	// same order of additions; A's column stride is 1.
	tileBF16 func(m, k int, a []float32, rs int, b []uint16, c []float32, ldc int, acc bool)
}

// Blocking. The sizes of the k blocks are part of the results: each block's
// chain is added to C in turn.
const (
	kcRows    = 512     // k block of NN and NT: a panel of B stays in the first-level cache
	kcOuter   = 256     // k block of TN, where A too is read once per panel
	rowBlock  = 48      // rows of A and C handled before moving to the next panel
	smallRows = 128     // rows up to which all of them take a panel of B in turn
	inline    = 1 << 19 // multiply-adds below which waking a worker costs more than it saves

	tallRows    = 12      // a multiple of the tallest tile of every implementation
	outerRows   = 48      // columns of A (rows of C) that TN copies together
	outerPanels = 8       // panels of B that TN copies together
	outerDirect = 1 << 16 // elements of a k block up to which TN reads in place: copying pays for large strides
)

// operand is the right-hand side of a product, B[k,n], or stored as [n,k].
type operand struct {
	k, n       int
	data       []float32
	ld         int
	transposed bool
}

// packPanel writes rows k0..k0+kc of columns j..j+w to dst[kc][nr].
func (o *operand) packPanel(g *gemmKernels, k0, kc, j, w int, dst []float32) {
	if o.transposed {
		g.packT(w, kc, o.data[j*o.ld+k0:], o.ld, dst)
		return
	}
	g.copyRows(dst, g.nr, o.data[k0*o.ld+j:], o.ld, kc, w)
}

// gemmRows computes C[m,n] (+)= A B for NN and NT.
func gemmRows(p *Pool, m int, b operand, a []float32, lda int, c []float32, ldc int, acc bool) {
	if m == 0 || b.n == 0 {
		return
	}
	if b.k == 0 {
		clearUnless(acc, m, b.n, c, ldc)
		return
	}
	if m <= smallRows && (p.Workers() == 1 || m*b.n*b.k <= inline) {
		gemmSmall(m, &b, a, lda, c, ldc, acc)
		return
	}
	buf := getScratch(packedSize(&active.gemm, b.k, b.n))
	buf.packed = Packed{n: b.n, k: b.k, im: active, data: buf.data}
	buf.packed.fill(p, b)
	gemmPacked(p, m, &buf.packed, a, lda, c, ldc, acc)
	buf.put()
}

// gemmSmall handles few rows on the caller, one panel of B at a time; panels
// that can be read in place are not packed.
func gemmSmall(m int, b *operand, a []float32, lda int, c []float32, ldc int, acc bool) {
	g := &active.gemm
	if !b.transposed {
		for k0 := 0; k0 < b.k; k0 += kcRows {
			kc := min(kcRows, b.k-k0)
			for j := 0; j < b.n; j += g.nr {
				w := min(g.nr, b.n-j)
				g.tile(m, w, kc, a[k0:], lda, 1, b.data[k0*b.ld+j:], b.ld, c[j:], ldc, acc || k0 > 0)
			}
		}
		return
	}
	buf := getScratch(min(kcRows, b.k) * g.nr)
	for k0 := 0; k0 < b.k; k0 += kcRows {
		kc := min(kcRows, b.k-k0)
		for j := 0; j < b.n; j += g.nr {
			w := min(g.nr, b.n-j)
			b.packPanel(g, k0, kc, j, w, buf.data)
			g.tile(m, w, kc, a[k0:], lda, 1, buf.data, g.nr, c[j:], ldc, acc || k0 > 0)
		}
	}
	buf.put()
}

// packedSize returns the elements of a packed B[k,n].
func packedSize(g *gemmKernels, k, n int) int {
	return k * ((n + g.nr - 1) / g.nr) * g.nr
}

func pack(b operand) *Packed {
	pk := &Packed{n: b.n, k: b.k, im: active, data: alignedSlice(packedSize(&active.gemm, b.k, b.n))}
	pk.fill(nil, b)
	return pk
}

// fill packs b; tasks are panels.
func (pk *Packed) fill(p *Pool, b operand) {
	panels := pk.panels()
	if p.Workers() == 1 || b.n*b.k < inline {
		for j := range panels {
			pk.fillPanel(&b, j)
		}
		return
	}
	p.Run(panels, func(j int) { pk.fillPanel(&b, j) })
}

func (pk *Packed) fillPanel(b *operand, j int) {
	g := &pk.im.gemm
	w := min(g.nr, b.n-j*g.nr)
	for k0 := 0; k0 < b.k; k0 += kcRows {
		kc := min(kcRows, b.k-k0)
		b.packPanel(g, k0, kc, j*g.nr, w, pk.panel(k0, kc, j))
	}
}

// panels returns the number of panels.
func (pk *Packed) panels() int { return (pk.n + pk.im.gemm.nr - 1) / pk.im.gemm.nr }

// panel returns panel j of the block of kc rows that begins at k0.
func (pk *Packed) panel(k0, kc, j int) []float32 {
	nr := pk.im.gemm.nr
	width := (pk.n + nr - 1) / nr * nr
	return pk.data[k0*width+j*kc*nr:][: kc*nr : kc*nr]
}

// gemmPacked computes C[m,n] (+)= A B with B packed. A task is a block of
// rows, or for few rows one panel.
func gemmPacked(p *Pool, m int, b *Packed, a []float32, lda int, c []float32, ldc int, acc bool) {
	if m == 0 || b.n == 0 {
		return
	}
	if b.k == 0 {
		clearUnless(acc, m, b.n, c, ldc)
		return
	}
	panels := b.panels()
	switch {
	case p.Workers() == 1 || m*b.n*b.k <= inline:
		b.strip(0, m, 0, panels, a, lda, c, ldc, acc)
	case m <= rowBlock*p.Workers():
		p.Run(panels, func(j int) { b.strip(0, m, j, j+1, a, lda, c, ldc, acc) })
	default:
		p.Run((m+rowBlock-1)/rowBlock, func(t int) {
			b.strip(t*rowBlock, min(m, (t+1)*rowBlock), 0, panels, a, lda, c, ldc, acc)
		})
	}
}

// strip computes rows i0..i1 of C in the columns of panels j0..j1.
func (pk *Packed) strip(i0, i1, j0, j1 int, a []float32, lda int, c []float32, ldc int, acc bool) {
	g := &pk.im.gemm
	for ; i0 < i1; i0 += rowBlock {
		rows := min(rowBlock, i1-i0)
		for k0 := 0; k0 < pk.k; k0 += kcRows {
			kc := min(kcRows, pk.k-k0)
			for j := j0; j < j1; j++ {
				w := min(g.nr, pk.n-j*g.nr)
				g.tile(rows, w, kc, a[i0*lda+k0:], lda, 1, pk.panel(k0, kc, j), g.nr, c[i0*ldc+j*g.nr:], ldc, acc || k0 > 0)
			}
		}
	}
}

// gemmOuter computes C[m,n] (+)= A[k,m]^T B[k,n]. C is small and k long in
// training, so a task is a part of C and walks all of k.
func gemmOuter(p *Pool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	if m == 0 || n == 0 {
		return
	}
	if k == 0 {
		clearUnless(acc, m, n, c, ldc)
		return
	}
	if m*n*k <= inline || p.Workers() == 1 {
		gemmOuterPart(0, m, 0, n, k, a, lda, b, ldb, c, ldc, acc)
		return
	}
	rows, cols := outerPart(m, n, p.Workers())
	down, across := (m+rows-1)/rows, (n+cols-1)/cols
	p.Run(down*across, func(t int) {
		i, j := t%down*rows, t/down*cols
		gemmOuterPart(i, min(m, i+rows), j, min(n, j+cols), k, a, lda, b, ldb, c, ldc, acc)
	})
}

// outerPart chooses the shape of a task's part of C. Every part reads all of
// its columns of A and B, so parts are few, and wide rather than tall.
func outerPart(m, n, workers int) (rows, cols int) {
	split := func(size, parts, unit int) int { return (size + parts*unit - 1) / (parts * unit) * unit }
	rows, cols = split(m, 2*workers, tallRows), n
	if rows < outerRows {
		rows = max(split(m, workers, tallRows), 2*tallRows)
	}
	if down := (m + rows - 1) / rows; down < workers {
		cols = split(n, (workers+down-1)/down, active.gemm.nr)
	}
	return rows, cols
}

// gemmOuterPart computes rows i0..i1 and columns j0..j1 of C, a group of
// panels of B at a time.
func gemmOuterPart(i0, i1, j0, j1, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	g := &active.gemm
	if min(k, kcOuter)*max(lda, ldb) <= outerDirect {
		for k0 := 0; k0 < k; k0 += kcOuter {
			kc := min(kcOuter, k-k0)
			for j := j0; j < j1; j += g.nr {
				g.tile(i1-i0, min(g.nr, j1-j), kc, a[k0*lda+i0:], 1, lda, b[k0*ldb+j:], ldb, c[i0*ldc+j:], ldc, acc || k0 > 0)
			}
		}
		return
	}
	group := outerPanels * g.nr
	bufA, bufB := getScratch(kcOuter*outerRows), getScratch(kcOuter*group)
	for ; j0 < j1; j0 += group {
		w := min(group, j1-j0)
		for k0 := 0; k0 < k; k0 += kcOuter {
			kc := min(kcOuter, k-k0)
			for j := 0; j < w; j += g.nr {
				g.copyRows(bufB.data[j*kc:], g.nr, b[k0*ldb+j0+j:], ldb, kc, min(g.nr, w-j))
			}
			for i := i0; i < i1; i += outerRows {
				rows := min(outerRows, i1-i)
				g.copyRows(bufA.data, outerRows, a[k0*lda+i:], lda, kc, rows)
				for j := 0; j < w; j += g.nr {
					g.tile(rows, min(g.nr, w-j), kc, bufA.data, 1, outerRows, bufB.data[j*kc:], g.nr, c[i*ldc+j0+j:], ldc, acc || k0 > 0)
				}
			}
		}
	}
	bufA.put()
	bufB.put()
}

// clearUnless gives the product of matrices without common dimension.
func clearUnless(acc bool, m, n int, c []float32, ldc int) {
	if acc {
		return
	}
	for i := range m {
		clear(c[i*ldc : i*ldc+n])
	}
}

// scratch is a reusable buffer aligned to a cache line.
type scratch struct {
	data   []float32
	packed Packed
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func getScratch(n int) *scratch {
	s := scratches.Get().(*scratch)
	if cap(s.data) < n {
		s.data = alignedSlice(n)
	}
	s.data = s.data[:n]
	return s
}

func (s *scratch) put() { scratches.Put(s) }

// alignedSlice allocates n elements that begin on a cache line.
func alignedSlice(n int) []float32 {
	const line = 16
	if n == 0 {
		return nil
	}
	s := make([]float32, n+line-1)
	off := 0
	if r := int(uintptr(unsafe.Pointer(&s[0])) / 4 % line); r != 0 {
		off = line - r
	}
	return s[off : off+n : off+n]
}
