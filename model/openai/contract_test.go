package openai

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

// request is what a server reads, field by field; others are an error.
type request struct {
	Model    string `json:"model"`
	Messages []struct {
		Role    string  `json:"role"`
		Content *string `json:"content"`
		Name    string  `json:"name"`
		ID      string  `json:"tool_call_id"`
		Calls   []struct {
			ID       string `json:"id"`
			Type     string `json:"type"`
			Function struct {
				Name      string `json:"name"`
				Arguments string `json:"arguments"`
			} `json:"function"`
		} `json:"tool_calls"`
	} `json:"messages"`
	Tools []struct {
		Type     string       `json:"type"`
		Function because.Tool `json:"function"`
	} `json:"tools"`
	Choice      json.RawMessage `json:"tool_choice"`
	MaxTokens   int             `json:"max_tokens"`
	MaxNew      int             `json:"max_completion_tokens"`
	Temperature *float64        `json:"temperature"`
	TopP        float64         `json:"top_p"`
	Stop        []string        `json:"stop"`
	Seed        int64           `json:"seed"`
	Effort      string          `json:"reasoning_effort"`
	Format      *struct {
		Type   string `json:"type"`
		Schema struct {
			because.Schema
			Strict bool `json:"strict"`
		} `json:"json_schema"`
	} `json:"response_format"`
}

// asked reads a request as a compatible server does.
func asked(r *http.Request, body []byte) (modeltest.Asked, error) {
	var q request
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return modeltest.Asked{}, err
	}
	key, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if r.Method != http.MethodPost || r.URL.Path != "/v1/chat/completions" || r.Header.Get("Content-Type") != "application/json" || !bearer {
		return modeltest.Asked{}, errors.New("not a request for a chat completion")
	}
	out := because.Request{MaxTokens: q.MaxTokens, TopP: q.TopP, Stop: q.Stop, Effort: q.Effort, Temperature: because.OwnTemperature}
	if q.Temperature != nil {
		out.Temperature = *q.Temperature
	}
	for i, m := range q.Messages {
		text := ""
		if m.Content != nil {
			text = *m.Content
		}
		if i > 0 && i == len(q.Messages)-1 && m.Role == "assistant" {
			out.Prefill = text
			break
		}
		turn := because.Message{Role: because.Role(m.Role), Content: text, ToolCallID: m.ID}
		for _, c := range m.Calls {
			turn.ToolCalls = append(turn.ToolCalls, because.ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: json.RawMessage(c.Function.Arguments)})
		}
		out.Messages = append(out.Messages, turn)
	}
	for _, t := range q.Tools {
		out.Tools = append(out.Tools, t.Function)
	}
	if len(q.Choice) > 0 && json.Unmarshal(q.Choice, &out.Choice) != nil {
		var named struct{ Function struct{ Name string } }
		if err := json.Unmarshal(q.Choice, &named); err != nil {
			return modeltest.Asked{}, err
		}
		out.Choice = named.Function.Name
	}
	if q.Format != nil {
		out.Format = &because.Schema{Name: q.Format.Schema.Name, Schema: q.Format.Schema.Schema.Schema}
	}
	return modeltest.Asked{Request: out, Key: key}, nil
}

// reply writes an answer as a compatible server does.
func reply(w http.ResponseWriter, _ modeltest.Asked, a because.Response) {
	m := map[string]any{"role": "assistant", "content": a.Text}
	if a.Reasoning != "" {
		m["reasoning_content"] = a.Reasoning
	}
	var calls []any
	for i, c := range a.Calls {
		calls = append(calls, map[string]any{"index": i, "id": c.ID, "type": "function", "function": map[string]any{"name": c.Name, "arguments": string(c.Arguments)}})
	}
	if calls != nil {
		m["tool_calls"] = calls
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"id": "chatcmpl-1", "object": "chat.completion", "model": "m-1",
		"choices": []any{map[string]any{"index": 0, "message": m, "finish_reason": string(a.Stop), "logprobs": nil}},
		"usage":   map[string]any{"prompt_tokens": a.Usage.Input, "completion_tokens": a.Usage.Output, "total_tokens": a.Usage.Input + a.Usage.Output},
	})
}

// fault words an error as OpenAI and vLLM do.
func fault(f modeltest.Fault) []byte {
	kind, code, text := "invalid_request_error", any(nil), f.Text
	switch f.Kind {
	case model.TooLong:
		code, text = "context_length_exceeded", "This model's maximum context length is 8192 tokens. "+text
	case model.NoTools:
		code, text = 400, `"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set. `+text
	case model.Filtered:
		code = "content_filter"
	case model.Overloaded:
		kind = "server_error"
	}
	body, _ := json.Marshal(map[string]any{"error": map[string]any{"message": text, "type": kind, "param": nil, "code": code}})
	return body
}

func TestContract(t *testing.T) {
	modeltest.Run(t, func(t *testing.T, s *modeltest.Script) because.Chat {
		url := modeltest.Serve(t, s, modeltest.Wire{Asked: asked, Reply: reply, Error: fault})
		m, err := New(Options{Name: "served/m", Model: "m", BaseURL: url + "/v1/", Key: modeltest.Key})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}, modeltest.Personas)
}

// TestOfficial checks what OpenAI's own servers get differently.
func TestOfficial(t *testing.T) {
	m, err := New(Options{Model: "gpt-5", Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	if m.Name() != "openai/gpt-5" {
		t.Error(m.Name())
	}
	r := because.Request{Messages: []because.Message{{Role: because.RoleUser, Content: "hi"}}, MaxTokens: 5, Temperature: because.OwnTemperature}
	body, err := m.encode(3, r)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"model":"gpt-5","messages":[{"role":"user","content":"hi"}],"max_completion_tokens":5,"seed":3}`; string(body) != want {
		t.Errorf("%s, want %s", body, want)
	}
	r.Prefill = "Well"
	if _, err := m.encode(3, r); model.KindOf(err) != model.Rejected || because.Hint(err) == "" {
		t.Errorf("a prefill gave %v", err)
	}
	for id, want := range map[string]bool{"o3": true, "o4-mini": true, "gpt-5.4-nano": true, "gpt-oss-20b": false, "o30": false, "openai/gpt-5": false, "gpt-4o": false} {
		if reasons(id) != want {
			t.Errorf("%s: reasons is %v", id, !want)
		}
	}
	for host, want := range map[string]bool{"api.openai.com": true, "eu.api.openai.com": true, "x.openai.azure.com": true, "api.openai.com.evil.net": false, "localhost": false} {
		if isOpenAI(host) != want {
			t.Errorf("%s: official is %v", host, !want)
		}
	}
}

// TestSecrets prints everything in every way.
func TestSecrets(t *testing.T) {
	const key = "sk-very-secret-key"
	o := Options{Model: "m", BaseURL: "https://me:hunter22@localhost/v1?k=hunter22", Key: key, Headers: map[string]string{"X-Other": "hunter22"}}
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	js, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	js = []byte(strings.ReplaceAll(string(js), o.BaseURL, "")) // what a user writes into a URL is not a key
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s %q", o, o, o, o, o), fmt.Sprintf("%+v %#v %v", &o, &o, []Options{o}), fmt.Sprintf("%v %+v %#v %s %s", m, m, m, m, m.Identity()), string(js)} {
		if strings.Contains(text, key) || strings.Contains(text, "hunter22") {
			t.Errorf("a secret stands in %s", text)
		}
	}
	if _, err := New(Options{Model: "m", Key: "a\r\nb"}); err == nil || strings.Contains(err.Error(), "a\r") {
		t.Errorf("a key with a line break gives %v", err)
	}
	_, err = New(Options{Model: "m", BaseURL: "localhost:8000/v1", Extra: nil})
	if err == nil {
		t.Error("a base URL without a scheme was taken")
	}
	for _, name := range []string{"model", "messages", "stream"} {
		if _, err := New(Options{Model: "m", Extra: map[string]any{name: 1}}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the extra field %s gives %v", name, err)
		}
	}
	if other, err := New(Options{Model: "m", BaseURL: o.BaseURL, Extra: map[string]any{"top_k": 3}}); err != nil || other.Identity() == m.Identity() {
		t.Errorf("extra fields make no other identity: %v", err)
	}
	if m.client.Base() != "https://localhost/v1" {
		t.Error("the base URL keeps its password")
	}
}
