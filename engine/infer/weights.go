package infer

import (
	"fmt"
	"math"
	"slices"

	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
)

// matrix is a packed weight [n,k].
type matrix interface {
	// mul computes c[m,n] (+)= a[m,k] w^T.
	mul(p *kernel.Pool, m int, a []float32, lda int, c []float32, ldc int, acc bool)
	// SetRows packs rows from first on.
	SetRows(p *kernel.Pool, first int, rows []float32)
	// Row gives row j.
	Row(j int, dst []float32)
}

type (
	halfMatrix struct{ *kernel.PackedBF16 }
	fullMatrix struct{ *kernel.Packed }
)

func (w halfMatrix) mul(p *kernel.Pool, m int, a []float32, lda int, c []float32, ldc int, acc bool) {
	kernel.GemmBF16(p, m, a, lda, w.PackedBF16, c, ldc, acc)
}

func (w fullMatrix) mul(p *kernel.Pool, m int, a []float32, lda int, c []float32, ldc int, acc bool) {
	kernel.GemmPacked(p, m, a, lda, w.Packed, c, ldc, acc)
}

// model is the weights of a checkpoint.
type model struct {
	c        llama.Config
	embed    matrix // V,D
	layers   []layer
	norm     []float32 // D
	head     matrix    // V,D; embed itself when tied
	cos, sin []float32 // positions,E/2
}

// layer is one layer's weights; projections that read the same input are one matrix.
type layer struct {
	norm1        []float32 // D
	qkv          matrix    // Q,D
	bias         []float32 // Q, or nil
	qNorm, kNorm []float32 // E, or nil
	out          matrix    // D,A
	norm2        []float32 // D
	gateUp       matrix    // 2F,D
	down         matrix    // D,F
}

// part is a tensor of the checkpoint.
type part struct {
	name  string
	shape []int
}

func (p part) rows() int { return p.shape[0] }

// layerParts names the tensors of a layer.
type layerParts struct {
	norm1, norm2, qNorm, kNorm part
	qkv, bias, gateUp          []part
	out, down                  part
}

func partsOf(c llama.Config, i int) layerParts {
	d, f, e := c.HiddenSize, c.IntermediateSize, c.HeadDim
	q, k := c.Heads*e, c.KVHeads*e
	at := func(name string, shape ...int) part { return part{fmt.Sprintf("model.layers.%d.%s", i, name), shape} }
	l := layerParts{
		norm1: at("input_layernorm.weight", d), norm2: at("post_attention_layernorm.weight", d),
		qkv:    []part{at("self_attn.q_proj.weight", q, d), at("self_attn.k_proj.weight", k, d), at("self_attn.v_proj.weight", k, d)},
		out:    at("self_attn.o_proj.weight", d, q),
		gateUp: []part{at("mlp.gate_proj.weight", f, d), at("mlp.up_proj.weight", f, d)},
		down:   at("mlp.down_proj.weight", d, f),
	}
	if c.QKVBias {
		l.bias = []part{at("self_attn.q_proj.bias", q), at("self_attn.k_proj.bias", k), at("self_attn.v_proj.bias", k)}
	}
	if c.QKNorm {
		l.qNorm, l.kNorm = at("self_attn.q_norm.weight", e), at("self_attn.k_norm.weight", e)
	}
	return l
}

// The tensors outside the layers.
func embedPart(c llama.Config) part {
	return part{"model.embed_tokens.weight", []int{c.VocabSize, c.HiddenSize}}
}
func normPart(c llama.Config) part { return part{"model.norm.weight", []int{c.HiddenSize}} }
func headPart(c llama.Config) part {
	return part{"lm_head.weight", []int{c.VocabSize, c.HiddenSize}}
}

// allParts lists every tensor of a checkpoint.
func allParts(c llama.Config) []part {
	parts := []part{embedPart(c), normPart(c)}
	if !c.TieEmbeddings {
		parts = append(parts, headPart(c))
	}
	for i := range c.Layers {
		l := partsOf(c, i)
		parts = append(parts, l.norm1, l.norm2, l.out, l.down)
		parts = slices.Concat(parts, l.qkv, l.bias, l.gateUp)
		if c.QKNorm {
			parts = append(parts, l.qNorm, l.kNorm)
		}
	}
	return parts
}

// checkSource reports the first tensor that is missing or has another shape,
// before anything is allocated.
func checkSource(src llama.Source, c llama.Config) error {
	for _, p := range allParts(c) {
		shape, ok := src.Shape(p.name)
		if !ok {
			return fmt.Errorf("infer: load: tensor %s is missing", p.name)
		}
		if !slices.Equal(shape, p.shape) {
			return fmt.Errorf("infer: load: tensor %s has shape %v, the config makes it %v", p.name, shape, p.shape)
		}
	}
	return nil
}

// loader reads tensors; the first error stays.
type loader struct {
	src       llama.Source
	precision Precision
	pool      *kernel.Pool
	buf       []float32
	err       error
}

// load reads all weights. positions is how many a sequence can have.
func load(src llama.Source, c llama.Config, precision Precision, positions int, pool *kernel.Pool) (*model, error) {
	l := &loader{src: src, precision: precision, pool: pool}
	m := &model{c: c, layers: make([]layer, c.Layers)}
	m.embed = l.matrix(c.HiddenSize, embedPart(c))
	m.head = m.embed
	if !c.TieEmbeddings {
		m.head = l.matrix(c.HiddenSize, headPart(c))
	}
	m.norm = l.vector(normPart(c))
	for i := range m.layers {
		p := partsOf(c, i)
		w := layer{
			norm1: l.vector(p.norm1), norm2: l.vector(p.norm2),
			qkv: l.matrix(c.HiddenSize, p.qkv...), out: l.matrix(attnWidth(c), p.out),
			gateUp: l.matrix(c.HiddenSize, p.gateUp...), down: l.matrix(c.IntermediateSize, p.down),
		}
		if c.QKVBias {
			w.bias = l.vector(p.bias...)
		}
		if c.QKNorm {
			w.qNorm, w.kNorm = l.vector(p.qNorm), l.vector(p.kNorm)
		}
		m.layers[i] = w
	}
	m.cos, m.sin = c.Rotations(positions)
	return m, l.err
}

// vector reads tensors of one dimension, one after another.
func (l *loader) vector(parts ...part) []float32 {
	var v []float32
	for _, p := range parts {
		x := make([]float32, p.rows())
		l.read(p.name, 0, x)
		v = append(v, x...)
	}
	return v
}

// loadRows is how many rows of a matrix are read before they are packed.
const loadRows = 16 * kernel.PackRows

// matrix packs the rows [.,k] of the parts as one weight.
func (l *loader) matrix(k int, parts ...part) matrix {
	n := 0
	for _, p := range parts {
		n += p.rows()
	}
	if l.err != nil {
		return nil
	}
	var w matrix = halfMatrix{kernel.NewPackedBF16(n, k)}
	if l.precision == F32 {
		w = fullMatrix{kernel.NewPacked(n, k)}
	}
	if len(l.buf) < loadRows*k {
		l.buf = make([]float32, loadRows*k)
	}
	for first := 0; first < n && l.err == nil; first += loadRows {
		rows := l.buf[:min(loadRows, n-first)*k]
		l.readRows(k, parts, first, rows)
		w.SetRows(l.pool, first, rows)
	}
	return w
}

// readRows reads rows from first on, counted through all parts.
func (l *loader) readRows(k int, parts []part, first int, dst []float32) {
	for _, p := range parts {
		if first >= p.rows() {
			first -= p.rows()
			continue
		}
		n := min(len(dst), (p.rows()-first)*k)
		l.read(p.name, first*k, dst[:n])
		first, dst = 0, dst[n:]
		if len(dst) == 0 {
			return
		}
	}
}

// read reads elements of a tensor, which must be numbers.
func (l *loader) read(name string, at int, dst []float32) {
	if l.err != nil {
		return
	}
	if err := l.src.Read(name, at, dst); err != nil {
		l.err = fmt.Errorf("infer: load: tensor %s: %w", name, err)
		return
	}
	if finite(dst) {
		return
	}
	for i, v := range dst {
		if v64 := float64(v); math.IsNaN(v64) || math.IsInf(v64, 0) {
			l.err = fmt.Errorf("infer: load: tensor %s: element %d is %v", name, at+i, v)
			return
		}
	}
}

// finite says whether x has neither infinities nor NaN.
func finite(x []float32) bool {
	sum := kernel.SumSquares(x) // in float64, which finite float32 cannot overflow
	return !math.IsNaN(sum) && !math.IsInf(sum, 0)
}
