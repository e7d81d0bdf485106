package optim

import (
	"fmt"
	"math"
)

// Shape is how a learning rate falls after its warm-up.
type Shape string

// The shapes.
const (
	Cosine   Shape = "cosine"
	Linear   Shape = "linear"
	Constant Shape = "constant"
)

// Schedule is a learning rate that rises linearly over Warmup steps to Peak and
// then falls to Floor*Peak at the last step.
type Schedule struct {
	Peak   float64
	Floor  float64 // fraction of Peak at the end
	Warmup int     // steps
	Steps  int     // in all
	Shape  Shape   // "" means Cosine
}

// Validate reports the first field that makes no schedule.
func (s Schedule) Validate() error {
	switch {
	case !(s.Peak > 0) || math.IsInf(s.Peak, 0):
		return fmt.Errorf("optim: schedule: peak rate is %v, want a positive number", s.Peak)
	case !(s.Floor >= 0 && s.Floor <= 1):
		return fmt.Errorf("optim: schedule: floor is %v, want a fraction of the peak in [0, 1]", s.Floor)
	case s.Steps < 1:
		return fmt.Errorf("optim: schedule: %d steps, want at least 1", s.Steps)
	case s.Warmup < 0 || s.Warmup > s.Steps:
		return fmt.Errorf("optim: schedule: warm-up of %d steps, want 0 to the number of steps %d", s.Warmup, s.Steps)
	case s.Shape != "" && s.Shape != Cosine && s.Shape != Linear && s.Shape != Constant:
		return fmt.Errorf("optim: schedule: unknown shape %q, want %q, %q or %q", s.Shape, Cosine, Linear, Constant)
	}
	return nil
}

// Rate returns the learning rate of a step, counted from 0.
func (s Schedule) Rate(step int) float64 {
	if step < s.Warmup {
		return s.Peak * float64(step+1) / float64(s.Warmup)
	}
	progress := 1.0
	if last := s.Steps - 1; last > s.Warmup {
		progress = min(1, float64(step-s.Warmup)/float64(last-s.Warmup))
	} else if step <= s.Warmup {
		progress = 0
	}
	var left float64
	switch s.Shape {
	case Constant:
		left = 1
	case Linear:
		left = 1 - progress
	default:
		left = (1 + math.Cos(math.Pi*progress)) / 2
	}
	return s.Peak * (s.Floor + (1-s.Floor)*left)
}
