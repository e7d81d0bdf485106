package rl

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/train"
)

// A vocabulary of two prompts, an end, and the arms of a bandit.
const (
	end   = 2
	arms  = 3
	vocab = 8
)

func newModel(t *testing.T) *llama.Model {
	t.Helper()
	m, err := llama.New(llama.Config{VocabSize: vocab, HiddenSize: 16, IntermediateSize: 24, Layers: 1, Heads: 2, MaxPositions: 12}, 11)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// say gives an answer in letters, so that reward functions can read it.
func say(tokens []int32) (string, error) {
	var b strings.Builder
	for _, x := range tokens {
		b.WriteByte('a' + byte(x))
	}
	return b.String(), nil
}

// bandits are episodes in which each prompt wants another answer, scored by reward.
func bandits(reward func(prompt int, answer string) float64) Env {
	n := 0
	return func() (Episode, error) {
		p := n % 2
		n++
		return Episode{Prompt: []int32{int32(p), int32(p)}, Reward: func(answer string) float64 { return reward(p, answer) }}, nil
	}
}

// pull rewards the first arm after prompt 0 and the last after prompt 1.
func pull(prompt int, answer string) float64 {
	if want := [2]byte{'a' + arms, 'a' + vocab - 1}[prompt]; answer != "" && answer[0] == want {
		return 1
	}
	return 0
}

func job(steps int) train.Job {
	return train.Job{LR: 1e-2, Schedule: "constant", Clip: 1, Steps: steps, Prompts: 4, Group: 8}
}

func options() Options {
	return Options{Seed: 3, MaxTokens: 3, Stop: end, Decode: say}
}

func TestRewardRises(t *testing.T) {
	m := newModel(t)
	var notes []string
	o := options()
	o.Report = func(done, total float64, unit, note string) {
		notes = append(notes, fmt.Sprintf("%v/%v %s %s", done, total, unit, note))
	}
	run, err := Run(t.Context(), m, bandits(pull), job(60), o)
	if err != nil {
		t.Fatal(err)
	}
	mean := func(x []float64) (sum float64) {
		for _, r := range x {
			sum += r / float64(len(x))
		}
		return sum
	}
	first, last := mean(run.Rewards[:5]), mean(run.Rewards[55:])
	if len(run.Rewards) != 60 || first > 0.4 || last < 0.95 {
		t.Errorf("reward went from %.2f to %.2f in %d steps", first, last, len(run.Rewards))
	}
	// The model itself has learnt it: each prompt gets its own arm.
	got, err := m.LogProbs(t.Context(), [][]int32{{0, 0}, {1, 1}}, [][]int32{{arms}, {vocab - 1}}, nil)
	if err != nil || got[0][0] < float32(math.Log(0.8)) || got[1][0] < float32(math.Log(0.8)) {
		t.Errorf("log-probabilities of the best arms: %v, %v", got, err)
	}
	if run.Method != train.RL || run.Steps != 60 || run.Records != 60*4*8 || run.Removed != 0 {
		t.Errorf("run: %+v", run)
	}
	if want := fmt.Sprintf("60/60 steps reward %.2f", run.Rewards[59]); len(notes) != 60 || notes[59] != want {
		t.Errorf("%d notes, the last %q, want %q", len(notes), notes[len(notes)-1], want)
	}
}

// Where the answers to each prompt agree in reward there is nothing to learn, whatever the reward.
func TestNoSpreadNoUpdate(t *testing.T) {
	for _, reward := range []float64{0, 1, 0.1, -1.0 / 3} {
		m := newModel(t)
		o := options()
		n := 0.0
		env := bandits(func(prompt int, answer string) float64 { n++; return reward + float64(prompt) })
		run, err := Run(t.Context(), m, env, job(3), o)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(m.Params(), newModel(t).Params()) {
			t.Errorf("reward %v: the model changed", reward)
		}
		if n != 3*4*8 || math.Abs(run.Rewards[2]-reward-0.5) > 1e-12 {
			t.Errorf("reward %v: %v answers were scored, and rewards were %v", reward, n, run.Rewards)
		}
	}
}

// Answers that hold something reserved are counted and have no part in the update, not even by their reward.
func TestReserved(t *testing.T) {
	try := func(reserved func(string) bool, bonus float64) ([]float32, train.Run, int) {
		m, hits := newModel(t), 0
		inner := bandits(func(p int, answer string) float64 {
			if reserved(answer) {
				return bonus
			}
			return pull(p, answer)
		})
		env := func() (Episode, error) {
			e, err := inner()
			e.Reserved = func(answer string) bool {
				if reserved(answer) {
					hits++
				}
				return reserved(answer)
			}
			return e, err
		}
		run, err := Run(t.Context(), m, env, job(4), options())
		if err != nil {
			t.Fatal(err)
		}
		return m.Params(), run, hits
	}
	some := func(answer string) bool { return strings.Contains(answer, "f") }
	low, run, hits := try(some, 0)
	if hits == 0 || hits == 4*4*8 || run.Removed != hits {
		t.Errorf("%d of 128 answers were reserved, and %d were counted", hits, run.Removed)
	}
	high, rich, _ := try(some, 100)
	if !slices.Equal(low, high) {
		t.Error("the reward of reserved answers changed the update")
	}
	if rich.Rewards[0] <= run.Rewards[0] {
		t.Error("the mean reward leaves reserved answers out")
	}
	if free, _, _ := try(func(string) bool { return false }, 0); slices.Equal(low, free) {
		t.Error("reserved answers were trained on")
	}
	none, run, _ := try(func(string) bool { return true }, 1)
	if run.Removed != 4*4*8 || !slices.Equal(none, newModel(t).Params()) {
		t.Errorf("with everything reserved %d were removed, or the model changed", run.Removed)
	}
}

// A snapshot is the model that a shorter run would have given, and the last step is the run's own result.
func TestSnapshots(t *testing.T) {
	m := newModel(t)
	kept := map[int][]float32{}
	var order []int
	o := options()
	o.Snapshot = func(step int) error {
		kept[step] = slices.Clone(m.Params())
		order = append(order, step)
		return nil
	}
	j := job(5)
	j.Snapshots = []int{1, 3, 5}
	if _, err := Run(t.Context(), m, bandits(pull), j, o); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(order, []int{1, 3}) {
		t.Fatalf("kept after steps %v", order)
	}
	for _, step := range order {
		short := newModel(t)
		if _, err := Run(t.Context(), short, bandits(pull), job(step), options()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(short.Params(), kept[step]) {
			t.Errorf("the snapshot after step %d is not a run of %d steps", step, step)
		}
	}
	full := errors.New("disk full")
	o.Snapshot = func(int) error { return full }
	if _, err := Run(t.Context(), newModel(t), bandits(pull), j, o); !errors.Is(err, full) || !strings.Contains(err.Error(), "step 1") {
		t.Errorf("got %v", err)
	}
}

func TestDeterminism(t *testing.T) {
	try := func(seed uint64, pool *kernel.Pool) ([]float32, train.Run) {
		defer pool.Close()
		m, o := newModel(t), options()
		o.Seed, o.Pool = seed, pool
		run, err := Run(t.Context(), m, bandits(pull), job(4), o)
		if err != nil {
			t.Fatal(err)
		}
		return m.Params(), run
	}
	params, run := try(1, nil)
	for _, workers := range []int{1, 2} {
		if p, r := try(1, kernel.NewPool(workers)); !slices.Equal(params, p) || !cmp.Equal(run, r) {
			t.Errorf("%d workers gave other bits", workers)
		}
	}
	if p, _ := try(2, nil); slices.Equal(params, p) {
		t.Error("another seed gave the same answers")
	}
}

func TestCancel(t *testing.T) {
	short := newModel(t)
	if _, err := Run(t.Context(), short, bandits(pull), job(2), options()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	m, calls, inner := newModel(t), 0, bandits(pull)
	_, err := Run(ctx, m, func() (Episode, error) {
		if calls++; calls == 2*4+1 { // while the third step is prepared
			cancel()
		}
		return inner()
	}, job(1000), options())
	if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "roll out: step 3: ") {
		t.Errorf("got %v", err)
	}
	if calls != 3*4 || !slices.Equal(short.Params(), m.Params()) {
		t.Errorf("after %d episodes the model is not that of two whole steps", calls)
	}
}

func TestRunFails(t *testing.T) {
	lost := errors.New("no more scenes")
	for _, c := range []struct {
		name   string
		env    Env
		change func(j *train.Job, o *Options)
		want   string
	}{
		{"no prompts", bandits(pull), func(j *train.Job, o *Options) { j.Prompts = 0 }, "train: prompts is 0"},
		{"no group", bandits(pull), func(j *train.Job, o *Options) { j.Group = 1 }, "train: group is 1"},
		{"no steps", bandits(pull), func(j *train.Job, o *Options) { j.Steps = 0 }, "0 steps"},
		{"no keeper", bandits(pull), func(j *train.Job, o *Options) { j.Snapshots = []int{1} }, "nothing keeps them"},
		{"no room", bandits(pull), func(j *train.Job, o *Options) { o.MaxTokens = 0 }, "roll out: step 1: llama: generate: MaxNew is 0"},
		{"environment", func() (Episode, error) { return Episode{}, lost }, nil, "roll out: step 1: no more scenes"},
		{"prompt", func() (Episode, error) { return Episode{Prompt: []int32{99}}, nil }, nil, "token 99"},
		{"decoding", bandits(pull), func(j *train.Job, o *Options) {
			o.Decode = func([]int32) (string, error) { return "", lost }
		}, "roll out: step 1: no more scenes"},
		{"reward", bandits(func(int, string) float64 { return math.NaN() }), nil, "is NaN"},
		{"large reward", bandits(func(int, string) float64 { return math.Inf(-1) }), nil, "is -Inf"},
	} {
		m, j, o := newModel(t), job(2), options()
		if c.change != nil {
			c.change(&j, &o)
		}
		_, err := Run(t.Context(), m, c.env, j, o)
		var e *because.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if !slices.Equal(m.Params(), newModel(t).Params()) {
			t.Errorf("%s: the model changed", c.name)
		}
	}
}
