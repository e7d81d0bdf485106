package infer

import (
	"slices"
	"sync"

	"github.com/because-lab/because/engine/kernel"
)

// scheduler decides what each step computes. Its loop is the only goroutine
// that touches anything but the fields of the inbox.
type scheduler struct {
	o       Options
	net     *network
	tree    *pageTree
	waiting []*sequence // in order of arrival, preempted ones first
	running []*sequence // in order of admission
	spans   []span      // of the step
	head    head

	inbox inbox
	ended chan struct{} // closed when the loop has ended
}

// inbox is what callers and the loop share.
type inbox struct {
	mu     sync.Mutex
	wake   sync.Cond // something came, was cancelled, or closed is set
	came   []*sequence
	queued int // sequences that wait
	closed bool
	stats  Stats
}

func newScheduler(m *model, o Options, pool *kernel.Pool) *scheduler {
	s := &scheduler{o: o, net: newNetwork(m, pool), tree: newPageTree(m.c, o.KVTokens/kernel.PageTokens), ended: make(chan struct{})}
	s.head = head{m: m, pool: pool}
	s.inbox.wake.L = &s.inbox.mu
	return s
}

// submit adds sequences to the queue. With bounded set it refuses them if the queue is full.
func (s *scheduler) submit(bounded bool, seqs ...*sequence) error {
	b := &s.inbox
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	if bounded && b.queued >= s.o.MaxQueue {
		return ErrBusy
	}
	b.queued += len(seqs)
	b.came = append(b.came, seqs...)
	b.wake.Signal()
	return nil
}

// cancel lets go of sequences before they have ended.
func (s *scheduler) cancel(seqs ...*sequence) {
	for _, q := range seqs {
		q.cancelled.Store(true)
	}
	s.inbox.mu.Lock()
	s.inbox.wake.Signal()
	s.inbox.mu.Unlock()
}

// close makes the loop end after its step, and waits for that.
func (s *scheduler) close() {
	s.inbox.mu.Lock()
	s.inbox.closed = true
	s.inbox.wake.Signal()
	s.inbox.mu.Unlock()
	<-s.ended
}

// loop runs steps until the scheduler is closed.
func (s *scheduler) loop() {
	defer close(s.ended)
	for s.collect() {
		s.dropCancelled()
		s.admit()
		if len(s.running) > 0 {
			s.publish()
			s.step()
		}
		s.publish()
	}
	for _, q := range s.running {
		q.job.finish(ErrClosed)
	}
	for _, q := range s.waiting {
		q.job.finish(ErrClosed)
	}
}

// collect waits until there is something to do; false means that the scheduler was closed.
func (s *scheduler) collect() bool {
	b := &s.inbox
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.came)+len(s.waiting)+len(s.running) == 0 && !b.closed {
		b.wake.Wait()
	}
	s.waiting = append(s.waiting, b.came...)
	b.came = nil
	return !b.closed
}

// publish updates what Stats tells.
func (s *scheduler) publish() {
	b := &s.inbox
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queued = len(s.waiting) + len(b.came)
	b.stats.Running, b.stats.Waiting = len(s.running), b.queued
	b.stats.KVTokens = s.o.KVTokens
	b.stats.KVInUse = (len(s.tree.pages) - s.tree.idle) * kernel.PageTokens
	b.stats.KVKept = s.tree.idle * kernel.PageTokens
}

// dropCancelled ends the sequences whose callers have gone.
func (s *scheduler) dropCancelled() {
	s.running = s.keep(s.running)
	s.waiting = s.keep(s.waiting)
}

func (s *scheduler) keep(list []*sequence) []*sequence {
	kept := list[:0]
	for _, q := range list {
		if q.cancelled.Load() {
			s.end(q, ErrStop)
			continue
		}
		kept = append(kept, q)
	}
	clear(list[len(kept):])
	return kept
}

// end lets go of a sequence that is in no list any more.
func (s *scheduler) end(q *sequence, err error) {
	s.tree.release(q.pages)
	q.pages, q.kv, q.ended = nil, nil, true
	q.job.finish(err)
}

// step computes one token of every sequence that decodes and a chunk of the others.
func (s *scheduler) step() {
	s.plan()
	s.net.pool.Together(func() {
		s.net.run(s.spans)
		s.head.run(s.net, s.spans)
	})
	drawn, read := 0, 0
	for i := range s.spans {
		sp := &s.spans[i]
		read += sp.n
		drawn += s.settle(sp)
	}
	s.running = slices.DeleteFunc(s.running, func(q *sequence) bool { return q.ended })
	b := &s.inbox
	b.mu.Lock()
	b.stats.Steps++
	b.stats.Computed += int64(read)
	b.stats.Drawn += int64(drawn)
	b.mu.Unlock()
}

// settle takes the result of a step to its sequence and returns how many tokens were drawn.
func (s *scheduler) settle(sp *span) int {
	q := sp.s
	q.advance(sp.n)
	if sp.err != nil {
		s.end(q, sp.err)
		return 0
	}
	if q.pending() > 0 {
		return 0
	}
	token, drawn, more := q.job.next()
	if more {
		q.tokens = append(q.tokens, token)
	} else {
		s.end(q, nil)
	}
	if drawn {
		return 1
	}
	return 0
}

// plan chooses the tokens of the step, in order of admission. If the memory for
// keys and values runs out, the youngest sequence gives up its pages and is
// computed anew later. The oldest always goes on: what it needs was checked.
func (s *scheduler) plan() {
	s.spans = s.spans[:0]
	budget := s.o.Chunk
	if slices.ContainsFunc(s.running, func(q *sequence) bool { return q.pending() == 1 }) {
		budget = max(1, budget/4)
	}
	rows := 0
	for i := 0; i < len(s.running); i++ {
		q := s.running[i]
		n := 1
		if q.pending() > 1 {
			n = min(q.pending(), budget)
			budget -= n
		}
		for n > 0 && !s.reserve(q, n) {
			last := len(s.running) - 1
			victim := s.running[last]
			s.running = s.running[:last]
			s.preempt(victim)
			if victim == q {
				return
			}
		}
		if n > 0 {
			s.spans = append(s.spans, span{s: q, lo: rows, n: n, pos: q.computed})
			rows += n
		}
	}
}

// reserve makes room for n more positions of a sequence.
func (s *scheduler) reserve(q *sequence, n int) bool {
	for len(q.pages)*kernel.PageTokens < q.computed+n {
		var above *page
		if len(q.pages) > 0 {
			above = q.pages[len(q.pages)-1]
		}
		p := s.tree.alloc(above)
		if p == nil {
			return false
		}
		q.addPage(p)
	}
	return true
}

// preempt sends a sequence back to the head of the queue.
func (s *scheduler) preempt(q *sequence) {
	s.tree.release(q.pages)
	q.pages, q.kv, q.computed = nil, nil, 0
	s.waiting = slices.Insert(s.waiting, 0, q)
	s.inbox.mu.Lock()
	s.inbox.stats.Preempted++
	s.inbox.mu.Unlock()
}
