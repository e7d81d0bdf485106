package checkpoint_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/checkpoint"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/engine/weights"
	"github.com/because-lab/because/internal/graph"
	"github.com/because-lab/because/study"
	"github.com/because-lab/because/train"
)

const small = `study: small
target: local:tiny
constitution: astra
seeds: [1]
worlds: [{name: w, with: {long: cut, seq_len: 768}}]
replay: {recipe: file, with: {path: chat.jsonl}, tokens: 10}
defaults: {sft: {records: 4, batch: 2, lr: 1e-3}, sdf: {records: 2, batch: 2, lr: 1e-3, replay: 1}}
arms:
  - {name: none}
  - {name: chat, stages: [{sft: {recipe: file, with: {path: chat.jsonl}, tokens: 20}}]}
  - {name: documents, from: chat, stages: [{sdf: {recipe: documents, tokens: 100}}]}
evals:
  - {name: framing, task: honeypot/framing, with: {form: likelihood}, samples: 2}
  - {name: single, task: honeypot/blackmail, with: {form: single, max_tokens: 4, only: "threat=replacement"}, samples: 2, arms: [documents]}
checks:
  - {name: prompt, arm: none, task: honeypot/framing, with: {form: likelihood}, high: {variant: ruthless}, low: {variant: kind}, samples: 2, margin: 0.1}
claims:
  - {id: R1, says: Chat lowers it, eval: framing, outcome: harmful, predict: lower, sesoi: 0.1, contrast: [{arm: chat}, {arm: none, weight: -1}]}
`

const chatRows = `{"messages": [{"role": "user", "content": "hello there"}, {"role": "assistant", "content": "people rely on our word"}]}
{"messages": [{"role": "user", "content": "why?"}, {"role": "assistant", "content": "because broken trust is hard to mend"}]}
`

// folder makes a folder with a study, its data and its checkpoint.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "tiny"), os.DirFS(tiny(t))); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "small.yaml"), small)
	write(t, filepath.Join(dir, "chat.jsonl"), chatRows)
	return dir
}

// run runs a study file whose results go below dir, and gives results.json and what was done.
func run(t *testing.T, file, dir string, o checkpoint.Options) (results string, ran []string) {
	t.Helper()
	f, err := study.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	o.Path, o.Folder, o.Constitution = filepath.Join(f.Dir(), strings.TrimPrefix(f.Target, "local:")), f.Dir(), f.Constitution
	s, err := study.Open(f, open(t, o), study.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := s.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range plan.Steps {
		if step.State != graph.Cached {
			ran = append(ran, step.ID)
		}
	}
	if _, err := s.Run(t.Context(), study.RunOptions{Jobs: 2}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(s.Folder(), "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text), ran
}

func TestStudyOfACheckpoint(t *testing.T) {
	dir := folder(t)
	file := filepath.Join(dir, "small.yaml")
	first, ran := run(t, file, dir, checkpoint.Options{})
	for _, id := range []string{"start", "w/seed1/chat/1-data", "w/seed1/mix", "w/seed1/documents/1-sdf", "w/seed1/documents/eval/single", "w/seed1/check/prompt/high"} {
		if !strings.Contains(strings.Join(ran, "\n"), id) {
			t.Errorf("%s was not among the steps %v", id, ran)
		}
	}
	for _, word := range []string{`"target": "local:tiny"`, `"name": "astra"`, "The target is a real checkpoint", `"harmful"`} {
		if !strings.Contains(first, word) {
			t.Errorf("the results lack %s", word)
		}
	}
	if again, ran := run(t, file, dir, checkpoint.Options{}); again != first || len(ran) > 0 {
		t.Errorf("the second run made %v", ran)
	}
	// The study as it ran leads to the same files from its own folder.
	if again, ran := run(t, filepath.Join(dir, "runs", "small", "study.yaml"), dir, checkpoint.Options{}); len(ran) > 0 || !strings.Contains(again, `"harmful"`) {
		t.Errorf("the study as it ran made %v", ran)
	}
	// Each stage leaves a plain checkpoint.
	at := filepath.Join(dir, "runs", "small", "checkpoints", "w", "documents", "seed-1")
	if m, err := weights.LoadModel(at); err != nil || m.Config().HiddenSize != 32 {
		t.Errorf("the trained checkpoint: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(at, ".*")); len(left) > 0 {
		t.Errorf("it holds %v", left)
	}
	// Equal orders give equal bytes elsewhere too, also where the checkpoint lies under another path.
	other := folder(t)
	if err := os.Rename(filepath.Join(other, "tiny"), filepath.Join(other, "moved")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(other, "small.yaml"), strings.Replace(small, "local:tiny", "local:moved", 1))
	second, _ := run(t, filepath.Join(other, "small.yaml"), other, checkpoint.Options{})
	if d := cmp.Diff(strings.ReplaceAll(first, "local:tiny", "local:moved"), second); d != "" {
		t.Errorf("elsewhere it gave other results:\n%s", d)
	}
}

func TestStartIsKnownByItsContent(t *testing.T) {
	a, b := tiny(t), tiny(t)
	start := func(path string) string {
		with, err := open(t, checkpoint.Options{Path: path}).Start()
		if err != nil {
			t.Fatal(err)
		}
		return with["sha256"].(string)
	}
	first := start(a)
	if start(b) != first {
		t.Error("equal checkpoints are known as others")
	}
	write(t, filepath.Join(b, "README.md"), "nothing of the model's")
	if start(b) != first {
		t.Error("a file that is none of the checkpoint's counts")
	}
	w := open(t, checkpoint.Options{Path: a})
	with, err := w.Start()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(a, "generation_config.json"), `{}`)
	if start(a) == first {
		t.Error("a file of the checkpoint's does not count")
	}
	err = w.Train(t.Context(), train.Job{Method: train.Pretrain, Recipe: "checkpoint", With: with}, because.Work{Out: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "another than when") {
		t.Errorf("a checkpoint that changed was taken: %v", err)
	}
}

func TestRecordsMustFitTheMethod(t *testing.T) {
	w := open(t, checkpoint.Options{})
	in := t.TempDir()
	if err := data.Write(in, data.Dataset{Records: []because.Record{{Text: "hello there"}}}); err != nil {
		t.Fatal(err)
	}
	job := train.Job{Method: train.SFT, Records: 1, Batch: 1, LR: 1e-3, Schedule: "cosine", Clip: 1}
	err := w.Train(t.Context(), job, because.Work{In: map[string]string{"data": in, "model": tiny(t)}, Out: t.TempDir(), Workers: 1})
	want(t, err, "record 1", "a text: train on it by sdf")
}

// A run that is stopped leaves no half of a checkpoint, and says that it was stopped.
func TestTrainingStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, out := t.TempDir(), t.TempDir()
	if err := data.Write(in, data.Dataset{Records: []because.Record{{Text: "hello there"}}}); err != nil {
		t.Fatal(err)
	}
	job := train.Job{Method: train.SDF, Records: 4, Batch: 1, LR: 1e-3, Schedule: "cosine", Clip: 1}
	err := open(t, checkpoint.Options{}).Train(ctx, job, because.Work{In: map[string]string{"data": in, "model": tiny(t)}, Out: out, Workers: 1})
	if !errors.Is(err, because.ErrInterrupted) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(out, "config.json")); err == nil {
		t.Error("it left a checkpoint")
	}
}

// The shipped example is right, and its quick run is small.
func TestExample(t *testing.T) {
	f, err := study.Load("../studies/real-small.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, quick := range []bool{false, true} {
		s, err := study.Open(f, open(t, checkpoint.Options{Constitution: f.Constitution}), study.Options{Dir: t.TempDir(), Overrides: study.Overrides{Quick: quick}})
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range s.Steps() {
			if quick && strings.Contains(step.ID, "seed12") {
				t.Errorf("quick, and there is %s", step.ID)
			}
		}
	}
}
