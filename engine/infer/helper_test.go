package infer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
)

// memory is a source of tensors that are in memory.
type memory struct {
	c       llama.Config
	shapes  map[string][]int
	tensors map[string][]float32
}

func (m *memory) Config() llama.Config { return m.c }

func (m *memory) Shape(name string) ([]int, bool) {
	s, ok := m.shapes[name]
	return s, ok
}

func (m *memory) Read(name string, at int, dst []float32) error {
	x, ok := m.tensors[name]
	if !ok || at < 0 || at+len(dst) > len(x) {
		return fmt.Errorf("no elements %d..%d", at, at+len(dst))
	}
	copy(dst, x[at:])
	return nil
}

// small is the usual config of the tests: grouped queries, a vocabulary and
// widths that fill no whole panel.
var small = llama.Config{
	VocabSize: 211, HiddenSize: 48, IntermediateSize: 80, Layers: 3, Heads: 6, KVHeads: 2, HeadDim: 16,
	MaxPositions: 300, RopeTheta: 1000, TieEmbeddings: true,
}

// random draws a model's tensors, norms around 1.
func random(c llama.Config, seed uint64) *memory {
	full, err := complete(c)
	if err != nil {
		panic(err)
	}
	m := &memory{c: c, shapes: map[string][]int{}, tensors: map[string][]float32{}}
	r := rand.New(rand.NewPCG(seed, 3))
	add := func(p part) {
		n, mean, std := 1, 0.0, 0.1
		for _, d := range p.shape {
			n *= d
		}
		if len(p.shape) == 2 {
			std = 1.5 / math.Sqrt(float64(p.shape[1]))
		}
		x := make([]float32, n)
		if len(p.shape) == 1 && p.name[len(p.name)-4:] != "bias" {
			mean = 1
		}
		for i := range x {
			x[i] = float32(mean + std*r.NormFloat64())
		}
		m.shapes[p.name], m.tensors[p.name] = p.shape, x
	}
	for _, p := range allParts(full) {
		add(p)
	}
	return m
}

// rounded is m with all matrices rounded to bfloat16.
func (m *memory) rounded() *memory {
	out := &memory{c: m.c, shapes: m.shapes, tensors: map[string][]float32{}}
	for name, x := range m.tensors {
		if len(m.shapes[name]) == 2 {
			y := make([]float32, len(x))
			for i, v := range x {
				y[i] = kernel.WidenBF16(kernel.RoundBF16(v))
			}
			x = y
		}
		out.tensors[name] = x
	}
	return out
}

// trainer is the same model in package llama.
func (m *memory) trainer(t testing.TB) *llama.Model {
	t.Helper()
	out, err := llama.Zero(m.c)
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range out.Tensors() {
		if copy(to.Data, m.tensors[to.Name]) != len(to.Data) {
			t.Fatalf("tensor %s is not there", to.Name)
		}
	}
	return out
}

func start(t testing.TB, src llama.Source, o Options) *Engine {
	t.Helper()
	e, err := New(src, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func text(r *rand.Rand, c llama.Config, n int) []int32 {
	x := make([]int32, n)
	for i := range x {
		x[i] = int32(r.IntN(c.VocabSize))
	}
	return x
}

// apart is the relative distance of two vectors.
func apart(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	var d, n float64
	for i := range a {
		d += math.Pow(float64(a[i])-float64(b[i]), 2)
		n += math.Pow(float64(b[i]), 2)
	}
	return math.Sqrt(d / n)
}

func ids(tokens []Token) []int32 {
	out := make([]int32, len(tokens))
	for i, t := range tokens {
		out[i] = t.ID
	}
	return out
}
