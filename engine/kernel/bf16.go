package kernel

import (
	"fmt"
	"math"
	"unsafe"
)

// RoundBF16 rounds to bfloat16, the upper half of a float32, to nearest and
// ties to even. A NaN stays one.
func RoundBF16(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// WidenBF16 gives the float32 of the same value.
func WidenBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// PackRows is the unit in which the rows of a weight are packed: calls of SetRows
// start at a multiple of it. It is a multiple of every implementation's panel.
const PackRows = 32

// PackedBF16 is [Packed] with the elements rounded to bfloat16: half the
// memory, and half the traffic where that is what a product waits for. A row of
// a panel of nr columns interleaves the left and the right half of the columns,
// so that each 32-bit word holds column j (low) and column j+nr/2 (high).
type PackedBF16 struct {
	n, k int
	im   *implementation
	data []uint16 // for each block of kcRows rows: panels of nr columns, [kc][nr] each
}

// NewPackedBF16 makes room for the transpose of a weight B[n,k] of zeros, for
// the implementation in use. Its rows are filled by [PackedBF16.SetRows].
func NewPackedBF16(n, k int) *PackedBF16 {
	return &PackedBF16{n: n, k: k, im: active, data: alignedHalves(packedSize(&active.gemm, k, n))}
}

// NewPacked is [NewPackedBF16] for float32.
func NewPacked(n, k int) *Packed {
	return &Packed{n: n, k: k, im: active, data: alignedSlice(packedSize(&active.gemm, k, n))}
}

// SetRows packs rows first, first+1, ... of the weight from rows [.,k]. first is a
// multiple of [PackRows], and so is their number unless they reach the last row.
func (pk *PackedBF16) SetRows(p *Pool, first int, rows []float32) {
	g := &pk.im.gemm
	forPanels(p, g.nr, pk.n, pk.k, first, rows, func(j, w int, panel []float32) {
		buf := getScratch(min(kcRows, pk.k) * g.nr)
		for k0 := 0; k0 < pk.k; k0 += kcRows {
			kc := min(kcRows, pk.k-k0)
			g.packT(w, kc, panel[k0:], pk.k, buf.data)
			narrowPanel(pk.panel(k0, kc, j), buf.data[:kc*g.nr], w, g.nr)
		}
		buf.put()
	})
}

// SetRows is [PackedBF16.SetRows] for float32.
func (pk *Packed) SetRows(p *Pool, first int, rows []float32) {
	g := &pk.im.gemm
	forPanels(p, g.nr, pk.n, pk.k, first, rows, func(j, w int, panel []float32) {
		for k0 := 0; k0 < pk.k; k0 += kcRows {
			kc := min(kcRows, pk.k-k0)
			g.packT(w, kc, panel[k0:], pk.k, pk.panel(k0, kc, j))
		}
	})
}

// forPanels calls f for every panel of the given rows: its number, its width,
// and the rows from its first one on.
func forPanels(p *Pool, nr, n, k, first int, rows []float32, f func(j, w int, panel []float32)) {
	count := 0
	if k > 0 {
		count = len(rows) / k
	}
	if first < 0 || first%PackRows != 0 || first+count > n || count*k != len(rows) || count%PackRows != 0 && first+count != n {
		panic(fmt.Sprintf("kernel: SetRows: %d elements at row %d of a weight of %d x %d", len(rows), first, n, k))
	}
	p.Run((count+nr-1)/nr, func(t int) {
		f(first/nr+t, min(nr, count-t*nr), rows[t*nr*k:])
	})
}

// narrowPanel rounds a panel [.,nr] with w valid columns; the others become zero.
func narrowPanel(dst []uint16, panel []float32, w, nr int) {
	half := nr / 2
	for at := 0; at+nr <= len(dst); at += nr {
		out, in := dst[at:at+nr], panel[at:at+nr]
		for j := w; j < nr; j++ {
			in[j] = 0
		}
		lo, hi := in[:half], in[half:nr]
		for j := range lo {
			out[2*j], out[2*j+1] = RoundBF16(lo[j]), RoundBF16(hi[j])
		}
	}
}

// Row writes row j of the weight to dst [k].
func (pk *PackedBF16) Row(j int, dst []float32) {
	checkLen("Row", "dst", len(dst), pk.k)
	nr := pk.im.gemm.nr
	at := 2 * (j % nr)
	if at >= nr {
		at += 1 - nr
	}
	for k0 := 0; k0 < pk.k; k0 += kcRows {
		kc := min(kcRows, pk.k-k0)
		panel := pk.panel(k0, kc, j/nr)
		for x := range kc {
			dst[k0+x] = WidenBF16(panel[x*nr+at])
		}
	}
}

// Row writes row j of the weight to dst [k].
func (pk *Packed) Row(j int, dst []float32) {
	checkLen("Row", "dst", len(dst), pk.k)
	nr := pk.im.gemm.nr
	for k0 := 0; k0 < pk.k; k0 += kcRows {
		kc := min(kcRows, pk.k-k0)
		panel := pk.panel(k0, kc, j/nr)
		for x := range kc {
			dst[k0+x] = panel[x*nr+j%nr]
		}
	}
}

// panel returns panel j of the block of kc rows that begins at k0.
func (pk *PackedBF16) panel(k0, kc, j int) []uint16 {
	nr := pk.im.gemm.nr
	width := (pk.n + nr - 1) / nr * nr
	return pk.data[k0*width+j*kc*nr:][: kc*nr : kc*nr]
}

// GemmBF16 computes C[m,n] = A[m,k] B, or adds to C if acc is set. A stays
// float32, B is widened on the way, and the sums are float32: the result has the
// bits of [GemmPacked] for the rounded weight.
func GemmBF16(p *Pool, m int, a []float32, lda int, b *PackedBF16, c []float32, ldc int, acc bool) {
	checkMatrix("GemmBF16", "a", m, b.k, a, lda)
	checkMatrix("GemmBF16", "c", m, b.n, c, ldc)
	if b.im != active {
		panic(fmt.Sprintf("kernel: GemmBF16: operand was packed for %s, but %s is in use", b.im.name, active.name))
	}
	if m == 0 || b.n == 0 {
		return
	}
	if b.k == 0 {
		clearUnless(acc, m, b.n, c, ldc)
		return
	}
	nr := b.im.gemm.nr
	rows, cols := m, b.n
	if p.Workers() > 1 && m*b.n*b.k > inlineBF16 {
		rows, cols = bf16Part(m, b.n, nr, p.Workers())
	}
	across := (b.n + cols - 1) / cols
	p.Run((m+rows-1)/rows*across, func(t int) {
		i, j := t/across*rows, t%across*cols
		b.strip(i, min(m, i+rows), j, min(b.n, j+cols), a, lda, c, ldc, acc)
	})
}

// inlineBF16 is the number of multiply-adds below which waking a worker costs
// more than it saves; reading the weights makes those of few rows slow.
const inlineBF16 = 1 << 16

// bf16Part chooses the part of C that a task computes: all rows of a few panels
// while the rows are few, and enough tasks that no worker waits long for the last.
func bf16Part(m, n, nr, workers int) (rows, cols int) {
	return min(m, 2*rowBlock), max(1, n/(4*workers*nr)) * nr
}

// strip computes rows i0..i1 of C in columns j0..j1, which start with a panel.
func (pk *PackedBF16) strip(i0, i1, j0, j1 int, a []float32, lda int, c []float32, ldc int, acc bool) {
	g := &pk.im.gemm
	for ; i0 < i1; i0 += rowBlock {
		rows := min(rowBlock, i1-i0)
		for k0 := 0; k0 < pk.k; k0 += kcRows {
			kc := min(kcRows, pk.k-k0)
			for j := j0; j < j1; j += g.nr {
				panel, to := pk.panel(k0, kc, j/g.nr), c[i0*ldc+j:]
				if j+g.nr > j1 {
					pk.ragged(rows, j1-j, kc, a[i0*lda+k0:], lda, panel, to, ldc, acc || k0 > 0)
					continue
				}
				g.tileBF16(rows, kc, a[i0*lda+k0:], lda, panel, to, ldc, acc || k0 > 0)
			}
		}
	}
}

// ragged handles the last panel if it has only w columns: the tile writes whole rows.
func (pk *PackedBF16) ragged(rows, w, kc int, a []float32, lda int, panel []uint16, c []float32, ldc int, acc bool) {
	g := &pk.im.gemm
	buf := getScratch(rows * g.nr)
	if acc {
		g.copyRows(buf.data, g.nr, c, ldc, rows, w)
	}
	g.tileBF16(rows, kc, a, lda, panel, buf.data, g.nr, acc)
	g.copyRows(c, ldc, buf.data, g.nr, rows, w)
	buf.put()
}

// alignedHalves allocates n elements that begin on a cache line.
func alignedHalves(n int) []uint16 {
	f := alignedSlice((n + 1) / 2)
	if len(f) == 0 {
		return nil
	}
	return unsafe.Slice((*uint16)(unsafe.Pointer(&f[0])), n)
}
