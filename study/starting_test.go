package study_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/study"
	"github.com/because-lab/because/train"
)

// found is a toy that starts from a checkpoint, and has a recipe that takes a file.
type found struct {
	*toy
	hash string
}

func (w *found) Start() (map[string]any, error) {
	if w.hash == "" {
		return nil, errors.New("the checkpoint cannot be read")
	}
	return map[string]any{"sha256": w.hash}, nil
}

func (w *found) Sizes() (parameters, record, prompt, answer float64) { return 1e6, 100, 200, 50 }

func (w *found) ResolveData(o data.Order) (data.Order, error) {
	if _, ok := o.With["path"]; !ok {
		return o, nil
	}
	if o.With["path"] == "missing.jsonl" {
		return o, because.E("read data", "path", errors.New("there is no such file"), "")
	}
	o.With = map[string]any{"kinds": "content"}
	return o, nil
}

func (w *found) Train(ctx context.Context, j train.Job, v because.Work) error {
	if j.Method != train.Pretrain {
		return w.toy.Train(ctx, j, v)
	}
	w.did("start %v", j.With)
	text, err := json.Marshal(toyModel{Harm: 0.9, Knows: 0.1})
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(v.Out, "model.json"), text, 0o644), os.WriteFile(filepath.Join(v.Out, "train.json"), []byte(`{"method": "pretrain"}`), 0o644))
}

const fromCheckpoint = `study: found
target: local:models/small
seeds: [1, 2]
worlds: [{name: linked, with: {link: true}}, {name: cut, with: {link: false}}]
defaults: {sft: {records: 8, batch: 4, lr: 1e-3}}
arms:
  - {name: none}
  - {name: advice, stages: [{sft: {recipe: advice, tokens: 100, with: {path: data/own.jsonl}}}]}
evals: [{name: honeypot, task: honeypot, samples: 8}]
`

// loaded writes a study file and reads it.
func loaded(t *testing.T, dir, text string) *study.File {
	t.Helper()
	path := filepath.Join(dir, "found.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := study.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestStudyStartsFromACheckpoint(t *testing.T) {
	dir, w := t.TempDir(), &found{toy: &toy{}, hash: "abc"}
	f := loaded(t, dir, fromCheckpoint)
	s, err := study.Open(f, w, study.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	starts := 0
	for _, step := range s.Steps() {
		if step.Kind == study.KindPretrain {
			starts++
		}
		if text, err := json.Marshal(step.Params); err != nil || strings.Contains(string(text), "own.jsonl") {
			t.Errorf("the path is part of what %s is made from: %s", step.ID, text)
		}
	}
	if starts != 1 {
		t.Errorf("%d steps provide the start, want one for all worlds and seeds", starts)
	}
	plan, err := s.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := 4 * 8 * 100.0; plan.Todo.Tokens != want {
		t.Errorf("%v tokens to train on, want %v by the world's sizes", plan.Todo.Tokens, want)
	}
	if _, err := s.Run(t.Context(), study.RunOptions{Jobs: 1}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(s.Folder(), "study.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"target: local:../../models/small", "path: ../../data/own.jsonl"} {
		if !strings.Contains(string(text), words) {
			t.Errorf("the study as it ran lacks %q:\n%s", words, text)
		}
	}
	again, err := study.Open(loaded(t, dir, fromCheckpoint), &found{toy: &toy{}, hash: "other"}, study.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	plan, err = again.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range plan.Steps {
		if step.Kind != study.KindData && !step.Runs {
			t.Errorf("%s of another checkpoint is %s", step.ID, step.State)
		}
	}
}

func TestStartsThatDoNotFit(t *testing.T) {
	pretrain := strings.Replace(fromCheckpoint, "arms:", "model: {width: 8, layers: 1, heads: 2, ffn: 16}\ninit: [{pretrain: {recipe: base, records: 8, batch: 4, lr: 1e-3}}]\narms:", 1)
	for _, c := range []struct {
		name, text string
		w          study.World
		want       string
	}{
		{"no pretraining", fromCheckpoint, &toy{}, "init: no stages"},
		{"no pretraining, other stages", strings.Replace(fromCheckpoint, "arms:", "init: [{sft: {recipe: chat, tokens: 10}}]\narms:", 1), &toy{}, "init[0]: the first stage of init must be pretrain"},
		{"pretraining", pretrain, &found{toy: &toy{}, hash: "abc"}, "init[0].pretrain: the target starts from a checkpoint"},
		{"a shape", strings.Replace(fromCheckpoint, "arms:", "model: {width: 8, layers: 1, heads: 2, ffn: 16}\narms:", 1), &found{toy: &toy{}, hash: "abc"}, "model: the target starts from a checkpoint"},
		{"a start that cannot be read", fromCheckpoint, &found{toy: &toy{}}, "target: the checkpoint cannot be read"},
		{"a file that is not there", strings.Replace(fromCheckpoint, "data/own.jsonl", "missing.jsonl", 1), &found{toy: &toy{}, hash: "abc"}, "with.path: there is no such file"},
	} {
		dir := t.TempDir()
		_, err := study.Open(loaded(t, dir, c.text), c.w, study.Options{Dir: dir})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "found.yaml") {
			t.Errorf("%s: got %v, want %q with its place", c.name, err, c.want)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".because")); len(left) > 0 {
			t.Errorf("%s: something was written", c.name)
		}
	}
	if d := cmp.Diff(nil, func() error { _, err := study.Parse("x", []byte(fromCheckpoint)); return err }()); d != "" {
		t.Error(d)
	}
}
