package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"github.com/because-lab/because"
	"github.com/because-lab/because/checkpoint"
	"github.com/because-lab/because/internal/input"
	"github.com/because-lab/because/organism"
	"github.com/because-lab/because/studies"
	"github.com/because-lab/because/study"
	"github.com/because-lab/because/train"
)

// targetHelp names the targets that a study file may have.
const targetHelp = "there are organism, local:PATH (a checkpoint, relative to the study file) and hf:OWNER/NAME"

// findWorld gives the world of a study's target. This is the one place that knows them all. What it returns beside is closed after the last step.
func (a *app) findWorld(ctx context.Context, f *study.File, o studyOptions) (study.World, io.Closer, error) {
	engine, cluster, err := a.studyEngine(ctx, f, o.dir)
	if err != nil {
		return nil, nil, err
	}
	world, models, err := a.worldOn(ctx, f, o, engine)
	if err != nil {
		return nil, nil, errors.Join(err, cluster.Close())
	}
	return world, closers{models, cluster}, nil
}

// worldOn is findWorld with an engine, nil for this process.
func (a *app) worldOn(ctx context.Context, f *study.File, o studyOptions, engine train.Engine) (study.World, io.Closer, error) {
	scheme, rest, named := strings.Cut(f.Target, ":")
	switch {
	case f.Target == "organism":
		if engine != nil {
			return organism.NewTarget().On(engine), nothingOpen{}, nil
		}
		return organism.NewTarget(), nothingOpen{}, nil
	case named && rest != "" && (scheme == "local" || scheme == "hf"):
		w, closer, err := a.checkpointWorld(ctx, f, o, engine)
		if err != nil {
			err = because.E("read study", f.Place("target"), err, because.Hint(err))
		}
		return w, closer, err
	}
	hint := targetHelp
	if near := input.DidYouMean(scheme, []string{"organism", "local", "hf"}); strings.HasPrefix(near, "did you mean") {
		hint = near + " " + hint
	}
	return nil, nil, because.E("read study", f.Place("target"), fmt.Errorf("unknown target %q", f.Target), hint)
}

// checkpointWorld opens a study's checkpoint.
func (a *app) checkpointWorld(ctx context.Context, f *study.File, o studyOptions, engine train.Engine) (study.World, io.Closer, error) {
	name := f.Target
	if path, ok := strings.CutPrefix(name, "local:"); ok && !filepath.IsAbs(path) {
		name = "local:" + filepath.Join(f.Dir(), path)
	}
	path, err := a.modelPath(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	if isOrganism(path) {
		return nil, nil, because.E("open checkpoint", path, errors.New("it is a checkpoint of the organism, which a study makes itself"), "use target: organism")
	}
	answers := filepath.Join(o.dir, ".because", "answers")
	options := o.asked()
	options.cache, options.cacheDir = "read-write", answers
	models, err := a.newChats(options, nil)
	if err != nil {
		return nil, nil, err
	}
	w, err := checkpoint.New(checkpoint.Options{Path: path, Constitution: f.Constitution, Folder: f.Dir(), Answers: answers, Models: oneByOne(models), Engine: engine})
	if err != nil {
		return nil, nil, errors.Join(err, models.Close())
	}
	return w, models, nil
}

// oneByOne lets steps that run at the same time open models.
func oneByOne(models *chats) func(ctx context.Context, name string) (because.Chat, error) {
	var mu sync.Mutex
	return func(ctx context.Context, name string) (because.Chat, error) {
		mu.Lock()
		defer mu.Unlock()
		return models.get(ctx, name)
	}
}

// asked says how the models beside the target are asked: as other commands do by default, but for what the flags say.
func (o studyOptions) asked() modelOptions {
	var out modelOptions
	out.addTo(pflag.NewFlagSet("", pflag.ContinueOnError))
	out.budgetUSD, out.budgetTokens = o.budgetUSD, o.budgetTokens
	if o.connections > 0 {
		out.connections = o.connections
	}
	return out
}

// closers are closed one after the other.
type closers []io.Closer

func (c closers) Close() error {
	var all []error
	for _, x := range c {
		all = append(all, x.Close())
	}
	return errors.Join(all...)
}

// nothingOpen closes nothing.
type nothingOpen struct{}

func (nothingOpen) Close() error { return nil }

// loadStudy reads a study file, the default one where path is empty.
func loadStudy(path string) (*study.File, error) {
	if path == "" {
		return study.Parse(studies.Name, studies.TeachingWhy)
	}
	return study.Load(path)
}

// openStudy reads a study, finds its world, checks it against that and plans it. What it returns beside is closed after the last step.
func (a *app) openStudy(ctx context.Context, path string, o studyOptions, options study.Options) (*study.Study, io.Closer, error) {
	f, err := loadStudy(path)
	if err != nil {
		return nil, nil, usageError{err}
	}
	world, closer, err := a.findWorld(ctx, f, o)
	if err != nil {
		if aboutFile(err) {
			err = usageError{err}
		}
		return nil, nil, err
	}
	if options.Warn == nil {
		options.Warn = a.warn
	}
	s, err := study.Open(f, world, options)
	if err != nil {
		if aboutFile(err) {
			err = usageError{err}
		}
		return nil, nil, errors.Join(err, closer.Close())
	}
	return s, closer, nil
}

// aboutFile reports whether an error is about the study file or what the command line changes of it, rather than about
// the store.
func aboutFile(err error) bool {
	var e *because.Error
	return errors.As(err, &e) && (e.Op == "read study" || e.Op == "start study")
}
