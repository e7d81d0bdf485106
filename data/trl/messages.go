package trl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/because-lab/because"
)

// message is a message as chat APIs and TRL write it.
type message struct {
	Role       string          `json:"role"`
	Content    json.RawMessage `json:"content"`
	Name       string          `json:"name"`
	ToolCalls  []call          `json:"tool_calls"`
	ToolCallID string          `json:"tool_call_id"`
}

// call is a tool call, wrapped in "function" or flat.
type call struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
	Function  *struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

func parseMessages(field string, raw json.RawMessage) ([]because.Message, error) {
	var list []message
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("%s is no list of messages: %w", field, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s is empty", field)
	}
	out := make([]because.Message, len(list))
	for i, m := range list {
		var err error
		if out[i], err = m.message(); err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", field, i, err)
		}
	}
	return out, nil
}

func (m message) message() (because.Message, error) {
	out := because.Message{Role: because.Role(m.Role), Name: m.Name, ToolCallID: m.ToolCallID}
	switch out.Role {
	case because.RoleSystem, because.RoleUser, because.RoleAssistant, because.RoleTool:
	case "developer":
		out.Role = because.RoleSystem
	case "":
		return out, errors.New("role is missing")
	default:
		return out, fmt.Errorf("role %q is none of system, user, assistant, tool", m.Role)
	}
	var err error
	if out.Content, err = content(m.Content); err != nil {
		return out, err
	}
	if len(m.ToolCalls) > 0 && out.Role != because.RoleAssistant {
		return out, fmt.Errorf("the role %s makes no tool calls", out.Role)
	}
	for i, c := range m.ToolCalls {
		parsed, err := c.call()
		if err != nil {
			return out, fmt.Errorf("tool_calls[%d]: %w", i, err)
		}
		out.ToolCalls = append(out.ToolCalls, parsed)
	}
	if out.Content == "" && len(out.ToolCalls) == 0 && out.Role == because.RoleAssistant {
		return out, errors.New("the assistant's turn has neither content nor tool calls")
	}
	return out, nil
}

// content reads a string, null, or a list of text parts.
func content(raw json.RawMessage) (string, error) {
	if !present(raw) {
		return "", nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var parts []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return "", errors.New("content is neither a string nor a list of parts")
	}
	var b strings.Builder
	for i, p := range parts {
		if p.Type != "text" || p.Text == nil {
			return "", fmt.Errorf("content[%d] is of type %q; only text can be trained on", i, p.Type)
		}
		b.WriteString(*p.Text)
	}
	return b.String(), nil
}

// call reads the name and the arguments, which are an object or, as in OpenAI's files, a string that holds one.
func (c call) call() (because.ToolCall, error) {
	out := because.ToolCall{ID: c.ID, Name: c.Name, Arguments: c.Arguments}
	if c.Function != nil {
		out.Name, out.Arguments = c.Function.Name, c.Function.Arguments
	}
	if out.Name == "" {
		return out, errors.New("the name of the function is missing")
	}
	if !present(out.Arguments) {
		out.Arguments = json.RawMessage("{}")
	}
	var text string
	if json.Unmarshal(out.Arguments, &text) == nil {
		out.Arguments = json.RawMessage(text)
	}
	out.Arguments = bytes.TrimSpace(out.Arguments)
	if !json.Valid(out.Arguments) || len(out.Arguments) == 0 || out.Arguments[0] != '{' {
		return out, errors.New("arguments are no JSON object")
	}
	return out, nil
}

// parseTools reads tool definitions, wrapped in "function" or flat; older datasets hold the list in a string.
func parseTools(raw json.RawMessage) ([]because.Tool, error) {
	if !present(raw) {
		return nil, nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if raw = json.RawMessage(text); !present(raw) {
			return nil, nil
		}
	}
	var list []struct {
		because.Tool
		Function *because.Tool `json:"function"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("tools are no list of definitions: %w", err)
	}
	var out []because.Tool
	for i, t := range list {
		tool := t.Tool
		if t.Function != nil {
			tool = *t.Function
		}
		if tool.Name == "" {
			return nil, fmt.Errorf("tools[%d]: the name is missing", i)
		}
		out = append(out, tool)
	}
	return out, nil
}

// checkCalls pairs tool results with calls: a result answers a call of the assistant's turn before it, by its id where it
// has one, and every call that has an id is answered before somebody else speaks, unless the conversation ends there.
func checkCalls(messages []because.Message) error {
	var open []because.ToolCall // calls of the last assistant turn that wait for an answer
	for i, m := range messages {
		switch {
		case m.Role == because.RoleTool:
			var err error
			if open, err = settle(open, m.ToolCallID); err != nil {
				return fmt.Errorf("messages[%d]: %w", i, err)
			}
			continue
		case len(open) > 0:
			return fmt.Errorf("messages[%d]: the call of %s before it has no result", i, open[0].Name)
		}
		open = m.ToolCalls
	}
	return nil
}

// settle removes the call that a result answers: the one with its id, or the first where the result has none.
func settle(open []because.ToolCall, id string) ([]because.ToolCall, error) {
	if len(open) == 0 {
		return nil, errors.New("a tool's result without a call")
	}
	if id == "" {
		return open[1:], nil
	}
	for i, c := range open {
		if c.ID == id || c.ID == "" {
			return append(append([]because.ToolCall{}, open[:i]...), open[i+1:]...), nil
		}
	}
	return nil, fmt.Errorf("tool_call_id %q belongs to no call before it", id)
}
