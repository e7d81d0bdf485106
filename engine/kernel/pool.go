package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool is a bounded set of workers for data-parallel loops. A nil *Pool is
// valid and runs everything on the caller. A Pool may be used by several
// goroutines at once, and from inside its own tasks: the caller of Run always
// works itself, and idle workers help.
type Pool struct {
	workers int
	jobs    chan *job
	done    sync.WaitGroup
	closed  sync.Once
	awake   atomic.Int64        // calls of Together that run
	watch   atomic.Int64        // workers that look for jobs in offer meanwhile
	offer   atomic.Pointer[job] // see Together
}

// job is one call of Run: tasks 0..n-1, handed out by a shared counter.
type job struct {
	f       func(int)
	n       int64
	next    atomic.Int64
	helpers sync.WaitGroup
	panic   atomic.Pointer[any]
	active  atomic.Int64 // helpers inside Together
}

// NewPool starts a pool of the given number of workers, counting the caller of
// Run as one of them; less than one means one for each processor that Go may use.
func NewPool(workers int) *Pool {
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	p := &Pool{workers: workers, jobs: make(chan *job)}
	p.done.Add(workers - 1)
	for range workers - 1 {
		go func() {
			defer p.done.Done()
			for j := range p.jobs {
				j.work()
				j.helpers.Done()
			}
		}()
	}
	return p
}

// Workers returns how many tasks can run at the same time: 1 for a nil Pool.
func (p *Pool) Workers() int {
	if p == nil {
		return 1
	}
	return p.workers
}

// Run calls f(0) ... f(n-1), each once, in any order and on any worker, and
// returns when all have ended. A panic in a task is raised again in the caller.
func (p *Pool) Run(n int, f func(task int)) {
	if p == nil || p.workers == 1 || n <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	j := &job{f: f, n: int64(n)}
	if p.awake.Load() > 0 {
		p.share(j)
		return
	}
	p.summon(j, min(n, p.workers)-1)
	j.work()
	j.helpers.Wait()
	if r := j.panic.Load(); r != nil {
		panic(*r)
	}
}

// summon hands the job to at most want idle workers; busy ones are not waited for.
func (p *Pool) summon(j *job, want int) {
	for range want {
		j.helpers.Add(1)
		select {
		case p.jobs <- j:
		default:
			j.helpers.Done()
			return
		}
	}
}

// work runs tasks until none is left. A panic stops the handing out of tasks.
func (j *job) work() {
	defer func() {
		if r := recover(); r != nil {
			j.panic.CompareAndSwap(nil, &r)
			j.next.Store(j.n)
		}
	}()
	for {
		i := j.next.Add(1) - 1
		if i >= j.n {
			return
		}
		j.f(int(i))
	}
}

// Close ends the workers and waits for them. The pool must be idle; Run must
// not be called afterwards. Close may be called more than once.
func (p *Pool) Close() {
	if p == nil {
		return
	}
	p.closed.Do(func() { close(p.jobs) })
	p.done.Wait()
}
