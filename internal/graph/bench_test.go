package graph_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/because-lab/because/internal/graph"
	"github.com/because-lab/because/internal/store"
)

// benchGraph gives a graph of 600 steps (20 chains of 30), each with 256 KiB of output, in a store that has them all.
func benchGraph(b *testing.B) *graph.Graph {
	s, err := store.Open(b.TempDir(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.TryLock(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Unlock() })
	var steps []graph.Step
	for chain := range 20 {
		for i := range 30 {
			step := graph.Step{ID: fmt.Sprintf("%d/%d", chain, i), Kind: "toy", Params: []int{chain, i}}
			if i > 0 {
				step.Needs = []graph.Input{{Name: "in", Step: fmt.Sprintf("%d/%d", chain, i-1)}}
			}
			step.Run = func(_ context.Context, t *graph.Task) error {
				text := append(bytes.Repeat([]byte("sample\n"), 256<<10/7), t.Step...)
				return os.WriteFile(filepath.Join(t.Output, "samples.jsonl"), text, 0o600)
			}
			steps = append(steps, step)
		}
	}
	g, err := graph.New("bench", steps, s)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := g.Run(b.Context(), graph.Options{}); err != nil {
		b.Fatal(err)
	}
	return g
}

func BenchmarkPlanCached(b *testing.B) {
	g := benchGraph(b)
	for b.Loop() {
		if _, err := g.Plan(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRunCached(b *testing.B) {
	g := benchGraph(b)
	for b.Loop() {
		if _, err := g.Run(b.Context(), graph.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
