package graph

import (
	"context"
	"fmt"
	"strings"

	"github.com/because-lab/because"
)

// StepError is the failure of one step.
type StepError struct {
	Step string // ID
	Err  error
}

func (e *StepError) Error() string { return e.Step + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *StepError) Unwrap() error { return e.Err }

// RunError tells why a run didn't produce all that was wanted.
type RunError struct {
	Study   string
	Failed  []*StepError // steps that failed, in topological order
	Skipped int          // steps that could not run because of them
	Done    int          // steps that this run finished
	Total   int          // steps that it had to run
	Cause   error        // why the run was stopped from outside, nil where it was not
}

func (e *RunError) Error() string {
	var parts []string
	if e.Cause != nil {
		parts = append(parts, fmt.Sprintf("%v (%d of %d steps done)", because.ErrInterrupted, e.Done, e.Total))
	}
	if len(e.Failed) > 0 {
		parts = append(parts, "step "+e.Failed[0].Error())
		if n := len(e.Failed) - 1; n > 0 {
			parts = append(parts, fmt.Sprintf("%d more failed", n))
		}
		if e.Skipped > 0 {
			parts = append(parts, fmt.Sprintf("%d skipped that need them", e.Skipped))
		}
	}
	return "run " + e.Study + ": " + strings.Join(parts, "; ")
}

// Unwrap gives the failures, and because.ErrInterrupted with its cause where the run was stopped from outside.
func (e *RunError) Unwrap() []error {
	var errs []error
	if e.Cause != nil {
		errs = append(errs, because.ErrInterrupted, e.Cause)
	}
	for _, f := range e.Failed {
		errs = append(errs, f)
	}
	return errs
}

// summary collects what became of every step that the run touched.
func (r *runner) summary() *Summary {
	s := &Summary{}
	for i, asked := range r.need.asked {
		if !asked {
			continue
		}
		step := StepSummary{ID: r.g.steps[i].ID, Key: r.g.keys[i], State: Cached}
		n := r.byKey[step.Key]
		switch {
		case n == nil:
			step.Artifact = r.need.demand[step.Key].artifact
		case n.steps[0] == i:
			step.State, step.Artifact, step.Err, step.Elapsed = n.state, n.artifact, n.err, n.elapsed
		case n.state == Done: // shares the key of the step that ran
			step.Artifact = n.artifact
		case n.state == Failed:
			step.State, step.Err = Skipped, fmt.Errorf("skipped because %s failed", r.g.steps[n.steps[0]].ID)
		case n.state == Skipped:
			step.State, step.Err = Skipped, n.err
		default:
			step.State = Queued
		}
		s.Steps = append(s.Steps, step)
	}
	return s
}

// verdict makes the run's error from its summary.
func (r *runner) verdict(ctx context.Context, s *Summary) error {
	e := &RunError{Study: r.g.name, Skipped: s.Count(Skipped), Done: s.Count(Done), Total: len(r.nodes)}
	for _, step := range s.Steps {
		if step.State == Failed {
			e.Failed = append(e.Failed, &StepError{Step: step.ID, Err: step.Err})
		}
	}
	finished := len(s.Steps) == s.Count(Done)+s.Count(Cached)
	if !finished && ctx.Err() != nil {
		e.Cause = context.Cause(ctx)
	}
	if len(e.Failed) > 0 || e.Cause != nil {
		return e
	}
	return r.indexErr
}
