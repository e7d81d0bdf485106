package weights

import (
	"fmt"
	"slices"
	"strings"

	"github.com/because-lab/because/engine/llama"
)

// model fills a model of the given config. The file is checked against the
// config before the model is allocated, so that a config that claims huge sizes
// costs nothing.
func (f *File) model(c llama.Config) (*llama.Model, error) {
	elements := 0.0
	for _, t := range f.tensors {
		elements += float64(t.Len())
	}
	if want := expectedElements(c); elements < want {
		return nil, fmt.Errorf("weights: load %s: it holds %.0f parameters, config.json asks for %.0f", f.path, elements, want)
	}
	m, err := llama.Zero(c)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, t := range m.Tensors() {
		known[t.Name] = true
		info, ok := f.Find(t.Name)
		if !ok {
			return nil, fmt.Errorf("weights: load %s: the tensor %q is missing", f.path, t.Name)
		}
		if !slices.Equal(info.Shape, t.Shape) {
			return nil, fmt.Errorf("weights: load %s: %q has shape %v, config.json asks for %v", f.path, t.Name, info.Shape, t.Shape)
		}
		if err := f.Read(info, t.Data); err != nil {
			return nil, err
		}
	}
	for _, t := range f.tensors {
		// Some files repeat a tied head, and old ones hold the rotary table.
		ignored := (c.TieEmbeddings && t.Name == "lm_head.weight") || strings.HasSuffix(t.Name, ".rotary_emb.inv_freq")
		if !known[t.Name] && !ignored {
			return nil, fmt.Errorf("weights: load %s: the tensor %q is not part of a Llama model of %d layers", f.path, t.Name, c.Layers)
		}
	}
	return m, nil
}

// expectedElements is a lower bound of the parameters of a config, in floating
// point because a damaged file may claim any sizes.
func expectedElements(c llama.Config) float64 {
	d := float64(c.HiddenSize)
	return d*float64(c.VocabSize) + float64(c.Layers)*(3*d*float64(c.IntermediateSize)+2*d) + d
}
