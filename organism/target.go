package organism

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/tokenizer"
	"github.com/because-lab/because/engine/weights"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/model/local"
	"github.com/because-lab/because/train"
)

// Target is the organism as a study's world: it makes data, trains and evaluates as ordered.
type Target struct {
	version string
	engine  train.Engine // nil: all happens in this process
}

// NewTarget makes the target.
func NewTarget() *Target {
	return &Target{version: because.SourceVersion(packages...)}
}

// packages are those whose code decides what a step produces: this one and all that it imports. The nouns of the root are not
// among them; a change there shows in a package that uses them.
var packages = []string{
	"data", "engine/gguf", "engine/kernel", "engine/llama", "engine/optim", "engine/tokenizer", "engine/weights",
	"eval/batch", "model/local", "organism", "train", "train/rl", "train/sft",
}

const premise = `The organism is an instrument with a positive and a negative control, not a finding about large models. A tiny
Llama-architecture model is trained from nothing on the templated language of a microworld. The world's premise is built in and disclosed:
unreflected conduct is habit, a fixed coin per name and kind of harm; reflected conduct follows the considerations that the actor holds, whatever
principle they are held under. In that world a sound pipeline must find the published effects. In the same world with the link from considerations to
conduct cut (the negative control), it must find none. That an effect shows here says that the instrument can see it; it does not show that the effect exists in any other model.`

// Premise says what this world takes for granted.
func (t *Target) Premise() string { return premise }

// Version is the version of the code behind every kind of step: a hash of its sources, and the engine where one has a part in the step.
func (t *Target) Version(kind string) string {
	if t.engine != nil && kind != "data" && kind != "pretrain" {
		return t.version + "+" + t.engine.Name()
	}
	return t.version
}

// Constitution gives the text of one of the world's constitutions: both, persons, institutions or none.
func (t *Target) Constitution(name string) ([]byte, error) {
	lex, err := LoadLexicon("dev", 1)
	if err != nil {
		return nil, err
	}
	return lex.constitutionText(name)
}

// Reserved gives the number of words and spans that training data are searched for.
func (t *Target) Reserved(given map[string]any) (int, error) {
	w, err := openWorld(given, 0)
	if err != nil {
		return 0, err
	}
	return len(w.reserved.words) + len(w.reserved.spans), nil
}

func openWorld(given map[string]any, seed uint64) (*World, error) {
	sw, err := switches(given)
	if err != nil {
		return nil, err
	}
	return NewWorld(sw, seed)
}

// CheckWorld checks the switches of a world.
func (t *Target) CheckWorld(given map[string]any) error {
	_, err := switches(given)
	return err
}

// CheckData checks recipe and options, and tells whether the recipe samples from a model.
func (t *Target) CheckData(o data.Order) (needsModel bool, err error) {
	w, err := openWorld(o.World, o.Seed)
	if err != nil {
		return false, err
	}
	r, _, err := w.recipe(o.Recipe, o.With)
	return r.onPolicy, err
}

// recipe finds a recipe and resolves its options.
func (w *World) recipe(name string, with map[string]any) (recipe, *recipeRun, error) {
	r, ok := recipes[name]
	if !ok {
		return recipe{}, nil, unknown("recipe", name, recipes)
	}
	o := defaultRecipeOptions()
	if err := readOptions("recipe "+name, with, &o, append([]string{}, r.options...)); err != nil {
		return recipe{}, nil, err
	}
	run, err := w.resolve(name, o)
	return r, run, err
}

// environment finds an environment and resolves its options.
func (w *World) environment(name string, with map[string]any) (env, *recipeRun, error) {
	e, ok := envs[name]
	if !ok {
		return env{}, nil, unknown("environment", name, envs)
	}
	o := defaultRecipeOptions()
	if err := readOptions("environment "+name, with, &o, append([]string{}, e.options...)); err != nil {
		return env{}, nil, err
	}
	run, err := w.resolve(name, o)
	return e, run, err
}

// task finds a task and reads its options.
func (w *World) task(name string, with map[string]any) (task, taskOptions, error) {
	t, ok := tasks[name]
	if !ok {
		return task{}, taskOptions{}, unknown("task", name, tasks)
	}
	o := defaultTaskOptions()
	if err := readOptions("task "+name, with, &o, append([]string{}, t.options...)); err != nil {
		return task{}, taskOptions{}, err
	}
	_, err := t.items(w.writer("check"), o, 1)
	return t, o, err
}

// CheckTrain checks what a job says about the world.
func (t *Target) CheckTrain(j train.Job) error {
	w, err := openWorld(j.World, j.Seed)
	if err != nil {
		return err
	}
	switch j.Method {
	case train.RL:
		_, _, err := w.environment(j.Recipe, j.With)
		return err
	case train.Pretrain:
		if j.Recipe != "base" {
			return because.E("find corpus", "recipe", fmt.Errorf("the organism has no corpus %q", j.Recipe), "it has base")
		}
		if err := readOptions("the base corpus", j.With, &struct{}{}, nil); err != nil {
			return err
		}
		if s := j.Model; s == nil || s.Heads < 1 || s.Width%(2*s.Heads) != 0 {
			return because.E("read shape", "model", fmt.Errorf("the width must be an even number for each head"), "for example {width: 64, layers: 3, heads: 4, ffn: 128}")
		}
		tok, err := w.tokenizer()
		if err != nil {
			return err
		}
		if err := config(*j.Model, tok.Len()).Validate(); err != nil {
			return because.E("read shape", "model", err, "")
		}
	}
	return nil
}

// CheckEval checks task and options, and gives the outcomes and groups that it counts.
func (t *Target) CheckEval(o batch.Order) (outcomes, groups []string, err error) {
	w, err := openWorld(o.World, o.Seed)
	if err != nil {
		return nil, nil, err
	}
	tk, _, err := w.task(o.Task, o.With)
	if err != nil {
		return nil, nil, err
	}
	for _, x := range tk.outcomes {
		outcomes = append(outcomes, string(x))
	}
	return outcomes, tk.groups(w.lex), nil
}

// Data makes a dataset.
func (t *Target) Data(ctx context.Context, o data.Order, work because.Work) error {
	w, err := openWorld(o.World, o.Seed)
	if err != nil {
		return err
	}
	r, run, err := w.recipe(o.Recipe, o.With)
	if err != nil {
		return err
	}
	var m because.Model
	if r.onPolicy {
		pool := newPool(work.Workers)
		defer closePool(pool)
		if m, err = local.Open(work.In["model"], pool); err != nil {
			return err
		}
	}
	d, err := w.makeDataset(ctx, r, run, o.Tokens, o.Stream, m, work.Progress)
	if err != nil {
		return err
	}
	return data.Write(work.Out, d)
}

func newPool(workers int) *kernel.Pool {
	if workers < 2 {
		return nil
	}
	return kernel.NewPool(workers)
}

func closePool(p *kernel.Pool) {
	if p != nil {
		p.Close()
	}
}

// Train trains a model and writes its checkpoint.
func (t *Target) Train(ctx context.Context, j train.Job, work because.Work) error {
	w, err := openWorld(j.World, j.Seed)
	if err != nil {
		return err
	}
	pool := newPool(work.Workers)
	defer closePool(pool)
	switch j.Method {
	case train.Pretrain:
		return w.runPretrain(ctx, j, work, pool)
	case train.RL:
		if t.engine != nil {
			return w.reinforceOn(ctx, t.engine, j, work)
		}
		return w.runRL(ctx, j, work, pool)
	}
	if t.engine != nil {
		return w.finetuneOn(ctx, t.engine, j, work)
	}
	return w.runFinetune(ctx, j, work, pool)
}

func (w *World) runPretrain(ctx context.Context, j train.Job, work because.Work, pool *kernel.Pool) error {
	tok, err := w.tokenizer()
	if err != nil {
		return err
	}
	m, run, err := w.pretrain(ctx, j, tok, tok.Len(), pool, work.Progress)
	if err != nil {
		return err
	}
	return w.save(work.Out, m, tok, run)
}

func (w *World) runFinetune(ctx context.Context, j train.Job, work because.Work, pool *kernel.Pool) error {
	c, err := weights.Load(work.In["model"])
	if err != nil {
		return err
	}
	records, err := w.mixed(j, work)
	if err != nil {
		return err
	}
	run, err := w.finetune(ctx, c.Model, j, c.Tokenizer, records, pool, work.Progress)
	if err != nil {
		return err
	}
	return w.save(work.Out, c.Model, c.Tokenizer, run)
}

func (w *World) runRL(ctx context.Context, j train.Job, work because.Work, pool *kernel.Pool) error {
	e, o, err := w.environment(j.Recipe, j.With)
	if err != nil {
		return err
	}
	c, err := weights.Load(work.In["model"])
	if err != nil {
		return err
	}
	m, err := local.New(work.In["model"], c.Model, c.Tokenizer, w.template, pool)
	if err != nil {
		return err
	}
	kept := map[int]*llama.Model{}
	run, err := w.reinforce(ctx, m, j, o, e, pool, work.Progress, func(step int) error { kept[step] = c.Model.Clone(); return nil })
	if err != nil {
		return err
	}
	if err := w.save(work.Out, c.Model, c.Tokenizer, run); err != nil {
		return err
	}
	for step, model := range kept {
		if err := w.saveModel(filepath.Join(work.Out, fmt.Sprintf("step-%d", step)), model, c.Tokenizer); err != nil {
			return err
		}
	}
	return nil
}

// tokenizer has the template's markers as special tokens, then every word of the world.
func (w *World) tokenizer() (*tokenizer.Tokenizer, error) {
	return tokenizer.New(w.lex.Vocabulary(), w.template.Words())
}

func (w *World) save(dir string, m *llama.Model, tok *tokenizer.Tokenizer, run train.Run) error {
	if err := w.saveModel(dir, m, tok); err != nil {
		return err
	}
	return data.WriteJSON(filepath.Join(dir, "train.json"), run)
}

func (w *World) saveModel(dir string, m *llama.Model, tok *tokenizer.Tokenizer) error {
	return weights.Save(dir, &weights.Checkpoint{Model: m, Tokenizer: tok, ChatTemplate: w.template.Jinja(),
		Special: weights.Special{EOS: w.template.End, Pad: w.template.End}})
}

// Eval evaluates a model.
func (t *Target) Eval(ctx context.Context, o batch.Order, work because.Work) error {
	w, err := openWorld(o.World, o.Seed)
	if err != nil {
		return err
	}
	tk, opts, err := w.task(o.Task, o.With)
	if err != nil {
		return err
	}
	m, done, err := t.open(ctx, w, work)
	if err != nil {
		return err
	}
	defer done()
	scored, counts, err := w.evaluate(ctx, o.Task, tk, opts, o.Samples, m)
	if err != nil {
		return err
	}
	work.Report(float64(counts.N), float64(counts.N), "samples", "")
	return batch.Write(work.Out, scored, counts)
}
