package study

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/input"
	"github.com/because-lab/because/train"
)

// methods gives the settings that each method knows, beside recipe, with and stream, which all know.
var methods = map[train.Method]struct{ required, optional []string }{
	train.Pretrain: {[]string{"records", "batch", "lr"}, []string{"schedule", "floor", "warmup", "decay", "clip"}},
	train.SFT:      {[]string{"tokens", "records", "batch", "lr"}, []string{"replay", "schedule", "floor", "warmup", "decay", "clip"}},
	train.SDF:      {[]string{"tokens", "records", "batch", "lr"}, []string{"replay", "schedule", "floor", "warmup", "decay", "clip"}},
	train.RL:       {[]string{"steps", "prompts", "group", "lr"}, []string{"schedule", "floor", "warmup", "decay", "clip", "snapshots"}},
}

var methodOrder = []train.Method{train.Pretrain, train.SFT, train.SDF, train.RL}

// of gives the settings for a method.
func (d *Defaults) of(m train.Method) **Settings { return (*Stage)(d).of(m) }

// of gives the settings of a method, nil inside where the stage is another's.
func (s *Stage) of(m train.Method) **Settings {
	return map[train.Method]**Settings{train.Pretrain: &s.Pretrain, train.SFT: &s.SFT, train.SDF: &s.SDF, train.RL: &s.RL}[m]
}

// Method gives the method of a stage and its settings; "" unless exactly one is set.
func (s Stage) Method() (train.Method, *Settings) {
	var method train.Method
	var settings *Settings
	for _, m := range methodOrder {
		if p := *s.of(m); p != nil {
			if settings != nil {
				return "", nil
			}
			method, settings = m, p
		}
	}
	return method, settings
}

// merged gives a method's settings in full: those given over the study's defaults over the method's own.
func (f *File) merged(m train.Method, given *Settings) *Settings {
	out := &Settings{Schedule: "cosine", Floor: new(0.0), Warmup: new(0), Decay: new(0.0), Clip: new(1.0)}
	switch m {
	case train.SFT, train.SDF:
		out.Replay = new(0.0)
	case train.RL:
		out.Schedule = "constant"
	}
	for _, over := range []*Settings{*f.Defaults.of(m), given} {
		if over == nil {
			continue
		}
		from, to := reflect.ValueOf(over).Elem(), reflect.ValueOf(out).Elem()
		for i := range from.NumField() {
			if field := from.Field(i); !field.IsZero() && field.Kind() != reflect.Map {
				to.Field(i).Set(field)
			}
		}
		if over.With != nil {
			with := map[string]any{}
			maps.Copy(with, out.With)
			maps.Copy(with, over.With)
			out.With = with
		}
	}
	return out
}

// keys lists the settings that are given, by their keys.
func (s *Settings) keys() []string {
	var keys []string
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		if !v.Field(i).IsZero() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			keys = append(keys, name)
		}
	}
	return keys
}

func (f *File) checkInit() error {
	for _, m := range methodOrder {
		if s := *f.Defaults.of(m); s != nil {
			if err := f.checkKeys("defaults."+string(m), m, s); err != nil {
				return err
			}
		}
	}
	for i, stage := range f.Init {
		if err := f.checkStage(fmt.Sprintf("init[%d]", i), stage, i == 0); err != nil {
			return err
		}
	}
	if f.Model == nil && f.pretrains() {
		return f.bad("model", "give its shape: model: {width: 64, layers: 3, heads: 4, ffn: 128}", "missing, and init pretrains a new model")
	}
	return nil
}

// pretrains tells whether init makes a new model.
func (f *File) pretrains() bool { return len(f.Init) > 0 && f.Init[0].Pretrain != nil }

// checkStart checks that the study makes its model anew where the world has none to start from, and does not where it has one.
func (f *File) checkStart(w World) error {
	start, starts := w.(Starting)
	switch {
	case starts && f.pretrains():
		return f.bad("init[0].pretrain", "remove the stage", "the target starts from a checkpoint, so nothing is pretrained")
	case starts && f.Model != nil:
		return f.bad("model", "remove it", "the target starts from a checkpoint, which has its own shape")
	case starts:
		if _, err := start.Start(); err != nil {
			return because.E(opRead, f.Place("target"), err, because.Hint(err))
		}
		return nil
	case f.pretrains():
		return nil
	case len(f.Init) == 0:
		return f.bad("init", "the first stage makes the model: init: [{pretrain: {...}}]", "no stages")
	}
	return f.bad("init[0]", "", "the first stage of init must be pretrain, which makes the model")
}

// checkStage checks one stage; first says that it may make the model.
func (f *File) checkStage(path string, stage Stage, first bool) error {
	method, given := stage.Method()
	switch {
	case method == "" && stage == (Stage{}):
		return f.bad(path, "use one of pretrain, sft, sdf, rl", "no method")
	case method == "":
		return f.bad(path, "make them stages of their own", "more than one method")
	case !first && method == train.Pretrain:
		return f.bad(path+".pretrain", "", "only the first stage of init can make a new model")
	}
	path += "." + string(method)
	if err := f.checkKeys(path, method, given); err != nil {
		return err
	}
	s := f.merged(method, given)
	if s.Recipe == "" {
		return f.bad(path+".recipe", "", "missing")
	}
	have := s.keys()
	for _, key := range methods[method].required {
		if !slices.Contains(have, key) {
			return f.bad(path+"."+key, fmt.Sprintf("give it here or under defaults.%s", method), "missing")
		}
	}
	return f.checkRanges(path, method, s)
}

// checkKeys checks that the settings given apply to the method.
func (f *File) checkKeys(path string, m train.Method, s *Settings) error {
	allowed := slices.Concat([]string{"recipe", "with", "stream"}, methods[m].required, methods[m].optional)
	for _, key := range s.keys() {
		if !slices.Contains(allowed, key) {
			return f.bad(path+"."+key, "remove it; "+string(m)+" knows "+strings.Join(allowed, ", "), "does not apply to %s", m)
		}
	}
	return nil
}

// checkRanges checks merged settings. Where one comes from the defaults, the place is there.
func (f *File) checkRanges(path string, m train.Method, s *Settings) error {
	at := func(key string) string {
		if _, own := f.source.lines[path+"."+key]; !own {
			if _, general := f.source.lines["defaults."+string(m)+"."+key]; general {
				return "defaults." + string(m) + "." + key
			}
		}
		return path + "." + key
	}
	for _, n := range []struct {
		key   string
		value *int
		least int
	}{{"tokens", s.Tokens, 1}, {"records", s.Records, 1}, {"batch", s.Batch, 1}, {"warmup", s.Warmup, 0},
		{"steps", s.Steps, 1}, {"prompts", s.Prompts, 1}, {"group", s.Group, 2}} {
		const most = 1_000_000_000
		switch {
		case n.value == nil:
		case *n.value < n.least:
			return f.bad(at(n.key), "", "is %d; it must be at least %d", *n.value, n.least)
		case *n.value > most:
			return f.bad(at(n.key), "", "is %d; it must be at most %d", *n.value, most)
		}
	}
	for _, x := range []struct {
		key      string
		value    *float64
		positive bool
		most     float64
	}{{"lr", s.LR, true, 1}, {"clip", s.Clip, true, 1e6}, {"floor", s.Floor, false, 1}, {"decay", s.Decay, false, 1}, {"replay", s.Replay, false, 100}} {
		if x.value == nil {
			continue
		}
		if v := *x.value; x.positive && !(v > 0) || !(v >= 0) || v > x.most {
			return f.bad(at(x.key), "", "is %v; it must be %s and at most %v", v, map[bool]string{true: "above 0", false: "0 or more"}[x.positive], x.most)
		}
	}
	if known := []string{"cosine", "linear", "constant"}; !slices.Contains(known, s.Schedule) {
		return f.bad(at("schedule"), input.DidYouMean(s.Schedule, known), "no schedule is named %q", s.Schedule)
	}
	if steps := s.updates(); *s.Warmup > steps {
		return f.bad(at("warmup"), "", "is %d, more than the %d steps of the stage", *s.Warmup, steps)
	}
	if s.Replay != nil && *s.Replay > 0 && f.Replay == nil {
		return f.bad(at("replay"), "say what is replayed: replay: {recipe: ..., tokens: ...} at the top of the file", "the study has no replay dataset")
	}
	for i, step := range s.Snapshots {
		path := fmt.Sprintf("%s[%d]", at("snapshots"), i)
		switch {
		case step < 1 || step > *s.Steps:
			return f.bad(path, "", "is %d; the run has steps 1 to %d", step, *s.Steps)
		case i > 0 && step <= s.Snapshots[i-1]:
			return f.bad(path, "list them in order", "%d follows %d", step, s.Snapshots[i-1])
		}
	}
	return nil
}

// updates gives the number of optimiser steps of merged settings.
func (s *Settings) updates() int {
	if s.Steps != nil {
		return *s.Steps
	}
	records := float64(*s.Records)
	if s.Replay != nil {
		records += float64(int(*s.Replay*records + 0.5))
	}
	return (int(records) + *s.Batch - 1) / *s.Batch
}
