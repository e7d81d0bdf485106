package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/because-lab/because/train/ray"
	"github.com/because-lab/because/train/ray/raytest"
)

// command runs a command line.
func command(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// trained is what the engine prints of a job that does what is asked.
func trained(j raytest.Job) raytest.Script {
	var job ray.Job
	if err := json.Unmarshal(j.Files["job.json"], &job); err != nil {
		return raytest.Script{Status: "FAILED", Lines: raytest.Print(err.Error())}
	}
	lines := []string{"noise", raytest.Event(ray.Event{Kind: ray.EventStart, Steps: 2, Rows: 3})}
	for i, loss := range []float64{2, 1} {
		lines = append(lines, raytest.Event(ray.Event{Kind: ray.EventStep, Metric: &ray.Metric{Step: i + 1, Loss: loss, Tokens: 10}}))
	}
	lines = append(lines, raytest.Event(ray.Event{Kind: ray.EventDone, Result: &ray.Result{Steps: 2, Rows: 3, Tokens: 20, Trained: 7, First: 2, Loss: 1, Model: "model"}}))
	return raytest.Script{Lines: raytest.Print(lines...)}
}

func rayFlags(t *testing.T, s *raytest.Server) []string {
	t.Helper()
	dir := t.TempDir()
	data := filepath.Join(dir, "data.jsonl")
	writeFile(t, data, `{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}`+"\n")
	return []string{"--engine", "ray", "--ray", s.URL, "--model", "Qwen/Qwen3-8B", "--data", data, "--out", filepath.Join(dir, "out")}
}

func sent(t *testing.T, s *raytest.Server, n int) ray.Job {
	t.Helper()
	if jobs := s.Jobs(); len(jobs) != n {
		t.Fatalf("%d jobs, want %d", len(jobs), n)
	}
	var job ray.Job
	if err := json.Unmarshal(s.Jobs()[n-1].Files["job.json"], &job); err != nil {
		t.Fatal(err)
	}
	return job
}

func TestTrainRay(t *testing.T) {
	s := raytest.New(trained)
	defer s.Close()
	t.Setenv("MY_VARIABLE", "value")
	flags := append(rayFlags(t, s), "--lora", "16", "--rows", "12", "--workers", "3", "--env", "MY_VARIABLE", "--pip", "trl")
	code, out, errs := command(append([]string{"train", "sft"}, flags...)...)
	if code != 0 || !strings.Contains(out, "2 steps on 3 rows, 20 tokens, 7 parameters trained; loss 2.0000 at first, 1.0000 at last") || !strings.Contains(out, "/out/model") {
		t.Fatalf("%d %q %q", code, out, errs)
	}
	job := sent(t, s, 1)
	if job.Model != "Qwen/Qwen3-8B" || job.Rows != 12 || job.Micro != 8 || job.Run.Workers != 3 || job.LoRA.Alpha != 32 || len(job.LoRA.Targets) != 7 || job.Epochs != 1 || job.LR != 2e-4 ||
		!strings.HasPrefix(job.Run.Out, "file:///") || job.Long != "error" {
		t.Errorf("%+v", job)
	}
	if j := s.Jobs()[0]; j.Vars["MY_VARIABLE"] != "value" || j.Files["because_ray/__main__.py"] == nil || j.Files["data.jsonl"] == nil {
		t.Errorf("%v, %d files", j.Vars, len(j.Files))
	}
	// The same again finds it; it is not done twice, and with other hardware not either.
	code, out, errs = command(append(append([]string{"train", "sft"}, flags...), "--workers", "1")...)
	if code != 0 || !strings.Contains(out, "2 steps") || !strings.Contains(errs, "is there already (succeeded)") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	id := s.Jobs()[0].ID
	sent(t, s, 1)
	code, out, _ = command("train", "--attach", id, "--ray", s.URL)
	if code != 0 || !strings.Contains(out, "2 steps") {
		t.Errorf("attach: %d %q", code, out)
	}
	code, out, _ = command("train", "--cancel", id, "--ray", s.URL)
	if code != 0 || !strings.Contains(out, "had ended before") {
		t.Errorf("cancel: %d %q", code, out)
	}
}

func TestTrainRayFails(t *testing.T) {
	play := trained
	s := raytest.New(func(j raytest.Job) raytest.Script { return play(j) })
	defer s.Close()
	flags := rayFlags(t, s)
	play = func(raytest.Job) raytest.Script {
		return raytest.Script{Status: "FAILED", ExitCode: 1, Lines: raytest.Print(raytest.Event(ray.Event{Kind: ray.EventError, Error: ray.ErrorData, Message: "no template", Row: 3, Column: "messages"}))}
	}
	code, _, errs := command(append([]string{"train", "sft"}, flags...)...)
	if code != 1 || !strings.Contains(errs, "row 3, column messages: no template") {
		t.Errorf("a row that the engine refuses: %d %q", code, errs)
	}
	bad := filepath.Join(t.TempDir(), "bad.jsonl")
	writeFile(t, bad, "{}\n{\n")
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"engine":    {[]string{"--engine", "slurm"}, 2, "none of local, ray and openai"},
		"env":       {[]string{"--env", "NO_SUCH_VARIABLE"}, 2, "not set"},
		"data":      {[]string{"--data", bad}, 1, "bad.jsonl:"},
		"workers":   {[]string{"--workers", "64"}, 1, "64"},
		"dtype":     {[]string{"--dtype", "int4"}, 1, "dtype"},
		"head":      {[]string{"--ray", "http://127.0.0.1:1"}, 1, "127.0.0.1:1"},
		"model":     {[]string{"--model", "local:/no/such/model"}, 1, "/no/such/model"},
		"ray://":    {[]string{"--ray", "ray://head:10001"}, 2, "Ray Client"},
		"no cancel": {nil, 0, ""},
	} {
		before := len(s.Jobs())
		args := append(append([]string{"train", "sft"}, flags...), c.args...)
		if name == "no cancel" {
			args, c.code, c.says = []string{"train", "--cancel", "because-0000000000000000", "--ray", s.URL}, 1, "because-0000000000000000"
		}
		code, _, errs := command(args...)
		if code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("%s: %d %q", name, code, errs)
		}
		if len(s.Jobs()) != before {
			t.Errorf("%s: a job was submitted", name)
		}
	}
}

// TestTrainRayDetaches interrupts the command: the job goes on, and the user is told how to follow and to end it.
func TestTrainRayDetaches(t *testing.T) {
	release := make(chan struct{})
	s := raytest.New(func(j raytest.Job) raytest.Script {
		script := trained(j)
		script.Lines[2].Until = release
		return script
	})
	defer s.Close()
	flags := rayFlags(t, s)
	go func() {
		for len(s.Jobs()) == 0 {
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
		self, _ := os.FindProcess(os.Getpid())
		self.Signal(os.Interrupt)
	}()
	code, _, errs := command(append([]string{"train", "sft"}, flags...)...)
	id := s.Jobs()[0].ID
	if code != 3 || !strings.Contains(errs, "because train --attach "+id) || !strings.Contains(errs, "because train --cancel "+id) {
		t.Errorf("%d %q", code, errs)
	}
	close(release)
	if code, out, errs := command(append([]string{"train", "sft"}, flags...)...); code != 0 || !strings.Contains(out, "2 steps") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	sent(t, s, 1)
}

func TestTrainRL(t *testing.T) {
	s := raytest.New(trained)
	defer s.Close()
	t.Setenv(rewardToken, "secret")
	flags := rayFlags(t, s)
	prompts := filepath.Join(t.TempDir(), "prompts.jsonl")
	writeFile(t, prompts, `{"id":"1","prompt":[{"role":"user","content":"q"}],"rubric":"helps","label":"benign"}`+"\n")
	code, out, errs := command(append(append([]string{"train", "rl"}, flags...), "--data", prompts, "--reward", "http://127.0.0.1:8090", "--rows", "16", "--steps", "3")...)
	if code != 0 {
		t.Fatalf("%d %q %q", code, out, errs)
	}
	job := sent(t, s, 1)
	if job.GRPO == nil || job.GRPO.Group != 8 || job.GRPO.Reward != "http://127.0.0.1:8090" || job.Steps != 3 {
		t.Errorf("%+v", job)
	}
	j := s.Jobs()[0]
	if got := string(j.Files["data.jsonl"]); got != `{"id":"1","prompt":[{"role":"user","content":"q"}],"task":"helps"}`+"\n" || j.Vars[rewardToken] != "secret" {
		t.Errorf("%q %v", got, j.Vars)
	}
	if code, _, errs := command("train", "rl", "--engine", "local", "--model", "x", "--data", prompts, "--out", "y"); code != 2 || !strings.Contains(errs, "cluster") {
		t.Errorf("%d %q", code, errs)
	}
}

func TestRayDoctor(t *testing.T) {
	s := raytest.New(func(raytest.Job) raytest.Script {
		return raytest.Script{Lines: raytest.Print(
			raytest.Event(map[string]any{"event": "finding", "name": "trl", "ok": true, "detail": "1.16"}),
			raytest.Event(map[string]any{"event": "finding", "name": "peft", "ok": false, "detail": "not installed on 10.0.0.2", "hint": "pip install peft"}))}
	})
	defer s.Close()
	code, out, errs := command("doctor", "--ray", s.URL, "--storage", t.TempDir())
	for _, want := range []string{"storage from here  ok", "reachable          ok", "2.60.0", "NOT OK  not installed on 10.0.0.2", "pip install peft"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if code != 1 || !strings.Contains(errs, "1 thing not in order") {
		t.Errorf("%d %q", code, errs)
	}
	if code, out, _ := command("doctor", "--ray", "http://127.0.0.1:1"); code != 1 || !strings.Contains(out, "reachable  NOT OK") {
		t.Errorf("%d %q", code, out)
	}
}

func TestTrainPlan(t *testing.T) {
	code, out, errs := command("train", "sft", "--plan", "--engine", "ray", "--model", "Qwen/Qwen3-8B", "--dtype", "bfloat16", "--tokens", "3000000", "--gpu", "h200")
	if code != 0 || !strings.Contains(out, "8,190,735,360") || !strings.Contains(out, "GPU-hours") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	for _, args := range [][]string{{"--model", "nobody/knows"}, {"--model", "Qwen/Qwen3-8B"}, {"--model", "Qwen/Qwen3-8B", "--tokens", "1", "--gpu", "abacus"}} {
		if code, _, errs := command(append([]string{"train", "sft", "--plan"}, args...)...); code != 2 {
			t.Errorf("%v: %d %q", args, code, errs)
		}
	}
}
