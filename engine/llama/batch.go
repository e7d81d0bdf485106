package llama

import (
	"fmt"
	"math"
)

// A Batch is packed: documents lie back to back without padding. Attention
// never crosses from one document to another and positions restart at each.
type Batch struct {
	Tokens  []int32   // T
	Targets []int32   // T, the label at each position, usually the next token; ignored where the weight is 0
	Weights []float32 // T, factor of each position's loss: 0 for none; may be negative (policy gradients)
	Starts  []int32   // documents+1, first position of each document, then T
}

// check reports the first thing wrong with b for a model of the given sizes.
func (b *Batch) check(c *Config) error {
	t := len(b.Tokens)
	if len(b.Targets) != t || len(b.Weights) != t {
		return fmt.Errorf("llama: batch: %d tokens, %d targets, %d weights; want as many of each", t, len(b.Targets), len(b.Weights))
	}
	if err := checkPacked(c, b.Tokens, b.Starts); err != nil {
		return err
	}
	for i, w := range b.Weights {
		if w == 0 {
			continue
		}
		if math.IsNaN(float64(w)) || math.IsInf(float64(w), 0) {
			return fmt.Errorf("llama: batch: weight %v at position %d is not finite", w, i)
		}
		if y := b.Targets[i]; y < 0 || int(y) >= c.VocabSize {
			return fmt.Errorf("llama: batch: target %d at position %d is outside the vocabulary of %d", y, i, c.VocabSize)
		}
	}
	return nil
}

func checkPacked(c *Config, tokens, starts []int32) error {
	if len(starts) < 2 || starts[0] != 0 || int(starts[len(starts)-1]) != len(tokens) {
		return fmt.Errorf("llama: batch: starts must go from 0 to the number of tokens %d, have %v", len(tokens), brief(starts))
	}
	for i := 1; i < len(starts); i++ {
		n := int(starts[i]) - int(starts[i-1])
		if n < 1 {
			return fmt.Errorf("llama: batch: document %d has %d tokens, want at least 1", i-1, n)
		}
		if n > c.MaxPositions {
			return fmt.Errorf("llama: batch: document %d has %d tokens, the model takes at most %d (max_position_embeddings)", i-1, n, c.MaxPositions)
		}
	}
	return checkTokens(c, "batch", tokens)
}

func checkTokens(c *Config, what string, tokens []int32) error {
	for i, x := range tokens {
		if x < 0 || int(x) >= c.VocabSize {
			return fmt.Errorf("llama: %s: token %d at position %d is outside the vocabulary of %d", what, x, i, c.VocabSize)
		}
	}
	return nil
}

func brief(x []int32) string {
	if len(x) <= 6 {
		return fmt.Sprint(x)
	}
	return fmt.Sprintf("[%d %d ... %d]", x[0], x[1], x[len(x)-1])
}

// A span is one document (or continuation) of a strip.
type span struct {
	lo, n int // rows lo..lo+n of the strip
	// A continuation also attends to all rows of an earlier span, its prefix,
	// and its positions go on where the prefix ends. prefixN is 0 without one.
	prefixLo, prefixN int
}

// A strip is the run of whole documents that passes through the network
// together: few enough tokens that a layer's activations stay in the cache.
type strip struct {
	tokens []int32
	spans  []span
}
