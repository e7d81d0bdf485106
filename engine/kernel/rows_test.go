package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

func TestSoftmax(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, n := range lengths {
			for _, scale := range []float32{1, 0.25, 30, -2} {
				x := filled(source(uint64(n)), n)
				got := make([]float32, n)
				Softmax(got, x, scale)
				want := softmax64(x, scale)
				for i := range n {
					near(t, fmt.Sprintf("n=%d scale=%v [%d]", n, scale, i), got[i], want[i], want[i]+1e-30, 1e-5)
				}
				Softmax(x, x, scale)
				sameBits(t, "in place", x, got)
			}
		}
	})
}

func softmax64(x []float32, scale float32) []float64 {
	y := make([]float64, len(x))
	largest, sum := math.Inf(-1), 0.0
	for _, v := range x {
		largest = math.Max(largest, float64(v)*float64(scale))
	}
	for i, v := range x {
		y[i] = math.Exp(float64(v)*float64(scale) - largest)
		sum += y[i]
	}
	for i := range y {
		y[i] /= sum
	}
	return y
}

// TestExponential reads exp(x) off a softmax of two: p1/p0 = exp(x), with a
// rounding or two of its own.
func TestExponential(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for x := float32(-87); x < 0; x += 0.0371 {
			p := []float32{0, x}
			Softmax(p, p, 1)
			want := math.Exp(float64(x))
			near(t, fmt.Sprintf("exp(%v)", x), p[1]/p[0], want, want, 3.5e-7)
		}
	})
}

func TestSoftmaxExtremes(t *testing.T) {
	inf := float32(math.Inf(1))
	nan := float32(math.NaN())
	eachKernel(t, func(t *testing.T) {
		for _, n := range []int{4, 20, 100} {
			x := make([]float32, n)
			x[0], x[1], x[2] = -inf, 3e38, -3e38
			Softmax(x, x, 1)
			for i, v := range x {
				if want := float32(map[bool]int{true: 1}[i == 1]); v != want {
					t.Fatalf("n=%d: p[%d] = %v, want %v", n, i, v, want)
				}
			}
			for at := range n {
				y := make([]float32, n)
				y[at] = nan
				Softmax(y, y, 1)
				if y[0] == y[0] || y[n-1] == y[n-1] {
					t.Fatalf("n=%d: a NaN at %d is lost: %v", n, at, y)
				}
			}
		}
	})
}

func TestCausalSoftmax(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, c := range []struct{ rows, cols, first, pad int }{
			{0, 4, 1, 0}, {1, 1, 1, 0}, {5, 5, 1, 0}, {16, 16, 1, 3}, {17, 40, 24, 0}, {61, 61, 1, 3}, {33, 20, 1, 0}, {40, 300, 261, 4}, {600, 600, 1, 0},
		} {
			ld := c.cols + c.pad
			s, d := filled(source(1), c.rows*ld), filled(source(2), c.rows*ld)
			s0, d0 := slices.Clone(s), slices.Clone(d)
			CausalSoftmaxRows(s, ld, c.rows, c.cols, c.first, 0.5)
			p := slices.Clone(s)
			CausalSoftmaxBackwardRows(d, p, ld, c.rows, c.cols, c.first, 0.5)
			for i := range c.rows {
				n := min(c.cols, c.first+i)
				want := softmax64(s0[i*ld:i*ld+n], 0.5)
				var dot float64
				for j := range n {
					dot += want[j] * float64(d0[i*ld+j])
				}
				for j := range ld {
					at := fmt.Sprintf("%+v [%d,%d]", c, i, j)
					switch {
					case j < n:
						near(t, at, s[i*ld+j], want[j], want[j], 1e-5)
						near(t, "backward "+at, d[i*ld+j], 0.5*want[j]*(float64(d0[i*ld+j])-dot), want[j]*5, 1e-5)
					case j < c.cols:
						if s[i*ld+j] != 0 || d[i*ld+j] != 0 {
							t.Fatalf("%s: not cleared", at)
						}
					case s[i*ld+j] != s0[i*ld+j] || d[i*ld+j] != d0[i*ld+j]:
						t.Fatalf("%s: padding changed", at)
					}
				}
			}
		}
	})
}

func TestCrossEntropy(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, n := range lengths[1:] {
			rows, ld := 3, n+2
			x := filled(source(uint64(n)), rows*ld)
			targets := []int32{0, int32(n - 1), int32(n / 2)}
			weights, lp, only := []float32{1, -0.5, 0.125}, make([]float32, rows), make([]float32, rows)
			d := slices.Clone(x)
			CrossEntropyRows(d, d, ld, n, targets, weights, lp)
			CrossEntropyRows(nil, x, ld, n, targets, nil, only)
			sameBits(t, "log-probabilities alone", only, lp)
			for i := range rows {
				p := softmax64(x[i*ld:i*ld+n], 1)
				near(t, fmt.Sprintf("n=%d log p", n), lp[i], math.Log(p[targets[i]]), 1+math.Abs(math.Log(p[targets[i]])), 2e-6)
				for j := range n {
					want := p[j]
					if j == int(targets[i]) {
						want--
					}
					near(t, fmt.Sprintf("n=%d d[%d,%d]", n, i, j), d[i*ld+j], want*float64(weights[i]), p[j]+math.Abs(want), 5e-6)
				}
			}
		}
	})
}

func TestAttend(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, c := range []struct{ heads, size, n, pad int }{
			{1, 16, 0, 0}, {1, 16, 1, 3}, {2, 16, 15, 0}, {1, 16, 16, 0}, {3, 16, 17, 47}, {1, 8, 60, 4}, {2, 32, 100, 28}, {1, 64, 257, 0}, {4, 5, 33, 1}, {1, 1, 2, 0},
		} {
			r := source(uint64(c.n))
			q := filled(r, c.heads*c.size)
			keys, ldk := paddedMatrix(1, c.size, c.n, c.pad)
			values, ldv := paddedMatrix(2, c.n, c.size, c.pad)
			out := make([]float32, c.heads*c.size)
			Attend(out, q, keys, ldk, values, ldv, c.heads, c.size, c.n, 0.3, make([]float32, (c.n+15)/16*16))
			for h := range c.heads {
				scores := make([]float32, c.n)
				for j := range scores {
					for d := range c.size {
						scores[j] += q[h*c.size+d] * keys[d*ldk+j]
					}
				}
				p := softmax64(scores, 0.3)
				for d := range c.size {
					var want float64
					for j := range p {
						want += p[j] * float64(values[j*ldv+d])
					}
					near(t, fmt.Sprintf("%+v head %d [%d]", c, h, d), out[h*c.size+d], want, 1, 1e-5)
				}
			}
		}
	})
}

func TestRMSNorm(t *testing.T) {
	const eps, rows = 1e-5, 5
	eachKernel(t, func(t *testing.T) {
		for _, n := range lengths {
			r := source(uint64(n))
			x, w, dy, dx, dw := filled(r, rows*n), filled(r, n), filled(r, rows*n), filled(r, rows*n), filled(r, n)
			dx0, dw0 := slices.Clone(dx), slices.Clone(dw)
			y, inv := make([]float32, rows*n), make([]float32, rows)
			RMSNormRows(y, x, w, eps, inv, n)
			RMSNormBackwardRows(dx, dw, dy, x, w, inv, n)
			wantDW := make([]float64, n)
			for i := range rows {
				var ss, dot float64
				for j := range n {
					ss += sq(x[i*n+j])
					dot += float64(dy[i*n+j]) * float64(w[j]) * float64(x[i*n+j])
				}
				if n == 0 {
					continue
				}
				s := 1 / math.Sqrt(ss/float64(n)+eps)
				near(t, fmt.Sprintf("inv n=%d", n), inv[i], s, s, 1e-6)
				for j := range n {
					xv, wv, dv := float64(x[i*n+j]), float64(w[j]), float64(dy[i*n+j])
					near(t, fmt.Sprintf("y n=%d [%d,%d]", n, i, j), y[i*n+j], xv*s*wv, math.Abs(xv*s*wv), 2e-6)
					want := float64(dx0[i*n+j]) + s*wv*dv - xv*s*s*s/float64(n)*dot
					near(t, fmt.Sprintf("dx n=%d [%d,%d]", n, i, j), dx[i*n+j], want, 10, 2e-6)
					wantDW[j] += dv * xv * s
				}
			}
			for j := range n {
				near(t, fmt.Sprintf("dw n=%d [%d]", n, j), dw[j], float64(dw0[j])+wantDW[j], 10, 2e-6)
			}
			// The single-row forms are the same function.
			if n > 0 {
				one := make([]float32, n)
				got := RMSNorm(one, x[n:2*n], w, eps)
				sameBits(t, "single row", append(one, got), append(slices.Clone(y[n:2*n]), inv[1]))
			}
		}
	})
}

func sq(v float32) float64 { return float64(v) * float64(v) }

func TestSwiGLU(t *testing.T) {
	const rows = 3
	eachKernel(t, func(t *testing.T) {
		for _, n := range lengths {
			r := source(uint64(n))
			gu, dy := filled(r, rows*2*n), filled(r, rows*n)
			for i := 0; i < len(gu); i += 7 {
				gu[i] *= 40 // both ends of the sigmoid
			}
			y, dgu := make([]float32, rows*n), slices.Clone(gu)
			SwiGLURows(y, gu, rows, n)
			SwiGLUBackwardRows(dgu, dy, dgu, rows, n)
			for i := range rows {
				for j := range n {
					g, u, d := float64(gu[i*2*n+j]), float64(gu[i*2*n+n+j]), float64(dy[i*n+j])
					s := 1 / (1 + math.Exp(-g))
					near(t, fmt.Sprintf("y n=%d g=%g", n, g), y[i*n+j], g*s*u, math.Abs(g*s*u)+1e-6, 2e-6)
					near(t, fmt.Sprintf("dgate n=%d g=%g", n, g), dgu[i*2*n+j], d*u*s*(1+g*(1-s)), math.Abs(d*u)*s*(1+math.Abs(g))+1e-6, 2e-6)
					near(t, fmt.Sprintf("dup n=%d g=%g", n, g), dgu[i*2*n+n+j], d*g*s, math.Abs(d*g*s)+1e-6, 2e-6)
				}
			}
			g, u := slices.Clone(gu[:n]), gu[n:2*n]
			SwiGLU(g, g, u)
			sameBits(t, "in place", g, y[:n])
		}
	})
}

func TestRoPE(t *testing.T) {
	const positions = 9
	eachKernel(t, func(t *testing.T) {
		for _, c := range []struct{ half, heads, pad int }{{1, 1, 0}, {3, 2, 1}, {8, 4, 0}, {8, 8, 64}, {16, 3, 0}, {12, 2, 5}, {32, 2, 0}, {40, 1, 0}, {64, 2, 3}} {
			ld := 2*c.half*c.heads + c.pad
			cos, sin := make([]float32, positions*c.half), make([]float32, positions*c.half)
			for i := range cos {
				a := float64(i/c.half) / math.Pow(100, float64(i%c.half)/float64(c.half))
				cos[i], sin[i] = float32(math.Cos(a)), float32(math.Sin(a))
			}
			pos := []int32{0, 1, 2, 8, 0, 5}
			x := filled(source(3), len(pos)*ld)
			got := slices.Clone(x)
			RoPERows(got, ld, c.heads, cos, sin, c.half, pos)
			for i, p := range pos {
				for j := range ld {
					at := fmt.Sprintf("%+v [%d,%d]", c, i, j)
					h, d := j/(2*c.half), j%(2*c.half)
					if h >= c.heads {
						near(t, at+" padding", got[i*ld+j], float64(x[i*ld+j]), 1, 0)
						continue
					}
					a, f := i*ld+h*2*c.half+d%c.half, int(p)*c.half+d%c.half
					want := float64(x[a])*float64(cos[f]) - float64(x[a+c.half])*float64(sin[f])
					if d >= c.half {
						want = float64(x[a+c.half])*float64(cos[f]) + float64(x[a])*float64(sin[f])
					}
					near(t, at, got[i*ld+j], want, 4, 1e-6)
				}
			}
			head := slices.Clone(x[3*ld : 3*ld+2*c.half])
			RoPE(head, cos[8*c.half:], sin[8*c.half:])
			sameBits(t, "single head", head, got[3*ld:3*ld+2*c.half])
			RoPEBackwardRows(got, ld, c.heads, cos, sin, c.half, pos)
			for i := range x {
				near(t, fmt.Sprintf("%+v inverse [%d]", c, i), got[i], float64(x[i]), 4, 1e-6)
			}
		}
	})
}

func TestRoPERowsPanicsOutsideTable(t *testing.T) {
	defer func() {
		want := "kernel: RoPERows: position 2 of row 1 is outside the table of 2"
		if r := recover(); r != want {
			t.Errorf("panic %v, want %q", r, want)
		}
	}()
	RoPERows(make([]float32, 8), 4, 1, make([]float32, 4), make([]float32, 4), 2, []int32{0, 2})
}
