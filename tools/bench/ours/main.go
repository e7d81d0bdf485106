//go:build unix

// Command ours is the engine's side of compare.py and checkpoint.py: it prepares
// a workload, says "ready", and runs one round for every line it reads, printing
// the round's tokens and seconds as JSON.
//
//	go run ./tools/bench/ours train|generate '{"vocab": 1024, ...}' THREADS
//	go run ./tools/bench/ours checkpoint prefill|decode|single|train MODEL bf16|f32 THREADS
//	go run ./tools/bench/ours checkpoint save MODEL FOLDER
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/optim"
)

// workload is what all contenders do in a round.
type workload struct {
	Vocab, Width, FFN, Layers, Heads int
	Documents, Length                int // training batch
	Steps                            int // training steps a round
	Sequences, Prompt, New           int // sampling
}

func (w workload) config() llama.Config {
	return llama.Config{
		VocabSize: w.Vocab, HiddenSize: w.Width, IntermediateSize: w.FFN, Layers: w.Layers, Heads: w.Heads,
		MaxPositions: max(w.Length, w.Prompt+w.New), TieEmbeddings: true,
	}
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ours:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 && args[0] == "checkpoint" {
		return checkpoint(args[1:])
	}
	if len(args) != 3 {
		return fmt.Errorf("want three arguments: train or generate, the workload, the number of threads")
	}
	var w workload
	if err := json.Unmarshal([]byte(args[1]), &w); err != nil {
		return fmt.Errorf("workload: %w", err)
	}
	threads, err := strconv.Atoi(args[2])
	if err != nil {
		return fmt.Errorf("threads: %w", err)
	}
	pool := kernel.NewPool(threads)
	defer pool.Close()
	m, err := llama.New(w.config(), 1)
	if err != nil {
		return err
	}
	var round func() (tokens int, err error)
	switch args[0] {
	case "train":
		round, err = training(m, w, pool)
	case "generate":
		round, err = sampling(m, w, pool), nil
	default:
		err = fmt.Errorf("unknown mode %q", args[0])
	}
	if err != nil {
		return err
	}
	return serve(round)
}

// serve runs a round to warm up and then one for each line of the input.
func serve(round func() (int, error)) error {
	if _, err := round(); err != nil {
		return err
	}
	fmt.Println("ready", kernel.Name())
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		wall, cpu := time.Now(), cpuSeconds()
		tokens, err := round()
		if err != nil {
			return err
		}
		fmt.Printf("{\"tokens\": %d, \"wall\": %g, \"cpu\": %g}\n", tokens, time.Since(wall).Seconds(), cpuSeconds()-cpu)
	}
	return in.Err()
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// training is forward, backward, clipping and AdamW on one batch.
func training(m *llama.Model, w workload, pool *kernel.Pool) (func() (int, error), error) {
	r := rand.New(rand.NewPCG(1, 2))
	b := llama.Batch{Starts: []int32{0}}
	tokens := w.Documents * w.Length
	for range w.Documents {
		for range w.Length {
			b.Tokens = append(b.Tokens, int32(r.IntN(w.Vocab)))
			b.Targets = append(b.Targets, int32(r.IntN(w.Vocab)))
			b.Weights = append(b.Weights, 1/float32(tokens))
		}
		b.Starts = append(b.Starts, int32(len(b.Tokens)))
	}
	opt, err := optim.New(m.Params(), optim.Options{WeightDecay: 0.1})
	if err != nil {
		return nil, err
	}
	ws, g := llama.NewWorkspace(m.Config(), tokens, pool), m.NewGrads()
	return func() (int, error) {
		for range w.Steps {
			g.Zero()
			if _, err := m.ForwardBackward(ws, b, g); err != nil {
				return 0, err
			}
			_, scale := optim.ClipScale(g.Flat(), 1)
			opt.Step(g.Flat(), 1e-3, scale)
		}
		return w.Steps * tokens, nil
	}, nil
}

// sampling draws completions of full length at temperature 1.
func sampling(m *llama.Model, w workload, pool *kernel.Pool) func() (int, error) {
	r := rand.New(rand.NewPCG(1, 2))
	prompts := make([][]int32, w.Sequences)
	for i := range prompts {
		for range w.Prompt {
			prompts[i] = append(prompts[i], int32(r.IntN(w.Vocab)))
		}
	}
	seed := uint64(0)
	return func() (int, error) {
		seed++
		out, err := m.Generate(context.Background(), prompts, llama.SampleOptions{MaxNew: w.New, Temperature: 1, Seed: seed, Pool: pool})
		n := 0
		for _, c := range out {
			n += len(c.Tokens)
		}
		return n, err
	}
}
