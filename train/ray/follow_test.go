package ray

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
	"github.com/because-lab/because/train/ray/raytest"
)

// run is the log of a training of n steps: events, log and what Ray says, mixed.
func run(n int) (lines []string, events []Event) {
	add := func(e Event) {
		events = append(events, e)
		lines = append(lines, raytest.Event(e))
	}
	lines = append(lines, "2026-11-26 01:20:00,000\tINFO job_manager.py:1 -- Runtime env is setting up.", "some log with @because {\"event\":\"step\"} in it")
	add(Event{Kind: EventStart, Steps: n, Rows: 8, Trained: 100})
	for i := 1; i <= n; i++ {
		add(Event{Kind: EventStep, Metric: &Metric{Step: i, Loss: 1 / float64(i), LR: 1e-4, Norm: 1, Tokens: 10, Total: 10 * i, Rate: 100}})
		lines = append(lines, fmt.Sprintf("é log of step %d", i))
		if i%5 == 0 {
			add(Event{Kind: EventCheckpoint, Step: i, URI: fmt.Sprintf("file:///out/checkpoint-%d", i)})
		}
	}
	add(Event{Kind: EventDone, Result: &Result{Steps: n, Tokens: 10 * n, Model: "model", Engine: map[string]string{"ray": "2.60.0"}}})
	return lines, events
}

// submitted starts a job on a cluster of a script's.
func submitted(t testing.TB, script raytest.Script) (*raytest.Server, *Client) {
	t.Helper()
	s, c := cluster(t, func(raytest.Job) raytest.Script { return script })
	if err := c.Submit(t.Context(), Submission{ID: "job", Entry: "x", Metadata: map[string]string{metaWorkers: "1", metaCPUs: "1", metaGPUs: "0"}}); err != nil {
		t.Fatal(err)
	}
	return s, c
}

// gather is a sink that keeps all events.
func gather(to *[]Event) Sink {
	return func(events []Event) error {
		*to = append(*to, events...)
		return nil
	}
}

func TestFollow(t *testing.T) {
	lines, want := run(30)
	for name, tc := range map[string]struct {
		script  raytest.Script
		prepare func(*raytest.Server)
	}{
		"at its end":       {},
		"waiting first":    {script: raytest.Script{Pending: 30 * time.Millisecond}},
		"without sockets":  {prepare: func(s *raytest.Server) { s.NoWebSocket() }},
		"sockets refused":  {prepare: func(s *raytest.Server) { s.Fail("/logs/tail", 3, 503) }},
		"cut":              {prepare: func(s *raytest.Server) { s.CutAfter(0, 1, 100, 1000, 2000, 3000, 100, 4000) }},
		"without status":   {prepare: func(s *raytest.Server) { s.Fail("GET /api/jobs/job", 6, 500) }},
		"head is away":     {prepare: func(s *raytest.Server) { s.Restart(100 * time.Millisecond) }},
		"unknown at times": {prepare: func(s *raytest.Server) { s.Restart(50 * time.Millisecond) }},
		"slow":             {prepare: func(s *raytest.Server) { s.Slow(10 * time.Millisecond) }},
		"ended badly":      {script: raytest.Script{Status: "FAILED", Message: "Job entrypoint command failed with exit code 139", ExitCode: 139}},
	} {
		t.Run(name, func(t *testing.T) {
			for i, l := range lines {
				line := raytest.Line{Text: l + "\n"}
				if i%7 == 0 {
					line.After = time.Millisecond
				}
				tc.script.Lines = append(tc.script.Lines, line)
			}
			s, c := submitted(t, tc.script)
			if tc.prepare != nil {
				tc.prepare(s)
			}
			var got []Event
			result, err := c.Follow(t.Context(), "job", gather(&got))
			if err != nil {
				t.Fatal(err)
			}
			if tc.script.Status == "FAILED" {
				if last := got[len(got)-1]; last.Kind != EventWarning {
					t.Errorf("no warning but %+v", last)
				}
				got = got[:len(got)-1]
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(want[len(want)-1].Result, result); d != "" {
				t.Error(d)
			}
		})
	}
}

// However a log is cut into pieces and read again, each event is given once, in order.
func TestReaderGivesEachEventOnce(t *testing.T) {
	lines, want := run(12)
	text := []byte(strings.Join(lines, "\n"))
	rapid.Check(t, func(t *rapid.T) {
		r := newReader()
		var got []Event
		for range rapid.IntRange(0, 4).Draw(t, "cuts") {
			r.restart()
			for rest := text[:rapid.IntRange(0, len(text)).Draw(t, "until")]; len(rest) > 0; {
				n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
				got = append(got, r.take(bytes.Clone(rest[:n]))...)
				rest = rest[n:]
			}
		}
		r.restart()
		got = append(append(got, r.take(text)...), r.end()...)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		if r.done == nil || r.failed != nil || len(r.tail.lines) != len(lines)-len(want) {
			t.Fatal(r.done, r.failed, len(r.tail.lines))
		}
	})
}

func TestReaderSaysWhatItCannotRead(t *testing.T) {
	for _, line := range []string{"@because {", "@because {}", `@because {"event":"step"}`, `@because {"event":"step","metric":{"step":0}}`, `@because {"event":"done"}`, `@because {"event":"step","metric":{"loss":NaN}}`, "@because "} {
		r := newReader()
		got := r.take([]byte(line + "\r\n"))
		if len(got) != 1 || got[0].Kind != EventWarning || got[0].Message == "" || r.done != nil {
			t.Errorf("%s: %+v", line, got)
		}
	}
	r := newReader()
	for _, line := range []string{"@because", "@becauses {}", ` @because {"event":"done"}`, `(pid=1) @because {"event":"done"}`, ""} {
		if got := r.take([]byte(line + "\n")); got != nil {
			t.Errorf("%s: %+v", line, got)
		}
	}
	if got := r.take([]byte(`@because {"event":"new","more":[1]}` + "\n")); len(got) != 1 || got[0].Kind != "new" {
		t.Error(got)
	}
}

func FuzzReader(f *testing.F) {
	lines, _ := run(2)
	f.Add([]byte(strings.Join(lines, "\n")), 5)
	f.Add([]byte("@because {\"event\":\"error\"}\n\r\n@because [\n"), 1)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		whole, pieces := newReader(), newReader()
		want := append(whole.take(bytes.Clone(text)), whole.end()...)
		cut = min(max(cut, 0), len(text))
		got := append(pieces.take(bytes.Clone(text[:cut])), pieces.take(bytes.Clone(text[cut:]))...)
		got = append(got, pieces.end()...)
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		for _, e := range got {
			if e.Kind == "" {
				t.Error("an event without kind")
			}
		}
		useful(whole.tail.lines)
	})
}

func TestFollowDetaches(t *testing.T) {
	hold := make(chan struct{})
	lines, want := run(6)
	script := raytest.Script{Lines: append(raytest.Print(lines[:8]...), raytest.Line{Until: hold})}
	script.Lines = append(script.Lines, raytest.Print(lines[8:]...)...)
	s, c := submitted(t, script)
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := c.Follow(ctx, "job", func([]Event) error { cancel(); return nil })
	if !errors.Is(err, because.ErrInterrupted) || because.Hint(err) == "" {
		t.Fatal(err)
	}
	if s.Status("job") != "RUNNING" {
		t.Error(s.Status("job"))
	}
	for range 100 { // connections take a moment to go
		if runtime.NumGoroutine() <= before+2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before+2 {
		t.Errorf("%d goroutines, %d before", n, before)
	}
	close(hold)
	var got []Event
	if _, err := c.Follow(t.Context(), "job", gather(&got)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestFollowEndsWithItsSink(t *testing.T) {
	lines, _ := run(6)
	s, c := submitted(t, raytest.Script{Lines: raytest.Print(lines...)})
	full := errors.New("the disk is full")
	if _, err := c.Follow(t.Context(), "job", func([]Event) error { return full }); !errors.Is(err, full) {
		t.Error(err)
	}
	if s.Status("job") == "STOPPED" {
		t.Error("the job was stopped")
	}
}

func TestFollowFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		script raytest.Script
		kind   string
		text   string
		none   string // must not be shown
	}{
		"the engine's word": {script: raytest.Script{Lines: raytest.Print("noise", raytest.Event(Event{Kind: EventError, Error: ErrorData, Message: "no text", Row: 3, Column: "text"}), "Traceback"),
			Status: "FAILED", Message: "Job entrypoint command failed with exit code 1, last available logs"}, kind: ErrorData, text: "row 3, column text: no text", none: "Traceback"},
		"got over it, then without a word": {script: raytest.Script{Lines: raytest.Print(raytest.Event(Event{Kind: EventError, Error: ErrorMemory, Message: "early"}),
			raytest.Event(Event{Kind: EventStart, Steps: 3}), "ValueError: late"), Status: "FAILED"}, kind: ErrorTrain, text: "ValueError: late", none: "early"},
		"a traceback": {script: raytest.Script{Lines: raytest.Print("2026-11-26 01:20:00,000\tINFO worker.py:1 -- Connecting", "\x1b[36m(RayTrainWorker pid=7, ip=192.0.2.1)\x1b[0m loading", "Traceback (most recent call last):",
			`  File "/tmp/ray/s/_ray_pkg_0af/because_ray/a.py", line 1, in f`, "    g()", "    ^^^", `  File "/tmp/ray/s/_ray_pkg_0af/because_ray/b.py", line 2, in g`, "    raise X", "b.X: it broke"), Status: "FAILED",
			Message: "Job entrypoint command failed with exit code 1"}, kind: ErrorTrain, text: "loading\n  File \"because_ray/b.py\", line 2, in g\n  b.X: it broke", none: "a.py"},
		"GPU memory":       {script: raytest.Script{Lines: raytest.Print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"), Status: "FAILED"}, kind: ErrorMemory, text: "GPU"},
		"host memory":      {script: raytest.Script{Lines: raytest.Print("(raylet) x", "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory."), Status: "FAILED"}, kind: ErrorMemory, text: "killed"},
		"killed":           {script: raytest.Script{Status: "FAILED", Message: "Job entrypoint command failed with exit code -9", ExitCode: -9}, kind: ErrorMemory, text: "killed"},
		"package":          {script: raytest.Script{Lines: raytest.Print("Traceback (most recent call last):", "ModuleNotFoundError: No module named 'trl'"), Status: "FAILED"}, kind: ErrorPackage, text: "'trl'"},
		"no python":        {script: raytest.Script{Lines: raytest.Print("/bin/sh: 1: python: not found"), Status: "FAILED", ExitCode: 127}, kind: ErrorPackage, text: "python: not found"},
		"environment":      {script: raytest.Script{Status: "FAILED", ErrorType: "RUNTIME_ENV_SETUP_FAILURE", Message: "runtime_env setup failed: x\nERROR: No matching distribution found for trll"}, kind: ErrorPackage, text: "trll"},
		"start":            {script: raytest.Script{Status: "FAILED", ErrorType: "JOB_SUPERVISOR_ACTOR_START_TIMEOUT", Message: "Job supervisor actor failed to start within 900 seconds."}, kind: ErrorResources, text: "900"},
		"node lost":        {script: raytest.Script{Status: "FAILED", ErrorType: "JOB_SUPERVISOR_ACTOR_DIED", Message: "Job supervisor actor died: gone"}, kind: ErrorTrain, text: "node that ran the job was lost"},
		"nothing at all":   {script: raytest.Script{Status: "FAILED"}, kind: ErrorTrain, text: "the job failed"},
		"said nothing yet": {script: raytest.Script{Lines: raytest.Print(raytest.Event(Event{Kind: EventError})), Status: "FAILED"}, kind: ErrorTrain, text: "named no cause"},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := submitted(t, tc.script)
			if name == "killed" {
				s.LoseLog("job")
			}
			_, err := c.Follow(t.Context(), "job", nil)
			var failed *JobError
			if !errors.As(err, &failed) || failed.Kind != tc.kind || !strings.Contains(err.Error(), tc.text) || because.Hint(err) == "" {
				t.Errorf("%v (%+v)", err, failed)
			}
			if tc.none != "" && strings.Contains(fmt.Sprint(err), tc.none) {
				t.Errorf("it shows %q: %v", tc.none, err)
			}
		})
	}
}

func TestFollowStopped(t *testing.T) {
	s, c := submitted(t, raytest.Script{Lines: []raytest.Line{{Text: "x\n"}, {Until: make(chan struct{})}}})
	stopped := make(chan error)
	go func() {
		for s.Status("job") != "RUNNING" {
			time.Sleep(time.Millisecond)
		}
		_, err := c.Stop(context.Background(), "job")
		stopped <- err
	}()
	_, err := c.Follow(t.Context(), "job", nil)
	if !errors.Is(err, ErrStopped) || because.Hint(err) == "" {
		t.Error(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestFollowWithoutEnd(t *testing.T) {
	_, c := submitted(t, raytest.Script{Lines: raytest.Print("nothing of the engine's")})
	if _, err := c.Follow(t.Context(), "job", nil); !errors.Is(err, ErrNoResult) || because.Hint(err) == "" {
		t.Error(err)
	}
	lines, _ := run(3)
	s, c := submitted(t, raytest.Script{Lines: raytest.Print(lines...)})
	if _, err := c.await(t.Context(), "job"); err != nil {
		t.Fatal(err)
	}
	s.LoseLog("job")
	if _, err := c.Follow(t.Context(), "job", nil); !errors.Is(err, ErrNoResult) {
		t.Error(err)
	}
	if _, err := c.Follow(t.Context(), "another", nil); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func TestFollowAForgottenJob(t *testing.T) {
	s, c := submitted(t, raytest.Script{Lines: append(raytest.Print(raytest.Event(Event{Kind: EventStart, Steps: 1})), raytest.Line{Until: make(chan struct{})})})
	_, err := c.Follow(t.Context(), "job", func([]Event) error { s.Forget(); return nil })
	if !errors.Is(err, ErrNotFound) || !strings.Contains(because.Hint(err), "checkpoint") {
		t.Error(err)
	}
}

func TestFollowGivesUpInTheEnd(t *testing.T) {
	s, c := submitted(t, raytest.Script{Lines: []raytest.Line{{Until: make(chan struct{})}}})
	c.pace.patience = 50 * time.Millisecond
	s.Restart(time.Hour)
	_, err := c.Follow(t.Context(), "job", nil)
	if !errors.Is(err, ErrUnreachable) || errors.Is(err, because.ErrInterrupted) {
		t.Error(err)
	}
}

func TestFollowAJobWithoutRoom(t *testing.T) {
	s, c := submitted(t, raytest.Script{Pending: -1})
	s.SetNodes() // all gone
	_, err := c.Follow(t.Context(), "job", nil)
	var failed *JobError
	if !errors.As(err, &failed) || failed.Kind != ErrorResources || !strings.Contains(err.Error(), "the job waits") {
		t.Error(err)
	}
	c.wait = true
	ctx, cancel := context.WithTimeout(t.Context(), 5*c.pace.grace)
	defer cancel()
	if _, err := c.Follow(ctx, "job", nil); !errors.Is(err, because.ErrInterrupted) {
		t.Error(err)
	}
}

func TestIntervalGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &follower{c: &Client{pace: ordinary(0)}, read: newReader(), began: time.Now()}
		within := func(low, high time.Duration) {
			t.Helper()
			if d := f.interval(); d < low || d > high {
				t.Errorf("%s, want %s to %s", d, low, high)
			}
		}
		within(100*time.Millisecond, 200*time.Millisecond)
		time.Sleep(8 * time.Second)
		within(500*time.Millisecond, time.Second)
		time.Sleep(time.Hour)
		within(2500*time.Millisecond, 5*time.Second)
	})
}
