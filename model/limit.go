package model

import (
	"container/list"
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/because-lab/because"
)

// LimitOptions bound what a model is asked for at once. The zero value has defaults for all.
type LimitOptions struct {
	Start int // requests at once, at first; 0: 16, or Max if that is less
	Max   int // requests at once, at most; 0: 256
	// Requests and Tokens per minute; 0: no bound. Tokens are counted as billed; before an answer is there, by the length of the prompt
	// and the mean of the answers so far, and what was wrong about that is made up for later.
	Requests int
	Tokens   int
}

// Limited is a model behind a limit.
type Limited struct {
	because.Chat
	max      float64
	requests *rate.Limiter // nil: no bound
	tokens   *rate.Limiter

	mu      sync.Mutex
	allowed float64 // requests at once
	flying  int
	waiting list.List // of chan struct{}: those that wait for their turn, longest first
	paused  time.Time // until when nothing is sent
	wake    *time.Timer
	halved  time.Time // when allowed was last reduced
	refused int       // requests in a row that were told to come back later
	credit  int       // tokens that were reserved and not used
	outputs int       // tokens of all answers
	answers int
}

// inARow is how many requests in a row have to be told to come back later before all of them wait.
const inARow = 3

// Limit bounds the number of requests that a model answers at once, and adapts it: a rate-limited answer halves it, once for all
// requests that were under way, and every round of successes adds one, up to Max. Requests wait in the order in which they came. A server that
// asks three of them in a row to come back later (Error.RetryAfter) is left alone by all. A request that waits holds no connection.
func Limit(m because.Chat, o LimitOptions) *Limited {
	o.Max = orElse(o.Max, 256)
	o.Start = min(orElse(o.Start, 16), o.Max)
	l := &Limited{Chat: m, max: float64(o.Max), allowed: float64(o.Start)}
	if o.Requests > 0 {
		l.requests = rate.NewLimiter(rate.Limit(float64(o.Requests)/60), max(1, o.Requests/60))
	}
	if o.Tokens > 0 {
		l.tokens = rate.NewLimiter(rate.Limit(float64(o.Tokens)/60), max(1, o.Tokens/60))
	}
	return l
}

// State is what a limit is doing.
type State struct {
	Allowed int // requests at once
	Flying  int // under way
	Waiting int
	Paused  time.Duration // for which nothing more is sent
}

// State tells what the limit is doing now.
func (l *Limited) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return State{int(l.allowed), l.flying, l.waiting.Len(), max(0, time.Until(l.paused))}
}

// Answer waits for its turn and asks the model.
func (l *Limited) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	restart := pauseClock(ctx)
	if err := l.enter(ctx); err != nil {
		return because.Response{}, err
	}
	var reserved int
	start, err := l.pace(ctx, r, &reserved)
	if err != nil {
		l.leave()
		return because.Response{}, err
	}
	restart()
	out, err := l.Chat.Answer(ctx, seed, r)
	l.learn(start, reserved, out, err)
	l.leave()
	return out, err
}

// enter waits until one more request may be under way.
func (l *Limited) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	if l.waiting.Len() == 0 && l.free() {
		l.flying++
		l.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	place := l.waiting.PushBack(turn)
	l.pump() // sets the alarm, where it is a pause that holds things up
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-turn: // it came at the same moment: pass it on
		l.flying--
		l.pump()
	default:
		l.waiting.Remove(place)
	}
	return ctx.Err()
}

// free tells whether one more request may begin now. The lock must be held.
func (l *Limited) free() bool { return l.flying < int(l.allowed) && !time.Now().Before(l.paused) }

// pump lets those in who may begin; during a pause it sets an alarm for its end. The lock must be held.
func (l *Limited) pump() {
	for l.waiting.Len() > 0 && l.free() {
		close(l.waiting.Remove(l.waiting.Front()).(chan struct{}))
		l.flying++
	}
	if wait := time.Until(l.paused); wait > 0 && l.waiting.Len() > 0 && l.wake == nil {
		l.wake = time.AfterFunc(wait, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.wake = nil
			l.pump()
		})
	}
}

// leave ends a request.
func (l *Limited) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying--
	l.pump()
}

// pace waits as long as the rates and a pause demand, and gives the time at which the request goes out.
func (l *Limited) pace(ctx context.Context, r because.Request, reserved *int) (time.Time, error) {
	if l.requests != nil || l.tokens != nil {
		if err := sleep(ctx, l.reserve(r, reserved)); err != nil {
			l.mu.Lock()
			l.credit += *reserved
			l.mu.Unlock()
			return time.Time{}, err
		}
	}
	for {
		now := time.Now()
		l.mu.Lock()
		wait := l.paused.Sub(now)
		l.mu.Unlock()
		if wait <= 0 {
			return now, ctx.Err()
		}
		if err := sleep(ctx, wait); err != nil {
			return now, err
		}
	}
}

// reserve takes a request and its estimated tokens out of the rates and gives the wait until then.
func (l *Limited) reserve(r because.Request, reserved *int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	wait := time.Duration(0)
	if l.requests != nil {
		wait = l.requests.ReserveN(now, 1).DelayFrom(now)
	}
	if l.tokens == nil {
		return wait
	}
	*reserved = promptEstimate(r)/2 + l.meanOutput(r.MaxTokens)
	return max(wait, l.charge(now, *reserved))
}

// charge takes tokens out of the rate, those of credit first, and gives the wait until they are earned. The lock must be held.
func (l *Limited) charge(now time.Time, n int) (wait time.Duration) {
	paid := min(l.credit, n)
	l.credit -= paid
	for n -= paid; n > 0; n -= l.tokens.Burst() { // a reservation may not be larger than the burst
		wait = l.tokens.ReserveN(now, min(n, l.tokens.Burst())).DelayFrom(now)
	}
	return wait
}

// meanOutput guesses the tokens of an answer from those so far. The lock must be held.
func (l *Limited) meanOutput(limit int) int {
	mean := 512
	if l.answers > 0 {
		mean = l.outputs / l.answers
	}
	if limit > 0 {
		return min(mean, limit)
	}
	return mean
}

// learn adapts the limit to how a request went that was sent at start.
func (l *Limited) learn(start time.Time, reserved int, out because.Response, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.tokens != nil {
		if used := out.Usage.Total(); used > reserved {
			l.charge(now, used-reserved)
		} else {
			l.credit += reserved - used
		}
	}
	var e *Error
	switch {
	case err == nil:
		l.refused = 0
		l.outputs += out.Usage.Output
		l.answers++
		if float64(l.flying) >= l.allowed/2 { // it was put to use
			l.allowed = min(l.max, l.allowed+1/l.allowed)
		}
	case errors.As(err, &e):
		if e.Kind == RateLimited && !start.Before(l.halved) {
			l.allowed = math.Max(1, l.allowed/2)
			l.halved = now
		}
		if e.RetryAfter > 0 {
			l.refused++
		}
		// One refusal among answers is the matter of its own request, which waits as it is told (Retry).
		if until := now.Add(e.RetryAfter); l.refused >= min(inARow, int(l.allowed)) && until.After(l.paused) {
			l.paused = until
		}
	}
}

// promptEstimate bounds the tokens that a request is read as, at one for every two bytes: English has one for about four, and few
// scripts more than one for two.
func promptEstimate(r because.Request) int {
	n := len(r.Prefill)
	for _, m := range r.Messages {
		n += 8 + len(m.Content) + len(m.Native)
		for _, c := range m.ToolCalls {
			n += 8 + len(c.Name) + len(c.Arguments)
		}
	}
	for _, t := range r.Tools {
		n += 8 + len(t.Name) + len(t.Description) + len(t.Parameters)
	}
	if r.Format != nil {
		n += len(r.Format.Schema)
	}
	return (n + 1) / 2
}
