package llama_test

import (
	"context"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/optim"
	"github.com/because-lab/because/engine/weights"
)

// The task: a document lists values, then asks for one of them by its place. It
// takes attention and positions to solve.
const (
	taskValues = 8
	taskPlaces = 5
	taskEnd    = taskValues + taskPlaces
)

var taskConfig = llama.Config{VocabSize: taskEnd + 1, HiddenSize: 32, IntermediateSize: 64, Layers: 2, Heads: 4, MaxPositions: 24, TieEmbeddings: true}

// taskPrompt returns a prompt and its answer.
func taskPrompt(r *rand.Rand) (prompt []int32, answer int32) {
	for range taskPlaces {
		prompt = append(prompt, int32(r.IntN(taskValues)))
	}
	place := r.IntN(taskPlaces)
	return append(prompt, int32(taskValues+place)), prompt[place]
}

func taskBatch(r *rand.Rand, documents int) llama.Batch {
	b := llama.Batch{Starts: []int32{0}}
	for range documents {
		p, answer := taskPrompt(r)
		text := append(p, answer, taskEnd)
		for i, tok := range text[:len(text)-1] {
			w := float32(0)
			if i >= len(text)-3 {
				w = 0.5 / float32(documents)
			}
			b.Tokens, b.Targets, b.Weights = append(b.Tokens, tok), append(b.Targets, text[i+1]), append(b.Weights, w)
		}
		b.Starts = append(b.Starts, int32(len(b.Tokens)))
	}
	return b
}

// trainer is the loop that the tests run: 400 steps in all.
type trainer struct {
	m   *llama.Model
	opt *optim.AdamW
	ws  *llama.Workspace
	g   *llama.Grads
}

func newTrainer(t *testing.T, m *llama.Model) *trainer {
	t.Helper()
	opt, err := optim.New(m.Params(), optim.Options{WeightDecay: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	return &trainer{m, opt, llama.NewWorkspace(m.Config(), 0, nil), m.NewGrads()}
}

func (tr *trainer) run(t *testing.T, from, to int) (last float64) {
	t.Helper()
	schedule := optim.Schedule{Peak: 5e-3, Floor: 0.1, Warmup: 20, Steps: 400}
	for step := from; step < to; step++ {
		tr.g.Zero()
		loss, err := tr.m.ForwardBackward(tr.ws, taskBatch(rand.New(rand.NewPCG(2, uint64(step))), 32), tr.g)
		if err != nil {
			t.Fatal(err)
		}
		_, scale := optim.ClipScale(tr.g.Flat(), 1)
		tr.opt.Step(tr.g.Flat(), schedule.Rate(step), scale)
		last = loss.Sum / loss.Weight
	}
	return last
}

// TestTrainAndSample trains on the task until sampled answers are right.
func TestTrainAndSample(t *testing.T) {
	m, err := llama.New(taskConfig, 1)
	if err != nil {
		t.Fatal(err)
	}
	loss := newTrainer(t, m).run(t, 0, 400)
	r := rand.New(rand.NewPCG(77, 0))
	prompts, answers := make([][]int32, 300), make([]int32, 300)
	for i := range prompts {
		prompts[i], answers[i] = taskPrompt(r)
	}
	out, err := m.Generate(context.Background(), prompts, llama.SampleOptions{MaxNew: 4, Temperature: 1, Stop: []int32{taskEnd}, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for i, c := range out {
		if c.Stop == llama.StopToken && slices.Equal(c.Tokens, answers[i:i+1]) {
			right++
		}
	}
	if right < 270 {
		t.Errorf("%d of 300 answers are right after training to loss %.3f, want 270; chance is 38", right, loss)
	}
}

// TestResume continues from a checkpoint on disk and must end with the bits of
// an uninterrupted run.
func TestResume(t *testing.T) {
	whole, err := llama.New(taskConfig, 1)
	if err != nil {
		t.Fatal(err)
	}
	interrupted := newTrainer(t, whole.Clone())
	newTrainer(t, whole).run(t, 0, 30)

	interrupted.run(t, 0, 17)
	dir := t.TempDir()
	if err := weights.Save(filepath.Join(dir, "m"), &weights.Checkpoint{Model: interrupted.m}); err != nil {
		t.Fatal(err)
	}
	if err := weights.SaveOptimizer(filepath.Join(dir, "o"), interrupted.opt.State()); err != nil {
		t.Fatal(err)
	}
	m, err := weights.LoadModel(filepath.Join(dir, "m"))
	if err != nil {
		t.Fatal(err)
	}
	state, err := weights.LoadOptimizer(filepath.Join(dir, "o"))
	if err != nil {
		t.Fatal(err)
	}
	resumed := newTrainer(t, m)
	if err := resumed.opt.Restore(state); err != nil {
		t.Fatal(err)
	}
	resumed.run(t, 17, 30)
	if !slices.Equal(m.Params(), whole.Params()) {
		t.Error("the resumed run ends with other bits")
	}
}

// TestWorkspaceIsReused bounds what a step allocates once its workspace has grown.
func TestWorkspaceIsReused(t *testing.T) {
	m, err := llama.New(taskConfig, 1)
	if err != nil {
		t.Fatal(err)
	}
	ws, g := llama.NewWorkspace(taskConfig, 0, nil), m.NewGrads()
	b := taskBatch(rand.New(rand.NewPCG(2, 2)), 200)
	step := func() {
		if _, err := m.ForwardBackward(ws, b, g); err != nil {
			t.Fatal(err)
		}
	}
	step()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		step()
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / 10; n > 128<<10 {
		t.Errorf("a step over %d tokens allocates %d bytes", len(b.Tokens), n)
	}
}

// TestNegativeWeights pushes a token's probability down, as a policy gradient does.
func TestNegativeWeights(t *testing.T) {
	m, err := llama.New(taskConfig, 1)
	if err != nil {
		t.Fatal(err)
	}
	tr := newTrainer(t, m)
	b := llama.Batch{Tokens: []int32{1, 2}, Targets: []int32{2, 3}, Weights: []float32{0, -1}, Starts: []int32{0, 2}}
	first := math.Inf(1)
	for range 5 {
		tr.g.Zero()
		loss, err := m.ForwardBackward(tr.ws, b, tr.g)
		if err != nil {
			t.Fatal(err)
		}
		if lp := float64(loss.LogProbs[1]); lp >= first {
			t.Errorf("log-probability rose from %v to %v", first, lp)
		} else {
			first = lp
		}
		tr.opt.Step(tr.g.Flat(), 1e-2, 1)
	}
}
