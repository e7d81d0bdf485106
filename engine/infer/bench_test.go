package infer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/because-lab/because/engine/llama"
)

// smol has the shape of SmolLM2-135M (https://huggingface.co/HuggingFaceTB/SmolLM2-135M).
var smol = llama.Config{
	VocabSize: 49152, HiddenSize: 576, IntermediateSize: 1536, Layers: 30, Heads: 9, KVHeads: 3,
	MaxPositions: 2048, RopeTheta: 100000, TieEmbeddings: true,
}

// noise is a source of any size without memory.
type noise struct{ memory }

func newNoise(c llama.Config) *noise {
	full, err := complete(c)
	if err != nil {
		panic(err)
	}
	n := &noise{memory{c: c, shapes: map[string][]int{}}}
	for _, p := range allParts(full) {
		n.shapes[p.name] = p.shape
	}
	return n
}

func (n *noise) Read(name string, at int, dst []float32) error {
	x := uint32(at + 1)
	for i := range dst {
		x = x*1664525 + 1013904223
		dst[i] = float32(int32(x)) * (0.05 / (1 << 31))
	}
	return nil
}

// BenchmarkNew is the packing of the weights.
func BenchmarkNew(b *testing.B) {
	src := newNoise(smol)
	for b.Loop() {
		e, err := New(src, Options{})
		if err != nil {
			b.Fatal(err)
		}
		e.Close()
	}
}

// BenchmarkDecode draws answers of several callers together. tokens/cpu-s counts
// processor time, the better basis on a busy machine; GB/cpu-s is the rate at
// which weights are read, which bounds a single stream.
func BenchmarkDecode(b *testing.B) {
	for _, precision := range []Precision{BF16, F32} {
		for _, callers := range []int{1, 8, 32} {
			for _, workers := range []int{1, 2} {
				b.Run(fmt.Sprintf("%s/sequences=%d/workers=%d", precision, callers, workers), func(b *testing.B) {
					const prompt, answer = 32, 64
					e := start(b, newNoise(smol), Options{Precision: precision, Workers: workers, MinPrefix: -1})
					bytes := float64(e.Stats().Steps)
					before, wall := cpuTime(), time.Now()
					for b.Loop() {
						decodeAll(b, e, callers, prompt, answer)
					}
					cpu := (cpuTime() - before).Seconds()
					need, _ := Estimate(smol, Options{Precision: precision})
					bytes = (float64(e.Stats().Steps) - bytes) * float64(need.Weights)
					drawn := float64(b.N * callers * answer)
					b.ReportMetric(drawn/cpu, "tokens/cpu-s")
					b.ReportMetric(drawn/time.Since(wall).Seconds(), "tokens/s")
					b.ReportMetric(bytes/cpu/1e9, "GB/cpu-s")
				})
			}
		}
	}
}

func decodeAll(b *testing.B, e *Engine, callers, prompt, answer int) {
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			p := text(rand.New(rand.NewPCG(1, uint64(i))), smol, prompt)
			if _, err := e.Generate(context.Background(), Request{Prompt: p, MaxNew: answer}, nil); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
}

// BenchmarkPrefill reads a prompt of 512 tokens.
func BenchmarkPrefill(b *testing.B) {
	for _, precision := range []Precision{BF16, F32} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/workers=%d", precision, workers), func(b *testing.B) {
				const n = 512
				e := start(b, newNoise(smol), Options{Precision: precision, Workers: workers, MinPrefix: -1})
				p := text(rand.New(rand.NewPCG(1, 2)), smol, n)
				before, wall := cpuTime(), time.Now()
				for b.Loop() {
					if _, err := e.Generate(context.Background(), Request{Prompt: p, MaxNew: 1}, nil); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N*n)/(cpuTime()-before).Seconds(), "tokens/cpu-s")
				b.ReportMetric(float64(b.N*n)/time.Since(wall).Seconds(), "tokens/s")
			})
		}
	}
}
