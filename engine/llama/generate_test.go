package llama

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/because-lab/because/engine/kernel"
)

var sampleConfig = Config{VocabSize: 50, HiddenSize: 32, IntermediateSize: 48, Layers: 2, Heads: 4, KVHeads: 2, MaxPositions: 96, TieEmbeddings: true}

// sampleVariant is sampleConfig with all that Qwen2, Qwen3 and Llama 3 add.
func sampleVariant() Config {
	c := sampleConfig
	c.QKVBias, c.QKNorm = true, true
	c.Rope = RopeScaling{Kind: RopeLlama3, Factor: 8, Low: 1, High: 4, Original: 40}
	return c
}

// samplePrompts has groups of equal prompts and lengths from 1 to 60.
func samplePrompts(n int) [][]int32 {
	r := rand.New(rand.NewPCG(11, 12))
	var out [][]int32
	for len(out) < n {
		p := make([]int32, 1+r.IntN(60))
		for i := range p {
			p[i] = int32(r.IntN(50))
		}
		for range 1 + r.IntN(4) {
			out = append(out, p)
		}
	}
	return out[:n]
}

// TestGenerateSharesRows covers the plan for larger models: one decoder whose
// rows are shared among the workers.
func TestGenerateSharesRows(t *testing.T) {
	c := Config{VocabSize: 50, HiddenSize: 256, IntermediateSize: 512, Layers: 2, Heads: 4, KVHeads: 2, MaxPositions: 96, TieEmbeddings: true}
	m := newTestModel(t, c)
	if n := m.NumParams(); n <= smallModel {
		t.Fatalf("%d parameters are too few", n)
	}
	prompts := samplePrompts(14)
	o := SampleOptions{MaxNew: 12, Temperature: 1, Stop: []int32{3}, Seed: 5}
	want := generate(t, m, prompts, o)
	o.Pool = kernel.NewPool(3)
	defer o.Pool.Close()
	for _, o.Batch = range []int{0, 1, 5} {
		if got := generate(t, m, prompts, o); !reflect.DeepEqual(got, want) {
			t.Errorf("three workers change the completions at batch %d", o.Batch)
		}
	}
}

func generate(t *testing.T, m *Model, prompts [][]int32, o SampleOptions) []Completion {
	t.Helper()
	out, err := m.Generate(context.Background(), prompts, o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestGenerateDoesNotDependOnExecution draws the same samples in batches of
// several sizes, with several workers, and in two calls.
func TestGenerateDoesNotDependOnExecution(t *testing.T) {
	m := newTestModel(t, sampleConfig)
	prompts := samplePrompts(60)
	o := SampleOptions{MaxNew: 30, Temperature: 0.9, TopP: 0.95, Stop: []int32{3, 4, 5}, Seed: 5, First: 100}
	want := generate(t, m, prompts, o)
	for _, batch := range []int{1, 7, 64} {
		o := o
		o.Batch = batch
		if got := generate(t, m, prompts, o); !reflect.DeepEqual(got, want) {
			t.Errorf("batch %d changes the completions", batch)
		}
	}
	for _, workers := range []int{2, 3} {
		o := o
		o.Pool = kernel.NewPool(workers)
		if got := generate(t, m, prompts, o); !reflect.DeepEqual(got, want) {
			t.Errorf("%d workers change the completions", workers)
		}
		o.Pool.Close()
	}
	head := generate(t, m, prompts[:25], o)
	o.First += 25
	if got := append(head, generate(t, m, prompts[25:], o)...); !reflect.DeepEqual(got, want) {
		t.Error("two calls draw other samples than one")
	}
	o.Seed++
	if got := generate(t, m, prompts[25:], o); reflect.DeepEqual(got, want[25:]) {
		t.Error("another seed draws the same samples")
	}
}

// TestGenerateMatchesForward checks every drawn token against the training
// forward pass over the whole text: greedy tokens are its argmax and the
// log-probabilities are its own.
func TestGenerateMatchesForward(t *testing.T) {
	for i, temperature := range []float64{0, 1, 1.5, 0} {
		m := newTestModel(t, sampleConfig)
		if i == 3 {
			m = newTestModel(t, sampleVariant())
		}
		prompts := samplePrompts(20)
		out := generate(t, m, prompts, SampleOptions{MaxNew: 40, Temperature: temperature, Stop: []int32{3}, Seed: 1})
		ref := newReference(m)
		for i, c := range out {
			drawn := slices.Clone(c.Tokens)
			if c.Stop == StopToken {
				drawn = append(drawn, 3)
			} else if n := len(prompts[i]) + len(drawn); len(drawn) != 40 && n != 96 {
				t.Errorf("completion %d of %d tokens ended early", i, len(drawn))
			}
			if len(c.LogProbs) != len(drawn) {
				t.Fatalf("%d log-probabilities for %d tokens", len(c.LogProbs), len(drawn))
			}
			text := append(slices.Clone(prompts[i]), drawn...)
			rows := ref.logits(text[:len(text)-1])
			for j, tok := range drawn {
				z := rows[len(prompts[i])-1+j]
				if temperature == 0 && z[tok] < slices.Max(z)-1e-5 {
					t.Fatalf("completion %d, token %d: %d is not the likeliest", i, j, tok)
				}
				if want := z[tok] - logSumExp(z); math.Abs(float64(c.LogProbs[j])-want) > 1e-5 {
					t.Fatalf("completion %d, token %d: log-probability %v, want %v", i, j, c.LogProbs[j], want)
				}
			}
		}
	}
}

func logSumExp(z []float64) float64 {
	top, sum := slices.Max(z), 0.0
	for _, v := range z {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}

// TestSamplingFrequencies compares the frequencies of first tokens with the
// model's distribution by a chi-squared statistic.
func TestSamplingFrequencies(t *testing.T) {
	m := newTestModel(t, sampleConfig)
	const n = 20000
	prompts := make([][]int32, n)
	for i := range prompts {
		prompts[i] = []int32{1, 2, 3}
	}
	z, err := m.Logits(NewWorkspace(m.cfg, 0, nil), prompts[0], []int32{0, 3})
	if err != nil {
		t.Fatal(err)
	}
	z = z[2*50:]
	for _, tc := range []struct{ temperature, topP float64 }{{1, 0}, {0.7, 1}, {1, 0.6}} {
		p := nucleus(z, tc.temperature, tc.topP)
		counts := make([]float64, 50)
		for _, c := range generate(t, m, prompts, SampleOptions{MaxNew: 1, Temperature: tc.temperature, TopP: tc.topP, Seed: 9}) {
			counts[c.Tokens[0]]++
		}
		chi, cells := 0.0, 0
		for i, want := range p {
			if want == 0 && counts[i] > 0 {
				t.Errorf("%+v: token %d lies outside the nucleus", tc, i)
			}
			if want*n > 5 {
				chi += (counts[i] - want*n) * (counts[i] - want*n) / (want * n)
				cells++
			}
		}
		// 99.99 % of a chi-squared variable lies below mean + 4.5 standard deviations here.
		if limit := float64(cells) + 4.5*math.Sqrt(2*float64(cells)); chi > limit {
			t.Errorf("%+v: chi-squared %.1f over %d cells", tc, chi, cells)
		}
	}
}

// nucleus computes the sampling distribution in float64, by repeatedly taking
// the likeliest token that is left.
func nucleus(logits []float32, temperature, topP float64) []float64 {
	z := make([]float64, len(logits))
	for i, v := range logits {
		z[i] = float64(v) / temperature
	}
	lse := logSumExp(z)
	out, sum := make([]float64, len(z)), 0.0
	for sum < 1-1e-9 && (topP == 0 || sum < topP) {
		best := 0
		for i := range z {
			if z[i] > z[best] {
				best = i
			}
		}
		out[best] = math.Exp(z[best] - lse)
		sum += out[best]
		z[best] = math.Inf(-1)
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

func TestLogProbs(t *testing.T) {
	m := newTestModel(t, sampleVariant())
	prompts := samplePrompts(40)
	r := rand.New(rand.NewPCG(1, 5))
	conts := make([][]int32, len(prompts))
	for i := range conts {
		conts[i] = make([]int32, []int{0, 1, 2, 9, 36}[r.IntN(5)])
		for j := range conts[i] {
			conts[i][j] = int32(r.IntN(50))
		}
	}
	got, err := m.LogProbs(context.Background(), prompts, conts, nil)
	if err != nil {
		t.Fatal(err)
	}
	ref := newReference(m)
	for i, p := range prompts {
		alone, err := m.LogProbs(context.Background(), prompts[i:i+1], conts[i:i+1], nil)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(alone[0], got[i]) {
			t.Errorf("pair %d: log-probabilities depend on the neighbours", i)
		}
		rows := ref.logits(append(slices.Clone(p), conts[i]...))
		for j, tok := range conts[i] {
			z := rows[len(p)-1+j]
			if want := z[tok] - logSumExp(z); math.Abs(float64(got[i][j])-want) > 1e-5 {
				t.Errorf("pair %d, token %d: %v, want %v", i, j, got[i][j], want)
			}
		}
	}
}

func TestGenerateErrors(t *testing.T) {
	m := newTestModel(t, sampleConfig)
	ok := SampleOptions{MaxNew: 3, Temperature: 1}
	for _, tc := range []struct {
		prompts [][]int32
		o       SampleOptions
		want    string
	}{
		{[][]int32{{1}, {}}, ok, "llama: prompt 1 is empty; a completion needs at least one token before it"},
		{[][]int32{{1, 50}}, ok, "llama: prompt 0: token 50 at position 1 is outside the vocabulary of 50"},
		{[][]int32{make([]int32, 96)}, ok, "llama: prompt 0 has 96 tokens, which leaves no room in the model's 96 positions"},
		{nil, SampleOptions{}, "llama: generate: MaxNew is 0, want at least 1"},
		{nil, SampleOptions{MaxNew: 1, Temperature: math.NaN()}, "llama: generate: temperature is NaN, want 0 or a positive number"},
		{nil, SampleOptions{MaxNew: 1, TopP: 2}, "llama: generate: top-p is 2, want a number in [0, 1]"},
		{nil, SampleOptions{MaxNew: 1, Batch: -1}, "llama: generate: batch is -1, want 0 or a positive number"},
	} {
		if _, err := m.Generate(context.Background(), tc.prompts, tc.o); err == nil || err.Error() != tc.want {
			t.Errorf("error %v, want %s", err, tc.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.Generate(ctx, [][]int32{{1}}, ok); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := m.LogProbs(ctx, [][]int32{{1}}, [][]int32{{2}}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
