package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

func TestRoundBF16(t *testing.T) {
	for _, c := range []struct {
		in   uint32
		want uint16
	}{
		{0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81}, {0x3f807fff, 0x3f80},
		{0x80000000, 0x8000}, {0x7f800000, 0x7f80}, {0xff800000, 0xff80}, {0x7f7fffff, 0x7f80}, {0x00000001, 0}, {0x00018000, 2},
	} {
		if got := RoundBF16(math.Float32frombits(c.in)); got != c.want {
			t.Errorf("RoundBF16(%08x) = %04x, want %04x", c.in, got, c.want)
		}
	}
	for _, nan := range []uint32{0x7f800001, 0xffc00000, 0x7fffffff} {
		if h := RoundBF16(math.Float32frombits(nan)); !math.IsNaN(float64(WidenBF16(h))) {
			t.Errorf("RoundBF16(%08x) = %04x is no NaN", nan, h)
		}
	}
}

// packBoth packs a weight [n,k] in both precisions; the float32 one holds the rounded values.
func packBoth(p *Pool, n, k int, w []float32) (*PackedBF16, *Packed) {
	rounded := slices.Clone(w)
	for i, v := range w {
		rounded[i] = WidenBF16(RoundBF16(v))
	}
	half, full := NewPackedBF16(n, k), NewPacked(n, k)
	for first := 0; first < n; first += 2 * PackRows {
		end := min(n, first+2*PackRows)
		half.SetRows(p, first, w[first*k:end*k])
		full.SetRows(p, first, rounded[first*k:end*k])
	}
	return half, full
}

// TestGemmBF16 demands the bits of the float32 product with the rounded
// weights, for every height of tile, ragged panels and several blocks of k,
// whatever the pool. Columns beside C stay as they were.
func TestGemmBF16(t *testing.T) {
	pool := NewPool(3)
	defer pool.Close()
	eachKernel(t, func(t *testing.T) {
		for _, s := range []struct{ n, k int }{{1, 1}, {16, 7}, {32, 64}, {33, 90}, {200, 515}, {96, 1100}} {
			w := filled(source(2), s.n*s.k)
			half, full := packBoth(pool, s.n, s.k, w)
			reference := PackNT(s.n, s.k, full.unpacked(), s.k)
			for _, m := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 25, 50, 130} {
				a, lda := paddedMatrix(1, m, s.k, 3)
				got, ldc := paddedMatrix(3, m, s.n, 5)
				want := slices.Clone(got)
				for _, acc := range []bool{false, true} {
					GemmPacked(nil, m, a, lda, reference, want, ldc, acc)
					for _, p := range []*Pool{nil, pool} {
						c := slices.Clone(got)
						GemmBF16(p, m, a, lda, half, c, ldc, acc)
						sameBits(t, fmt.Sprintf("m=%d n=%d k=%d acc=%v", m, s.n, s.k, acc), c, want)
					}
					copy(got, want)
				}
			}
		}
	})
}

// unpacked returns the weight [n,k].
func (pk *Packed) unpacked() []float32 {
	w := make([]float32, pk.n*pk.k)
	for j := range pk.n {
		pk.Row(j, w[j*pk.k:(j+1)*pk.k])
	}
	return w
}

func TestPackedRows(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		const n, k = 77, 600
		w := filled(source(4), n*k)
		half, full := packBoth(nil, n, k, w)
		row, other := make([]float32, k), make([]float32, k)
		for j := range n {
			half.Row(j, row)
			full.Row(j, other)
			for x := range k {
				want := WidenBF16(RoundBF16(w[j*k+x]))
				if row[x] != want || other[x] != want {
					t.Fatalf("row %d, element %d: %g in bfloat16, %g in float32, want %g", j, x, row[x], other[x], want)
				}
			}
		}
	})
}

func TestSetRowsPanicsOnBadRange(t *testing.T) {
	for _, c := range []struct{ first, elements int }{{1, 64}, {0, 63}, {0, 10}, {32, 4 * 40}, {-32, 128}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("SetRows at %d with %d elements did not panic", c.first, c.elements)
				}
			}()
			NewPackedBF16(48, 4).SetRows(nil, c.first, make([]float32, c.elements))
		}()
	}
}

// pagedCase lays out keys and values [n,size] of one head in pages, filled up with NaN.
func pagedCase(keys, values []float32, n, size int) (at PagedKeys, pages [][]float32) {
	at = PagedKeys{Size: size, Keys: 5, Values: 9 + size*PageTokens}
	for range (n + PageTokens - 1) / PageTokens {
		page := make([]float32, at.Values+size*PageTokens)
		for i := range page {
			page[i] = float32(math.NaN())
		}
		pages = append(pages, page)
	}
	for i := range n {
		page, slot := pages[i/PageTokens], i%PageTokens
		for x := range size {
			page[at.Keys+x*PageTokens+slot] = keys[i*size+x]
			page[at.Values+slot*size+x] = values[i*size+x]
		}
	}
	return at, pages
}

func TestAttendPaged(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, c := range []struct{ n, size, seen int }{{1, 4, 1}, {63, 16, 60}, {64, 64, 1}, {65, 32, 65}, {200, 64, 9}, {130, 20, 129}, {300, 128, 100}} {
			r := source(uint64(c.n))
			keys, values := filled(r, c.n*c.size), filled(r, c.n*c.size)
			at, pages := pagedCase(keys, values, c.n, c.size)
			rows, ldq, ldo := c.n-c.seen+1, c.size+3, c.size+1
			q := filled(r, rows*ldq)
			out := make([]float32, rows*ldo)
			AttendPaged(out, ldo, q, ldq, rows, at, pages, c.seen, true, 0.3, nil)
			one := make([]float32, c.size)
			for i := range rows {
				want := attention(q[i*ldq:][:c.size], keys, values, c.seen+i, 0.3)
				for x, v := range want {
					near(t, fmt.Sprintf("%v: row %d, element %d", c, i, x), out[i*ldo+x], v, 1, 1e-5)
				}
				AttendPaged(one, c.size, q[i*ldq:], ldq, 1, at, pages, c.seen+i, false, 0.3, nil)
				sameBits(t, fmt.Sprintf("%v: row %d alone", c, i), one, out[i*ldo:][:c.size])
			}
		}
	})
}

// attention is the definition, in float64.
func attention(q, keys, values []float32, n int, scale float64) []float64 {
	size, sum := len(q), 0.0
	weights, out := make([]float64, n), make([]float64, len(q))
	for i := range weights {
		for x, v := range q {
			weights[i] += scale * float64(v) * float64(keys[i*size+x])
		}
		weights[i] = math.Exp(weights[i])
		sum += weights[i]
	}
	for i, w := range weights {
		for x := range out {
			out[x] += w / sum * float64(values[i*size+x])
		}
	}
	return out
}

// TestAssemblyTwinsAgreePaged extends [TestAssemblyTwinsAgree] to the functions of decoding.
func TestAssemblyTwinsAgreePaged(t *testing.T) {
	names := slices.DeleteFunc(expected(), func(n string) bool { return n == "generic" })
	before := Name()
	defer mustUse(t, before)
	var first [][]float32
	for _, name := range names {
		mustUse(t, name)
		var all [][]float32
		for _, n := range []int{7, 64, 100, 300} {
			r := source(9)
			w, a, c := filled(r, n*90), filled(r, 20*90), make([]float32, 20*n)
			half, _ := packBoth(nil, n, 90, w)
			GemmBF16(nil, 20, a, 90, half, c, n, false)
			at, pages := pagedCase(filled(r, n*32), filled(r, n*32), n, 32)
			out := make([]float32, 5*32)
			AttendPaged(out, 32, a, 32, 5, at, pages, n-4, true, 0.5, nil)
			all = append(all, c, out)
		}
		if first == nil {
			first = all
		}
		for i := range all {
			sameBits(t, fmt.Sprintf("%s against %s, result %d", name, names[0], i), all[i], first[i])
		}
	}
}

// BenchmarkGemmBF16 reads weights that fit no cache at one row (GB/s is the
// measure there) and the prefill's shapes at many.
func BenchmarkGemmBF16(b *testing.B) {
	const n, k = 49152, 576
	w := filled(source(1), n*k)
	eachBench(b, func(b *testing.B) {
		half, full := packBoth(nil, n, k, w)
		for _, workers := range []int{1, 2} {
			pool := NewPool(workers)
			for _, m := range []int{1, 4, 8, 32, 64, 256} {
				x, c := filled(source(2), m*k), make([]float32, m*n)
				b.Run(fmt.Sprintf("workers=%d/m=%d", workers, m), func(b *testing.B) {
					for b.Loop() {
						GemmBF16(pool, m, x, k, half, c, n, false)
					}
					gflops(b, 2*m*n*k)
					b.ReportMetric(float64(2*n*k)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GB/s")
				})
				b.Run(fmt.Sprintf("workers=%d/m=%d/f32", workers, m), func(b *testing.B) {
					for b.Loop() {
						GemmPacked(pool, m, x, k, full, c, n, false)
					}
					gflops(b, 2*m*n*k)
					b.ReportMetric(float64(4*n*k)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GB/s")
				})
			}
			pool.Close()
		}
	})
}
