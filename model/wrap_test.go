package model_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/model/mock"
)

// faultMix is a server on a bad day: a mock model that fails one request in eleven, in every way that passes and one that does not.
func faultMix() *mock.Model {
	return mock.Must(
		mock.Rule{Share: 0.05, Error: model.RateLimited, RetryAfter: 2 * time.Second, After: 10 * time.Millisecond},
		mock.Rule{Share: 0.02, Error: model.Overloaded, After: 10 * time.Millisecond},
		mock.Rule{Share: 0.01, Hang: true},
		mock.Rule{Share: 0.01, Error: model.Cut, After: 500 * time.Millisecond},
		mock.Rule{Share: 0.01, Error: model.Garbled, After: time.Second},
		mock.Rule{When: mock.When{Last: "forbidden"}, Error: model.Filtered},
		mock.Rule{Do: func(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
			select {
			case <-time.After(time.Second):
				return says("answer to " + r.Messages[0].Content), nil
			case <-ctx.Done():
				return because.Response{}, ctx.Err()
			}
		}},
	)
}

// Of 2,000 requests to a server on a bad day, every one ends as its own answer or as a counted error; none is lost, none is answered twice,
// and the meter has counted each answer once. The next run finds all answers in the cache.
func TestFaultMix(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		const n = 2000
		server := faultMix()
		meter := model.NewMeter(model.ListPrices(), model.Budget{USD: 1})
		var mu sync.Mutex
		retried := map[model.Kind]int{}
		m := must[*model.Wrapped](t)(model.Wrap(server, model.WrapOptions{Meter: meter, Cache: model.CacheOptions{Dir: dir}, Limit: model.LimitOptions{Start: 32, Max: 128},
			Retry: model.RetryOptions{Attempt: 30 * time.Second, Report: func(r model.Retried) {
				mu.Lock()
				defer mu.Unlock()
				retried[model.KindOf(r.Err)]++
			}}}))
		text := func(i int) string {
			if i%100 == 7 {
				return fmt.Sprint("forbidden ", i)
			}
			return fmt.Sprint("question ", i)
		}
		counts := map[string]int{}
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				got, err := m.Answer(t.Context(), 1, ask(text(i)))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					counts[string(model.KindOf(err))]++
				case got.Text == "answer to "+text(i):
					counts["answered"]++
				default:
					counts["another's answer"]++
				}
			})
		}
		wg.Wait()
		if counts["answered"] != n-n/100 || counts[string(model.Filtered)] != n/100 || len(counts) != 2 {
			t.Errorf("the ends of %d requests: %v", n, counts)
		}
		sum := 0
		for _, k := range []model.Kind{model.RateLimited, model.Overloaded, model.TimedOut, model.Cut, model.Garbled} {
			if retried[k] == 0 {
				t.Errorf("no retry after %q: %v", k, retried)
			}
			sum += retried[k]
		}
		if sent := server.Count(); sent != n+sum {
			t.Errorf("%d requests reached the server; %d and %d retries were sent", sent, n, sum)
		}
		if spent := meter.Snapshot(); len(spent) != 1 || spent[0].Requests != n-n/100 || spent[0].Usage.Total() != 15*(n-n/100) {
			t.Errorf("the meter says %+v", spent)
		}
		if st := m.Limit.State(); st.Flying != 0 || st.Waiting != 0 {
			t.Errorf("the limit says %+v", st)
		}

		again := must[*model.Wrapped](t)(model.Wrap(mock.Must(), model.WrapOptions{Cache: model.CacheOptions{Dir: dir, Mode: model.CacheRead}}))
		for i := range n {
			if got, err := again.Answer(t.Context(), 1, ask(text(i))); err != nil || (i%100 != 7) != (got.Text == "answer to "+text(i)) {
				t.Fatalf("request %d of the next run: %q, %v", i, got.Text, err)
			}
		}
		if st := again.Cache.Stats(); st.Hits != n-n/100 || st.Misses != n/100 {
			t.Errorf("the next run: %+v", st)
		}
	})
}

// A run that is cancelled in the middle ends at once, everywhere, with the context's error. synctest fails if a goroutine is left.
func TestCancelEndsEverything(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		m := must[*model.Wrapped](t)(model.Wrap(faultMix(), model.WrapOptions{Meter: model.NewMeter(model.Prices{}, model.Budget{Tokens: 20_000}),
			Cache: model.CacheOptions{Dir: dir}, Limit: model.LimitOptions{Start: 8, Max: 8, Requests: 120}}))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				if _, err := m.Answer(ctx, 1, ask(fmt.Sprint(i%500))); err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("it ended after %v", took)
		}
		if st := m.Limit.State(); st.Flying != 0 || st.Waiting != 0 {
			t.Errorf("%+v", st)
		}
		time.Sleep(time.Hour) // alarms go off
	})
}

func TestWrapRefuses(t *testing.T) {
	if _, err := model.Wrap(chat(nil), model.WrapOptions{Meter: model.NewMeter(model.Prices{}, model.Budget{USD: 1})}); err == nil {
		t.Error("a budget in dollars without a price")
	}
	if _, err := model.Wrap(chat(nil), model.WrapOptions{}); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("a cache without a folder: %v", err)
	}
	m := must[*model.Wrapped](t)(model.Wrap(mock.Must(), model.WrapOptions{Cache: model.CacheOptions{Mode: model.CacheOff}}))
	if got := answer(t, m, 1, "x"); got != mock.Text || m.Name() != "mock" {
		t.Errorf("%q of %s", got, m.Name())
	}
}
