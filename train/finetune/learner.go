package finetune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/optim"
)

// learner is what is trained, with its optimiser: a model or an adapter of it.
type learner struct {
	model   *llama.Model
	adapter *llama.LoRA // nil: all parameters are trained
	full    *llama.Grads
	low     *llama.LoRAGrads
	ws      *llama.Workspace
	opt     *optim.AdamW
	rate    optim.Schedule
	clip    float64
	batch   llama.Batch
}

func newLearner(m *llama.Model, o *Options, steps int) (*learner, error) {
	l := &learner{
		model: m, clip: o.Clip, ws: llama.NewWorkspace(m.Config(), 0, o.Pool),
		rate: optim.Schedule{Peak: o.LR, Floor: o.Floor, Warmup: o.Warmup, Steps: steps, Shape: o.Schedule},
	}
	if err := l.rate.Validate(); err != nil {
		return nil, err
	}
	l.ws.SetRecompute(o.recompute(m.Config()))
	if o.LoRA != nil {
		var err error
		if l.adapter, err = m.NewLoRA(llama.LoRAOptions{Rank: o.LoRA.Rank, Alpha: o.LoRA.Alpha, Targets: o.LoRA.Targets, Seed: o.Seed}); err != nil {
			return nil, err
		}
		l.low = l.adapter.NewGrads()
	} else {
		l.full = m.NewGrads()
	}
	var err error
	l.opt, err = optim.New(l.params(), optim.Options{Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps, WeightDecay: o.Decay})
	return l, err
}

// params are the trained parameters.
func (l *learner) params() []float32 {
	if l.adapter != nil {
		return l.adapter.Params()
	}
	return l.model.Params()
}

func (l *learner) grads() []float32 {
	if l.adapter != nil {
		return l.low.Flat()
	}
	return l.full.Flat()
}

// tensors are the trained parameters by name.
func (l *learner) tensors() []llama.Tensor {
	if l.adapter != nil {
		return l.adapter.Tensors()
	}
	return l.model.Tensors()
}

func (l *learner) trained() int {
	n := 0
	for _, t := range l.tensors() {
		n += len(t.Data)
	}
	return n
}

// update takes one step down the gradient of the mean loss over the tokens of all batches that carry loss, each
// counted by its weight. An error leaves the parameters as they were.
func (l *learner) update(ctx context.Context, set *dataset, batches [][]piece, step int) (metric, error) {
	total := 0.0
	for _, b := range batches {
		for _, p := range b {
			total += p.weight
		}
	}
	clear(l.grads())
	up := metric{LR: l.rate.Rate(step)}
	for _, b := range batches {
		if ctx.Err() != nil {
			return metric{}, because.ErrInterrupted
		}
		if err := set.pack(&l.batch, b, total); err != nil {
			return metric{}, err
		}
		loss, err := l.forwardBackward()
		if err != nil {
			return metric{}, err
		}
		if !finite(loss.Sum) {
			return metric{}, fmt.Errorf("%w: the loss is %v on %s", errNotFinite, loss.Sum, set.names(b))
		}
		up.Loss += loss.Sum
		up.Tokens += len(l.batch.Tokens)
	}
	norm, scale := optim.ClipScale(l.grads(), l.clip)
	if !finite(norm) {
		return metric{}, fmt.Errorf("%w: the gradient's norm is %v after %s", errNotFinite, norm, set.names(slices.Concat(batches...)))
	}
	up.Norm = norm
	l.opt.Step(l.grads(), up.LR, scale)
	return up, nil
}

var errNotFinite = errors.New("not finite")

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func (l *learner) forwardBackward() (llama.Loss, error) {
	if l.adapter != nil {
		return l.adapter.ForwardBackward(l.ws, l.batch, l.low)
	}
	return l.model.ForwardBackward(l.ws, l.batch, l.full)
}
