package model

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/because-lab/because"
)

// RetryOptions say how often and how long a failed request is sent again. The zero value has defaults for all.
type RetryOptions struct {
	Attempts int           // in all; 0: 10
	First    time.Duration // wait before the second attempt, doubled for each that follows; 0: 500 ms
	Max      time.Duration // longest wait that is not asked for by the server; 0: 60 s
	Elapsed  time.Duration // after which no attempt begins; 0: 30 minutes
	// Attempt is how long one attempt may take, the wait for its turn in a Limit below not among it; 0: 10 minutes.
	Attempt time.Duration
	// Unreachable asks to try again where nobody listens, for a server that is just starting.
	Unreachable bool
	// Report is told of every retry before its wait; many goroutines may call it at once. May be nil.
	Report func(Retried)
}

// Retried is a failed attempt that will be followed by another one.
type Retried struct {
	Model   string
	Attempt int           // that failed, from 1
	Wait    time.Duration // before the next
	Err     error
}

// Retry sends a request again where its error may pass (Error.Passes): after a wait that doubles from attempt to attempt, with jitter
// (between half of it and all, so that clients who failed together don't come back together), or after what the server asks for if
// that is longer. An attempt without an answer in time counts as TimedOut. The last error is returned as it was, with the number
// of attempts where there were several.
func Retry(m because.Chat, o RetryOptions) because.Chat {
	o.Attempts = orElse(o.Attempts, 10)
	o.First = orElse(o.First, 500*time.Millisecond)
	o.Max = orElse(o.Max, time.Minute)
	o.Elapsed = orElse(o.Elapsed, 30*time.Minute)
	o.Attempt = orElse(o.Attempt, 10*time.Minute)
	return &retry{m, o}
}

func orElse[T comparable](v, standard T) T {
	var zero T
	if v == zero {
		return standard
	}
	return v
}

type retry struct {
	because.Chat
	o RetryOptions
}

// Answer tries until there is an answer, an error that does not pass, or no attempt left.
func (m *retry) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	start := time.Now()
	for n := 1; ; n++ {
		out, err := m.try(ctx, seed, r)
		if err == nil || ctx.Err() != nil {
			return out, err
		}
		wait, again := m.again(err, n)
		if !again || time.Since(start)+wait > m.o.Elapsed {
			if n > 1 {
				err = fmt.Errorf("%w (attempt %d)", err, n)
			}
			return because.Response{}, err
		}
		if m.o.Report != nil {
			m.o.Report(Retried{m.Name(), n, wait, err})
		}
		if err := sleep(ctx, wait); err != nil {
			return because.Response{}, err
		}
	}
}

// again tells whether an attempt follows the nth, which failed, and after which wait.
func (m *retry) again(err error, n int) (time.Duration, bool) {
	var e *Error
	if n >= m.o.Attempts || !errors.As(err, &e) || !e.Passes() && (e.Kind != Unreachable || !m.o.Unreachable) {
		return 0, false
	}
	wait := m.o.Max
	if doublings := n - 1; doublings < 32 && m.o.First < m.o.Max>>doublings {
		wait = m.o.First << doublings
	}
	wait = wait/2 + rand.N(wait/2+1)
	if wait < e.RetryAfter { // a little later than asked, and not all at once
		wait = e.RetryAfter + rand.N(min(e.RetryAfter/8, m.o.First)+1)
	}
	return wait, true
}

// errNoAnswer ends an attempt that takes too long.
var errNoAnswer = errors.New("no answer in time")

// try makes one attempt. Its clock starts when the request is sent: a Limit below restarts it.
func (m *retry) try(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	within, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clock := newClock(m.o.Attempt, func() { cancel(errNoAnswer) })
	defer clock.stop()
	out, err := m.Chat.Answer(context.WithValue(within, clockKey{}, clock), seed, r)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(within), errNoAnswer) {
		err = &Error{Kind: TimedOut, Model: m.Name(), Err: fmt.Errorf("%w (%v)", errNoAnswer, m.o.Attempt)}
	}
	return out, err
}

// clock bounds the time of an attempt, without the time in which it waits for its turn.
type clock struct {
	limit time.Duration
	timer *time.Timer
}

type clockKey struct{}

func newClock(limit time.Duration, end func()) *clock {
	return &clock{limit, time.AfterFunc(limit, end)}
}

func (c *clock) stop() { c.timer.Stop() }

// pauseClock stops the clock of the attempt that ctx belongs to, and gives a function that starts it anew. An attempt that is over
// stays over, by its context.
func pauseClock(ctx context.Context) (restart func()) {
	c, ok := ctx.Value(clockKey{}).(*clock)
	if !ok || !c.timer.Stop() {
		return func() {}
	}
	return func() { c.timer.Reset(c.limit) }
}

// sleep waits, or gives the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
