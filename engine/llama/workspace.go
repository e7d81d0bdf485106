package llama

import (
	"math"

	"github.com/because-lab/because/engine/kernel"
)

// A Workspace holds the activations and scratch memory of a pass. It grows to
// what the largest batch needed and is reused from then on. It serves one
// pass at a time and models of one config.
type Workspace struct {
	cfg       Config
	pool      *kernel.Pool
	recompute bool

	spans  []span
	probs  []int       // offset of each span's attention weights, -1 where they are not kept
	pos    []int32     // T, position of each row in its document
	inputs [][]float32 // T,D: input of each layer, or of all in turn where nothing is kept
	layers []activations
	final  []float32 // T,D: residual stream after the last layer

	// Backward: gradients with respect to the buffers of the same shape.
	dx    []float32 // T,D: of the residual stream
	dnorm []float32 // T,D
	dattn []float32 // T,A
	dqkv  []float32 // T,Q
	dact  []float32 // T,F
	dgain []float32 // chunks,D: partial sums of a norm's gain
	dcols []float32 // chunks,Q+2E: partial sums of biases and of the heads' norms
	dhead []float32 // chunks,(H+G)*E: one row's gradient of normed queries and keys
	dlora []float32 // T,r

	head headBuffers
	attn []attnScratch // one per worker
	logp []float32     // positions of the batch
}

// activations of one layer that the backward pass reads.
type activations struct {
	x1     []float32 // T,D: input of the layer, one of the workspace's inputs
	inv1   []float32 // T: 1/rms of x1
	normed []float32 // T,D: input of the attention's projections
	qkv    []float32 // T,Q: queries, keys (both rotated), values
	raw    []float32 // T,(H+G)*E with QKNorm: queries and keys before their norms
	rawInv []float32 // T,H+G with QKNorm: 1/rms of each head of raw
	attn   []float32 // T,A: output of the heads
	probs  []float32 // attention weights of short spans, see keepProbs
	x2     []float32 // T,D: residual stream between attention and MLP
	inv2   []float32 // T
	mlpIn  []float32 // T,D: normed x2
	gateUp []float32 // T,2F
	act    []float32 // T,F: silu(gate)*up

	lora [loraTargets][]float32 // T,r: alpha/r times A x of each adapted projection
}

// headBuffers are the rows that carry loss, gathered, and their logits.
type headBuffers struct {
	rows    []int32   // R: rows of the strip
	targets []int32   // R
	weights []float32 // R
	logp    []float32 // R: log p(target)
	x       []float32 // R,D: residual stream there
	inv     []float32 // R
	normed  []float32 // R,D
	dnorm   []float32 // R,D
	dx      []float32 // R,D
	logits  []float32 // chunk,V
}

// stripTokens is how many tokens pass through the layers together, at most,
// unless one document is longer: few enough that a layer's activations stay in
// the cache, enough for efficient products. The sizes of strips decide in which
// order gradients are summed, so they never depend on the machine.
const stripTokens = 512

// NewWorkspace prepares a workspace for models of the given config. Batches
// may have any size; maxTokens (0 for unknown) is the size to prepare for.
// Work is shared among the pool's workers; nil means the caller alone.
func NewWorkspace(cfg Config, maxTokens int, pool *kernel.Pool) *Workspace {
	cfg = cfg.withDefaults()
	ws := &Workspace{cfg: cfg, pool: pool}
	ws.attn = make([]attnScratch, max(1, pool.Workers()))
	if maxTokens > 0 {
		ws.reserve(min(stripTokens, maxTokens), cfg.Layers, cfg.Layers)
		ws.reserveBackward(min(stripTokens, maxTokens))
	}
	return ws
}

// SetRecompute chooses what a pass with gradients keeps of each layer: all
// that the backward pass reads, or with on the layer's input alone, from which
// the rest is computed again when its turn comes (Chen et al. 2016,
// arXiv:1604.06174). That takes a third more forward work; results are the same
// bit for bit. See [ActivationBytes].
func (ws *Workspace) SetRecompute(on bool) { ws.recompute = on }

// ActivationBytes tells how much memory the activations of a pass with
// gradients take, for documents of at most the given length.
func ActivationBytes(cfg Config, longest int, recompute bool) int64 {
	c := cfg.withDefaults()
	perToken := int64(c.activationWidth())
	inputs := int64(c.Layers) * int64(c.HiddenSize)
	if !recompute {
		perToken *= int64(c.Layers)
	}
	return 4 * int64(max(stripTokens, longest)) * (perToken + inputs)
}

// activationWidth is the number of elements that one token takes in the
// activations of a layer, beside its input.
func (c Config) activationWidth() int {
	n := 3*c.HiddenSize + 2 + c.qkvWidth() + c.attnWidth() + 3*c.IntermediateSize + c.Heads*keepProbs
	if c.QKNorm {
		n += c.qkHeads() * (c.HeadDim + 1)
	}
	return n
}

// reserve makes room for t rows in the given number of layers and of their
// inputs: all of them for training, one if nothing needs to be kept.
func (ws *Workspace) reserve(t, layers, inputs int) {
	for len(ws.layers) < layers {
		ws.layers = append(ws.layers, activations{})
	}
	for i := range layers {
		ws.layers[i].reserve(&ws.cfg, t)
	}
	for len(ws.inputs) < inputs {
		ws.inputs = append(ws.inputs, nil)
	}
	for i := range inputs {
		ws.inputs[i] = grow(ws.inputs[i], t*ws.cfg.HiddenSize)
	}
	c := &ws.cfg
	ws.final = grow(ws.final, t*c.HiddenSize)
	ws.pos = growInts(ws.pos, t)
}

func (a *activations) reserve(c *Config, t int) {
	a.inv1 = grow(a.inv1, t)
	a.normed = grow(a.normed, t*c.HiddenSize)
	a.qkv = grow(a.qkv, t*c.qkvWidth())
	if c.QKNorm {
		a.raw = grow(a.raw, t*c.qkHeads()*c.HeadDim)
		a.rawInv = grow(a.rawInv, t*c.qkHeads())
	}
	a.attn = grow(a.attn, t*c.attnWidth())
	a.x2 = grow(a.x2, t*c.HiddenSize)
	a.inv2 = grow(a.inv2, t)
	a.mlpIn = grow(a.mlpIn, t*c.HiddenSize)
	a.gateUp = grow(a.gateUp, t*2*c.IntermediateSize)
	a.act = grow(a.act, t*c.IntermediateSize)
}

func (ws *Workspace) reserveBackward(t int) {
	c := &ws.cfg
	ws.dx = grow(ws.dx, t*c.HiddenSize)
	ws.dnorm = grow(ws.dnorm, t*c.HiddenSize)
	ws.dattn = grow(ws.dattn, t*c.attnWidth())
	ws.dqkv = grow(ws.dqkv, t*c.qkvWidth())
	ws.dact = grow(ws.dact, t*c.IntermediateSize)
	ws.dgain = grow(ws.dgain, chunks(t)*c.HiddenSize)
	if c.QKVBias || c.QKNorm {
		ws.dcols = grow(ws.dcols, chunks(t)*(c.qkvWidth()+2*c.HeadDim))
		ws.dhead = grow(ws.dhead, chunks(t)*c.qkHeads()*c.HeadDim)
	}
}

// rowChunk is the number of rows that one task of a row-wise operation handles.
const rowChunk = 128

func chunks(rows int) int { return (rows + rowChunk - 1) / rowChunk }

// forRows runs f over fixed chunks of rows, so that partial sums per chunk do
// not depend on the pool.
func (ws *Workspace) forRows(rows int, f func(chunk, lo, hi int)) {
	ws.pool.Run(chunks(rows), func(i int) { f(i, i*rowChunk, min(rows, (i+1)*rowChunk)) })
}

func (ws *Workspace) attnScale() float32 {
	return float32(1 / math.Sqrt(float64(ws.cfg.HeadDim)))
}
