package sft

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/train"
)

// The toy language: a mark, one of 8 letters at random, the three letters after it (h is followed by a), an end.
const (
	letters = 8
	mark    = letters
	end     = letters + 1
)

func sentence(r *rand.Rand) []int32 {
	x := r.Int32N(letters)
	return []int32{mark, x, (x + 1) % letters, (x + 2) % letters, (x + 3) % letters, end}
}

// entropy is the mean loss per token of the toy language's sentences under the language itself: only the first of five
// predicted tokens is uncertain.
var entropy = math.Log(letters) / 5

func newModel(t *testing.T) *llama.Model {
	t.Helper()
	m, err := llama.New(llama.Config{VocabSize: letters + 2, HiddenSize: 16, IntermediateSize: 32, Layers: 2, Heads: 2, MaxPositions: 16, TieEmbeddings: true}, 5)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// speak is a source of sentences. Their loss begins at changing places, so that masks are a part of what is tested.
func speak(seed uint64, loss ...int) Source {
	r := rand.New(rand.NewPCG(seed, 0))
	return func(n int) (Sequence, error) {
		return Sequence{Tokens: sentence(r), Loss: loss[n%len(loss)]}, nil
	}
}

func job(batch int) train.Job {
	return train.Job{Method: train.SFT, Batch: batch, LR: 1e-2, Floor: 0.1, Schedule: "cosine", Warmup: 10, Clip: 1}
}

func TestRunLearns(t *testing.T) {
	m := newModel(t)
	run, err := Run(t.Context(), m, speak(1, 1), 16*300, job(16), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	first, last := run.Loss[0], run.Loss[len(run.Loss)-1]
	if len(run.Loss) != 10 || first < 2*entropy || math.Abs(last-entropy) > 0.01 {
		t.Errorf("loss fell from %.4f to %.4f in %d tenths; the language has %.4f", first, last, len(run.Loss), entropy)
	}
	got, err := m.Generate(t.Context(), [][]int32{{mark, 6}}, llama.SampleOptions{MaxNew: 8, Stop: []int32{end}})
	if err != nil || !slices.Equal(got[0].Tokens, []int32{7, 0, 1}) {
		t.Errorf("after g it says %v, %v", got[0].Tokens, err)
	}
	run.Loss = nil
	if d := cmp.Diff(train.Run{Method: train.SFT, Steps: 300, Records: 4800, Tokens: 4800 * 6}, run); d != "" {
		t.Errorf("run (-want +got):\n%s", d)
	}
}

// TestLoss compares the loss of a first step, which the weights before it decide, with the mean over the tokens
// from each sequence's index Loss on.
func TestLoss(t *testing.T) {
	m := newModel(t)
	next := speak(2, 0, 1, 3, 5, 6) // 0 is as 1: nothing predicts the first token; 6 is a sequence without loss
	var prompts, rest [][]int32
	tokens := 0
	for n := range 10 {
		s, _ := next(n)
		at := max(1, s.Loss)
		if at < len(s.Tokens) {
			prompts, rest = append(prompts, s.Tokens[:at]), append(rest, s.Tokens[at:])
			tokens += len(s.Tokens) - at
		}
	}
	logps, err := m.LogProbs(t.Context(), prompts, rest, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := 0.0
	for _, lp := range logps {
		for _, x := range lp {
			want -= float64(x) / float64(tokens)
		}
	}
	j := job(10)
	j.Warmup = 0
	run, err := Run(t.Context(), m, speak(2, 0, 1, 3, 5, 6), 10, j, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Loss) != 1 || math.Abs(run.Loss[0]-want) > 1e-5 {
		t.Errorf("loss %v, want %.6f", run.Loss, want)
	}
}

// What stands at masked targets changes nothing, and what stands at others does.
func TestMask(t *testing.T) {
	update := func(change func(b *llama.Batch, i int) bool) []float32 {
		var p train.Packer
		if err := fill(&p, speak(3, 2, 4), 0, 6); err != nil {
			t.Fatal(err)
		}
		for i := range p.Batch.Targets {
			if change(&p.Batch, i) {
				p.Batch.Targets[i] = (p.Batch.Targets[i] + 1) % (letters + 2)
			}
		}
		m := newModel(t)
		l, err := train.NewLearner(m, job(6), 20, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Update(p.Batch); err != nil {
			t.Fatal(err)
		}
		return m.Params()
	}
	as := update(func(*llama.Batch, int) bool { return false })
	if !slices.Equal(as, update(func(b *llama.Batch, i int) bool { return b.Weights[i] == 0 })) {
		t.Error("masked targets changed the update")
	}
	if slices.Equal(as, update(func(b *llama.Batch, i int) bool { return b.Weights[i] != 0 })) {
		t.Error("targets with loss did not change the update")
	}
	// A prompt without loss is read and not learned: here it contradicts what is learned elsewhere.
	m := newModel(t)
	r := rand.New(rand.NewPCG(4, 0))
	if _, err := Run(t.Context(), m, func(int) (Sequence, error) {
		return Sequence{Tokens: append([]int32{mark, 3, 3, 3, 3, 3, end}, sentence(r)...), Loss: 7}, nil
	}, 16*40, job(16), nil, nil); err != nil {
		t.Fatal(err)
	}
	lp, err := m.LogProbs(t.Context(), [][]int32{{mark, 3}}, [][]int32{{3}}, nil)
	if err != nil || lp[0][0] > float32(math.Log(0.5)) {
		t.Errorf("the model took a masked prompt for an example: log-probability %v, %v", lp, err)
	}
}

func TestWorkersGiveEqualBits(t *testing.T) {
	train := func(pool *kernel.Pool) ([]float32, train.Run) {
		defer pool.Close()
		m := newModel(t)
		run, err := Run(t.Context(), m, speak(5, 1, 3), 64*12, job(64), pool, nil)
		if err != nil {
			t.Fatal(err)
		}
		return m.Params(), run
	}
	params, run := train(nil)
	if slices.Equal(params, newModel(t).Params()) {
		t.Fatal("nothing was trained")
	}
	for _, workers := range []int{1, 2, 3} {
		p, r := train(kernel.NewPool(workers))
		if !slices.Equal(params, p) || !cmp.Equal(run, r) {
			t.Errorf("%d workers gave other bits", workers)
		}
	}
}

// TestSteps checks which sequences a run asks for, and how its last batch and its progress end.
func TestSteps(t *testing.T) {
	for _, c := range []struct{ records, batch, steps int }{{10, 4, 3}, {12, 4, 3}, {1, 4, 1}, {3, 1, 3}, {41, 2, 21}} {
		var asked []int
		source := speak(6, 1)
		next := func(n int) (Sequence, error) {
			asked = append(asked, n)
			return source(n)
		}
		var done, total float64
		j := job(c.batch)
		j.Warmup = 0
		run, err := Run(t.Context(), newModel(t), next, c.records, j, nil, func(d, of float64, unit, note string) {
			if d <= done || unit != "tokens" || !strings.HasPrefix(note, "loss ") {
				t.Errorf("%+v: progress %v after %v, unit %q, note %q", c, d, done, unit, note)
			}
			done, total = d, of
		})
		if err != nil {
			t.Fatal(err)
		}
		if run.Steps != c.steps || run.Records != c.records || run.Tokens != 6*c.records || len(run.Loss) != min(10, c.steps) {
			t.Errorf("%+v gave %+v", c, run)
		}
		if len(asked) != c.records || !slices.IsSorted(asked) || asked[0] != 0 {
			t.Errorf("%+v asked for %v", c, asked)
		}
		if done != float64(run.Tokens) || total != done {
			t.Errorf("%+v: progress ended at %v of %v", c, done, total)
		}
	}
}

func TestCancel(t *testing.T) {
	j := job(4)
	j.Schedule, j.Warmup = "constant", 0
	short := newModel(t)
	if _, err := Run(t.Context(), short, speak(7, 1), 3*4, j, nil, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	source, asked := speak(7, 1), 0
	m := newModel(t)
	_, err := Run(ctx, m, func(n int) (Sequence, error) {
		if asked++; n == 9 { // within the third batch
			cancel()
		}
		return source(n)
	}, 1<<30, j, nil, nil)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "before step 4 of 268435456") {
		t.Errorf("got %v", err)
	}
	if asked != 12 || !slices.Equal(short.Params(), m.Params()) {
		t.Errorf("after %d sequences the model is not that of three whole steps", asked)
	}
	before := slices.Clone(m.Params())
	if _, err := Run(ctx, m, source, 4, j, nil, nil); !errors.Is(err, context.Canceled) || !slices.Equal(before, m.Params()) {
		t.Errorf("cancelled before it began: %v", err)
	}
}

func TestRunFails(t *testing.T) {
	lost := errors.New("the corpus is lost")
	sound := speak(8, 1)
	for _, c := range []struct {
		name    string
		next    Source
		records int
		job     func(j *train.Job)
		want    string
		is      error
	}{
		{"no batch", sound, 8, func(j *train.Job) { j.Batch = 0 }, "train: batch: is 0", nil},
		{"no records", sound, 0, nil, "0 steps", nil},
		{"no rate", sound, 8, func(j *train.Job) { j.LR = 0 }, "peak rate is 0", nil},
		{"source", func(n int) (Sequence, error) {
			if n == 5 {
				return Sequence{}, lost
			}
			return sound(n)
		}, 8, nil, "train: step 2: the corpus is lost", lost},
		{"no loss", func(int) (Sequence, error) { return Sequence{Tokens: []int32{1, 2}, Loss: 2}, nil }, 8, nil, "train: step 1: no token of the batch carries loss", nil},
		{"empty sequence", func(n int) (Sequence, error) {
			if n == 1 {
				return Sequence{}, nil
			}
			return sound(n)
		}, 8, nil, "train: step 1: llama: batch: document 1 has 0 tokens", nil},
		{"unknown token", func(int) (Sequence, error) { return Sequence{Tokens: []int32{1, 99}}, nil }, 8, nil, "token 99", nil},
		{"too long", func(int) (Sequence, error) { return Sequence{Tokens: make([]int32, 17)}, nil }, 8, nil, "at most 16", nil},
		{"no sequences", Shuffled(nil, rand.New(rand.NewPCG(1, 1))), 8, nil, "train: step 1: there are no sequences", nil},
	} {
		j := job(4)
		j.Warmup = 0
		if c.job != nil {
			c.job(&j)
		}
		_, err := Run(t.Context(), newModel(t), c.next, c.records, j, nil, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// A run whose weights blow up ends with an error and a hint, not with a model of NaNs.
func TestDivergence(t *testing.T) {
	m := newModel(t)
	j := job(4)
	j.LR, j.Warmup = 1e38, 0
	_, err := Run(t.Context(), m, speak(9, 1), 4*50, j, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "gradient norm") || because.Hint(err) != "lower the learning rate" {
		t.Errorf("got %v, hint %q", err, because.Hint(err))
	}
}

func TestShuffled(t *testing.T) {
	const n, rounds = 23, 4
	var seqs []Sequence
	for i := range n {
		seqs = append(seqs, Sequence{Tokens: []int32{int32(i)}})
	}
	visit := func(seed uint64) [][]int32 {
		next := Shuffled(seqs, rand.New(rand.NewPCG(seed, 0)))
		out := make([][]int32, rounds)
		for i := range n * rounds {
			s, err := next(i)
			if err != nil {
				t.Fatal(err)
			}
			out[i/n] = append(out[i/n], s.Tokens[0])
		}
		return out
	}
	orders := visit(1)
	for i, order := range orders {
		for _, earlier := range orders[:i] {
			if slices.Equal(order, earlier) {
				t.Errorf("round %d goes as an earlier one", i+1)
			}
		}
		sorted := slices.Sorted(slices.Values(order))
		for k := range n {
			if sorted[k] != int32(k) {
				t.Fatalf("round %d visits %v", i+1, order)
			}
		}
	}
	if !cmp.Equal(orders, visit(1)) || cmp.Equal(orders, visit(2)) {
		t.Error("the order is not the seed's")
	}
}
