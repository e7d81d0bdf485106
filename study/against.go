package study

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/internal/input"
	"github.com/because-lab/because/train"
)

// checkAgainst checks what only the world knows: switches, recipes, environments, tasks, options, outcomes, groups.
func (f *File) checkAgainst(w World) error {
	for i, setting := range f.Worlds {
		path := fmt.Sprintf("worlds[%d]", i)
		if err := w.CheckWorld(switches(setting)); err != nil {
			return f.located(path, "", setting.With, err)
		}
		if err := f.checkStages(w, setting); err != nil {
			return err
		}
		for j, e := range f.Evals {
			if len(e.Worlds) > 0 && !slices.Contains(e.Worlds, setting.Name) {
				continue
			}
			if _, _, err := w.CheckEval(f.evalOrder(setting, f.Seeds[0], e)); err != nil {
				return f.located(fmt.Sprintf("evals[%d]", j), e.Task, e.With, err)
			}
		}
	}
	if err := f.checkGroups(w); err != nil {
		return err
	}
	for i, c := range f.Claims {
		if err := f.checkCounted(w, fmt.Sprintf("claims[%d]", i), c); err != nil {
			return err
		}
	}
	for i, a := range f.Ablations {
		path := fmt.Sprintf("ablations[%d]", i)
		if a.Repeat == nil {
			if err := f.checkCounted(w, path, a.Claim); err != nil {
				return err
			}
		}
		for j := range a.Repeat {
			at := fmt.Sprintf("%s.repeat[%d]", path, j)
			if err := f.checkCounted(w, at, f.repeated(a, j)); err != nil {
				return f.bad(at, because.Hint(err), "%w", unplaced(err))
			}
		}
	}
	return nil
}

// switches gives those of a setting, never nil: none and an empty list of them are the same world.
func switches(s Setting) map[string]any {
	if len(s.With) == 0 {
		return map[string]any{}
	}
	return normal(s.With)
}

// normal gives options with whole numbers as int, so that 1 and 1.0 order the same. None are nil.
func normal(with map[string]any) map[string]any {
	if len(with) == 0 {
		return nil
	}
	out := make(map[string]any, len(with))
	for key, v := range with {
		out[key] = normalValue(v)
	}
	return out
}

func normalValue(v any) any {
	const exact = 1 << 53
	switch v := v.(type) {
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < exact {
			return int(v)
		}
	case map[string]any:
		return normal(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = normalValue(item)
		}
		return out
	}
	return v
}

// located gives an error of the world its place by the error's subject: the option of that key, the recipe or task of that
// name, or all that lies at path.
func (f *File) located(path, name string, with map[string]any, err error) error {
	hint := because.Hint(err)
	var e *because.Error
	if errors.As(err, &e) {
		if _, option := with[e.Subject]; option {
			return because.E(opRead, f.Place(path+".with."+e.Subject), e.Err, hint)
		}
		switch e.Subject {
		case "model": // the shape, which stands by itself
			path = "model"
		case name, "recipe", "task":
			for _, key := range []string{".recipe", ".task"} {
				if _, ok := f.source.lines[path+key]; ok {
					path += key
					break
				}
			}
		}
	}
	return because.E(opRead, f.Place(path), err, hint)
}

// checkStages checks replay, init and the arms of one world.
func (f *File) checkStages(w World, setting Setting) error {
	if r := f.Replay; r != nil {
		needs, err := w.CheckData(f.mixOrder(setting, f.Seeds[0]))
		if err != nil {
			return f.located("replay", r.Recipe, r.With, err)
		}
		if needs {
			return f.bad("replay.recipe", "use a recipe that writes its records itself", "%s samples from a model, so it can't be replayed", r.Recipe)
		}
	}
	for i, stage := range f.Init {
		if err := f.checkStageAgainst(w, setting, fmt.Sprintf("init[%d]", i), stage); err != nil {
			return err
		}
	}
	for i, a := range f.Arms {
		if !f.inWorld(a.Name, setting.Name) {
			continue
		}
		for j, stage := range a.Stages {
			if err := f.checkStageAgainst(w, setting, fmt.Sprintf("arms[%d].stages[%d]", i, j), stage); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *File) checkStageAgainst(w World, setting Setting, path string, stage Stage) error {
	method, given := stage.Method()
	s := f.merged(method, given)
	path += "." + string(method)
	if method == train.SFT || method == train.SDF {
		if _, err := w.CheckData(f.dataOrder(setting, f.Seeds[0], s, s.Recipe)); err != nil {
			return f.located(path, s.Recipe, s.With, err)
		}
	}
	if err := w.CheckTrain(f.job(setting, f.Seeds[0], method, s, "")); err != nil {
		return f.located(path, s.Recipe, s.With, err)
	}
	return nil
}

// checkGroups checks both groups of each known-group check.
func (f *File) checkGroups(w World) error {
	for i, c := range f.Checks {
		path := fmt.Sprintf("checks[%d]", i)
		for _, side := range []struct {
			key  string
			with map[string]any
		}{{"high", c.High}, {"low", c.Low}} {
			outcomes, _, err := w.CheckEval(f.checkOrder(f.setting(c.World), f.Seeds[0], c, side.with))
			if err != nil {
				var e *because.Error
				if errors.As(err, &e) {
					if _, option := side.with[e.Subject]; option {
						return because.E(opRead, f.Place(path+"."+side.key+"."+e.Subject), e.Err, because.Hint(err))
					}
				}
				return f.located(path, c.Task, c.With, err)
			}
			if !slices.Contains(outcomes, c.outcome()) {
				return f.bad(path+".outcome", input.DidYouMean(c.outcome(), outcomes), "task %s has no outcome %q", c.Task, c.outcome())
			}
		}
	}
	return nil
}

func (c Check) outcome() string {
	if c.Outcome == "" {
		return string(because.Harmful)
	}
	return c.Outcome
}

// checkCounted checks that the evals of a contrast count its outcomes and groups.
func (f *File) checkCounted(w World, path string, c Claim) error {
	for i, t := range c.Terms {
		at := func(key, own string) string {
			if own == "" {
				return path + "." + key
			}
			return fmt.Sprintf("%s.contrast[%d].%s", path, i, key)
		}
		full := f.full(c, t)
		outcomes, groups, err := w.CheckEval(f.evalOrder(f.setting(full.World), f.Seeds[0], *f.eval(full.Eval)))
		if err != nil {
			return because.E(opRead, f.Place(path), err, because.Hint(err))
		}
		if !slices.Contains(outcomes, full.Outcome) {
			return f.bad(at("outcome", t.Outcome), input.DidYouMean(full.Outcome, outcomes), "eval %s has no outcome %q", full.Eval, full.Outcome)
		}
		if full.Group != "" && !slices.Contains(groups, full.Group) {
			return f.bad(at("group", t.Group), input.DidYouMean(full.Group, groups), "eval %s has no group %q", full.Eval, full.Group)
		}
	}
	return nil
}

// setting gives a world by name, the primary one where empty.
func (f *File) setting(name string) Setting {
	return f.Worlds[slices.Index(f.worldNames(), f.worldOr(name))]
}

// Orders: what the file asks of the world in one setting, for one seed.

func (f *File) dataOrder(setting Setting, seed uint64, s *Settings, stream string) data.Order {
	return data.Order{World: switches(setting), Seed: seed, Recipe: s.Recipe, With: normal(s.With), Tokens: *s.Tokens, Stream: stream}
}

// mixOrder orders the dataset that is replayed.
func (f *File) mixOrder(setting Setting, seed uint64) data.Order {
	r := f.Replay
	return data.Order{World: switches(setting), Seed: seed, Recipe: r.Recipe, With: normal(r.With), Tokens: r.Tokens, Stream: r.Recipe + "/mix"}
}

func (f *File) evalOrder(setting Setting, seed uint64, e Eval) batch.Order {
	return batch.Order{World: switches(setting), Seed: seed, Task: e.Task, With: normal(e.With), Samples: e.Samples}
}

// checkOrder orders one group of a known-group check.
func (f *File) checkOrder(setting Setting, seed uint64, c Check, side map[string]any) batch.Order {
	with := map[string]any{}
	for _, options := range []map[string]any{c.With, side} {
		for k, v := range options {
			with[k] = v
		}
	}
	return batch.Order{World: switches(setting), Seed: seed, Task: c.Task, With: normal(with), Samples: c.Samples}
}

// job orders a training run. What is read from a dataset is told by the dataset alone.
func (f *File) job(setting Setting, seed uint64, m train.Method, s *Settings, stream string) train.Job {
	j := train.Job{World: switches(setting), Seed: seed, Stream: stream, Method: m,
		LR: *s.LR, Floor: *s.Floor, Schedule: s.Schedule, Warmup: *s.Warmup, Decay: *s.Decay, Clip: *s.Clip}
	switch m {
	case train.RL:
		j.Recipe, j.With = s.Recipe, normal(s.With)
		j.Steps, j.Prompts, j.Group, j.Snapshots = *s.Steps, *s.Prompts, *s.Group, s.Snapshots
	case train.Pretrain:
		j.Recipe, j.With, j.Model = s.Recipe, normal(s.With), f.Model
		j.Records, j.Batch = *s.Records, *s.Batch
	default:
		j.Records, j.Batch, j.Replay = *s.Records, *s.Batch, *s.Replay
	}
	return j
}
