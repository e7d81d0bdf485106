// Package ui shows a run of steps while it goes on: a line per running step on a terminal, plain lines
// where the output is a file or a pipe, JSON lines for programs.
package ui

import (
	"context"
	"io"
	"sync"
	"time"
)

// State is where a step stands.
type State string

// The states of a step. Cached, Done, Failed and Skipped are final.
const (
	Started  State = "started"
	Progress State = "progress"
	Done     State = "done"
	Cached   State = "cached"
	Failed   State = "failed"
	Skipped  State = "skipped"
)

// Event is news of one step.
type Event struct {
	Step  string // unique in the run
	Title string // for people; empty: Step
	Kind  string
	State State
	// Done of Total units of the step's work; Total 0 means unknown.
	Done, Total float64
	Unit        string // "tokens"
	Note        string
	Err         error
	Time        time.Time
	// RunDone of RunTotal is the whole run's work in any unit, cached steps included.
	RunDone, RunTotal float64
}

// Mode is how a run is shown.
type Mode int

// Live redraws running steps in place and needs a terminal. Lines prints at most one line when a step turns
// out to be long and one when it ends. JSON prints every event as one JSON object, progress at most once a
// second for each step.
const (
	Lines Mode = iota
	Live
	JSON
)

// Options say where and how a run is shown.
type Options struct {
	Out   io.Writer
	Mode  Mode
	Color bool // ANSI colours; Live and Lines
	// Unicode allows bars and marks beyond ASCII.
	Unicode bool
	// Size gives the terminal's columns and rows at each frame, so that a resize needs no signal. Nil, or 0
	// columns, means 80 by 24. Live only.
	Size func() (columns, rows int)
}

// Display shows a run. Its methods may be called by several goroutines at once.
type Display struct {
	mu      sync.Mutex
	view    view
	stopped bool
	quit    chan struct{}  // closed by Stop
	painter sync.WaitGroup // the goroutine of Live
}

// view turns events into output. The Display's lock guards it.
type view interface {
	event(Event)
	message(string)
	frame() // redraws, at most ten times a second
	stop()
	err() error
}

// New starts a display. Stop must be called; until then, in mode Live, one goroutine redraws at most ten
// times a second. When ctx ends the terminal is put in order at once and what follows is not shown.
func New(ctx context.Context, options Options) *Display {
	return start(ctx, options, time.Now, nil)
}

// start is New with the clock and the ticks of the frames given; nil ticks come from a real ticker.
func start(ctx context.Context, options Options, now func() time.Time, ticks <-chan time.Time) *Display {
	d := &Display{quit: make(chan struct{})}
	out := &output{w: options.Out}
	switch options.Mode {
	case JSON:
		d.view = newJSONView(out)
	case Live:
		d.view = newLiveView(out, options, now)
	default:
		d.view = newLineView(out, options)
	}
	if options.Mode == Live {
		d.painter.Add(1)
		go d.paint(ctx, ticks)
	}
	return d
}

// paint redraws at every tick until the context or the display ends.
func (d *Display) paint(ctx context.Context, ticks <-chan time.Time) {
	defer d.painter.Done()
	if ticks == nil {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			d.end()
			return
		case <-d.quit:
			return
		case <-ticks:
			d.mu.Lock()
			if !d.stopped {
				d.view.frame()
			}
			d.mu.Unlock()
		}
	}
}

// Event shows news of a step. It never blocks on anything but the output.
func (d *Display) Event(e Event) {
	if e.Title == "" {
		e.Title = e.Step
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.stopped {
		d.view.event(e)
	}
}

// Message shows a line of text above the running steps; in mode JSON, an object with the key "message".
func (d *Display) Message(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.stopped {
		d.view.message(text)
	}
}

// Stop ends the display: lines of running steps vanish, the cursor comes back, the goroutine has ended. It
// may be called more than once, and gives the first error of writing.
func (d *Display) Stop() error {
	first := d.end()
	if first {
		close(d.quit)
	}
	d.painter.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.view.err()
}

// end puts the terminal in order, once; it says whether quit is still to be closed.
func (d *Display) end() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return false
	}
	d.stopped = true
	d.view.stop()
	return true
}

// output remembers the first error of a writer and writes nothing after it: a closed pipe must not stop
// the run that is shown.
type output struct {
	w     io.Writer
	first error
}

func (o *output) write(s string) {
	if o.first == nil && s != "" {
		_, o.first = io.WriteString(o.w, s)
	}
}

func (o *output) err() error { return o.first }
