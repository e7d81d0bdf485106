package llama

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/because-lab/because/engine/kernel"
)

// queue hands out prompts in order.
type queue struct {
	mu      sync.Mutex
	prompts [][]int32
	next    int
}

// take returns the index of the next prompt, or -1.
func (q *queue) take() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.next == len(q.prompts) {
		return -1
	}
	q.next++
	return q.next - 1
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

// A decoder runs a few sequences in step. When one has ended, a waiting prompt
// takes its place.
type decoder struct {
	m       *Model
	o       *SampleOptions
	pool    *kernel.Pool
	queue   *queue
	waiting int // prompt taken from the queue but not yet read, -1 for none left
	out     []Completion
	rows    []sequence // being decoded
	free    []int      // slots

	ws      *Workspace
	cache   *kvCache
	weights *packedWeights
	sample  []sampler // one per chunk of rows
	x       decodeBuffers
	heads   []headBundle // one per worker
	last    lastPrompt
}

// lastPrompt is the prompt read last, in a slot of its own, for the case that
// the next one is the same.
type lastPrompt struct {
	tokens []int32
	slot   int
	hidden []float32 // D: its last row, normed
}

func newDecoder(m *Model, w *packedWeights, p plan, q *queue, out []Completion, o *SampleOptions) *decoder {
	d := &decoder{m: m, o: o, pool: p.pool, queue: q, out: out, weights: w, ws: NewWorkspace(m.cfg, 0, p.pool)}
	d.cache = newCache(m.cfg, p.slots+1, p.positions)
	for i := range p.slots {
		d.free = append(d.free, p.slots-1-i)
	}
	d.last = lastPrompt{slot: p.slots, hidden: alignedFloats(m.cfg.HiddenSize)}
	d.x.reserve(m.cfg, p.slots)
	for range p.pool.Workers() {
		d.heads = append(d.heads, newHeadBundle(m.cfg, d.cache.positions))
	}
	d.sample = make([]sampler, (p.slots+sampleChunk-1)/sampleChunk)
	for i := range d.sample {
		d.sample[i] = sampler{temperature: o.Temperature, topP: o.TopP}
	}
	return d
}

// run decodes until the queue is empty.
func (d *decoder) run(ctx context.Context) error {
	slots := len(d.free)
	d.waiting = d.queue.take()
	for d.waiting >= 0 || len(d.rows) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		// Reading prompts pays for several at once, so a few slots may stay
		// empty for a while.
		if d.waiting >= 0 && (len(d.rows) == 0 || len(d.free) >= max(1, slots/8)) {
			d.prefill()
		} else {
			d.step()
		}
	}
	return nil
}

// prefill reads waiting prompts into free slots and draws their first tokens.
func (d *decoder) prefill() {
	var s strip
	first := len(d.rows)
	var spanOf []int // of each new row; -1 for the prompt read before
	previous := d.last.tokens
	for d.waiting >= 0 && len(d.free) > 0 {
		p := d.queue.prompts[d.waiting]
		if !slices.Equal(p, previous) {
			if len(s.tokens) > 0 && len(s.tokens)+len(p) > stripTokens {
				break
			}
			s.spans = append(s.spans, span{lo: len(s.tokens), n: len(p)})
			s.tokens = append(s.tokens, p...)
			previous = p
		}
		row := d.newSequence(d.waiting, len(p))
		d.rows, spanOf = append(d.rows, row), append(spanOf, len(s.spans)-1)
		if len(s.spans) == 0 {
			d.cache.copySlot(row.slot, d.last.slot, len(p))
		}
		d.waiting = d.queue.take()
	}
	d.readSpans(s, d.rows[first:], spanOf)
	d.drawFirst(d.rows[first:], spanOf)
	d.last.tokens = previous
	d.retire()
}

// readSpans runs the prompts through the network and stores their keys and values.
func (d *decoder) readSpans(s strip, rows []sequence, spanOf []int) {
	h := &d.ws.head
	h.reset()
	if len(s.spans) == 0 {
		return
	}
	d.m.forwardVisit(d.ws, weights{views: d.m.p, packed: d.weights}, s, false, func(layer int, a *activations) {
		for i, row := range rows {
			if spanOf[i] >= 0 {
				d.cache.fill(layer, row.slot, a.qkv, s.spans[spanOf[i]])
			}
		}
		d.cache.fill(layer, d.last.slot, a.qkv, s.spans[len(s.spans)-1])
	})
	for _, sp := range s.spans {
		h.rows = append(h.rows, int32(sp.lo+sp.n-1))
	}
	d.m.headNorm(d.ws)
}

func (d *decoder) newSequence(sample, length int) sequence {
	slot := d.free[len(d.free)-1]
	d.free = d.free[:len(d.free)-1]
	left := min(d.o.MaxNew, d.m.cfg.MaxPositions-length)
	return sequence{sample: sample, slot: slot, length: length, left: left, rand: stream(d.o.Seed, d.o.First+sample)}
}

// drawFirst draws the token after each prompt from the last row of its span.
func (d *decoder) drawFirst(rows []sequence, spanOf []int) {
	h, v, width := &d.ws.head, d.m.cfg.VocabSize, d.m.cfg.HiddenSize
	for i, sp := range spanOf {
		hidden := d.last.hidden
		if sp >= 0 {
			hidden = h.normed[sp*width : (sp+1)*width]
		}
		copy(d.x.normed[i*width:(i+1)*width], hidden)
	}
	if n := len(h.rows); n > 0 {
		copy(d.last.hidden, h.normed[(n-1)*width:n*width])
	}
	kernel.GemmPacked(d.pool, len(rows), d.x.normed, width, d.weights.head, d.x.logits, v, false)
	d.draw(rows)
}

// sampleChunk is the number of rows whose tokens one task draws.
const sampleChunk = 8

// draw extends rows by a token each, from the logits in the same order.
func (d *decoder) draw(rows []sequence) {
	v := d.m.cfg.VocabSize
	d.pool.Run((len(rows)+sampleChunk-1)/sampleChunk, func(chunk int) {
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
