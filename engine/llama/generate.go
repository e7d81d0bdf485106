package llama

import (
	"context"
	"fmt"
	"math"

	"github.com/because-lab/because/engine/kernel"
)

// SampleOptions says how completions are drawn.
type SampleOptions struct {
	MaxNew      int     // most tokens per completion
	Temperature float64 // 0 takes the likeliest token
	TopP        float64 // nucleus; 0 and 1 mean all tokens
	Stop        []int32 // tokens that end a completion
	Seed        uint64  // sample i draws from the stream of (Seed, First+i)
	First       int     // number of the first sample, for calls that continue one another

	// Results depend on neither of these.
	Batch int          // sequences that a worker decodes together; 0 chooses by the model's size
	Pool  *kernel.Pool // workers
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
	p := m.planDecoding(prompts, &o)
	q := &queue{prompts: prompts}
	weights := packWeights(m)
	errs := make([]error, p.decoders)
	o.Pool.Run(p.decoders, func(i int) {
		errs[i] = newDecoder(m, weights, p, q, out, &o).run(ctx)
	})
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("llama: generate: stopped after %d of %d prompts were read: %w", q.next, len(prompts), err)
		}
	}
	return out, nil
}

// plan is how the work is divided: an execution detail that no result shows.
type plan struct {
	decoders  int          // each takes prompts from the same queue
	slots     int          // sequences that a decoder runs together
	positions int          // longest sequence
	pool      *kernel.Pool // shared by the rows of one decoder; nil if there are several
}

// Sizes that the plan goes by, in elements.
const (
	cacheFloats = 1 << 19 // a second-level cache of 2 MB
	cacheBudget = 1 << 26 // memory for keys and values in all: 256 MB
	smallModel  = 1 << 20 // parameters up to which workers do better by themselves
)

// planDecoding decodes just a few sequences together if a small model and they
// then stay in the cache, and else as many as it takes to spread the cost of
// reading the weights.
func (m *Model) planDecoding(prompts [][]int32, o *SampleOptions) plan {
	longest := 0
	for _, p := range prompts {
		longest = max(longest, len(p))
	}
	p := plan{decoders: 1, slots: o.Batch, positions: min(m.cfg.MaxPositions, longest+o.MaxNew), pool: o.Pool}
	slot, params := slotSize(m.cfg, p.positions), len(m.p.flat)
	if p.slots == 0 {
		p.slots = 32
		if params+4*slot <= cacheFloats {
			p.slots = max(4, (cacheFloats*2/3-params)/slot)
		}
	}
	if workers := o.Pool.Workers(); workers > 1 && params <= smallModel {
		p.decoders, p.pool = min(workers, len(prompts)), nil
	}
	share := (len(prompts) + p.decoders - 1) / p.decoders
	p.slots = min(p.slots, share, max(1, cacheBudget/slot/p.decoders))
	return p
}

func (m *Model) checkSampling(prompts [][]int32, o *SampleOptions) error {
	switch {
	case o.MaxNew < 1:
		return fmt.Errorf("llama: generate: MaxNew is %d, want at least 1", o.MaxNew)
	case !(o.Temperature >= 0) || math.IsInf(o.Temperature, 0):
		return fmt.Errorf("llama: generate: temperature is %v, want 0 or a positive number", o.Temperature)
	case !(o.TopP >= 0 && o.TopP <= 1):
		return fmt.Errorf("llama: generate: top-p is %v, want a number in [0, 1]", o.TopP)
	case o.Batch < 0:
		return fmt.Errorf("llama: generate: batch is %d, want 0 or a positive number", o.Batch)
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
