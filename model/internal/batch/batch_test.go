package batch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/because-lab/because/model"
)

// fake is a vendor in memory. Its answer to a body is the body in a JSON list.
type fake struct {
	mu      sync.Mutex
	batches map[string]map[string]string // by ID: bodies by key
	tokens  map[string]string            // IDs by token
	paid    map[string]int               // how often a key was submitted
	done    bool                         // batches have ended

	submit  func(n int) error // before a submission; n counts them
	cut     bool              // submissions succeed, but say that the connection was lost
	polls   func(n int) error
	result  func(key, body string) error
	all     error // of Results
	nSubmit int
	nPoll   int
}

func newFake() *fake {
	return &fake{batches: map[string]map[string]string{}, tokens: map[string]string{}, paid: map[string]int{}, done: true}
}

func (f *fake) Lost(kind model.Kind, err error) error { return &model.Error{Kind: kind, Err: err} }

func (f *fake) Submit(_ context.Context, token string, entries []Entry) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nSubmit++
	if f.submit != nil {
		if err := f.submit(f.nSubmit); err != nil {
			return "", err
		}
	}
	id := fmt.Sprintf("b%d", len(f.batches)+1)
	f.batches[id] = map[string]string{}
	for _, e := range entries {
		f.batches[id][e.Key] = string(e.Body)
		f.paid[e.Key]++
	}
	f.tokens[token] = id
	if f.cut {
		f.cut = false
		return "", f.Lost(model.Cut, errors.New("lost"))
	}
	return id, nil
}

func (f *fake) Find(_ context.Context, token string, _ time.Time, _ int, _ map[string]bool) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tokens[token], nil
}

func (f *fake) Ended(context.Context, string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nPoll++
	if f.polls != nil {
		if err := f.polls(f.nPoll); err != nil {
			return false, err
		}
	}
	return f.done, nil
}

func (f *fake) Results(_ context.Context, id string, each func(Result) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all != nil {
		return &BatchError{f.all}
	}
	for key, body := range f.batches[id] {
		r := Result{Key: key, Body: []byte(`["` + body + `"]`)}
		if f.result != nil {
			if r.Err = f.result(key, body); r.Err != nil {
				r.Body = nil
			}
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

func key(i int) string { return fmt.Sprintf("%064x", i) }

func gatherer(t *testing.T, f *fake, dir string, size int) *Gatherer {
	t.Helper()
	g, err := New(f, "fake", Options{Dir: dir, MaxSize: size, MaxWait: 10 * time.Second, Poll: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// ask asks n requests at once and gives their errors.
func ask(ctx context.Context, g *Gatherer, from, n int) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			body := fmt.Sprint("q", from+i)
			got, err := g.Do(ctx, key(from+i), []byte(body))
			if errs[i] = err; err == nil && string(got) != `["`+body+`"]` {
				errs[i] = fmt.Errorf("%s was answered by %s", body, got)
			}
		})
	}
	wg.Wait()
	return errs
}

func all(t *testing.T, errs []error, want func(error) bool) {
	t.Helper()
	for i, err := range errs {
		if !want(err) {
			t.Errorf("request %d: %v", i, err)
		}
	}
}

func fine(err error) bool { return err == nil }
func is(kind model.Kind) func(error) bool {
	return func(err error) bool { return model.KindOf(err) == kind }
}

// once checks that each of the first n requests was paid for so many times.
func (f *fake) once(t *testing.T, n, times int) {
	t.Helper()
	for i := range n {
		if f.paid[key(i)] != times {
			t.Errorf("request %d was submitted %d times, want %d", i, f.paid[key(i)], times)
		}
	}
}

func TestSizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		start := time.Now()
		all(t, ask(t.Context(), gatherer(t, f, t.TempDir(), 4), 0, 10), fine)
		f.once(t, 10, 1)
		if f.nSubmit != 3 {
			t.Errorf("10 requests in batches of at most 4 made %d batches", f.nSubmit)
		}
		if waited := time.Since(start); waited < 10*time.Second || waited > 11*time.Second {
			t.Errorf("the last batch waited %v for others", waited)
		}
	})
}

func TestEqualRequestsAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		g := gatherer(t, f, t.TempDir(), 100)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { all(t, ask(t.Context(), g, 0, 3), fine) })
		}
		wg.Wait()
		all(t, ask(t.Context(), g, 0, 3), fine) // and once more, when they have been answered
		f.once(t, 3, 1)
	})
}

// TestResume kills a run at every stage: another process with the same folder and requests pays nothing twice.
func TestResume(t *testing.T) {
	for _, stage := range []string{"waiting", "submission cut off", "answered"} {
		t.Run(stage, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, dir := newFake(), t.TempDir()
				f.done = stage == "answered"
				f.cut = stage == "submission cut off"
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				errs := ask(ctx, gatherer(t, f, dir, 100), 0, 6)
				cancel()
				switch stage {
				case "waiting":
					all(t, errs, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) })
				case "submission cut off":
					all(t, errs, is(model.Cut))
				default:
					all(t, errs, fine)
				}
				synctest.Wait()
				f.done = true
				all(t, ask(t.Context(), gatherer(t, f, dir, 100), 0, 8), fine)
				f.once(t, 8, 1)
				if stage == "answered" {
					f.batches = nil // the vendor forgets; the folder does not
				}
				all(t, ask(t.Context(), gatherer(t, f, dir, 100), 0, 6), fine)
				f.once(t, 8, 1)
			})
		})
	}
}

// TestNeverCreated loses a submission on its way to the vendor: it is sent again, by this process and by another.
func TestNeverCreated(t *testing.T) {
	for _, another := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f, dir := newFake(), t.TempDir()
			f.submit = func(n int) error {
				if n == 1 {
					return f.Lost(model.TimedOut, errors.New("late"))
				}
				return nil
			}
			g := gatherer(t, f, dir, 100)
			all(t, ask(t.Context(), g, 0, 3), is(model.TimedOut))
			if another {
				g = gatherer(t, f, dir, 100)
			}
			all(t, ask(t.Context(), g, 0, 3), fine)
			f.once(t, 3, 1)
			if files := list(t, dir); len(files) != 2 {
				t.Errorf("the folder holds %v", files)
			}
		})
	}
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestRejected submits what the vendor does not take: nothing of it is remembered.
func TestRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, dir := newFake(), t.TempDir()
		f.submit = func(int) error { return f.Lost(model.Denied, errors.New("no key")) }
		g := gatherer(t, f, dir, 100)
		all(t, ask(t.Context(), g, 0, 3), is(model.Denied))
		if files := list(t, dir); len(files) != 0 {
			t.Errorf("the folder holds %v", files)
		}
		f.submit = func(int) error { return &NotCreated{f.Lost(model.Cut, errors.New("upload lost"))} }
		all(t, ask(t.Context(), g, 0, 3), is(model.Cut))
		f.submit, f.all = nil, f.Lost(model.Rejected, errors.New("bad line 7"))
		all(t, ask(t.Context(), g, 0, 3), is(model.Rejected))
		if files := list(t, dir); len(files) != 0 {
			t.Errorf("the folder holds %v", files)
		}
		f.all = nil
		all(t, ask(t.Context(), g, 0, 3), fine)
	})
}

// TestEntriesFail fails some entries once: they alone are asked again.
func TestEntriesFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, dir := newFake(), t.TempDir()
		f.result = func(_, body string) error {
			if body == "q0" || body == "q1" {
				return f.Lost(model.TimedOut, errors.New("expired"))
			}
			return nil
		}
		g := gatherer(t, f, dir, 100)
		errs := ask(t.Context(), g, 0, 4)
		all(t, errs[:2], is(model.TimedOut))
		all(t, errs[2:], fine)
		f.result = nil
		all(t, ask(t.Context(), g, 0, 2), fine)
		f.once(t, 2, 2)
		all(t, ask(t.Context(), gatherer(t, f, dir, 100), 0, 4), fine)
		f.once(t, 2, 2)
		if f.paid[key(2)] != 1 || f.paid[key(3)] != 1 {
			t.Error("answered requests were paid again")
		}
	})
}

// TestNoResult has a vendor forget an entry.
func TestNoResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.polls = func(int) error { f.batches["b1"] = map[string]string{"other": "x"}; return nil }
		all(t, ask(t.Context(), gatherer(t, f, t.TempDir(), 2), 0, 2), is(model.Cut))
	})
}

// TestPolls checks that polls survive what passes, for a while, and end with what does not.
func TestPolls(t *testing.T) {
	tests := []struct {
		name string
		poll func(f *fake, n int) error
		want func(error) bool
	}{
		{"passes", func(f *fake, n int) error {
			if n < 6 {
				return f.Lost(model.Overloaded, nil)
			}
			return nil
		}, fine},
		{"never passes", func(f *fake, _ int) error { return f.Lost(model.Unreachable, nil) }, is(model.Unreachable)},
		{"denied", func(f *fake, _ int) error { return f.Lost(model.Denied, nil) }, is(model.Denied)},
		{"gone", func(f *fake, _ int) error { return f.Lost(model.NotFound, nil) }, is(model.NotFound)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.polls = func(n int) error { return tt.poll(f, n) }
				g := gatherer(t, f, t.TempDir(), 3)
				all(t, ask(t.Context(), g, 0, 3), tt.want)
				f.polls = nil
				all(t, ask(t.Context(), g, 0, 3), fine)
				f.once(t, 3, 1)
			})
		})
	}
}

// TestCancel cancels some of the requests, then all, and comes back; nothing is left running meanwhile.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.done = false
		g := gatherer(t, f, t.TempDir(), 100)
		before := runtime.NumGoroutine()
		some, cancel := context.WithTimeout(t.Context(), time.Second) // before the batch is submitted
		all(t, ask(some, g, 0, 3), func(err error) bool { return errors.Is(err, context.DeadlineExceeded) })
		cancel()
		synctest.Wait()
		if f.nSubmit != 0 || len(g.owner) != 0 || g.pending != nil {
			t.Error("requests that nobody waits for are still pending")
		}
		for range 3 {
			some, cancel = context.WithTimeout(t.Context(), time.Minute)
			all(t, ask(some, g, 0, 3), func(err error) bool { return errors.Is(err, context.DeadlineExceeded) })
			cancel()
			synctest.Wait()
			if n := runtime.NumGoroutine(); n > before {
				t.Errorf("%d goroutines where %d were", n, before)
			}
		}
		f.done = true
		all(t, ask(t.Context(), g, 0, 3), fine)
		f.once(t, 3, 1)
	})
}

// TestFolder checks folders that hold what does not belong there.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	f := newFake()
	if _, err := New(f, "fake", Options{}); err == nil {
		t.Error("no folder was taken")
	}
	if err := os.WriteFile(filepath.Join(dir, "x.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := New(f, "fake", Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "x.json") {
		t.Errorf("a broken state gives %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x.json"), []byte(`{"token":"x","for":"another","id":"b","keys":["k"]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if g, err := New(f, "fake", Options{Dir: dir}); err != nil || len(g.owner) != 0 {
		t.Errorf("another vendor's batch: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x.jsonl"), []byte("not an answer\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := New(f, "another", Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "x.jsonl") {
		t.Errorf("broken answers give %v", err)
	}
}
