package anthropic

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/model/modeltest"
)

type cacheControl struct {
	Type string `json:"type"`
}

// part is a block of a request; others' fields are an error.
type part struct {
	Type    string          `json:"type"`
	Text    string          `json:"text"`
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Input   json.RawMessage `json:"input"`
	Of      string          `json:"tool_use_id"`
	Content string          `json:"content"`
	Cache   *cacheControl   `json:"cache_control"`
}

// request is what the server reads.
type request struct {
	Model    string `json:"model"`
	Max      int    `json:"max_tokens"`
	System   []part `json:"system"`
	Messages []struct {
		Role    string `json:"role"`
		Content []part `json:"content"`
	} `json:"messages"`
	Tools []struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Schema      json.RawMessage `json:"input_schema"`
		Cache       *cacheControl   `json:"cache_control"`
	} `json:"tools"`
	Choice *struct {
		Type string `json:"type"`
		Name string `json:"name"`
	} `json:"tool_choice"`
	Temperature *float64 `json:"temperature"`
	TopP        float64  `json:"top_p"`
	Stop        []string `json:"stop_sequences"`
	Thinking    *struct {
		Type    string `json:"type"`
		Display string `json:"display"`
	} `json:"thinking"`
	Config struct {
		Effort string `json:"effort"`
		Format *struct {
			Type   string          `json:"type"`
			Schema json.RawMessage `json:"schema"`
		} `json:"format"`
	} `json:"output_config"`
}

// asked reads a request as the provider's server does.
func asked(r *http.Request, body []byte) (modeltest.Asked, error) {
	var q request
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return modeltest.Asked{}, err
	}
	if r.Method != http.MethodPost || r.URL.Path != "/v1/messages" || r.Header.Get("Anthropic-Version") != "2023-06-01" || r.Header.Get("Content-Type") != "application/json" {
		return modeltest.Asked{}, errors.New("not a request of messages")
	}
	if q.Max < 1 {
		return modeltest.Asked{}, errors.New("max_tokens: Field required")
	}
	out := because.Request{MaxTokens: q.Max, TopP: q.TopP, Stop: q.Stop, Effort: q.Config.Effort, Temperature: because.OwnTemperature}
	if q.Temperature != nil {
		out.Temperature = *q.Temperature
	}
	for _, s := range q.System {
		out.Messages = append(out.Messages, because.Message{Role: because.RoleSystem, Content: s.Text})
	}
	var err error
	for i, m := range q.Messages {
		if i > 0 && m.Role == q.Messages[i-1].Role {
			err = fmt.Errorf("two turns of %s in a row", m.Role)
		}
		if i > 0 && i == len(q.Messages)-1 && m.Role == "assistant" {
			out.Prefill = m.Content[0].Text
			break
		}
		out.Messages = append(out.Messages, turnsOf(m.Role, m.Content)...)
	}
	for _, t := range q.Tools {
		out.Tools = append(out.Tools, because.Tool{Name: t.Name, Description: t.Description, Parameters: t.Schema})
	}
	if q.Choice != nil {
		out.Choice = map[string]string{"any": "required", "none": "none", "tool": q.Choice.Name}[q.Choice.Type]
	}
	if q.Config.Format != nil {
		out.Format = &because.Schema{Schema: q.Config.Format.Schema}
	}
	return modeltest.Asked{Request: out, Key: r.Header.Get("X-Api-Key")}, err
}

// turnsOf parts a turn: the results of tools, and one message of the rest.
func turnsOf(role string, blocks []part) []because.Message {
	var out []because.Message
	var m because.Message
	for _, b := range blocks {
		switch b.Type {
		case "tool_result":
			out = append(out, because.Message{Role: because.RoleTool, ToolCallID: b.Of, Content: b.Content})
		case "text":
			m.Role = because.Role(role)
			m.Content += b.Text
		case "tool_use":
			m.Role = because.Role(role)
			m.ToolCalls = append(m.ToolCalls, because.ToolCall{ID: b.ID, Name: b.Name, Arguments: b.Input})
		}
	}
	if m.Role != "" {
		out = append(out, m)
	}
	return out
}

// reply writes an answer as the provider's server does.
func reply(w http.ResponseWriter, _ modeltest.Asked, a because.Response) {
	blocks := []any{}
	if a.Reasoning != "" {
		blocks = append(blocks, map[string]any{"type": "thinking", "thinking": a.Reasoning, "signature": "c2ln"})
	}
	if a.Text != "" {
		blocks = append(blocks, map[string]any{"type": "text", "text": a.Text})
	}
	for _, c := range a.Calls {
		blocks = append(blocks, map[string]any{"type": "tool_use", "id": c.ID, "name": c.Name, "input": c.Arguments})
	}
	stop := map[because.StopReason]string{because.StopEnd: "end_turn", because.StopLength: "max_tokens", because.StopCalls: "tool_use", because.StopFilter: "refusal"}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-6", "content": blocks, "stop_reason": stop[a.Stop],
		"usage": map[string]any{"input_tokens": a.Usage.Input, "output_tokens": a.Usage.Output},
	})
}

// fault words an error as the provider does.
func fault(f modeltest.Fault) []byte {
	kind := map[int]string{401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error", 500: "api_error"}[f.Status]
	if kind == "" {
		kind = "invalid_request_error"
	}
	text := f.Text
	switch f.Kind {
	case model.TooLong:
		text = "prompt is too long: 210000 tokens > 200000 maximum. " + text
	case model.NoTools:
		text = "claude-2 does not support tools. " + text
	case model.Filtered:
		text = "Output blocked by content filtering policy. " + text
	case model.Overloaded:
		kind = "api_error"
	}
	body, _ := json.Marshal(map[string]any{"type": "error", "error": map[string]any{"type": kind, "message": text}, "request_id": "req_1"})
	return body
}

func TestContract(t *testing.T) {
	modeltest.Run(t, func(t *testing.T, s *modeltest.Script) because.Chat {
		url := modeltest.Serve(t, s, modeltest.Wire{Asked: asked, Reply: reply, Error: fault})
		m, err := New(Options{Model: "claude-opus-4-6", BaseURL: url + "/v1", Key: modeltest.Key})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}, modeltest.Personas)
}
