package eval

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval/evallog"
)

// start describes the run for its log. A run goes on from a log only if what decides a sample's outcome is equal, all of the metadata
// among it.
func (r *run) start() (evallog.Start, error) {
	t := r.task
	args, err := json.Marshal(t.Args)
	if err != nil {
		return evallog.Start{}, fmt.Errorf("task arguments: %w", err)
	}
	if t.Args == nil {
		args = json.RawMessage("{}")
	}
	meta := map[string]any{"seed": r.o.Seed, "dataset_version": t.Dataset.Version}
	if v := r.view(); len(v.By) > 0 || len(v.Grades) > 0 {
		meta["by"], meta["grades"] = v.By, v.Grades
	}
	metadata, err := json.Marshal(meta)
	if err != nil {
		return evallog.Start{}, fmt.Errorf("metadata: %w", err)
	}
	target, ask := r.o.Models[Target], config(t.Ask)
	id := strconv.FormatUint(mix(uint64(r.began.UnixNano()), hash(t.Name)), 36)
	spec := evallog.Spec{EvalID: id, RunID: id, TaskID: id, Created: evallog.Time(r.began), Task: t.Name, TaskVersion: json.RawMessage(strconv.Itoa(t.Version)),
		TaskArgs: args, Dataset: evallog.Dataset{Name: t.Dataset.Name, Samples: r.n}, Model: target.Name(), ModelGenerateConfig: &ask, Metadata: metadata,
		ModelRoles: map[string]json.RawMessage{}, Packages: r.o.Versions,
		Config: evallog.Config{Epochs: r.o.Epochs, MessageLimit: t.Limits.Messages, TokenLimit: t.Limits.Tokens, TimeLimit: int(t.Limits.Time / time.Second),
			FailOnError: evallog.Number(r.o.FailOnError)}}
	if r.o.Limit > 0 {
		spec.Config.Limit = json.RawMessage(strconv.Itoa(r.o.Limit))
	}
	for role, m := range r.o.Models {
		if role == Target {
			continue
		}
		if spec.ModelRoles[role], err = (evallog.ModelRole{Model: m.Name()}).Raw(); err != nil {
			return evallog.Start{}, err
		}
	}
	for _, s := range t.Scorers {
		spec.Scorers = append(spec.Scorers, evallog.Scorer{Name: s.Name()})
	}
	return evallog.Start{Eval: spec, Plan: evallog.Plan{Name: "plan", Steps: []evallog.Step{{Solver: t.Name}}, Config: ask}}, nil
}

// view is how the task's scores are counted.
func (r *run) view() View {
	v := View{By: r.task.By, Epochs: r.o.Epochs}
	for _, s := range r.task.Scorers {
		if _, ok := s.(grade); ok {
			v.Grades = append(v.Grades, s.Name())
		}
	}
	return v
}

// end writes the results and gives how the run ended.
func (r *run) end(ctx context.Context) (*Result, error) {
	if err := r.broken; err != nil {
		return nil, r.interrupted(evallog.Failed, err)
	}
	if ctx.Err() != nil {
		return nil, r.interrupted(evallog.Cancelled, because.ErrInterrupted)
	}
	results, err := Gather(r.log.Summaries(), r.view())
	if err != nil {
		return nil, because.E("evaluate", r.o.Log, err, "")
	}
	out := &Result{Results: results, Log: r.o.Log, Status: evallog.Success, Resumed: r.now.Resumed}
	f := evallog.Finish{Status: evallog.Success, Results: results.forLog(), Stats: r.stats(results)}
	if len(r.o.Findings) > 0 {
		if f.Results.Metadata, err = json.Marshal(r.o.Findings); err != nil {
			return nil, because.E("evaluate", r.o.Log, fmt.Errorf("findings: %w", err), "")
		}
	}
	if r.intolerable(results.Errors) {
		out.Status, f.Status = evallog.Failed, evallog.Failed
		f.Error = &evallog.Error{Message: fmt.Sprintf("%d of %d samples ended in an error, more than tolerated; the first: %s", results.Errors, results.Samples, results.Causes[0].Text)}
	}
	if err := r.log.Finish(f); err != nil {
		return nil, err
	}
	return out, nil
}

// interrupted leaves a log from which a run can go on.
func (r *run) interrupted(status evallog.Status, err error) error {
	f := evallog.Finish{Status: status, Stats: r.stats(nil)}
	if status == evallog.Failed {
		f.Error = &evallog.Error{Message: err.Error()}
	}
	if e := r.log.Finish(f); e != nil {
		return fmt.Errorf("%w; and the log could not be finished: %w", err, e)
	}
	return err
}

func (r *run) stats(results *Results) evallog.Stats {
	s := evallog.Stats{StartedAt: evallog.Time(r.began), CompletedAt: evallog.Time(time.Now()), ModelUsage: map[string]evallog.Usage{}}
	if results != nil {
		s.ModelUsage = results.Usage
	}
	return s
}

// intolerable tells whether that many errors fail the run.
func (r *run) intolerable(errors int) bool {
	switch tolerated := r.o.FailOnError; {
	case tolerated < 0:
		return false
	case tolerated < 1:
		return float64(errors) > tolerated*float64(r.total)
	default:
		return float64(errors) > tolerated
	}
}
