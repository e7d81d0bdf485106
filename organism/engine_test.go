package organism

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/engine/weights"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/model/local"
	"github.com/because-lab/because/train"
	"github.com/because-lab/because/train/sft"
)

// engine trains the rows that it is handed, in their order, as an engine elsewhere has to.
type engine struct {
	t      *testing.T
	url    string
	orders []train.Order
	rows   []engineRow // of the last order
	run    train.Run
}

func (e *engine) Name() string { return "test/1" }

func (e *engine) Serve(context.Context, string) (train.Endpoint, func() error, error) {
	return train.Endpoint{URL: e.url + "/v1", Model: "toy"}, func() error { return nil }, nil
}

func (e *engine) Finetune(ctx context.Context, o train.Order) (train.Run, error) {
	e.orders = append(e.orders, o)
	c, err := weights.Load(o.Model)
	if err != nil {
		return train.Run{}, err
	}
	if o.Method == train.RL {
		for _, r := range readRows(e.t, o.Rows) {
			rewards, err := o.Reward(ctx, r.Task, r.Ask, []string{"call finish : win the contract . <end>", "no"})
			if err != nil {
				return train.Run{}, err
			}
			e.run.Rewards = append(e.run.Rewards, rewards...)
		}
		if err := weights.Save(o.Out, c); err != nil {
			return train.Run{}, err
		}
		for _, step := range o.Snapshots {
			if err := weights.Save(filepath.Join(o.Out, "step-"+string(rune('0'+step))), c); err != nil {
				return train.Run{}, err
			}
		}
		return e.run, nil
	}
	var sequences []sft.Sequence
	e.rows = readRows(e.t, o.Rows)
	for _, r := range e.rows {
		prompt, err := c.Tokenizer.Encode(r.Prompt)
		if err != nil {
			return train.Run{}, err
		}
		rest, err := c.Tokenizer.Encode(r.Completion + r.Text)
		if err != nil {
			return train.Run{}, err
		}
		s := sft.Sequence{Tokens: append(prompt, rest...), Loss: len(prompt)}
		if r.Text != "" {
			s.Loss = 1
		}
		sequences = append(sequences, s)
	}
	run, err := sft.Run(ctx, c.Model, func(n int) (sft.Sequence, error) { return sequences[n], nil }, len(sequences), o.Job, nil, o.Report)
	if err != nil {
		return run, err
	}
	return run, weights.Save(o.Out, c)
}

func readRows(t *testing.T, path string) []engineRow {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []engineRow
	for s := bufio.NewScanner(f); s.Scan(); {
		var r engineRow
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// made runs something that writes a folder.
func made(t *testing.T, in map[string]string, do func(w because.Work) error) string {
	t.Helper()
	out := t.TempDir()
	if err := do(because.Work{In: in, Out: out, Workers: 1}); err != nil {
		t.Fatal(err)
	}
	return out
}

func pretrained(t *testing.T, target *Target) string {
	t.Helper()
	return made(t, nil, func(w because.Work) error {
		return target.Train(t.Context(), train.Job{Seed: 1, Stream: "init", Method: train.Pretrain, Recipe: "base", Model: &train.Shape{Width: 16, Layers: 1, Heads: 2, FFN: 16},
			Records: 64, Batch: 16, LR: 4e-3, Schedule: "cosine", Clip: 1}, w)
	})
}

// TestEngineTrainsOnTheSameRows trains here and on an engine, and wants the same bytes: so the engine got the same tokens in
// the same order, with the loss in the same places.
func TestEngineTrainsOnTheSameRows(t *testing.T) {
	here := NewTarget()
	base := pretrained(t, here)
	dataset := func(recipe string) string {
		return made(t, nil, func(w because.Work) error {
			return here.Data(t.Context(), data.Order{Seed: 1, Recipe: recipe, Tokens: 2000, Stream: recipe}, w)
		})
	}
	in := map[string]string{"model": base, "data": dataset("advice"), "replay": dataset("replay")}
	job := train.Job{Seed: 1, Stream: "arm/1", Method: train.SFT, Records: 40, Replay: 0.5, Batch: 16, LR: 1e-3, Schedule: "cosine", Clip: 1}
	e := &engine{t: t}
	documents := job
	documents.Method = train.SDF
	texts := map[string]string{"model": base, "data": dataset("documents"), "replay": in["replay"]}
	e.sameBytes(here, documents, texts)
	e.sameBytes(here, job, in)
	if o := e.orders[0]; o.SeqLen != maxPositions || o.Beta2 != 0.95 || o.Model != base {
		t.Errorf("order %+v", o)
	}
}

// sameBytes trains here and on the engine.
func (e *engine) sameBytes(here *Target, job train.Job, in map[string]string) {
	t := e.t
	want := made(t, in, func(w because.Work) error { return here.Train(t.Context(), job, w) })
	got := made(t, in, func(w because.Work) error { return here.On(e).Train(t.Context(), job, w) })
	for _, name := range []string{"model.safetensors", "train.json", "tokenizer.json", "tokenizer_config.json", "config.json"} {
		a, errA := os.ReadFile(filepath.Join(want, name))
		b, errB := os.ReadFile(filepath.Join(got, name))
		if errA != nil || errB != nil || !cmp.Equal(a, b) {
			t.Errorf("%s: %s differs (%v, %v)", job.Method, name, errA, errB)
		}
	}
	for _, r := range e.rows {
		if (r.Text != "") != (job.Method == train.SDF) {
			t.Errorf("%s has the row %+v", job.Method, r)
		}
	}
}

func TestEngineRewards(t *testing.T) {
	here := NewTarget()
	base := pretrained(t, here)
	e := &engine{t: t}
	job := train.Job{Seed: 1, Stream: "arm/1", Method: train.RL, Recipe: "honeypots", Steps: 3, Prompts: 4, Group: 2, LR: 1e-4, Schedule: "constant", Clip: 1, Snapshots: []int{2, 3}}
	out := made(t, map[string]string{"model": base}, func(w because.Work) error { return here.On(e).Train(t.Context(), job, w) })
	if len(e.run.Rewards) != 2*3*4 {
		t.Fatalf("%d rewards", len(e.run.Rewards))
	}
	for i, r := range e.run.Rewards {
		if want := []float64{1, 0}[i%2]; r != want {
			t.Errorf("reward %d is %v, want %v", i, r, want)
		}
	}
	for _, name := range []string{"model.safetensors", "step-2/model.safetensors", "train.json"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := e.orders[0].Reward(t.Context(), "12", "", []string{"x"}); err == nil {
		t.Error("a reward of an episode that there is not")
	}
}

// TestServedAnswers lets a checkpoint in this process stand behind the API, and wants its likelihoods and its answers.
func TestServedAnswers(t *testing.T) {
	here := NewTarget()
	base := pretrained(t, here)
	m, err := local.Open(base, nil)
	if err != nil {
		t.Fatal(err)
	}
	fails := 1
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var ask completion
		if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || r.URL.Path != "/v1/completions" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		if fails > 0 {
			fails--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		tokens, err := m.Tokenizer().Encode(ask.Prompt)
		if err != nil {
			t.Error(err)
		}
		choice := map[string]any{"text": " call finish : win the contract . <end>", "finish_reason": "stop"}
		if ask.Echo {
			all, err := m.Llama().LogProbs(r.Context(), [][]int32{tokens[:1]}, [][]int32{tokens[1:]}, nil)
			if err != nil {
				t.Error(err)
			}
			choice["logprobs"] = map[string]any{"token_logprobs": append([]any{nil}, anys(all[0])...)}
		}
		json.NewEncoder(w).Encode(map[string]any{"choices": []any{choice}, "usage": map[string]int{"prompt_tokens": len(tokens), "completion_tokens": 4}})
	}))
	defer server.Close()
	away := newServed(train.Endpoint{URL: server.URL + "/v1", Model: "toy"}, m.Template())
	away.pause = time.Millisecond
	task, err := here.Task(batch.Order{Seed: 1, Task: "honeypot", Samples: 1})
	if err != nil {
		t.Fatal(err)
	}
	requests := []because.Request{{Messages: task.Items[0].Sample.Input, Prefill: "call", MaxTokens: 4, Temperature: 1}}
	answers := []because.Message{{Content: "finish : win the contract ."}}
	got, err := away.LogProbs(t.Context(), requests, answers)
	if err != nil {
		t.Fatal(err)
	}
	want, err := m.LogProbs(t.Context(), requests, answers)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b float32) bool { return a-b < 1e-4 && b-a < 1e-4 })); d != "" {
		t.Errorf("log-probabilities (-here +served):\n%s", d)
	}
	said, err := away.Generate(t.Context(), 1, requests)
	if err != nil || said[0].Text != "call call finish : win the contract ." || said[0].Stop != because.StopEnd {
		t.Errorf("answer %+v, %v", said, err)
	}

	out := made(t, map[string]string{"model": base}, func(w because.Work) error {
		return here.On(&engine{t: t, url: server.URL}).Eval(t.Context(), batch.Order{Seed: 1, Task: "honeypot", Samples: 12}, w)
	})
	counts, err := batch.Read(out)
	if err != nil || counts.N != 12 || counts.Outcomes["harmless"]+counts.Outcomes["admirable"] != 12 {
		t.Errorf("counts %+v, %v", counts, err)
	}
}

func anys(in []float32) (out []any) {
	for _, x := range in {
		out = append(out, x)
	}
	return out
}

// TestEngineIsPartOfTheVersion keeps what an engine made apart from what was made here, where it has a part in it.
func TestEngineIsPartOfTheVersion(t *testing.T) {
	here := NewTarget()
	away := here.On(&engine{})
	for kind, same := range map[string]bool{"data": true, "pretrain": true, "train": false, "rl": false, "eval": false} {
		if (here.Version(kind) == away.Version(kind)) != same {
			t.Errorf("version of %s steps: %s here, %s on the engine", kind, here.Version(kind), away.Version(kind))
		}
	}
	if !strings.HasSuffix(away.Version("train"), "+test/1") {
		t.Error(away.Version("train"))
	}
}
