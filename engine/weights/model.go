package weights

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/because-lab/because/engine/llama"
)

// LoadModel reads the model of a Hugging Face folder or a GGUF file into
// float32. Nothing of its size is allocated before it is known that the
// checkpoint is whole and that the model fits into memory.
func LoadModel(path string) (m *llama.Model, err error) {
	s, err := OpenSource(path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := Fits(s.MemoryF32()); err != nil {
		return nil, fmt.Errorf("weights: load %s: %w", path, err)
	}
	if m, err = llama.Zero(s.Config()); err != nil {
		return nil, err
	}
	for _, t := range m.Tensors() {
		if err := s.Read(t.Name, 0, t.Data); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// layout gives the names and shapes of a model's tensors, as checkpoints have them.
func layout(c llama.Config) iter.Seq2[string, []int] {
	d, f, e := c.HiddenSize, c.IntermediateSize, c.HeadDim
	q, k := c.Heads*e, c.KVHeads*e
	type tensor struct {
		name  string
		shape []int
	}
	layer := []tensor{
		{"input_layernorm.weight", []int{d}}, {"post_attention_layernorm.weight", []int{d}},
		{"self_attn.q_proj.weight", []int{q, d}}, {"self_attn.k_proj.weight", []int{k, d}}, {"self_attn.v_proj.weight", []int{k, d}},
		{"self_attn.o_proj.weight", []int{d, q}},
		{"mlp.gate_proj.weight", []int{f, d}}, {"mlp.up_proj.weight", []int{f, d}}, {"mlp.down_proj.weight", []int{d, f}},
	}
	if c.QKVBias {
		layer = append(layer, tensor{"self_attn.q_proj.bias", []int{q}}, tensor{"self_attn.k_proj.bias", []int{k}}, tensor{"self_attn.v_proj.bias", []int{k}})
	}
	if c.QKNorm {
		layer = append(layer, tensor{"self_attn.q_norm.weight", []int{e}}, tensor{"self_attn.k_norm.weight", []int{e}})
	}
	outer := []tensor{{"model.embed_tokens.weight", []int{c.VocabSize, d}}, {"model.norm.weight", []int{d}}}
	if !c.TieEmbeddings {
		outer = append(outer, tensor{headName, []int{c.VocabSize, d}})
	}
	return func(yield func(string, []int) bool) {
		for _, t := range outer {
			if !yield(t.name, t.shape) {
				return
			}
		}
		for i := range c.Layers {
			prefix := fmt.Sprintf("model.layers.%d.", i)
			for _, t := range layer {
				if !yield(prefix+t.name, t.shape) {
					return
				}
			}
		}
	}
}

const headName = "lm_head.weight"

// checkTensors holds the tensors that a checkpoint has against those that its
// config asks for; asks names where the config is.
func checkTensors(s tensorSource, asks string) error {
	c := s.Config()
	elements := 0.0
	names := s.Names()
	for _, name := range names {
		shape, _ := s.Shape(name)
		elements += float64(product(shape))
	}
	if want := expectedElements(c); elements < want {
		return fmt.Errorf("it holds %.0f parameters, %s asks for %.0f", elements, asks, want)
	}
	known := map[string]bool{}
	for name, want := range layout(c) {
		known[name] = true
		shape, ok := s.Shape(name)
		if !ok {
			return fmt.Errorf("the tensor %q is missing", name)
		}
		if !slices.Equal(shape, want) {
			return fmt.Errorf("%q has shape %v, %s asks for %v", name, shape, asks, want)
		}
	}
	for _, name := range names {
		// Some files repeat a tied head, and old ones hold the rotary table.
		ignored := (c.TieEmbeddings && name == headName) || strings.HasSuffix(name, ".rotary_emb.inv_freq")
		if !known[name] && !ignored {
			return fmt.Errorf("the tensor %q is not part of the model of %d layers that %s asks for", name, c.Layers, asks)
		}
	}
	return nil
}

// product counts the elements of a shape that is known to be in a file.
func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// expectedElements is a lower bound of the parameters of a config, in floating
// point because a damaged file may claim any sizes.
func expectedElements(c llama.Config) float64 {
	d := float64(c.HiddenSize)
	return d*float64(c.VocabSize) + float64(c.Layers)*(3*d*float64(c.IntermediateSize)+2*d) + d
}
