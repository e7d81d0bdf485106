package llama

import (
	"fmt"
	"math"
	"slices"
)

// The projections that an adapter may change, by PEFT's names.
const (
	loraQ = iota
	loraK
	loraV
	loraO
	loraGate
	loraUp
	loraDown
	loraTargets
)

var loraNames = [loraTargets]string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}

// LoRATargets lists the projections that an adapter may change.
func LoRATargets() []string { return slices.Clone(loraNames[:]) }

// LoRAOptions says what an adapter is made of.
type LoRAOptions struct {
	Rank    int      // r, from 1 to the hidden size
	Alpha   float64  // the change of a weight is Alpha/Rank B A
	Targets []string // projections to change, of [LoRATargets]; none means all
	Seed    uint64   // of A's values
}

// LoRA is a low-rank adapter of a model (Hu et al. 2021, arXiv:2106.09685): each
// target computes W x + Alpha/Rank B A x, and A and B alone are trained. The
// model must not change while it is in use.
type LoRA struct {
	base *Model
	o    LoRAOptions
	v    *loraViews
}

// loraPair are the factors of one projection, nil where it is no target.
type loraPair struct {
	a []float32 // r,in
	b []float32 // out,r
}

// loraLayer are the adapted projections of one layer.
type loraLayer struct {
	rank  int
	scale float32 // Alpha/Rank
	pairs [loraTargets]loraPair
}

// loraViews names the parts of one flat allocation, as [views] does.
type loraViews struct {
	flat   []float32
	layers []loraLayer
}

// loraPlace is where a target reads and writes: in columns of its input, and
// out columns from at of its fused output, whose rows have ld.
type loraPlace struct{ in, out, at, ld int }

func (c *Config) loraPlace(target int) loraPlace {
	d, f, aw, kv, q := c.HiddenSize, c.IntermediateSize, c.attnWidth(), c.KVHeads*c.HeadDim, c.qkvWidth()
	switch target {
	case loraQ:
		return loraPlace{d, aw, 0, q}
	case loraK:
		return loraPlace{d, kv, aw, q}
	case loraV:
		return loraPlace{d, kv, aw + kv, q}
	case loraO:
		return loraPlace{aw, d, 0, d}
	case loraGate:
		return loraPlace{d, f, 0, 2 * f}
	case loraUp:
		return loraPlace{d, f, f, 2 * f}
	default:
		return loraPlace{f, d, 0, d}
	}
}

// NewLoRA returns an adapter of m with B zero, so that it changes nothing yet,
// and A drawn as PEFT does: uniform within 1/sqrt(in), which is He's
// initialisation with a = sqrt(5). Each A has a random stream of its own, keyed
// by the seed, the layer and the projection.
func (m *Model) NewLoRA(o LoRAOptions) (*LoRA, error) {
	if len(o.Targets) == 0 {
		o.Targets = LoRATargets()
	}
	if err := o.validate(&m.cfg); err != nil {
		return nil, fmt.Errorf("llama: lora: %w", err)
	}
	l := &LoRA{base: m, o: o, v: newLoRAViews(&m.cfg, &o)}
	for i := range l.v.layers {
		for target, p := range l.v.layers[i].pairs {
			bound := 1 / math.Sqrt(float64(m.cfg.loraPlace(target).in))
			r := stream(o.Seed, i*loraTargets+target)
			for j := range p.a {
				p.a[j] = float32(bound * (2*r.Float64() - 1))
			}
		}
	}
	return l, nil
}

func (o *LoRAOptions) validate(c *Config) error {
	if o.Rank < 1 || o.Rank > c.HiddenSize {
		return fmt.Errorf("rank is %d, want a number from 1 to the hidden size %d", o.Rank, c.HiddenSize)
	}
	if !(o.Alpha > 0) || math.IsInf(o.Alpha, 0) {
		return fmt.Errorf("alpha is %v, want a positive number", o.Alpha)
	}
	for i, name := range o.Targets {
		if !slices.Contains(loraNames[:], name) {
			return fmt.Errorf("unknown target %q, want some of %v", name, loraNames)
		}
		if slices.Contains(o.Targets[:i], name) {
			return fmt.Errorf("target %q is named twice", name)
		}
	}
	return nil
}

// newLoRAViews allocates zeros for every factor.
func newLoRAViews(c *Config, o *LoRAOptions) *loraViews {
	v := &loraViews{layers: make([]loraLayer, c.Layers)}
	size := 0
	place := func(n int) (at, end int) {
		at, end = size, size+n
		size += (n + tensorAlign - 1) / tensorAlign * tensorAlign
		return at, end
	}
	each := func(set func(p *loraPair, at loraPlace)) {
		for i := range v.layers {
			v.layers[i].rank, v.layers[i].scale = o.Rank, float32(o.Alpha/float64(o.Rank))
			for target, name := range loraNames {
				if slices.Contains(o.Targets, name) {
					set(&v.layers[i].pairs[target], c.loraPlace(target))
				}
			}
		}
	}
	each(func(_ *loraPair, at loraPlace) { place(o.Rank * at.in); place(at.out * o.Rank) })
	v.flat, size = alignedFloats(size), 0
	each(func(p *loraPair, at loraPlace) {
		lo, hi := place(o.Rank * at.in)
		p.a = v.flat[lo:hi:hi]
		lo, hi = place(at.out * o.Rank)
		p.b = v.flat[lo:hi:hi]
	})
	return v
}

// tensors lists the factors under the names of PEFT's adapter files.
func (v *loraViews) tensors(c *Config, rank int) []Tensor {
	var out []Tensor
	for i := range v.layers {
		for target, p := range v.layers[i].pairs {
			if p.a == nil {
				continue
			}
			part, at := "self_attn", c.loraPlace(target)
			if target >= loraGate {
				part = "mlp"
			}
			name := fmt.Sprintf("base_model.model.model.layers.%d.%s.%s.", i, part, loraNames[target])
			out = append(out, Tensor{name + "lora_A.weight", []int{rank, at.in}, p.a}, Tensor{name + "lora_B.weight", []int{at.out, rank}, p.b})
		}
	}
	return out
}

// Options returns what the adapter was made with, targets filled in.
func (l *LoRA) Options() LoRAOptions { return l.o }

// Params returns the flat factors, laid out as [Model.Params].
func (l *LoRA) Params() []float32 { return l.v.flat }

// Tensors returns names, shapes and views of the factors, as in PEFT's files.
func (l *LoRA) Tensors() []Tensor { return l.v.tensors(&l.base.cfg, l.o.Rank) }

// NumParams counts the trained parameters.
func (l *LoRA) NumParams() int {
	n := 0
	for _, t := range l.Tensors() {
		n += len(t.Data)
	}
	return n
}

// LoRAGrads holds a gradient for every parameter of an adapter, in the same layout.
type LoRAGrads struct {
	of *LoRA
	v  *loraViews
}

// NewGrads returns zero gradients for l.
func (l *LoRA) NewGrads() *LoRAGrads { return &LoRAGrads{l, newLoRAViews(&l.base.cfg, &l.o)} }

// Flat returns the gradients in the layout of [LoRA.Params].
func (g *LoRAGrads) Flat() []float32 { return g.v.flat }

// Tensors returns the gradients under the names of [LoRA.Tensors].
func (g *LoRAGrads) Tensors() []Tensor { return g.v.tensors(&g.of.base.cfg, g.of.o.Rank) }

// Zero clears the gradients.
func (g *LoRAGrads) Zero() { clear(g.v.flat) }

// ForwardBackward is [Model.ForwardBackward] of the adapted model, with the
// gradients of the adapter alone.
func (l *LoRA) ForwardBackward(ws *Workspace, b Batch, g *LoRAGrads) (Loss, error) {
	if g == nil || g.of != l {
		return Loss{}, fmt.Errorf("llama: lora: forward-backward: the gradients belong to another adapter")
	}
	return l.base.pass(ws, weights{views: l.base.p, adapter: l}, b, &gradients{lora: g.v})
}

// Forward computes the loss of a batch under the adapted model without gradients.
func (l *LoRA) Forward(ws *Workspace, b Batch) (Loss, error) {
	return l.base.pass(ws, weights{views: l.base.p, adapter: l}, b, nil)
}
