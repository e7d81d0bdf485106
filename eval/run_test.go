package eval

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval/evallog"
	"github.com/because-lab/because/model"
)

// fake is a model that answers by a function and counts its requests.
type fake struct {
	name   string
	answer func(ctx context.Context, seed uint64, r because.Request) (because.Response, error)
	asked  atomic.Int64
}

func (f *fake) Name() string { return f.name }

func (f *fake) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	f.asked.Add(1)
	return f.answer(ctx, seed, r)
}

// echo answers with the last message.
func echo() *fake {
	return &fake{name: "mock/echo", answer: func(_ context.Context, _ uint64, r because.Request) (because.Response, error) {
		return because.Response{Text: r.Prefill + r.Messages[len(r.Messages)-1].Content, Stop: because.StopEnd, Usage: because.Usage{Input: 3, Output: 2}}, nil
	}}
}

// questions are n samples whose inputs are "yes" and, each third, "no"; three of them make a cluster.
func questions(n int) Dataset {
	return Dataset{Name: "questions", N: n, Version: "v1", At: func(i int) (because.Sample, error) {
		text := "yes"
		if i%3 == 2 {
			text = "no"
		}
		return because.Sample{ID: fmt.Sprint("q", i), Cluster: fmt.Sprint("c", i/3), Input: []because.Message{{Role: because.RoleUser, Content: text}},
			Meta: map[string]string{"parity": []string{"even", "odd"}[i%2]}}, nil
	}}
}

func sayingYes() Scorer {
	return NewScorer("says yes", func(_ context.Context, s *State) (because.Score, error) {
		return Counted(s.Output.Text == "yes", "", s.Output.Text), nil
	})
}

func toy(n int) Task {
	return Task{Name: "toy", Dataset: questions(n), Solver: Generate, Scorers: []Scorer{sayingYes()}, By: []string{"parity"}}
}

func options(t *testing.T, m because.Chat) Options {
	return Options{Models: map[string]because.Chat{Target: m}, Log: filepath.Join(t.TempDir(), "toy.eval"), InFlight: 8}
}

func TestRunCountsWithIntervals(t *testing.T) {
	o := options(t, echo())
	o.Epochs = 2
	got, err := Run(t.Context(), toy(30), o)
	if err != nil {
		t.Fatal(err)
	}
	rows := got.Scores[0].Rows
	if got.Samples != 60 || got.Scored != 60 || got.Errors != 0 || len(rows) != 4 {
		t.Fatalf("%+v", got.Results)
	}
	all, any := rows[0], rows[1]
	if any.Outcome != "in any of 2 epochs" || any.N != 30 || any.Value < 0.66 || any.Value > 0.67 {
		t.Errorf("in any epoch: %+v", any)
	}
	rows = rows[1:]
	if all.N != 60 || all.Clusters != 10 || all.Value < 0.66 || all.Value > 0.67 || !(all.Lo > 0.5 && all.Lo < 0.667 && all.Hi > 0.667 && all.Hi < 0.9) {
		t.Errorf("all samples: %+v", all)
	}
	if rows[1].Group != "parity=even" || rows[1].N != 30 || rows[2].Group != "parity=odd" {
		t.Errorf("groups: %+v", rows[1:])
	}
	if u := got.Usage["mock/echo"]; u.InputTokens != 180 || u.OutputTokens != 120 {
		t.Errorf("usage %+v", u)
	}
	r, err := evallog.Open(o.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s, err := r.Sample(evallog.StringID("q2"), 2)
	if err != nil {
		t.Fatal(err)
	}
	if h := r.Header(); h.Status != evallog.Success || h.Eval.Task != "toy" || lenOf(t, r) != 60 || s.Output.Completion != "no" || len(s.Messages) != 2 || len(s.Events) != 3 {
		t.Errorf("the log has %+v; sample %+v", h, s)
	}
}

// What is computed from a log read back is what the run gave.
func TestGatherReadsWhatRunCounted(t *testing.T) {
	o := options(t, echo())
	got, err := Run(t.Context(), toy(31), o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := evallog.Open(o.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	again, err := Gather(func(yield func(*evallog.Summary, error) bool) {
		rows, err := r.Summaries(0, 1000)
		for i := range rows {
			if !yield(&rows[i], err) {
				return
			}
		}
	}, ViewOf(r.Header()))
	if diff := cmp.Diff(got.Results, again); diff != "" || err != nil {
		t.Errorf("%v (-run +log):\n%s", err, diff)
	}
}

// What can't be scored is an error: never a score, never dropped.
func TestNoScoreWithoutWhatItRestsOn(t *testing.T) {
	broken := errors.New("the judge is out")
	deaf := &fake{name: "deaf", answer: func(context.Context, uint64, because.Request) (because.Response, error) {
		return because.Response{}, broken
	}}
	lenient := NewScorer("harmless", func(ctx context.Context, s *State) (because.Score, error) {
		m, err := s.Model(Judge)
		if err != nil {
			return because.Score{}, err
		}
		m.Answer(ctx, 1, because.Request{}) //nolint:errcheck // this is what the test is about
		return Counted(true, "assumed", ""), nil
	})
	for _, c := range []struct {
		name   string
		change func(t *Task, o *Options)
		cause  string
	}{
		{"the target was never asked", func(t *Task, _ *Options) { t.Solver = SolverFunc(func(context.Context, *State) error { return nil }) }, "never asked"},
		{"a solver hides an error", func(t *Task, o *Options) {
			o.Models[Target] = deaf
			t.Solver = SolverFunc(func(ctx context.Context, s *State) error { s.Ask(ctx); return nil }) //nolint:errcheck // as above
		}, "the judge is out"},
		{"a scorer hides that its judge failed", func(t *Task, o *Options) { t.Scorers, o.Models[Judge] = []Scorer{lenient}, deaf }, "the judge gave no answer"},
		{"there is no judge", func(t *Task, _ *Options) { t.Scorers = []Scorer{lenient} }, "needs a model as judge"},
		{"a scorer says nothing", func(t *Task, _ *Options) {
			t.Scorers = []Scorer{NewScorer("x", func(context.Context, *State) (because.Score, error) { return because.Score{}, nil })}
		}, "no outcome"},
		{"a scorer gives up", func(t *Task, _ *Options) {
			t.Scorers = []Scorer{NewScorer("x", func(context.Context, *State) (because.Score, error) {
				return because.Score{Outcome: because.Failed, Why: "unreadable"}, nil
			})}
		}, "unreadable"},
		{"a solver panics", func(t *Task, _ *Options) { t.Solver = SolverFunc(func(context.Context, *State) error { panic("oh") }) }, "panic: oh"},
		{"a scorer panics after a good one", func(t *Task, _ *Options) {
			t.Scorers = append(t.Scorers, NewScorer("x", func(context.Context, *State) (because.Score, error) { panic("ah") }))
		}, "panic: ah"},
	} {
		task, o := toy(6), options(t, echo())
		o.FailOnError = -1
		c.change(&task, &o)
		got, err := Run(t.Context(), task, o)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got.Samples != 6 || got.Errors != 6 || len(got.Scores) != 0 || !strings.Contains(got.Causes[0].Text, c.cause) {
			t.Errorf("%s: %+v", c.name, got.Results)
		}
	}
}

func TestErrorsAreCountedAgainstATolerance(t *testing.T) {
	flaky := &fake{name: "flaky", answer: func(_ context.Context, _ uint64, r because.Request) (because.Response, error) {
		if r.Messages[0].Content == "no" {
			return because.Response{}, &model.Error{Kind: model.Filtered, Model: "flaky"}
		}
		return because.Response{Text: "yes", Stop: because.StopEnd}, nil
	}}
	for _, c := range []struct {
		tolerated float64
		want      evallog.Status
	}{{0, evallog.Failed}, {0.3, evallog.Failed}, {0.34, evallog.Success}, {9, evallog.Failed}, {10, evallog.Success}, {-1, evallog.Success}} {
		o := options(t, flaky)
		o.FailOnError = c.tolerated
		got, err := Run(t.Context(), toy(30), o)
		if err != nil || got.Status != c.want || got.Errors != 10 || got.Scored != 20 || got.Scores[0].Rows[0].N != 20 {
			t.Errorf("with %v tolerated: %+v, %v", c.tolerated, got, err)
		}
	}
}

// The same call repeats the samples that failed, and no others.
func TestFailedSamplesAreRepeated(t *testing.T) {
	var bad atomic.Bool
	bad.Store(true)
	m := echo()
	good := m.answer
	m.answer = func(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
		if bad.Load() && r.Messages[0].Content == "no" {
			return because.Response{}, &model.Error{Kind: model.Overloaded, Model: "flaky"}
		}
		return good(ctx, seed, r)
	}
	o := options(t, m)
	first, err := Run(t.Context(), toy(30), o)
	if err != nil || first.Status != evallog.Failed {
		t.Fatalf("%+v, %v", first, err)
	}
	bad.Store(false)
	m.asked.Store(0)
	second, err := Run(t.Context(), toy(30), o)
	if err != nil || second.Status != evallog.Success || second.Resumed != 20 || m.asked.Load() != 10 || second.Samples != 30 || second.Errors != 0 {
		t.Errorf("asked %d times: %+v, %v", m.asked.Load(), second, err)
	}
}

func TestAHopelessErrorEndsTheRun(t *testing.T) {
	m := &fake{name: "locked", answer: func(context.Context, uint64, because.Request) (because.Response, error) {
		return because.Response{}, &model.Error{Kind: model.Denied, Model: "locked", Status: 401}
	}}
	o := options(t, m)
	_, err := Run(t.Context(), toy(1000), o)
	if model.KindOf(err) != model.Denied || m.asked.Load() > 8 {
		t.Errorf("asked %d times, %v", m.asked.Load(), err)
	}
	r, err := evallog.Open(o.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Header().Status != evallog.Failed || lenOf(t, r) != 0 {
		t.Errorf("the log has %d samples, status %s", lenOf(t, r), r.Header().Status)
	}
}

// A run that is cancelled and repeated asks for nothing twice that had been answered and written, and ends as one that was not.
func TestACancelledRunGoesOn(t *testing.T) {
	whole, err := Run(t.Context(), toy(200), options(t, echo()))
	if err != nil {
		t.Fatal(err)
	}
	m := echo()
	o := options(t, m)
	resumed := -1
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		o.Progress = func(p Progress) {
			if p.Done >= p.Resumed+37 {
				cancel()
			}
		}
		got, err := Run(ctx, toy(200), o)
		cancel()
		if err == nil {
			if diff := cmp.Diff(whole.Results, got.Results); diff != "" {
				t.Errorf("(-whole +resumed):\n%s", diff)
			}
			resumed = got.Resumed
			break
		}
		if !errors.Is(err, because.ErrInterrupted) {
			t.Fatal(err)
		}
	}
	if resumed < 100 || m.asked.Load() > 200+8*6 {
		t.Errorf("the last run found %d samples done; %d requests in all", resumed, m.asked.Load())
	}
}

func TestLimits(t *testing.T) {
	forever := SolverFunc(func(ctx context.Context, s *State) error {
		for {
			if _, err := s.Ask(ctx); err != nil {
				return err
			}
		}
	})
	slow := &fake{name: "slow", answer: func(ctx context.Context, _ uint64, _ because.Request) (because.Response, error) {
		<-ctx.Done()
		return because.Response{}, ctx.Err()
	}}
	for _, c := range []struct {
		limits Limits
		m      because.Chat
		want   string
	}{{Limits{Messages: 5}, echo(), "message"}, {Limits{Tokens: 11}, echo(), "token"}} {
		task := toy(3)
		task.Solver, task.Limits = forever, c.limits
		got, err := Run(t.Context(), task, options(t, c.m))
		if err != nil || got.Limited != 3 || got.Errors != 0 {
			t.Errorf("%s: %+v, %v", c.want, got, err)
		}
	}
	task := toy(3)
	task.Limits.Time = time.Millisecond
	got, err := Run(t.Context(), task, options(t, slow))
	if err != nil || got.Errors != 3 {
		t.Errorf("out of time before the first answer: %+v, %v", got, err)
	}
}

// Grades stay grades where all of them lie between 0 and 1.
func TestGradesAreNoRates(t *testing.T) {
	task := toy(6)
	task.Scorers = []Scorer{NewGrade("grade", func(context.Context, *State) (because.Score, error) {
		one := 1.0
		return because.Score{Value: &one}, nil
	})}
	got, err := Run(t.Context(), task, options(t, echo()))
	if err != nil || len(got.Scores[0].Rows) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, row := range got.Scores[0].Rows {
		if !row.Grade || row.Value != 1 {
			t.Errorf("%+v", row)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	for _, c := range []struct {
		change func(t *Task, o *Options)
		cause  string
	}{
		{func(t *Task, _ *Options) { t.Dataset.N = 0 }, "its dataset is empty"},
		{func(t *Task, _ *Options) { t.Solver = nil }, "no solver"},
		{func(t *Task, _ *Options) { t.Scorers = nil }, "no scorer"},
		{func(t *Task, _ *Options) { t.Scorers = append(t.Scorers, t.Scorers[0]) }, "two scorers"},
		{func(_ *Task, o *Options) { o.Models = nil }, "no model"},
		{func(_ *Task, o *Options) { o.Log = "" }, "no file"},
		{func(_ *Task, o *Options) { o.Epochs = -1 }, "can't be negative"},
		{func(_ *Task, o *Options) { o.Log = filepath.Join(os.DevNull, "y.eval") }, os.DevNull},
		{func(t *Task, _ *Options) {
			t.Dataset.At = func(i int) (because.Sample, error) { return because.Sample{}, errors.New("row 4 is bad") }
		}, "row 4 is bad"},
	} {
		task, o := toy(3), options(t, echo())
		c.change(&task, &o)
		if _, err := Run(t.Context(), task, o); err == nil || !strings.Contains(err.Error(), c.cause) {
			t.Errorf("got %v, want %q", err, c.cause)
		}
	}
}

// Another task must not go on from a log.
func TestALogIsOfOneTask(t *testing.T) {
	o := options(t, echo())
	if _, err := Run(t.Context(), toy(6), o); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(o.Log)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(t *Task, o *Options){
		"seed":    func(_ *Task, o *Options) { o.Seed = 7 },
		"args":    func(t *Task, _ *Options) { t.Args = map[string]any{"form": "agent"} },
		"dataset": func(t *Task, _ *Options) { t.Dataset.Version = "v2" },
		"model":   func(_ *Task, o *Options) { o.Models[Target].(*fake).name = "other" },
	} {
		task, other := toy(6), o
		other.Models = map[string]because.Chat{Target: echo()}
		change(&task, &other)
		if _, err := Run(t.Context(), task, other); err == nil {
			t.Errorf("a run with another %s went on from the log", name)
		}
	}
	after, err := os.ReadFile(o.Log)
	if err != nil || string(after) != string(before) {
		t.Errorf("the log changed (%v)", err)
	}
}

// box is a toolbox with one tool that ends the work on its second call.
type box struct{ calls []because.ToolCall }

func (b *box) Tools() []because.Tool { return []because.Tool{{Name: "work"}} }
func (b *box) Done() bool            { return len(b.calls) == 2 }
func (b *box) Call(c because.ToolCall) (string, bool) {
	b.calls = append(b.calls, c)
	var args struct{ N int }
	if err := Arguments(c, &args); err != nil {
		return "the arguments are no JSON object", true
	}
	return fmt.Sprint("did ", args.N), false
}

func TestAgentActsUntilItIsDone(t *testing.T) {
	script := []because.Response{
		{Text: "Let me see."},
		{Calls: []because.ToolCall{{ID: "a", Name: "work", Arguments: []byte(`"{broken"`)}}},
		{Text: "again", Reasoning: "hm", Calls: []because.ToolCall{{ID: "b", Name: "work", Arguments: []byte(`{"n":2}`)}}},
	}
	m := &fake{name: "scripted", answer: func(_ context.Context, _ uint64, r because.Request) (because.Response, error) {
		turn := 0
		for _, m := range r.Messages {
			if m.Role == because.RoleAssistant {
				turn++
			}
		}
		return script[turn], nil
	}}
	var seen sync.Map
	task := toy(1)
	task.Solver = SolverFunc(func(ctx context.Context, s *State) error {
		err := Agent(ctx, s, &box{})
		seen.Store("messages", s.Messages)
		return err
	})
	o := options(t, m)
	if got, err := Run(t.Context(), task, o); err != nil || got.Errors != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	messages, _ := seen.Load("messages")
	want := []because.Message{
		{Role: because.RoleUser, Content: "yes"}, {Role: because.RoleAssistant, Content: "Let me see."}, {Role: because.RoleUser, Content: Nudge},
		{Role: because.RoleAssistant, ToolCalls: script[1].Calls}, {Role: because.RoleTool, Name: "work", ToolCallID: "a", Content: "the arguments are no JSON object"},
		{Role: because.RoleAssistant, Content: "again", Reasoning: "hm", ToolCalls: script[2].Calls}, {Role: because.RoleTool, Name: "work", ToolCallID: "b", Content: "did 2"},
	}
	if diff := cmp.Diff(want, messages, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r, err := evallog.Open(o.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s, err := r.Sample(evallog.StringID("q0"), 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Messages) != 7 || s.Messages[3].ToolCalls[0].ParseError == "" || s.Messages[5].Content.Reasoning() != "hm" {
		t.Errorf("the log has %+v", s.Messages)
	}
	var inputs []int
	for _, e := range s.Events {
		if m, ok := e.Body.(*evallog.ModelEvent); ok {
			inputs = append(inputs, len(m.Input))
		}
	}
	if diff := cmp.Diff([]int{1, 3, 5}, inputs); diff != "" {
		t.Errorf("messages of the model's requests (-want +got):\n%s", diff)
	}
}

func lenOf(t *testing.T, r *evallog.Reader) int {
	t.Helper()
	n, err := r.Len()
	if err != nil {
		t.Fatal(err)
	}
	return n
}
