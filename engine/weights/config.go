package weights

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/because-lab/because/engine/llama"
)

// configFile is what config.json says of a model's arithmetic. Pointers tell an
// absent key from a zero.
type configFile struct {
	Architectures []string `json:"architectures"`
	ModelType     string   `json:"model_type"`

	VocabSize    *int  `json:"vocab_size"`
	HiddenSize   *int  `json:"hidden_size"`
	Intermediate *int  `json:"intermediate_size"`
	Layers       *int  `json:"num_hidden_layers"`
	Heads        *int  `json:"num_attention_heads"`
	KVHeads      *int  `json:"num_key_value_heads"`
	HeadDim      *int  `json:"head_dim"`
	MaxPositions *int  `json:"max_position_embeddings"`
	Tie          *bool `json:"tie_word_embeddings"`

	NormEps        *float64        `json:"rms_norm_eps"`
	RopeTheta      *float64        `json:"rope_theta"`
	RopeScaling    *ropeParameters `json:"rope_scaling"`
	RopeParameters *ropeParameters `json:"rope_parameters"` // transformers 5
	HiddenAct      string          `json:"hidden_act"`
	AttentionBias  bool            `json:"attention_bias"`
	MLPBias        bool            `json:"mlp_bias"`
}

// configIn is what is read beyond that: what must not be there.
type configIn struct {
	configFile
	SlidingWindow json.RawMessage `json:"sliding_window"`
	UseSliding    bool            `json:"use_sliding_window"`
	LayerTypes    []string        `json:"layer_types"`
	Partial       *float64        `json:"partial_rotary_factor"`
	Quantization  json.RawMessage `json:"quantization_config"`
}

// family is a model_type that can be read. Its fields say where the type
// differs from Llama.
type family struct {
	architecture  string
	qkvBias       bool
	qkNorm        bool
	defaultHead   int  // head_dim where the file has none; 0: hidden_size / num_attention_heads
	needsKVHeads  bool // transformers' default is a number, not num_attention_heads
	defaultWindow int  // sliding_window where the file has none
}

var families = map[string]family{
	"llama":   {architecture: "LlamaForCausalLM"},
	"mistral": {architecture: "MistralForCausalLM", needsKVHeads: true, defaultWindow: 4096},
	"qwen2":   {architecture: "Qwen2ForCausalLM", qkvBias: true, needsKVHeads: true},
	"qwen3":   {architecture: "Qwen3ForCausalLM", qkNorm: true, defaultHead: 128, needsKVHeads: true},
}

// parseConfig reads config.json. Whatever would change the model's arithmetic
// and is not implemented is an error that names the key.
func parseConfig(data []byte) (llama.Config, error) {
	var f configIn
	if err := json.Unmarshal(data, &f); err != nil {
		return llama.Config{}, err
	}
	kind, ok := families[f.ModelType]
	if !ok {
		return llama.Config{}, fmt.Errorf("model_type is %q, supported are \"llama\", \"mistral\", \"qwen2\" and \"qwen3\"", f.ModelType)
	}
	c := llama.Config{NormEps: 1e-6, RopeTheta: 10000, HeadDim: kind.defaultHead, QKVBias: kind.qkvBias, QKNorm: kind.qkNorm} // the defaults of transformers
	if err := f.sizes(&c, kind); err != nil {
		return llama.Config{}, err
	}
	if err := f.unsupported(kind); err != nil {
		return llama.Config{}, err
	}
	if f.NormEps != nil {
		c.NormEps = *f.NormEps
	}
	if f.Tie != nil {
		c.TieEmbeddings = *f.Tie
	}
	if f.RopeTheta != nil {
		c.RopeTheta = *f.RopeTheta
	}
	if err := f.rope(&c); err != nil {
		return llama.Config{}, err
	}
	if c.RopeTheta == 0 || c.NormEps == 0 {
		return llama.Config{}, fmt.Errorf("rope_theta or rms_norm_eps is 0")
	}
	return c, c.Validate()
}

// sizes reads the integers.
func (f *configFile) sizes(c *llama.Config, kind family) error {
	for _, k := range []struct {
		name     string
		from     *int
		to       *int
		required bool
	}{
		{"vocab_size", f.VocabSize, &c.VocabSize, true}, {"hidden_size", f.HiddenSize, &c.HiddenSize, true},
		{"intermediate_size", f.Intermediate, &c.IntermediateSize, true}, {"num_hidden_layers", f.Layers, &c.Layers, true},
		{"num_attention_heads", f.Heads, &c.Heads, true}, {"max_position_embeddings", f.MaxPositions, &c.MaxPositions, true},
		{"num_key_value_heads", f.KVHeads, &c.KVHeads, kind.needsKVHeads}, {"head_dim", f.HeadDim, &c.HeadDim, false},
	} {
		switch {
		case k.from != nil:
			if *k.from < 1 {
				return fmt.Errorf("%s is %d, want a positive number", k.name, *k.from)
			}
			*k.to = *k.from
		case k.required:
			return fmt.Errorf("%s is missing", k.name)
		}
	}
	return nil
}

// unsupported refuses what would change the arithmetic and is not implemented.
func (f *configIn) unsupported(kind family) error {
	switch {
	case f.HiddenAct != "" && f.HiddenAct != "silu":
		return fmt.Errorf("hidden_act is %q, want \"silu\"", f.HiddenAct)
	case (f.AttentionBias || f.MLPBias) && !kind.qkvBias: // Qwen2 has its biases without the key
		return fmt.Errorf("attention_bias or mlp_bias is true; these biases are not supported")
	case f.Partial != nil && *f.Partial != 1:
		return fmt.Errorf("partial_rotary_factor is %v; only whole heads can be rotated", *f.Partial)
	case len(f.Quantization) > 0 && string(f.Quantization) != "null":
		return fmt.Errorf("quantization_config is set; quantised folders are not supported (hint: take the unquantised checkpoint, or a GGUF file)")
	}
	window := kind.defaultWindow
	if len(f.SlidingWindow) > 0 {
		window = 0 // null
		if err := json.Unmarshal(f.SlidingWindow, &window); err != nil {
			return fmt.Errorf("sliding_window: %w", err)
		}
	}
	used := f.ModelType == "mistral" || f.UseSliding || slices.Contains(f.LayerTypes, "sliding_attention")
	if used && window > 0 && window < *f.MaxPositions {
		return fmt.Errorf("sliding_window is %d, less than max_position_embeddings, %d; sliding windows are not supported", window, *f.MaxPositions)
	}
	for i, t := range f.LayerTypes {
		if t != "full_attention" && t != "sliding_attention" {
			return fmt.Errorf("layer_types: layer %d is of type %q, which is not supported", i, t)
		}
	}
	return nil
}

// encodeConfig writes config.json. Mistral is written as Llama, which without a
// sliding window is the same model.
func encodeConfig(c llama.Config, o configOut) ([]byte, error) {
	kind := "llama"
	switch {
	case c.QKVBias && c.QKNorm:
		return nil, fmt.Errorf("no model_type has both biases and norms of queries and keys")
	case c.QKVBias:
		kind = "qwen2"
	case c.QKNorm:
		kind = "qwen3"
	}
	scaling, parameters := encodeRope(c)
	o.configFile = configFile{
		Architectures: []string{families[kind].architecture}, ModelType: kind,
		VocabSize: &c.VocabSize, HiddenSize: &c.HiddenSize, Intermediate: &c.IntermediateSize,
		Layers: &c.Layers, Heads: &c.Heads, KVHeads: &c.KVHeads, HeadDim: &c.HeadDim,
		MaxPositions: &c.MaxPositions, Tie: &c.TieEmbeddings, NormEps: &c.NormEps, RopeTheta: &c.RopeTheta,
		RopeScaling: scaling, RopeParameters: parameters, HiddenAct: "silu",
	}
	return encodeJSON(o)
}

// configOut is what is written beyond what is read.
type configOut struct {
	configFile
	DType string `json:"torch_dtype"`
	specialIDs
}
