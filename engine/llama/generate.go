package llama

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/because-lab/because/engine/kernel"
)

// SampleOptions says how completions are drawn.
type SampleOptions struct {
	MaxNew      int          // most tokens per completion
	Temperature float64      // 0 takes the likeliest token
	TopP        float64      // nucleus; 0 and 1 mean all tokens
	Stop        []int32      // tokens that end a completion
	Seed        uint64       // sample i draws from the stream of (Seed, First+i)
	First       int          // number of the first sample, for calls that continue one another
	Batch       int          // most sequences decoded together; 0 means 64. Results do not depend on it
	Pool        *kernel.Pool // workers; results do not depend on it
}

// StopReason says why a completion ended.
type StopReason string

// The reasons.
const (
	StopToken  StopReason = "stop"   // a stop token was drawn
	StopLength StopReason = "length" // MaxNew or the model's MaxPositions was reached
)

// Completion is one sampled continuation.
type Completion struct {
	Tokens   []int32    // without the stop token
	LogProbs []float32  // per token, at temperature 1, then that of the stop token if one was drawn
	Stop     StopReason // why it ended
}

// Generate samples one completion of each prompt. Identical consecutive
// prompts are read once. It checks ctx before every token.
func (m *Model) Generate(ctx context.Context, prompts [][]int32, o SampleOptions) ([]Completion, error) {
	if err := m.checkSampling(prompts, &o); err != nil {
		return nil, err
	}
	out := make([]Completion, len(prompts))
	if len(prompts) == 0 {
		return out, nil
	}
	d := newDecoder(m, prompts, out, o)
	for d.next < len(prompts) || len(d.rows) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("llama: generate: stopped after %d of %d prompts were read: %w", d.next, len(prompts), err)
		}
		if d.wantsPrompts() {
			d.prefill()
		} else {
			d.step()
		}
	}
	return out, nil
}

func (m *Model) checkSampling(prompts [][]int32, o *SampleOptions) error {
	if o.Batch == 0 {
		o.Batch = 64
	}
	switch {
	case o.MaxNew < 1:
		return fmt.Errorf("llama: generate: MaxNew is %d, want at least 1", o.MaxNew)
	case !(o.Temperature >= 0) || math.IsInf(o.Temperature, 0):
		return fmt.Errorf("llama: generate: temperature is %v, want 0 or a positive number", o.Temperature)
	case !(o.TopP >= 0 && o.TopP <= 1):
		return fmt.Errorf("llama: generate: top-p is %v, want a number in [0, 1]", o.TopP)
	case o.Batch < 1:
		return fmt.Errorf("llama: generate: batch is %d, want at least 1", o.Batch)
	}
	for i, p := range prompts {
		if err := m.checkPrompt(i, p); err != nil {
			return err
		}
	}
	return nil
}

func (m *Model) checkPrompt(i int, p []int32) error {
	if len(p) == 0 {
		return fmt.Errorf("llama: prompt %d is empty; a completion needs at least one token before it", i)
	}
	if len(p) >= m.cfg.MaxPositions {
		return fmt.Errorf("llama: prompt %d has %d tokens, which leaves no room in the model's %d positions", i, len(p), m.cfg.MaxPositions)
	}
	return checkTokens(&m.cfg, fmt.Sprintf("prompt %d", i), p)
}

// sequence is a completion in the making.
type sequence struct {
	sample int // index of the prompt
	slot   int // place in the cache
	length int // tokens in the cache
	last   int32
	left   int // tokens that may still be drawn
	rand   *rand.Rand
}

// A decoder runs many sequences in step. When some have ended, waiting prompts
// take their places.
type decoder struct {
	m       *Model
	o       SampleOptions
	prompts [][]int32
	out     []Completion
	next    int        // first prompt not yet read
	rows    []sequence // being decoded
	free    []int      // slots
	slots   int

	ws      *Workspace
	cache   *kvCache
	weights *packedWeights
	sample  []sampler // one per chunk of rows
	x       decodeBuffers
	heads   []headBundle // one per worker
}

func newDecoder(m *Model, prompts [][]int32, out []Completion, o SampleOptions) *decoder {
	longest := 0
	for _, p := range prompts {
		longest = max(longest, len(p))
	}
	positions := min(m.cfg.MaxPositions, longest+o.MaxNew)
	d := &decoder{m: m, o: o, prompts: prompts, out: out, ws: NewWorkspace(m.cfg, 0, o.Pool)}
	d.slots = min(o.Batch, len(prompts), maxSlots(m.cfg, positions))
	d.cache = newCache(m.cfg, d.slots, positions)
	d.weights = packWeights(m)
	for i := range d.slots {
		d.free = append(d.free, d.slots-1-i)
	}
	d.x.reserve(m.cfg, d.slots)
	for range max(1, o.Pool.Workers()) {
		d.heads = append(d.heads, newHeadBundle(m.cfg, d.cache.positions))
	}
	d.sample = make([]sampler, (d.slots+sampleChunk-1)/sampleChunk)
	for i := range d.sample {
		d.sample[i] = sampler{temperature: o.Temperature, topP: o.TopP}
	}
	return d
}

// wantsPrompts: reading prompts pays for several at once, so some slots are
// left empty until an eighth of them is.
func (d *decoder) wantsPrompts() bool {
	return d.next < len(d.prompts) && (len(d.rows) == 0 || len(d.free) >= max(1, d.slots/8))
}

// prefill reads waiting prompts into free slots and draws their first tokens.
func (d *decoder) prefill() {
	var s strip
	first := len(d.rows)
	var spanOf []int // of each new row
	for d.next < len(d.prompts) && len(d.free) > 0 {
		p := d.prompts[d.next]
		again := len(s.spans) > 0 && slices.Equal(p, d.prompts[d.next-1])
		if !again {
			if len(s.tokens) > 0 && len(s.tokens)+len(p) > stripTokens {
				break
			}
			s.spans = append(s.spans, span{lo: len(s.tokens), n: len(p)})
			s.tokens = append(s.tokens, p...)
		}
		d.rows = append(d.rows, d.newSequence(d.next, len(p)))
		spanOf = append(spanOf, len(s.spans)-1)
		d.next++
	}
	d.m.forwardStrip(d.ws, s, false, func(layer int, a *activations) {
		for i, row := range d.rows[first:] {
			d.cache.fill(layer, row.slot, a.qkv, s.spans[spanOf[i]])
		}
	})
	d.drawFirst(first, s.spans, spanOf)
}

func (d *decoder) newSequence(sample, length int) sequence {
	slot := d.free[len(d.free)-1]
	d.free = d.free[:len(d.free)-1]
	left := min(d.o.MaxNew, d.m.cfg.MaxPositions-length)
	return sequence{sample: sample, slot: slot, length: length, left: left, rand: stream(d.o.Seed, d.o.First+sample)}
}

// drawFirst draws the token after each prompt from the last row of its span.
func (d *decoder) drawFirst(first int, spans []span, spanOf []int) {
	h, v, width := &d.ws.head, d.m.cfg.VocabSize, d.m.cfg.HiddenSize
	h.reset()
	for _, sp := range spanOf {
		h.rows = append(h.rows, int32(spans[sp].lo+spans[sp].n-1))
	}
	d.m.headNorm(d.ws)
	n := len(h.rows)
	kernel.GemmPacked(d.o.Pool, n, h.normed, width, d.weights.head, d.x.logits, v, false)
	d.draw(d.rows[first:])
	d.retire()
}

// sampleChunk is the number of rows whose tokens one task draws.
const sampleChunk = 8

// draw extends rows by a token each, from the logits in the same order.
func (d *decoder) draw(rows []sequence) {
	v := d.m.cfg.VocabSize
	d.o.Pool.Run((len(rows)+sampleChunk-1)/sampleChunk, func(chunk int) {
		for i := chunk * sampleChunk; i < min(len(rows), (chunk+1)*sampleChunk); i++ {
			token, logprob := d.sample[chunk].draw(d.x.logits[i*v:(i+1)*v], rows[i].rand)
			d.extend(&rows[i], token, logprob)
		}
	})
}

func (d *decoder) extend(s *sequence, token int32, logprob float32) {
	c := &d.out[s.sample]
	c.LogProbs = append(c.LogProbs, logprob)
	if slices.Contains(d.o.Stop, token) {
		c.Stop = StopToken
		return
	}
	c.Tokens = append(c.Tokens, token)
	s.last = token
	if s.left--; s.left == 0 {
		c.Stop = StopLength
	}
}

// retire frees the slots of the sequences that have ended.
func (d *decoder) retire() {
	kept := d.rows[:0]
	for _, s := range d.rows {
		if d.out[s.sample].Stop != "" {
			d.free = append(d.free, s.slot)
		} else {
			kept = append(kept, s)
		}
	}
	d.rows = kept
}
