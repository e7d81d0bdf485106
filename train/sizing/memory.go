package sizing

import "math"

// Memory is what one worker holds, in bytes. Total is the most that is there at once: the states and buffers stay, activations and
// logits belong to the backward pass, the cache of keys and values (GRPO) to sampling, and these two never meet.
type Memory struct {
	Weights     float64 `json:"weights"`
	Gradients   float64 `json:"gradients"`
	Optimizer   float64 `json:"optimizer"`
	Reference   float64 `json:"reference,omitempty"` // GRPO: the frozen reference model
	Buffers     float64 `json:"buffers"`             // of communication: what is gathered, and gradients on their way
	Activations float64 `json:"activations"`
	Logits      float64 `json:"logits"`
	KVCache     float64 `json:"kv_cache,omitempty"` // GRPO: of the answers that are sampled at once
	Sampling    float64 `json:"sampling_weights,omitempty"`
	Total       float64 `json:"total"`
	Available   float64 `json:"available"` // of the accelerator, less the reserve
	Fits        bool    `json:"fits"`
}

const gib = 1 << 30

// memory adds up. It wants a run with its defaults.
func (r Run) memory() Memory {
	m := r.states()
	m.Buffers = r.buffers()
	m.Activations, m.Logits = r.activations(), r.logits()
	if r.Method == GRPO {
		m.KVCache, m.Sampling = r.kvCache(), r.samplingWeights()
	}
	m.Total = m.Weights + m.Gradients + m.Optimizer + m.Reference + math.Max(m.Buffers+m.Activations+m.Logits, m.KVCache+m.Sampling)
	m.Available = math.Floor(r.GPU.MemoryGiB * gib * (1 - r.Reserve))
	m.Fits = m.Total <= m.Available
	return m
}

// states are the model states of ZeRO, section 3: with mixed precision 2 bytes of weight, 2 of gradient and 12 of optimizer (float32
// master weight and AdamW's two moments) for each trained parameter; in float32 4, 4 and 8. A frozen parameter has its weight alone.
// With FSDP every worker holds one part in Workers of each (P_os+g+p), rounded up.
func (r Run) states() Memory {
	all, trained, e := float64(r.Config.Params().Total), float64(r.trained()), r.DType.bytes()
	optimizer := 8.0
	if r.DType == BF16 {
		optimizer += 4
	}
	m := Memory{Weights: all * e, Gradients: trained * e, Optimizer: trained * optimizer}
	if r.LoRA != nil {
		m.Weights += trained * e
	}
	if r.Method == GRPO && r.Reference && r.LoRA == nil {
		m.Reference = all * e
	}
	for _, x := range []*float64{&m.Weights, &m.Gradients, &m.Optimizer, &m.Reference} {
		*x = r.share(*x)
	}
	return m
}

// share is a worker's part of what the strategy divides.
func (r Run) share(bytes float64) float64 {
	if r.Strategy == FSDP {
		return math.Ceil(bytes / float64(r.Workers))
	}
	return bytes
}

// buffers are the copies that communication needs. DDP copies gradients into buckets as large as they. FSDP gathers the weights of two layers, the
// one at work and the next, beside the outermost unit (embedding, head, last norm), and has the whole gradients of a layer and that unit
// before they are scattered; of a frozen model there are none.
func (r Run) buffers() float64 {
	e, c := r.DType.bytes(), r.Config
	switch {
	case r.Workers == 1:
		return 0
	case r.Strategy == DDP:
		return float64(r.trained()) * e
	}
	p := c.Params()
	outer, layer := float64(p.Embedding+p.Head+c.Hidden), float64(c.layerParams())
	gathered := outer + float64(min(2, c.Layers))*layer
	if r.LoRA != nil {
		return e * gathered
	}
	return e * (gathered + outer + layer)
}

// activations are what the forward pass keeps for the backward one, counted as in arXiv:2205.05198, section 4.1, for a layer with RMSNorm, grouped-query
// attention and a gated MLP, without dropout, as transformers computes it. With hidden size h, MLP width f, a query heads and g of keys and values of
// dimension d, and e bytes per element of the dtype, a token and layer keep
//
//	(4 + 2e) h           of each norm: its input in float32, what it is divided to, and the output, which projections take
//	e (a + 2g) d         queries, keys, values
//	(4 + e) (a + g) d    of the norms of queries and keys, where the type has these
//	e a d                the output of attention, which the output projection takes
//	4 e f                gate, its activation, up, and their product, which the down projection takes
//	4a                   the statistics of the softmax in float32; where the scores are kept (Scores), (4 + e) a s more
//
// With Recompute, the input of each layer is kept (e h) and all of the one layer at work. An adapter adds its rank per target. The last norm comes on
// top. What autograd of transformers 5 keeps was measured on small models: the formula gives 99 to 101 % of it. A frozen model could keep less;
// that is not counted.
func (r Run) activations() float64 {
	c, k, e, tokens := r.Config, r.Config.kind(), r.DType.bytes(), float64(r.Micro*r.SeqLen)
	h, f, a, aw, kv := float64(c.Hidden), float64(c.Intermediate), float64(c.Heads), float64(c.attnWidth()), float64(c.kvWidth())
	norm := (4 + 2*e) * h
	layer := float64(k.norms)*norm + e*(2*aw+2*kv+4*f) + 4*a
	if k.qkNorm {
		layer += (4 + e) * (aw + kv)
	}
	if r.LoRA != nil {
		layer += e * float64(r.LoRA.Rank) * float64(len(r.LoRA.chosen()))
	}
	if r.Scores {
		layer += a * float64(r.SeqLen) * (4 + e)
	}
	layers := float64(c.Layers) * layer
	if r.Recompute {
		layers = math.Min(layers, float64(c.Layers)*h*e+layer)
	}
	return tokens * (layers + norm)
}

// logits are one score per token and word in the dtype, their log-probabilities in float32 and the gradient of these. GRPO
// needs them for the answer alone.
func (r Run) logits() float64 {
	tokens := r.SeqLen
	if r.Method == GRPO {
		tokens = r.Answer
	}
	return float64(r.Micro*tokens) * float64(r.Config.Vocab) * (r.DType.bytes() + 8)
}

// kvCache is what sampling keeps: a key and a value per layer, head of keys and token, of every answer under way with its prompt.
func (r Run) kvCache() float64 {
	return float64(r.Rollouts) * float64(r.SeqLen) * 2 * float64(r.Config.Layers*r.Config.kvWidth()) * r.DType.bytes()
}

// samplingWeights is what sampling adds to the weights of training: with FSDP all of them are gathered, since every token needs every layer.
func (r Run) samplingWeights() float64 {
	if r.Strategy != FSDP || r.Workers == 1 {
		return 0
	}
	all := float64(r.Config.Params().Total)
	if r.LoRA != nil {
		all += float64(r.trained())
	}
	return all * r.DType.bytes()
}
