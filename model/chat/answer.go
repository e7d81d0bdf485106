package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/because-lab/because"
)

// Answer is a model's answer, taken apart.
type Answer struct {
	Content   string
	Reasoning string
	Calls     []because.ToolCall // their IDs are empty where the model wrote none
	Problems  []string           // calls that could not be parsed; their text is in Content
}

// ParseAnswer takes an answer apart. Nothing gets lost but the tags, and white space next to them: what is not a call in f's
// syntax stays content. Reasoning counts up to a </think> also where its opening tag is missing and f does not say that
// the prompt had it.
func ParseAnswer(text string, f Format) Answer {
	if i := strings.Index(text, thinkClose); f.Thinks && i >= 0 && !strings.Contains(text[:i], thinkOpen) {
		f.Opened = true
	}
	s := NewStream(f)
	var a Answer
	for _, d := range []Delta{s.Push(text), s.End()} {
		a.Content += d.Content
		a.Reasoning += d.Reasoning
		a.Calls = append(a.Calls, d.Calls...)
		a.Problems = append(a.Problems, d.Problems...)
	}
	return a
}

// parseCall reads one call from a JSON object with a name and arguments (or parameters), an object or a string that
// holds one.
func parseCall(raw []byte) (because.ToolCall, error) {
	var c because.ToolCall
	var obj map[string]json.RawMessage
	if err := json.Unmarshal(raw, &obj); err != nil {
		return c, err
	}
	if err := json.Unmarshal(obj["name"], &c.Name); err != nil || c.Name == "" {
		return c, errors.New("no name")
	}
	for _, key := range []string{"arguments", "parameters"} {
		if v, ok := obj[key]; ok {
			c.Arguments = v
			break
		}
	}
	var inner string
	if json.Unmarshal(c.Arguments, &inner) == nil && inner != "" {
		c.Arguments = json.RawMessage(inner)
	}
	switch args := bytes.TrimSpace(c.Arguments); {
	case len(args) == 0 || string(args) == "null":
		c.Arguments = json.RawMessage("{}")
	case args[0] != '{' || !json.Valid(args):
		return c, errors.New("arguments are not an object")
	}
	if id, ok := obj["id"]; ok {
		if err := json.Unmarshal(id, &c.ID); err != nil {
			return c, errors.New("id is not a string")
		}
	}
	return c, nil
}

// parseList reads calls from a JSON list.
func parseList(raw []byte) ([]because.ToolCall, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, errors.New("an empty list")
	}
	calls := make([]because.ToolCall, len(items))
	for i, item := range items {
		c, err := parseCall(item)
		if err != nil {
			return nil, fmt.Errorf("call %d: %w", i+1, err)
		}
		calls[i] = c
	}
	return calls, nil
}

// parseObjects reads calls from JSON objects with semicolons between.
func parseObjects(raw []byte) ([]because.ToolCall, error) {
	var calls []because.ToolCall
	for {
		d := json.NewDecoder(bytes.NewReader(raw))
		var obj json.RawMessage
		if err := d.Decode(&obj); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("call %d: %w", len(calls)+1, err)
		}
		c, err := parseCall(obj)
		if err != nil {
			return nil, fmt.Errorf("call %d: %w", len(calls)+1, err)
		}
		calls = append(calls, c)
		raw = bytes.TrimLeft(raw[d.InputOffset():], blanks)
		if len(raw) == 0 {
			return calls, nil
		}
		if raw[0] != ';' {
			return nil, fmt.Errorf("text after call %d", len(calls))
		}
		if raw = bytes.TrimLeft(raw[1:], blanks); len(raw) == 0 {
			return calls, nil
		}
	}
}

var (
	builtinCall = regexp.MustCompile(`^([A-Za-z_]\w*)\.call\((.*)\)$`)
	builtinArg  = regexp.MustCompile(`^([A-Za-z_]\w*)="((?s:.*?))"(?:, *|$)`)
)

// parseBuiltin reads a call of one of Llama's built-in tools: name.call(key="value", ...).
func parseBuiltin(raw string) (because.ToolCall, bool) {
	m := builtinCall.FindStringSubmatch(raw)
	if m == nil {
		return because.ToolCall{}, false
	}
	var b strings.Builder
	for rest := m[2]; rest != ""; {
		arg := builtinArg.FindStringSubmatch(rest)
		if arg == nil {
			return because.ToolCall{}, false
		}
		value, err := json.Marshal(arg[2])
		if err != nil {
			return because.ToolCall{}, false
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, `"%s": %s`, arg[1], value)
		rest = rest[len(arg[0]):]
	}
	return because.ToolCall{Name: m[1], Arguments: json.RawMessage("{" + b.String() + "}")}, true
}
