package study

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/internal/graph"
	"github.com/because-lab/because/report"
	"github.com/because-lab/because/train"
)

// gathering reads what the steps of a finished run made and turns it into results. Each file is read once.
type gathering struct {
	s        *Study
	artifact map[string]string // by step
	key      map[string]string
	tallies  map[string]batch.Counts
	cards    map[string]data.Card
	runs     map[string]train.Run
	tested   []report.Check // the known-group checks, in the order of the file
}

func newGathering(s *Study, summary *graph.Summary) *gathering {
	g := &gathering{s: s, artifact: map[string]string{}, key: map[string]string{}, tallies: map[string]batch.Counts{},
		cards: map[string]data.Card{}, runs: map[string]train.Run{}}
	for _, step := range summary.Steps {
		g.artifact[step.ID], g.key[step.ID] = step.Artifact, step.Key
	}
	return g
}

// dir gives the folder of what a step made. The run has just compared it with the store's record.
func (g *gathering) dir(step string) string { return g.s.store.Path(g.artifact[step]) }

// read gives a step's file through a cache.
func read[T any](cache map[string]T, g *gathering, step string, from func(dir string) (T, error)) (T, error) {
	if v, ok := cache[step]; ok {
		return v, nil
	}
	v, err := from(g.dir(step))
	if err != nil {
		return v, because.E("gather results", step, err, because.Hint(err))
	}
	cache[step] = v
	return v, nil
}

func (g *gathering) counts(step string) (batch.Counts, error) {
	return read(g.tallies, g, step, batch.Read)
}
func (g *gathering) card(step string) (data.Card, error) { return read(g.cards, g, step, readCard) }
func (g *gathering) run(step string) (train.Run, error)  { return read(g.runs, g, step, readRun) }

// tally is k events in n samples. Samples that could not be scored are in no n.
type tally struct{ k, n int }

func (t tally) rate() float64 {
	if t.n == 0 {
		return math.NaN()
	}
	return float64(t.k) / float64(t.n)
}

// count gives an outcome's tally in an evaluation or one of its groups.
func (g *gathering) count(step, outcome, group string) (tally, error) {
	c, err := g.counts(step)
	if err != nil {
		return tally{}, err
	}
	outcomes := c.Outcomes
	if group != "" {
		outcomes = c.Groups[group]
	}
	t := tally{k: outcomes[outcome]}
	for name, k := range outcomes {
		if k < 0 {
			return t, because.E("gather results", step, fmt.Errorf("%d samples have the outcome %s", k, name), "")
		}
		if name != string(because.Failed) {
			t.n += k
		}
	}
	return t, nil
}

// counted gives the outcomes that an eval counts in a world.
func (g *gathering) counted(world string, e *Eval) ([]string, error) {
	f := g.s.File
	outcomes, _, err := g.s.planner.w.CheckEval(f.evalOrder(f.setting(world), f.Seeds[0], *e))
	return outcomes, err
}

// results makes the results and the sample transcripts.
func (g *gathering) results(ctx context.Context) (*report.Results, []report.Transcript, error) {
	f := g.s.File
	r := &report.Results{Schema: report.SchemaVersion, Study: f.Study, Title: f.title(), Target: f.Target,
		Premise: g.s.planner.w.Premise(), Limits: f.Limits, Seeds: f.Seeds, Quick: g.s.quick, Constitution: g.s.text,
		Primary: f.cell(f.Evals[0].Name), Control: f.control(), Warnings: g.s.left, Reproduce: []string{"because study " + RunsDir + "/" + f.Study + "/" + studyFile}}
	if r.Constitution.Name == "" {
		r.Constitution.Name = "the target's own"
	}
	for _, w := range f.Worlds {
		r.Worlds = append(r.Worlds, report.World{Name: w.Name, Title: w.Title, Switches: words(w.With)})
	}
	var transcripts []report.Transcript
	var err error
	for _, part := range []func() error{
		func() error { r.Recall, err = g.recall(); return err },
		func() error { r.Checks, err = g.checks(); g.tested = r.Checks; return err },
		func() error { r.Arms, err = g.arms(); return err },
		func() error { r.Claims, r.Ablations, err = g.claims(); return err },
		func() error { r.Data, r.Contamination, err = g.data(); return err },
		func() error { transcripts, err = g.transcripts(ctx); return err },
	} {
		if ctx.Err() != nil {
			return nil, nil, errors.Join(because.ErrInterrupted, context.Cause(ctx))
		}
		if err := part(); err != nil {
			return nil, nil, err
		}
	}
	return r, transcripts, nil
}

func (f *File) title() string {
	if f.Title == "" {
		return f.Study
	}
	return f.Title
}

func (f *File) control() string {
	if f.Control == "" {
		return f.Arms[0].Name
	}
	return f.Control
}

// cell gives the place of an eval in the results. An eval named like its task is that task's plain cell.
func (f *File) cell(name string) report.Cell {
	e := f.eval(name)
	if e.Name == e.Task {
		return report.Cell{Task: e.Task}
	}
	return report.Cell{Task: e.Task, Cell: e.Name}
}

// words puts options into words.
func words(with map[string]any) map[string]string {
	out := map[string]string{}
	for k, v := range with {
		out[k] = fmt.Sprint(v)
	}
	return out
}

// recall finds the first eval that counts correct answers.
func (g *gathering) recall() (*report.Cell, error) {
	f := g.s.File
	for i := range f.Evals {
		world := f.Worlds[0].Name
		if e := &f.Evals[i]; len(e.Worlds) > 0 {
			world = e.Worlds[0]
		}
		outcomes, err := g.counted(world, &f.Evals[i])
		if err != nil {
			return nil, err
		}
		if slices.Contains(outcomes, string(because.Correct)) {
			cell := f.cell(f.Evals[i].Name)
			return &cell, nil
		}
	}
	return nil, nil
}

// units gives an arm's units in a world, in order of seeds.
func (g *gathering) units(world, arm string) []*unit {
	return filter(g.s.planner.units, func(u *unit) bool { return u.world == world && u.arm == arm })
}

func (g *gathering) arms() ([]report.Arm, error) {
	var arms []report.Arm
	f := g.s.File
	for _, w := range f.Worlds {
		for i := range f.Arms {
			if !f.inWorld(f.Arms[i].Name, w.Name) {
				continue
			}
			arm, err := g.arm(w.Name, &f.Arms[i])
			if err != nil {
				return nil, err
			}
			arms = append(arms, arm)
		}
	}
	return arms, nil
}

func (g *gathering) arm(world string, a *Arm) (report.Arm, error) {
	f, units := g.s.File, g.units(world, a.Name)
	out := report.Arm{Name: a.Name, Title: a.title(), World: world, Stages: f.describe(a), Sweep: f.sweepOf(a.Name)}
	var trained, own float64
	for _, u := range units {
		for _, step := range u.trains {
			run, err := g.run(step)
			if err != nil {
				return out, err
			}
			trained += float64(run.Tokens)
		}
		shared := g.sharedDatasets(u)
		for _, step := range u.datasets {
			if slices.Contains(shared, step) {
				continue
			}
			card, err := g.card(step)
			if err != nil {
				return out, err
			}
			own += float64(card.Tokens)
		}
	}
	out.TokensTrained = int64(math.Round(trained / float64(len(units))))
	out.OwnTokens = int64(math.Round(own / float64(len(units))))
	for i := range f.Evals {
		e := &f.Evals[i]
		if !f.measures(e.Name, a.Name, world) {
			continue
		}
		result, err := g.eval(world, e, units)
		if err != nil {
			return out, err
		}
		out.Evals = append(out.Evals, result)
	}
	var err error
	out.Curve, err = g.curve(world, a.Name, units)
	return out, err
}

// sharedDatasets are those on the way to the arm that the control starts from: what every treatment has in common, and
// so nothing of an arm's own.
func (g *gathering) sharedDatasets(u *unit) []string {
	f := g.s.File
	for i := range f.Arms {
		if f.Arms[i].Name != f.Control || f.Arms[i].From == "" || u.arm == f.Arms[i].From {
			continue
		}
		for _, start := range g.units(u.world, f.Arms[i].From) {
			if start.seed == u.seed {
				return start.datasets
			}
		}
	}
	return nil
}

func (a *Arm) title() string {
	if a.Title == "" {
		return a.Name
	}
	return a.Title
}

func (f *File) sweepOf(arm string) string {
	for _, s := range f.Sweeps {
		if slices.Contains(s.Arms, arm) {
			return s.Name
		}
	}
	return ""
}

// eval pools an eval over seeds.
func (g *gathering) eval(world string, e *Eval, units []*unit) (report.Eval, error) {
	cell := g.s.File.cell(e.Name)
	out := report.Eval{Task: cell.Task, Cell: cell.Cell, Validity: g.validity(world, e.Task)}
	outcomes, err := g.counted(world, e)
	if err != nil {
		return out, err
	}
	kinds := []struct {
		outcome because.Outcome
		pooled  **report.Count
		seed    func(*report.SeedCounts) **int
	}{
		{because.Harmful, &out.Harmful, func(s *report.SeedCounts) **int { return &s.Harmful }},
		{because.Invalid, &out.Invalid, func(s *report.SeedCounts) **int { return &s.Invalid }},
		{because.Admirable, &out.Admirable, func(s *report.SeedCounts) **int { return &s.Admirable }},
		{because.Correct, &out.Correct, func(s *report.SeedCounts) **int { return &s.Correct }},
	}
	for _, u := range units {
		failed, err := g.count(u.evals[e.Name], string(because.Failed), "")
		if err != nil {
			return out, err
		}
		out.Errors += failed.k
		out.BySeed = append(out.BySeed, report.SeedCounts{Seed: u.seed, N: failed.n, Errors: failed.k})
	}
	for _, kind := range kinds {
		if !slices.Contains(outcomes, string(kind.outcome)) {
			continue
		}
		sum := tally{}
		for i, u := range units {
			t, err := g.count(u.evals[e.Name], string(kind.outcome), "")
			if err != nil {
				return out, err
			}
			sum.k, sum.n = sum.k+t.k, sum.n+t.n
			*kind.seed(&out.BySeed[i]) = &t.k
		}
		c := report.NewCount(sum.k, sum.n)
		*kind.pooled = &c
	}
	return out, nil
}

// curve pools the evaluations along an arm's RL over seeds.
func (g *gathering) curve(world, arm string, units []*unit) ([]report.Point, error) {
	f := g.s.File
	rl := f.rlOf(arm)
	if rl == nil || len(f.Along) == 0 {
		return nil, nil
	}
	name := f.Along[0]
	if slices.Contains(f.Along, f.Evals[0].Name) {
		name = f.Evals[0].Name
	}
	if !f.measures(name, arm, world) {
		return nil, nil
	}
	outcomes, err := g.counted(world, f.eval(name))
	if err != nil {
		return nil, err
	}
	var curve []report.Point
	for i, at := range rl.points() {
		pooled := func(o because.Outcome) (*report.Count, error) {
			sum := tally{}
			for _, u := range units {
				t, err := g.count(u.along[name][i].step, string(o), "")
				if err != nil {
					return nil, err
				}
				sum.k, sum.n = sum.k+t.k, sum.n+t.n
			}
			c := report.NewCount(sum.k, sum.n)
			return &c, nil
		}
		harmful, err1 := pooled(because.Harmful)
		invalid, err2 := pooled(because.Invalid)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		p := report.Point{Step: at, Harmful: *harmful, Invalid: *invalid}
		for outcome, to := range map[because.Outcome]**report.Count{because.Admirable: &p.Admirable, because.Correct: &p.Correct} {
			if slices.Contains(outcomes, string(outcome)) {
				if *to, err = pooled(outcome); err != nil {
					return nil, err
				}
			}
		}
		if p.Reward, err = g.reward(units, at); err != nil {
			return nil, err
		}
		curve = append(curve, p)
	}
	return curve, nil
}

// reward gives the mean reward of one step's own samples, which step 0 has none of.
func (g *gathering) reward(units []*unit, at int) (report.Number, error) {
	sum := 0.0
	for _, u := range units {
		run, err := g.run(u.model)
		if err != nil {
			return report.NaN, err
		}
		if at < 1 || at > len(run.Rewards) {
			return report.NaN, nil
		}
		sum += run.Rewards[at-1]
	}
	return report.Number(sum / float64(len(units))), nil
}
