package llama

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/because-lab/because/engine/kernel"
)

// recomputeLengths make several strips, a document with kept attention weights
// and one without.
var recomputeLengths = []int{60, 150, 33, 90, 140, 64, 128, 5}

// TestRecomputeKeepsBits compares gradients, with one workspace that changes
// its mind in between, and with several workers.
func TestRecomputeKeepsBits(t *testing.T) {
	for name, c := range smallConfigs {
		t.Run(name, func(t *testing.T) {
			c.Layers = 3
			m := newTestModel(t, c)
			b := randomBatch(rand.New(rand.NewPCG(5, 6)), c.VocabSize, recomputeLengths...)
			pool := kernel.NewPool(2)
			defer pool.Close()
			ws, want := NewWorkspace(c, 0, pool), m.NewGrads()
			loss, err := m.ForwardBackward(ws, b, want)
			if err != nil {
				t.Fatal(err)
			}
			logp := slices.Clone(loss.LogProbs)
			for _, on := range []bool{true, false, true} {
				ws.SetRecompute(on)
				g := m.NewGrads()
				again, err := m.ForwardBackward(ws, b, g)
				if err != nil {
					t.Fatal(err)
				}
				if again.Sum != loss.Sum || !slices.Equal(again.LogProbs, logp) || !slices.Equal(g.Flat(), want.Flat()) {
					t.Errorf("recomputation %v changes the result", on)
				}
			}
		})
	}
}

// TestRecomputeSavesMemory counts what a workspace holds after a step on one
// long document and compares it with what ActivationBytes promises.
func TestRecomputeSavesMemory(t *testing.T) {
	c := Config{VocabSize: 30, HiddenSize: 32, IntermediateSize: 96, Layers: 12, Heads: 4, KVHeads: 2, MaxPositions: 1200, QKNorm: true}
	m := newTestModel(t, c)
	b := randomBatch(rand.New(rand.NewPCG(5, 6)), c.VocabSize, 1200)
	var sizes []int64
	for _, on := range []bool{false, true} {
		ws := NewWorkspace(c, 0, nil)
		ws.SetRecompute(on)
		if _, err := m.ForwardBackward(ws, b, m.NewGrads()); err != nil {
			t.Fatal(err)
		}
		size := int64(0)
		for i := range ws.layers {
			a := &ws.layers[i]
			for _, x := range [][]float32{a.inv1, a.normed, a.qkv, a.raw, a.rawInv, a.attn, a.probs, a.x2, a.inv2, a.mlpIn, a.gateUp, a.act} {
				size += 4 * int64(cap(x))
			}
		}
		for _, x := range ws.inputs {
			size += 4 * int64(cap(x))
		}
		if promised := ActivationBytes(c, 1200, on); size > promised || size < promised/3 {
			t.Errorf("recomputation %v: %d bytes of activations, announced as %d", on, size, promised)
		}
		sizes = append(sizes, size)
	}
	if sizes[1]*4 > sizes[0] {
		t.Errorf("%d bytes with recomputation, %d without", sizes[1], sizes[0])
	}
}

// TestLargeVocabulary covers logits that are held a strip at a time.
func TestLargeVocabulary(t *testing.T) {
	c := Config{VocabSize: headChunk/16 + 3, HiddenSize: 8, IntermediateSize: 8, Layers: 1, Heads: 1, MaxPositions: 40, TieEmbeddings: true}
	if n := headRows(c.VocabSize); n != stripTokens {
		t.Fatalf("%d rows of logits", n)
	}
	m := newTestModel(t, c)
	b := randomBatch(rand.New(rand.NewPCG(5, 6)), c.VocabSize, 20, 7)
	ws, g := NewWorkspace(c, 0, nil), m.NewGrads()
	loss, err := m.ForwardBackward(ws, b, g)
	if err != nil {
		t.Fatal(err)
	}
	ref := newReference(m)
	want := ref.loss(b)
	if d := loss.Sum - want; d > 1e-5*want || d < -1e-5*want {
		t.Errorf("loss %v, want %v", loss.Sum, want)
	}
	// The derivative along the gradient of the head is its squared length.
	var square float64
	for _, x := range g.Tensors()[0].Data {
		square += float64(x) * float64(x)
	}
	shift := func(by float64) float64 {
		for j, x := range g.Tensors()[0].Data {
			ref.tensors[0][j] += by * float64(x)
		}
		return ref.loss(b)
	}
	up, down := shift(1e-4), shift(-2e-4)
	if got := (up - down) / 2e-4; got < square*(1-1e-4) || got > square*(1+1e-4) {
		t.Errorf("derivative %v along the gradient, want %v", got, square)
	}
}
