package infer

import (
	"sync/atomic"
)

// A sequence is the tokens of one request on their way through the network. The
// scheduler owns it but for cancelled and what its job hands to the caller.
type sequence struct {
	job       job
	tokens    []int32 // given ones, then drawn ones
	reuse     int     // most positions that may come from shared pages
	cancelled atomic.Bool
	cached    atomic.Int64 // positions that came from shared pages when it was admitted first, -1 before

	computed int // positions whose keys and values are in the pages
	ended    bool
	pages    []*page     // of positions 0..len(pages)*PageTokens
	kv       [][]float32 // their memory
}

// pending is how many tokens are known but not computed.
func (s *sequence) pending() int { return len(s.tokens) - s.computed }

// addPage appends a page.
func (s *sequence) addPage(p *page) {
	s.pages, s.kv = append(s.pages, p), append(s.kv, p.data)
}

// advance notes that n more positions were computed.
func (s *sequence) advance(n int) {
	for range n {
		p := s.pages[s.computed/len(page{}.tokens)]
		p.tokens[p.filled] = s.tokens[s.computed]
		p.filled++
		s.computed++
	}
}

// A job is what a sequence is for.
type job interface {
	// wants says whether it needs the logits that follow a position.
	wants(pos int) bool
	// take uses them. It may overwrite logits. Calls for several positions may run at once.
	take(pos int, logits []float32, s *sampler) error
	// next is called by the scheduler when all tokens are computed. It says
	// whether a token was drawn and whether the sequence goes on with it.
	next() (token int32, drawn, more bool)
	// finish is called once, when the sequence has ended: err is nil if it ended well.
	finish(err error)
}
