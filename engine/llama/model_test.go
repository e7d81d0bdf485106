package llama

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/because-lab/because/engine/kernel"
)

// smallConfigs cover grouped queries, one key/value head, equal heads, a head
// width unlike D/H, tied and untied heads, sizes off the vector widths, and what
// Qwen2, Qwen3 and Llama 3 add.
var smallConfigs = map[string]Config{
	"gqa tied":    {VocabSize: 19, HiddenSize: 12, IntermediateSize: 10, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 4, MaxPositions: 160, TieEmbeddings: true},
	"mqa untied":  {VocabSize: 23, HiddenSize: 10, IntermediateSize: 14, Layers: 2, Heads: 3, KVHeads: 1, HeadDim: 6, MaxPositions: 160},
	"equal heads": {VocabSize: 33, HiddenSize: 16, IntermediateSize: 24, Layers: 1, Heads: 2, MaxPositions: 160, TieEmbeddings: true},
	"bias linear": {VocabSize: 19, HiddenSize: 12, IntermediateSize: 10, Layers: 1, Heads: 4, KVHeads: 2, HeadDim: 4, MaxPositions: 160, QKVBias: true,
		TieEmbeddings: true, Rope: RopeScaling{Kind: RopeLinear, Factor: 2.5}},
	"qk norm": {VocabSize: 19, HiddenSize: 12, IntermediateSize: 10, Layers: 1, Heads: 4, KVHeads: 2, HeadDim: 6, MaxPositions: 160, QKNorm: true, RopeTheta: 300},
	"all llama3": {VocabSize: 21, HiddenSize: 10, IntermediateSize: 12, Layers: 1, Heads: 3, KVHeads: 1, HeadDim: 10, MaxPositions: 160, QKVBias: true, QKNorm: true,
		Rope: RopeScaling{Kind: RopeLlama3, Factor: 8, Low: 1, High: 4, Original: 64}},
}

func newTestModel(t testing.TB, c Config) *Model {
	t.Helper()
	m, err := New(c, 7)
	if err != nil {
		t.Fatal(err)
	}
	// Gains of one would hide errors in the norms.
	r := rand.New(rand.NewPCG(1, 2))
	for _, x := range m.Tensors() {
		if len(x.Shape) == 1 {
			for i := range x.Data {
				x.Data[i] = 0.5 + r.Float32()
			}
		}
	}
	return m
}

// randomBatch packs documents of the given lengths. About a third of the
// positions carry no loss and some weights are negative.
func randomBatch(r *rand.Rand, vocab int, lengths ...int) Batch {
	b := Batch{Starts: []int32{0}}
	for _, n := range lengths {
		for range n {
			b.Tokens = append(b.Tokens, int32(r.IntN(vocab)))
			b.Targets = append(b.Targets, int32(r.IntN(vocab)))
			w := float32(0)
			if r.IntN(3) > 0 {
				w = r.Float32() - 0.2
			}
			b.Weights = append(b.Weights, w)
		}
		b.Starts = append(b.Starts, int32(len(b.Tokens)))
	}
	return b
}

// TestGradients compares every parameter's gradient of the whole model with
// central differences of the loss. The differences are taken by a float64
// twin of the forward pass, so that rounding leaves room for a tight bound.
func TestGradients(t *testing.T) {
	for name, c := range smallConfigs {
		t.Run(name, func(t *testing.T) {
			m := newTestModel(t, c)
			b := randomBatch(rand.New(rand.NewPCG(3, 4)), c.VocabSize, 5, 1, 9, 3)
			ws, g := NewWorkspace(c, 0, nil), m.NewGrads()
			loss, err := m.ForwardBackward(ws, b, g)
			if err != nil {
				t.Fatal(err)
			}
			ref := newReference(m)
			if want := ref.loss(b); math.Abs(loss.Sum-want) > 1e-5*math.Abs(want) {
				t.Errorf("loss %v, reference %v", loss.Sum, want)
			}
			grads := g.Tensors()
			for i, x := range ref.tensors {
				want := make([]float64, len(x))
				for j := range x {
					const eps = 1e-5
					old := x[j]
					x[j] = old + eps
					up := ref.loss(b)
					x[j] = old - eps
					down := ref.loss(b)
					x[j] = old
					want[j] = (up - down) / (2 * eps)
				}
				if e := relativeError(grads[i].Data, want); e > 2e-5 {
					t.Errorf("%s: relative error of the gradient %.2g", grads[i].Name, e)
				}
			}
		})
	}
}

// TestLongDocumentGradients covers documents whose attention weights are not
// kept, by the derivative along a random direction in each tensor.
func TestLongDocumentGradients(t *testing.T) {
	for name, c := range smallConfigs {
		t.Run(name, func(t *testing.T) {
			m := newTestModel(t, c)
			r := rand.New(rand.NewPCG(3, 4))
			b := randomBatch(r, c.VocabSize, keepProbs+22, 30)
			ws, g := NewWorkspace(c, 0, nil), m.NewGrads()
			if _, err := m.ForwardBackward(ws, b, g); err != nil {
				t.Fatal(err)
			}
			ref := newReference(m)
			grads := g.Tensors()
			for i, x := range ref.tensors {
				direction, got, size := make([]float64, len(x)), 0.0, 0.0
				for j := range x {
					direction[j] = r.NormFloat64()
					got += direction[j] * float64(grads[i].Data[j])
					size += float64(grads[i].Data[j]) * float64(grads[i].Data[j])
				}
				const eps = 1e-5
				shift := func(by float64) float64 {
					for j := range x {
						x[j] += by * direction[j]
					}
					return ref.loss(b)
				}
				up, down := shift(eps), shift(-2*eps)
				shift(eps)
				if want := (up - down) / (2 * eps); math.Abs(got-want) > 1e-4*math.Sqrt(size) {
					t.Errorf("%s: derivative %v, want %v", grads[i].Name, got, want)
				}
			}
		})
	}
}

// relativeError is |got - want| / |want| in the Euclidean norm.
func relativeError(got []float32, want []float64) float64 {
	var diff, norm float64
	for i, w := range want {
		d := float64(got[i]) - w
		diff += d * d
		norm += w * w
	}
	if norm == 0 {
		return math.Sqrt(diff)
	}
	return math.Sqrt(diff / norm)
}

// TestPackedEqualsSeparate feeds documents together and one at a time.
func TestPackedEqualsSeparate(t *testing.T) {
	for name, c := range smallConfigs {
		t.Run(name, func(t *testing.T) {
			m := newTestModel(t, c)
			lengths := []int{7, 130, 1, 64, 65, 100, 140} // more than one strip, and more than one block of queries
			b := randomBatch(rand.New(rand.NewPCG(5, 6)), c.VocabSize, lengths...)
			ws, g := NewWorkspace(c, 0, nil), m.NewGrads()
			packed, err := m.ForwardBackward(ws, b, g)
			if err != nil {
				t.Fatal(err)
			}
			logp := slices.Clone(packed.LogProbs)
			apart, sum := m.NewGrads(), 0.0
			for i := range lengths {
				lo, hi := b.Starts[i], b.Starts[i+1]
				one := Batch{b.Tokens[lo:hi], b.Targets[lo:hi], b.Weights[lo:hi], []int32{0, hi - lo}}
				l, err := m.ForwardBackward(ws, one, apart)
				if err != nil {
					t.Fatal(err)
				}
				sum += l.Sum
				if !slices.Equal(l.LogProbs, logp[lo:hi]) {
					t.Errorf("document %d: log-probabilities depend on its neighbours", i)
				}
			}
			if math.Abs(sum-packed.Sum) > 1e-6*math.Abs(sum) {
				t.Errorf("loss %v packed, %v apart", packed.Sum, sum)
			}
			want := make([]float64, len(g.Flat()))
			for i, x := range apart.Flat() {
				want[i] = float64(x)
			}
			if e := relativeError(g.Flat(), want); e > 1e-6 {
				t.Errorf("gradients differ by %.2g", e)
			}
		})
	}
}

// TestPoolDoesNotChangeBits trains a step with one worker and with several.
func TestPoolDoesNotChangeBits(t *testing.T) {
	c := Config{VocabSize: 700, HiddenSize: 64, IntermediateSize: 128, Layers: 2, Heads: 4, KVHeads: 2, MaxPositions: 300}
	m := newTestModel(t, c)
	b := randomBatch(rand.New(rand.NewPCG(5, 6)), c.VocabSize, 60, 250, 33, 90, 70, 64, 128)
	var first []float32
	for _, workers := range []int{0, 2, 3} {
		var pool *kernel.Pool
		if workers > 0 {
			pool = kernel.NewPool(workers)
			defer pool.Close()
		}
		g := m.NewGrads()
		if _, err := m.ForwardBackward(NewWorkspace(c, 0, pool), b, g); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = g.Flat()
		} else if !slices.Equal(first, g.Flat()) {
			t.Errorf("gradients with %d workers differ from those of one", workers)
		}
	}
}

func TestLogitsMatchReference(t *testing.T) {
	for name, c := range smallConfigs {
		t.Run(name, func(t *testing.T) {
			m := newTestModel(t, c)
			b := randomBatch(rand.New(rand.NewPCG(8, 9)), c.VocabSize, 80, 3, 150, 70)
			got, err := m.Logits(NewWorkspace(c, 0, nil), b.Tokens, b.Starts)
			if err != nil {
				t.Fatal(err)
			}
			ref := newReference(m)
			for i := range len(b.Starts) - 1 {
				lo, hi := b.Starts[i], b.Starts[i+1]
				var want []float64
				for _, row := range ref.logits(b.Tokens[lo:hi]) {
					want = append(want, row...)
				}
				if e := relativeError(got[int(lo)*c.VocabSize:int(hi)*c.VocabSize], want); e > 2e-6 {
					t.Errorf("document %d: relative error %.2g", i, e)
				}
			}
		})
	}
}

func TestBatchErrors(t *testing.T) {
	c := smallConfigs["gqa tied"]
	m := newTestModel(t, c)
	good := func() Batch { return randomBatch(rand.New(rand.NewPCG(1, 1)), c.VocabSize, 4, 3) }
	for name, tc := range map[string]struct {
		break_ func(b *Batch)
		want   string
	}{
		"token":    {func(b *Batch) { b.Tokens[5] = 19 }, "llama: batch: token 19 at position 5 is outside the vocabulary of 19"},
		"target":   {func(b *Batch) { b.Weights[2], b.Targets[2] = 1, -100 }, "llama: batch: target -100 at position 2 is outside the vocabulary of 19"},
		"weight":   {func(b *Batch) { b.Weights[1] = float32(math.NaN()) }, "llama: batch: weight NaN at position 1 is not finite"},
		"lengths":  {func(b *Batch) { b.Targets = b.Targets[:3] }, "llama: batch: 7 tokens, 3 targets, 7 weights; want as many of each"},
		"starts":   {func(b *Batch) { b.Starts[2] = 6 }, "llama: batch: starts must go from 0 to the number of tokens 7, have [0 4 6]"},
		"empty":    {func(b *Batch) { b.Starts = []int32{0, 4, 4, 7} }, "llama: batch: document 1 has 0 tokens, want at least 1"},
		"reversed": {func(b *Batch) { b.Starts = []int32{0, 9, 7} }, "llama: batch: document 1 has -2 tokens, want at least 1"},
	} {
		b := good()
		tc.break_(&b)
		_, err := m.Forward(NewWorkspace(c, 0, nil), b)
		if err == nil || err.Error() != tc.want {
			t.Errorf("%s: error %v, want %s", name, err, tc.want)
		}
	}
	other := smallConfigs["equal heads"]
	if _, err := m.Forward(NewWorkspace(other, 0, nil), good()); err == nil {
		t.Error("a workspace of another config was accepted")
	}
}

func TestConfigErrors(t *testing.T) {
	for _, tc := range []struct {
		change func(c *Config)
		want   string
	}{
		{func(c *Config) { c.VocabSize = 0 }, "llama: config: vocab_size is 0, want a number from 1 to 2147483647"},
		{func(c *Config) { c.KVHeads = 3 }, "llama: config: num_attention_heads 4 is no multiple of num_key_value_heads 3"},
		{func(c *Config) { c.HeadDim = 5 }, "llama: config: head_dim 5 is odd; rotary positions need pairs"},
		{func(c *Config) { c.HiddenSize, c.VocabSize = 1<<30, 1<<30 }, fmt.Sprintf("llama: config: these sizes make %.3g parameters, more than the 8589934592 supported", 1.15e18)},
		{func(c *Config) { c.NormEps = -1 }, "llama: config: rms_norm_eps is -1, want a number in (0, 1]"},
		{func(c *Config) { c.RopeTheta = math.Inf(1) }, "llama: config: rope_theta is +Inf, want a positive number"},
		{func(c *Config) { c.Rope.Kind = "yarn" }, `llama: config: rope_scaling: unknown type "yarn", want "linear" or "llama3"`},
		{func(c *Config) { c.Rope.Factor = 2 }, `llama: config: rope_scaling: parameters without a type (want "linear" or "llama3")`},
		{func(c *Config) { c.Rope = RopeScaling{Kind: RopeLinear} }, "llama: config: rope_scaling: factor is 0, want a number from 1 to 1048576"},
		{func(c *Config) { c.Rope = RopeScaling{Kind: RopeLinear, Factor: math.NaN()} }, "llama: config: rope_scaling: factor is NaN, want a number from 1 to 1048576"},
		{func(c *Config) { c.Rope = RopeScaling{Kind: RopeLinear, Factor: 2, Low: 1} }, `llama: config: rope_scaling: type "linear" takes a factor alone`},
		{func(c *Config) { c.Rope = RopeScaling{Kind: RopeLlama3, Factor: 8, Low: 4, High: 4, Original: 8192} },
			"llama: config: rope_scaling: low_freq_factor is 4 and high_freq_factor 4, want 0 < low < high"},
		{func(c *Config) { c.Rope = RopeScaling{Kind: RopeLlama3, Factor: 8, Low: 1, High: 4} },
			"llama: config: rope_scaling: original_max_position_embeddings is 0, want a positive number"},
	} {
		c := smallConfigs["gqa tied"]
		tc.change(&c)
		if _, err := New(c, 1); err == nil || err.Error() != tc.want {
			t.Errorf("error %v, want %s", err, tc.want)
		}
	}
}
