package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/because-lab/because/eval/evallog"
	"github.com/because-lab/because/model/mockserver"
)

// askMany writes a task of n questions into a new folder.
func askMany(t *testing.T, n int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	var rows bytes.Buffer
	for i := range n {
		fmt.Fprintf(&rows, "{\"input\":\"Question %d: what is 2+2?\",\"target\":\"4\"}\n", i)
	}
	task := "task: sums\ndata: sums.jsonl\nscorers: [{name: correct, includes: target}]\n"
	for name, text := range map[string]string{"sums.jsonl": rows.String(), "sums.yaml": task} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// counts are what eval prints as JSON.
type counts struct {
	Samples, Scored, Errors, Resumed int
	Status                           string
	Log                              string
}

// evalSums runs the task of askMany to its end.
func evalSums(t *testing.T, dir string, args ...string) (counts, int) {
	t.Helper()
	o := runBecause(t, dir, append([]string{"eval", "sums.yaml", "--log", "sums.eval", "--json"}, args...)...)
	var c counts
	if err := json.Unmarshal([]byte(o.out), &c); err != nil {
		t.Fatalf("code %d, %v:\n%s\n%s", o.code, err, o.out, o.errors)
	}
	return c, o.code
}

// TestEvalKill kills an evaluation at random moments. Between kills the log is one that can be read. In the end every sample is
// there once, and no more requests were answered twice than were in flight at a kill.
func TestEvalKill(t *testing.T) {
	t.Parallel()
	kills, n, connections := 12, 3000, 8
	if testing.Short() {
		kills = 3
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("random seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	server := &mockserver.Server{Latency: time.Millisecond}
	at := httptest.NewServer(server.Handler())
	defer at.Close()
	dir, model := askMany(t, n), "openai-api:"+at.URL+"/v1/mock"
	killed := 0
	for range kills {
		cmd := exec.Command("because", "eval", "sums.yaml", "--log", "sums.eval", "--model", model, "--connections", fmt.Sprint(connections))
		cmd.Dir = dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(50+random.Int64N(400))*time.Millisecond, func() { cmd.Process.Kill() })
		if exitCodeOf(cmd.Wait()) == -1 {
			killed++
		}
		timer.Stop()
		readable(t, filepath.Join(dir, "sums.eval"))
	}
	c, code := evalSums(t, dir, "--model", model, "--connections", fmt.Sprint(connections))
	if code != exitFine || c.Samples != n || c.Scored != n || c.Errors != 0 || c.Status != "success" {
		t.Errorf("code %d: %+v", code, c)
	}
	stats := server.Stats()
	if twice := stats.Answered - n; twice < 0 || twice > killed*connections {
		t.Errorf("%d requests were answered for %d samples and %d kills with %d in flight", stats.Answered, n, killed, connections)
	}
	t.Logf("%d kills, %d samples resumed by the last run, %d requests answered", killed, c.Resumed, stats.Answered)
}

// readable fails where a log that is there can't be read.
func readable(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		return // killed before the log began
	}
	r, err := evallog.Open(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Close()
	if _, err := r.Summaries(0, 10); err != nil {
		t.Error(err)
	}
}

// TestEvalFaults meets rate limits, server errors, hangs, cut connections and garbage: every sample ends as a score or as a counted
// error; none is lost, none doubled.
func TestEvalFaults(t *testing.T) {
	t.Parallel()
	const n = 1000
	server := &mockserver.Server{Limited: 0.05, Broken: 0.02, Hanging: 0.01, Cut: 0.01, Garbage: 0.01}
	at := httptest.NewServer(server.Handler())
	defer at.Close()
	dir := askMany(t, n)
	c, code := evalSums(t, dir, "--model", "openai-api:"+at.URL+"/v1/mock", "--connections", "200", "--timeout", "2s")
	stats := server.Stats()
	if code != exitFine || c.Samples != n || c.Scored+c.Errors != n || c.Errors != 0 {
		t.Errorf("code %d: %+v", code, c)
	}
	if stats.Distinct != n || stats.Answered != n || stats.Limited == 0 || stats.Hung == 0 || stats.Cut == 0 || stats.Garbage == 0 {
		t.Errorf("the server counts %+v", stats)
	}
}

// With a single attempt faults become errors, which are counted, fail the run, and are repeated by the same command.
func TestEvalCountsErrors(t *testing.T) {
	t.Parallel()
	const n = 400
	server := &mockserver.Server{Broken: 0.2}
	at := httptest.NewServer(server.Handler())
	defer at.Close()
	dir := askMany(t, n)
	args := []string{"--model", "openai-api:" + at.URL + "/v1/mock", "--retries", "1"}
	c, code := evalSums(t, dir, args...)
	failed := server.Stats().Broken
	if code != exitFailed || c.Status != "error" || c.Errors != failed || c.Scored != n-failed {
		t.Errorf("code %d: %+v; the server failed %d", code, c, failed)
	}
	for range 20 {
		again, code := evalSums(t, dir, args...)
		if again.Resumed != c.Scored {
			t.Errorf("%d samples were resumed of %d that had been scored", again.Resumed, c.Scored)
		}
		if c = again; c.Errors == 0 && code == exitFine {
			break
		}
	}
	if stats := server.Stats(); c.Errors != 0 || stats.Answered != n {
		t.Errorf("in the end: %+v; the server answered %d", c, stats.Answered)
	}
}
