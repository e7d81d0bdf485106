package chat

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/because-lab/because"
)

// roles are the names that may count as the template's own: it writes them into its markers.
var roles = []string{"system", "user", "assistant", "tool", "developer", "function", "ipython"}

// variables makes the template's outermost scope.
func (in Input) variables() (*scope, error) {
	vars := map[string]value{"documents": nil}
	for _, k := range slices.Sorted(maps.Keys(in.Vars)) {
		if slices.Contains([]string{"messages", "tools", "add_generation_prompt", "bos_token", "eos_token"}, k) {
			return nil, fmt.Errorf("the variable %s is a field of the input", k)
		}
		v, err := plain(reflect.ValueOf(in.Vars[k]), 0)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", k, err)
		}
		vars[k] = v
	}
	messages := &list{}
	for i, m := range in.Messages {
		d, err := message(m)
		if err != nil {
			return nil, fmt.Errorf("messages[%d].%w", i, err)
		}
		messages.items = append(messages.items, d)
	}
	tools := &list{}
	for i, t := range in.Tools {
		d, err := tool(t)
		if err != nil {
			return nil, fmt.Errorf("tools[%d].parameters: %w", i, err)
		}
		tools.items = append(tools.items, d)
	}
	vars["messages"], vars["tools"], vars["add_generation_prompt"] = messages, tools, in.AddGenerationPrompt
	if len(in.Tools) == 0 {
		vars["tools"] = nil
	}
	for k, v := range map[string]string{"bos_token": in.BOS, "eos_token": in.EOS} {
		if v != "" {
			vars[k] = written(v)
		}
	}
	return &scope{vars: vars}, nil
}

// message gives a message as the dict that templates know. Empty fields but the content are left out.
func message(m because.Message) (*dict, error) {
	d := newDict()
	role := string(m.Role)
	d.put("role", origin(role, slices.Contains(roles, role)))
	d.put("content", given(m.Content))
	if m.Name != "" {
		d.put("name", given(m.Name))
	}
	if len(m.ToolCalls) > 0 {
		calls := &list{}
		for i, c := range m.ToolCalls {
			call, err := toolCall(c)
			if err != nil {
				return nil, fmt.Errorf("tool_calls[%d].arguments: %w", i, err)
			}
			calls.items = append(calls.items, call)
		}
		d.put("tool_calls", calls)
	}
	if m.ToolCallID != "" {
		d.put("tool_call_id", given(m.ToolCallID))
	}
	return d, nil
}

func toolCall(c because.ToolCall) (*dict, error) {
	var arguments value = newDict()
	if len(c.Arguments) > 0 {
		v, err := decode(c.Arguments)
		if err != nil {
			return nil, err
		}
		arguments = v
	}
	fn := newDict()
	fn.put("name", given(c.Name))
	fn.put("arguments", arguments)
	d := newDict()
	if c.ID != "" {
		d.put("id", given(c.ID))
	}
	d.put("type", given("function"))
	d.put("function", fn)
	return d, nil
}

func tool(t because.Tool) (*dict, error) {
	fn := newDict()
	fn.put("name", given(t.Name))
	if t.Description != "" {
		fn.put("description", given(t.Description))
	}
	if len(t.Parameters) > 0 {
		v, err := decode(t.Parameters)
		if err != nil {
			return nil, err
		}
		fn.put("parameters", v)
	}
	d := newDict()
	d.put("type", given("function"))
	d.put("function", fn)
	return d, nil
}

// plain turns a Go value of JSON's types into the template's; nothing else gets in. Maps come in the order of their
// keys: use json.RawMessage where another order matters.
func plain(v reflect.Value, depth int) (value, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxJSONDepth)
	}
	if !v.IsValid() {
		return nil, nil
	}
	switch raw := v.Interface().(type) {
	case json.RawMessage:
		return decode(raw)
	case json.Number:
		return decodeNumber(raw.String())
	}
	switch v.Kind() {
	case reflect.Interface:
		return plain(v.Elem(), depth+1)
	case reflect.Bool:
		return v.Bool(), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), nil
	case reflect.Float32, reflect.Float64:
		return v.Float(), nil
	case reflect.String:
		return given(v.String()), nil
	case reflect.Slice:
		l := &list{}
		for i := range v.Len() {
			item, err := plain(v.Index(i), depth+1)
			if err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
			l.items = append(l.items, item)
		}
		return l, nil
	case reflect.Map:
		return plainMap(v, depth)
	}
	return nil, fmt.Errorf("a template cannot see a Go value of type %s", v.Type())
}

func plainMap(v reflect.Value, depth int) (value, error) {
	if v.Type().Key().Kind() != reflect.String {
		return nil, fmt.Errorf("a template cannot see a Go value of type %s", v.Type())
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		if a.String() < b.String() {
			return -1
		}
		return 1
	})
	d := newDict()
	for _, k := range keys {
		item, err := plain(v.MapIndex(k), depth+1)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.String(), err)
		}
		d.set(given(k.String()), item)
	}
	return d, nil
}
