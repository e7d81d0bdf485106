package sizing

import (
	"encoding/json"
	"fmt"

	"github.com/because-lab/because"
)

// Config is what the sizes of a run depend on in a model, under the names of its config.json.
type Config struct {
	Type         string `json:"model_type" yaml:"model_type"`
	Vocab        int64  `json:"vocab_size" yaml:"vocab_size"`
	Hidden       int64  `json:"hidden_size" yaml:"hidden_size"`
	Intermediate int64  `json:"intermediate_size" yaml:"intermediate_size"`
	Layers       int64  `json:"num_hidden_layers" yaml:"num_hidden_layers"`
	Heads        int64  `json:"num_attention_heads" yaml:"num_attention_heads"`
	KVHeads      int64  `json:"num_key_value_heads" yaml:"num_key_value_heads"`
	HeadDim      int64  `json:"head_dim" yaml:"head_dim"`
	MaxPositions int64  `json:"max_position_embeddings" yaml:"max_position_embeddings"`
	Tie          bool   `json:"tie_word_embeddings,omitempty" yaml:"tie_word_embeddings"` // the head is the embedding
	// AttentionBias is that of q, k, v and o; Qwen2's biases of q, k and v come with its type.
	AttentionBias bool `json:"attention_bias,omitempty" yaml:"attention_bias"`
	MLPBias       bool `json:"mlp_bias,omitempty" yaml:"mlp_bias"`
}

// kind is what a model_type says beyond its numbers.
type kind struct {
	qkvBias     bool
	qkNorm      bool  // a norm of queries and of keys per layer, over the head's dimension
	norms       int64 // of the hidden size per layer
	headDim     int64 // where the file has none; 0: hidden_size / num_attention_heads
	tied        bool  // where the file does not say
	needKVHeads bool  // the library's own default is a number, so a file without it is no reason to assume all heads
}

var kinds = map[string]kind{
	"llama":       {norms: 2},
	"mistral":     {norms: 2, needKVHeads: true},
	"qwen2":       {norms: 2, qkvBias: true, needKVHeads: true},
	"qwen3":       {norms: 2, qkNorm: true, headDim: 128, needKVHeads: true},
	"gemma":       {norms: 2, headDim: 256, tied: true, needKVHeads: true},
	"gemma2":      {norms: 4, headDim: 256, tied: true, needKVHeads: true},
	"gemma3_text": {norms: 4, headDim: 256, tied: true, needKVHeads: true, qkNorm: true},
}

// Exact reports whether the count of parameters is known to be exact for the type. Other types are counted as a Llama of their numbers.
func (c Config) Exact() bool { _, ok := kinds[c.Type]; return ok }

func (c Config) kind() kind {
	if k, ok := kinds[c.Type]; ok {
		return k
	}
	return kind{norms: 2}
}

// configFile is config.json. Pointers tell an absent key from a zero.
type configFile struct {
	Type          string          `json:"model_type"`
	Vocab         *int64          `json:"vocab_size"`
	Hidden        *int64          `json:"hidden_size"`
	Intermediate  *int64          `json:"intermediate_size"`
	Layers        *int64          `json:"num_hidden_layers"`
	Heads         *int64          `json:"num_attention_heads"`
	KVHeads       *int64          `json:"num_key_value_heads"`
	HeadDim       *int64          `json:"head_dim"`
	MaxPositions  *int64          `json:"max_position_embeddings"`
	Tie           *bool           `json:"tie_word_embeddings"`
	AttentionBias bool            `json:"attention_bias"`
	MLPBias       bool            `json:"mlp_bias"`
	Text          json.RawMessage `json:"text_config"` // of models that also see
}

// ReadConfig reads the text of a Hugging Face config.json; file names it in errors. Types that are not known are counted as a Llama of
// their numbers (see Exact); mixtures of experts are refused, since their numbers mean something else.
func ReadConfig(file string, text []byte) (Config, error) {
	c, err := readConfig(text)
	if err != nil {
		return Config{}, because.E("read model config", file, err, "name the config.json of a dense decoder, such as a Llama, Mistral, Qwen or Gemma")
	}
	return c, nil
}

func readConfig(text []byte) (Config, error) {
	var f configFile
	if err := json.Unmarshal(text, &f); err != nil {
		return Config{}, err
	}
	if f.Hidden == nil && len(f.Text) > 0 && string(f.Text) != "null" {
		return readConfig(f.Text)
	}
	if err := noExperts(text); err != nil {
		return Config{}, err
	}
	c := Config{Type: f.Type, AttentionBias: f.AttentionBias, MLPBias: f.MLPBias}
	k := c.kind()
	c.Tie = k.tied
	if f.Tie != nil {
		c.Tie = *f.Tie
	}
	for _, x := range []struct {
		name     string
		from     *int64
		to       *int64
		required bool
	}{
		{"vocab_size", f.Vocab, &c.Vocab, true}, {"hidden_size", f.Hidden, &c.Hidden, true}, {"intermediate_size", f.Intermediate, &c.Intermediate, true},
		{"num_hidden_layers", f.Layers, &c.Layers, true}, {"num_attention_heads", f.Heads, &c.Heads, true}, {"num_key_value_heads", f.KVHeads, &c.KVHeads, k.needKVHeads},
		{"head_dim", f.HeadDim, &c.HeadDim, false}, {"max_position_embeddings", f.MaxPositions, &c.MaxPositions, false},
	} {
		switch {
		case x.from != nil && *x.from < 1:
			return Config{}, fmt.Errorf("%s is %d, want a positive number", x.name, *x.from)
		case x.from != nil:
			*x.to = *x.from
		case x.required:
			return Config{}, fmt.Errorf("%s is missing", x.name)
		}
	}
	c = c.withDefaults()
	return c, c.Validate()
}

// noExperts refuses mixtures of experts, which the families name differently.
func noExperts(text []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for _, key := range []string{"num_experts", "num_local_experts", "n_routed_experts"} {
		var n float64
		if json.Unmarshal(all[key], &n) == nil && n > 1 {
			return fmt.Errorf("%s is %v; mixtures of experts are not supported", key, n)
		}
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 {
		c.HeadDim = c.kind().headDim
	}
	if c.HeadDim == 0 && c.Heads > 0 {
		c.HeadDim = c.Hidden / c.Heads
	}
	return c
}

// Validate reports the first field that makes no model. The limits keep every size far from overflow.
func (c Config) Validate() error {
	for _, f := range []struct {
		name        string
		value, most int64
	}{
		{"vocab_size", c.Vocab, 1 << 24}, {"hidden_size", c.Hidden, 1 << 18}, {"intermediate_size", c.Intermediate, 1 << 20}, {"num_hidden_layers", c.Layers, 1 << 12},
		{"num_attention_heads", c.Heads, 1 << 12}, {"num_key_value_heads", c.KVHeads, 1 << 12}, {"head_dim", c.HeadDim, 1 << 12},
	} {
		if f.value < 1 || f.value > f.most {
			return fmt.Errorf("%s is %d, want a number from 1 to %d", f.name, f.value, f.most)
		}
	}
	if c.MaxPositions < 0 {
		return fmt.Errorf("max_position_embeddings is %d", c.MaxPositions)
	}
	if c.Heads%c.KVHeads != 0 {
		return fmt.Errorf("num_attention_heads %d is no multiple of num_key_value_heads %d", c.Heads, c.KVHeads)
	}
	return nil
}
