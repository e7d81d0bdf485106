package serve

import (
	"strings"

	"github.com/because-lab/because"
)

// decodeMessages reads the conversation and checks that tools' answers belong to calls.
func decodeMessages(o object, q *chatRequest) error {
	f, err := o.need("messages")
	if err != nil {
		return err
	}
	called := map[string]bool{}
	err = f.each(func(e *field) error {
		m, err := decodeMessage(e)
		if err != nil {
			return err
		}
		for _, c := range m.ToolCalls {
			called[c.ID] = true
		}
		if m.Role == because.RoleTool && !called[m.ToolCallID] {
			return e.invalid("answers the tool call %q, which no message before it makes", m.ToolCallID)
		}
		q.input.Messages = append(q.input.Messages, m)
		return nil
	})
	if err == nil && len(q.input.Messages) == 0 {
		err = f.invalid("is empty")
	}
	return err
}

// decodeMessage reads one message. Clients send answers back as they got them, so an assistant's message may
// have the fields of an answer; its reasoning is not shown to the model again.
func decodeMessage(f *field) (because.Message, error) {
	var m because.Message
	o, err := f.object()
	if err != nil {
		return m, err
	}
	if m.Role, err = decodeRole(o); err != nil {
		return m, err
	}
	if err := optional(o, "name", &m.Name, (*field).text); err != nil {
		return m, err
	}
	content := o.take("content")
	if content != nil {
		if m.Content, err = decodeContent(content); err != nil {
			return m, err
		}
	}
	switch m.Role {
	case because.RoleAssistant:
		err = decodeAssistant(o, &m)
	case because.RoleTool:
		var id *field
		if id, err = o.need("tool_call_id"); err == nil {
			m.ToolCallID, err = id.text()
		}
	}
	if err != nil {
		return m, err
	}
	if content == nil && len(m.ToolCalls) == 0 {
		_, err := o.need("content")
		return m, err
	}
	return m, o.done()
}

// decodeRole reads a message's role; developer is the newer name of system.
func decodeRole(o object) (because.Role, error) {
	f, err := o.need("role")
	if err != nil {
		return "", err
	}
	s, err := f.text()
	if err != nil {
		return "", err
	}
	switch role := because.Role(s); role {
	case because.RoleSystem, because.RoleUser, because.RoleAssistant, because.RoleTool:
		return role, nil
	case "developer":
		return because.RoleSystem, nil
	}
	return "", f.invalid("%q is none of system, developer, user, assistant, tool", s)
}

// decodeContent reads a text, or a list of parts that are texts, which are joined.
func decodeContent(f *field) (string, error) {
	if f.isString() {
		return f.text()
	}
	if !f.isArray() {
		return "", f.wrongType("a string or an array of parts")
	}
	var b strings.Builder
	err := f.each(func(e *field) error {
		part, err := e.object()
		if err != nil {
			return err
		}
		if err := wantType(part, "text"); err != nil {
			return err
		}
		text, err := part.need("text")
		if err != nil {
			return err
		}
		s, err := text.text()
		if err != nil {
			return err
		}
		b.WriteString(s)
		return part.done()
	})
	return b.String(), err
}

func decodeAssistant(o object, m *because.Message) error {
	for _, name := range []string{"reasoning_content", "reasoning", "annotations"} {
		o.take(name)
	}
	for _, name := range []string{"refusal", "audio", "function_call"} {
		if f := o.take(name); f != nil {
			return f.unsupported("is not supported")
		}
	}
	f := o.take("tool_calls")
	if f == nil {
		return nil
	}
	return f.each(func(e *field) error {
		call, err := decodeCall(e)
		m.ToolCalls = append(m.ToolCalls, call)
		return err
	})
}

func decodeCall(f *field) (because.ToolCall, error) {
	o, function, name, err := decodeFunction(f)
	if err != nil {
		return because.ToolCall{}, err
	}
	call := because.ToolCall{Name: name}
	id, err := o.need("id")
	if err != nil {
		return call, err
	}
	if call.ID, err = id.text(); err != nil {
		return call, err
	}
	arguments, err := function.need("arguments")
	if err != nil {
		return call, err
	}
	if call.Arguments, err = decodeArguments(arguments); err != nil {
		return call, err
	}
	o.take("index") // a part of streamed calls that some clients send back
	if err := function.done(); err != nil {
		return call, err
	}
	return call, o.done()
}
