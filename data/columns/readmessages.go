package columns

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/because-lab/because"
)

// messageIn is a message as chat APIs and TRL write it; calls are wrapped in "function" or flat.
type messageIn struct {
	Role       string          `json:"role"`
	Content    json.RawMessage `json:"content"`
	Reasoning  string          `json:"reasoning_content"`
	Name       string          `json:"name"`
	ToolCalls  []callIn        `json:"tool_calls"`
	ToolCallID string          `json:"tool_call_id"`
}

type callIn struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
	Function  *struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

// readMessages reads a list of messages, or a plain string as a message of a role where the column may be one.
func readMessages(column string, raw json.RawMessage, role because.Role) ([]because.Message, *fault) {
	var text string
	if role != "" && json.Unmarshal(raw, &text) == nil {
		return []because.Message{{Role: role, Content: text}}, nil
	}
	var list []messageIn
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, faultf(column, "it is no list of messages: %w", err)
	}
	out := make([]because.Message, len(list))
	for i, m := range list {
		var err error
		if out[i], err = m.message(); err != nil {
			return nil, &fault{fmt.Sprintf("%s[%d]", column, i), err}
		}
	}
	if len(out) == 0 {
		return nil, faultf(column, "there are no messages")
	}
	return out, nil
}

func (m messageIn) message() (because.Message, error) {
	out := because.Message{Role: because.Role(m.Role), Name: m.Name, ToolCallID: m.ToolCallID, Reasoning: m.Reasoning}
	if out.Role == "developer" {
		out.Role = because.RoleSystem
	}
	var err error
	if out.Content, err = content(m.Content); err != nil {
		return out, err
	}
	for i, c := range m.ToolCalls {
		call, err := c.call()
		if err != nil {
			return out, fmt.Errorf("tool_calls[%d]: %w", i, err)
		}
		out.ToolCalls = append(out.ToolCalls, call)
	}
	return out, nil
}

// content reads a string, null, or a list of text parts.
func content(raw json.RawMessage) (string, error) {
	var text string
	if !present(raw) || json.Unmarshal(raw, &text) == nil {
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

// call reads a call, whose arguments are an object or a string that holds one.
func (c callIn) call() (because.ToolCall, error) {
	out := because.ToolCall{ID: c.ID, Name: c.Name, Arguments: c.Arguments}
	if c.Function != nil {
		out.Name, out.Arguments = c.Function.Name, c.Function.Arguments
	}
	if !present(out.Arguments) {
		out.Arguments = json.RawMessage("{}")
	}
	var text string
	if json.Unmarshal(out.Arguments, &text) == nil {
		out.Arguments = json.RawMessage(text)
	}
	out.Arguments = bytes.TrimSpace(out.Arguments)
	if out.Name == "" || !isObject(out.Arguments) {
		return out, errors.New("it needs a name, and arguments that are a JSON object")
	}
	return out, nil
}

// readTools reads definitions, wrapped in "function" or flat, as a list or as a string that holds one.
func readTools(raw json.RawMessage) ([]because.Tool, *fault) {
	var text string
	if present(raw) && json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	if !present(raw) {
		return nil, nil
	}
	var list []struct {
		because.Tool
		Function *because.Tool `json:"function"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, faultf("tools", "they are no list of definitions: %w", err)
	}
	var out []because.Tool
	for _, t := range list {
		if t.Function != nil {
			t.Tool = *t.Function
		}
		out = append(out, t.Tool)
	}
	return out, nil
}
