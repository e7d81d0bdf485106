package kernel

import (
	"runtime"
	"time"
)

// Together calls f with the workers kept awake: until it returns they look for
// tasks without going to sleep, so that a Run inside f costs a fraction of a
// microsecond and not the tens that waking a thread takes. It is for a sequence
// of many short Runs, such as the products of one token. Nobody waits for a
// worker that the system does not let run; results are those of plain Runs.
func (p *Pool) Together(f func()) {
	if p.Workers() == 1 {
		f()
		return
	}
	p.awake.Add(1)
	defer p.awake.Add(-1)
	f()
}

// Looking for work: after yieldAfter looks let another goroutine run, after
// sleepAfter go to sleep for a moment each time, for on a busy machine the
// thread that is waited for may be waiting for this processor.
const (
	yieldAfter = 1 << 7
	sleepAfter = 1 << 16
	sleepFor   = 20 * time.Microsecond
)

// pause waits a little; n counts the calls in a row.
func pause(n int) {
	switch {
	case n > sleepAfter:
		time.Sleep(sleepFor)
	case n%yieldAfter == yieldAfter-1:
		runtime.Gosched()
	}
}

// lookOut helps with what is offered until no Together runs.
func (p *Pool) lookOut(int) {
	defer p.watch.Add(-1)
	var last *job
	for idle := 0; p.awake.Load() > 0; idle++ {
		j := p.offer.Load()
		if j == nil || j == last {
			pause(idle)
			continue
		}
		// Helpers count themselves before they take a task: when no task is
		// left and the count is zero, all have been done.
		j.active.Add(1)
		j.work()
		j.active.Add(-1)
		last, idle = j, 0
	}
}

// rouse makes workers look out that sleep.
func (p *Pool) rouse() {
	for range int64(p.workers-1) - p.watch.Load() {
		j := &job{f: p.lookOut, n: 1}
		j.helpers.Add(1)
		p.watch.Add(1)
		select {
		case p.jobs <- j:
		default:
			p.watch.Add(-1)
			return
		}
	}
}

// share runs a job with the help of those who look out. If they are busy with
// another goroutine's, the caller does all of it.
func (p *Pool) share(j *job) {
	p.rouse()
	offered := p.offer.CompareAndSwap(nil, j)
	j.work()
	if offered {
		p.offer.Store(nil)
		for n := 0; j.active.Load() > 0; n++ {
			pause(n)
		}
	}
	if r := j.panic.Load(); r != nil {
		panic(*r)
	}
}
