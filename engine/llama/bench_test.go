package llama

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/optim"
)

// benchModel is a model and the batch it is trained on.
type benchModel struct {
	name      string
	config    Config
	documents int
	length    int
}

var benchModels = []benchModel{
	{"width128", Config{VocabSize: 1024, HiddenSize: 128, IntermediateSize: 344, Layers: 4, Heads: 4, MaxPositions: 256, TieEmbeddings: true}, 32, 256},
	{"width64", Config{VocabSize: 600, HiddenSize: 64, IntermediateSize: 128, Layers: 3, Heads: 4, MaxPositions: 256, TieEmbeddings: true}, 32, 60},
}

// smolLM2 has the shape of SmolLM2-135M, at the batch that fine-tuning is measured with.
var smolLM2 = benchModel{"smollm2-135m", Config{
	VocabSize: 49152, HiddenSize: 576, IntermediateSize: 1536, Layers: 30, Heads: 9, KVHeads: 3, MaxPositions: 2048, RopeTheta: 1e5, TieEmbeddings: true,
}, 8, 256}

// flops counts the multiply-adds of a training step as 2 operations each:
// matrix products forward and backward, and the causal half of attention.
func (b *benchModel) flops() float64 {
	c := b.config.withDefaults()
	t := float64(b.documents * b.length)
	d, a := float64(c.HiddenSize), float64(c.attnWidth())
	weights := float64(c.Layers)*(d*float64(c.qkvWidth())+d*a+3*d*float64(c.IntermediateSize)) + float64(c.VocabSize)*d
	return 6*weights*t + 3*float64(c.Layers)*2*t*float64(b.length)*a
}

// BenchmarkTrainStep is forward, backward, clipping and AdamW.
func BenchmarkTrainStep(b *testing.B) {
	for _, bm := range benchModels {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/workers=%d", bm.name, workers), func(b *testing.B) {
				pool := kernel.NewPool(workers)
				defer pool.Close()
				m, err := New(bm.config, 1)
				if err != nil {
					b.Fatal(err)
				}
				lengths := make([]int, bm.documents)
				for i := range lengths {
					lengths[i] = bm.length
				}
				batch := randomBatch(rand.New(rand.NewPCG(1, 2)), bm.config.VocabSize, lengths...)
				fill(batch.Weights, 1/float32(len(batch.Weights)))
				opt, err := optim.New(m.Params(), optim.Options{WeightDecay: 0.1})
				if err != nil {
					b.Fatal(err)
				}
				ws, g := NewWorkspace(bm.config, len(batch.Tokens), pool), m.NewGrads()
				b.ReportAllocs()
				before := cpuTime()
				for b.Loop() {
					g.Zero()
					if _, err := m.ForwardBackward(ws, batch, g); err != nil {
						b.Fatal(err)
					}
					_, scale := optim.ClipScale(g.Flat(), 1)
					opt.Step(g.Flat(), 1e-3, scale)
				}
				seconds := (cpuTime() - before).Seconds() / float64(b.N)
				b.ReportMetric(float64(len(batch.Tokens))/seconds, "tokens/cpu-s")
				b.ReportMetric(bm.flops()/seconds/1e9, "GFLOP/cpu-s")
			})
		}
	}
}

// BenchmarkFineTuneStep is forward and backward, and for all parameters the
// update, at SmolLM2's size: 2048 tokens take some 10 s on two cores. Run it
// with -benchtime 1x.
func BenchmarkFineTuneStep(b *testing.B) {
	if testing.Short() {
		b.Skip("one step takes seconds")
	}
	pool := kernel.NewPool(0)
	defer pool.Close()
	m, err := New(smolLM2.config, 1)
	if err != nil {
		b.Fatal(err)
	}
	batch := randomBatch(rand.New(rand.NewPCG(1, 2)), smolLM2.config.VocabSize, slices.Repeat([]int{smolLM2.length}, smolLM2.documents)...)
	fill(batch.Weights, 1/float32(len(batch.Weights)))
	l, err := m.NewLoRA(LoRAOptions{Rank: 16, Alpha: 32})
	if err != nil {
		b.Fatal(err)
	}
	opt, err := optim.New(m.Params(), optim.Options{})
	if err != nil {
		b.Fatal(err)
	}
	grads, low := m.NewGrads(), l.NewGrads()
	full := func(ws *Workspace) error {
		grads.Zero()
		_, err := m.ForwardBackward(ws, batch, grads)
		_, scale := optim.ClipScale(grads.Flat(), 1)
		opt.Step(grads.Flat(), 1e-5, scale)
		return err
	}
	for _, v := range []struct {
		name      string
		recompute bool
		step      func(ws *Workspace) error
	}{{"full", false, full}, {"full/recompute", true, full}, {"lora16", false, func(ws *Workspace) error {
		_, err := l.ForwardBackward(ws, batch, low)
		return err
	}}} {
		b.Run(v.name, func(b *testing.B) {
			ws := NewWorkspace(smolLM2.config, 0, pool)
			ws.SetRecompute(v.recompute)
			before := cpuTime()
			for b.Loop() {
				if err := v.step(ws); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*len(batch.Tokens))/(cpuTime()-before).Seconds(), "tokens/cpu-s")
		})
	}
}

// BenchmarkGenerate draws completions of fixed length.
func BenchmarkGenerate(b *testing.B) {
	for _, tc := range []struct {
		benchModel
		batch, sequences, prompt, new int
	}{
		{benchModels[0], 0, 64, 8, 192},
		{benchModels[1], 0, 256, 45, 30},
	} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/workers=%d", tc.name, workers), func(b *testing.B) {
				pool := kernel.NewPool(workers)
				defer pool.Close()
				m, err := New(tc.config, 1)
				if err != nil {
					b.Fatal(err)
				}
				r := rand.New(rand.NewPCG(1, 2))
				prompts := make([][]int32, tc.sequences)
				for i := range prompts {
					for range tc.prompt {
						prompts[i] = append(prompts[i], int32(r.IntN(tc.config.VocabSize)))
					}
				}
				o := SampleOptions{MaxNew: tc.new, Temperature: 1, Batch: tc.batch, Pool: pool}
				b.ReportAllocs()
				before := cpuTime()
				for b.Loop() {
					if _, err := m.Generate(context.Background(), prompts, o); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N*tc.sequences*tc.new)/(cpuTime()-before).Seconds(), "tokens/cpu-s")
			})
		}
	}
}
