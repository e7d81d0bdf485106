package evallog

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
)

var errDiffers = errors.New("the log was begun otherwise")

// same fails with the first field in which the run that a log was begun with differs from one that would go on with it. What
// doesn't change a sample's outcome is left out: ids, times, paths, addresses, code versions, and how fast and in what company it ran.
func (s Start) same(other Start) error {
	a, err := s.identity()
	if err != nil {
		return err
	}
	b, err := other.identity()
	if err != nil {
		return err
	}
	if path, x, y, differ := difference("", a, b); differ {
		return fmt.Errorf("%w: %s is %s in the log and %s now", errDiffers, path, short(x), short(y))
	}
	return nil
}

// identity gives the fields that two runs must share, as JSON values.
func (s Start) identity() (any, error) {
	e := s.Eval
	kept := Start{Plan: s.Plan, Eval: Spec{
		Task: e.Task, TaskVersion: e.TaskVersion, TaskAttribs: e.TaskAttribs, TaskArgs: e.TaskArgs,
		Solver: e.Solver, SolverArgs: e.SolverArgs, Dataset: e.Dataset, Model: e.Model, ModelGenerateConfig: e.ModelGenerateConfig,
		ModelArgs: e.ModelArgs, ModelRoles: e.ModelRoles, Config: e.Config, Metadata: e.Metadata, Scorers: e.Scorers, Metrics: e.Metrics,
	}}
	kept.Eval.Dataset.Location = ""
	c := &kept.Eval.Config
	c.MaxSamples, c.MaxTasks, c.LogSamples, c.LogBuffer = 0, 0, nil, 0
	c.FailOnError, c.ContinueOnFail, c.RetryOnError = nil, nil, 0
	kept.Plan.Config = kept.Plan.Config.identity()
	if m := kept.Eval.ModelGenerateConfig; m != nil {
		own := m.identity()
		kept.Eval.ModelGenerateConfig = &own
	}
	text, err := encode(nil, &kept)
	if err != nil {
		return nil, err
	}
	return anyValue(&lexer{data: text})
}

// identity leaves out of the options how a provider is reached.
func (c GenerateConfig) identity() GenerateConfig {
	c.MaxRetries, c.Timeout, c.AttemptTimeout, c.MaxConnections = 0, 0, 0, 0
	return c
}

// literal is a number or a literal of JSON as it is written.
type literal string

// anyValue reads a value into maps, slices, strings and literals.
func anyValue(l *lexer) (any, error) {
	switch l.peek() {
	case '"':
		return l.text()
	case '[':
		list := []any{}
		err := l.list(func() error {
			v, err := anyValue(l)
			list = append(list, v)
			return err
		})
		return list, err
	case '{':
		object := map[string]any{}
		err := l.object(func(name []byte) error {
			key := string(name)
			v, err := anyValue(l)
			object[key] = v
			return err
		})
		return object, err
	}
	text, err := l.scalar()
	if err != nil {
		return nil, err
	}
	if f, err := strconv.ParseFloat(string(text), 64); err == nil && text[0] <= '9' {
		return literal(appendFloat(nil, f)), nil // 1 and 1.0 are the same
	}
	return literal(text), nil
}

// difference finds the first place in which two values differ.
func difference(path string, a, b any) (where string, x, y any, differ bool) {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok {
			break
		}
		both := maps.Clone(a)
		maps.Copy(both, b)
		for _, k := range slices.Sorted(maps.Keys(both)) {
			if where, x, y, differ = difference(join(path, k), a[k], b[k]); differ {
				return where, x, y, differ
			}
		}
		return "", nil, nil, false
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			break
		}
		for i := range a {
			if where, x, y, differ = difference(fmt.Sprintf("%s[%d]", path, i), a[i], b[i]); differ {
				return where, x, y, differ
			}
		}
		return "", nil, nil, false
	}
	return path, a, b, !reflect.DeepEqual(a, b)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// short shows a value in a message.
func short(v any) string {
	if v == nil {
		return "absent"
	}
	if l, ok := v.(literal); ok {
		return string(l)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(text) > 60 {
		return string(text[:57]) + "..."
	}
	return string(text)
}
