package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/because-lab/because"
)

// fake is a model whose tokens are bytes, and 256+i for the i-th of some longer pieces. Its answer to a prompt is scripted.
type fake struct {
	info    Info
	script  func(prompt string, o Generation) []string // the pieces of an answer
	reason  because.StopReason
	hold    chan struct{} // if not nil, received from before each token
	fail    error         // after the script
	chatErr error

	mu       sync.Mutex
	pieces   []string
	inputs   []ChatInput
	options  []Generation
	prompts  [][]int32
	running  atomic.Int64
	most     atomic.Int64
	canceled atomic.Int64
}

func newFake(pieces ...string) *fake {
	return &fake{
		info:   Info{ID: "org/fake", OwnedBy: "because", Created: 1700000000, ContextLength: 4096, Fingerprint: "fp_fake"},
		script: func(string, Generation) []string { return pieces }, reason: because.StopEnd,
	}
}

func (f *fake) Info() Info { return f.info }

func (f *fake) Chat(_ context.Context, in ChatInput) (Prompt, error) {
	f.mu.Lock()
	f.inputs = append(f.inputs, in)
	f.mu.Unlock()
	if f.chatErr != nil {
		return Prompt{}, f.chatErr
	}
	var b strings.Builder
	for _, t := range in.Tools {
		fmt.Fprintf(&b, "tool %s %s\n", t.Name, t.Parameters)
	}
	for _, m := range in.Messages {
		fmt.Fprintf(&b, "%s: %s\n", m.Role, m.Content)
	}
	tokens, err := f.Encode(b.String())
	return Prompt{Tokens: tokens, ReasoningOpen: in.Vars["think"] == true}, err
}

func (f *fake) Encode(text string) ([]int32, error) {
	var out []int32
	for _, c := range []byte(text) {
		out = append(out, int32(c))
	}
	return out, nil
}

// id gives the token of a piece.
func (f *fake) id(piece string) int32 {
	if len(piece) == 1 {
		return int32(piece[0])
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, p := range f.pieces {
		if p == piece {
			return int32(256 + i)
		}
	}
	f.pieces = append(f.pieces, piece)
	return int32(255 + len(f.pieces))
}

func (f *fake) Bytes(token int32) []byte {
	if token < 256 {
		return []byte{byte(token)}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return []byte(f.pieces[token-256])
}

func (f *fake) text(tokens []int32) string {
	var b bytes.Buffer
	for _, t := range tokens {
		b.Write(f.Bytes(t))
	}
	return b.String()
}

func (f *fake) token(piece string, o Generation) Token {
	t := Token{ID: f.id(piece)}
	if o.LogProbs {
		t.LogProb = -0.5
		for i := range o.TopLogProbs {
			t.Top = append(t.Top, TopToken{ID: int32('a' + i), LogProb: -1 - float32(i)})
		}
	}
	return t
}

func (f *fake) Generate(ctx context.Context, prompt []int32, o Generation, emit func(Token) error) (because.StopReason, error) {
	f.mu.Lock()
	f.prompts = append(f.prompts, prompt)
	f.options = append(f.options, o)
	f.mu.Unlock()
	n := f.running.Add(1)
	defer f.running.Add(-1)
	for most := f.most.Load(); n > most && !f.most.CompareAndSwap(most, n); most = f.most.Load() {
	}
	for i, piece := range f.script(f.text(prompt), o) {
		if f.hold != nil {
			select {
			case <-f.hold:
			case <-ctx.Done():
				f.canceled.Add(1)
				return "", ctx.Err()
			}
		}
		if i == o.MaxTokens {
			return because.StopLength, nil
		}
		err := emit(f.token(piece, o))
		if errors.Is(err, ErrStop) {
			return because.StopEnd, nil
		}
		if err != nil {
			return "", err
		}
	}
	return f.reason, f.fail
}

func (f *fake) Score(_ context.Context, tokens []int32, top int) ([]Token, error) {
	var out []Token
	for i, id := range tokens {
		t := Token{ID: id}
		if i > 0 {
			t.LogProb = float32(-i)
			for j := range top {
				t.Top = append(t.Top, TopToken{ID: int32('a' + j), LogProb: float32(math.Inf(-1))})
			}
		}
		out = append(out, t)
	}
	return out, nil
}

func (f *fake) Parser(tools, reasoningOpen bool) AnswerParser {
	return &fakeParser{tools: tools, reasoning: reasoningOpen}
}

// fakeParser knows <call>{"name": ..., "arguments": ...}</call>, and </think> as the end of reasoning.
type fakeParser struct {
	tools, reasoning bool
	held             string
}

func (p *fakeParser) Push(text string) (Delta, error) {
	var d Delta
	p.held += text
	for {
		tag := "<call>"
		if p.reasoning {
			tag = "</think>"
		} else if !p.tools {
			tag = ""
		}
		at := strings.Index(p.held, tag)
		if tag == "" || at < 0 {
			keep := 0
			for n := 1; n < len(tag) && n <= len(p.held); n++ {
				if strings.HasSuffix(p.held, tag[:n]) {
					keep = n
				}
			}
			p.add(&d, p.held[:len(p.held)-keep])
			p.held = p.held[len(p.held)-keep:]
			return d, nil
		}
		if p.reasoning {
			p.add(&d, p.held[:at])
			p.held, p.reasoning = p.held[at+len(tag):], false
			continue
		}
		end := strings.Index(p.held, "</call>")
		if end < 0 {
			p.add(&d, p.held[:at])
			p.held = p.held[at:]
			return d, nil
		}
		p.add(&d, p.held[:at])
		var call because.ToolCall
		if err := json.Unmarshal([]byte(p.held[at+len(tag):end]), &call); err != nil {
			return d, err
		}
		d.Calls = append(d.Calls, call)
		p.held = p.held[end+len("</call>"):]
	}
}

func (p *fakeParser) add(d *Delta, text string) {
	if p.reasoning {
		d.Reasoning += text
	} else {
		d.Content += text
	}
}

func (p *fakeParser) End() (Delta, error) {
	var d Delta
	p.add(&d, p.held)
	p.held = ""
	return d, nil
}
