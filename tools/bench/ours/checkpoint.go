//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/because-lab/because/engine/infer"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/weights"
)

// The workloads, as in peer_checkpoint.py.
const (
	longPrompt             = 512          // prefill
	sequences, prompt, new = 32, 64, 64   // decode; single is one such sequence
	rows, length           = 8, 256       // train
	vocabulary             = 49152 - 1024 // tokens that any checkpoint of this size has
)

// checkpoint is our side of checkpoint.py: a workload on a real checkpoint. With "save MODEL FOLDER" it writes the checkpoint
// as plain float32 tensors, which all contenders can load: from a GGUF file transformers would keep them quantised and be slower.
func checkpoint(args []string) error {
	if len(args) == 3 && args[0] == "save" {
		m, err := weights.LoadModel(args[1])
		if err != nil {
			return err
		}
		return weights.SaveModel(args[2], m, weights.SaveOptions{})
	}
	if len(args) != 4 {
		return fmt.Errorf("want four arguments after checkpoint: prefill, decode, single or train, the model, its precision, the number of threads")
	}
	threads, err := strconv.Atoi(args[3])
	if err != nil {
		return fmt.Errorf("threads: %w", err)
	}
	if args[0] == "train" {
		m, err := weights.LoadModel(args[1])
		if err != nil {
			return err
		}
		pool := kernel.NewPool(threads)
		defer pool.Close()
		round, err := training(m, workload{Vocab: vocabulary, Documents: rows, Length: length, Steps: 1}, pool)
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
