package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/graph"
	"github.com/because-lab/because/internal/ui"
)

// progress shows a run on standard error, or as JSON lines on standard output.
type progress struct {
	*ui.Display
	forget func() // takes the display off what a forced exit puts in order
}

// showProgress starts a display. Stop must be called.
func (a *app) showProgress(ctx context.Context, json bool) *progress {
	o := ui.Options{Out: a.err, Unicode: true}
	if f, ok := a.err.(*os.File); ok {
		o = ui.Detect(f, os.Getenv).Options()
	}
	if json {
		o = ui.Options{Out: a.out, Mode: ui.JSON}
	}
	p := &progress{Display: ui.New(ctx, o)}
	p.forget = a.interrupt.before(func() { p.Display.Stop() })
	return p
}

// Stop ends the display and gives the first error of writing.
func (p *progress) Stop() error {
	p.forget()
	return p.Display.Stop()
}

// event shows news of a graph's run.
func (p *progress) event(e graph.Event) {
	state, shown := map[graph.State]ui.State{
		graph.Started:  ui.Started,
		graph.Progress: ui.Progress,
		graph.Done:     ui.Done,
		graph.Cached:   ui.Cached,
		graph.Failed:   ui.Failed,
		graph.Skipped:  ui.Skipped,
	}[e.State]
	if !shown {
		return // queued, or interrupted: the run says so as a whole
	}
	p.Event(ui.Event{Step: e.Step, Title: e.Title, Kind: e.Kind, State: state, Done: e.Done, Total: e.Total, Unit: e.Unit,
		Note: e.Note, Err: e.Err, Time: e.Time, RunDone: e.RunDone, RunTotal: e.RunTotal})
}

// work shows one piece of work: report says how far it is, done how it ended.
func (p *progress) work(title string) (report because.Progress, done func(err error)) {
	show := func(e ui.Event) {
		e.Step, e.Title, e.Time = title, title, time.Now()
		p.Event(e)
	}
	show(ui.Event{State: ui.Started})
	report = func(at, total float64, unit, note string) {
		show(ui.Event{State: ui.Progress, Done: at, Total: total, Unit: unit, Note: note})
	}
	done = func(err error) {
		switch {
		case err == nil:
			show(ui.Event{State: ui.Done})
		case !errors.Is(err, because.ErrInterrupted):
			show(ui.Event{State: ui.Failed, Err: err})
		}
	}
	return report, done
}

// warnings keeps what is warned of while a display is shown, to be said after it.
type warnings struct {
	mu  sync.Mutex
	all []string
}

func (w *warnings) add(message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, message)
}

// say prints what was kept.
func (w *warnings) say(a *app) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, message := range w.all {
		a.warn(errors.New(message))
	}
	w.all = nil
}
