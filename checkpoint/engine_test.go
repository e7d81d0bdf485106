package checkpoint_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/checkpoint"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/data/trl"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/train"
)

// far is an engine elsewhere that notes what it is asked for.
type far struct {
	order   train.Order
	rows    []trl.Row // of SFT and SDF
	prompts []prompt  // of RL
}

// prompt is a row of RL.
type prompt struct {
	Prompt   []because.Message
	ID, Task string
}

func (*far) Name() string { return "far/1" }

func (f *far) Finetune(_ context.Context, o train.Order) (train.Run, error) {
	f.order = o
	if o.Method == train.RL {
		text, err := os.ReadFile(o.Rows)
		for d := json.NewDecoder(bytes.NewReader(text)); err == nil && d.More(); {
			var p prompt
			err = d.Decode(&p)
			f.prompts = append(f.prompts, p)
		}
		return train.Run{Method: o.Method, Steps: o.Steps}, err
	}
	var err error
	f.rows, err = trl.Read(o.Rows)
	return train.Run{Method: o.Method, Steps: 3, Records: o.Records}, err
}

func (*far) Serve(context.Context, string) (train.Endpoint, func() error, error) {
	return train.Endpoint{}, nil, errors.New("it does not serve")
}

func TestEngineElsewhere(t *testing.T) {
	f, model := &far{}, tiny(t)
	w := open(t, checkpoint.Options{Path: model, Engine: f})
	here := open(t, checkpoint.Options{Path: model})
	for _, kind := range []string{"train", "eval"} {
		if !strings.HasSuffix(w.Version(kind), "+far/1") || w.Version(kind) == here.Version(kind) {
			t.Errorf("the version of %s is %s", kind, w.Version(kind))
		}
	}
	in, out := t.TempDir(), t.TempDir()
	records := []because.Record{
		{Messages: []because.Message{{Role: because.RoleUser, Content: "a"}, {Role: because.RoleAssistant, Content: "first"}, {Role: because.RoleUser, Content: "b"},
			{Role: because.RoleAssistant, Content: "", ToolCalls: []because.ToolCall{{ID: "c1", Name: "look", Arguments: []byte(`{"at": 1}`)}}}},
			Tools: []because.Tool{{Name: "look", Parameters: []byte(`{"type": "object"}`)}}},
		{Messages: []because.Message{{Role: because.RoleUser, Content: "c"}, {Role: because.RoleAssistant, Content: "second"}}},
	}
	if err := data.Write(in, data.Dataset{Records: records}); err != nil {
		t.Fatal(err)
	}
	job := train.Job{World: with{"lora": 4, "seq_len": 64}, Seed: 2, Stream: "arm/1", Method: train.SFT, Records: 5, Batch: 2, LR: 1e-3, Schedule: "cosine", Clip: 1}
	if err := w.Train(t.Context(), job, because.Work{In: map[string]string{"data": in, "model": model}, Out: out}); err != nil {
		t.Fatal(err)
	}
	if o := f.order; o.Model != model || o.Out != out || o.SeqLen != 64 || o.Long != "error" || o.Rank != 4 || len(f.rows) != 5 {
		t.Errorf("it was asked %+v with %d rows", o, len(f.rows))
	}
	calls := 0
	for _, r := range f.rows {
		if len(r.Tools) == 0 {
			continue
		}
		calls++
		last := r.Messages[len(r.Messages)-1]
		if r.Loss != 3 || last.ToolCalls[0].Name != "look" || string(last.ToolCalls[0].Arguments) != `{"at":1}` {
			t.Errorf("row %+v", r)
		}
	}
	if calls != 3 {
		t.Errorf("%d of 5 rows are the first record's, want 3", calls)
	}
	if text, err := os.ReadFile(out + "/train.json"); err != nil || !strings.Contains(string(text), `"steps": 3`) {
		t.Errorf("train.json: %s %v", text, err)
	}
	if _, err := os.Stat(f.order.Rows); err == nil {
		t.Error("the rows were left behind")
	}
	_, _, err := w.CheckEval(batch.Order{Task: "honeypot/blackmail", Samples: 2, With: with{"form": "likelihood"}})
	want(t, err, "form", "no log-probabilities", "form: single")
	want(t, w.CheckWorld(with{"lora": 4, "alpha": 8}), "lora", "engine's own")
	err = w.Eval(t.Context(), batch.Order{Task: "honeypot/blackmail", Samples: 2, With: with{"form": "single"}}, because.Work{In: map[string]string{"model": model}, Out: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "does not serve") {
		t.Errorf("got %v", err)
	}
}
