package model_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// server is a model that takes a second for an answer and records how it is asked.
type server struct {
	mu     sync.Mutex
	flying int
	most   int
	order  []string
	starts []time.Time
	// fault says whether to fail a request; n counts from 1, flying is how many are under way.
	fault func(n, flying int) error
}

func (s *server) Name() string { return "test/server" }

func (s *server) Answer(ctx context.Context, _ uint64, r because.Request) (because.Response, error) {
	s.mu.Lock()
	s.flying++
	s.most = max(s.most, s.flying)
	s.order = append(s.order, r.Messages[0].Content)
	s.starts = append(s.starts, time.Now())
	var err error
	if s.fault != nil {
		err = s.fault(len(s.order), s.flying)
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.flying--
		s.mu.Unlock()
	}()
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return because.Response{}, err
	}
	return says("ok"), nil
}

// flood sends n requests at once, and waits for their ends.
func flood(ctx context.Context, m because.Chat, n int) (errs []error) {
	errs = make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { _, errs[i] = m.Answer(ctx, uint64(i), ask(fmt.Sprint(i))) })
	}
	wg.Wait()
	return errs
}

func TestLimitBoundsAndGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		l := model.Limit(s, model.LimitOptions{Start: 4, Max: 8})
		for range 3 {
			if err := errors.Join(flood(t.Context(), l, 4)...); err != nil {
				t.Error(err)
			}
		}
		if s.most != 4 {
			t.Errorf("%d requests at once, want the first 4", s.most)
		}
		if err := errors.Join(flood(t.Context(), l, 100)...); err != nil {
			t.Error(err)
		}
		if st := l.State(); s.most != 8 || st.Allowed != 8 || st.Flying != 0 || st.Waiting != 0 {
			t.Errorf("%d at once, then %+v, want 8", s.most, st)
		}
	})
}

// All requests of one window see the limit exceeded; together they halve it once.
func TestLimitHalvesOncePerWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{fault: func(n, _ int) error {
			if n <= 16 {
				return kind(model.RateLimited)
			}
			return nil
		}}
		l := model.Limit(s, model.LimitOptions{Start: 16, Max: 64})
		flood(t.Context(), l, 16)
		if st := l.State(); st.Allowed != 8 {
			t.Errorf("%d allowed after one window of 16 failures, want 8", st.Allowed)
		}
		s.fault = func(int, int) error { return kind(model.RateLimited) }
		for range 10 {
			flood(t.Context(), l, 1)
		}
		if st := l.State(); st.Allowed != 1 {
			t.Errorf("%d allowed, want 1 at least and at most", st.Allowed)
		}
		s.fault = func(int, int) error { return kind(model.Overloaded) }
		flood(t.Context(), l, 1)
		s.fault = nil
		if err := errors.Join(flood(t.Context(), l, 40)...); err != nil || l.State().Allowed < 5 {
			t.Errorf("after 40 successes %d are allowed, %v", l.State().Allowed, err)
		}
	})
}

// A server that takes 20 at once is used with about 20.
func TestLimitFindsTheServersLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := 0
		s := &server{fault: func(_, flying int) error {
			if flying > 20 {
				refused++
				return kind(model.RateLimited)
			}
			return nil
		}}
		m := model.Retry(model.Limit(s, model.LimitOptions{Start: 2, Max: 500}), model.RetryOptions{Attempts: 100, Elapsed: 100 * time.Hour})
		start := time.Now()
		if err := errors.Join(flood(t.Context(), m, 2000)...); err != nil {
			t.Fatal(err)
		}
		// 20 at once would take 100 s; a limit that swings between 10 and 21 takes about 150 s, and is told so by 35 to 120 refusals.
		if took := time.Since(start); took > 200*time.Second || refused > 300 || s.most > 40 {
			t.Errorf("2000 requests took %v, %d were refused, at most %d were under way", took, refused, s.most)
		}
	})
}

func TestLimitIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		l := model.Limit(s, model.LimitOptions{Max: 1})
		var wg sync.WaitGroup
		gone, cancel := context.WithCancel(t.Context())
		for i := range 20 {
			ctx := t.Context()
			if i == 5 {
				ctx = gone
			}
			wg.Go(func() {
				if _, err := l.Answer(ctx, 1, ask(fmt.Sprint(i))); (err != nil) != (i == 5) {
					t.Errorf("request %d: %v", i, err)
				}
			})
			synctest.Wait() // it stands in the queue
		}
		if st := l.State(); st.Flying != 1 || st.Waiting != 19 {
			t.Errorf("%+v", st)
		}
		cancel()
		wg.Wait()
		want := 0
		for _, got := range s.order {
			if want == 5 {
				want++
			}
			if got != fmt.Sprint(want) {
				t.Fatalf("the order is %v", s.order)
			}
			want++
		}
		if len(s.order) != 19 || s.most != 1 {
			t.Errorf("%d requests, %d at once", len(s.order), s.most)
		}
	})
}

// A server that asks several requests in a row to wait is left alone by all of them; one refusal among answers is the matter of its own
// request.
func TestLimitPausesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{fault: func(n, _ int) error {
			if n <= 4 || n == 20 {
				return &model.Error{Kind: model.RateLimited, RetryAfter: time.Minute}
			}
			return nil
		}}
		l := model.Limit(s, model.LimitOptions{Start: 4, Max: 4})
		start := time.Now()
		var failed int
		for _, err := range flood(t.Context(), l, 30) {
			if err != nil {
				failed++
			}
		}
		if failed != 5 {
			t.Errorf("%d requests failed", failed)
		}
		for i, at := range s.starts {
			if d := at.Sub(start); i >= 4 && d > 0 && d < time.Second+time.Minute && d != time.Second {
				t.Errorf("request %d was sent %v after the start, within the pause", i, d)
			}
		}
		if d := s.starts[len(s.starts)-1].Sub(start); d < time.Minute || d > 2*time.Minute {
			t.Errorf("the last request was sent after %v: there was no pause, or a second one", d)
		}
		// Who waits for the end of a pause can give up.
		s.fault = func(int, int) error { return &model.Error{Kind: model.Overloaded, RetryAfter: time.Hour} }
		flood(t.Context(), l, 3)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start = time.Now()
		if _, err := l.Answer(ctx, 1, ask("x")); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if st := l.State(); st.Flying != 0 || st.Waiting != 0 || st.Paused != 59*time.Minute {
			t.Errorf("%+v", st)
		}
		time.Sleep(time.Hour) // the alarm goes off with nobody waiting
	})
}

func TestLimitOfRequestsPerMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		l := model.Limit(s, model.LimitOptions{Start: 100, Max: 100, Requests: 120})
		start := time.Now()
		if err := errors.Join(flood(t.Context(), l, 240)...); err != nil {
			t.Error(err)
		}
		took := s.starts[len(s.starts)-1].Sub(start)
		if took < 115*time.Second || took > 121*time.Second {
			t.Errorf("240 requests at 120 a minute took %v", took)
		}
		for i := range s.starts { // no minute has more than its share and one second's burst
			if j := i + 123; j < len(s.starts) && s.starts[j].Sub(s.starts[i]) < time.Minute {
				t.Fatalf("requests %d to %d came within a minute", i, j)
			}
		}
	})
}

func TestLimitOfTokensPerMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The first estimates of answers are too high, those of some prompts too low or far too high: in the end the real numbers count.
		for _, tt := range []struct {
			used   because.Usage
			prompt int // bytes
		}{{because.Usage{Input: 10, Output: 5}, 5}, {because.Usage{Input: 3000, Output: 2000}, 5}, {because.Usage{Input: 100, Output: 5}, 8000}} {
			m := chat(func(context.Context, uint64, because.Request) (because.Response, error) {
				return because.Response{Usage: tt.used}, nil
			})
			perMinute := tt.used.Total() * 60
			l := model.Limit(m, model.LimitOptions{Start: 4, Max: 4, Tokens: perMinute})
			start := time.Now()
			for range 200 {
				if _, err := l.Answer(t.Context(), 1, ask(strings.Repeat("x", tt.prompt))); err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(start).Seconds(); math.Abs(took-200) > 20 {
				t.Errorf("200 requests of %d tokens at %d a minute took %.0f s", tt.used.Total(), perMinute, took)
			}
		}
	})
}

// BenchmarkLimit measures what a request costs at 1000 connections.
func BenchmarkLimit(b *testing.B) {
	l := model.Limit(chat(func(context.Context, uint64, because.Request) (because.Response, error) { return says("ok"), nil }),
		model.LimitOptions{Start: 500, Max: 500, Requests: 1 << 30, Tokens: 1 << 40})
	b.SetParallelism(1000)
	r := ask("hello")
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := l.Answer(b.Context(), 1, r); err != nil {
				b.Error(err)
			}
		}
	})
}
