package ray

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/because-lab/because"
	rayengine "github.com/because-lab/because/engines/ray"
)

// realClient gives a client of the cluster that BECAUSE_RAY names, such as http://127.0.0.1:8265.
func realClient(t *testing.T) *Client {
	address := os.Getenv("BECAUSE_RAY")
	if address == "" {
		t.Skip("BECAUSE_RAY names no cluster")
	}
	c, err := New(address, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// trivialEngine counts steps and trains nothing: it shows what a cluster does with a job, not what the engine does.
var trivialEngine = fstest.MapFS{
	"because_ray/__init__.py": {},
	"because_ray/__main__.py": {Data: []byte(`
import json, os, sys, time
def say(**e): print("@because " + json.dumps(e), flush=True)
if sys.argv[1] == "doctor":
    say(event="finding", name="python", ok=True, detail=sys.version.split()[0])
    say(event="finding", name="storage", ok=False, detail=json.load(open("doctor.json"))["storage"], hint="another")
    sys.exit(0)
job = json.load(open("job.json"))
print("a line of log\n" + os.environ["BECAUSE_TEST"], open(job["data"]).read())
say(event="start", steps=job["steps"])
for i in range(1, job["steps"] + 1):
    time.sleep(0.1)
    say(event="step", metric={"step": i, "loss": 1 / i})
if job["seed"] == 13:
    def f(n): raise RuntimeError("unlucky") if n == 0 else f(n - 1)
    f(5)
if job["seed"] == 14:
    say(event="error", error="data", message="no text", row=3, column="text")
    sys.exit(1)
if job["seed"] == 15:
    os.kill(os.getpid(), 9)
say(event="done", result={"steps": job["steps"], "engine": {"python": sys.version.split()[0]}})
`)},
	"because_ray/serve.py": {Data: []byte(`
from ray import serve
@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Echo:
    def __init__(self, text): self.text = text
    def __call__(self, request): return self.text
def app_builder(args): return Echo.bind(args["text"])
`)},
}

func realOrder(t *testing.T, steps int, seed uint64) Order {
	file, sum := dataFile(t, time.Now().String()) // so that each run of the test has jobs of its own
	j := testJob()
	j.Seed, j.Epochs, j.Steps, j.SHA256 = seed, 0, steps, sum
	j.Run.CPUs = 0.5
	return Order{Job: j, Engine: trivialEngine, Data: file, Env: map[string]string{"BECAUSE_TEST": "from the environment"}, Python: os.Getenv("BECAUSE_RAY_PYTHON")}
}

// followed gathers what a sink is given.
type followed struct{ steps []int }

func (f *followed) sink(events []Event) error {
	for _, e := range events {
		if e.Metric != nil {
			f.steps = append(f.steps, e.Metric.Step)
		}
	}
	return nil
}

func (f *followed) whole(t *testing.T, n int) {
	t.Helper()
	if len(f.steps) != n {
		t.Fatalf("%d steps, want %d: %v", len(f.steps), n, f.steps)
	}
	for i, s := range f.steps {
		if s != i+1 {
			t.Fatalf("step %d in place %d: %v", s, i+1, f.steps)
		}
	}
}

func TestRealClusterFollows(t *testing.T) {
	c := realClient(t)
	o := realOrder(t, 20, 1)
	s, err := c.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var f followed
	r, err := c.Follow(t.Context(), s.ID, f.sink)
	if err != nil || r.Steps != 20 || r.Engine["python"] == "" {
		t.Fatal(r, err)
	}
	f.whole(t, 20)
	streamed := &follower{c: c, id: s.ID}
	conn, err := streamed.dial(t.Context())
	if err != nil || conn == nil {
		t.Fatal("no WebSocket", err)
	}
	conn.CloseNow()
	again, err := c.Start(t.Context(), o)
	if err != nil || !again.Found || again.Status != Succeeded || again.ID != s.ID || again.Out != o.Job.Run.Out {
		t.Fatal(again, err)
	}
	f = followed{}
	if r, err = c.Follow(t.Context(), s.ID, f.sink); err != nil || r.Steps != 20 {
		t.Fatal(r, err)
	}
	f.whole(t, 20)
	log, err := c.Logs(t.Context(), s.ID)
	if err != nil || !strings.Contains(log, "from the environment") {
		t.Errorf("%v %s", err, log)
	}
	// A name that is taken is a conflict, in Ray's words too.
	if err := c.Submit(t.Context(), Submission{ID: s.ID, Entry: "true"}); !errors.Is(err, ErrConflict) {
		t.Error(err)
	}
	if err := c.Delete(t.Context(), s.ID); err != nil {
		t.Error(err)
	}
	if _, err := c.Status(t.Context(), s.ID); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func TestRealClusterFailures(t *testing.T) {
	c := realClient(t)
	for seed, want := range map[uint64]struct{ kind, text string }{
		13: {ErrorTrain, "RuntimeError: unlucky"}, 14: {ErrorData, "row 3, column text: no text"}, 15: {ErrorMemory, "killed"},
	} {
		s, err := c.Start(t.Context(), realOrder(t, 2, seed))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Follow(t.Context(), s.ID, nil)
		var failed *JobError
		if !errors.As(err, &failed) || failed.Kind != want.kind || !strings.Contains(err.Error(), want.text) || because.Hint(err) == "" {
			t.Errorf("%d: %v (%+v)", seed, err, failed)
		}
		t.Logf("%v\nhint: %s", err, because.Hint(err))
	}
}

func TestRealClusterStopsAndGoesOn(t *testing.T) {
	c := realClient(t)
	o := realOrder(t, 600, 1)
	first, err := c.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var f followed
	_, err = c.Follow(ctx, first.ID, func(e []Event) error {
		if err := f.sink(e); err != nil {
			return err
		}
		if len(f.steps) > 0 {
			cancel()
		}
		return nil
	})
	cancel()
	if !errors.Is(err, because.ErrInterrupted) {
		t.Fatal(err)
	}
	again, err := c.Start(t.Context(), o)
	if err != nil || !again.Found || again.ID != first.ID || again.Status.Ended() {
		t.Fatal(again, err)
	}
	if ok, err := c.Stop(t.Context(), first.ID); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, err = c.Follow(t.Context(), first.ID, nil); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	second, err := c.Start(t.Context(), o)
	if err != nil || second.Found || second.Attempt != 2 || second.ID != first.ID+"-2" {
		t.Fatal(second, err)
	}
	if _, err := c.Stop(t.Context(), second.ID); err != nil {
		t.Fatal(err)
	}
}

// TestFollowerProcess is the process that the next test kills.
func TestFollowerProcess(t *testing.T) {
	id := os.Getenv("BECAUSE_TEST_FOLLOW")
	if id == "" {
		t.Skip("run by TestRealClusterSurvivesItsFollower")
	}
	rec, err := NewRecorder(os.Getenv("BECAUSE_TEST_DIR"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := realClient(t).Follow(t.Context(), id, rec.Record); err != nil {
		t.Fatal(err)
	}
}

func TestRealClusterSurvivesItsFollower(t *testing.T) {
	c := realClient(t)
	s, err := c.Start(t.Context(), realOrder(t, 80, 1))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestFollowerProcess$")
	cmd.Env = append(os.Environ(), "BECAUSE_TEST_FOLLOW="+s.ID, "BECAUSE_TEST_DIR="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for len(metricsOf(t, dir)) < 5 {
		time.Sleep(50 * time.Millisecond)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // killed
	if n := len(metricsOf(t, dir)); n >= 80 {
		t.Fatal("it was killed too late")
	}
	rec, err := NewRecorder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	if _, err := c.Follow(t.Context(), s.ID, rec.Record); err != nil {
		t.Fatal(err)
	}
	if m := metricsOf(t, dir); len(m) != 80 || m[79].Step != 80 {
		t.Errorf("%d lines", len(m))
	}
}

func TestRealClusterDoctor(t *testing.T) {
	c := realClient(t)
	found := Check(t.Context(), c, Probe{Engine: trivialEngine, Storage: "s3://nowhere", Python: os.Getenv("BECAUSE_RAY_PYTHON"), Need: Need{1, 1, 0}})
	var names []string
	for _, f := range found {
		t.Logf("%+v", f)
		names = append(names, f.Name)
		if f.OK == (f.Name == "storage") {
			t.Errorf("%+v", f)
		}
	}
	if strings.Join(names, " ") != "reachable version resources room python storage" {
		t.Error(names)
	}
}

// What the engine's own doctor prints is understood, whatever it finds.
func TestRealClusterDoctorOfTheEngine(t *testing.T) {
	c := realClient(t)
	found := Check(t.Context(), c, Probe{Engine: rayengine.Files, Storage: "file://" + t.TempDir(), Python: os.Getenv("BECAUSE_RAY_PYTHON")})
	names := map[string]bool{}
	for _, f := range found {
		t.Logf("%+v", f)
		names[f.Name] = f.OK
	}
	for _, name := range []string{"python", "torch", "trl", "storage"} {
		if _, ok := names[name]; !ok {
			t.Errorf("nothing of %s", name)
		}
	}
}

func TestRealClusterRefusesWhatItCannotHold(t *testing.T) {
	c := realClient(t)
	o := realOrder(t, 1, 1)
	o.Job.Run.Workers, o.Job.Run.GPUs = 4, 8
	_, err := c.Start(t.Context(), o)
	var failed *JobError
	if !errors.As(err, &failed) || failed.Kind != ErrorResources || because.Hint(err) == "" {
		t.Fatal(err)
	}
	t.Log(err)
}

func TestRealClusterServes(t *testing.T) {
	c := realClient(t)
	ctx := t.Context()
	p := packer{engine: trivialEngine, limit: packageLimit}
	pkg, err := p.pack()
	if err != nil {
		t.Fatal(err)
	}
	defer pkg.Remove()
	uri, err := c.Upload(ctx, pkg)
	if err != nil {
		t.Fatal(err)
	}
	app := func(name, text string) App {
		return App{Name: name, Route: "/" + name, Import: "because_ray.serve:app_builder", Args: map[string]any{"text": text}, Env: RuntimeEnv{WorkingDir: uri}}
	}
	for _, a := range []App{app("one", "1"), app("two", "2")} {
		if err := c.Deploy(ctx, a); err != nil {
			t.Fatal(err)
		}
		url, err := c.Await(ctx, a.Name)
		if err != nil {
			t.Fatal(err)
		}
		if got := get(t, url); got != a.Args["text"] {
			t.Errorf("%s: %q", url, got)
		}
	}
	if s, err := c.Serving(ctx); err != nil || len(s.Apps) != 2 {
		t.Error(s, err)
	}
	broken := app("three", "3")
	broken.Import = "because_ray.serve:nothing"
	if err := c.Deploy(ctx, broken); err != nil {
		t.Fatal(err)
	}
	_, err = c.Await(ctx, "three")
	if err == nil {
		t.Error("what is not there was deployed")
	}
	t.Log(err)
	for _, name := range []string{"three", "two", "one"} {
		if err := c.Undeploy(ctx, name); err != nil {
			t.Error(err)
		}
	}
}

// get asks until Serve's proxy has learned of a route.
func get(t *testing.T, url string) string {
	for range 100 {
		r, err := http.Get(url)
		if err == nil {
			text, _ := io.ReadAll(r.Body)
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return string(text)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal(url, "does not answer")
	return ""
}
