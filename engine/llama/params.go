package llama

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// A Tensor is a named, row-major view into the flat parameters (or gradients)
// of a model. Names and shapes are those of a Hugging Face checkpoint.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// tensorAlign is the alignment of every tensor inside the flat allocation, in
// elements: 64 bytes, a cache line. The padding between tensors stays zero.
const tensorAlign = 16

// layerViews are the tensors of one layer. The projections that read the same
// input are stored as one matrix, for fewer and larger products: the rows of
// qkv are q_proj, k_proj, v_proj and the rows of gateUp are gate_proj, up_proj,
// so the checkpoint's tensors are plain views of them.
type layerViews struct {
	norm1  []float32 // D
	qkv    []float32 // Q,D
	bias   []float32 // Q: of qkv; none without QKVBias
	qNorm  []float32 // E; none without QKNorm
	kNorm  []float32 // E
	out    []float32 // D,A
	norm2  []float32 // D
	gateUp []float32 // 2F,D
	down   []float32 // D,F
}

// views names the parts of one flat allocation, for parameters and gradients alike.
type views struct {
	flat   []float32
	embed  []float32 // V,D
	layers []layerViews
	norm   []float32 // D
	head   []float32 // V,D; the embedding itself when tied
}

// newViews allocates zeros for every tensor of the config.
func newViews(c Config) *views {
	size := 0
	type slot struct {
		to    *[]float32
		at, n int
	}
	var slots []slot
	place := func(to *[]float32, n int) {
		slots = append(slots, slot{to, size, n})
		size += (n + tensorAlign - 1) / tensorAlign * tensorAlign
	}
	v := &views{layers: make([]layerViews, c.Layers)}
	d, f := c.HiddenSize, c.IntermediateSize
	place(&v.embed, c.VocabSize*d)
	for i := range v.layers {
		l := &v.layers[i]
		place(&l.norm1, d)
		place(&l.qkv, c.qkvWidth()*d)
		if c.QKVBias {
			place(&l.bias, c.qkvWidth())
		}
		if c.QKNorm {
			place(&l.qNorm, c.HeadDim)
			place(&l.kNorm, c.HeadDim)
		}
		place(&l.out, d*c.attnWidth())
		place(&l.norm2, d)
		place(&l.gateUp, 2*f*d)
		place(&l.down, d*f)
	}
	place(&v.norm, d)
	if !c.TieEmbeddings {
		place(&v.head, c.VocabSize*d)
	}
	v.flat = alignedFloats(size)
	for _, s := range slots {
		*s.to = v.flat[s.at : s.at+s.n : s.at+s.n]
	}
	if c.TieEmbeddings {
		v.head = v.embed
	}
	return v
}

// tensors lists the checkpoint's view of v, in the order of the layers.
func (v *views) tensors(c Config) []Tensor {
	d, f := c.HiddenSize, c.IntermediateSize
	out := []Tensor{{"model.embed_tokens.weight", []int{c.VocabSize, d}, v.embed}}
	for i := range v.layers {
		l, p := &v.layers[i], fmt.Sprintf("model.layers.%d.", i)
		out = append(out, Tensor{p + "input_layernorm.weight", []int{d}, l.norm1})
		out = append(out, l.attentionTensors(c, p+"self_attn.")...)
		out = append(out,
			Tensor{p + "post_attention_layernorm.weight", []int{d}, l.norm2},
			Tensor{p + "mlp.gate_proj.weight", []int{f, d}, l.gateUp[:f*d]},
			Tensor{p + "mlp.up_proj.weight", []int{f, d}, l.gateUp[f*d:]},
			Tensor{p + "mlp.down_proj.weight", []int{d, f}, l.down},
		)
	}
	out = append(out, Tensor{"model.norm.weight", []int{d}, v.norm})
	if !c.TieEmbeddings {
		out = append(out, Tensor{"lm_head.weight", []int{c.VocabSize, d}, v.head})
	}
	return out
}

// attentionTensors lists the checkpoint's view of one attention, in the order
// of transformers' state dictionaries.
func (l *layerViews) attentionTensors(c Config, p string) []Tensor {
	d, e, q, k := c.HiddenSize, c.HeadDim, c.attnWidth(), c.KVHeads*c.HeadDim
	var out []Tensor
	at := 0
	for _, x := range []struct {
		name string
		rows int
	}{{"q_proj", q}, {"k_proj", k}, {"v_proj", k}} {
		out = append(out, Tensor{p + x.name + ".weight", []int{x.rows, d}, l.qkv[at*d : (at+x.rows)*d]})
		if c.QKVBias {
			out = append(out, Tensor{p + x.name + ".bias", []int{x.rows}, l.bias[at : at+x.rows]})
		}
		at += x.rows
	}
	out = append(out, Tensor{p + "o_proj.weight", []int{d, q}, l.out})
	if c.QKNorm {
		out = append(out, Tensor{p + "q_norm.weight", []int{e}, l.qNorm}, Tensor{p + "k_norm.weight", []int{e}, l.kNorm})
	}
	return out
}

// A Model is a config and its parameters. Methods that only read parameters
// may run concurrently.
type Model struct {
	cfg  Config
	p    *views
	rope ropeTable
}

// Zero returns a model whose parameters are all zero, to be filled by a loader
// through [Model.Tensors].
func Zero(cfg Config) (*Model, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Model{cfg: cfg, p: newViews(cfg), rope: newRopeTable(cfg)}, nil
}

// Config returns the sizes, with defaults filled in.
func (m *Model) Config() Config { return m.cfg }

// Params returns the flat parameters: every tensor, each padded with zeros to
// a multiple of 16 elements. Optimisers work on it.
func (m *Model) Params() []float32 { return m.p.flat }

// Tensors returns the checkpoint's names, shapes and views of the parameters.
func (m *Model) Tensors() []Tensor { return m.p.tensors(m.cfg) }

// NumParams counts the parameters; a tied head counts once.
func (m *Model) NumParams() int {
	n := 0
	for _, t := range m.Tensors() {
		n += len(t.Data)
	}
	return n
}

// Clone returns an independent copy.
func (m *Model) Clone() *Model {
	c := &Model{cfg: m.cfg, p: newViews(m.cfg), rope: m.rope}
	copy(c.p.flat, m.p.flat)
	return c
}

// Grads holds a gradient for every parameter of a model, in the same layout.
type Grads struct {
	cfg Config
	v   *views
}

// NewGrads returns zero gradients for m.
func (m *Model) NewGrads() *Grads { return &Grads{m.cfg, newViews(m.cfg)} }

// Flat returns the gradients in the layout of [Model.Params].
func (g *Grads) Flat() []float32 { return g.v.flat }

// Tensors returns the gradients under the names of [Model.Tensors].
func (g *Grads) Tensors() []Tensor { return g.v.tensors(g.cfg) }

// Zero clears the gradients.
func (g *Grads) Zero() { clear(g.v.flat) }

// InitOptions sets how the parameters of a new model are drawn.
type InitOptions struct {
	// EmbedStd is the standard deviation of the embedding, which a tied head
	// shares. 0 means 2/sqrt(D): of the values from 0.02 to 1 it reached the
	// lowest held-out loss of a model of width 64 with a tied head, at learning
	// rates from 4e-3 to 1.6e-2.
	EmbedStd float64
}

// New returns a model with random parameters: normal with standard deviation
// 1/sqrt(fan-in) for the projections, those that write to the residual stream
// (o_proj, down_proj) divided by sqrt(2L) as in GPT-2; an untied head like a
// projection, the embedding as in [InitOptions]; norms are one, biases zero. Each
// matrix has its own random stream, keyed by the seed and its index.
func New(cfg Config, seed uint64) (*Model, error) {
	return NewWithInit(cfg, seed, InitOptions{})
}

// NewWithInit is [New] with options.
func NewWithInit(cfg Config, seed uint64, o InitOptions) (*Model, error) {
	m, err := Zero(cfg)
	if err != nil {
		return nil, err
	}
	c := m.cfg
	if o.EmbedStd < 0 || math.IsNaN(o.EmbedStd) || math.IsInf(o.EmbedStd, 0) {
		return nil, fmt.Errorf("llama: init: embedding standard deviation %v, want 0 or a positive number", o.EmbedStd)
	}
	if o.EmbedStd == 0 {
		o.EmbedStd = 2 / math.Sqrt(float64(c.HiddenSize))
	}
	stream := uint64(0)
	draw := func(w []float32, std float64) {
		r := rand.New(rand.NewPCG(seed, stream))
		stream++
		for i := range w {
			w[i] = float32(std * r.NormFloat64())
		}
	}
	in := 1 / math.Sqrt(float64(c.HiddenSize))
	residual := 1 / math.Sqrt(2*float64(c.Layers))
	draw(m.p.embed, o.EmbedStd)
	for i := range m.p.layers {
		l := &m.p.layers[i]
		fill(l.norm1, 1)
		fill(l.norm2, 1)
		fill(l.qNorm, 1)
		fill(l.kNorm, 1)
		draw(l.qkv, in)
		draw(l.out, residual/math.Sqrt(float64(c.attnWidth())))
		draw(l.gateUp, in)
		draw(l.down, residual/math.Sqrt(float64(c.IntermediateSize)))
	}
	fill(m.p.norm, 1)
	if !c.TieEmbeddings {
		draw(m.p.head, in)
	}
	return m, nil
}

func fill(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}
