package anthropic

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/model/internal/wire"
)

// mark ends a block up to which the prompt is kept in the provider's cache.
const mark = `,"cache_control":{"type":"ephemeral"}`

// encode writes the body of a request, or refuses a request that the API can't carry.
func (m *Model) encode(r because.Request) ([]byte, error) {
	if err := m.check(r); err != nil {
		return nil, err
	}
	system, turns := splitSystem(r.Messages)
	cached := m.caches(r)
	tools, err := m.encodeTools(r, cached && len(system) == 0)
	if err != nil {
		return nil, m.client.Refuse(model.Rejected, err, "")
	}
	size := 512 + len(tools)
	for i := range r.Messages {
		size += len(r.Messages[i].Content) + len(r.Messages[i].Native) + 64
	}
	o := wire.Begin(size+size/16, m.extra)
	o.String("model", m.id)
	limit := r.MaxTokens
	if limit <= 0 {
		limit = m.ability.maxTokens
	}
	o.Int("max_tokens", int64(limit))
	if len(tools) > 0 {
		o.Raw("tools", tools)
	}
	m.appendChoice(o, r)
	appendSystem(o, system, cached)
	o.Key("messages")
	w := writer{buf: append(o.Buf, '['), cached: cached}
	if err := w.turns(turns, r.Prefill); err != nil {
		return nil, m.client.Refuse(model.Rejected, err, "")
	}
	o.Buf = append(w.buf, ']')
	if r.Effort == "" {
		appendSampling(o, r)
	}
	if len(r.Stop) > 0 {
		o.Strings("stop_sequences", r.Stop)
	}
	if err := m.appendThinking(o, r, limit); err != nil {
		return nil, err
	}
	return o.End(), nil
}

// check refuses what can't be asked for over this API.
func (m *Model) check(r because.Request) error {
	refuse := func(hint, format string, args ...any) error {
		return m.client.Refuse(model.Rejected, fmt.Errorf(format, args...), hint)
	}
	switch {
	case r.As != "":
		return refuse("say in the system message who answers", "a served model has no persona %q of its own", r.As)
	case r.Prefill != "" && r.Effort != "":
		return refuse("leave one of them out", "a model that thinks first can't continue a given answer")
	case !wire.Finite(r.Temperature) || !wire.Finite(r.TopP):
		return refuse("both must be numbers", "temperature %v, top p %v", r.Temperature, r.TopP)
	case r.Format != nil && !json.Valid(r.Format.Schema):
		return refuse("", "the schema %q is no JSON", r.Format.Name)
	case r.Format != nil && !m.follows(r.Format) && (len(r.Tools) > 0 || r.Prefill != "" || r.Effort != ""):
		return refuse("close its objects with additionalProperties false and keep to plain types, on a model from Claude 4.5 on",
			"this model can follow the schema %q only by a forced call, which leaves no room for tools, effort or a prefill", r.Format.Name)
	}
	return nil
}

// follows tells whether the model can follow a schema without the detour of a tool.
func (m *Model) follows(f *because.Schema) bool {
	return m.ability.structured && m.schemas.Obey(f.Schema)
}

// caches tells whether the request's prompt is marked for the provider's cache.
func (m *Model) caches(r because.Request) bool {
	if m.cache != CacheAuto {
		return m.cache == CacheAlways
	}
	if len(r.Tools) > 0 {
		return true
	}
	for i := range r.Messages {
		if r.Messages[i].Role == because.RoleAssistant {
			return true
		}
	}
	return false
}

// splitSystem parts the system messages at the head of a conversation, which the API wants apart, from its turns.
func splitSystem(messages []because.Message) (system, turns []because.Message) {
	n := 0
	for n < len(messages) && messages[n].Role == because.RoleSystem {
		n++
	}
	return messages[:n], messages[n:]
}

// appendSystem writes the system prompt, one block for each message that is not empty.
func appendSystem(o *wire.Object, system []because.Message, cached bool) {
	last := -1
	for i, s := range system {
		if strings.TrimSpace(s.Content) != "" {
			last = i
		}
	}
	if last < 0 || !o.Key("system") {
		return
	}
	o.Buf = append(o.Buf, '[')
	first := true
	for i, s := range system[:last+1] {
		if strings.TrimSpace(s.Content) == "" {
			continue
		}
		if !first {
			o.Buf = append(o.Buf, ',')
		}
		first = false
		o.Buf = wire.AppendString(append(o.Buf, `{"type":"text","text":`...), s.Content)
		if cached && i == last {
			o.Buf = append(o.Buf, mark...)
		}
		o.Buf = append(o.Buf, '}')
	}
	o.Buf = append(o.Buf, ']')
}

// answerTool gives the name of the tool through which a model gives an answer that must follow a schema.
func answerTool(f *because.Schema) string {
	if f.Name == "" {
		return "answer"
	}
	return identifier(f.Name)
}

// identifier makes a name or an ID of letters, digits, dashes and underscores, as the API wants them.
func identifier(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, s)
}

// encodeTools writes the tools, and the one that takes the answer where there must be one. A mark ends the last.
func (m *Model) encodeTools(r because.Request, marked bool) ([]byte, error) {
	tools := r.Tools
	if r.Format != nil && !m.follows(r.Format) {
		tools = []because.Tool{{Name: answerTool(r.Format), Description: "Give the answer.", Parameters: r.Format.Schema}}
	}
	if len(tools) == 0 {
		return nil, nil
	}
	if marked {
		return m.marked.Encode(tools, func(t []because.Tool) ([]byte, error) { return appendTools(t, mark) })
	}
	return m.tools.Encode(tools, func(t []because.Tool) ([]byte, error) { return appendTools(t, "") })
}

func appendTools(tools []because.Tool, end string) ([]byte, error) {
	buf := []byte("[")
	for i, t := range tools {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = wire.AppendString(append(buf, `{"name":`...), t.Name)
		if t.Description != "" {
			buf = wire.AppendString(append(buf, `,"description":`...), t.Description)
		}
		schema := t.Parameters
		if len(schema) == 0 {
			schema = json.RawMessage(`{"type":"object"}`)
		}
		if !json.Valid(schema) {
			return nil, fmt.Errorf("the parameters of tool %q are no JSON", t.Name)
		}
		buf = append(append(buf, `,"input_schema":`...), schema...)
		if i == len(tools)-1 {
			buf = append(buf, end...)
		}
		buf = append(buf, '}')
	}
	return append(buf, ']'), nil
}

// appendChoice says how the tools may be used.
func (m *Model) appendChoice(o *wire.Object, r because.Request) {
	kind, name := r.Choice, ""
	switch {
	case r.Format != nil && !m.follows(r.Format):
		kind, name = "tool", answerTool(r.Format)
	case len(r.Tools) == 0, kind == "", kind == "auto":
		return
	case kind == "none":
	case kind == "required":
		kind = "any"
	default:
		kind, name = "tool", r.Choice
	}
	if !o.Key("tool_choice") {
		return
	}
	o.Buf = wire.AppendString(append(o.Buf, `{"type":`...), kind)
	if name != "" {
		o.Buf = wire.AppendString(append(o.Buf, `,"name":`...), name)
	}
	o.Buf = append(o.Buf, '}')
}

func appendSampling(o *wire.Object, r because.Request) {
	if r.Temperature != because.OwnTemperature {
		o.Float("temperature", min(max(r.Temperature, 0), 1))
	}
	if r.TopP != 0 && r.TopP != 1 {
		o.Float("top_p", r.TopP)
	}
}

// appendThinking says how much to think, and which JSON the answer must be.
func (m *Model) appendThinking(o *wire.Object, r because.Request, limit int) error {
	config := make([]string, 0, 2)
	switch {
	case r.Effort == "":
	case m.ability.adaptive:
		o.Raw("thinking", []byte(`{"type":"adaptive","display":"summarized"}`))
		config = append(config, `"effort":`+string(wire.AppendString(nil, r.Effort)))
	default:
		budget, known := budgets[r.Effort]
		if !known {
			return m.client.Refuse(model.Rejected, fmt.Errorf("this model knows no effort %q", r.Effort), "it is one of low, medium and high")
		}
		if limit <= leastBudget {
			return m.client.Refuse(model.Rejected, errors.New("of so few tokens none are left for an answer after thinking"),
				fmt.Sprintf("allow more than %d tokens, or leave the effort out", leastBudget))
		}
		o.Raw("thinking", fmt.Appendf(nil, `{"type":"enabled","budget_tokens":%d}`, min(budget, max(leastBudget, limit/2))))
	}
	if r.Format != nil && m.follows(r.Format) {
		config = append(config, `"format":{"type":"json_schema","schema":`+string(r.Format.Schema)+"}")
	}
	if len(config) > 0 {
		o.Raw("output_config", []byte("{"+strings.Join(config, ",")+"}"))
	}
	return nil
}
