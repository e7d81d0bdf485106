package infer

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/weights"
)

// frozen is what tools/parity/infer.py wrote.
type frozen struct {
	sizes struct {
		VocabSize        int     `json:"vocab_size"`
		HiddenSize       int     `json:"hidden_size"`
		IntermediateSize int     `json:"intermediate_size"`
		Layers           int     `json:"num_hidden_layers"`
		Heads            int     `json:"num_attention_heads"`
		KVHeads          int     `json:"num_key_value_heads"`
		HeadDim          int     `json:"head_dim"`
		MaxPositions     int     `json:"max_position_embeddings"`
		NormEps          float64 `json:"rms_norm_eps"`
		RopeTheta        float64 `json:"rope_theta"`
	}
	rope map[string]struct {
		Factor   float64 `json:"factor"`
		Low      float64 `json:"low_freq_factor"`
		High     float64 `json:"high_freq_factor"`
		Original int     `json:"original_max_position_embeddings"`
	}
	prompt int
	models map[string]*memory // tensors that are no parameters among them
}

func readFrozen(t *testing.T) *frozen {
	t.Helper()
	file, err := weights.Open("testdata/reference.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	meta := file.Metadata()
	if meta["magic"] != "because inference reference" || meta["version"] != "1" {
		t.Fatalf("magic %q, version %q: run tools/parity/infer.py", meta["magic"], meta["version"])
	}
	f := &frozen{models: map[string]*memory{}}
	if err := json.Unmarshal([]byte(meta["sizes"]), &f.sizes); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(meta["rope"]), &f.rope); err != nil {
		t.Fatal(err)
	}
	if f.prompt, err = strconv.Atoi(meta["prompt"]); err != nil {
		t.Fatal(err)
	}
	for _, info := range file.Tensors() {
		model, name, _ := strings.Cut(info.Name, "/")
		m := f.models[model]
		if m == nil {
			m = &memory{c: f.config(model), shapes: map[string][]int{}, tensors: map[string][]float32{}}
			f.models[model] = m
		}
		x := make([]float32, info.Len())
		if err := file.Read(info, x); err != nil {
			t.Fatal(err)
		}
		name = strings.TrimPrefix(name, "param/")
		m.shapes[name], m.tensors[name] = info.Shape, x
	}
	return f
}

func (f *frozen) config(model string) llama.Config {
	s, r := f.sizes, f.rope[model]
	c := llama.Config{
		VocabSize: s.VocabSize, HiddenSize: s.HiddenSize, IntermediateSize: s.IntermediateSize, Layers: s.Layers, Heads: s.Heads,
		KVHeads: s.KVHeads, HeadDim: s.HeadDim, MaxPositions: s.MaxPositions, NormEps: s.NormEps, RopeTheta: s.RopeTheta, TieEmbeddings: true,
		QKVBias: model == "qwen2", QKNorm: model == "qwen3",
	}
	if r.Factor != 0 {
		c.Rope = llama.RopeScaling{Kind: model, Factor: r.Factor, Low: r.Low, High: r.High, Original: r.Original}
	}
	return c
}

func integers(x []float32) []int32 {
	out := make([]int32, len(x))
	for i, v := range x {
		out[i] = int32(v)
	}
	return out
}

// TestParityWithTransformers compares logits and greedy answers with Qwen2,
// Qwen3 and Llama models of Hugging Face transformers.
func TestParityWithTransformers(t *testing.T) {
	f := readFrozen(t)
	for _, name := range []string{"qwen2", "qwen3", "linear", "llama3"} {
		m, ok := f.models[name]
		if !ok {
			t.Fatalf("no model %s in the reference", name)
		}
		tokens, ctx := integers(m.tensors["tokens"]), context.Background()
		// In bfloat16 the weights differ by up to 1/256, and the logits by about that.
		for precision, limit := range map[Precision]float64{F32: 1e-5, BF16: 2e-2} {
			e := start(t, m, Options{Precision: precision})
			got, err := e.Logits(ctx, tokens)
			if err != nil {
				t.Fatal(err)
			}
			if d := apart(got, m.tensors["logits"]); !(d <= limit) {
				t.Errorf("%s, %s: logits are %.2g apart, want at most %g", name, precision, d, limit)
			}
			if precision == BF16 {
				continue
			}
			want := integers(m.tensors["greedy"])
			res := generate(t, e, Request{Prompt: tokens[:f.prompt], MaxNew: len(want)})
			if !slices.Equal(ids(res.Tokens), want) {
				t.Errorf("%s: greedy answer %v, want %v", name, ids(res.Tokens), want)
			}
		}
	}
}
