package sizing

import (
	"fmt"
	"slices"
	"strings"
)

// Params counts the parameters of a model by part. A tied head is the embedding and has none of its own.
type Params struct {
	Embedding int64 `json:"embedding"`
	Attention int64 `json:"attention"` // of all layers: projections, biases, norms of queries and keys
	MLP       int64 `json:"mlp"`       // of all layers
	Norms     int64 `json:"norms"`     // of all layers and the last one
	Head      int64 `json:"head"`
	Total     int64 `json:"total"`
}

// Params counts.
func (c Config) Params() Params {
	k, aw, kv := c.kind(), c.attnWidth(), c.kvWidth()
	attention := 2*c.Hidden*aw + 2*c.Hidden*kv
	switch {
	case c.AttentionBias && !k.qkvBias:
		attention += aw + 2*kv + c.Hidden
	case k.qkvBias:
		attention += aw + 2*kv
	}
	if k.qkNorm {
		attention += 2 * c.HeadDim
	}
	mlp := 3 * c.Hidden * c.Intermediate
	if c.MLPBias {
		mlp += 2*c.Intermediate + c.Hidden
	}
	p := Params{Embedding: c.Vocab * c.Hidden, Attention: c.Layers * attention, MLP: c.Layers * mlp, Norms: (c.Layers*k.norms + 1) * c.Hidden}
	if !c.Tie {
		p.Head = c.Vocab * c.Hidden
	}
	p.Total = p.Embedding + p.Attention + p.MLP + p.Norms + p.Head
	return p
}

func (c Config) attnWidth() int64 { return c.Heads * c.HeadDim }
func (c Config) kvWidth() int64   { return c.KVHeads * c.HeadDim }

// layerParams is the count of one layer.
func (c Config) layerParams() int64 {
	p := c.Params()
	return (p.Attention + p.MLP + p.Norms - c.Hidden) / c.Layers
}

// matrices counts the parameters that every token is multiplied with: all but the norms and the embedding, which is looked up. A
// tied head multiplies.
func (c Config) matrices() int64 {
	p := c.Params()
	return p.Attention + p.MLP + c.Vocab*c.Hidden
}

// LoRA is a low-rank adapter (Hu et al. 2021, arXiv:2106.09685): every target projection W gets two matrices, rank x in and out x rank.
type LoRA struct {
	Rank    int64    `json:"rank"`
	Targets []string `json:"targets,omitempty"` // of Targets(); none means all
}

var targets = []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}

// Targets lists the projections that an adapter may change, by PEFT's names.
func Targets() []string { return slices.Clone(targets) }

// chosen are the targets, filled in.
func (l LoRA) chosen() []string {
	if len(l.Targets) == 0 {
		return targets
	}
	return l.Targets
}

func (l LoRA) validate(c Config) error {
	if l.Rank < 1 || l.Rank > c.Hidden {
		return fmt.Errorf("the rank is %d, want a number from 1 to the hidden size %d", l.Rank, c.Hidden)
	}
	for i, name := range l.Targets {
		if !slices.Contains(targets, name) {
			return fmt.Errorf("unknown target %q, want some of %s", name, strings.Join(targets, ", "))
		}
		if slices.Contains(l.Targets[:i], name) {
			return fmt.Errorf("the target %q is named twice", name)
		}
	}
	return nil
}

// Params counts the adapter's parameters on a model.
func (l LoRA) Params(c Config) int64 {
	n := int64(0)
	for _, name := range l.chosen() {
		in, out := c.projection(name)
		n += l.Rank * (in + out)
	}
	return n * c.Layers
}

// projection gives the widths of a projection's input and output.
func (c Config) projection(name string) (in, out int64) {
	switch name {
	case "q_proj":
		return c.Hidden, c.attnWidth()
	case "k_proj", "v_proj":
		return c.Hidden, c.kvWidth()
	case "o_proj":
		return c.attnWidth(), c.Hidden
	case "gate_proj", "up_proj":
		return c.Hidden, c.Intermediate
	default:
		return c.Intermediate, c.Hidden
	}
}
