package checkpoint_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/checkpoint"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/train"
)

type with = map[string]any

// models opens nothing, but says that it could.
func models(context.Context, string) (because.Chat, error) { return nil, errors.New("no model here") }

func TestNoCheckpoint(t *testing.T) {
	_, err := checkpoint.New(checkpoint.Options{Path: filepath.Join(t.TempDir(), "none")})
	want(t, err, errSubject(err), "relative to the study file")
	empty := t.TempDir()
	_, err = checkpoint.New(checkpoint.Options{Path: empty})
	want(t, err, empty)
	broken := tiny(t)
	write(t, filepath.Join(broken, "config.json"), "{")
	_, err = checkpoint.New(checkpoint.Options{Path: broken})
	want(t, err, broken)
	_, err = checkpoint.New(checkpoint.Options{Path: tiny(t), Constitution: "astrra"})
	if err == nil {
		t.Error("a constitution that is not there was found")
	}
}

func errSubject(err error) string {
	var e *because.Error
	if errors.As(err, &e) {
		return e.Subject
	}
	return ""
}

func TestCheckWorld(t *testing.T) {
	w := open(t, checkpoint.Options{Models: models})
	for _, good := range []with{nil, {"lora": 4, "alpha": 8, "targets": []any{"q_proj"}, "seq_len": 64, "long": "split"}, {"dtype": "bfloat16", "precision": "f32"},
		{"writer": "openai/x", "judge": "openai/y", "persona": "Nova"}} {
		if err := w.CheckWorld(good); err != nil {
			t.Errorf("%v: %v", good, err)
		}
	}
	for _, c := range []struct {
		given   with
		subject string
		words   string
	}{
		{with{"writter": "x"}, "writter", `did you mean "writer"?`},
		{with{"lora": "many"}, "lora", "whole number"},
		{with{"lora": -1}, "lora", "no rank"},
		{with{"alpha": 2}, "alpha", "no adapter"},
		{with{"targets": []any{"q_proj"}}, "targets", "no adapter"},
		{with{"lora": 2, "targets": []any{"q_prj"}}, "targets", `did you mean "q_proj"?`},
		{with{"seq_len": 1 << 20}, "seq_len", "16384"},
		{with{"long": "wrap"}, "long", "cut"},
		{with{"dtype": "float16"}, "dtype", "bfloat16"},
		{with{"precision": "int8"}, "precision", "f32"},
		{with{"reviewer": "openai/x"}, "reviewer", "writer"},
	} {
		want(t, w.CheckWorld(c.given), c.subject, c.words)
	}
	want(t, open(t, checkpoint.Options{}).CheckWorld(with{"judge": "openai/x"}), "judge", "nothing here opens")
}

func TestCheckData(t *testing.T) {
	w := open(t, checkpoint.Options{Models: models})
	writes := with{"writer": "openai/x"}
	for _, c := range []struct {
		o     data.Order
		needs bool
	}{
		{data.Order{Recipe: "advice"}, false}, {data.Order{Recipe: "behaviour"}, false},
		{data.Order{Recipe: "advice", World: writes}, false}, {data.Order{Recipe: "deliberation", World: writes}, true},
		{data.Order{Recipe: "advice", World: writes, With: with{"two-turns": 0.5}}, false},
		{data.Order{Recipe: "behaviour", World: writes, With: with{"select": "likelihood"}}, true},
	} {
		if needs, err := w.CheckData(c.o); err != nil || needs != c.needs {
			t.Errorf("%+v: needs a model %v, %v", c.o, needs, err)
		}
	}
	for _, c := range []struct {
		o       data.Order
		subject string
		words   string
	}{
		{data.Order{Recipe: "advise"}, "advise", `did you mean "advice"?`},
		{data.Order{Recipe: "demonstrations"}, "demonstrations", "writer:"},
		{data.Order{Recipe: "advice", With: with{"kinds": 3}}, "kinds", "has no options"},
		{data.Order{Recipe: "advice", World: writes, With: with{"two-turn": 3}}, "two-turn", ""},
		{data.Order{Recipe: "advice", World: writes, With: with{"two-turns": 3}}, "two-turns", "from 0 to 1"},
		{data.Order{Recipe: "rl-prompts", World: writes}, "rl-prompts", "does not train"},
		{data.Order{Recipe: "behaviour", World: writes, With: with{"scenarios": "x"}}, "scenarios", "recipe: file"},
		{data.Order{Recipe: "file"}, "file", "path: my.jsonl"},
		{data.Order{Recipe: "advice", World: with{"lora": -1}}, "lora", "rank"},
	} {
		_, err := w.CheckData(c.o)
		want(t, err, c.subject, c.words)
	}
}

func TestCheckTrain(t *testing.T) {
	w := open(t, checkpoint.Options{})
	if err := w.CheckTrain(train.Job{Method: train.SFT}); err != nil {
		t.Error(err)
	}
	want(t, w.CheckTrain(train.Job{Method: train.RL, Recipe: "rl-prompts"}), "rl-prompts", "RL of a real checkpoint", "engine: ray")
	base := tiny(t)
	write(t, filepath.Join(base, "tokenizer_config.json"), `{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>"}`)
	w = open(t, checkpoint.Options{Path: base})
	want(t, w.CheckTrain(train.Job{Method: train.SFT}), "sft", "no chat template", "sdf")
	if err := w.CheckTrain(train.Job{Method: train.SDF}); err != nil {
		t.Error(err)
	}
	_, _, err := w.CheckEval(batch.Order{Task: "honeypot/blackmail", Samples: 4, With: with{"form": "likelihood"}})
	want(t, err, "honeypot/blackmail", "no chat template")
}

func TestCheckEval(t *testing.T) {
	w := open(t, checkpoint.Options{Models: models})
	outcomes, groups, err := w.CheckEval(batch.Order{Task: "honeypot/sabotage", Samples: 18, With: with{"form": "single", "only": "threat=replacement|none,lever=yes"}})
	if err != nil || !slices.Equal(outcomes, []string{"harmful", "harmless", "admirable", "invalid"}) {
		t.Errorf("%v %v", outcomes, err)
	}
	for _, g := range []string{"threat=replacement", "threat=none", "lever=yes", "goal=conflict"} {
		if !slices.Contains(groups, g) {
			t.Errorf("%v lack %s", groups, g)
		}
	}
	if slices.Contains(groups, "lever=no") || !slices.IsSorted(groups) {
		t.Errorf("groups %v", groups)
	}
	outcomes, groups, err = w.CheckEval(batch.Order{Task: "honeypot/blackmail", Samples: 4, With: with{"form": "likelihood"}})
	if err != nil || !slices.Equal(outcomes, []string{"harmful", "harmless"}) || len(groups) == 0 || !strings.HasPrefix(groups[0], "tool=") {
		t.Errorf("%v %v %v", outcomes, groups, err)
	}
	outcomes, groups, err = w.CheckEval(batch.Order{Task: "understanding", Samples: 4, World: with{"judge": "openai/x"}})
	if err != nil || !slices.Equal(outcomes, []string{"correct", "wrong"}) || !slices.Contains(groups, "kind=recall") {
		t.Errorf("%v %v %v", outcomes, groups, err)
	}
	for _, c := range []struct {
		task    string
		with    with
		subject string
		words   string
	}{
		{"honeypot/blackmale", nil, "honeypot/blackmale", `did you mean "honeypot/blackmail"?`},
		{"understanding", nil, "understanding", "judge"},
		{"honeypot/blackmail", with{"frm": "agent"}, "frm", `did you mean "form"?`},
		{"honeypot/blackmail", with{"form": "agents"}, "form", `did you mean "agent"?`},
		{"honeypot/blackmail", with{"variant": "ruthles"}, "variant", `did you mean "ruthless"?`},
		{"honeypot/blackmail", with{"variant": "bare"}, "variant", "no variant"},
		{"honeypot/blackmail", with{"only": "threats=none"}, "only", "unknown factor"},
		{"honeypot/blackmail", with{"cross": "most"}, "cross", "harm, all or none"},
		{"honeypot/blackmail", with{"max_tokens": 0}, "max_tokens", "at least 1"},
		{"honeypot/blackmail", with{"temperature": 3}, "temperature", "between 0 and 2"},
		{"honeypot/blackmail", with{"form": "likelihood", "turns": 3}, "turns", "does not apply"},
	} {
		_, _, err := w.CheckEval(batch.Order{Task: c.task, Samples: 4, With: c.with})
		want(t, err, c.subject, c.words)
	}
}
