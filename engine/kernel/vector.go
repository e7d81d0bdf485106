package kernel

import (
	"fmt"
	"math"
)

// vectorKernels are the element-wise functions and reductions. Slices of one
// call have the same length, at least 1 and at most vectorBlock.
type vectorKernels struct {
	add        func(dst, x []float32)
	axpy       func(dst []float32, a float32, x []float32)
	scale      func(dst []float32, a float32)
	dot        func(x, y []float32) float32
	sumSquares func(x []float32) float64
	max        func(x []float32) float32
	sum        func(x []float32) float32
	adamw      func(w, g, m, v []float32, c *adamwConstants)
}

// vectorBlock bounds one call of a vector kernel, since assembly cannot be
// preempted. Reductions add their blocks in order.
const vectorBlock = 1 << 14

// Add computes dst += x.
func Add(dst, x []float32) {
	checkLen("Add", "x", len(x), len(dst))
	for len(dst) > 0 {
		n := min(len(dst), vectorBlock)
		active.vec.add(dst[:n], x[:n])
		dst, x = dst[n:], x[n:]
	}
}

// Axpy computes dst += a*x.
func Axpy(dst []float32, a float32, x []float32) {
	checkLen("Axpy", "x", len(x), len(dst))
	for len(dst) > 0 {
		n := min(len(dst), vectorBlock)
		active.vec.axpy(dst[:n], a, x[:n])
		dst, x = dst[n:], x[n:]
	}
}

// Scale computes dst *= a.
func Scale(dst []float32, a float32) {
	for len(dst) > 0 {
		n := min(len(dst), vectorBlock)
		active.vec.scale(dst[:n], a)
		dst = dst[n:]
	}
}

// Dot returns the inner product of x and y, 0 for empty slices.
func Dot(x, y []float32) float32 {
	checkLen("Dot", "y", len(y), len(x))
	var sum float32
	for len(x) > 0 {
		n := min(len(x), vectorBlock)
		sum += active.vec.dot(x[:n], y[:n])
		x, y = x[n:], y[n:]
	}
	return sum
}

// SumSquares returns the sum of x[i]*x[i], accumulated in float64.
func SumSquares(x []float32) float64 {
	var sum float64
	for len(x) > 0 {
		n := min(len(x), vectorBlock)
		sum += active.vec.sumSquares(x[:n])
		x = x[n:]
	}
	return sum
}

// Max returns the largest element of x, -Inf for an empty slice. The result is
// unspecified if x holds a NaN.
func Max(x []float32) float32 {
	best := float32(math.Inf(-1))
	for len(x) > 0 {
		n := min(len(x), vectorBlock)
		best = max(best, active.vec.max(x[:n]))
		x = x[n:]
	}
	return best
}

// Search returns the smallest i with p[0] + ... + p[i] > u, or -1 if there is
// none: with u uniform in [0,1), a draw from the distribution p. Blocks of 64
// are summed in float32 and the blocks' sums in float64.
func Search(p []float32, u float64) int {
	const block = 64
	var before float64
	for at := 0; at < len(p); at += block {
		part := p[at:min(at+block, len(p))]
		sum := float64(active.vec.sum(part))
		if before+sum <= u {
			before += sum
			continue
		}
		for i, v := range part {
			if before += float64(v); before > u {
				return at + i
			}
		}
	}
	return -1
}

// AdamWStep holds the hyper-parameters of one update.
type AdamWStep struct {
	LR           float32 // learning rate
	Beta1, Beta2 float32 // decay of the first and second moment
	Eps          float32 // added to the root of the second moment
	Decay        float32 // decoupled weight decay, multiplied by LR
	Correction1  float32 // 1 - Beta1^t at step t (from 1)
	Correction2  float32 // 1 - Beta2^t
	GradScale    float32 // factor of the gradient (clipping, averaging); 1 for none
}

// adamwConstants are the scalars of one update.
type adamwConstants = [9]float32

// Indices of adamwConstants, in the order that the assembly expects.
const (
	adamGradScale = iota
	adamBeta1
	adamOneMinusBeta1
	adamBeta2
	adamOneMinusBeta2
	adamRootCorrection // 1/sqrt(Correction2)
	adamEps
	adamStep // LR/Correction1
	adamKeep // 1 - LR*Decay
)

// AdamW updates the weights w and the moments m and v with the gradient g
// (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019):
//
//	m = Beta1 m + (1-Beta1) g;  v = Beta2 v + (1-Beta2) g²
//	w = (1 - LR Decay) w - LR (m/Correction1) / (sqrt(v/Correction2) + Eps)
//
// with g scaled by GradScale first. g is left as it was. Moments too small for
// a normal float32 become zero.
func AdamW(w, g, m, v []float32, h AdamWStep) {
	checkLen("AdamW", "g", len(g), len(w))
	checkLen("AdamW", "m", len(m), len(w))
	checkLen("AdamW", "v", len(v), len(w))
	c := adamwConstants{
		adamGradScale: h.GradScale,
		adamBeta1:     h.Beta1, adamOneMinusBeta1: 1 - h.Beta1,
		adamBeta2: h.Beta2, adamOneMinusBeta2: 1 - h.Beta2,
		adamRootCorrection: float32(1 / math.Sqrt(float64(h.Correction2))),
		adamEps:            h.Eps,
		adamStep:           h.LR / h.Correction1,
		adamKeep:           1 - h.LR*h.Decay,
	}
	for len(w) > 0 {
		n := min(len(w), vectorBlock)
		active.vec.adamw(w[:n], g[:n], m[:n], v[:n], &c)
		w, g, m, v = w[n:], g[n:], m[n:], v[n:]
	}
}

func checkLen(op, name string, got, want int) {
	if got != want {
		panic(fmt.Sprintf("kernel: %s: %s has %d elements, want %d", op, name, got, want))
	}
}
