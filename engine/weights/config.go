package weights

import (
	"encoding/json"
	"fmt"

	"github.com/because-lab/because/engine/llama"
)

// configFile is config.json of a LlamaForCausalLM checkpoint. Pointers tell an
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

// configOut is what is written beyond what is read.
type configOut struct {
	configFile
	DType string `json:"torch_dtype"`
	specialIDs
}

type ropeParameters struct {
	Theta *float64 `json:"rope_theta,omitempty"`
	Type  string   `json:"rope_type,omitempty"`
	Old   string   `json:"type,omitempty"` // key of older files
}

// parseConfig reads config.json. Whatever would change the model's arithmetic
// and is not implemented is an error that names the key.
func parseConfig(data []byte) (llama.Config, error) {
	var f configFile
	if err := json.Unmarshal(data, &f); err != nil {
		return llama.Config{}, err
	}
	if f.ModelType != "llama" {
		return llama.Config{}, fmt.Errorf("model_type is %q, want \"llama\"", f.ModelType)
	}
	if f.HiddenAct != "" && f.HiddenAct != "silu" {
		return llama.Config{}, fmt.Errorf("hidden_act is %q, want \"silu\"", f.HiddenAct)
	}
	if f.AttentionBias || f.MLPBias {
		return llama.Config{}, fmt.Errorf("attention_bias or mlp_bias is true; biases are not supported")
	}
	c := llama.Config{NormEps: 1e-6, RopeTheta: 10000} // the defaults of transformers
	for _, k := range []struct {
		name     string
		from     *int
		to       *int
		required bool
	}{
		{"vocab_size", f.VocabSize, &c.VocabSize, true}, {"hidden_size", f.HiddenSize, &c.HiddenSize, true},
		{"intermediate_size", f.Intermediate, &c.IntermediateSize, true}, {"num_hidden_layers", f.Layers, &c.Layers, true},
		{"num_attention_heads", f.Heads, &c.Heads, true}, {"max_position_embeddings", f.MaxPositions, &c.MaxPositions, true},
		{"num_key_value_heads", f.KVHeads, &c.KVHeads, false}, {"head_dim", f.HeadDim, &c.HeadDim, false},
	} {
		switch {
		case k.from != nil:
			if *k.from < 1 {
				return llama.Config{}, fmt.Errorf("%s is %d, want a positive number", k.name, *k.from)
			}
			*k.to = *k.from
		case k.required:
			return llama.Config{}, fmt.Errorf("%s is missing", k.name)
		}
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

func (f *configFile) rope(c *llama.Config) error {
	for _, k := range []struct {
		name string
		p    *ropeParameters
	}{{"rope_scaling", f.RopeScaling}, {"rope_parameters", f.RopeParameters}} {
		if k.p == nil {
			continue
		}
		kind := k.p.Type
		if kind == "" {
			kind = k.p.Old
		}
		if kind != "default" && kind != "" {
			return fmt.Errorf("%s is of type %q; scaled rotary positions are not supported", k.name, kind)
		}
		if k.p.Theta != nil {
			c.RopeTheta = *k.p.Theta
		}
	}
	return nil
}

// encodeConfig writes config.json.
func encodeConfig(c llama.Config, ids specialIDs) ([]byte, error) {
	f := configFile{
		Architectures: []string{"LlamaForCausalLM"}, ModelType: "llama",
		VocabSize: &c.VocabSize, HiddenSize: &c.HiddenSize, Intermediate: &c.IntermediateSize,
		Layers: &c.Layers, Heads: &c.Heads, KVHeads: &c.KVHeads, HeadDim: &c.HeadDim,
		MaxPositions: &c.MaxPositions, Tie: &c.TieEmbeddings, NormEps: &c.NormEps, RopeTheta: &c.RopeTheta,
		RopeParameters: &ropeParameters{Theta: &c.RopeTheta, Type: "default"},
		HiddenAct:      "silu",
	}
	return encodeJSON(configOut{f, "float32", ids})
}
