package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/because-lab/because"
)

// defaultGrace is how long work may take to stop by itself after the first interrupt. What is left then is cut off, which
// loses no finished step: the store takes a kill at any moment.
const defaultGrace = 800 * time.Millisecond

// interrupt turns signals into the end of a context. The first one cancels; a second one, or the end of the grace
// time, ends the program.
type interrupt struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	signals chan os.Signal
	done    chan struct{} // closed by stop

	mu     sync.Mutex
	out    io.Writer // told about the interrupt
	resume string    // what an interrupted user should do; empty where there is nothing to resume
	grace  time.Duration
	clean  []func() // run before a forced exit, last first
}

// watchSignals starts to watch for Ctrl-C and SIGTERM.
func watchSignals(out io.Writer) *interrupt {
	i := &interrupt{signals: make(chan os.Signal, 2), done: make(chan struct{}), out: out, grace: defaultGrace}
	i.ctx, i.cancel = context.WithCancelCause(context.Background())
	signal.Notify(i.signals, os.Interrupt, syscall.SIGTERM)
	go i.watch()
	return i
}

// watch waits for the first signal, and then for the first reason to go at once.
func (i *interrupt) watch() {
	select {
	case <-i.done:
		return
	case <-i.signals:
	}
	i.cancel(because.ErrInterrupted)
	select {
	case <-i.done:
		return
	case <-i.signals:
	case <-time.After(i.patience()):
	}
	i.mu.Lock() // held for good: nothing is to be registered or stopped any more
	for n := len(i.clean) - 1; n >= 0; n-- {
		i.clean[n]()
	}
	i.tell()
	os.Exit(exitInterrupted)
}

// resumable says what a user who interrupts should do to go on.
func (i *interrupt) resumable(how string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.resume = how
}

// allow gives the work more time to stop by itself: to write a checkpoint, say, or to end answers in progress.
func (i *interrupt) allow(grace time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.grace = grace
}

func (i *interrupt) patience() time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.grace
}

// before registers what must happen before a forced exit (such as giving the terminal back) and returns a function that
// takes it off again.
func (i *interrupt) before(f func()) (remove func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := len(i.clean)
	i.clean = append(i.clean, f)
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.clean[n] = func() {}
	}
}

// stop ends the watch, when the program is about to return by itself, and says whether it was interrupted.
func (i *interrupt) stop(interrupted bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	signal.Stop(i.signals)
	close(i.done)
	i.cancel(nil)
	if interrupted {
		i.tell()
	}
}

// tell says that the command was interrupted and whether it can go on. The caller holds mu.
func (i *interrupt) tell() {
	if i.resume == "" {
		fmt.Fprintln(i.out, "interrupted")
		return
	}
	fmt.Fprintf(i.out, "interrupted; resumable: %s\n", i.resume)
}
