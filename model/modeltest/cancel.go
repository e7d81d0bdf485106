package modeltest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/because-lab/because"
)

// patience is how long a provider may take for what should be immediate.
const patience = 20 * time.Second

// cancelled checks that a request under a context that has ended gives that context's error.
func cancelled(t *testing.T, chat because.Chat) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := chat.Answer(ctx, 1, user("hello")); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

// cancel checks that ending a context ends its request, with the context's error, and leaves nothing behind.
func (c *contract) cancel(t *testing.T) {
	t.Run("before", func(t *testing.T) { cancelled(t, c.open(t, replies(because.Response{Text: "never"}))) })

	t.Run("meanwhile", func(t *testing.T) {
		reached := make(chan struct{}, 1)
		s := &Script{next: func(int, Asked) Step {
			reached <- struct{}{}
			return Step{Fault: &Fault{Body: Silence}}
		}}
		chat := c.open(t, s)
		once := func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() {
				_, err := chat.Answer(ctx, 1, user("hello"))
				done <- err
			}()
			await(t, reached)
			cancel()
			if err := await(t, done); !errors.Is(err, context.Canceled) {
				t.Fatalf("the error is %v", err)
			}
		}
		once() // what is opened once and kept is no leak
		before := runtime.NumGoroutine()
		const rounds = 20
		for range rounds {
			once()
		}
		settled(t, before+rounds/2)
	})

	t.Run("deadline", func(t *testing.T) {
		chat := c.open(t, faulty(Fault{Body: Silence}))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		done := make(chan error, 1)
		go func() {
			_, err := chat.Answer(ctx, 1, user("hello"))
			done <- err
		}()
		if err := await(t, done); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
	})
}

func await[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("the provider hangs")
		panic("unreachable")
	}
}

// settled waits until there are at most so many goroutines.
func settled(t *testing.T, most int) {
	t.Helper()
	for end := time.Now().Add(patience); runtime.NumGoroutine() > most; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines where at most %d belong:\n%s", runtime.NumGoroutine(), most, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// concurrent checks that many may ask at once, and that each gets its own answer.
func (c *contract) concurrent(t *testing.T) {
	s := &Script{next: func(_ int, a Asked) Step {
		last := a.Request.Messages[len(a.Request.Messages)-1].Content
		return Step{Reply: because.Response{Text: "to " + last, Stop: because.StopEnd}}
	}}
	chat := c.open(t, s)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for j := range 4 {
				text := fmt.Sprintf("question %d.%d", i, j)
				if got, err := chat.Answer(t.Context(), uint64(i), user(text)); err != nil || got.Text != "to "+text {
					t.Errorf("%s: %q, %v", text, got.Text, err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(s.Asked()); n != 32*4 {
		t.Errorf("%d requests arrived of %d", n, 32*4)
	}
}
