package graph_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because/internal/graph"
)

func TestSecondRunRunsNothing(t *testing.T) {
	s, w := newStore(t), diamond()
	sum, err := w.graph(t, s).Run(t.Context(), graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.check(t, s, sum)
	if ran := w.took(); len(ran) != 9 || sum.Count(graph.Done) != 9 {
		t.Fatalf("the first run ran %v", ran)
	}
	sum, err = w.graph(t, s).Run(t.Context(), graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.check(t, s, sum)
	if ran := w.took(); len(ran) != 0 {
		t.Errorf("the second run ran %v", ran)
	}
	if len(sum.Steps) != 1 || sum.Steps[0].ID != "report" || sum.Steps[0].State != graph.Cached {
		t.Errorf("the second run looked at %+v", sum.Steps)
	}
}

func TestChangeRebuildsExactlyWhatDependsOnIt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 10 {
		s := newStore(t)
		w := randomWorld(r, 2+r.IntN(9))
		if _, err := w.graph(t, s).Run(t.Context(), graph.Options{Jobs: 4}); err != nil {
			t.Fatal(err)
		}
		w.took()
		id := w.steps[r.IntN(len(w.steps))].ID
		old := w.param[id]
		w.set(id, 1000)
		sum, err := w.graph(t, s).Run(t.Context(), graph.Options{Jobs: 4})
		if err != nil {
			t.Fatal(err)
		}
		w.check(t, s, sum)
		if diff := cmp.Diff(w.downstream(id), w.took()); diff != "" {
			t.Errorf("a change of %s:\n%s", id, diff)
		}
		w.set(id, old)
		if _, err := w.graph(t, s).Run(t.Context(), graph.Options{}); err != nil {
			t.Fatal(err)
		}
		if ran := w.took(); len(ran) > 0 {
			t.Errorf("undoing the change ran %v", ran)
		}
	}
}

// What a cached step was made from need not exist any more.
func TestCachedSinkNeedsNoAncestors(t *testing.T) {
	s, w := newStore(t), diamond()
	sum, err := w.graph(t, s).Run(t.Context(), graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.took()
	report, _ := sum.Artifact("report")
	eval, _ := sum.Artifact("s1/eval")
	if err := s.GC([]string{report}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.graph(t, s).Run(t.Context(), graph.Options{}); err != nil {
		t.Fatal(err)
	}
	if ran := w.took(); len(ran) > 0 {
		t.Errorf("ran %v", ran)
	}
	sum, err = w.graph(t, s).Run(t.Context(), graph.Options{Want: []string{"s1/eval"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"s1/base", "s1/data", "s1/eval", "s1/train"}, w.took()); diff != "" {
		t.Error(diff)
	}
	if again, _ := sum.Artifact("s1/eval"); again != eval {
		t.Errorf("rebuilt as %s, was %s", again, eval)
	}
}

// order runs a world one step at a time and gives the steps in the order in which they started.
func order(t *testing.T, w *world) []string {
	t.Helper()
	var started []string
	_, err := w.graph(t, newStore(t)).Run(t.Context(), graph.Options{Jobs: 1, Events: func(e graph.Event) {
		if e.State == graph.Started {
			started = append(started, e.Step)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return started
}

func TestCriticalPathRunsFirst(t *testing.T) {
	w := newWorld()
	w.add("short", 1).Weight = 5
	w.add("tie1", 1)
	w.add("tie2", 1)
	w.add("long", 1)
	w.add("long/next", 1, "long").Weight = 4
	w.add("long/last", 1, "long/next").Weight = 3
	want := []string{"long", "long/next", "short", "long/last", "tie1", "tie2"}
	if diff := cmp.Diff(want, order(t, w)); diff != "" {
		t.Error(diff)
	}
}

func TestSharingStepsFollowEachOther(t *testing.T) {
	w := newWorld()
	for _, x := range []struct {
		id, share string
		weight    float64
	}{{"a/1", "a", 9}, {"b/1", "b", 8}, {"alone", "", 7}, {"a/2", "a", 2}, {"b/2", "b", 6}, {"a/3", "a", 3}, {"b/3", "b", 1}} {
		s := w.add(x.id, 1)
		s.Share, s.Weight = x.share, x.weight
	}
	want := []string{"a/1", "a/3", "a/2", "b/1", "alone", "b/2", "b/3"}
	if diff := cmp.Diff(want, order(t, w)); diff != "" {
		t.Error(diff)
	}
}

func TestJobsBoundWhatRunsAtOnce(t *testing.T) {
	for _, jobs := range []int{1, 3} {
		w := newWorld()
		for i := range 9 {
			w.add(fmt.Sprint(i), i)
		}
		var mu sync.Mutex
		now, most := 0, 0
		full := make(chan struct{})
		w.hook = func(ctx context.Context, task *graph.Task) error {
			mu.Lock()
			now++
			if now > most && now == jobs {
				close(full)
			}
			most = max(most, now)
			mu.Unlock()
			if task.Workers != max(1, 4/jobs) {
				t.Errorf("%d jobs: %d workers", jobs, task.Workers)
			}
			<-full // nobody leaves before all slots were taken once
			mu.Lock()
			now--
			mu.Unlock()
			return nil
		}
		if _, err := w.graph(t, newStore(t)).Run(t.Context(), graph.Options{Jobs: jobs, Workers: 4}); err != nil {
			t.Fatal(err)
		}
		if most != jobs {
			t.Errorf("%d at once, want %d", most, jobs)
		}
	}
}

// A large step is not left with one core because small ones could start beside it; a second large one takes its half.
func TestCoresAreSharedAmongComparableSteps(t *testing.T) {
	for _, second := range []float64{1, 60} {
		w := newWorld()
		w.add("large", 1).Weight = 100
		w.add("other", 2).Weight = second
		var mu sync.Mutex
		got := map[string]int{}
		w.hook = func(_ context.Context, task *graph.Task) error {
			mu.Lock()
			defer mu.Unlock()
			got[task.Step] = task.Workers
			return nil
		}
		if _, err := w.graph(t, newStore(t)).Run(t.Context(), graph.Options{Jobs: 4, Workers: 4}); err != nil {
			t.Fatal(err)
		}
		want := 4
		if second > 10 {
			want = 2
		}
		if got["large"] != want {
			t.Errorf("beside a step of weight %v one of weight 100 got %d of 4 cores, want %d", second, got["large"], want)
		}
	}
}

// Two steps with equal keys are computed once.
func TestEqualStepsRunOnce(t *testing.T) {
	for _, fail := range []bool{false, true} {
		w := newWorld()
		for _, id := range []string{"a", "b"} {
			w.add(id+"/data", 0).Params = "same"
			w.add(id+"/model", 0, "data="+id+"/data").Params = "same too"
		}
		w.add("report", 1, "a/model", "b/model")
		if fail {
			w.hook = fails("a/data")
		}
		s := newStore(t)
		var events []string
		sum, err := w.graph(t, s).Run(t.Context(), graph.Options{Jobs: 4, KeepGoing: true, Events: func(e graph.Event) {
			if e.State != graph.Queued && e.State != graph.Started {
				events = append(events, e.Step+" "+string(e.State))
			}
		}})
		if (err != nil) != fail {
			t.Fatal(err)
		}
		ran, want := w.took(), []string{"a/data", "a/model", "report"}
		wantEvents := []string{"a/data done", "b/data cached", "a/model done", "b/model cached", "report done"}
		if fail {
			want = want[:1]
			wantEvents = []string{"a/data failed", "b/data skipped", "a/model skipped", "b/model skipped", "report skipped"}
			if sum.Count(graph.Failed) != 1 || sum.Count(graph.Skipped) != 4 {
				t.Errorf("states %v", states(sum))
			}
		} else {
			one, _ := sum.Artifact("a/model")
			two, ok := sum.Artifact("b/model")
			if !ok || one != two {
				t.Errorf("artifacts %s and %s", one, two)
			}
			if last, err := s.Index("test"); err != nil || len(last) != 5 {
				t.Errorf("index %v, %v", last, err)
			}
		}
		if diff := cmp.Diff(want, ran); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(wantEvents, events); diff != "" {
			t.Error(diff)
		}
	}
}

func TestEventsTellTheStory(t *testing.T) {
	s, w := newStore(t), diamond()
	for i := range w.steps {
		w.steps[i].Weight = 10
		w.steps[i].Title = "step " + w.steps[i].ID
	}
	if _, err := w.graph(t, s).Run(t.Context(), graph.Options{Want: []string{"s1/eval"}}); err != nil {
		t.Fatal(err)
	}
	w.hook = func(_ context.Context, task *graph.Task) error {
		task.Progress(25, 100, "tokens", "warming up")
		task.Progress(100, 100, "tokens", "")
		return nil
	}
	var all []graph.Event
	if _, err := w.graph(t, s).Run(t.Context(), graph.Options{Jobs: 1, Events: func(e graph.Event) { all = append(all, e) }}); err != nil {
		t.Fatal(err)
	}
	byStep := map[string][]string{}
	for i, e := range all {
		line := string(e.State)
		if e.State == graph.Progress {
			line = fmt.Sprintf("progress %g/%g %s %s", e.Done, e.Total, e.Unit, e.Note)
		}
		byStep[e.Step] = append(byStep[e.Step], line)
		if e.Time.IsZero() || i > 0 && e.Time.Before(all[i-1].Time) || e.Kind != "toy" || e.Title != "step "+e.Step {
			t.Errorf("event %+v", e)
		}
		if e.RunTotal != 50 || i > 0 && e.RunDone < all[i-1].RunDone {
			t.Errorf("%s of %s: %g of %g done", e.State, e.Step, e.RunDone, e.RunTotal)
		}
	}
	for _, step := range w.steps {
		var want []string
		switch {
		case step.ID == "s1/eval":
			want = []string{"cached"}
		case !strings.HasPrefix(step.ID, "s1/"):
			want = []string{"queued", "started", "progress 25/100 tokens warming up", "progress 100/100 tokens ", "done"}
		}
		if diff := cmp.Diff(want, byStep[step.ID]); diff != "" {
			t.Errorf("%s: %s", step.ID, diff)
		}
	}
	if last := all[len(all)-1]; last.RunDone != 50 || last.Step != "report" {
		t.Errorf("the last event is %+v", last)
	}
}

// Progress may be reported from many goroutines, and by one that outlives its step.
func TestProgressFromManyGoroutines(t *testing.T) {
	w := newWorld()
	w.add("a", 1)
	w.add("b", 1, "a")
	late := make(chan *graph.Task, 2)
	w.hook = func(_ context.Context, task *graph.Task) error {
		ended := make(chan struct{})
		for i := range 8 {
			go func() {
				for n := range 200 {
					task.Progress(float64(n), 0, "samples", fmt.Sprint(i))
				}
				ended <- struct{}{}
			}()
		}
		for range 8 {
			<-ended
		}
		late <- task
		return nil
	}
	ended := map[string]bool{}
	_, err := w.graph(t, newStore(t)).Run(t.Context(), graph.Options{Events: func(e graph.Event) {
		if ended[e.Step] {
			t.Errorf("%s after the end of %s", e.State, e.Step)
		}
		ended[e.Step] = e.State == graph.Done
		if e.State == graph.Progress && e.RunDone > 1 {
			t.Errorf("progress without total counts as %g", e.RunDone)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	(<-late).Progress(1, 1, "", "too late")
}
