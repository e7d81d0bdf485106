package infer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/because-lab/because/engine/kernel"
)

// outlook judges the logits before a token: its log-probability and the likeliest tokens.
func outlook(id int32, logits []float32, top int, s *sampler) Token {
	t := Token{ID: id, LogProb: kernel.CrossEntropy(nil, logits, int(id), 0)}
	if top > 0 {
		t.Top = s.top(logits, top, float64(logits[id])-float64(t.LogProb))
	}
	return t
}

// checkLogits reports logits that are no numbers.
func checkLogits(pos int, logits []float32) error {
	if finite(logits) {
		return nil
	}
	return fmt.Errorf("infer: logits after position %d are not finite: the weights are damaged or do not fit the config", pos)
}

// generation draws the answer to a request.
type generation struct {
	sampling sampling
	rand     *rand.Rand
	stop     []int32
	last     int  // tokens in all at which it ends
	logProbs bool // judge drawn tokens
	top      int
	drawn    Token // by take, for next
	length   int   // tokens in all
	box      *mailbox
}

func (g *generation) wants(pos int) bool { return pos == g.length-1 }

func (g *generation) take(pos int, logits []float32, s *sampler) error {
	if err := checkLogits(pos, logits); err != nil {
		return err
	}
	if !g.logProbs {
		g.drawn = Token{ID: s.draw(logits, g.sampling, g.rand)}
		return nil
	}
	if g.sampling.temperature == 0 {
		g.drawn = outlook(argmax(logits), logits, g.top, s)
		return nil
	}
	buf := grow(s.probs, len(logits)) // draw overwrites what outlook needs
	s.probs = buf
	copy(buf, logits)
	g.drawn = outlook(s.draw(buf, g.sampling, g.rand), logits, g.top, s)
	return nil
}

func (g *generation) next() (token int32, drawn, more bool) {
	t := g.drawn
	if slices.Contains(g.stop, t.ID) {
		g.box.stop(t.ID)
		return 0, true, false
	}
	g.length++
	g.box.put(t)
	return t.ID, true, g.length < g.last
}

func (g *generation) finish(err error) { g.box.close(err) }

// mailbox hands tokens from the scheduler to a caller without ever waiting for it.
type mailbox struct {
	mu      sync.Mutex
	tokens  []Token
	reason  StopReason
	stopped int32 // the stop token
	closed  bool
	err     error
	ready   chan struct{} // holds one signal while there is something new
}

func newMailbox() *mailbox {
	return &mailbox{reason: StopLength, ready: make(chan struct{}, 1)}
}

func (b *mailbox) update(change func()) {
	b.mu.Lock()
	change()
	b.mu.Unlock()
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

func (b *mailbox) put(t Token)     { b.update(func() { b.tokens = append(b.tokens, t) }) }
func (b *mailbox) stop(id int32)   { b.update(func() { b.reason, b.stopped = StopToken, id }) }
func (b *mailbox) close(err error) { b.update(func() { b.closed, b.err = true, err }) }

// collect gives what came since the last call, and whether that was all.
func (b *mailbox) collect() (tokens []Token, closed bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	tokens, b.tokens = b.tokens, nil
	return tokens, b.closed, b.err
}

// scoring judges given tokens from position from on.
type scoring struct {
	from, top int
	out       []Token // of tokens from, from+1, ...
	done      chan<- error
}

func (g *scoring) wants(pos int) bool { return pos >= g.from-1 }

func (g *scoring) take(pos int, logits []float32, s *sampler) error {
	if err := checkLogits(pos, logits); err != nil {
		return err
	}
	i := pos + 1 - g.from
	g.out[i] = outlook(g.out[i].ID, logits, g.top, s)
	return nil
}

func (g *scoring) next() (int32, bool, bool) { return 0, false, false }
func (g *scoring) finish(err error)          { g.done <- err }

// reading copies the logits of all positions.
type reading struct {
	out  []float32 // positions,V
	done chan<- error
}

func (g *reading) wants(int) bool { return true }

func (g *reading) take(pos int, logits []float32, _ *sampler) error {
	copy(g.out[pos*len(logits):], logits)
	return nil
}

func (g *reading) next() (int32, bool, bool) { return 0, false, false }
func (g *reading) finish(err error)          { g.done <- err }
