package sizing

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/because-lab/because/engine/llama"
)

// The totals that the checkpoints' own index files and cards give.
func TestKnownTotals(t *testing.T) {
	want := map[string]int64{
		"HuggingFaceTB/SmolLM2-135M": 134_515_008, "meta-llama/Llama-3.1-8B": 8_030_261_248, "meta-llama/Llama-3.1-70B": 70_553_706_496, "meta-llama/Llama-3.3-70B": 70_553_706_496,
		"Qwen/Qwen2.5-7B": 7_615_616_512, "Qwen/Qwen2.5-32B": 32_763_876_352, "Qwen/Qwen2.5-72B": 72_706_203_648,
		"Qwen/Qwen3-0.6B": 596_049_920, "Qwen/Qwen3-1.7B": 1_720_574_976, "Qwen/Qwen3-4B": 4_022_468_096, "Qwen/Qwen3-8B": 8_190_735_360,
		"Qwen/Qwen3-14B": 14_768_307_200, "Qwen/Qwen3-32B": 32_762_123_264,
	}
	got := map[string]int64{}
	for _, name := range KnownNames() {
		c, ok := Known(name)
		if !ok || !c.Exact() {
			t.Errorf("%s: %v", name, ok)
		}
		got[name] = c.Params().Total
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestKnownNames(t *testing.T) {
	for name, want := range map[string]int64{"qwen3-8b": 8_190_735_360, "Qwen2.5-7B-Instruct": 7_615_616_512, "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
		"Llama-3.3-70B-Instruct": 70_553_706_496, "Qwen/Qwen3-0.6B-Base": 596_049_920} {
		if c, ok := Known(name); !ok || c.Params().Total != want {
			t.Errorf("%s: %d, %v", name, c.Params().Total, ok)
		}
	}
	for _, name := range []string{"", "gpt-2", "other/Qwen3-8B", "Qwen3", "-instruct"} {
		if _, ok := Known(name); ok {
			t.Errorf("%q is known", name)
		}
	}
}

// What transformers 5 counts for small models of each type, num_parameters() on the meta device.
func TestTypes(t *testing.T) {
	const sizes = `"vocab_size": 1000, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, `
	for name, c := range map[string]struct {
		rest string
		want int64
	}{
		"llama":       {`"num_key_value_heads": 2, "model_type": "llama", "tie_word_embeddings": true`, 156608},
		"biases":      {`"num_key_value_heads": 2, "model_type": "llama", "attention_bias": true, "mlp_bias": true`, 221952},
		"mistral":     {`"num_key_value_heads": 2, "model_type": "mistral", "head_dim": 24`, 239040},
		"qwen2":       {`"num_key_value_heads": 2, "model_type": "qwen2", "head_dim": null`, 220992},
		"qwen3":       {`"num_key_value_heads": 2, "model_type": "qwen3", "head_dim": 32, "tie_word_embeddings": true`, 193664},
		"qwen3 bias":  {`"num_key_value_heads": 2, "model_type": "qwen3", "head_dim": 32, "attention_bias": true`, 258624},
		"gemma":       {`"num_key_value_heads": 1, "model_type": "gemma", "head_dim": 32`, 181184},
		"gemma2":      {`"num_key_value_heads": 2, "model_type": "gemma2", "head_dim": 32`, 193856},
		"gemma3_text": {`"num_key_value_heads": 2, "model_type": "gemma3_text", "head_dim": 32`, 194048},
	} {
		text := "{" + sizes + c.rest + "}"
		got, err := ReadConfig("config.json", []byte(text))
		if err != nil || got.Params().Total != c.want || !got.Exact() {
			t.Errorf("%s: %d, %v, want %d", name, got.Params().Total, err, c.want)
		}
		nested, err := ReadConfig("config.json", []byte(`{"model_type": "sees", "text_config": `+text+`}`))
		if err != nil || nested != got {
			t.Errorf("%s in text_config: %+v, %v", name, nested, err)
		}
	}
	other, err := ReadConfig("config.json", []byte("{"+sizes+`"model_type": "new"}`))
	if err != nil || other.Exact() || other.KVHeads != 4 || other.HeadDim != 16 {
		t.Errorf("another type: %+v, %v", other, err)
	}
}

func TestReadConfigRefuses(t *testing.T) {
	good := map[string]any{"model_type": "qwen2", "vocab_size": 10, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
	for key, value := range map[string]any{"vocab_size": nil, "hidden_size": 0, "num_hidden_layers": -1, "num_key_value_heads": 3, "num_attention_heads": 1 << 40,
		"intermediate_size": 1.5, "num_experts": 8, "num_local_experts": 4, "head_dim": "x"} {
		bad := map[string]any{}
		for k, v := range good {
			bad[k] = v
		}
		bad[key] = value
		text, _ := json.Marshal(bad)
		_, err := ReadConfig("dir/config.json", text)
		if err == nil || !strings.Contains(err.Error(), "dir/config.json") || !strings.Contains(err.Error(), key) && key != "intermediate_size" {
			t.Errorf("%s = %v: %v", key, value, err)
		}
	}
	delete(good, "num_key_value_heads")
	text, _ := json.Marshal(good)
	if _, err := ReadConfig("c", text); err == nil {
		t.Error("qwen2 without num_key_value_heads is read as having all")
	}
}

func FuzzReadConfig(f *testing.F) {
	f.Add([]byte(`{"model_type": "qwen3", "vocab_size": 10, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}`))
	f.Add([]byte(`{"text_config": {"text_config": null}}`))
	f.Add([]byte(`{"num_experts": 3}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ReadConfig("config.json", text)
		if err != nil {
			return
		}
		if p := c.Params(); p.Total <= 0 || p.Embedding <= 0 || p.Attention <= 0 || p.MLP <= 0 {
			t.Errorf("%s: %+v", text, p)
		}
	})
}

func FuzzReadGPUs(f *testing.F) {
	f.Add(gpusYAML)
	f.Add([]byte("gpus: {X: {memory_gib: -1}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		g, err := ReadGPUs("gpus.yaml", text)
		for name, x := range g.GPUs {
			if err == nil && (x.Name != name || !(x.MemoryGiB > 0)) {
				t.Errorf("%+v", x)
			}
		}
	})
}

// tiny draws a small model that the engine can make too.
func tiny(t *rapid.T) (Config, llama.Config) {
	g := rapid.SampledFrom([]int{1, 2, 3}).Draw(t, "kv")
	c := llama.Config{
		VocabSize: rapid.IntRange(1, 50).Draw(t, "vocab"), HiddenSize: 4 * rapid.IntRange(1, 8).Draw(t, "hidden"), IntermediateSize: rapid.IntRange(1, 40).Draw(t, "mlp"),
		Layers: rapid.IntRange(1, 3).Draw(t, "layers"), Heads: g * rapid.IntRange(1, 3).Draw(t, "groups"), KVHeads: g, HeadDim: 2 * rapid.IntRange(1, 5).Draw(t, "dim"),
		MaxPositions: 64, TieEmbeddings: rapid.Bool().Draw(t, "tied"),
	}
	kind := rapid.SampledFrom([]string{"llama", "mistral", "qwen2", "qwen3"}).Draw(t, "type")
	c.QKVBias, c.QKNorm = kind == "qwen2", kind == "qwen3"
	n := func(x int) int64 { return int64(x) }
	return Config{Type: kind, Vocab: n(c.VocabSize), Hidden: n(c.HiddenSize), Intermediate: n(c.IntermediateSize), Layers: n(c.Layers), Heads: n(c.Heads),
		KVHeads: n(c.KVHeads), HeadDim: n(c.HeadDim), MaxPositions: 64, Tie: c.TieEmbeddings}, c
}

// Models and adapters have as many parameters here as in the engine.
func TestCountsAsEngine(t *testing.T) {
	if diff := cmp.Diff(llama.LoRATargets(), Targets()); diff != "" {
		t.Error(diff)
	}
	rapid.Check(t, func(t *rapid.T) {
		c, e := tiny(t)
		m, err := llama.New(e, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := c.Params().Total, int64(m.NumParams()); got != want {
			t.Fatalf("%+v has %d parameters, in the engine %d", c, got, want)
		}
		names := rapid.SliceOfNDistinct(rapid.SampledFrom(Targets()), 0, 7, rapid.ID[string]).Draw(t, "targets")
		rank := rapid.IntRange(1, e.HiddenSize).Draw(t, "rank")
		l, err := m.NewLoRA(llama.LoRAOptions{Rank: rank, Alpha: 1, Targets: names})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := (LoRA{Rank: int64(rank), Targets: names}).Params(c), int64(l.NumParams()); got != want {
			t.Fatalf("an adapter of %v has %d parameters, in the engine %d", names, got, want)
		}
	})
}
