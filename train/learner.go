package train

import (
	"fmt"
	"math"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/optim"
)

// Learner is a model with its optimiser: what every in-process method of training shares. It serves one goroutine.
type Learner struct {
	Model *llama.Model
	grads *llama.Grads
	ws    *llama.Workspace
	opt   *optim.AdamW
	rate  optim.Schedule
	clip  float64
	step  int
}

// NewLearner prepares the given number of updates of a model under a job's hyper-parameters.
func NewLearner(m *llama.Model, j Job, steps int, pool *kernel.Pool) (*Learner, error) {
	rate := optim.Schedule{Peak: j.LR, Floor: j.Floor, Warmup: j.Warmup, Steps: steps, Shape: optim.Shape(j.Schedule)}
	if err := rate.Validate(); err != nil {
		return nil, because.E("train", "", err, "")
	}
	opt, err := optim.New(m.Params(), optim.Options{WeightDecay: j.Decay})
	if err != nil {
		return nil, because.E("train", "", err, "")
	}
	return &Learner{Model: m, grads: m.NewGrads(), ws: llama.NewWorkspace(m.Config(), 0, pool), opt: opt, rate: rate, clip: j.Clip}, nil
}

// Update takes one step down the gradient of the sum of weight * -log p over the batch, and gives that sum. Where the
// sum or the gradient is not finite, the model is left as it was.
func (l *Learner) Update(b llama.Batch) (float64, error) {
	l.grads.Zero()
	loss, err := l.Model.ForwardBackward(l.ws, b, l.grads)
	if err != nil {
		return 0, because.E("train", fmt.Sprintf("step %d", l.step+1), err, "")
	}
	norm, scale := optim.ClipScale(l.grads.Flat(), l.clip)
	if math.IsNaN(loss.Sum) || math.IsInf(loss.Sum, 0) || math.IsNaN(norm) || math.IsInf(norm, 0) {
		return 0, because.E("train", fmt.Sprintf("step %d", l.step+1),
			fmt.Errorf("loss %v, gradient norm %v", loss.Sum, norm), "lower the learning rate")
	}
	l.opt.Step(l.grads.Flat(), l.rate.Rate(l.step), scale)
	l.step++
	return loss.Sum, nil
}

// Packer lays sequences back to back in a batch; documents do not attend to each other. Reset it before each batch.
type Packer struct{ Batch llama.Batch }

// Reset empties the batch.
func (p *Packer) Reset() {
	b := &p.Batch
	b.Tokens, b.Targets, b.Weights = b.Tokens[:0], b.Targets[:0], b.Weights[:0]
	b.Starts = append(b.Starts[:0], 0)
}

// Add appends a sequence whose tokens from index lossFrom on carry the given weight.
func (p *Packer) Add(tokens []int32, lossFrom int, weight float32) {
	b := &p.Batch
	for i, t := range tokens {
		b.Tokens = append(b.Tokens, t)
		if next := i + 1; next < len(tokens) && next >= lossFrom {
			b.Targets, b.Weights = append(b.Targets, tokens[next]), append(b.Weights, weight)
		} else {
			b.Targets, b.Weights = append(b.Targets, 0), append(b.Weights, 0)
		}
	}
	b.Starts = append(b.Starts, int32(len(b.Tokens)))
}
