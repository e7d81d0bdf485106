package train

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/optim"
)

var tiny = llama.Config{VocabSize: 7, HiddenSize: 8, IntermediateSize: 12, Layers: 1, Heads: 2, MaxPositions: 16, TieEmbeddings: true}

func newModel(t *testing.T) *llama.Model {
	t.Helper()
	m, err := llama.New(tiny, 3)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPacker(t *testing.T) {
	var p Packer
	for range 2 { // the second time over what the first left
		p.Reset()
		p.Add([]int32{1, 2, 3, 4}, 2, 0.5)
		p.Add([]int32{5, 6}, 0, -1)
		p.Add([]int32{3}, 0, 1)
		p.Add([]int32{2, 1}, 2, 1)
		want := llama.Batch{
			Tokens:  []int32{1, 2, 3, 4, 5, 6, 3, 2, 1},
			Targets: []int32{0, 3, 4, 0, 6, 0, 0, 0, 0},
			Weights: []float32{0, 0.5, 0.5, 0, -1, 0, 0, 0, 0},
			Starts:  []int32{0, 4, 6, 7, 9},
		}
		if d := cmp.Diff(want, p.Batch); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
}

// TestUpdate compares updates with the same steps taken by hand.
func TestUpdate(t *testing.T) {
	var p Packer
	p.Reset()
	p.Add([]int32{1, 2, 3, 4, 5}, 1, 0.2)
	p.Add([]int32{6, 5, 1}, 2, -0.1)
	const steps = 4
	job := Job{LR: 0.1, Floor: 0.5, Schedule: "linear", Warmup: 1, Decay: 0.3, Clip: 0.05}
	m, byHand := newModel(t), newModel(t)
	l, err := NewLearner(m, job, steps, nil)
	if err != nil {
		t.Fatal(err)
	}
	opt, err := optim.New(byHand.Params(), optim.Options{WeightDecay: 0.3})
	if err != nil {
		t.Fatal(err)
	}
	ws := llama.NewWorkspace(tiny, 0, nil)
	// After a step of warm-up at the peak, the rate falls from it in equal steps to half of it.
	for step, rate := range []float64{0.1, 0.1, 0.075, 0.05} {
		g := byHand.NewGrads()
		loss, err := byHand.ForwardBackward(ws, p.Batch, g)
		if err != nil {
			t.Fatal(err)
		}
		norm, scale := optim.ClipScale(g.Flat(), 0.05)
		if norm < 0.05 {
			t.Fatalf("the gradient has norm %v: nothing is clipped", norm)
		}
		opt.Step(g.Flat(), rate, scale)
		got, err := l.Update(p.Batch)
		if err != nil {
			t.Fatal(err)
		}
		if got != loss.Sum || !slices.Equal(m.Params(), byHand.Params()) {
			t.Fatalf("step %d: loss %v and by hand %v, or other parameters", step+1, got, loss.Sum)
		}
	}
}

// A loss or gradient that is not finite is an error, and the model stays as it was.
func TestUpdateRefusesWhatIsNotFinite(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), 3e38} {
		m := newModel(t)
		l, err := NewLearner(m, Job{LR: 0.1, Clip: 1}, 5, nil)
		if err != nil {
			t.Fatal(err)
		}
		var p Packer
		p.Reset()
		p.Add([]int32{1, 2, 3}, 0, 1)
		if _, err := l.Update(p.Batch); err != nil {
			t.Fatal(err)
		}
		for _, x := range m.Tensors() {
			if strings.Contains(x.Name, "o_proj") {
				x.Data[0] = bad
			}
		}
		before := bits(m)
		_, err = l.Update(p.Batch)
		if err == nil || !strings.HasPrefix(err.Error(), "train: step 2: loss ") || because.Hint(err) != "lower the learning rate" {
			t.Errorf("with a weight of %v: %v, hint %q", bad, err, because.Hint(err))
		}
		if !slices.Equal(before, bits(m)) {
			t.Errorf("with a weight of %v: the model changed", bad)
		}
	}
}

// bits gives a model's parameters so that NaN equals NaN.
func bits(m *llama.Model) []uint32 {
	var out []uint32
	for _, x := range m.Params() {
		out = append(out, math.Float32bits(x))
	}
	return out
}

func TestUpdateRefusesBatches(t *testing.T) {
	l, err := NewLearner(newModel(t), Job{LR: 0.1}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		tokens []int32
		weight float32
		want   string
	}{
		{nil, 1, "document 0 has 0 tokens"},
		{[]int32{1, 7}, 1, "token 7"},
		{make([]int32, 17), 1, "at most 16"},
		{[]int32{1, 2}, float32(math.NaN()), "weight NaN"},
	} {
		var p Packer
		p.Reset()
		p.Add(c.tokens, 0, c.weight)
		if _, err := l.Update(p.Batch); err == nil || !strings.HasPrefix(err.Error(), "train: step 1: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %q", c.tokens, err, c.want)
		}
	}
}

func TestNewLearnerRefuses(t *testing.T) {
	for _, c := range []struct {
		job   Job
		steps int
		want  string
	}{
		{Job{LR: 0}, 1, "peak rate is 0"},
		{Job{LR: math.NaN()}, 1, "peak rate is NaN"},
		{Job{LR: 1, Floor: 2}, 1, "floor is 2"},
		{Job{LR: 1}, 0, "0 steps"},
		{Job{LR: 1, Warmup: 3}, 2, "warm-up of 3 steps"},
		{Job{LR: 1, Schedule: "sine"}, 1, `unknown shape "sine"`},
		{Job{LR: 1, Decay: -1}, 1, "weight decay is -1"},
	} {
		if _, err := NewLearner(newModel(t), c.job, c.steps, nil); err == nil || !strings.HasPrefix(err.Error(), "train: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}
