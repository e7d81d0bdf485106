package gguf

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/because-lab/because/engine/llama"
)

// modelBuilder makes a model of one layer with 4 query and 2 key heads of headDim elements on a width of 4.
func modelBuilder(arch string, headDim int) *builder {
	b := newBuilder().set("general.architecture", arch)
	for _, k := range []struct {
		key   string
		value int
	}{
		{"embedding_length", 4}, {"feed_forward_length", 3}, {"block_count", 1}, {"attention.head_count", 4}, {"attention.head_count_kv", 2},
		{"context_length", 32}, {"attention.key_length", headDim}, {"attention.value_length", headDim}, {"rope.dimension_count", headDim},
	} {
		b.set(arch+"."+k.key, k.value)
	}
	b.set(arch+".attention.layer_norm_rms_epsilon", float32(1e-6)).set(arch+".rope.freq_base", float32(500000))
	for _, x := range []struct {
		name  string
		shape []int
	}{
		{"token_embd.weight", []int{5, 4}}, {"output_norm.weight", []int{4}}, {"blk.0.attn_norm.weight", []int{4}}, {"blk.0.ffn_norm.weight", []int{4}},
		{"blk.0.attn_q.weight", []int{4 * headDim, 4}}, {"blk.0.attn_k.weight", []int{2 * headDim, 4}}, {"blk.0.attn_v.weight", []int{2 * headDim, 4}},
		{"blk.0.attn_output.weight", []int{4, 4 * headDim}}, {"blk.0.ffn_gate.weight", []int{3, 4}}, {"blk.0.ffn_up.weight", []int{3, 4}},
		{"blk.0.ffn_down.weight", []int{4, 3}},
	} {
		b.f32(x.name, counting(x.shape), x.shape...)
	}
	return b
}

// counting fills a tensor with row*100 + column.
func counting(shape []int) []float32 {
	cols := shape[len(shape)-1]
	n := cols
	if len(shape) == 2 {
		n *= shape[0]
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(i/cols*100 + i%cols)
	}
	return out
}

func TestSourceConfig(t *testing.T) {
	want := llama.Config{
		VocabSize: 5, HiddenSize: 4, IntermediateSize: 3, Layers: 1, Heads: 4, KVHeads: 2, HeadDim: 8, MaxPositions: 32,
		RopeTheta: 500000, NormEps: 1e-6, TieEmbeddings: true,
	}
	check := func(b *builder, want llama.Config) {
		t.Helper()
		s, err := b.must(t).Source()
		if err != nil {
			t.Fatal(err)
		}
		if s.Config() != want {
			t.Errorf("config is %+v, want %+v", s.Config(), want)
		}
	}
	check(modelBuilder("llama", 8), want)
	qwen2, qwen3, linear, untied := want, want, want, want
	qwen2.QKVBias, qwen3.QKNorm, untied.TieEmbeddings = true, true, false
	linear.Rope = llama.RopeScaling{Kind: "linear", Factor: 2}
	check(modelBuilder("qwen2", 8), qwen2)
	check(modelBuilder("qwen3", 8), qwen3)
	check(modelBuilder("llama", 8).f32("output.weight", make([]float32, 20), 5, 4), untied)
	check(modelBuilder("llama", 8).set("llama.rope.scaling.type", "linear").set("llama.rope.scaling.factor", float32(2)), linear)
	check(modelBuilder("llama", 8).set("llama.rope.scale_linear", float32(2)), linear)
	check(modelBuilder("llama", 8).set("llama.rope.scaling.type", "none").set("llama.attention.sliding_window", 32).set("llama.logit_scale", float32(0)), want)
}

// TestRopeFactors recognises the tables of Llama 3.1 (factor 8) and 3.2 (factor 32), here for heads of 64 elements.
func TestRopeFactors(t *testing.T) {
	table := func(factor float64) []float32 {
		var out []float32
		for i := range 32 {
			wavelength := 2 * math.Pi * math.Pow(500000, float64(i)/32)
			v := 1.0
			if wavelength > 8192 {
				v = factor
			} else if wavelength > 2048 {
				smooth := (8192/wavelength - 1) / 3
				v = 1 / ((1-smooth)/factor + smooth)
			}
			out = append(out, float32(v))
		}
		return out
	}
	for _, factor := range []float64{8, 32} {
		s, err := modelBuilder("llama", 64).f32(ropeFreqs, table(factor), 32).must(t).Source()
		if err != nil {
			t.Fatal(err)
		}
		if want := (llama.RopeScaling{Kind: "llama3", Factor: factor, Low: 1, High: 4, Original: 8192}); s.Config().Rope != want {
			t.Errorf("scaling is %+v, want %+v", s.Config().Rope, want)
		}
		if slices.Contains(s.Names(), ropeFreqs) {
			t.Error("the table counts as a tensor")
		}
	}
	other := table(8)
	other[18] *= 1.1
	nan := table(8)
	nan[3] = float32(math.NaN())
	for _, bad := range [][]float32{other, nan, table(8)[:16]} {
		if _, err := modelBuilder("llama", 64).f32(ropeFreqs, bad, len(bad)).must(t).Source(); err == nil || !strings.Contains(err.Error(), ropeFreqs) {
			t.Errorf("a table that is not Llama 3's: %v", err)
		}
	}
}

// TestRowOrder checks that only q and k of llama are put back into order.
func TestRowOrder(t *testing.T) {
	for _, tc := range []struct {
		arch, name string
		want       []float32 // the stored row of each row
	}{
		{"llama", "q_proj", []float32{0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15}},
		{"llama", "k_proj", []float32{0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15}},
		{"llama", "v_proj", []float32{0, 1, 2, 3, 4, 5, 6, 7}},
		{"qwen2", "q_proj", []float32{0, 1, 2, 3, 4, 5, 6, 7}},
	} {
		s, err := modelBuilder(tc.arch, 8).must(t).Source()
		if err != nil {
			t.Fatal(err)
		}
		name := "model.layers.0.self_attn." + tc.name + ".weight"
		for i, row := range tc.want {
			got := make([]float32, 6) // from the second column on and into the next row
			if err := s.Read(name, i*4+1, got[:3]); err != nil {
				t.Fatal(err)
			}
			if got[0] != row*100+1 || got[2] != row*100+3 {
				t.Errorf("%s %s: row %d is the stored row %v, want %v", tc.arch, tc.name, i, got[0]/100, row)
			}
		}
		all, part := make([]float32, 16*4), make([]float32, 13)
		if err := s.Read(name, 0, all); err != nil {
			t.Fatal(err)
		}
		if err := s.Read(name, 6, part); err != nil || !reflect.DeepEqual(part, all[6:19]) {
			t.Errorf("%s: a part over rows is %v, %v", name, part, err)
		}
		shape, _ := s.Shape(name)
		if s.Read(name, shape[0]*shape[1]-12, part) == nil || s.Read(name, -1, part) == nil || s.Read("x", 0, part) == nil {
			t.Errorf("%s: a read outside of the tensor succeeded", name)
		}
	}
}

func TestUnsupportedModels(t *testing.T) {
	llama8 := func() *builder { return modelBuilder("llama", 8) }
	without := func(key string) *builder { // the same keys, one of them under another name
		b := llama8()
		b.head = []byte(strings.Replace(string(b.head), key, strings.Repeat("x", len(key)), 1))
		return b
	}
	quantised := llama8().entry("blk.0.ffn_gate.bias", 10, 1<<12, 256)
	quantised.data = append(quantised.data, make([]byte, 1<<13)...)
	for _, tc := range []struct {
		b    *builder
		want string
	}{
		{newBuilder(), `"general.architecture" is missing`},
		{modelBuilder("gemma", 8), `architecture is "gemma", supported are llama, qwen2 and qwen3`},
		{without("llama.block_count"), `"llama.block_count" is missing`},
		{llama8().set("llama.attention.scale", "x"), "llama.attention.scale"},
		{llama8().set("llama.expert_count", 8), `"llama.expert_count" is 8, which is not supported`},
		{llama8().set("llama.logit_scale", float32(0.5)), "llama.logit_scale"},
		{llama8().set("llama.attention.sliding_window", 16), "sliding windows are not supported"},
		{llama8().set("llama.rope.scaling.type", "yarn"), `is "yarn", supported are none and linear`},
		{llama8().set("llama.rope.scaling.factor", float32(0.5)), "is 0.5, want a number from 1 on"},
		{llama8().set("split.count", 3), "one of 3 parts"},
		{llama8().f32("blk.0.attn_rot_embd", []float32{1}, 1), `"blk.0.attn_rot_embd" is not part of a supported model`},
		{llama8().f32("blk.00.ffn_up.weight", []float32{1}, 1), `"blk.00.ffn_up.weight" is not part`},
		{llama8().f32("blk.0.attn_q.bias", make([]float32, 30), 30), "want 32 rows"},
		{quantised, `"blk.0.ffn_gate.bias" is of type Q2_K, which is not supported`},
	} {
		f, err := tc.b.open(t)
		if err == nil {
			_, err = f.Source()
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "m.gguf") {
			t.Errorf("error %v, want %q and the file in it", err, tc.want)
		}
	}
}

func TestTokenizer(t *testing.T) {
	base := func() *builder {
		return newBuilder().set("tokenizer.ggml.model", "gpt2").set("tokenizer.ggml.tokens", []string{"<s>", "</s>", "a", "b", "ab"})
	}
	full := base().set("tokenizer.ggml.pre", "llama-bpe").set("tokenizer.ggml.merges", []string{"a b"}).set("tokenizer.ggml.token_type", []int32{3, 3, 1, 1, 1}).
		set("tokenizer.ggml.bos_token_id", 0).set("tokenizer.ggml.eos_token_id", 1).set("tokenizer.ggml.padding_token_id", math.MaxUint32).
		set("tokenizer.ggml.add_eos_token", true).set("tokenizer.chat_template", "{{ x }}").must(t)
	got, err := full.Tokenizer()
	want := TokenizerFields{
		Model: "gpt2", Pre: "llama-bpe", Tokens: []string{"<s>", "</s>", "a", "b", "ab"}, Types: []int32{3, 3, 1, 1, 1}, Merges: []string{"a b"},
		BOS: 0, EOS: 1, UNK: -1, PAD: -1, EOT: -1, AddBOS: true, AddEOS: true,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if s, err := full.ChatTemplate(); err != nil || s != "{{ x }}" {
		t.Errorf("template %q, %v", s, err)
	}
	sp, err := newBuilder().set("tokenizer.ggml.model", "llama").set("tokenizer.ggml.tokens", []string{"a"}).set("tokenizer.ggml.scores", []float32{-1}).must(t).Tokenizer()
	if err != nil || !sp.AddBOS || !sp.AddSpacePrefix || sp.Scores[0] != -1 {
		t.Errorf("sentencepiece: %+v, %v", sp, err)
	}
	for i, tc := range []struct {
		b    *builder
		want string
	}{
		{newBuilder(), "model\" is missing"},
		{newBuilder().set("tokenizer.ggml.model", "bert"), `model is "bert"`},
		{base(), `merges" is missing`},
		{base().set("tokenizer.ggml.merges", []string{"a b", "ab"}), `merge 1 is "ab"`},
		{base().set("tokenizer.ggml.scores", []float32{1}), "5 tokens and 1 scores"},
		{base().set("tokenizer.ggml.token_type", []int32{1, 1}), "5 tokens and 2 token types"},
		{base().set("tokenizer.ggml.token_type", []int32{1, 1, 7, 1, 1}), "token 2 is of type 7"},
		{base().set("tokenizer.ggml.merges", []string{"a b"}).set("tokenizer.ggml.bos_token_id", 5), "is 5, but there are 5 tokens"},
		{base().set("tokenizer.ggml.merges", []string{"a b"}).set("tokenizer.ggml.add_bos_token", 1), "want a bool"},
	} {
		if _, err := tc.b.must(t).Tokenizer(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%d: error %v, want %q", i, err, tc.want)
		}
	}
	if s, err := newBuilder().must(t).ChatTemplate(); err != nil || s != "" {
		t.Errorf("no template: %q, %v", s, err)
	}
}
