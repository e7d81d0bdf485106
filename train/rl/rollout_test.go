package rl

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/train"
)

// The values are worked out by hand: (reward - mean) / (sample standard deviation + 0.1).
func TestAdvantages(t *testing.T) {
	for _, c := range []struct{ rewards, want []float64 }{
		{[]float64{1, 0, 0, 0}, []float64{0.75 / 0.6, -0.25 / 0.6, -0.25 / 0.6, -0.25 / 0.6}}, // deviation 0.5
		{[]float64{1, 1, 0, 0}, []float64{0.738171, 0.738171, -0.738171, -0.738171}},          // 0.5 / (sqrt(1/3) + 0.1)
		{[]float64{2, -2}, []float64{0.682960, -0.682960}},                                    // 2 / (sqrt(8) + 0.1)
		{[]float64{3, 5, 7}, []float64{-2 / 2.1, 0, 2 / 2.1}},                                 // deviation 2
		{[]float64{0, 0.001}, []float64{-0.0005 / 0.100707107, 0.0005 / 0.100707107}},         // the 0.1 keeps it small
		{[]float64{4}, []float64{0}},
		{[]float64{}, []float64{}},
	} {
		got := advantages(c.rewards)
		if len(got) != len(c.want) {
			t.Fatalf("%v: got %v", c.rewards, got)
		}
		for i := range got {
			if math.Abs(got[i]-c.want[i]) > 1e-6 {
				t.Errorf("%v: got %v, want %v", c.rewards, got, c.want)
				break
			}
		}
	}
	// Equal rewards have no advantage at all, although their mean may be another number than they.
	for _, r := range []float64{0.1, 1.0 / 3, 1e300} {
		for n := 1; n < 12; n++ {
			rewards := make([]float64, n)
			for i := range rewards {
				rewards[i] = r
			}
			for _, adv := range advantages(rewards) {
				if adv != 0 {
					t.Errorf("%d answers with reward %v: advantage %v", n, r, adv)
				}
			}
		}
	}
}

// TestFill checks the batch of three groups: one that disagrees, one that agrees, and one whose answers were left out.
func TestFill(t *testing.T) {
	groups := []group{
		{[]int32{0, 1}, []llama.Completion{{Tokens: []int32{3}, Stop: llama.StopToken}, {Tokens: []int32{4, 5, 6}, Stop: llama.StopLength}}, []float64{2, -2}},
		{[]int32{1}, []llama.Completion{{Tokens: []int32{3, 3}, Stop: llama.StopToken}, {Stop: llama.StopToken}}, []float64{1, 1}},
		{prompt: []int32{1}},
	}
	var p train.Packer
	if !fill(&p, groups, end) {
		t.Fatal("nothing to learn")
	}
	w := float32(2 / (math.Sqrt(8) + 0.1) / 9) // of 2 + 3 + 3 + 1 drawn tokens
	want := llama.Batch{
		Tokens:  []int32{0, 1, 3, end, 0, 1, 4, 5, 6},
		Targets: []int32{0, 3, end, 0, 0, 4, 5, 6, 0},
		Weights: []float32{0, w, w, 0, 0, -w, -w, -w, 0},
		Starts:  []int32{0, 4, 9},
	}
	if d := cmp.Diff(want, p.Batch); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if fill(&p, groups[1:], end) {
		t.Error("groups that agree give something to learn")
	}
}

// TestGradient compares the gradient of an update with finite differences of what it is said to raise: the mean over
// drawn tokens of advantage times log-probability, whose rewards and baseline are fixed.
func TestGradient(t *testing.T) {
	m := newModel(t)
	j := job(1)
	r, err := rollout(t.Context(), m, bandits(pull), j, options(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var prompts, answers [][]int32
	var factors []float64
	tokens, truncated := 0, 0
	for _, g := range r.groups {
		adv := advantages(g.rewards)
		for i, a := range g.answers {
			answer := a.Tokens
			if a.Stop == llama.StopToken {
				answer = append(append([]int32{}, answer...), end)
			} else {
				truncated++
			}
			prompts, answers, factors = append(prompts, g.prompt), append(answers, answer), append(factors, adv[i])
			tokens += len(answer)
		}
	}
	if truncated == 0 || truncated == len(answers) {
		t.Fatalf("%d of %d answers were cut off; both sorts are needed", truncated, len(answers))
	}
	surrogate := func(m *llama.Model) (sum float64) {
		logps, err := m.LogProbs(t.Context(), prompts, answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, lp := range logps {
			for _, x := range lp {
				sum += factors[i] * float64(x) / float64(tokens)
			}
		}
		return sum
	}

	var p train.Packer
	fill(&p, r.groups, end)
	grads := m.NewGrads()
	if _, err := m.ForwardBackward(llama.NewWorkspace(m.Config(), 0, nil), p.Batch, grads); err != nil {
		t.Fatal(err)
	}
	g := grads.Flat()
	norm := math.Sqrt(dot(g, g))

	// slope is the surrogate's along a direction of length 1, by central differences.
	slope := func(direction []float32) float64 {
		const h = 0.02
		var at [2]float64
		for i, step := range []float32{-h, h} {
			moved := m.Clone()
			for k, d := range direction {
				moved.Params()[k] += step * d
			}
			at[i] = surrogate(moved)
		}
		return (at[1] - at[0]) / (2 * h)
	}
	// An update goes against the gradient of its loss, which must be straight up the surrogate.
	up := make([]float32, len(g))
	for i, x := range g {
		up[i] = -x / float32(norm)
	}
	if got := slope(up); math.Abs(got-norm) > 0.01*norm {
		t.Errorf("along the update the surrogate rises by %v, want %v", got, norm)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 6 {
		direction := make([]float32, len(g))
		for i := range direction {
			direction[i] = float32(random.NormFloat64())
		}
		length := float32(math.Sqrt(dot(direction, direction)))
		for i := range direction {
			direction[i] /= length
		}
		if got, want := slope(direction), -dot(g, direction); math.Abs(got-want) > 0.005*norm {
			t.Errorf("along a random direction the surrogate rises by %v, want %v (gradient of length %v)", got, want, norm)
		}
	}
}

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
