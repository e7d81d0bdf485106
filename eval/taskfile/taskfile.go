// Package taskfile makes evaluations of YAML files, so that one that asks and compares answers needs no Go:
//
//	task: capitals
//	samples:
//	  - {id: france, input: "What is the capital of France?", target: Paris, meta: {region: europe}}
//	solver: {system: Answer in one word.}
//	scorers:
//	  - {name: correct, includes: target}
//	by: [region]
//
// Instead of samples it may name a file of JSON lines with the same fields, "data: capitals.jsonl", relative to its own folder.
package taskfile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval"
	"github.com/because-lab/because/internal/input"
)

const op = "read task"

// File is a task as it is written.
type File struct {
	Task    string   `yaml:"task"`
	Version int      `yaml:"version"`
	About   string   `yaml:"about"`
	Samples []Sample `yaml:"samples"`
	Data    string   `yaml:"data"`
	Solver  Solver   `yaml:"solver"`
	Scorers []Scorer `yaml:"scorers"`
	By      []string `yaml:"by"`
	Ask     Ask      `yaml:"ask"`
	Limits  struct {
		Messages int `yaml:"messages"`
		Tokens   int `yaml:"tokens"`
		Seconds  int `yaml:"seconds"`
	} `yaml:"limits"`
}

// Sample is one question, or a conversation up to the target's turn.
type Sample struct {
	ID       string            `yaml:"id" json:"id"`
	Cluster  string            `yaml:"cluster" json:"cluster"`
	Input    string            `yaml:"input" json:"input"`
	Messages []Turn            `yaml:"messages" json:"messages"`
	Prefill  string            `yaml:"prefill" json:"prefill"`
	Target   string            `yaml:"target" json:"target"`
	Meta     map[string]string `yaml:"meta" json:"meta"`
}

// Turn is a message of a conversation.
type Turn struct {
	Role    because.Role `yaml:"role" json:"role"`
	Content string       `yaml:"content" json:"content"`
}

// Solver says how the target answers: once, after a system prompt if there is one.
type Solver struct {
	System string `yaml:"system"`
}

// Scorer counts an answer if it holds: exactly one of the conditions must stand.
type Scorer struct {
	Name     string `yaml:"name"`
	Includes string `yaml:"includes"` // the sample's "target", or a text in quotes of its own: whatever else is written here
	Equals   string `yaml:"equals"`   // the same, and nothing else but white space
	Matches  string `yaml:"matches"`  // a regular expression
	Case     bool   `yaml:"case"`     // upper and lower case differ
}

// Ask is how the target is asked.
type Ask struct {
	MaxTokens   int      `yaml:"max_tokens"`
	Temperature *float64 `yaml:"temperature"`
	TopP        float64  `yaml:"top_p"`
	Stop        []string `yaml:"stop"`
	Effort      string   `yaml:"effort"`
}

// Read reads a task file and what it names.
func Read(path string) (eval.Task, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return eval.Task{}, because.E(op, path, err, "")
	}
	var f File
	if err := input.YAML(op, path, text, &f); err != nil {
		return eval.Task{}, err
	}
	sum := sha256.New()
	sum.Write(text)
	rows := f.inline(path)
	if f.Data != "" {
		if f.Samples != nil {
			return eval.Task{}, because.E(op, path, errors.New("it has samples and data"), "leave one of them out")
		}
		at := f.Data
		if !filepath.IsAbs(at) {
			at = filepath.Join(filepath.Dir(path), at)
		}
		lines, err := os.ReadFile(at)
		if err != nil {
			return eval.Task{}, because.E(op, path+": data", err, "")
		}
		sum.Write(lines)
		rows = inFile(at, lines)
	}
	return f.task(path, fmt.Sprintf("%x", sum.Sum(nil)[:8]), rows)
}

// source gives the samples of a task by their place. Those of a file are decoded as they are needed, so that only its text is kept.
type source struct {
	n     int
	at    func(i int) (Sample, error)
	place func(i int) string
}

func (f *File) inline(path string) source {
	return source{len(f.Samples), func(i int) (Sample, error) { return f.Samples[i], nil }, func(i int) string { return fmt.Sprintf("%s: samples[%d]", path, i) }}
}

// inFile finds the rows of JSON lines.
func inFile(path string, text []byte) source {
	type row struct{ from, to, line int }
	var rows []row
	for from, line := 0, 1; from < len(text); line++ {
		to := bytes.IndexByte(text[from:], '\n')
		if to < 0 {
			to = len(text) - from
		}
		if len(bytes.TrimSpace(text[from:from+to])) > 0 {
			rows = append(rows, row{from, from + to, line})
		}
		from += to + 1
	}
	decode := func(i int) (Sample, error) {
		d := json.NewDecoder(bytes.NewReader(text[rows[i].from:rows[i].to]))
		d.DisallowUnknownFields()
		var s Sample
		if err := d.Decode(&s); err != nil {
			return s, because.E(op, fmt.Sprintf("%s:%d", path, rows[i].line), err, "a row has input or messages, and may have id, target, meta, cluster and prefill")
		}
		return s, nil
	}
	return source{len(rows), decode, func(i int) string { return fmt.Sprintf("%s:%d", path, rows[i].line) }}
}

// dataset checks every sample once.
func (s source) dataset(name, version, system string) (eval.Dataset, error) {
	at := func(i int) (because.Sample, error) {
		row, err := s.at(i)
		if err != nil {
			return because.Sample{}, err
		}
		out, err := row.sample(i, system)
		if err != nil {
			err = because.E(op, s.place(i), err, "")
		}
		return out, err
	}
	seen := make(map[string]int, s.n)
	for i := range s.n {
		sample, err := at(i)
		if err != nil {
			return eval.Dataset{}, err
		}
		if before, ok := seen[sample.ID]; ok {
			return eval.Dataset{}, because.E(op, s.place(i), fmt.Errorf("%q is also the id of %s", sample.ID, s.place(before)), "")
		}
		seen[sample.ID] = i
	}
	return eval.Dataset{Name: name, N: s.n, Version: version, At: at}, nil
}

func (f *File) task(path, version string, rows source) (eval.Task, error) {
	fail := func(key, hint, format string, args ...any) (eval.Task, error) {
		return eval.Task{}, because.E(op, path+": "+key, fmt.Errorf(format, args...), hint)
	}
	switch {
	case f.Task == "":
		return fail("task", "", "is missing")
	case rows.n == 0:
		return fail("samples", "", "there are none")
	case len(f.Scorers) == 0:
		return fail("scorers", "say what is counted, such as {name: correct, includes: target}", "there are none")
	}
	data, err := rows.dataset(f.Task, version, f.Solver.System)
	if err != nil {
		return eval.Task{}, err
	}
	t := eval.Task{Name: f.Task, Version: f.Version, Args: map[string]any{}, Dataset: data, Solver: eval.Generate, By: f.By,
		Limits: eval.Limits{Messages: f.Limits.Messages, Tokens: f.Limits.Tokens, Time: time.Duration(f.Limits.Seconds) * time.Second},
		Ask:    because.Request{MaxTokens: f.Ask.MaxTokens, Temperature: because.OwnTemperature, TopP: f.Ask.TopP, Stop: f.Ask.Stop, Effort: f.Ask.Effort}}
	if f.Ask.Temperature != nil {
		t.Ask.Temperature = *f.Ask.Temperature
	}
	for i, s := range f.Scorers {
		scorer, err := s.scorer()
		if err != nil {
			return fail(fmt.Sprintf("scorers[%d]", i), "", "%w", err)
		}
		t.Scorers = append(t.Scorers, scorer)
	}
	return t, nil
}

func (s Sample) sample(i int, system string) (because.Sample, error) {
	out := because.Sample{ID: s.ID, Cluster: s.Cluster, Prefill: s.Prefill, Target: s.Target, Meta: s.Meta}
	if out.ID == "" {
		out.ID = fmt.Sprint(i + 1)
	}
	if (s.Input == "") == (len(s.Messages) == 0) {
		return out, errors.New("it needs input or messages, one of them")
	}
	if system != "" {
		out.Input = append(out.Input, because.Message{Role: because.RoleSystem, Content: system})
	}
	if s.Input != "" {
		out.Input = append(out.Input, because.Message{Role: because.RoleUser, Content: s.Input})
	}
	for j, m := range s.Messages {
		switch m.Role {
		case because.RoleSystem, because.RoleUser, because.RoleAssistant:
		default:
			return out, fmt.Errorf("messages[%d]: unknown role %q", j, m.Role)
		}
		out.Input = append(out.Input, because.Message{Role: m.Role, Content: m.Content})
	}
	return out, nil
}

// scorer makes the scorer that is written.
func (s Scorer) scorer() (eval.Scorer, error) {
	if s.Name == "" {
		return nil, errors.New("it has no name")
	}
	holds, err := s.condition()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return eval.NewScorer(s.Name, func(_ context.Context, st *eval.State) (because.Score, error) {
		yes, why := holds(st.Output.Text, st.Sample.Target)
		return eval.Counted(yes, why, st.Output.Text), nil
	}), nil
}

// condition gives whether an answer holds, and why.
func (s Scorer) condition() (func(answer, target string) (bool, string), error) {
	fold := func(text string) string {
		if s.Case {
			return text
		}
		return strings.ToLower(text)
	}
	wanted := func(written, target string) string {
		if written == "target" {
			return target
		}
		return written
	}
	var given int
	for _, c := range []string{s.Includes, s.Equals, s.Matches} {
		if c != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, errors.New("it needs one of includes, equals and matches")
	case s.Includes != "":
		return func(answer, target string) (bool, string) {
			want := wanted(s.Includes, target)
			return want != "" && strings.Contains(fold(answer), fold(want)), fmt.Sprintf("includes %q", want)
		}, nil
	case s.Equals != "":
		return func(answer, target string) (bool, string) {
			want := wanted(s.Equals, target)
			return fold(strings.TrimSpace(answer)) == fold(strings.TrimSpace(want)), fmt.Sprintf("equals %q", want)
		}, nil
	}
	pattern := s.Matches
	if !s.Case {
		pattern = "(?i)" + pattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	return func(answer, _ string) (bool, string) { return re.MatchString(answer), "matches " + s.Matches }, nil
}
