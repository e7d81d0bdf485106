package kernel

import (
	"fmt"
	"slices"
	"testing"
)

// BenchmarkGemm covers the shapes of training and decoding small decoders:
// m is tokens (or output rows for TN, whose k is tokens).
func BenchmarkGemm(b *testing.B) {
	shapes := []struct {
		op      string
		m, n, k int
	}{
		{"NN", 24, 32, 256}, // in the first-level cache: the ceiling
		{"NT", 2000, 192, 64}, {"NT", 2000, 64, 64}, {"NT", 2000, 256, 64}, {"NT", 2000, 64, 128}, {"NT", 2000, 600, 64},
		{"NN", 2000, 64, 192}, {"NN", 2000, 64, 256}, {"NN", 2000, 128, 64}, {"NN", 2000, 64, 600},
		{"TN", 192, 64, 2000}, {"TN", 64, 64, 2000}, {"TN", 256, 64, 2000}, {"TN", 64, 128, 2000}, {"TN", 600, 64, 2000},
		{"NT", 8192, 384, 128}, {"NT", 8192, 688, 128}, {"NT", 8192, 128, 344}, {"NT", 8192, 1024, 128},
		{"NN", 8192, 128, 688}, {"NN", 8192, 344, 128}, {"NN", 8192, 128, 1024},
		{"TN", 688, 128, 8192}, {"TN", 128, 344, 8192}, {"TN", 1024, 128, 8192},
		{"NT", 128, 192, 64}, {"NT", 64, 600, 64}, {"NT", 8, 192, 64}, {"NT", 1, 192, 64}, {"NN", 1, 192, 64},
	}
	eachBench(b, func(b *testing.B) {
		for _, s := range shapes {
			b.Run(fmt.Sprintf("%s/m%d_n%d_k%d", s.op, s.m, s.n, s.k), func(b *testing.B) {
				r := source(1)
				x, y, c := filled(r, s.m*s.k), filled(r, s.n*s.k), make([]float32, s.m*s.n)
				call := func() { GemmNN(nil, s.m, s.n, s.k, x, s.k, y, s.n, c, s.n, false) }
				switch s.op {
				case "NT":
					call = func() { GemmNT(nil, s.m, s.n, s.k, x, s.k, y, s.k, c, s.n, false) }
				case "TN":
					call = func() { GemmTN(nil, s.m, s.n, s.k, x, s.m, y, s.n, c, s.n, true) }
				}
				for b.Loop() {
					call()
				}
				gflops(b, 2*s.m*s.n*s.k)
			})
		}
	})
}

// BenchmarkPool compares a training step's products on one and two workers.
func BenchmarkPool(b *testing.B) {
	for _, workers := range []int{1, 2} {
		p := NewPool(workers)
		b.Run(fmt.Sprintf("empty/%d", workers), func(b *testing.B) {
			for b.Loop() {
				p.Run(workers, func(int) {})
			}
		})
		const m, n, k = 4000, 192, 64
		r := source(1)
		x, y, c, d := filled(r, m*k), filled(r, n*k), make([]float32, m*n), make([]float32, n*k)
		b.Run(fmt.Sprintf("NT/%d", workers), func(b *testing.B) {
			for b.Loop() {
				GemmNT(p, m, n, k, x, k, y, k, c, n, false)
			}
			gflops(b, 2*m*n*k)
		})
		b.Run(fmt.Sprintf("TN/%d", workers), func(b *testing.B) {
			for b.Loop() {
				GemmTN(p, n, k, m, c, n, x, k, d, k, false)
			}
			gflops(b, 2*m*n*k)
		})
		p.Close()
	}
}

// BenchmarkAttention measures the products of one head of one document inside
// a fused QKV buffer of the given width.
func BenchmarkAttention(b *testing.B) {
	eachBench(b, func(b *testing.B) {
		for _, s := range []struct{ t, hd, width int }{{20, 16, 192}, {60, 16, 192}, {60, 32, 384}, {256, 32, 384}} {
			r := source(1)
			qkv, p, o := filled(r, s.t*s.width), filled(r, s.t*s.t), make([]float32, s.t*s.width)
			k, v := qkv[s.width/3:], qkv[2*s.width/3:]
			for _, f := range []struct {
				name string
				call func()
			}{
				{"QKt", func() { GemmNT(nil, s.t, s.t, s.hd, qkv, s.width, k, s.width, p, s.t, false) }},
				{"PV", func() { GemmNN(nil, s.t, s.hd, s.t, p, s.t, v, s.width, o, s.width, false) }},
				{"PtdO", func() { GemmTN(nil, s.t, s.hd, s.t, p, s.t, v, s.width, o, s.width, false) }},
				{"CausalQKt", func() { GemmNTCausal(s.t, s.t, s.hd, 1, qkv, s.width, k, s.width, p, s.t) }},
				{"CausalPV", func() { GemmNNCausal(s.t, s.hd, s.t, 1, p, s.t, v, s.width, o, s.width, false) }},
				{"CausalPtdO", func() { GemmTNCausal(s.t, s.hd, s.t, 1, p, s.t, v, s.width, o, s.width, false) }},
			} {
				b.Run(fmt.Sprintf("%s/t%d_hd%d", f.name, s.t, s.hd), func(b *testing.B) {
					for b.Loop() {
						f.call()
					}
					gflops(b, 2*s.t*s.t*s.hd)
				})
			}
		}
	})
}

// BenchmarkDecode measures the attention of one token and one head.
func BenchmarkDecode(b *testing.B) {
	eachBench(b, func(b *testing.B) {
		for _, s := range []struct{ n, size int }{{20, 16}, {60, 16}, {100, 16}, {100, 32}, {256, 32}} {
			r := source(1)
			q, keys, values, out := filled(r, s.size), filled(r, 256*s.size), filled(r, 256*s.size), make([]float32, s.size)
			scores := make([]float32, 256)
			b.Run(fmt.Sprintf("Attend/n%d_hd%d", s.n, s.size), func(b *testing.B) {
				for b.Loop() {
					Attend(out, q, keys, 256, values, s.size, 1, s.size, s.n, 0.25, scores)
				}
				gflops(b, 4*s.n*s.size)
			})
		}
	})
}

func gflops(b *testing.B, flop int) {
	b.ReportMetric(float64(flop)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
}

// BenchmarkRows reports elements per nanosecond of the row functions on data
// that fits the second-level cache.
func BenchmarkRows(b *testing.B) {
	const rows = 512
	eachBench(b, func(b *testing.B) {
		for _, width := range []int{64, 128, 600} {
			r := source(1)
			x, y, z, w, dw := filled(r, rows*width), filled(r, rows*width), filled(r, rows*width), filled(r, width), filled(r, width)
			gu, dgu := filled(r, 2*rows*width), make([]float32, 2*rows*width)
			m, v := make([]float32, rows*width), make([]float32, rows*width)
			inv, lp, weights, targets, pos := make([]float32, rows), make([]float32, rows), filled(r, rows), make([]int32, rows), make([]int32, rows)
			cos, sin := slices.Repeat([]float32{0.6}, 8), slices.Repeat([]float32{0.8}, 8)
			for _, f := range []struct {
				name string
				call func()
			}{
				{"Add", func() { Add(y, x) }},
				{"RMSNorm", func() { RMSNormRows(y, x, w, 1e-5, inv, width) }},
				{"RMSNormBackward", func() { RMSNormBackwardRows(y, dw, z, x, w, inv, width) }},
				{"SwiGLU", func() { SwiGLURows(y, gu, rows, width) }},
				{"SwiGLUBackward", func() { SwiGLUBackwardRows(dgu, z, gu, rows, width) }},
				{"Softmax", func() { SoftmaxRows(y, width, rows, width, 1) }},
				{"CausalSoftmax", func() { CausalSoftmaxRows(y, width, width, width, 1, 1) }},
				{"CausalSoftmaxBackward", func() { CausalSoftmaxBackwardRows(y, x, width, width, width, 1, 1) }},
				{"CrossEntropy", func() { CrossEntropyRows(y, x, width, width, targets, weights, lp) }},
				{"RoPE16", func() { RoPERows(y, width, width/16, cos, sin, 8, pos) }},
				{"AdamW", func() {
					AdamW(z, x, m, v, AdamWStep{LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Correction1: 1, Correction2: 1, GradScale: 1})
				}},
				{"SumSquares", func() { SumSquares(x) }},
			} {
				if width == 600 && (f.name == "CausalSoftmax" || f.name == "CausalSoftmaxBackward") {
					continue
				}
				b.Run(fmt.Sprintf("%s/%d", f.name, width), func(b *testing.B) {
					for b.Loop() {
						f.call()
					}
					n := rows * width
					if f.name[0] == 'C' && f.name[1] == 'a' {
						n = width * width
					}
					b.ReportMetric(float64(n)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "elem/ns")
				})
			}
		}
	})
}

func eachBench(b *testing.B, f func(b *testing.B)) {
	before := Name()
	defer mustUse(b, before)
	for _, name := range Available() {
		mustUse(b, name)
		b.Run(name, f)
	}
}
