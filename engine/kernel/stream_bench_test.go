package kernel

import (
	"fmt"
	"testing"
)

// BenchmarkStream reads the weights of a small decoder of 30 layers once, as a
// step of a single sequence does, and for comparison sums as much memory: the
// rate at which it can be read.
func BenchmarkStream(b *testing.B) {
	shapes := [][2]int{{960, 576}, {576, 576}, {3072, 576}, {576, 1536}}
	const layers = 30
	bytes := 0
	var weights []*PackedBF16
	for range layers {
		for _, s := range shapes {
			w := NewPackedBF16(s[0], s[1])
			for i := range w.data {
				w.data[i] = 0x3c00 // memory that was never written takes no room
			}
			weights = append(weights, w)
			bytes += 2 * s[0] * s[1]
		}
	}
	plain := filled(source(1), bytes/4)
	x, c := filled(source(1), 3072), make([]float32, 3072)
	rate := func(b *testing.B) {
		b.ReportMetric(float64(bytes)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GB/s")
	}
	for _, workers := range []int{1, 2} {
		pool := NewPool(workers)
		b.Run(fmt.Sprintf("products/workers=%d", workers), func(b *testing.B) {
			for b.Loop() {
				for _, w := range weights {
					GemmBF16(pool, 1, x, w.k, w, c, w.n, false)
				}
			}
			rate(b)
		})
		b.Run(fmt.Sprintf("together/workers=%d", workers), func(b *testing.B) {
			for b.Loop() {
				pool.Together(func() {
					for _, w := range weights {
						GemmBF16(pool, 1, x, w.k, w, c, w.n, false)
					}
				})
			}
			rate(b)
		})
		b.Run(fmt.Sprintf("sum/workers=%d", workers), func(b *testing.B) {
			const part = 1 << 14
			for b.Loop() {
				pool.Run(len(plain)/part, func(i int) { active.vec.sum(plain[i*part : (i+1)*part]) })
			}
			rate(b)
		})
		pool.Close()
	}
}
