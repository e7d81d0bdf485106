package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/model/internal/wire"
)

// encode writes the body of a request, or refuses a request that the API can't carry.
func (m *Model) encode(seed uint64, r because.Request) ([]byte, error) {
	if err := m.check(r); err != nil {
		return nil, err
	}
	tools, err := m.tools.Encode(r.Tools, encodeTools)
	if err != nil {
		return nil, m.client.Refuse(model.Rejected, err, "")
	}
	size := 512 + len(tools)
	for i := range r.Messages {
		size += len(r.Messages[i].Content) + len(r.Messages[i].Native) + 64
	}
	o := wire.Begin(size+size/16, m.extra)
	o.String("model", m.id)
	o.Key("messages")
	if o.Buf, err = m.appendMessages(o.Buf, r); err != nil {
		return nil, m.client.Refuse(model.Rejected, err, "")
	}
	if len(r.Tools) > 0 {
		o.Raw("tools", tools)
		appendChoice(o, r.Choice)
	}
	if r.MaxTokens > 0 {
		o.Int(m.limit, int64(r.MaxTokens))
	}
	if r.Temperature != because.OwnTemperature {
		o.Float("temperature", r.Temperature)
	}
	if r.TopP != 0 && r.TopP != 1 {
		o.Float("top_p", r.TopP)
	}
	if len(r.Stop) > 0 {
		o.Strings("stop", r.Stop)
	}
	if !m.options.noSeed {
		o.Int("seed", seed31(seed))
	}
	if r.Effort != "" {
		o.String("reasoning_effort", r.Effort)
	}
	if r.Format != nil {
		m.appendFormat(o, r.Format)
	}
	if r.Prefill != "" && m.options.proceed {
		o.Raw("continue_final_message", []byte("true"))
		o.Raw("add_generation_prompt", []byte("false"))
	}
	return o.End(), nil
}

// check refuses what can't be asked for over this API.
func (m *Model) check(r because.Request) error {
	switch {
	case len(r.Messages) == 0:
		return m.client.Refuse(model.Rejected, errors.New("the request has no messages"), "")
	case r.As != "":
		return m.client.Refuse(model.Rejected, fmt.Errorf("a served model has no persona %q of its own", r.As), "say in the system message who answers")
	case r.Prefill != "" && m.official:
		return m.client.Refuse(model.Rejected, errors.New("OpenAI's models do not continue a given answer"), "leave the prefill out, or ask for a format")
	case !wire.Finite(r.Temperature) || !wire.Finite(r.TopP):
		return m.client.Refuse(model.Rejected, fmt.Errorf("temperature %v, top p %v", r.Temperature, r.TopP), "both must be numbers")
	case r.Format != nil && !json.Valid(r.Format.Schema):
		return m.client.Refuse(model.Rejected, fmt.Errorf("the schema %q is no JSON", r.Format.Name), "")
	}
	return nil
}

// seed31 folds a seed to 31 bits; one that fits stays as it is. The mixing is the finalizer of SplitMix64.
func seed31(seed uint64) int64 {
	if seed>>31 == 0 {
		return int64(seed)
	}
	seed = (seed ^ seed>>30) * 0xbf58476d1ce4e5b9
	seed = (seed ^ seed>>27) * 0x94d049bb133111eb
	return int64(seed >> 33)
}

// encodeTools writes the list of tools.
func encodeTools(tools []because.Tool) ([]byte, error) {
	buf := []byte("[")
	for i, t := range tools {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = wire.AppendString(append(buf, `{"type":"function","function":{"name":`...), t.Name)
		if t.Description != "" {
			buf = wire.AppendString(append(buf, `,"description":`...), t.Description)
		}
		if len(t.Parameters) > 0 {
			if !json.Valid(t.Parameters) {
				return nil, fmt.Errorf("the parameters of tool %q are no JSON", t.Name)
			}
			buf = append(append(buf, `,"parameters":`...), t.Parameters...)
		}
		buf = append(buf, "}}"...)
	}
	return append(buf, ']'), nil
}

func appendChoice(o *wire.Object, choice string) {
	switch choice {
	case "", "auto": // what servers do unasked
	case "none", "required":
		o.String("tool_choice", choice)
	default:
		if o.Key("tool_choice") {
			o.Buf = append(wire.AppendString(append(o.Buf, `{"type":"function","function":{"name":`...), choice), "}}"...)
		}
	}
}

// appendFormat asks for a strict answer where the schema is one that strict answers can follow.
func (m *Model) appendFormat(o *wire.Object, f *because.Schema) {
	if !o.Key("response_format") {
		return
	}
	o.Buf = wire.AppendString(append(o.Buf, `{"type":"json_schema","json_schema":{"name":`...), identifier(f.Name, "answer"))
	o.Buf = append(append(o.Buf, `,"schema":`...), f.Schema...)
	if m.schemas.Obey(f.Schema) {
		o.Buf = append(o.Buf, `,"strict":true`...)
	}
	o.Buf = append(o.Buf, "}}"...)
}

// identifier makes a name of at most 64 letters, digits, dashes and underscores, as the API wants names.
func identifier(name, empty string) string {
	clean := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	if clean == "" {
		return empty
	}
	return clean[:min(len(clean), 64)]
}

// appendMessages writes the conversation, and the start of the answer as its last message.
func (m *Model) appendMessages(buf []byte, r because.Request) ([]byte, error) {
	buf = append(buf, '[')
	for i := range r.Messages {
		if i > 0 {
			buf = append(buf, ',')
		}
		var err error
		if buf, err = m.appendMessage(buf, &r.Messages[i]); err != nil {
			return nil, fmt.Errorf("message %d: %w", i+1, err)
		}
	}
	if r.Prefill != "" {
		buf = append(wire.AppendString(append(buf, `,{"role":"assistant","content":`...), r.Prefill), '}')
	}
	return append(buf, ']'), nil
}

func (m *Model) appendMessage(buf []byte, t *because.Message) ([]byte, error) {
	switch t.Role {
	case because.RoleSystem, because.RoleUser, because.RoleAssistant, because.RoleTool:
	default:
		return nil, fmt.Errorf("the role %q is none of system, user, assistant and tool", t.Role)
	}
	if t.Role == because.RoleAssistant {
		if native := ownTurn(t); native != nil {
			return append(buf, native...), nil
		}
	}
	buf = append(append(append(buf, `{"role":"`...), t.Role...), '"')
	if t.Name != "" && t.Role != because.RoleTool {
		buf = wire.AppendString(append(buf, `,"name":`...), identifier(t.Name, ""))
	}
	if t.Role == because.RoleTool {
		buf = wire.AppendString(append(buf, `,"tool_call_id":`...), t.ToolCallID)
	}
	if t.Content == "" && len(t.ToolCalls) > 0 {
		buf = append(buf, `,"content":null`...)
	} else {
		buf = wire.AppendString(append(buf, `,"content":`...), t.Content)
	}
	if t.Role == because.RoleAssistant && t.Reasoning != "" && m.options.reasoning != "" {
		buf = append(wire.AppendString(append(buf, ','), m.options.reasoning), ':')
		buf = wire.AppendString(buf, t.Reasoning)
	}
	if t.Role == because.RoleAssistant && len(t.ToolCalls) > 0 {
		buf = m.appendCalls(append(buf, `,"tool_calls":`...), t.ToolCalls)
	}
	return append(buf, '}'), nil
}

// appendCalls writes an earlier turn's calls. OpenAI gets wrong arguments back as the model wrote them; other servers parse them
// for their templates and would refuse the whole conversation, so that these get them wrapped in an object.
func (m *Model) appendCalls(buf []byte, calls []because.ToolCall) []byte {
	buf = append(buf, '[')
	for i, c := range calls {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = wire.AppendString(append(buf, `{"id":`...), c.ID)
		buf = wire.AppendString(append(buf, `,"type":"function","function":{"name":`...), c.Name)
		arguments, wrong := wire.Wrong(c.Arguments)
		if !wrong || !m.official {
			arguments = string(wire.AppendInput(nil, c.Arguments))
		}
		buf = wire.AppendString(append(buf, `,"arguments":`...), arguments)
		buf = append(buf, "}}"...)
	}
	return append(buf, ']')
}
