//go:build unix

// Command checkpoint is our side of checkpoint.py: it loads a checkpoint, says "ready", and runs one round of a workload for
// every line it reads, printing the round's tokens and seconds as JSON.
//
//	go run ./tools/bench/checkpoint prefill|decode|single|train MODEL bf16|f32 THREADS
//
// With "save MODEL FOLDER" it writes the checkpoint as plain float32 tensors, which all contenders can load: from a GGUF file
// transformers would keep them quantised and be slower.
package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/because-lab/because/engine/infer"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/optim"
	"github.com/because-lab/because/engine/weights"
)

// The workloads, as in peer_checkpoint.py.
const (
	longPrompt             = 512          // prefill
	sequences, prompt, new = 32, 64, 64   // decode; single is one such sequence
	rows, length           = 8, 256       // train
	vocabulary             = 49152 - 1024 // tokens that any checkpoint of this size has
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "checkpoint:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 3 && args[0] == "save" {
		m, err := weights.LoadModel(args[1])
		if err != nil {
			return err
		}
		return weights.SaveModel(args[2], m, weights.SaveOptions{})
	}
	if len(args) != 4 {
		return fmt.Errorf("want four arguments: prefill, decode, single or train, the model, its precision, the number of threads")
	}
	threads, err := strconv.Atoi(args[3])
	if err != nil {
		return fmt.Errorf("threads: %w", err)
	}
	if args[0] == "train" {
		round, err := training(args[1], threads)
		if err != nil {
			return err
		}
		return serve(round)
	}
	src, err := weights.OpenSource(args[1])
	if err != nil {
		return err
	}
	defer src.Close()
	e, err := infer.New(src, infer.Options{Precision: infer.Precision(args[2]), Workers: threads, MinPrefix: -1})
	if err != nil {
		return err
	}
	defer e.Close()
	switch args[0] {
	case "prefill":
		return serve(generation(e, 1, longPrompt, 1))
	case "decode":
		return serve(generation(e, sequences, prompt, new))
	case "single":
		return serve(generation(e, 1, prompt, new))
	}
	return fmt.Errorf("unknown workload %q", args[0])
}

// generation answers n prompts together. What counts are the answers' tokens, or the prompt's where an answer has but one.
func generation(e *infer.Engine, n, prompt, answer int) func() (int, error) {
	r := rand.New(rand.NewPCG(1, 2))
	return func() (int, error) {
		var g errgroup.Group
		for i := range n {
			tokens := random(r, prompt)
			g.Go(func() error {
				_, err := e.Generate(context.Background(), infer.Request{Prompt: tokens, MaxNew: answer, Temperature: 1, Seed: uint64(i)}, nil)
				return err
			})
		}
		if answer == 1 {
			return n * prompt, g.Wait()
		}
		return n * answer, g.Wait()
	}
}

func random(r *rand.Rand, n int) []int32 {
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = int32(r.IntN(vocabulary))
	}
	return tokens
}

// training is forward, backward, clipping and AdamW on one batch.
func training(path string, threads int) (func() (int, error), error) {
	m, err := weights.LoadModel(path)
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(1, 2))
	b := llama.Batch{Starts: []int32{0}}
	for range rows {
		tokens := random(r, length+1)
		b.Tokens, b.Targets = append(b.Tokens, tokens[:length]...), append(b.Targets, tokens[1:]...)
		for range length {
			b.Weights = append(b.Weights, 1/float32(rows*length))
		}
		b.Starts = append(b.Starts, int32(len(b.Tokens)))
	}
	opt, err := optim.New(m.Params(), optim.Options{})
	if err != nil {
		return nil, err
	}
	ws, g := llama.NewWorkspace(m.Config(), rows*length, kernel.NewPool(threads)), m.NewGrads()
	return func() (int, error) {
		g.Zero()
		if _, err := m.ForwardBackward(ws, b, g); err != nil {
			return 0, err
		}
		_, scale := optim.ClipScale(g.Flat(), 1)
		opt.Step(g.Flat(), 1e-5, scale)
		return rows * length, nil
	}, nil
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
