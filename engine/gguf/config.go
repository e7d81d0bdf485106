package gguf

import (
	"fmt"
	"math"
	"slices"

	"github.com/because-lab/because/engine/llama"
)

// architectures lists what can be read, and whether it has biases and norms in its attention. Mistral, SmolLM2 and
// TinyLlama are stored as llama.
var architectures = map[string]struct{ qkvBias, qkNorm bool }{
	"llama": {}, "qwen2": {qkvBias: true}, "qwen3": {qkNorm: true},
}

// neutral lists keys that change a model's arithmetic and the value at which they do not.
var neutral = []struct {
	key   string
	value float64
}{
	{"expert_count", 0}, {"attention.clamp_kqv", 0}, {"attention.max_alibi_bias", 0}, {"attention.scale", 0},
	{"attn_logit_softcapping", 0}, {"final_logit_softcapping", 0}, {"logit_scale", 0}, {"residual_scale", 0}, {"embedding_scale", 0},
	{"rope.scaling.attn_factor", 1},
}

// config reads the model's sizes.
func (f *File) config() (llama.Config, error) {
	arch, err := f.String("general.architecture")
	if err != nil {
		return llama.Config{}, err
	}
	kind, ok := architectures[arch]
	if !ok {
		return llama.Config{}, fmt.Errorf("its architecture is %q, supported are llama, qwen2 and qwen3", arch)
	}
	c := llama.Config{QKVBias: kind.qkvBias, QKNorm: kind.qkNorm, RopeTheta: 10000}
	for _, step := range []func(arch string, c *llama.Config) error{f.sizes, f.numbers, f.unchanged, f.rope} {
		if err := step(arch, &c); err != nil {
			return llama.Config{}, err
		}
	}
	return c, c.Validate()
}

// sizes reads the integers of the config; the vocabulary is the embedding's.
func (f *File) sizes(arch string, c *llama.Config) error {
	for _, k := range []struct {
		key      string
		to       *int
		optional bool
	}{
		{"embedding_length", &c.HiddenSize, false}, {"feed_forward_length", &c.IntermediateSize, false}, {"block_count", &c.Layers, false},
		{"attention.head_count", &c.Heads, false}, {"context_length", &c.MaxPositions, false},
		{"attention.head_count_kv", &c.KVHeads, true}, {"attention.key_length", &c.HeadDim, true},
	} {
		key := arch + "." + k.key
		if k.optional && !f.Has(key) {
			continue
		}
		n, err := f.Int(key)
		if err != nil {
			return err
		}
		if n < 1 || n > math.MaxInt32 {
			return fmt.Errorf("metadata %q is %d, want a number from 1 to %d", key, n, math.MaxInt32)
		}
		*k.to = n
	}
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 {
		c.HeadDim = c.HiddenSize / c.Heads
	}
	embed, ok := f.Find("token_embd.weight")
	if !ok || len(embed.Shape) != 2 {
		return fmt.Errorf("the tensor %q is missing or no matrix", "token_embd.weight")
	}
	c.VocabSize = embed.Shape[0]
	_, untied := f.Find("output.weight")
	c.TieEmbeddings = !untied
	return nil
}

// numbers reads the floating-point values of the config.
func (f *File) numbers(arch string, c *llama.Config) error {
	eps, err := f.Float(arch + ".attention.layer_norm_rms_epsilon")
	if err != nil {
		return err
	}
	c.NormEps = eps
	if key := arch + ".rope.freq_base"; f.Has(key) {
		if c.RopeTheta, err = f.Float(key); err != nil {
			return err
		}
	}
	if c.RopeTheta == 0 || eps == 0 {
		return fmt.Errorf("metadata: the base of the rotary frequencies or the epsilon of the norms is 0")
	}
	return nil
}

// unchanged refuses what would change the arithmetic and is not implemented.
func (f *File) unchanged(arch string, c *llama.Config) error {
	for _, n := range neutral {
		key := arch + "." + n.key
		if !f.Has(key) {
			continue
		}
		v, err := f.number(key)
		if err != nil {
			return err
		}
		if v != n.value {
			return fmt.Errorf("metadata %q is %v, which is not supported", key, v)
		}
	}
	for _, n := range []struct {
		key  string
		want int
	}{{"attention.value_length", c.HeadDim}, {"rope.dimension_count", c.HeadDim}} {
		if key := arch + "." + n.key; f.Has(key) {
			if v, err := f.Int(key); err != nil || v != n.want {
				return orElse(err, "metadata %q is %d, which is not supported beside heads of %d elements", key, v, n.want)
			}
		}
	}
	if key := arch + ".attention.sliding_window"; f.Has(key) {
		if w, err := f.Int(key); err != nil || w > 0 && w < c.MaxPositions {
			return orElse(err, "metadata %q is %d, less than the context of %d; sliding windows are not supported", key, w, c.MaxPositions)
		}
	}
	return nil
}

func orElse(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return fmt.Errorf(format, args...)
}

// number reads an integer or a floating-point number.
func (f *File) number(key string) (float64, error) {
	if v, err := f.Int(key); err == nil {
		return float64(v), nil
	}
	return f.Float(key)
}

// ropeFreqs is the tensor of the factors that the rotary frequencies are divided by.
const ropeFreqs = "rope_freqs.weight"

// rope reads the scaling of the rotary positions.
func (f *File) rope(arch string, c *llama.Config) error {
	kind, factor := "none", 1.0
	if key := arch + ".rope.scaling.type"; f.Has(key) {
		var err error
		if kind, err = f.String(key); err != nil {
			return err
		}
	}
	for _, key := range []string{arch + ".rope.scale_linear", arch + ".rope.scaling.factor"} { // the first is of old files
		if !f.Has(key) {
			continue
		}
		var err error
		if factor, err = f.Float(key); err != nil {
			return err
		}
		if !f.Has(arch + ".rope.scaling.type") {
			kind = "linear"
		}
	}
	switch {
	case kind == "none" || kind == "linear" && (factor == 1 || factor == 0):
	case kind != "linear":
		return fmt.Errorf("metadata %q is %q, supported are none and linear", arch+".rope.scaling.type", kind)
	case !(factor >= 1) || math.IsInf(factor, 0):
		return fmt.Errorf("metadata: the factor of the rotary scaling is %v, want a number from 1 on", factor)
	default:
		c.Rope = llama.RopeScaling{Kind: "linear", Factor: factor}
	}
	t, ok := f.Find(ropeFreqs)
	if !ok {
		return nil
	}
	return f.ropeFactors(&t, c)
}

// ropeFactors recognises Llama 3's scaling by its table of factors: llama.cpp's converter writes the table in place
// of the parameters that it was computed from.
func (f *File) ropeFactors(t *TensorInfo, c *llama.Config) error {
	if c.Rope.Kind != "" || !slices.Equal(t.Shape, []int{c.HeadDim / 2}) {
		return fmt.Errorf("the tensor %q has shape %v beside %s scaling and heads of %d elements", t.Name, t.Shape, c.Rope.Kind, c.HeadDim)
	}
	table := make([]float32, t.Len())
	if err := f.Read(t.Name, 0, table); err != nil {
		return err
	}
	r := llama.RopeScaling{Kind: "llama3", Factor: float64(slices.Max(table)), Low: 1, High: 4, Original: 8192}
	if r.Factor == 1 && slices.Min(table) == 1 {
		return nil // nothing is scaled
	}
	for i, got := range table {
		freq := math.Pow(c.RopeTheta, -2*float64(i)/float64(c.HeadDim))
		if want := llama3Factor(freq, r); !(math.Abs(float64(got)-want) <= 1e-3*want) {
			return fmt.Errorf("the factor %d of %q is %v; Llama 3's scaling by %v would have %v, and no other table is supported", i, t.Name, got, r.Factor, want)
		}
	}
	c.Rope = r
	return nil
}

// llama3Factor is what Llama 3's scaling divides a frequency by (Grattafiori et al. 2024, arXiv:2407.21783; the formula
// is of Meta's reference code).
func llama3Factor(freq float64, r llama.RopeScaling) float64 {
	wavelength := 2 * math.Pi / freq
	switch original := float64(r.Original); {
	case wavelength < original/r.High:
		return 1
	case wavelength > original/r.Low:
		return r.Factor
	default:
		smooth := (original/wavelength - r.Low) / (r.High - r.Low)
		return 1 / ((1-smooth)/r.Factor + smooth)
	}
}
