package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

func TestElementwise(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, n := range lengths {
			r := source(uint64(n))
			x, y := filled(r, n), filled(r, n)
			add, axpy, scale := slices.Clone(y), slices.Clone(y), slices.Clone(y)
			Add(add, x)
			Axpy(axpy, -0.7, x)
			Scale(scale, 1.3)
			for i := range n {
				near(t, fmt.Sprintf("Add n=%d [%d]", n, i), add[i], float64(y[i])+float64(x[i]), 1, 1e-6)
				near(t, fmt.Sprintf("Axpy n=%d [%d]", n, i), axpy[i], float64(y[i])-0.7*float64(x[i]), 1, 1e-6)
				near(t, fmt.Sprintf("Scale n=%d [%d]", n, i), scale[i], 1.3*float64(y[i]), 1, 1e-6)
			}
		}
	})
}

func TestReductions(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, n := range lengths {
			r := source(uint64(n))
			x, y := filled(r, n), filled(r, n)
			var dot, size, squares float64
			largest := math.Inf(-1)
			for i := range n {
				dot += float64(x[i]) * float64(y[i])
				size += math.Abs(float64(x[i]) * float64(y[i]))
				squares += float64(x[i]) * float64(x[i])
				largest = math.Max(largest, float64(x[i]))
			}
			near(t, fmt.Sprintf("Dot n=%d", n), Dot(x, y), dot, size, 1e-6)
			if got := SumSquares(x); math.Abs(got-squares) > 1e-13*squares {
				t.Fatalf("SumSquares n=%d = %v, want %v", n, got, squares)
			}
			if got := Max(x); float64(got) != largest {
				t.Fatalf("Max n=%d = %v, want %v", n, got, largest)
			}
			// The largest element must be found at every place.
			for i := range min(n, 70) {
				z := make([]float32, n)
				for j := range z {
					z[j] = -5
				}
				z[i] = -4
				if got := Max(z); got != -4 {
					t.Fatalf("Max n=%d with the largest at %d = %v", n, i, got)
				}
			}
		}
	})
}

func TestSearch(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 3, 63, 64, 65, 200, 600} {
			// Probabilities of 1/1024 make every sum exact.
			p := make([]float32, n)
			for i := range p {
				p[i] = float32(i%3) / 1024
			}
			var sum float64
			for i, v := range p {
				if v > 0 {
					for _, u := range []float64{sum, sum + float64(v)*0.999} {
						if got := Search(p, u); got != i {
							t.Fatalf("n=%d: Search(%v) = %d, want %d", n, u, got, i)
						}
					}
				}
				sum += float64(v)
			}
			if got := Search(p, sum); got != -1 {
				t.Fatalf("n=%d: Search beyond the sum = %d, want -1", n, got)
			}
		}
	})
}

// TestVectorsStayInBounds surrounds every operand with marks.
func TestVectorsStayInBounds(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for n := range 70 {
			const mark = 12345
			guarded := func(seed uint64) (whole, part []float32) {
				whole = make([]float32, n+64)
				for i := range whole {
					whole[i] = mark
				}
				part = whole[32 : 32+n]
				copy(part, filled(source(seed), n))
				return whole, part
			}
			dw, d := guarded(1)
			ew, e := guarded(2)
			_, x := guarded(3)
			_, y := guarded(4)
			wide := filled(source(5), n)
			Add(d, x)
			Axpy(d, 2, x)
			Scale(d, 0.5)
			Softmax(d, x, 1)
			SoftmaxBackward(e, d, y, 1)
			SwiGLU(d, x, y)
			SwiGLUBackward(d, e, wide, x, y)
			RMSNorm(d, x, y, 1e-5)
			RMSNormBackward(d, e, wide, x, y, 0.5)
			if n > 0 {
				CrossEntropy(d, x, n/2, 1)
			}
			if n%2 == 0 {
				RoPE(d, x[:n/2], y[:n/2])
			}
			AdamW(d, x, e, y, AdamWStep{LR: 1, Beta1: 0.9, Beta2: 0.9, Eps: 1, Correction1: 1, Correction2: 1, GradScale: 1})
			for _, whole := range [][]float32{dw, ew} {
				for i, v := range whole {
					if (i < 32 || i >= 32+n) && v != mark {
						t.Fatalf("n=%d: wrote %v at offset %d", n, v, i-32)
					}
				}
			}
		}
	})
}

func TestAdamW(t *testing.T) {
	h := AdamWStep{LR: 4e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, Correction1: 1 - 0.9*0.9, Correction2: 1 - 0.95*0.95, GradScale: 0.5}
	eachKernel(t, func(t *testing.T) {
		for _, n := range lengths {
			r := source(uint64(n))
			w, g, m, v := filled(r, n), filled(r, n), filled(r, n), filled(r, n)
			for i := range v {
				v[i] *= v[i]
			}
			w1, m1, v1 := slices.Clone(w), slices.Clone(m), slices.Clone(v)
			AdamW(w1, g, m1, v1, h)
			for i := range n {
				d := 0.5 * float64(g[i])
				mi := 0.9*float64(m[i]) + 0.1*d
				vi := 0.95*float64(v[i]) + 0.05*d*d
				step := mi / float64(h.Correction1) / (math.Sqrt(vi/float64(h.Correction2)) + 1e-8)
				wi := float64(w[i])*(1-4e-4) - 4e-3*step
				near(t, fmt.Sprintf("m n=%d [%d]", n, i), m1[i], mi, 1, 1e-6)
				near(t, fmt.Sprintf("v n=%d [%d]", n, i), v1[i], vi, 1, 1e-6)
				near(t, fmt.Sprintf("w n=%d [%d]", n, i), w1[i], wi, math.Abs(wi)+4e-3*math.Abs(step), 1e-6)
			}
		}
	})
}

// TestAdamWFlushesSubnormals demands that the moments of a parameter without
// gradient end at zero and do not linger among the subnormal numbers.
func TestAdamWFlushesSubnormals(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		w, g, m, v := []float32{1, 1}, []float32{0, 0}, []float32{2e-38, 1e-40}, []float32{1.5e-38, 1e-44}
		for range 20 {
			AdamW(w, g, m, v, AdamWStep{LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Correction1: 1, Correction2: 1, GradScale: 1})
		}
		sameBits(t, "m", m, []float32{0, 0})
		sameBits(t, "v", v, []float32{0, 0})
		// The processor's mode is restored: a subnormal product survives.
		x := []float32{1e-20}
		Scale(x, 1e-20)
		if x[0] == 0 {
			t.Error("subnormal results are still flushed after AdamW")
		}
	})
}
