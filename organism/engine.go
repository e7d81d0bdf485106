package organism

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/engine/weights"
	"github.com/because-lab/because/model/local"
	"github.com/because-lab/because/train"
)

// On makes a target whose models are trained and answer through an engine. Data are made and new models are pretrained in this process all the same.
func (t *Target) On(e train.Engine) *Target { return &Target{t.version, e} }

// engineRow is a row of what an engine trains on: text in this world's language, with its markers written out.
type engineRow struct {
	Text       string `json:"text,omitempty"`                // SDF
	Prompt     string `json:"rendered_prompt,omitempty"`     // SFT
	Completion string `json:"rendered_completion,omitempty"` // SFT
	Ask        string `json:"prompt,omitempty"`              // RL
	ID         string `json:"id,omitempty"`                  // RL: of the episode
	Task       string `json:"task,omitempty"`                // RL: its number, by which the reward finds it
}

// row writes a record as text, so that its tokens are those of sequence. Engines train on texts by SDF alone: among conversations, a text is a prompt of its first
// word with the rest as its completion, which puts the loss on the same tokens.
func (w *World) row(r because.Record, method train.Method) engineRow {
	if r.Text != "" {
		text := r.Text + " " + w.template.End
		if method == train.SDF {
			return engineRow{Text: text}
		}
		first, _, _ := strings.Cut(text, " ")
		return engineRow{Prompt: first, Completion: text[len(first):]}
	}
	last := r.Messages[len(r.Messages)-1]
	return engineRow{Prompt: w.template.Prompt(r.Messages[:len(r.Messages)-1], last.Name), Completion: " " + w.answer(last)}
}

// finetuneOn lets an engine train on the same rows in the same order as finetune does.
func (w *World) finetuneOn(ctx context.Context, e train.Engine, j train.Job, work because.Work) error {
	records, err := w.mixed(j, work)
	if err != nil {
		return err
	}
	rows := make([]engineRow, len(records))
	for i, at := range w.order(j).Perm(len(records)) {
		rows[i] = w.row(records[at], j.Method)
	}
	return w.runOn(ctx, e, w.engineOrder(j, work), rows, work, new(atomic.Int64))
}

// reinforceOn lets an engine train on the same episodes as reinforce does. Answers that hold something reserved keep their reward: an engine has no
// way to leave one out. They are counted as Removed none the less.
func (w *World) reinforceOn(ctx context.Context, e train.Engine, j train.Job, work because.Work) error {
	env, options, err := w.environment(j.Recipe, j.With)
	if err != nil {
		return err
	}
	wr := w.writer("rl/" + j.Stream)
	rows := make([]engineRow, j.Steps*j.Prompts)
	rewards := make([]func(string) float64, len(rows))
	for i := range rows {
		var request because.Request
		request, rewards[i] = env.episode(wr, options)
		rows[i] = engineRow{Ask: w.template.Prompt(request.Messages, request.As), ID: fmt.Sprintf("episode %d", i+1), Task: strconv.Itoa(i)}
	}
	o := w.engineOrder(j, work)
	o.MaxTokens = answerTokens
	var removed atomic.Int64
	o.Reward = func(_ context.Context, task, _ string, answers []string) ([]float64, error) {
		i, err := strconv.Atoi(task)
		if err != nil || i < 0 || i >= len(rewards) {
			return nil, because.E("reward", task, fmt.Errorf("no episode of this run"), "")
		}
		out := make([]float64, len(answers))
		for k, answer := range answers {
			answer = strings.Join(strings.Fields(strings.ReplaceAll(answer, w.template.End, " ")), " ")
			out[k] = rewards[i](answer)
			if w.reserved.find(answer) != "" {
				removed.Add(1)
			}
		}
		return out, nil
	}
	return w.runOn(ctx, e, o, rows, work, &removed)
}

func (w *World) engineOrder(j train.Job, work because.Work) train.Order {
	return train.Order{Job: j, Model: work.In["model"], Out: work.Out, SeqLen: maxPositions, Long: "error", Beta2: 0.95, Report: work.Progress}
}

// runOn hands an order with its rows to the engine, and writes what came back as a checkpoint of this world.
func (w *World) runOn(ctx context.Context, e train.Engine, o train.Order, rows []engineRow, work because.Work, removed *atomic.Int64) error {
	dir, err := os.MkdirTemp("", "because-organism-*")
	if err != nil {
		return because.E("train", e.Name(), err, "")
	}
	defer os.RemoveAll(dir)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, r := range rows {
		if err := enc.Encode(r); err != nil {
			return because.E("train", e.Name(), err, "")
		}
	}
	o.Rows, o.Out = filepath.Join(dir, "rows.jsonl"), filepath.Join(dir, "model")
	if err := os.WriteFile(o.Rows, b.Bytes(), 0o644); err != nil {
		return because.E("train", e.Name(), err, "")
	}
	run, err := e.Finetune(ctx, o)
	if err != nil {
		return err
	}
	run.Removed = int(removed.Load())
	if err := w.adopt(o.Out, o.Model, work.Out); err != nil {
		return because.E("train", e.Name(), err, "")
	}
	for _, step := range o.Snapshots {
		if step >= o.Steps {
			continue
		}
		name := fmt.Sprintf("step-%d", step)
		if err := w.adopt(filepath.Join(o.Out, name), o.Model, filepath.Join(work.Out, name)); err != nil {
			return because.E("train", e.Name(), err, "")
		}
	}
	return data.WriteJSON(filepath.Join(work.Out, "train.json"), run)
}

// open opens the model to evaluate: in this process, or served by the engine.
func (t *Target) open(ctx context.Context, w *World, work because.Work) (because.Model, func(), error) {
	if t.engine != nil {
		end, stop, err := t.engine.Serve(ctx, work.In["model"])
		if err != nil {
			return nil, nil, err
		}
		return newServed(end, w.template), func() { stop() }, nil
	}
	pool := newPool(work.Workers)
	m, err := local.Open(work.In["model"], pool)
	if err != nil {
		closePool(pool)
		return nil, nil, err
	}
	return m, func() { closePool(pool) }, nil
}

// adopt writes the model of a folder as a checkpoint of this world, with the tokenizer of the one that it started from.
func (w *World) adopt(from, base, out string) error {
	start, err := weights.Load(base)
	if err != nil {
		return err
	}
	m, err := weights.LoadModel(from)
	if err != nil {
		return err
	}
	if got, want := m.Config(), start.Model.Config(); got.VocabSize != want.VocabSize || got.HiddenSize != want.HiddenSize || got.Layers != want.Layers {
		return fmt.Errorf("the model that came back has %d tokens, width %d and %d layers, and the one sent had %d, %d and %d",
			got.VocabSize, got.HiddenSize, got.Layers, want.VocabSize, want.HiddenSize, want.Layers)
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	return w.saveModel(out, m, start.Tokenizer)
}
