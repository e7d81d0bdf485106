package serve

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	"github.com/because-lab/because"
)

// Reasons for the end of an answer, in the API's words.
const (
	finishStop   = "stop"
	finishLength = "length"
	finishCalls  = "tool_calls"
)

// choice is one answer in the making: tokens go in, what clients may see comes out.
type choice struct {
	server  *Server
	prompt  []int32
	options Generation
	parser  AnswerParser
	oneCall bool
	// put gets each part of the answer. It may block while its client is slow.
	put func(part) error
	// first is called at the first token.
	first func()

	stop     stopper
	text     assembler
	scored   []scored // tokens whose text is still held back
	read     int      // bytes of all tokens so far
	released int      // bytes that no stop string can take back any more
	tokens   int
	calls    int
	done     bool // nothing may follow
}

// part is what some tokens add to an answer.
type part struct {
	Delta
	scores []scored
}

func (p part) empty() bool {
	return p.Content == "" && p.Reasoning == "" && len(p.Calls) == 0 && len(p.scores) == 0
}

// scored is a token with the offset of its bytes in the answer.
type scored struct {
	Token
	at int
}

// generate runs the choice to its end and gives the reason for it.
func (c *choice) generate(ctx context.Context) (finish string, err error) {
	reason := because.StopLength
	if c.options.MaxTokens > 0 {
		reason, err = c.server.backend.Generate(ctx, c.prompt, c.options, c.token)
		if err != nil {
			return "", err
		}
	}
	if !c.done {
		if err := c.flush(); err != nil && !errors.Is(err, ErrStop) {
			return "", err
		}
	}
	switch {
	case c.done:
		reason = because.StopEnd
	case reason != because.StopEnd && reason != because.StopLength:
		return "", fmt.Errorf("unknown stop reason %q", reason)
	}
	if c.calls > 0 && reason == because.StopEnd {
		return finishCalls, nil
	}
	return string(reason), nil
}

// token takes the next token of the answer.
func (c *choice) token(t Token) error {
	if c.tokens++; c.tokens == 1 && c.first != nil {
		c.first()
	}
	c.server.metrics.generated.Add(1)
	if c.options.LogProbs {
		c.scored = append(c.scored, scored{t, c.read})
	}
	bytes := c.server.backend.Bytes(t.ID)
	c.read += len(bytes)
	out, hit := c.stop.push(bytes)
	c.released += len(out)
	d, err := c.parser.Push(c.text.push(out))
	if err != nil {
		return err
	}
	if !hit {
		return c.give(d)
	}
	rest, err := c.rest(nil)
	if err != nil {
		return err
	}
	return c.finish(join(d, rest))
}

// flush ends an answer that no stop string has ended.
func (c *choice) flush() error {
	d, err := c.rest(c.stop.end())
	if err != nil {
		return err
	}
	c.released = c.read + 1 // tokens without text too
	return c.give(d)
}

// rest gives everything that was held back, after some last bytes.
func (c *choice) rest(last []byte) (Delta, error) {
	text := c.text.push(last)
	d, err := c.parser.Push(text + c.text.end())
	if err != nil {
		return d, err
	}
	end, err := c.parser.End()
	return join(d, end), err
}

// finish gives the last part and ends the generation.
func (c *choice) finish(d Delta) error {
	c.done = true
	if err := c.give(d); err != nil && !errors.Is(err, ErrStop) {
		return err
	}
	return ErrStop
}

// give passes on what a delta adds, together with the scores of the tokens behind it.
func (c *choice) give(d Delta) error {
	if c.oneCall && c.calls+len(d.Calls) > 1 {
		d.Calls = d.Calls[:max(0, 1-c.calls)]
	}
	for i := range d.Calls {
		if d.Calls[i].ID == "" {
			d.Calls[i].ID = c.callID(c.calls + i)
		}
	}
	c.calls += len(d.Calls)
	p := part{Delta: d, scores: c.scores()}
	if !p.empty() {
		if err := c.put(p); err != nil {
			return err
		}
	}
	if c.oneCall && c.calls > 0 {
		c.done = true
		return ErrStop
	}
	return nil
}

// scores takes the tokens that begin in released text.
func (c *choice) scores() []scored {
	n := 0
	for n < len(c.scored) && c.scored[n].at < c.released {
		n++
	}
	out := c.scored[:n:n]
	c.scored = c.scored[n:]
	return out
}

// callID names a tool call: nine letters and digits, the form that the strictest templates want. It follows from prompt, seed
// and place, so that a conversation that goes on with the call is the same each time.
func (c *choice) callID(i int) string {
	h := sha256.New()
	for _, v := range []any{c.prompt, c.options.Seed, int64(i)} {
		// Writing to a hash cannot fail.
		_ = binary.Write(h, binary.LittleEndian, v)
	}
	id := new(big.Int).SetBytes(h.Sum(nil)).Text(62)
	return ("000000000" + id)[len(id):]
}

// join appends what b adds to a.
func join(a, b Delta) Delta {
	return Delta{Content: a.Content + b.Content, Reasoning: a.Reasoning + b.Reasoning, Calls: append(a.Calls, b.Calls...)}
}
