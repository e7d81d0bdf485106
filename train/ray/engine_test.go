package ray

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/storage"
	"github.com/because-lab/because/train"
	"github.com/because-lab/because/train/ray/raytest"
)

// trainer plays the engine: it writes a model that says what it was trained on, and prints twenty steps.
func trainer(t *testing.T) func(raytest.Job) raytest.Script {
	return func(j raytest.Job) raytest.Script {
		var job Job
		if err := json.Unmarshal(j.Files["job.json"], &job); err != nil {
			t.Error(err)
		}
		folders := map[string]string{"model": "trained on " + string(j.Files["data.jsonl"]) + " from " + job.Model}
		if len(job.Snapshots) > 0 {
			folders["step-2"] = "after two"
		}
		for name, text := range folders {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "model.safetensors"), []byte(text), 0o644); err != nil {
				t.Error(err)
			}
			store, err := storage.Open(context.Background(), job.Run.Out+"/"+name)
			if err == nil {
				_, err = store.PutDir(context.Background(), dir, nil)
			}
			if err != nil {
				t.Error(err)
			}
		}
		lines := []string{raytest.Event(Event{Kind: EventStart, Steps: 20}), raytest.Event(Event{Kind: EventWarning, Message: "a node was lost"})}
		for i := range 20 {
			lines = append(lines, raytest.Event(Event{Kind: EventStep, Metric: &Metric{Step: i + 1, Loss: float64(i)}}))
		}
		lines = append(lines, raytest.Event(Event{Kind: EventDone, Result: &Result{Steps: 20, Rows: 40, Tokens: 300, Rewards: []float64{0.5}}}))
		return raytest.Script{Lines: raytest.Print(lines...)}
	}
}

func testEngine(t *testing.T, c *Client) *Engine {
	return &Engine{Client: c, Storage: "file://" + t.TempDir(), Files: someEngine, DType: "float32", Run: testJob().Run}
}

// testTraining is an order of a study's step.
func testTraining(t *testing.T, method train.Method) train.Order {
	t.Helper()
	model, rows := t.TempDir(), filepath.Join(t.TempDir(), "rows.jsonl")
	for path, text := range map[string]string{filepath.Join(model, "model.safetensors"): "start", rows: "{}\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return train.Order{Job: train.Job{Seed: 3, Method: method, Batch: 2, LR: 1e-3, Schedule: "cosine", Prompts: 4, Group: 2, Steps: 4}, Model: model, Rows: rows,
		Out: filepath.Join(t.TempDir(), "out"), SeqLen: 64, Long: "error"}
}

func TestEngineFinetunes(t *testing.T) {
	s, c := cluster(t, trainer(t))
	e, o := testEngine(t, c), testTraining(t, train.SFT)
	var warned []string
	e.Warn = func(message string) { warned = append(warned, message) }
	run, err := e.Finetune(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(warned) != 1 || !strings.HasPrefix(warned[0], "because-") || !strings.HasSuffix(warned[0], ": a node was lost") {
		t.Errorf("warned %q", warned)
	}
	want := train.Run{Method: train.SFT, Steps: 20, Records: 40, Tokens: 300, Rewards: []float64{0.5}, Loss: []float64{0.5, 2.5, 4.5, 6.5, 8.5, 10.5, 12.5, 14.5, 16.5, 18.5}}
	if d := cmp.Diff(want, run); d != "" {
		t.Error(d)
	}
	got, err := os.ReadFile(filepath.Join(o.Out, "model.safetensors"))
	if err != nil || !strings.HasPrefix(string(got), "trained on {}\n from "+e.Storage+"/models/") {
		t.Errorf("%q %v", got, err)
	}
	var job Job
	if err := json.Unmarshal(s.Jobs()[0].Files["job.json"], &job); err != nil {
		t.Fatal(err)
	}
	if !job.Ordered || job.Rows != 2 || job.Epochs != 1 || job.Steps != 0 || job.Beta2 != 0.999 || job.Run.Out != e.Storage+"/runs/"+Key(job)[:16] {
		t.Errorf("%+v", job)
	}

	// Again, from another folder of the same contents and with more workers: the job is found.
	again := testTraining(t, train.SFT)
	e.Run.Workers = 4
	if _, err := e.Finetune(t.Context(), again); err != nil || len(s.Jobs()) != 1 {
		t.Errorf("%v, %d jobs", err, len(s.Jobs()))
	}
	// What it made is gone, and the cluster remembers it: it is made again.
	if err := os.RemoveAll(strings.TrimPrefix(e.Storage, "file://") + "/runs"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Finetune(t.Context(), testTraining(t, train.SFT)); err != nil || len(s.Jobs()) != 2 {
		t.Errorf("%v, %d jobs", err, len(s.Jobs()))
	}
}

func TestEngineDetaches(t *testing.T) {
	release := make(chan struct{})
	s, c := cluster(t, func(j raytest.Job) raytest.Script {
		script := trainer(t)(j)
		script.Lines[4].Until = release // after two steps
		return script
	})
	e, ctx := testEngine(t, c), t.Context()
	ctx, cancel := context.WithCancel(ctx)
	o := testTraining(t, train.SDF)
	o.Report = func(done, _ float64, unit, _ string) {
		if unit == "steps" && done >= 2 {
			cancel()
		}
	}
	if _, err := e.Finetune(ctx, o); !errors.Is(err, because.ErrInterrupted) {
		t.Fatal(err)
	}
	close(release)
	if _, err := e.Finetune(t.Context(), testTraining(t, train.SDF)); err != nil || len(s.Jobs()) != 1 {
		t.Errorf("%v, %d jobs", err, len(s.Jobs()))
	}
}

// TestEngineOffersRewards lets the job ask for rewards as the engine does.
func TestEngineOffersRewards(t *testing.T) {
	ask := func(url, token string) (int, string) {
		req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(`{"items":[{"id":"1","task":"7","prompt":"p","completion":"abc"}]}`))
		if err != nil {
			t.Error(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(bytes.TrimSpace(text))
	}
	var url string
	_, c := cluster(t, func(j raytest.Job) raytest.Script {
		var job Job
		if err := json.Unmarshal(j.Files["job.json"], &job); err != nil {
			t.Error(err)
		}
		url = job.GRPO.Reward
		if code, text := ask(url, "secret"); code != 200 || text != `{"rewards":[3]}` {
			t.Errorf("%d %s", code, text)
		}
		if code, _ := ask(url, "guess"); code != 401 {
			t.Errorf("with another token: %d", code)
		}
		if job.Rows != 8 || job.GRPO.Group != 2 || job.Steps != 4 || job.Epochs != 0 || !cmp.Equal(job.Snapshots, []int{2, 4}) {
			t.Errorf("%+v", job)
		}
		return trainer(t)(j)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	e, o := testEngine(t, c), testTraining(t, train.RL)
	o.Snapshots, o.MaxTokens = []int{2, 4}, 16
	if _, err := e.Finetune(t.Context(), o); err == nil || !strings.Contains(err.Error(), "reward") {
		t.Errorf("RL without a reward: %v", err)
	}
	e.Offer = func(ctx context.Context) (*Rewards, error) { return OfferRewards(ctx, at, "http://"+at, "secret") }
	o.Reward = func(_ context.Context, task, _ string, answers []string) ([]float64, error) {
		if task != "7" {
			t.Errorf("task %s", task)
		}
		return []float64{float64(len(answers[0]))}, nil
	}
	if _, err := e.Finetune(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(o.Out, "step-2/model.safetensors")); err != nil {
		t.Error(err)
	}
	if code, _ := ask(url, "secret"); code != http.StatusServiceUnavailable {
		t.Errorf("after the job: %d", code)
	}
	if err := e.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := OfferRewards(t.Context(), "0.0.0.0:0", "http://me", ""); err == nil {
		t.Error("an address that others reach is offered without a token")
	}
}

func TestEngineServes(t *testing.T) {
	s, c := cluster(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	looks := 0
	proxy := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if looks++; looks < 3 || !strings.HasSuffix(r.URL.Path, "/v1/models") {
			w.WriteHeader(http.StatusNotFound)
		}
	})}
	go proxy.Serve(l)
	defer proxy.Close()
	s.ServePort(l.Addr().(*net.TCPAddr).Port)
	e, model := testEngine(t, c), testTraining(t, train.SFT).Model
	s.AddScripted("theirs")
	other := testTraining(t, train.SFT).Model
	if err := os.WriteFile(filepath.Join(other, "model.safetensors"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	e.Owner = "me"
	serve := func(e *Engine, model string) (train.Endpoint, func()) {
		t.Helper()
		end, stop, err := e.Serve(t.Context(), model)
		if err != nil {
			t.Fatal(err)
		}
		return end, func() {
			t.Helper()
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
	}
	apps := func(when string, want ...string) {
		t.Helper()
		got := slices.DeleteFunc(slices.Sorted(maps.Keys(s.Apps())), func(n string) bool { return n == "theirs" })
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	end, stop := serve(e, model)
	one := end.Model + "-me"
	if looks < 3 || end.URL != "http://"+l.Addr().String()+"/"+one+"/v1" {
		t.Errorf("%+v after %d looks", end, looks)
	}
	_, second := serve(e, model)
	apps("served twice", one)
	stop()
	stop()
	apps("one of two uses has ended", one)
	end, stop = serve(e, other)
	two := end.Model + "-me"
	both := []string{one, two}
	slices.Sort(both)
	apps("both in use", both...)
	second()
	apps("kept for the next use", both...)
	stop()
	_, stop = serve(e, other)
	apps("what nobody uses gives way", two)
	stop()

	next := testEngine(t, c) // after a kill of the process that e stands for
	next.Owner, next.Storage = "me", e.Storage
	_, stop = serve(next, model)
	apps("what was left behind gives way", one)
	third := testEngine(t, c) // another kill, after which the next thing to do is a job
	third.Owner = "me"
	if err := third.makeRoom(t.Context()); err != nil {
		t.Error(err)
	}
	apps("what was left behind gives way to a job")
	_, stop2 := serve(next, model)
	stop2()
	next.linger = time.Nanosecond
	stop()
	for deadline := time.Now().Add(10 * time.Second); len(s.Apps()) > 1 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	apps("after a while")
	next.linger = 0
	_, stop = serve(next, model)
	stop()
	if err := next.makeRoom(t.Context()); err != nil {
		t.Error(err)
	}
	apps("a job wants room")
	serve(next, model)
	if err := next.Close(t.Context()); err != nil {
		t.Error(err)
	}
	apps("closed")
}

// TestServingWaitsForRoom has a cluster with room for one application: the second runs when the first is given up, which must not wait for the second.
func TestServingWaitsForRoom(t *testing.T) {
	s, c := cluster(t, nil)
	answering := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer answering.Close()
	s.ServePort(answering.Listener.Addr().(*net.TCPAddr).Port)
	var room sync.Map // the application that has it
	s.ServeAs(func(app string, _ int) (string, string) {
		if got, _ := room.LoadOrStore("it", app); got != app {
			return "DEPLOYING", "no GPU is free"
		}
		return "RUNNING", ""
	})
	e, model := testEngine(t, c), testTraining(t, train.SFT).Model
	other := testTraining(t, train.SFT).Model
	if err := os.WriteFile(filepath.Join(other, "model.safetensors"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, stop, err := e.Serve(t.Context(), model)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, _, err := e.Serve(t.Context(), other)
		ended <- err
	}()
	for len(s.Apps()) < 2 {
		time.Sleep(time.Millisecond)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if len(s.Apps()) != 1 {
		t.Errorf("the first is kept while another waits: %v", slices.Collect(maps.Keys(s.Apps())))
	}
	room.Clear()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
