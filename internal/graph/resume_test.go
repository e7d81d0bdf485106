package graph_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because/internal/graph"
	"github.com/because-lab/because/internal/store"
)

// However often runs fail and are cancelled, the last one ends with what an uninterrupted run makes.
func TestRandomFailuresAndCancellations(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 12 {
		w := randomWorld(r, 3+r.IntN(8))
		whole := newStore(t)
		if _, err := w.graph(t, whole).Run(t.Context(), graph.Options{}); err != nil {
			t.Fatal(err)
		}
		s := newStore(t)
		finished := map[string]bool{}
		for round := 0; ; round++ {
			if round == 100 {
				t.Fatal("no run got through")
			}
			w.took()
			sum, err := unlucky(t, r, w, s)
			for _, id := range w.took() {
				if finished[id] {
					t.Errorf("%s ran again", id)
				}
			}
			if sum != nil {
				for id, state := range states(sum) {
					finished[id] = finished[id] || state == graph.Done
				}
			}
			if err == nil {
				w.check(t, s, sum)
				break
			}
		}
		if diff := cmp.Diff(contents(t, whole), contents(t, s)); diff != "" {
			t.Errorf("stores differ:\n%s", diff)
		}
	}
	noGoroutines(t)
}

// unlucky runs a world once with random options, random failures and a cancellation at a random event.
func unlucky(t *testing.T, r *rand.Rand, w *world, s *store.Store) (*graph.Summary, error) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	bad := map[string]bool{}
	for _, step := range w.steps {
		bad[step.ID] = r.IntN(8) == 0
	}
	w.hook = func(ctx context.Context, task *graph.Task) error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case bad[task.Step] && r.IntN(2) == 0:
			panic("bad luck")
		case bad[task.Step]:
			return errors.New("bad luck")
		}
		return ctx.Err()
	}
	until := r.IntN(8 * len(w.steps))
	opt := graph.Options{Jobs: 1 + r.IntN(4), KeepGoing: r.IntN(2) == 0, Events: func(graph.Event) {
		if until--; until == 0 {
			cancel()
		}
	}}
	return w.graph(t, s).Run(ctx, opt)
}

// childEnv makes the test binary run killWorld in the store that it names, printing every event.
const childEnv = "BECAUSE_TEST_GRAPH_STORE"

func TestMain(m *testing.M) {
	if root := os.Getenv(childEnv); root != "" {
		if err := child(root); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(root string) error {
	s, err := store.Open(root, store.Options{Warn: func(err error) { fmt.Println("warning", err) }})
	if err != nil {
		return err
	}
	if err := s.Lock(context.Background()); err != nil {
		return err
	}
	g, err := graph.New("test", killWorld().steps, s)
	if err != nil {
		return err
	}
	_, err = g.Run(context.Background(), graph.Options{Jobs: 2, Events: func(e graph.Event) { fmt.Println(e.State, e.Step) }})
	return err
}

// killWorld is what the child runs.
func killWorld() *world {
	w := randomWorld(rand.New(rand.NewPCG(5, 5)), 14)
	w.hook = func(_ context.Context, t *graph.Task) error {
		for i := range 4 { // some files, so that kills fall between them
			text := strings.Repeat(fmt.Sprint(t.Step, i), 20000)
			if err := os.WriteFile(filepath.Join(t.Output, fmt.Sprint("part", i)), []byte(text), 0o600); err != nil {
				return err
			}
		}
		return nil
	}
	return w
}

// runChild runs the child and kills it delay after it has printed so many lines; it gives the lines, and whether the child
// came to its end.
func runChild(t *testing.T, root string, lines int, delay time.Duration) (printed []string, ended bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+root)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(out)
	for in.Scan() {
		printed = append(printed, in.Text())
		if len(printed) == lines {
			time.Sleep(delay)
			if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
		}
	}
	err = cmd.Wait()
	if cmd.ProcessState.Exited() && err != nil {
		t.Fatalf("the child failed: %v", err)
	}
	return printed, err == nil
}

// A process killed at any moment leaves whole entries only; those who come after it repeat nothing that it finished and end
// with the same store.
func TestKilledAtRandomMoments(t *testing.T) {
	if testing.Short() {
		t.Skip("starts dozens of processes")
	}
	w := killWorld()
	whole := newStore(t)
	if _, err := w.graph(t, whole).Run(t.Context(), graph.Options{}); err != nil {
		t.Fatal(err)
	}
	want := contents(t, whole)
	r := rand.New(rand.NewPCG(20, 20))
	root, finished, kills := t.TempDir(), map[string]bool{}, 0
	for {
		lines, delay := 1+r.IntN(2*len(w.steps)), time.Duration(r.IntN(8000))*time.Microsecond
		if kills == 20 {
			lines = -1 // the last process is left alone
		}
		printed, ended := runChild(t, root, lines, delay)
		for _, line := range printed {
			state, id, _ := strings.Cut(line, " ")
			if state == "warning" || state == "started" && finished[id] {
				t.Errorf("after %d kills: %s", kills, line)
			}
			finished[id] = finished[id] || state == "done"
		}
		if !ended {
			kills++
			checkWhole(t, root)
			continue
		}
		if diff := cmp.Diff(want, readStore(t, root)); diff != "" {
			t.Fatalf("after %d kills the stores differ:\n%s", kills, diff)
		}
		if kills == 20 {
			return
		}
		root, finished = t.TempDir(), map[string]bool{}
	}
}

// checkWhole fails where a killed process left an entry that is not whole.
func checkWhole(t *testing.T, root string) {
	t.Helper()
	s, err := store.Open(root, store.Options{Warn: func(err error) { t.Errorf("after a kill: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range s.Results() {
		if err != nil {
			t.Fatal(err)
		}
		if _, ok, err := s.Lookup(t.Context(), r.Key, true); !ok || err != nil {
			t.Errorf("after a kill, %s is %v, %v", r.By["step"], ok, err)
		}
	}
}

// readStore gives the contents of the store under root, without its lock.
func readStore(t *testing.T, root string) map[string]string {
	t.Helper()
	s, err := store.Open(root, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return contents(t, s)
}
