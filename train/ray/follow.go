package ray

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/because-lab/because"
)

// Sink takes a job's events in order, as many at a time as came at once. An error ends the following, not the job.
type Sink func([]Event) error

// Follow gives a job's events to the sink until the job has ended, and what came of it. All events from the job's start are given, each once, however
// often the connection is lost; a later Follow gives them all again. When the head cannot be reached for Options.Patience, that is an error, and the job may go on.
//
// A cancelled context detaches: the error wraps because.ErrInterrupted, and the job goes on. A job that failed is a *JobError (errors.As), a stopped one is
// ErrStopped as well.
func (c *Client) Follow(ctx context.Context, id string, sink Sink) (*Result, error) {
	f := &follower{c: c, id: id, sink: sink, read: newReader(), began: time.Now()}
	result, err := f.run(ctx)
	switch {
	case err == nil:
		return result, nil
	case ctx.Err() != nil:
		return nil, because.E("follow training", id+" on "+c.Address(), because.ErrInterrupted, "the job goes on; because train --attach follows it, --cancel ends it")
	}
	var failed *JobError
	if errors.As(err, &failed) {
		return nil, because.E("train", id+" on "+c.Address(), err, f.hint(failed))
	}
	return nil, c.fail("follow training", id, err)
}

// follower follows one job.
type follower struct {
	c     *Client
	id    string
	sink  Sink
	read  *reader
	began time.Time

	trouble  time.Time // since when the cluster cannot be reached; zero: it can
	lost     int       // times in a row that the cluster did not know a job that it knew before
	known    bool
	polling  bool      // the cluster, or a proxy, has no WebSocket
	misfits  time.Time // since when no node could take the job
	resCheck time.Time // when that was asked last
}

func (f *follower) hint(e *JobError) string {
	if e.stopped {
		return "the same command again goes on from the last checkpoint"
	}
	return jobHints[e.Kind]
}

// run looks at the job until it has ended.
func (f *follower) run(ctx context.Context) (*Result, error) {
	for {
		d, err := f.c.details(ctx, f.id)
		if err != nil {
			if err = f.bear(ctx, err); err != nil {
				return nil, err
			}
			continue
		}
		f.trouble, f.lost, f.known = time.Time{}, 0, true
		if d.Status.Ended() {
			return f.finish(ctx, d)
		}
		if err := f.room(ctx, d); err != nil {
			return nil, err
		}
		wait := f.interval()
		switch {
		case d.Status == Pending:
		case f.polling:
			var longer time.Duration
			longer, err = f.poll(ctx)
			wait = max(wait, longer)
		default:
			began := time.Now()
			if err = f.stream(ctx); time.Since(began) > f.c.pace.slow {
				wait = f.c.pace.fresh // it was a good one, and has most likely ended with the job
			}
		}
		if err != nil {
			return nil, err
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// interval is how long to wait before the next look: longer, the longer the job is followed.
func (f *follower) interval() time.Duration {
	return jitter(min(f.c.pace.slow, max(f.c.pace.fresh, time.Since(f.began)/8)))
}

// bear waits after a fault, unless it is one that does not pass or has gone on for too long.
func (f *follower) bear(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	if errors.Is(err, ErrNotFound) && f.known && f.lost < 3 {
		f.lost++ // a head that has just come back may not have all its jobs yet
		return sleep(ctx, f.c.pace.slow/5)
	}
	if !passing(err) {
		return err
	}
	now := time.Now()
	if f.trouble.IsZero() {
		f.trouble = now
	}
	if now.Sub(f.trouble) > f.c.pace.patience {
		return fmt.Errorf("for %s: %w", f.c.pace.patience.Round(time.Second), err)
	}
	return sleep(ctx, jitter(min(f.c.pace.slow, max(f.c.pace.fresh, now.Sub(f.trouble)/4))))
}

// give hands events on.
func (f *follower) give(events []Event) error {
	if len(events) == 0 {
		return nil
	}
	if f.sink == nil {
		return nil
	}
	return f.sink(events)
}

// room looks now and then whether a job that has not begun to train could ever.
func (f *follower) room(ctx context.Context, d Details) error {
	need, ok := needIn(d.Metadata)
	if f.read.started || f.c.wait || !ok || time.Since(f.resCheck) < f.c.pace.grace/3 {
		return nil
	}
	f.resCheck = time.Now()
	r, err := f.c.Resources(ctx)
	if err != nil {
		return nil // the next look at the job tells whether the cluster is away
	}
	lack := r.Fits(need)
	if lack == nil {
		f.misfits = time.Time{}
		return nil
	}
	if f.misfits.IsZero() {
		f.misfits = time.Now()
	}
	if time.Since(f.misfits) < f.c.pace.grace {
		return nil
	}
	return &JobError{ID: f.id, Kind: ErrorResources, Message: lack.Error() + "; the job waits until it is stopped"}
}

// poll reads the whole log, for want of a stream, and says how long to wait at least: the longer, the longer the log is.
func (f *follower) poll(ctx context.Context) (time.Duration, error) {
	text, err := f.c.logs(ctx, f.id)
	if err != nil {
		return 0, f.pass(ctx, err)
	}
	f.read.restart()
	return f.c.pace.slow * time.Duration(min(len(text)>>10, pollMost)) / pollSize, f.give(f.read.take([]byte(text)))
}

// A log of pollSize KiB is read once in the slow interval; one of pollMost or more takes its time.
const pollSize, pollMost = 320, 12 * 320

// pass keeps faults that may pass, and the job's absence, to the next look at the job's state, which counts them.
func (f *follower) pass(ctx context.Context, err error) error {
	if ctx.Err() == nil && (passing(err) || errors.Is(err, ErrNotFound)) {
		return nil
	}
	return err
}

// stream reads the log as it grows, until the connection ends: with the job or before it.
func (f *follower) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := f.dial(ctx)
	if err != nil || conn == nil {
		return err
	}
	defer conn.CloseNow()
	f.read.restart()
	pieces := make(chan []byte)
	go func() {
		defer close(pieces)
		for {
			_, piece, err := conn.Read(ctx)
			if err != nil {
				return // the job's state tells what it means
			}
			select {
			case pieces <- piece:
			case <-ctx.Done():
				return
			}
		}
	}()
	return f.drain(ctx, pieces)
}

// drain takes pieces until there are no more. Now and then it asks for the job's state: a proxy may hold a connection whose other end is gone.
func (f *follower) drain(ctx context.Context, pieces <-chan []byte) error {
	look := time.NewTicker(f.c.pace.check)
	defer look.Stop()
	heard := time.Now()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case piece, ok := <-pieces:
			if !ok {
				return ctx.Err()
			}
			heard = time.Now()
			if err := f.give(f.read.take(piece)); err != nil {
				return err
			}
		case <-look.C:
			if time.Since(heard) > f.c.pace.silence {
				return nil
			}
			d, err := f.c.details(ctx, f.id)
			if err != nil {
				return f.pass(ctx, err)
			}
			if d.Status.Ended() && time.Since(heard) > f.c.pace.check {
				return nil
			}
			if err := f.room(ctx, d); err != nil {
				return err
			}
		}
	}
}

// dial opens the stream; nil: not now, or not at all, and then the log is polled.
func (f *follower) dial(ctx context.Context) (*websocket.Conn, error) {
	u := *f.c.base
	u.Path += jobPath(f.id, "/logs/tail")
	dialing, cancel := context.WithTimeout(ctx, f.c.pace.request)
	defer cancel()
	conn, answer, err := websocket.Dial(dialing, u.String(), &websocket.DialOptions{HTTPClient: f.c.http, HTTPHeader: f.c.header})
	if err == nil {
		conn.SetReadLimit(64 << 20)
		return conn, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	switch {
	case answer == nil: // the next look at the state finds out
	case answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden, answer.StatusCode >= 500 && answer.StatusCode != http.StatusNotImplemented:
	default:
		f.polling = true
	}
	return nil, nil
}

// finish reads the whole log of a job that has ended, if its end has not been seen, and says what came of it.
func (f *follower) finish(ctx context.Context, d Details) (*Result, error) {
	if f.read.done == nil {
		if err := f.rest(ctx); err != nil {
			return nil, err
		}
	}
	switch {
	case f.read.done != nil:
		if d.Status != Succeeded {
			warning := Event{Kind: EventWarning, Message: fmt.Sprintf("the job's process ended badly (%s) after its results were whole", d.Status)}
			if err := f.give([]Event{warning}); err != nil {
				return nil, err
			}
		}
		return f.read.done, nil
	case d.Status == Succeeded && f.read.failed == nil:
		return nil, ErrNoResult
	}
	return nil, diagnose(d, f.read.failed, f.read.tail)
}

// ErrNoResult is a job that has succeeded, as Ray says, but whose log does not hold its result: the log went with its node. Started again with Order.Fresh, the
// engine finds what it left in the job's folder and tells it again.
var ErrNoResult = errors.New("the job has succeeded, but its log is gone, and its result with it")

// rest reads the log of a job that has ended. A log that cannot be had is empty: the state alone tells then.
func (f *follower) rest(ctx context.Context) error {
	for {
		text, err := f.c.logs(ctx, f.id)
		switch {
		case err == nil:
			f.trouble = time.Time{}
			f.read.restart()
			events := append(f.read.take([]byte(text)), f.read.end()...)
			return f.give(events)
		case errors.Is(err, ErrServer), errors.Is(err, ErrNotFound):
			return ctx.Err() // the node that had it is gone
		}
		if err := f.bear(ctx, err); err != nil {
			return err
		}
	}
}
