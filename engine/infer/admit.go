package infer

import "github.com/because-lab/because/engine/kernel"

// verdict is what became of a waiting sequence.
type verdict int

const (
	admitted verdict = iota
	deferred         // what it can share is being computed
	noRoom
)

// admitAhead is how many waiting sequences are looked at in a step. Some of
// the first may be deferred.
const admitAhead = 64

// admit starts waiting sequences in order, except that those which will soon
// find the beginning of their prompt in the tree let others pass.
func (s *scheduler) admit() {
	kept := s.waiting[:0]
	full := false
	for i, q := range s.waiting {
		if full || i >= admitAhead || len(s.running) >= s.o.MaxBatch {
			kept = append(kept, q)
			continue
		}
		switch s.start(q) {
		case admitted:
			s.running = append(s.running, q)
			continue
		case noRoom:
			full = true
		}
		kept = append(kept, q)
	}
	clear(s.waiting[len(kept):])
	s.waiting = kept
}

// start gives a sequence what the tree has of it, if there is room for the rest.
func (s *scheduler) start(q *sequence) verdict {
	var full []*page
	var next *page
	common := 0
	limit := min(q.reuse, len(q.tokens)-1)
	if s.o.MinPrefix > 0 {
		full, next, common = s.tree.match(q.tokens[:limit])
		have := len(full)*kernel.PageTokens + common
		if have < s.o.MinPrefix {
			next = nil
		}
		if s.comesSoon(q.tokens[:limit], have+s.o.MinPrefix) {
			return deferred
		}
	}
	for _, p := range full {
		s.tree.hold(p)
	}
	// Besides what it needs, leave a page for each of those that run already.
	need := roundUp(len(q.tokens), kernel.PageTokens)/kernel.PageTokens - len(full)
	if len(s.running) > 0 && s.tree.available() < need+len(s.running) {
		s.tree.release(full)
		return noRoom
	}
	for _, p := range full {
		q.addPage(p)
		q.computed += kernel.PageTokens
	}
	if next != nil {
		s.share(q, next, common)
	}
	s.note(q)
	return admitted
}

// comesSoon says whether a running sequence will have at least n of the tokens,
// which it is still reading.
func (s *scheduler) comesSoon(tokens []int32, n int) bool {
	for _, r := range s.running {
		if r.pending() > 1 && commonPrefix(tokens, r.tokens) >= n {
			return true
		}
	}
	return false
}

func commonPrefix(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// share copies the first n positions of a page to a page of the sequence's own.
func (s *scheduler) share(q *sequence, from *page, n int) {
	s.tree.hold(from)
	if s.reserve(q, n) {
		p := q.pages[len(q.pages)-1]
		copy(p.data, from.data)
		copy(p.tokens[:n], from.tokens[:n])
		p.filled = n
		q.computed += n
	}
	s.tree.release([]*page{from})
}

// note counts what was shared.
func (s *scheduler) note(q *sequence) {
	if q.cached.CompareAndSwap(-1, int64(q.computed)) {
		s.inbox.mu.Lock()
		s.inbox.stats.Shared += int64(q.computed)
		s.inbox.mu.Unlock()
	}
}
