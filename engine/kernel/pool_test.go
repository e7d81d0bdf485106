package kernel

import (
	"sync/atomic"
	"testing"
)

func TestPoolRunsEachTaskOnce(t *testing.T) {
	for _, workers := range []int{1, 2, 8} {
		p := NewPool(workers)
		for _, n := range []int{0, 1, 2, 7, 1000} {
			counts := make([]atomic.Int32, n)
			p.Run(n, func(i int) { counts[i].Add(1) })
			for i := range counts {
				if c := counts[i].Load(); c != 1 {
					t.Errorf("%d workers: task %d of %d ran %d times", workers, i, n, c)
				}
			}
		}
		p.Close()
		p.Close()
	}
}

func TestPoolBoundsConcurrency(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	var now, peak atomic.Int32
	p.Run(500, func(int) {
		c := now.Add(1)
		for old := peak.Load(); c > old && !peak.CompareAndSwap(old, c); old = peak.Load() {
		}
		now.Add(-1)
	})
	if peak.Load() > 3 {
		t.Errorf("%d tasks ran at once in a pool of 3", peak.Load())
	}
}

func TestPoolNests(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	var sum atomic.Int32
	p.Run(8, func(int) { p.Run(8, func(int) { sum.Add(1) }) })
	if sum.Load() != 64 {
		t.Errorf("ran %d inner tasks, want 64", sum.Load())
	}
}

func TestPoolRaisesPanicInCaller(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	defer func() {
		if r := recover(); r != "task 3" {
			t.Errorf("recovered %v, want task 3", r)
		}
		p.Run(4, func(int) {}) // the pool goes on working
	}()
	p.Run(10, func(i int) {
		if i == 3 {
			panic("task 3")
		}
	})
}

func TestNilPool(t *testing.T) {
	var p *Pool
	order := []int{}
	p.Run(3, func(i int) { order = append(order, i) })
	if p.Workers() != 1 || len(order) != 3 || order[2] != 2 {
		t.Errorf("nil pool: %d workers, order %v", p.Workers(), order)
	}
	p.Close()
}
