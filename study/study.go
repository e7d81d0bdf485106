package study

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/graph"
	"github.com/because-lab/because/internal/store"
	"github.com/because-lab/because/report"
)

// StoreDir and RunsDir are where studies keep their things below the folder they are given.
const (
	StoreDir = ".because/store"
	RunsDir  = "runs"
)

// Study is a study in its world, checked and planned.
type Study struct {
	File *File // as it runs: overrides applied

	planner *planner
	graph   *graph.Graph
	store   *warmStore
	dir     string
	quick   bool
	text    report.Constitution
	own     []byte   // the constitution, where it is a file of the user's
	left    []string // what a quick run leaves out, in words
}

// Options say how a study is opened.
type Options struct {
	Overrides
	Dir     string              // holds runs/ and the store
	Warn    func(error)         // told of damage in the store; logged where nil
	Waiting func(holder string) // told when another process holds the store
}

// Open checks a study against its world and plans it. Nothing is written. Errors about the file name their place.
func Open(f *File, w World, o Options) (*Study, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	if err := f.checkStart(w); err != nil {
		return nil, err
	}
	world := askOnce(w)
	if err := f.checkAgainst(world); err != nil {
		return nil, err
	}
	text, own, err := f.constitution(w)
	if err != nil {
		return nil, err
	}
	s := &Study{dir: o.Dir, quick: o.Quick, text: text, own: own}
	if s.File, s.left, err = f.apply(o.Overrides); err != nil {
		return nil, err
	}
	if s.planner, err = plan(s.File, world, text.Hash); err != nil {
		return nil, err
	}
	disk, err := store.Open(filepath.Join(o.Dir, filepath.FromSlash(StoreDir)), store.Options{Warn: tellOnce(o.Warn), Waiting: o.Waiting})
	if err != nil {
		return nil, err
	}
	s.store = &warmStore{Store: disk}
	if s.graph, err = graph.New(f.Study, s.planner.steps, s.store); err != nil {
		return nil, err
	}
	return s, nil
}

// tellOnce passes each warning on only once: a plan and a run look at the same artifacts.
func tellOnce(warn func(error)) func(error) {
	if warn == nil {
		return nil
	}
	var mu sync.Mutex
	told := map[string]bool{}
	return func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if text := err.Error(); !told[text] {
			told[text] = true
			warn(err)
		}
	}
}

// constitution finds the text that a study names: the world's own of that name, or a file, whose content it gives too.
func (f *File) constitution(w World) (c report.Constitution, file []byte, err error) {
	if f.Constitution == "" {
		return c, nil, nil
	}
	fail := func(err error, hint string) error { return because.E(opRead, f.Place("constitution"), err, hint) }
	c.Name = f.Constitution
	unknown := fmt.Errorf("no constitution is named %q", f.Constitution)
	if own, ok := w.(Constitutional); ok {
		text, err := own.Constitution(f.Constitution)
		if err == nil {
			c.Hash = hashOf(text)
			return c, nil, nil
		}
		unknown = err
	}
	path := f.Constitution
	if !filepath.IsAbs(path) {
		path = filepath.Join(f.source.dir, path)
	}
	file, err = os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint := because.Hint(unknown)
		if hint == "" {
			hint = "name one that the target knows, or the path of a file, relative to the study file"
		}
		return c, nil, fail(unknown, hint)
	case err != nil:
		return c, nil, fail(err, "")
	}
	c.Name, c.Hash = filepath.Base(path), hashOf(file)
	return c, file, nil
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Plan is what a run would do now.
type Plan struct {
	Steps []PlanStep // in topological order
	Todo  Cost       // of the steps that would run
	Count map[graph.State]int
}

// PlanStep is one step of a plan.
type PlanStep struct {
	graph.PlanStep
	Cost Cost
}

// Plan tells which steps are cached, stale or missing. It changes nothing.
func (s *Study) Plan(ctx context.Context) (*Plan, error) {
	if err := s.store.warm(ctx, s.keys()); err != nil {
		return nil, err
	}
	steps, err := s.graph.Plan(ctx, s.wanted()...)
	if err != nil {
		return nil, err
	}
	p := &Plan{Count: map[graph.State]int{}}
	for _, step := range steps {
		cost := s.planner.cost[step.ID]
		p.Steps = append(p.Steps, PlanStep{step, cost})
		p.Count[step.State]++
		if step.Runs {
			p.Todo.Tokens += cost.Tokens
			p.Todo.FLOP += cost.FLOP
		}
	}
	return p, nil
}

// Steps lists the study's steps in topological order.
func (s *Study) Steps() []graph.Step { return s.graph.Steps() }

// wanted lists all steps: what they made is shown in the results, kept for a chat, or both.
func (s *Study) wanted() []string {
	return names(s.planner.steps, func(step graph.Step) string { return step.ID })
}

// keys lists the keys of all steps.
func (s *Study) keys() []string {
	return names(s.wanted(), func(id string) string {
		key, _ := s.graph.Key(id) // it is the graph's own
		return key
	})
}

// RunOptions say how a study is run. Nothing in them changes what comes out.
type RunOptions struct {
	Jobs      int               // steps at a time; as many as cores where 0
	Events    func(graph.Event) // told what happens; must not block
	KeepGoing bool              // after a failure go on with what does not depend on it
	By        map[string]string // noted with every result: which program made it
}

// Folder is where the study's results are written.
func (s *Study) Folder() string { return filepath.Join(s.dir, RunsDir, s.File.Study) }

// Run makes what is missing and writes the results into Folder. An error under errors.Is with because.ErrInterrupted
// means that ctx ended the run: the next one continues. After a failure nothing is written but what steps made.
func (s *Study) Run(ctx context.Context, o RunOptions) (results *report.Results, err error) {
	if err := s.store.Lock(ctx); err != nil {
		if ctx.Err() != nil {
			err = errors.Join(because.ErrInterrupted, err)
		}
		return nil, err
	}
	defer func() { err = errors.Join(err, s.store.Unlock()) }()
	if err := s.store.warm(ctx, s.keys()); err != nil {
		if ctx.Err() != nil {
			err = errors.Join(because.ErrInterrupted, context.Cause(ctx))
		}
		return nil, err
	}
	summary, err := s.graph.Run(ctx, graph.Options{Jobs: o.Jobs, KeepGoing: o.KeepGoing, Want: s.wanted(), Events: o.Events, By: o.By})
	if err != nil {
		return nil, err
	}
	g := newGathering(s, summary)
	results, transcripts, err := g.results(ctx)
	if err != nil {
		return nil, err
	}
	return results, s.write(ctx, g, results, transcripts)
}
