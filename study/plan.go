package study

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/internal/graph"
	"github.com/because-lab/because/internal/store"
	"github.com/because-lab/because/train"
)

// unit is one arm in one world with one seed: the steps that make and measure it.
type unit struct {
	world, arm string
	seed       uint64
	model      string             // step of its checkpoint
	trains     []string           // steps of its stages, those of the arms it starts from included
	datasets   []string           // of these stages, replay apart
	evals      map[string]string  // step by eval
	along      map[string][]point // by eval; of arms whose last stage is RL
}

// point is one evaluation along RL.
type point struct {
	at   int // updates
	step string
}

// pair is the two evaluations of a known-group check in one seed.
type pair struct{ high, low string }

// dataset is a data step with what it was ordered as.
type dataset struct {
	step  string
	world string
	order data.Order
}

// planner turns a study into steps. Equal orders on equal inputs become one step, named after the first that needs it.
type planner struct {
	f       *File
	w       *asked
	text    string // hash of the constitution
	steps   []graph.Step
	byOrder map[string]string // step by the canonical form of what it does
	ids     map[string]bool
	cost    map[string]Cost
	sizes   sizes

	units    []*unit
	pairs    map[string][]pair // by check, in order of seeds
	datasets []dataset         // without duplicates
}

// plan makes the steps of a checked study.
func plan(f *File, w *asked, constitution string) (*planner, error) {
	p := &planner{f: f, w: w, text: constitution, byOrder: map[string]string{}, ids: map[string]bool{},
		cost: map[string]Cost{}, sizes: sizesOf(f, w.World), pairs: map[string][]pair{}}
	for _, setting := range f.Worlds {
		for _, seed := range f.Seeds {
			if err := p.world(setting, seed); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// world plans everything in one world with one seed: training first, so that shared steps are named after who trains.
func (p *planner) world(setting Setting, seed uint64) error {
	c := &chain{p: p, setting: setting, seed: seed, prefix: fmt.Sprintf("%s/seed%d/", setting.Name, seed)}
	start, err := c.start()
	if err != nil {
		return err
	}
	for i, stage := range p.f.Init {
		if start, err = c.extend(start, stage, "init", i+1, fmt.Sprintf("init/%d", i+1)); err != nil {
			return err
		}
	}
	start.trains, start.datasets = nil, nil // an arm's own begin here
	ends := map[string]*link{"": start}
	var units []*unit
	for _, a := range p.f.Arms {
		if !p.f.inWorld(a.Name, setting.Name) {
			continue
		}
		end, err := c.arm(a.Name, ends)
		if err != nil {
			return err
		}
		units = append(units, &unit{world: setting.Name, arm: a.Name, seed: seed, model: end.model,
			trains: end.trains, datasets: end.datasets, evals: map[string]string{}, along: map[string][]point{}})
	}
	for _, u := range units {
		if err := c.evals(u, ends[u.arm]); err != nil {
			return err
		}
	}
	p.units = append(p.units, units...)
	return c.checks(ends)
}

// chain plans the models of one world and seed.
type chain struct {
	p       *planner
	setting Setting
	seed    uint64
	prefix  string // of step IDs
}

// link is a model on the way to an arm's: the steps up to it.
type link struct {
	model    string         // step of the checkpoint
	before   string         // step of the checkpoint that the last stage started from
	stages   int            // since init
	recipes  map[string]int // how often each occurred on the way
	trains   []string
	datasets []string
}

// start gives the link before init: nothing, or the checkpoint that the world starts from, which is one step for all worlds and seeds.
func (c *chain) start() (*link, error) {
	l := &link{recipes: map[string]int{}}
	w, ok := c.p.w.World.(Starting)
	if !ok {
		return l, nil
	}
	with, err := w.Start()
	if err != nil {
		return nil, because.E(opRead, c.p.f.Place("target"), err, because.Hint(err))
	}
	job := train.Job{World: map[string]any{}, Method: train.Pretrain, Recipe: StartRecipe, With: with}
	l.model, err = c.p.add(graph.Step{ID: "start", Kind: KindPretrain, Title: "start checkpoint", Params: trainParams{Job: job},
		Run: func(ctx context.Context, t *graph.Task) error { return runTrain(ctx, c.p.w, job, t) }}, Cost{})
	return l, err
}

// arm plans an arm's model, those that it starts from first.
func (c *chain) arm(name string, ends map[string]*link) (*link, error) {
	if end, ok := ends[name]; ok {
		return end, nil
	}
	a := c.p.f.arm(name)
	at := ends[""]
	if a.From != "" {
		var err error
		if at, err = c.arm(a.From, ends); err != nil {
			return nil, err
		}
	}
	for i, stage := range a.Stages {
		var err error
		if at, err = c.extend(at, stage, name, i+1, fmt.Sprintf("arm/%d", at.stages+1)); err != nil {
			return nil, err
		}
	}
	ends[name] = at
	return at, nil
}

// extend plans a stage on top of a model. The random stream is named by the stage's place on the way from the start, not by
// the arm, so that arms are paired and equal stages are one step.
func (c *chain) extend(from *link, stage Stage, arm string, n int, stream string) (*link, error) {
	method, given := stage.Method()
	s := c.p.f.merged(method, given)
	to := &link{before: from.model, stages: from.stages, recipes: map[string]int{}, trains: slices.Clone(from.trains), datasets: slices.Clone(from.datasets)}
	for recipe, times := range from.recipes {
		to.recipes[recipe] = times
	}
	if arm != "init" {
		to.stages++
	}
	if s.Stream != "" {
		stream = s.Stream
	}
	var needs []graph.Input
	if from.model != "" {
		needs = append(needs, graph.Input{Name: "model", Step: from.model})
	}
	if method == train.SFT || method == train.SDF {
		own, err := c.data(from, to, s, arm, n)
		if err != nil {
			return nil, err
		}
		to.datasets = append(to.datasets, own)
		needs = append(needs, graph.Input{Name: "data", Step: own})
		if *s.Replay > 0 {
			order, err := c.p.w.resolve(c.p.f.mixOrder(c.setting, c.seed))
			if err != nil {
				return nil, err
			}
			mix, err := c.dataset(c.prefix+"mix", "replayed records", order, nil)
			if err != nil {
				return nil, err
			}
			needs = append(needs, graph.Input{Name: "replay", Step: mix})
		}
	}
	job, err := c.p.w.resolveJob(c.p.f.job(c.setting, c.seed, method, s, stream))
	if err != nil {
		return nil, err
	}
	kind := map[train.Method]string{train.Pretrain: KindPretrain, train.SFT: KindTrain, train.SDF: KindTrain, train.RL: KindRL}[method]
	id, err := c.p.add(graph.Step{
		ID: fmt.Sprintf("%s%s/%d-%s", c.prefix, arm, n, method), Kind: kind,
		Title:  fmt.Sprintf("%s · %s", c.label(arm), method),
		Params: trainParams{Job: job, Constitution: c.p.text}, Needs: needs,
		Run: func(ctx context.Context, t *graph.Task) error { return runTrain(ctx, c.p.w, job, t) },
	}, c.p.trainCost(method, s))
	if err != nil {
		return nil, err
	}
	to.model = id
	to.trains = append(to.trains, id)
	return to, nil
}

// data plans a stage's own dataset.
func (c *chain) data(from, to *link, s *Settings, arm string, n int) (string, error) {
	stream := s.Recipe
	to.recipes[s.Recipe]++
	if times := to.recipes[s.Recipe]; times > 1 {
		stream = fmt.Sprintf("%s/%d", s.Recipe, times)
	}
	if s.Stream != "" {
		stream = s.Stream
	}
	order, err := c.p.w.resolve(c.p.f.dataOrder(c.setting, c.seed, s, stream))
	if err != nil {
		return "", err
	}
	needsModel, err := c.p.w.CheckData(order)
	if err != nil {
		return "", err
	}
	var needs []graph.Input
	if needsModel {
		needs = []graph.Input{{Name: "model", Step: from.model}}
	}
	return c.dataset(fmt.Sprintf("%s%s/%d-data", c.prefix, arm, n), fmt.Sprintf("%s · data %s", c.label(arm), s.Recipe), order, needs)
}

// dataset plans a data step.
func (c *chain) dataset(id, title string, order data.Order, needs []graph.Input) (string, error) {
	known := len(c.p.steps)
	id, err := c.p.add(graph.Step{
		ID: id, Kind: KindData, Title: title, Params: dataParams{Order: order, Constitution: c.p.text}, Needs: needs,
		Run: func(ctx context.Context, t *graph.Task) error { return runData(ctx, c.p.w, order, t) },
	}, c.p.dataCost(order, len(needs) > 0))
	if len(c.p.steps) > known {
		c.p.datasets = append(c.p.datasets, dataset{step: id, world: c.setting.Name, order: order})
	}
	return id, err
}

// evals plans the evaluations of an arm, and those along its RL.
func (c *chain) evals(u *unit, end *link) error {
	for _, e := range c.p.f.Evals {
		if !c.p.f.measures(e.Name, u.arm, u.world) {
			continue
		}
		order := c.p.f.evalOrder(c.setting, c.seed, e)
		id, err := c.eval(fmt.Sprintf("%s%s/eval/%s", c.prefix, u.arm, e.Name), fmt.Sprintf("%s · eval %s", c.label(u.arm), e.Name), order, u.model, 0)
		if err != nil {
			return err
		}
		u.evals[e.Name] = id
		rl := c.p.f.rlOf(u.arm)
		if rl == nil || !slices.Contains(c.p.f.Along, e.Name) {
			continue
		}
		for _, at := range rl.points() {
			model, snapshot := u.model, at
			switch at {
			case 0:
				model = end.before
			case *rl.Steps: // the run's output itself
				snapshot = 0
			}
			id, err := c.eval(fmt.Sprintf("%s%s/step-%d/eval/%s", c.prefix, u.arm, at, e.Name),
				fmt.Sprintf("%s step %d · eval %s", c.label(u.arm), at, e.Name), order, model, snapshot)
			if err != nil {
				return err
			}
			u.along[e.Name] = append(u.along[e.Name], point{at, id})
		}
	}
	return nil
}

// eval plans one evaluation of a checkpoint, or of a snapshot in it.
func (c *chain) eval(id, title string, order batch.Order, model string, snapshot int) (string, error) {
	return c.p.add(graph.Step{
		ID: id, Kind: KindEval, Title: title, Params: evalParams{Order: order, Snapshot: snapshot, Constitution: c.p.text},
		Needs: []graph.Input{{Name: "model", Step: model}}, Share: c.p.served(model, snapshot),
		Run: func(ctx context.Context, t *graph.Task) error { return runEval(ctx, c.p.w, order, snapshot, t) },
	}, c.p.evalCost(order))
}

// served names a model that a cluster has to load for its evaluations; it is empty where models are opened in this process, which takes no time.
func (p *planner) served(model string, snapshot int) string {
	if p.f.Train == nil || p.f.Train.Engine == EngineLocal {
		return ""
	}
	return fmt.Sprintf("%s/%d", model, snapshot)
}

// checks plans the known-group checks of this world.
func (c *chain) checks(ends map[string]*link) error {
	for _, check := range c.p.f.Checks {
		if c.p.f.worldOr(check.World) != c.setting.Name {
			continue
		}
		var ids [2]string
		for i, side := range []struct {
			name string
			with map[string]any
		}{{"high", check.High}, {"low", check.Low}} {
			var err error
			ids[i], err = c.eval(fmt.Sprintf("%scheck/%s/%s", c.prefix, check.Name, side.name), fmt.Sprintf("check %s · seed %d · %s", check.Name, c.seed, side.name),
				c.p.f.checkOrder(c.setting, c.seed, check, side.with), ends[check.Arm].model, 0)
			if err != nil {
				return err
			}
		}
		c.p.pairs[check.Name] = append(c.p.pairs[check.Name], pair{ids[0], ids[1]})
	}
	return nil
}

// label names an arm for people.
func (c *chain) label(arm string) string {
	if len(c.p.f.Worlds) == 1 {
		return fmt.Sprintf("%s · seed %d", arm, c.seed)
	}
	return fmt.Sprintf("%s · %s · seed %d", arm, c.setting.Name, c.seed)
}

// add adds a step unless there is an equal one, and gives the ID of the one that does the work.
func (p *planner) add(s graph.Step, cost Cost) (string, error) {
	order, err := store.Encode(struct {
		Kind   string
		Params any
		Needs  []graph.Input
	}{s.Kind, s.Params, s.Needs})
	if err != nil {
		return "", because.E("plan step", s.ID, err, "")
	}
	if id, known := p.byOrder[string(order)]; known {
		return id, nil
	}
	base := s.ID
	for n := 2; p.ids[s.ID]; n++ { // an arm named like something else of the study
		s.ID = fmt.Sprintf("%s~%d", base, n)
	}
	s.Version = p.w.Version(s.Kind)
	if s.Kind == KindData {
		s.Version += "+" + diversityVersion
	}
	s.Weight = math.Max(cost.FLOP/1e9, 1e-3)
	p.byOrder[string(order)], p.ids[s.ID], p.cost[s.ID] = s.ID, true, cost
	p.steps = append(p.steps, s)
	return s.ID, nil
}

// What is hashed into the keys of the steps of each kind, beside version and inputs.

type dataParams struct {
	data.Order
	Constitution string `json:"constitution,omitempty"`
}

type trainParams struct {
	train.Job
	Constitution string `json:"constitution,omitempty"`
}

type evalParams struct {
	batch.Order
	Snapshot     int    `json:"snapshot,omitempty"` // evaluate the checkpoint in the folder step-N of the input
	Constitution string `json:"constitution,omitempty"`
}

// work gives a world's view of a task.
func work(t *graph.Task) because.Work {
	return because.Work{In: t.Inputs, Out: t.Output, Workers: t.Workers, Progress: t.Progress}
}

func runTrain(ctx context.Context, w World, job train.Job, t *graph.Task) error {
	if err := w.Train(ctx, job, work(t)); err != nil {
		return err
	}
	_, err := readRun(t.Output)
	return err
}

// runData makes a dataset. One that holds what the evaluation reserves fails, so that nothing is trained on it.
func runData(ctx context.Context, w World, order data.Order, t *graph.Task) error {
	if err := w.Data(ctx, order, work(t)); err != nil {
		return err
	}
	card, err := readCard(t.Output)
	if err != nil {
		return err
	}
	if hits := card.Contamination.Hits; hits > 0 {
		return because.E("check dataset", t.Step, fmt.Errorf("%d of %d records of recipe %s hold what is reserved for the evaluation", hits, card.Records, order.Recipe),
			"mend the recipe: nothing may be trained on this")
	}
	return writeDiversity(ctx, t.Output)
}

func runEval(ctx context.Context, w World, order batch.Order, snapshot int, t *graph.Task) error {
	view := work(t)
	if snapshot > 0 {
		view.In = map[string]string{"model": filepath.Join(t.Inputs["model"], fmt.Sprintf("step-%d", snapshot))}
	}
	if err := w.Eval(ctx, order, view); err != nil {
		return err
	}
	counts, err := batch.Read(t.Output)
	if err != nil {
		return err
	}
	if counts.N != order.Samples {
		return because.E("evaluate", t.Step, fmt.Errorf("%d samples were asked for and %d counted", order.Samples, counts.N), "")
	}
	return nil
}
