// Package optim provides AdamW, gradient clipping and learning-rate schedules
// over flat float32 parameters.
package optim

import (
	"fmt"
	"math"

	"github.com/because-lab/because/engine/kernel"
)

// Options are the hyper-parameters of AdamW (Loshchilov and Hutter 2019,
// arXiv:1711.05101), with PyTorch's meaning: each step multiplies the weights by
// 1 - rate*WeightDecay.
type Options struct {
	Beta1, Beta2 float64 // decay of the moments; 0 means 0.9 and 0.95
	Eps          float64 // added to the root of the second moment; 0 means 1e-8
	WeightDecay  float64
}

func (o Options) withDefaults() Options {
	if o.Beta1 == 0 {
		o.Beta1 = 0.9
	}
	if o.Beta2 == 0 {
		o.Beta2 = 0.95
	}
	if o.Eps == 0 {
		o.Eps = 1e-8
	}
	return o
}

func (o Options) validate() error {
	for _, f := range []struct {
		name      string
		value     float64
		low, high float64
	}{{"beta1", o.Beta1, 0, 1}, {"beta2", o.Beta2, 0, 1}, {"eps", o.Eps, 0, 1}, {"weight decay", o.WeightDecay, 0, math.MaxFloat32}} {
		if !(f.value >= f.low && f.value < f.high) {
			return fmt.Errorf("optim: adamw: %s is %v, want a number in [%v, %v)", f.name, f.value, f.low, f.high)
		}
	}
	return nil
}

// AdamW updates one flat slice of parameters.
type AdamW struct {
	o      Options
	params []float32
	state  State
}

// State is what a step needs of the steps before it.
type State struct {
	Step int       // updates done
	M, V []float32 // first and second moment of each parameter
}

// New returns an optimiser of params, which it updates in place.
func New(params []float32, o Options) (*AdamW, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	n := len(params)
	return &AdamW{o: o, params: params, state: State{M: make([]float32, n), V: make([]float32, n)}}, nil
}

// State returns the optimiser's own state, not a copy.
func (a *AdamW) State() State { return a.state }

// Restore copies a state saved earlier; the next steps then have the bits they
// would have had without the interruption.
func (a *AdamW) Restore(s State) error {
	if len(s.M) != len(a.params) || len(s.V) != len(a.params) || s.Step < 0 {
		return fmt.Errorf("optim: restore: state of step %d has %d and %d moments, want %d of each", s.Step, len(s.M), len(s.V), len(a.params))
	}
	a.state.Step = s.Step
	copy(a.state.M, s.M)
	copy(a.state.V, s.V)
	return nil
}

// Step updates the parameters with the gradients times gradScale (see
// [ClipScale]; 1 for none) at the given learning rate. The gradients are left
// as they were.
func (a *AdamW) Step(grads []float32, rate, gradScale float64) {
	a.state.Step++
	t := float64(a.state.Step)
	kernel.AdamW(a.params, grads, a.state.M, a.state.V, kernel.AdamWStep{
		LR:          float32(rate),
		Beta1:       float32(a.o.Beta1),
		Beta2:       float32(a.o.Beta2),
		Eps:         float32(a.o.Eps),
		Decay:       float32(a.o.WeightDecay),
		Correction1: float32(1 - math.Pow(a.o.Beta1, t)),
		Correction2: float32(1 - math.Pow(a.o.Beta2, t)),
		GradScale:   float32(gradScale),
	})
}

// ClipScale returns the global norm of the gradients and the factor that
// brings it down to limit: 1 if it is not above. A limit of 0 means none.
func ClipScale(grads []float32, limit float64) (norm, scale float64) {
	norm = math.Sqrt(kernel.SumSquares(grads))
	if limit <= 0 || !(norm > limit) {
		return norm, 1
	}
	return norm, limit / norm
}
