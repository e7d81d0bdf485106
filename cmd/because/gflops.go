package main

import (
	"time"

	"github.com/because-lab/because/engine/kernel"
)

// measureTime is how long one measurement runs.
const measureTime = 100 * time.Millisecond

// gflops measures matrix products of a size that stays in the cache, in 1e9 floating-point operations per second, on a
// number of cores. It tells kernels apart; a run's own speed depends on much else.
func gflops(cores int) float64 {
	const size = 256
	matrix := func() []float32 {
		m := make([]float32, size*size)
		for i := range m {
			m[i] = float32(i%7) - 3
		}
		return m
	}
	a, b, c := matrix(), matrix(), matrix()
	var pool *kernel.Pool
	if cores > 1 {
		pool = kernel.NewPool(cores)
		defer pool.Close()
	}
	product := func() { kernel.GemmNN(pool, size, size, size, a, size, b, size, c, size, false) }
	product() // warms the caches
	var operations float64
	began := time.Now()
	for time.Since(began) < measureTime {
		product()
		operations += 2 * size * size * size
	}
	return operations / time.Since(began).Seconds() / 1e9
}
