package model_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// failing answers with the errors in turn, nil being an answer, and the last of them again and again.
func failing(errs ...error) (m because.Chat, calls *int) {
	calls = new(int)
	return chat(func(context.Context, uint64, because.Request) (because.Response, error) {
		err := errs[min(*calls, len(errs)-1)]
		*calls++
		if err != nil {
			return because.Response{}, err
		}
		return says("at last"), nil
	}), calls
}

func kind(k model.Kind) error { return &model.Error{Kind: k, Model: "test/model"} }

func TestRetryOnlyWhatMayPass(t *testing.T) {
	passes := map[model.Kind]bool{model.RateLimited: true, model.Overloaded: true, model.TimedOut: true, model.Cut: true, model.Garbled: true}
	for _, k := range []model.Kind{model.RateLimited, model.Overloaded, model.TimedOut, model.Cut, model.Garbled, model.Unreachable, model.BadTLS, model.Denied,
		model.NotFound, model.NoTools, model.TooLong, model.Filtered, model.Rejected, model.OverBudget} {
		for _, starting := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				m, calls := failing(kind(k), nil)
				got, err := model.Retry(m, model.RetryOptions{Unreachable: starting}).Answer(t.Context(), 1, ask("x"))
				again := passes[k] || starting && k == model.Unreachable
				if again && (err != nil || got.Text != "at last" || *calls != 2) || !again && (model.KindOf(err) != k || *calls != 1) {
					t.Errorf("%s (starting %v): %q, %v after %d calls", k, starting, got.Text, err, *calls)
				}
			})
		}
	}
	plain := errors.New("a flaw of the program")
	m, calls := failing(plain)
	if _, err := model.Retry(m, model.RetryOptions{}).Answer(t.Context(), 1, ask("x")); !errors.Is(err, plain) || *calls != 1 {
		t.Errorf("%v after %d calls", err, *calls)
	}
}

func TestRetryBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, calls := failing(kind(model.Overloaded))
		var waits []time.Duration
		retry := model.Retry(m, model.RetryOptions{Attempts: 8, First: time.Second, Max: 20 * time.Second, Report: func(r model.Retried) {
			waits = append(waits, r.Wait)
			if r.Attempt != len(waits) || r.Model != "test/model" || model.KindOf(r.Err) != model.Overloaded {
				t.Errorf("report %+v", r)
			}
		}})
		start := time.Now()
		_, err := retry.Answer(t.Context(), 1, ask("x"))
		if model.KindOf(err) != model.Overloaded || !strings.HasSuffix(err.Error(), "(attempt 8)") || *calls != 8 {
			t.Errorf("%v after %d calls", err, *calls)
		}
		var sum time.Duration
		for i, most := range []time.Duration{1, 2, 4, 8, 16, 20, 20} {
			if w := waits[i]; w < most*time.Second/2 || w > most*time.Second {
				t.Errorf("wait %d is %v, want between half of %d s and all", i, w, most)
			}
			sum += waits[i]
		}
		if took := time.Since(start); took != sum {
			t.Errorf("it took %v and reported waits of %v", took, sum)
		}
	})
}

func TestRetryHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := failing(&model.Error{Kind: model.RateLimited, RetryAfter: 40 * time.Second}, nil)
		start := time.Now()
		if _, err := model.Retry(m, model.RetryOptions{First: time.Second, Max: 5 * time.Second}).Answer(t.Context(), 1, ask("x")); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took < 40*time.Second || took > 42*time.Second {
			t.Errorf("it waited %v, and was asked for 40 s", took)
		}
		// What takes longer than all attempts may is not waited for.
		m, calls := failing(&model.Error{Kind: model.RateLimited, RetryAfter: time.Hour})
		start = time.Now()
		if _, err := model.Retry(m, model.RetryOptions{Elapsed: time.Minute}).Answer(t.Context(), 1, ask("x")); err == nil || *calls != 1 || time.Since(start) != 0 {
			t.Errorf("%v after %d calls and %v", err, *calls, time.Since(start))
		}
	})
}

func TestRetryEndsHungAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		m := chat(func(ctx context.Context, _ uint64, _ because.Request) (because.Response, error) {
			if calls++; calls < 3 {
				<-ctx.Done()
				return because.Response{}, ctx.Err()
			}
			return says("at last"), nil
		})
		var kinds []model.Kind
		retry := model.Retry(m, model.RetryOptions{Attempt: time.Minute, Report: func(r model.Retried) { kinds = append(kinds, model.KindOf(r.Err)) }})
		if got, err := retry.Answer(t.Context(), 1, ask("x")); err != nil || got.Text != "at last" || len(kinds) != 2 || kinds[0] != model.TimedOut || kinds[1] != model.TimedOut {
			t.Errorf("%q, %v, %v", got.Text, err, kinds)
		}
		// The end of the caller's context is no attempt that took too long.
		calls = 0
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := retry.Answer(ctx, 1, ask("x")); !errors.Is(err, context.DeadlineExceeded) || model.KindOf(err) != "" || calls != 1 {
			t.Errorf("%v after %d calls", err, calls)
		}
	})
}

func TestRetryWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, calls := failing(kind(model.Overloaded))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := model.Retry(m, model.RetryOptions{First: time.Hour, Max: time.Hour, Elapsed: 100 * time.Hour}).Answer(ctx, 1, ask("x"))
		if !errors.Is(err, context.DeadlineExceeded) || *calls != 1 || time.Since(start) != 10*time.Millisecond {
			t.Errorf("%v after %d calls and %v", err, *calls, time.Since(start))
		}
	})
}

// The time that a request waits for its turn is not the attempt's.
func TestRetryDoesNotCountTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := chat(func(ctx context.Context, _ uint64, _ because.Request) (because.Response, error) {
			select {
			case <-time.After(50 * time.Second):
				return says("slow"), nil
			case <-ctx.Done():
				return because.Response{}, ctx.Err()
			}
		})
		var retried int
		retry := model.Retry(model.Limit(m, model.LimitOptions{Max: 1}), model.RetryOptions{Attempt: time.Minute, Report: func(model.Retried) { retried++ }})
		start := time.Now()
		done := make(chan error)
		for range 10 {
			go func() {
				_, err := retry.Answer(t.Context(), 1, ask("x"))
				done <- err
			}()
		}
		for range 10 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(start); took != 500*time.Second || retried != 0 {
			t.Errorf("ten requests of 50 s took %v, with %d retries", took, retried)
		}
	})
}
