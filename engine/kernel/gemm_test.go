package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// product is one way to compute C[m,n] (+)= A B.
type product struct {
	name           string
	transA, transB bool
	call           func(p *Pool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, acc bool)
}

var products = []product{
	{"NN", false, false, GemmNN},
	{"NT", false, true, GemmNT},
	{"TN", true, false, GemmTN},
	{"PackedNN", false, false, func(p *Pool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, acc bool) {
		GemmPacked(p, m, a, lda, PackNN(k, n, b, ldb), c, ldc, acc)
	}},
	{"PackedNT", false, true, func(p *Pool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, acc bool) {
		GemmPacked(p, m, a, lda, PackNT(n, k, b, ldb), c, ldc, acc)
	}},
}

// gemmCase is a product's shape; pad is added to every row stride.
type gemmCase struct{ m, n, k, pad int }

func (c gemmCase) String() string { return fmt.Sprintf("m%d_n%d_k%d_pad%d", c.m, c.n, c.k, c.pad) }

// matrix is rows x cols values with a stride; the padding holds NaN, so that
// a kernel that reads or writes outside its operand is found out.
func paddedMatrix(seed uint64, rows, cols, pad int) (data []float32, ld int) {
	r := source(seed)
	ld = cols + pad
	data = make([]float32, max(0, rows*ld-pad))
	for i := range data {
		if i%ld < cols {
			data[i] = float32(r.NormFloat64())
		} else {
			data[i] = float32(math.NaN())
		}
	}
	return data, ld
}

// checkProduct runs one product and compares it with float64.
func checkProduct(t interface{ Fatalf(string, ...any) }, pr product, pool *Pool, g gemmCase, acc bool) {
	ar, ac, br, bc := g.m, g.k, g.k, g.n
	if pr.transA {
		ar, ac = ac, ar
	}
	if pr.transB {
		br, bc = bc, br
	}
	a, lda := paddedMatrix(1, ar, ac, g.pad)
	b, ldb := paddedMatrix(2, br, bc, g.pad)
	c, ldc := paddedMatrix(3, g.m, g.n, g.pad)
	old := slices.Clone(c)
	pr.call(pool, g.m, g.n, g.k, a, lda, b, ldb, c, ldc, acc)

	for i := range g.m {
		for j := range g.n {
			var want, size float64
			for x := range g.k {
				uv := element(a, lda, i, x, pr.transA) * element(b, ldb, x, j, pr.transB)
				want += uv
				size += math.Abs(uv)
			}
			if acc {
				want += float64(old[i*ldc+j])
				size += math.Abs(float64(old[i*ldc+j]))
			}
			if got := float64(c[i*ldc+j]); !(math.Abs(got-want) <= 2e-6*size) {
				t.Fatalf("%s %v acc=%v: C[%d,%d] = %g, want %g", pr.name, g, acc, i, j, got, want)
			}
		}
	}
	for i, v := range c {
		if ldc > 0 && i%ldc >= g.n && !math.IsNaN(float64(v)) {
			t.Fatalf("%s %v: wrote %g outside C at %d", pr.name, g, v, i)
		}
	}
}

func element(data []float32, ld, i, j int, transposed bool) float64 {
	if transposed {
		i, j = j, i
	}
	return float64(data[i*ld+j])
}

func TestGemm(t *testing.T) {
	cases := []gemmCase{
		{0, 5, 3, 0}, {5, 0, 3, 0}, {5, 3, 0, 0}, {1, 1, 1, 0}, {1, 1, 1, 5}, {2, 3, 4, 1},
		{1, 64, 64, 0}, {1, 600, 64, 3}, {1, 17, 100, 0}, {3, 96, 16, 0}, {7, 13, 11, 2}, {11, 31, 29, 0}, {12, 32, 16, 0}, {13, 33, 17, 0},
		{24, 16, 60, 200}, {60, 60, 16, 176}, {61, 16, 61, 64}, {59, 61, 32, 7}, {97, 48, 64, 0}, {200, 192, 64, 0}, {131, 67, 515, 1},
		{16, 15, 1030, 0}, {48, 64, 700, 0}, {5, 5, 257, 0}, {300, 40, 31, 8},
	}
	eachKernel(t, func(t *testing.T) {
		for _, pr := range products {
			for _, g := range cases {
				for _, acc := range []bool{false, true} {
					checkProduct(t, pr, nil, g, acc)
				}
			}
		}
	})
}

func TestGemmProperty(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			g := gemmCase{
				m: rapid.IntRange(0, 70).Draw(rt, "m"), n: rapid.IntRange(0, 70).Draw(rt, "n"),
				k: rapid.IntRange(0, 40).Draw(rt, "k"), pad: rapid.IntRange(0, 20).Draw(rt, "pad"),
			}
			pr := products[rapid.IntRange(0, len(products)-1).Draw(rt, "product")]
			checkProduct(rt, pr, nil, g, rapid.Bool().Draw(rt, "acc"))
		})
	})
}

// TestGemmIsDeterministic demands the same bits whatever the pool.
func TestGemmIsDeterministic(t *testing.T) {
	two, five := NewPool(2), NewPool(5)
	defer two.Close()
	defer five.Close()
	eachKernel(t, func(t *testing.T) {
		for _, g := range []gemmCase{{300, 70, 64, 0}, {64, 200, 600, 3}, {7, 1000, 130, 0}, {1100, 64, 100, 0}} {
			for _, pr := range products {
				var want []float32
				for i, pool := range []*Pool{nil, two, five} {
					a, b := filled(source(1), g.m*g.k), filled(source(2), g.n*g.k)
					c := filled(source(3), g.m*g.n)
					lda, ldb := g.k, g.n
					if pr.transA {
						lda = g.m
					}
					if pr.transB {
						ldb = g.k
					}
					pr.call(pool, g.m, g.n, g.k, a, lda, b, ldb, c, g.n, true)
					if i == 0 {
						want = c
					}
					sameBits(t, fmt.Sprintf("%s %v with %d workers", pr.name, g, pool.Workers()), c, want)
				}
			}
		}
	})
}

// TestGemmRowsAreIndependent demands that a row's result does not depend on
// which rows are computed with it: decoding relies on that.
func TestGemmRowsAreIndependent(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, s := range []struct{ n, k int }{{192, 64}, {16, 90}, {33, 600}, {600, 64}} {
			const m = 130
			a, b := filled(source(1), m*s.k), filled(source(2), s.n*s.k)
			for _, pr := range products {
				if pr.transA {
					continue
				}
				ldb := s.n
				if pr.transB {
					ldb = s.k
				}
				whole := make([]float32, m*s.n)
				pr.call(nil, m, s.n, s.k, a, s.k, b, ldb, whole, s.n, false)
				for _, rows := range []int{1, 7, 64} {
					part := make([]float32, rows*s.n)
					for i := 0; i+rows <= m; i += rows {
						pr.call(nil, rows, s.n, s.k, a[i*s.k:], s.k, b, ldb, part, s.n, false)
						sameBits(t, fmt.Sprintf("%s %v rows %d+%d", pr.name, s, i, rows), part, whole[i*s.n:(i+rows)*s.n])
					}
				}
			}
		}
	})
}

func TestGemmPanicsOnShortOperand(t *testing.T) {
	defer func() {
		want := "kernel: GemmNT: b has 11 elements, needs 12 (4 x 3, row stride 3)"
		if r := recover(); r != want {
			t.Errorf("panic %v, want %q", r, want)
		}
	}()
	GemmNT(nil, 2, 4, 3, make([]float32, 6), 3, make([]float32, 11), 3, make([]float32, 8), 4, false)
}
