package llama

import (
	"fmt"
	"math"
)

// Config gives the sizes of a model. The names follow config.json of a
// LlamaForCausalLM checkpoint.
type Config struct {
	VocabSize        int     // V
	HiddenSize       int     // D, width of the residual stream
	IntermediateSize int     // F, width of the MLP
	Layers           int     // L
	Heads            int     // H, query heads
	KVHeads          int     // G, key and value heads; 0 means H
	HeadDim          int     // E; 0 means D/H
	MaxPositions     int     // longest sequence
	RopeTheta        float64 // base of the rotary frequencies; 0 means 10000
	NormEps          float64 // added to the mean square inside the root; 0 means 1e-5
	TieEmbeddings    bool    // the output head is the embedding
	QKVBias          bool    // queries, keys and values have a bias (Qwen2)
	QKNorm           bool    // queries and keys pass an RMSNorm per head, before the rotation (Qwen3)
	Rope             RopeScaling
}

// RopeScaling stretches the rotary positions of a model beyond those it was
// trained on. The names follow rope_scaling of config.json.
type RopeScaling struct {
	Kind   string  // "" (none), [RopeLinear] or [RopeLlama3]
	Factor float64 // every angle (linear) or those of long wavelength (llama3) are divided by it
	// For llama3: wavelengths above Original/Low are divided by Factor, those
	// below Original/High stay, between them the two are blended.
	Low, High float64
	Original  int
}

// Source gives the tensors of a checkpoint under their Hugging Face names,
// without promising that they are in memory.
type Source interface {
	Config() Config
	// Shape gives a tensor's shape and whether there is such a tensor.
	Shape(name string) ([]int, bool)
	// Read converts len(dst) elements of a tensor, row-major from element at, to float32.
	Read(name string, at int, dst []float32) error
}

// maxParams bounds what a config may ask for, so that a damaged file is an
// error and not an attempt to allocate the machine's memory: 2^33 parameters.
const maxParams = 1 << 33

// withDefaults fills the fields whose zero value stands for a default.
func (c Config) withDefaults() Config {
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 && c.Heads > 0 {
		c.HeadDim = c.HiddenSize / c.Heads
	}
	if c.RopeTheta == 0 {
		c.RopeTheta = 10000
	}
	if c.NormEps == 0 {
		c.NormEps = 1e-5
	}
	return c
}

// Validate reports the first field that makes no model. Fields whose zero
// value stands for a default may be zero.
func (c Config) Validate() error {
	c = c.withDefaults()
	for _, f := range []struct {
		name  string
		value int
	}{
		{"vocab_size", c.VocabSize}, {"hidden_size", c.HiddenSize}, {"intermediate_size", c.IntermediateSize},
		{"num_hidden_layers", c.Layers}, {"num_attention_heads", c.Heads}, {"num_key_value_heads", c.KVHeads},
		{"head_dim", c.HeadDim}, {"max_position_embeddings", c.MaxPositions},
	} {
		if f.value < 1 || f.value > math.MaxInt32 {
			return fmt.Errorf("llama: config: %s is %d, want a number from 1 to %d", f.name, f.value, math.MaxInt32)
		}
	}
	if c.Heads%c.KVHeads != 0 {
		return fmt.Errorf("llama: config: num_attention_heads %d is no multiple of num_key_value_heads %d", c.Heads, c.KVHeads)
	}
	if c.HeadDim%2 != 0 {
		return fmt.Errorf("llama: config: head_dim %d is odd; rotary positions need pairs", c.HeadDim)
	}
	if !(c.RopeTheta > 0) || math.IsInf(c.RopeTheta, 0) {
		return fmt.Errorf("llama: config: rope_theta is %v, want a positive number", c.RopeTheta)
	}
	if !(c.NormEps > 0) || c.NormEps > 1 {
		return fmt.Errorf("llama: config: rms_norm_eps is %v, want a number in (0, 1]", c.NormEps)
	}
	if err := c.Rope.validate(); err != nil {
		return fmt.Errorf("llama: config: rope_scaling: %w", err)
	}
	if n := c.countParams(); n > maxParams {
		return fmt.Errorf("llama: config: these sizes make %.3g parameters, more than the %d supported", n, int64(maxParams))
	}
	return nil
}

// countParams is a float so that absurd sizes cannot overflow.
func (c Config) countParams() float64 {
	d, e := float64(c.HiddenSize), float64(c.HeadDim)
	layer := 2*d + 2*d*e*float64(c.Heads+c.KVHeads) + 3*d*float64(c.IntermediateSize)
	if c.QKVBias {
		layer += e * float64(c.Heads+2*c.KVHeads)
	}
	if c.QKNorm {
		layer += 2 * e
	}
	tables := 1.0
	if !c.TieEmbeddings {
		tables = 2
	}
	return float64(c.Layers)*layer + d + tables*d*float64(c.VocabSize)
}

func (c Config) attnWidth() int { return c.Heads * c.HeadDim }                 // A
func (c Config) qkHeads() int   { return c.Heads + c.KVHeads }                 // H+G
func (c Config) qkvWidth() int  { return (c.Heads + 2*c.KVHeads) * c.HeadDim } // Q
