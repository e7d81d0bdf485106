package graph_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/graph"
)

// fails gives a hook that fails the named steps.
func fails(ids ...string) func(context.Context, *graph.Task) error {
	return func(_ context.Context, t *graph.Task) error {
		for _, id := range ids {
			if t.Step == id {
				return because.E("train", id, errors.New("loss is NaN"), "lower the learning rate")
			}
		}
		return nil
	}
}

// states gives the state of each step of a summary.
func states(s *graph.Summary) map[string]graph.State {
	m := map[string]graph.State{}
	for _, step := range s.Steps {
		m[step.ID] = step.State
	}
	return m
}

func TestFailureTakesOnlyItsDependents(t *testing.T) {
	s, w := newStore(t), diamond()
	w.hook = fails("s1/train")
	sum, err := w.graph(t, s).Run(t.Context(), graph.Options{KeepGoing: true, Jobs: 2})
	var run *graph.RunError
	if !errors.As(err, &run) || len(run.Failed) != 1 || run.Failed[0].Step != "s1/train" || run.Skipped != 2 {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"s1/train", "loss is NaN", "2 skipped"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	if because.Hint(err) != "lower the learning rate" {
		t.Errorf("hint %q", because.Hint(err))
	}
	want := map[string]graph.State{
		"s1/base": graph.Done, "s1/data": graph.Done, "s1/train": graph.Failed, "s1/eval": graph.Skipped,
		"s2/base": graph.Done, "s2/data": graph.Done, "s2/train": graph.Done, "s2/eval": graph.Done, "report": graph.Skipped,
	}
	if diff := cmp.Diff(want, states(sum)); diff != "" {
		t.Error(diff)
	}
	for _, step := range sum.Steps {
		if step.State == graph.Skipped && (step.Err == nil || step.Err.Error() != "skipped because s1/train failed") {
			t.Errorf("%s: %v", step.ID, step.Err)
		}
	}

	w.took()
	w.hook = nil
	sum, err = w.graph(t, s).Run(t.Context(), graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.check(t, s, sum)
	if diff := cmp.Diff([]string{"report", "s1/eval", "s1/train"}, w.took()); diff != "" {
		t.Errorf("the next run:\n%s", diff)
	}
}

func TestFailureStopsTheRunByDefault(t *testing.T) {
	w := newWorld()
	w.add("bad", 1).Weight = 9
	w.add("busy", 1).Weight = 8
	for i := range 5 {
		w.add(fmt.Sprint("later", i), 1)
	}
	busy := make(chan struct{})
	w.hook = func(ctx context.Context, task *graph.Task) error {
		switch task.Step {
		case "bad":
			<-busy
			return errors.New("broken")
		case "busy":
			close(busy)
			<-ctx.Done()
			return ctx.Err()
		}
		t.Errorf("%s was started", task.Step)
		return nil
	}
	sum, err := w.graph(t, newStore(t)).Run(t.Context(), graph.Options{Jobs: 2})
	if err == nil || errors.Is(err, because.ErrInterrupted) || !strings.Contains(err.Error(), "bad: broken") {
		t.Errorf("error %v", err)
	}
	got := map[graph.State]int{}
	for _, state := range states(sum) {
		got[state]++
	}
	want := map[graph.State]int{graph.Failed: 1, graph.Interrupted: 1, graph.Queued: 5}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	noGoroutines(t)
}

func TestPanicBecomesTheStepsError(t *testing.T) {
	w := diamond()
	var none map[string]int
	w.hook = func(_ context.Context, task *graph.Task) error {
		switch task.Step {
		case "s1/train":
			none["x"] = 1
		case "s2/train":
			runtime.Goexit()
		}
		return nil
	}
	s := newStore(t)
	sum, err := w.graph(t, s).Run(t.Context(), graph.Options{KeepGoing: true})
	var p *graph.PanicError
	if !errors.As(err, &p) {
		t.Fatalf("error %v", err)
	}
	if !strings.Contains(p.Error(), "nil map") || !strings.Contains(p.Error(), "fault_test.go:") {
		t.Errorf("error %q does not say what panicked where", p)
	}
	if !strings.Contains(string(p.Stack), "TestPanicBecomesTheStepsError") {
		t.Errorf("stack %s", p.Stack)
	}
	if sum.Count(graph.Failed) != 2 || sum.Count(graph.Done) != 4 || sum.Count(graph.Skipped) != 3 {
		t.Errorf("states %v", states(sum))
	}
	if left, err := os.ReadDir(filepath.Join(s.Root(), "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
	noGoroutines(t)
}

func TestCancelStopsAndResumes(t *testing.T) {
	s, w := newStore(t), diamond()
	ctx, cancel := context.WithCancel(t.Context())
	w.hook = func(ctx context.Context, task *graph.Task) error {
		if strings.HasSuffix(task.Step, "/train") {
			cancel()
			<-ctx.Done()
			return nil // a step that pretends to be finished: its output must not be kept
		}
		return nil
	}
	sum, err := w.graph(t, s).Run(ctx, graph.Options{Jobs: 2})
	if !errors.Is(err, because.ErrInterrupted) || !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if !strings.Contains(err.Error(), fmt.Sprintf("%d of 9 steps done", sum.Count(graph.Done))) {
		t.Errorf("error %v", err)
	}
	noGoroutines(t)
	done := map[string]bool{}
	for id, state := range states(sum) {
		done[id] = state == graph.Done
	}
	if left, err := os.ReadDir(filepath.Join(s.Root(), "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
	w.took()
	w.hook = nil
	if sum, err = w.graph(t, s).Run(t.Context(), graph.Options{}); err != nil {
		t.Fatal(err)
	}
	w.check(t, s, sum)
	ran := w.took()
	for _, id := range ran {
		if done[id] {
			t.Errorf("%s ran again", id)
		}
	}
	if len(ran) < 5 {
		t.Errorf("only %v ran, though both chains were stopped in training", ran)
	}
}

func TestCancelledBeforeItStarts(t *testing.T) {
	w := diamond()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("asked to stop")
	cancel(why)
	_, err := w.graph(t, newStore(t)).Run(ctx, graph.Options{})
	if !errors.Is(err, because.ErrInterrupted) || !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
	if ran := w.took(); len(ran) > 0 {
		t.Errorf("ran %v", ran)
	}
}

// A damaged output that steps still need is rebuilt in the same run, and only that.
func TestDamagedInputIsRebuilt(t *testing.T) {
	root := t.TempDir()
	var warnings []error
	s := openStore(t, root, func(err error) { warnings = append(warnings, err) })
	w := diamond()
	big := strings.Repeat("weights", 1<<18) // beyond what a quick lookup hashes
	w.hook = func(_ context.Context, task *graph.Task) error {
		return os.WriteFile(filepath.Join(task.Output, "weights"), []byte(task.Step+big), 0o600)
	}
	sum, err := w.graph(t, s).Run(t.Context(), graph.Options{Want: []string{"s1/train", "s2/train"}})
	if err != nil {
		t.Fatal(err)
	}
	w.took()
	artifact, _ := sum.Artifact("s1/train")
	path := filepath.Join(s.Path(artifact), "weights")
	text := []byte("s1/trbin" + big)
	if err := errors.Join(os.Chmod(path, 0o644), os.WriteFile(path, text, 0)); err != nil {
		t.Fatal(err)
	}
	sum, err = w.graph(t, s).Run(t.Context(), graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.check(t, s, sum)
	if diff := cmp.Diff([]string{"report", "s1/eval", "s1/train", "s2/eval"}, w.took()); diff != "" {
		t.Error(diff)
	}
	if again, _ := sum.Artifact("s1/train"); again != artifact {
		t.Errorf("rebuilt as %s, was %s", again, artifact)
	}
	if len(warnings) == 0 || !strings.Contains(warnings[0].Error(), path) {
		t.Errorf("warnings %v, want one that names %s", warnings, path)
	}
}

// An output that is damaged between its making and its use fails the step that reads it, and the next run repairs it.
func TestInputDamagedDuringTheRun(t *testing.T) {
	s := openStore(t, t.TempDir(), func(error) {})
	w := diamond()
	damaged := false
	spoil := func(e graph.Event) {
		if e.Step != "s1/train" || e.State != graph.Done {
			return
		}
		for r, err := range s.Results() {
			if err != nil || r.By["step"] != "s1/train" {
				continue
			}
			path := filepath.Join(s.Path(r.Artifact), "out")
			if err := errors.Join(os.Chmod(path, 0o644), os.Truncate(path, 1)); err != nil {
				t.Error(err)
			}
			damaged = true
		}
	}
	_, err := w.graph(t, s).Run(t.Context(), graph.Options{Events: spoil, KeepGoing: true})
	if !damaged || err == nil || !strings.Contains(err.Error(), "s1/eval: read input: model of s1/eval") || because.Hint(err) == "" {
		t.Fatalf("error %v", err)
	}
	w.took()
	sum, err := w.graph(t, s).Run(t.Context(), graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.check(t, s, sum)
	if diff := cmp.Diff([]string{"report", "s1/eval", "s1/train"}, w.took()); diff != "" {
		t.Error(diff)
	}
}
