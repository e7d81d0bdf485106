package llama

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/because-lab/because/engine/kernel"
)

// loraVariant has different widths of queries, values, MLP and stream.
var loraVariant = Config{VocabSize: 19, HiddenSize: 12, IntermediateSize: 10, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 4, MaxPositions: 160, QKVBias: true, QKNorm: true}

func newTestLoRA(t *testing.T, m *Model, o LoRAOptions) *LoRA {
	t.Helper()
	l, err := m.NewLoRA(o)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(9, 9))
	for _, x := range l.Tensors() {
		if x.Shape[1] == o.Rank { // B
			for i := range x.Data {
				x.Data[i] = 0.3 * float32(r.NormFloat64())
			}
		}
	}
	return l
}

// adaptedReference is the float64 model with the adapter's change added to its weights.
func adaptedReference(l *LoRA, factors [][]float64) *reference {
	ref := newReference(l.base)
	for i, x := range l.Tensors() {
		if i%2 == 1 {
			continue
		}
		const prefix, suffix = "base_model.model.", "lora_A.weight"
		w := ref.named[x.Name[len(prefix):len(x.Name)-len(suffix)]+"weight"]
		a, b, r, in := factors[i], factors[i+1], x.Shape[0], x.Shape[1]
		for j := range w {
			for k := range r {
				w[j] += l.o.Alpha / float64(r) * b[j/in*r+k] * a[k*in+j%in]
			}
		}
	}
	return ref
}

// TestLoRAGradients compares every factor's gradient with central differences
// of a float64 model whose weights hold the change.
func TestLoRAGradients(t *testing.T) {
	for name, targets := range map[string][]string{"all": nil, "some": {"v_proj", "up_proj", "o_proj"}} {
		t.Run(name, func(t *testing.T) {
			m := newTestModel(t, loraVariant)
			l := newTestLoRA(t, m, LoRAOptions{Rank: 3, Alpha: 5, Targets: targets, Seed: 1})
			b := randomBatch(rand.New(rand.NewPCG(3, 4)), loraVariant.VocabSize, 5, 1, 6)
			before := slices.Clone(m.Params())
			g := l.NewGrads()
			loss, err := l.ForwardBackward(NewWorkspace(loraVariant, 0, nil), b, g)
			if err != nil {
				t.Fatal(err)
			}
			var factors [][]float64
			for _, x := range l.Tensors() {
				f := make([]float64, len(x.Data))
				for i, v := range x.Data {
					f[i] = float64(v)
				}
				factors = append(factors, f)
			}
			if want := adaptedReference(l, factors).loss(b); math.Abs(loss.Sum-want) > 1e-5*math.Abs(want) {
				t.Errorf("loss %v, want %v", loss.Sum, want)
			}
			for i, got := range g.Tensors() {
				want := make([]float64, len(got.Data))
				for j := range want {
					const eps = 1e-5
					old := factors[i][j]
					factors[i][j] = old + eps
					up := adaptedReference(l, factors).loss(b)
					factors[i][j] = old - eps
					down := adaptedReference(l, factors).loss(b)
					factors[i][j] = old
					want[j] = (up - down) / (2 * eps)
				}
				if e := relativeError(got.Data, want); e > 3e-5 {
					t.Errorf("%s: relative error of the gradient %.2g", got.Name, e)
				}
			}
			if !slices.Equal(before, m.Params()) {
				t.Error("the model itself has changed")
			}
		})
	}
}

// TestLoRAStart checks that a new adapter changes no bit of the loss, that its
// draws do not depend on the other targets, and that they fill their range.
func TestLoRAStart(t *testing.T) {
	m := newTestModel(t, loraVariant)
	b := randomBatch(rand.New(rand.NewPCG(3, 4)), loraVariant.VocabSize, 9, 30)
	ws := NewWorkspace(loraVariant, 0, nil)
	want, err := m.Forward(ws, b)
	if err != nil {
		t.Fatal(err)
	}
	l, err := m.NewLoRA(LoRAOptions{Rank: 8, Alpha: 16, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := l.Forward(ws, b); err != nil || got.Sum != want.Sum {
		t.Errorf("a new adapter changes the loss from %v to %v (error %v)", want.Sum, got.Sum, err)
	}
	one, err := m.NewLoRA(LoRAOptions{Rank: 8, Alpha: 16, Seed: 5, Targets: []string{"down_proj"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range one.Tensors() {
		i := slices.IndexFunc(l.Tensors(), func(y Tensor) bool { return y.Name == x.Name })
		if i < 0 || !slices.Equal(l.Tensors()[i].Data, x.Data) {
			t.Errorf("%s depends on the other targets", x.Name)
		}
		if x.Shape[0] == 8 { // A, of 10 inputs
			bound := float32(1 / math.Sqrt(10))
			if high, low := slices.Max(x.Data), slices.Min(x.Data); high > bound || high < 0.8*bound || low < -bound || low > -0.8*bound {
				t.Errorf("%s lies in [%v, %v], want close to ±%v", x.Name, low, high, bound)
			}
		}
	}
}

// TestLoRAMerge compares the adapted model with the merged one, and its bits
// with those under recomputation and another number of workers.
func TestLoRAMerge(t *testing.T) {
	m := newTestModel(t, loraVariant)
	l := newTestLoRA(t, m, LoRAOptions{Rank: 4, Alpha: 8, Seed: 1})
	b := randomBatch(rand.New(rand.NewPCG(5, 6)), loraVariant.VocabSize, recomputeLengths...)
	ws, g := NewWorkspace(loraVariant, 0, nil), l.NewGrads()
	adapted, err := l.ForwardBackward(ws, b, g)
	if err != nil {
		t.Fatal(err)
	}
	merged, err := l.Merge().Forward(NewWorkspace(loraVariant, 0, nil), b)
	if err != nil {
		t.Fatal(err)
	}
	if d := math.Abs(adapted.Sum - merged.Sum); d > 1e-5*math.Abs(merged.Sum) {
		t.Errorf("loss %v adapted, %v merged", adapted.Sum, merged.Sum)
	}
	pool := kernel.NewPool(3)
	defer pool.Close()
	again, other := NewWorkspace(loraVariant, 0, pool), l.NewGrads()
	again.SetRecompute(true)
	if _, err := l.ForwardBackward(again, b, other); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(g.Flat(), other.Flat()) {
		t.Error("gradients depend on recomputation or workers")
	}
}

func TestLoRAErrors(t *testing.T) {
	m := newTestModel(t, loraVariant)
	for want, o := range map[string]LoRAOptions{
		"llama: lora: rank is 0, want a number from 1 to the hidden size 12":                                            {Alpha: 1},
		"llama: lora: rank is 13, want a number from 1 to the hidden size 12":                                           {Rank: 13, Alpha: 1},
		"llama: lora: alpha is 0, want a positive number":                                                               {Rank: 1},
		"llama: lora: alpha is NaN, want a positive number":                                                             {Rank: 1, Alpha: math.NaN()},
		`llama: lora: target "q_proj" is named twice`:                                                                   {Rank: 1, Alpha: 1, Targets: []string{"q_proj", "q_proj"}},
		`llama: lora: unknown target "lm_head", want some of [q_proj k_proj v_proj o_proj gate_proj up_proj down_proj]`: {Rank: 1, Alpha: 1, Targets: []string{"lm_head"}},
	} {
		if _, err := m.NewLoRA(o); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	l := newTestLoRA(t, m, LoRAOptions{Rank: 1, Alpha: 1})
	other := newTestLoRA(t, m, LoRAOptions{Rank: 1, Alpha: 1})
	if _, err := l.ForwardBackward(NewWorkspace(loraVariant, 0, nil), randomBatch(rand.New(rand.NewPCG(5, 6)), 19, 3), other.NewGrads()); err == nil {
		t.Error("gradients of another adapter were accepted")
	}
}
