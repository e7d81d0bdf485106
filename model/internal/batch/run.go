package batch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// batch is a set of requests that travel together. Its fields are guarded by the gatherer's mutex, except that state.ID and entries
// belong to its goroutine while that runs.
type batch struct {
	g       *Gatherer
	entries []Entry // until it is submitted; requests of an earlier process have none
	bytes   int
	timer   *time.Timer
	waiters map[*waiter]bool

	submitted bool // it takes no more requests
	state     state
	stop      context.CancelFunc // of its goroutine; nil: none runs
	again     bool               // somebody came while the goroutine was stopping
	answers   map[string]span
	// remembered batches have a state on disk; ended ones will give no further answers.
	remembered, ended bool
}

// withdraw forgets a request of a pending batch that nobody waits for.
func (b *batch) withdraw(key string) {
	for w := range b.waiters {
		if w.key == key {
			return
		}
	}
	b.entries = slices.DeleteFunc(b.entries, func(e Entry) bool {
		if e.Key == key {
			b.bytes -= len(e.Body)
		}
		return e.Key == key
	})
	delete(b.g.owner, key)
	if len(b.entries) == 0 {
		b.timer.Stop()
		b.g.pending = nil
	}
}

// submit closes a pending batch and starts its goroutine.
func (b *batch) submit() {
	if b.submitted || len(b.entries) == 0 {
		return
	}
	b.timer.Stop()
	b.submitted = true
	if b.g.pending == b {
		b.g.pending = nil
	}
	b.start()
}

// start runs the batch's goroutine, which ends when the batch does or when nobody waits.
func (b *batch) start() {
	if b.stop != nil {
		b.again = true
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	go b.run(ctx)
}

// run sees a batch through and tells its waiters.
func (b *batch) run(ctx context.Context) {
	failures, err := b.see(ctx)
	g := b.g
	g.mu.Lock()
	defer g.mu.Unlock()
	stopped := ctx.Err() != nil
	b.stop()
	b.stop = nil
	if stopped && !b.ended {
		if b.again && len(b.waiters) > 0 {
			b.again = false
			b.start()
		}
		return
	}
	b.again = false
	b.forget()
	for w := range b.waiters {
		delete(b.waiters, w)
		w.result <- b.resultFor(w.key, failures, err)
	}
}

// forget lets go of the keys that this batch will not answer, so that they can be asked again. A batch that is remembered and has
// not ended may still answer: asked again, it is looked for again.
func (b *batch) forget() {
	if b.remembered && !b.ended {
		return
	}
	for _, key := range b.state.Keys {
		if _, ok := b.answers[key]; !ok && b.g.owner[key] == b {
			delete(b.g.owner, key)
		}
	}
}

// resultFor gives a waiter's result.
func (b *batch) resultFor(key string, failures map[string]error, err error) Result {
	if err != nil {
		return Result{Err: err}
	}
	if at, ok := b.answers[key]; ok {
		text, err := b.read(at)
		return Result{Body: text, Err: err}
	}
	if err := failures[key]; err != nil {
		return Result{Err: err}
	}
	return Result{Err: b.g.vendor.Lost(model.Cut, fmt.Errorf("batch %s has no result for the request", b.state.ID))}
}

// see submits a batch, waits for its end, and fetches its results, each step only where it has not been taken.
func (b *batch) see(ctx context.Context) (failures map[string]error, err error) {
	if b.state.Token == "" {
		if err := b.create(ctx); err != nil {
			return nil, err
		}
	} else if b.state.ID == "" {
		if err := b.find(ctx); err != nil {
			return nil, err
		}
	}
	if err := b.wait(ctx); err != nil {
		return nil, err
	}
	failures, err = b.fetch(ctx)
	var failed *BatchError
	if errors.As(err, &failed) { // it will never answer
		return nil, errors.Join(err, b.drop())
	}
	return failures, err
}

// create writes down what is about to be submitted, submits it, and writes down its ID.
func (b *batch) create(ctx context.Context) error {
	s := state{Token: rand.Text(), Created: time.Now().UTC()}
	for _, e := range b.entries {
		s.Keys = append(s.Keys, e.Key)
	}
	b.set(s)
	if err := b.g.files.save(s); err != nil {
		return err
	}
	b.g.mu.Lock()
	b.remembered = true
	b.g.mu.Unlock()
	return b.send(ctx)
}

// send submits the entries under the batch's token.
func (b *batch) send(ctx context.Context) error {
	id, err := b.g.vendor.Submit(ctx, b.state.Token, b.entries)
	var e *model.Error
	var never *NotCreated
	switch {
	case err == nil:
		s := b.state
		s.ID = id
		b.set(s)
		b.entries = nil
		return b.g.files.save(s)
	case errors.As(err, &never):
	case errors.As(err, &e) && (e.Kind == model.Cut || e.Kind == model.TimedOut || e.Kind == model.Garbled || e.Kind == model.Overloaded), ctx.Err() != nil:
		return err // it may have been created all the same: the next who asks looks for it
	}
	return errors.Join(err, b.drop())
}

// find looks for a batch whose submission was cut off. One that was never created is submitted again where its requests are still
// known, and otherwise forgotten.
func (b *batch) find(ctx context.Context) error {
	b.g.mu.Lock()
	known := maps.Clone(b.g.known)
	b.g.mu.Unlock()
	id, err := b.g.vendor.Find(ctx, b.state.Token, b.state.Created, len(b.state.Keys), known)
	switch {
	case err != nil:
		return err
	case id == "" && b.entries != nil:
		return b.send(ctx)
	case id == "":
		if err := b.drop(); err != nil {
			return err
		}
		return errGone
	}
	s := b.state
	s.ID = id
	b.set(s)
	return b.g.files.save(s)
}

// set changes the state, which others may read.
func (b *batch) set(s state) {
	b.g.mu.Lock()
	defer b.g.mu.Unlock()
	b.state = s
	b.g.known[s.ID] = true
}

// drop forgets a batch that will never answer.
func (b *batch) drop() error {
	b.g.mu.Lock()
	b.ended = true
	b.g.mu.Unlock()
	return b.g.files.remove(b.state)
}

// wait polls until the batch has ended.
func (b *batch) wait(ctx context.Context) error {
	failed := 0
	for {
		ended, err := b.g.vendor.Ended(ctx, b.state.ID)
		var e *model.Error
		switch {
		case err == nil && ended:
			return nil
		case err == nil:
			failed = 0
		case ctx.Err() != nil:
			return err
		case errors.As(err, &e) && (e.Passes() || e.Kind == model.Unreachable):
			if failed++; failed >= patience {
				return err
			}
		case e != nil && e.Kind == model.NotFound:
			return because.E("resume batch", b.g.files.path(b.state, ".json"), err, "remove that file to submit its requests again, and pay for them again")
		default:
			return err
		}
		pause := b.g.o.Poll
		if e != nil {
			pause = max(pause, e.RetryAfter)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// fetch writes the answers of an ended batch to a file and tells why the other requests have none.
func (b *batch) fetch(ctx context.Context) (map[string]error, error) {
	failures := map[string]error{}
	err := b.g.files.writeAnswers(b.state, func(put func(key string, body []byte) error) error {
		return b.g.vendor.Results(ctx, b.state.ID, func(r Result) error {
			if r.Err != nil {
				failures[r.Key] = r.Err
				return nil
			}
			return put(r.Key, r.Body)
		})
	})
	if err != nil {
		return nil, err
	}
	b.g.mu.Lock()
	defer b.g.mu.Unlock()
	return failures, b.load()
}

// load reads where a batch's answers are, if they have been fetched.
func (b *batch) load() error {
	answers, err := b.g.files.answers(b.state)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	b.answers, b.ended = answers, true
	return nil
}

func (b *batch) read(at span) ([]byte, error) { return b.g.files.read(b.state, at) }

// NotCreated is an error after which there is surely no batch, whatever its kind.
type NotCreated struct{ Err error }

func (e *NotCreated) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *NotCreated) Unwrap() error { return e.Err }

// BatchError is a batch that failed as a whole, so that none of its requests was answered.
type BatchError struct{ Err error }

func (e *BatchError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *BatchError) Unwrap() error { return e.Err }
