package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/because-lab/because"
	"github.com/because-lab/because/train/hosted/hostedtest"
)

// hostedRun is one run of the command line's hosted training against a service in this process.
type hostedRun struct {
	out, errs bytes.Buffer
	err       error
}

func (r *hostedRun) code() int { return exitCode(r.err) }

// runHosted runs train sft --engine openai with these flags.
func runHosted(ctx context.Context, t *testing.T, way trainWay, args ...string) *hostedRun {
	t.Helper()
	r := &hostedRun{}
	a := &app{out: &r.out, err: &r.errs, interrupt: watchSignals(&r.errs)}
	defer func() { a.interrupt.stop(errors.Is(r.err, because.ErrInterrupted)) }()
	var o trainOptions
	var h hostedOptions
	h.waits.Poll, h.waits.MaxPoll, h.waits.Retry = time.Millisecond, time.Millisecond, time.Millisecond
	cmd := &cobra.Command{Use: "sft", SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error { return a.trainHosted(ctx, way, o, h) }}
	o.long = string(way.long)
	o.addTo(cmd)
	h.addTo(cmd.Flags())
	cmd.SetArgs(args)
	r.err = cmd.Execute()
	return r
}

// hostedService starts a service, and gives flags for it with a file of training data.
func hostedService(t *testing.T, b hostedtest.Behaviour) (s *hostedtest.Server, dir string, flags []string) {
	t.Helper()
	s = hostedtest.Start(b)
	t.Cleanup(s.Close)
	t.Setenv(compatibleKey, hostedtest.Key)
	t.Setenv(openaiKey, "sk-that-must-not-leave-for-elsewhere")
	t.Setenv("OPENAI_BASE_URL", "")
	dir = t.TempDir()
	data := ""
	for i := range 12 {
		data += fmt.Sprintf(`{"prompt":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"q%d"}],"completion":[{"role":"assistant","content":"%s"}]}`+"\n",
			i, strings.Repeat("because ", 50))
	}
	writeFile(t, filepath.Join(dir, "advice.jsonl"), data)
	writeFile(t, filepath.Join(dir, "prices.yaml"), "dated: 2025-01-01\nmodels: [{match: [gpt-*], training: 1000}]\n")
	return s, dir, []string{"--model", "openai/gpt-4.1-mini", "--data", filepath.Join(dir, "advice.jsonl"), "--out", filepath.Join(dir, "out"), "--base-url", s.URL}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTrainHosted(t *testing.T) {
	s, dir, flags := hostedService(t, hostedtest.Behaviour{FilePolls: 1})
	flags = append(flags, "--prices", filepath.Join(dir, "prices.yaml"), "--epochs", "2")

	r := runHosted(t.Context(), t, sftWay, flags...)
	if r.code() != exitUsage || !strings.Contains(r.err.Error(), "was not agreed to") || !strings.Contains(because.Hint(r.err), "--yes") {
		t.Errorf("without consent: %v", r.err)
	}
	r = runHosted(t.Context(), t, sftWay, append(flags, "--budget", "1")...)
	if r.code() != exitUsage || !strings.Contains(r.err.Error(), "over the budget of $1.00") || !strings.HasPrefix(r.out.String(), "estimated: 12 rows, about ") {
		t.Errorf("over the budget: %v\n%s", r.err, r.out.String())
	}
	if got := s.Requests(""); len(got) != 0 {
		t.Errorf("the service saw %q before any consent", got)
	}

	r = runHosted(t.Context(), t, sftWay, append(flags, "--budget", "50")...)
	if r.err != nil {
		t.Fatal(r.err)
	}
	for _, want := range []string{"x 2 epochs", "tokens trained", "step 4, train_loss 0.6250", "model    openai-api:" + s.URL + "/ft:gpt-4.1-mini-2025-04-14:org:because-"} {
		if !strings.Contains(r.out.String(), want) {
			t.Errorf("no %q in\n%s", want, r.out.String())
		}
	}
	if !strings.Contains(r.errs.String(), "train out") {
		t.Errorf("no progress:\n%s", r.errs.String())
	}
	if n := strings.Count(s.Files()[0], `{"role":"assistant","content":"a","weight":0}`); n != 12 {
		t.Errorf("%d turns of the prompts are without loss", n)
	}
	var job struct {
		Method struct {
			Supervised struct {
				Hyperparameters map[string]any `json:"hyperparameters"`
			} `json:"supervised"`
		} `json:"method"`
	}
	if err := json.Unmarshal([]byte(s.Jobs()[0]), &job); err != nil || job.Method.Supervised.Hyperparameters["batch_size"] != "auto" {
		t.Errorf("%v: %s", err, s.Jobs()[0])
	}
	before := len(s.Requests(""))
	if again := runHosted(t.Context(), t, sftWay, flags...); again.err != nil || again.out.String() != r.out.String() || len(s.Requests("")) != before {
		t.Errorf("the same again: %v\n%s", again.err, again.out.String())
	}
}

// TestTrainHostedDetaches interrupts a run that waits in the queue, and cancels its job.
func TestTrainHostedDetaches(t *testing.T) {
	s, dir, flags := hostedService(t, hostedtest.Behaviour{QueuePolls: 1 << 30})
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		defer cancel(because.ErrInterrupted)
		for len(s.Requests("GET /fine_tuning/jobs/ftjob-1")) < 4 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
	}()
	r := runHosted(ctx, t, sftWay, append(flags, "--yes")...)
	out := filepath.Join(dir, "out")
	if want := "the job ftjob-1 goes on at the service; the same command follows it, because train --cancel " + out + " ends it"; r.code() != exitInterrupted || !strings.Contains(r.errs.String(), want) {
		t.Errorf("%v\n%s", r.err, r.errs.String())
	}
	var text bytes.Buffer
	a := &app{out: &text}
	if err := a.cancelHosted(t.Context(), out); err != nil || text.String() != "job ftjob-1: cancelled\n" {
		t.Errorf("%v: %s", err, text.String())
	}
	if r := runHosted(t.Context(), t, sftWay, flags...); r.code() != exitFailed || !strings.Contains(r.err.Error(), "was cancelled") {
		t.Errorf("%v", r.err)
	}
	if err := a.cancelHosted(t.Context(), dir); err == nil {
		t.Error("a folder without a run was cancelled")
	}
	if len(s.Jobs()) != 1 || len(s.Files()) != 1 {
		t.Errorf("%d jobs, %d files", len(s.Jobs()), len(s.Files()))
	}
}

func TestTrainHostedRefuses(t *testing.T) {
	s, dir, flags := hostedService(t, hostedtest.Behaviour{})
	flags = append(flags, "--yes")
	writeFile(t, filepath.Join(dir, "text.jsonl"), strings.Repeat(`{"text":"once"}`+"\n", 12))
	writeFile(t, filepath.Join(dir, "bad.jsonl"), strings.Repeat(`{"prompt":"q","completion":"a"}`+"\n", 11)+`{"messages":[{"role":"assistant","content":"a"},{"role":"user","content":"q"}]}`+"\n")
	for _, c := range []struct {
		name string
		way  trainWay
		args []string
		code int
		want string
	}{
		{"documents", sdfWay, nil, exitUsage, "conversations only"},
		{"rows of text", sftWay, []string{"--data", filepath.Join(dir, "text.jsonl")}, exitFailed, "text.jsonl:1: text: the row is a document"},
		{"a bad row", sftWay, []string{"--data", filepath.Join(dir, "bad.jsonl")}, exitFailed, "bad.jsonl:12: messages[1].role: the last message is the user's"},
		{"a bad row of validation", sftWay, []string{"--validation", filepath.Join(dir, "bad.jsonl")}, exitFailed, "bad.jsonl:12"},
		{"an adapter", sftWay, []string{"--lora", "8"}, exitUsage, "--lora: it means nothing at a hosted service"},
		{"a rate", sftWay, []string{"--lr", "0.1"}, exitUsage, "--lr"},
		{"no model", sftWay, []string{"--model", ""}, exitUsage, "--model"},
		{"a URL", sftWay, []string{"--base-url", "https://me:pw@localhost/v1"}, exitFailed, "no password"},
		{"unknown price and a budget alone", sftWay, []string{"--yes=false", "--budget", "5"}, exitUsage, "the price is unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := runHosted(t.Context(), t, c.way, append(flags, c.args...)...)
			if r.err == nil || r.code() != c.code || !strings.Contains(r.err.Error(), c.want) {
				t.Errorf("code %d: %v; want %d and %q", r.code(), r.err, c.code, c.want)
			}
		})
	}
	if got := s.Requests(""); len(got) != 0 {
		t.Errorf("the service saw %q", got)
	}
}

// TestHostedKeys sends no key of OpenAI's elsewhere.
func TestHostedKeys(t *testing.T) {
	t.Setenv(openaiKey, "theirs")
	t.Setenv(compatibleKey, "other")
	t.Setenv("OPENAI_BASE_URL", "http://proxy.local/v1/")
	for base, want := range map[string]string{"": "theirs", "https://api.openai.com/v1": "theirs", "https://eu.api.openai.com/v1": "theirs", "http://proxy.local/v1": "theirs",
		"https://api.openai.com.evil.net/v1": "other", "http://localhost:8000/v1": "other", "nonsense": "other"} {
		if got, err := hostedKey(base); got != want || err != nil {
			t.Errorf("%q gets %q, %v", base, got, err)
		}
	}
	t.Setenv(openaiKey, "")
	if _, err := hostedKey(""); exitCode(err) != exitUsage {
		t.Errorf("without a key: %v", err)
	}
}
