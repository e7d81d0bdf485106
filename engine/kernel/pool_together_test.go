package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPoolTogether(t *testing.T) {
	for _, workers := range []int{1, 2, 5} {
		p := NewPool(workers)
		for range 20 {
			p.Together(func() {
				for n := range 30 {
					var counts [30]atomic.Int64
					p.Run(n, func(i int) {
						counts[i].Add(1)
						p.Run(3, func(int) { counts[i].Add(1) }) // nested ones do not get in each other's way
					})
					for i := range n {
						if c := counts[i].Load(); c != 4 {
							t.Fatalf("%d workers, %d tasks: task %d ran %d times", workers, n, i, c-3)
						}
					}
				}
			})
			p.Run(5, func(int) {}) // usable as before
		}
		p.Close()
	}
}

// TestPoolTogetherHelps runs pairs of tasks until the two of one pair meet,
// which takes two workers. Help is not promised to any single pair.
func TestPoolTogetherHelps(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	p.Together(func() {
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
			var here, met atomic.Int64
			p.Run(2, func(int) {
				here.Add(1)
				for until := time.Now().Add(time.Millisecond); time.Now().Before(until); runtime.Gosched() {
					if here.Load() == 2 {
						met.Add(1)
						return
					}
				}
			})
			if met.Load() == 2 {
				return
			}
		}
		t.Error("two workers never worked at the same time")
	})
}

func TestPoolTogetherWithOthers(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	var wg sync.WaitGroup
	var total atomic.Int64
	p.Together(func() {
		for range 4 {
			wg.Go(func() {
				for range 100 {
					p.Run(7, func(int) { total.Add(1) })
				}
			})
		}
		wg.Wait()
	})
	if n := total.Load(); n != 4*100*7 {
		t.Errorf("%d tasks ran, want %d", n, 4*100*7)
	}
}

func TestPoolTogetherPanics(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	for range 20 {
		func() {
			defer func() {
				if r := recover(); r != "task" {
					t.Errorf("recovered %v, want the task's panic", r)
				}
			}()
			p.Together(func() {
				p.Run(50, func(i int) {
					if i == 25 {
						panic("task")
					}
					time.Sleep(time.Microsecond)
				})
			})
		}()
	}
}
