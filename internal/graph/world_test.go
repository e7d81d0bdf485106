package graph_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/because-lab/because/internal/graph"
	"github.com/because-lab/because/internal/store"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// world is a set of toy steps. A step's output is a text made from its parameters and its inputs' texts, so that tests
// can compute what must come out, and the world notes which steps ran.
type world struct {
	steps []graph.Step
	param map[string]int

	mu   sync.Mutex
	ran  []string
	hook func(ctx context.Context, t *graph.Task) error // runs within each step, before it writes
}

func newWorld() *world { return &world{param: map[string]int{}} }

// add appends a step that needs others, given as "name=step" or, where the name is the step's, as "step".
func (w *world) add(id string, param int, needs ...string) *graph.Step {
	s := graph.Step{ID: id, Kind: "toy", Version: "1", Params: map[string]any{"id": id, "value": param}, Run: w.run}
	for _, need := range needs {
		name, step, named := strings.Cut(need, "=")
		if !named {
			step = name
		}
		s.Needs = append(s.Needs, graph.Input{Name: name, Step: step})
	}
	w.steps = append(w.steps, s)
	w.param[id] = param
	return &w.steps[len(w.steps)-1]
}

// set changes a step's parameter.
func (w *world) set(id string, param int) {
	for i := range w.steps {
		if w.steps[i].ID == id {
			w.steps[i].Params = map[string]any{"id": id, "value": param}
		}
	}
	w.param[id] = param
}

// run is the function of every toy step.
func (w *world) run(ctx context.Context, t *graph.Task) error {
	w.mu.Lock()
	w.ran = append(w.ran, t.Step)
	w.mu.Unlock()
	if err := os.WriteFile(filepath.Join(t.Output, "half"), []byte("unfinished"), 0o600); err != nil {
		return err
	}
	if w.hook != nil {
		if err := w.hook(ctx, t); err != nil {
			return err
		}
	}
	var names []string
	for name := range t.Inputs {
		names = append(names, name)
	}
	sort.Strings(names)
	text := fmt.Sprintf("%s %d\n", t.Step, w.param[t.Step])
	for _, name := range names {
		in, err := os.ReadFile(filepath.Join(t.Inputs[name], "out"))
		if err != nil {
			return err
		}
		text += compose(name, string(in))
	}
	return errors.Join(
		os.Remove(filepath.Join(t.Output, "half")),
		os.WriteFile(filepath.Join(t.Output, "common"), []byte("the same in every step"), 0o600),
		os.WriteFile(filepath.Join(t.Output, "out"), []byte(text), 0o600))
}

// compose is how an input's text enters a step's text: hashed, so that texts stay short.
func compose(name, text string) string {
	h := fnv.New64a()
	h.Write([]byte(text))
	return fmt.Sprintf("%s %x\n", name, h.Sum64())
}

// want computes the text that a step must produce, without any machinery.
func (w *world) want(id string) string {
	for _, s := range w.steps {
		if s.ID != id {
			continue
		}
		needs := append([]graph.Input(nil), s.Needs...)
		sort.Slice(needs, func(i, j int) bool { return needs[i].Name < needs[j].Name })
		text := fmt.Sprintf("%s %d\n", id, w.param[id])
		for _, need := range needs {
			text += compose(need.Name, w.want(need.Step))
		}
		return text
	}
	return ""
}

// downstream lists a step and all that needs its output, sorted.
func (w *world) downstream(id string) []string {
	hit := map[string]bool{id: true}
	for range w.steps {
		for _, s := range w.steps {
			for _, need := range s.Needs {
				if hit[need.Step] {
					hit[s.ID] = true
				}
			}
		}
	}
	var ids []string
	for id := range hit {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	return ids
}

// took gives the steps that ran since the last call, sorted.
func (w *world) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	ran := w.ran
	w.ran = nil
	sort.Strings(ran)
	return ran
}

// check fails unless the summary has every sink's right output.
func (w *world) check(t *testing.T, s *store.Store, sum *graph.Summary) {
	t.Helper()
	for _, step := range sum.Steps {
		if step.State != graph.Done && step.State != graph.Cached {
			t.Errorf("%s is %s: %v", step.ID, step.State, step.Err)
			continue
		}
		dir, err := s.Open(t.Context(), step.Artifact)
		if err != nil {
			t.Error(err)
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, "out"))
		if err != nil || string(text) != w.want(step.ID) {
			t.Errorf("%s holds %q (%v), want %q", step.ID, text, err, w.want(step.ID))
		}
	}
}

// graph builds the world's graph over a store.
func (w *world) graph(t *testing.T, s graph.Store) *graph.Graph {
	t.Helper()
	g, err := graph.New("test", w.steps, s)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// diamond is a world of two seeds with a chain and a join each, and a report over both.
func diamond() *world {
	w := newWorld()
	var evals []string
	for _, seed := range []string{"s1", "s2"} {
		w.add(seed+"/base", 1)
		w.add(seed+"/data", 2)
		w.add(seed+"/train", 3, "model="+seed+"/base", "data="+seed+"/data")
		w.add(seed+"/eval", 4, "model="+seed+"/train")
		evals = append(evals, seed+"/eval")
	}
	w.add("report", 5, evals...)
	return w
}

// randomWorld draws a world of n steps.
func randomWorld(r *rand.Rand, n int) *world {
	w := newWorld()
	for i := range n {
		var needs []string
		for j := range i {
			if r.IntN(i) < 2 {
				needs = append(needs, fmt.Sprintf("in%d=step%d", r.Uint32(), j))
			}
		}
		w.add(fmt.Sprintf("step%d", i), r.IntN(100), needs...).Weight = float64(1 + r.IntN(9))
	}
	return w
}

// newStore gives a locked store in a fresh folder; warnings fail the test.
func newStore(t *testing.T) *store.Store {
	t.Helper()
	return openStore(t, t.TempDir(), func(err error) { t.Errorf("unexpected warning: %v", err) })
}

// openStore gives the locked store under root.
func openStore(t *testing.T, root string, warn func(error)) *store.Store {
	t.Helper()
	s, err := store.Open(root, store.Options{Warn: warn})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Unlock(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// contents lists what a store holds for good: artifacts with their files, and which key led to which artifact.
func contents(t *testing.T, s *store.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for r, err := range s.Results() {
		if err != nil {
			t.Fatal(err)
		}
		all["result "+r.Key] = r.Artifact + " " + string(r.Payload)
	}
	for _, kind := range []string{"artifacts", "objects", "index", "tmp"} {
		root := filepath.Join(s.Root(), kind)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			rel, _ := filepath.Rel(s.Root(), path)
			all[rel] = string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// noGoroutines fails where a goroutine of the package outlives its run.
func noGoroutines(t *testing.T) {
	t.Helper()
	var stacks string
	for range 200 {
		buf := make([]byte, 1<<20)
		stacks = string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(stacks, "created by github.com/because-lab/because/internal/graph.") {
			return
		}
		time.Sleep(10 * time.Millisecond) // it may be about to end
	}
	t.Errorf("goroutines are left:\n%s", stacks)
}
