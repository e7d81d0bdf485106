package openai

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
	"github.com/google/go-cmp/cmp"
)

// TestDecode checks answers in the forms of different servers.
func TestDecode(t *testing.T) {
	end := because.StopEnd
	tests := []struct {
		name, body string
		want       because.Response
	}{
		{"refusal", `{"model":"gpt-x","choices":[{"message":{"content":null,"refusal":"I can't."},"finish_reason":"stop"}]}`, because.Response{Text: "I can't.", Stop: end, Model: "gpt-x"}},
		{"ollama reasoning", `{"choices":[{"message":{"content":"4","reasoning":"2+2"},"finish_reason":"stop"}]}`, because.Response{Text: "4", Reasoning: "2+2", Stop: end}},
		{"mistral parts", `{"choices":[{"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"yes"}]},"finish_reason":"model_length"}]}`,
			because.Response{Text: "yes", Reasoning: "hm", Stop: because.StopLength}},
		{"null everywhere", `{"choices":[{"message":{"content":null,"tool_calls":null,"reasoning_content":null,"refusal":null,"reasoning_details":null},"finish_reason":null}],"usage":null,"error":null}`, because.Response{Stop: end}},
		{"usage", `{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":100,"completion_tokens":30,"total_tokens":130,"prompt_tokens_details":{"cached_tokens":64,"cache_write_tokens":6},"completion_tokens_details":{"reasoning_tokens":20}}}`,
			because.Response{Text: "a", Stop: end, Usage: because.Usage{Input: 30, CacheRead: 64, CacheWrite: 6, Output: 30, Reasoning: 20}}},
		{"usage with reasoning apart", `{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":33,"completion_tokens_details":{"reasoning_tokens":20}}}`,
			because.Response{Text: "a", Stop: end, Usage: because.Usage{Input: 10, Output: 23, Reasoning: 20}}},
		{"usage that is nonsense", `{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":1,"completion_tokens":-3,"prompt_tokens_details":{"cached_tokens":5}}}`,
			because.Response{Text: "a", Stop: end, Usage: because.Usage{CacheRead: 5}}},
		{"calls under stop", `{"choices":[{"message":{"content":"","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]},"finish_reason":"stop"}]}`,
			because.Response{Stop: because.StopCalls, Calls: []because.ToolCall{{ID: "c", Name: "f", Arguments: json.RawMessage(`{"a": 1}`)}}}},
		{"arguments of all kinds", `{"choices":[{"message":{"tool_calls":[
			{"id":"1","function":{"name":"f","arguments":"{\"a\": "}},{"id":"2","function":{"name":"f","arguments":""}},{"id":"3","function":{"name":"f","arguments":{"a":1}}},
			{"id":"4","function":{"name":"f","arguments":"\"text\""}},{"id":"5","function":{"name":"f"}},{"id":"6","function":{"name":"f","arguments":null}},{"id":"7","function":{"name":"f","arguments":"[1]"}}]}}]}`,
			because.Response{Stop: because.StopCalls, Calls: []because.ToolCall{
				{ID: "1", Name: "f", Arguments: json.RawMessage(`"{\"a\": "`)}, {ID: "2", Name: "f", Arguments: json.RawMessage(`{}`)}, {ID: "3", Name: "f", Arguments: json.RawMessage(`{"a":1}`)},
				{ID: "4", Name: "f", Arguments: json.RawMessage(`"\"text\""`)}, {ID: "5", Name: "f", Arguments: json.RawMessage(`{}`)}, {ID: "6", Name: "f", Arguments: json.RawMessage(`{}`)},
				{ID: "7", Name: "f", Arguments: json.RawMessage(`[1]`)}}}},
		{"filter", `{"choices":[{"message":{"content":"so"},"finish_reason":"content_filter"}]}`, because.Response{Text: "so", Stop: because.StopFilter}},
	}
	m := open1(t, "http://localhost/v1")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := m.decode([]byte(tt.body), hello())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestCallIDs checks that calls of a server without IDs get some that differ within an answer and between answers.
func TestCallIDs(t *testing.T) {
	m := open1(t, "http://localhost/v1")
	seen := map[string]bool{}
	for _, answer := range []string{"a", "b"} {
		got, err := m.decode([]byte(`{"id":"`+answer+`","choices":[{"message":{"tool_calls":[{"function":{"name":"f"}},{"function":{"name":"f"}}]}}]}`), hello())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range got.Calls {
			seen[c.ID] = true
		}
	}
	if len(seen) != 4 || seen[""] {
		t.Errorf("the IDs are %v", seen)
	}
}

// TestEncode checks whole requests.
func TestEncode(t *testing.T) {
	ask := func(messages ...because.Message) because.Request {
		return because.Request{Messages: messages, Temperature: because.OwnTemperature}
	}
	format := ask(because.Message{Role: because.RoleUser, Content: "q"})
	format.Format = &because.Schema{Name: "a verdict!", Schema: json.RawMessage(`{"type":"object","properties":{"a":{"type":"string"}}}`)}
	strictly := format
	strictly.Format = &because.Schema{Schema: json.RawMessage(`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}`)}
	prefilled := ask(because.Message{Role: because.RoleUser, Content: "q"})
	prefilled.Prefill = "So "
	tests := []struct {
		name string
		o    Options
		r    because.Request
		want string
	}{
		{"names and bad UTF-8", Options{}, ask(because.Message{Role: because.RoleAssistant, Name: "the kind one", Content: "a\xffb\x01<"}),
			`{"model":"m","messages":[{"role":"assistant","name":"the_kind_one","content":"a` + "\ufffd" + `b\u0001<"}],"seed":9}`},
		{"wrong arguments", Options{NoSeed: true}, ask(because.Message{Role: because.RoleAssistant, ToolCalls: []because.ToolCall{{ID: "1", Name: "f", Arguments: json.RawMessage(`"{\"a\": "`)}, {ID: "2", Name: "f"}}},
			because.Message{Role: because.RoleTool, ToolCallID: "1", Content: "no JSON"}),
			`{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"unparsed\":\"{\\\"a\\\": \"}"}},{"id":"2","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"no JSON"}]}`},
		{"wrong arguments to OpenAI", Options{NoSeed: true, BaseURL: DefaultBaseURL}, ask(because.Message{Role: because.RoleAssistant, ToolCalls: []because.ToolCall{{ID: "1", Name: "f", Arguments: json.RawMessage(`"{\"a\": "`)}}}),
			`{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\": "}}]}]}`},
		{"extra fields replace", Options{Extra: map[string]any{"seed": 1, "a": []int{2}}}, ask(because.Message{Role: because.RoleUser, Content: "q"}),
			`{"model":"m","messages":[{"role":"user","content":"q"}],"a":[2],"seed":1}`},
		{"reasoning back", Options{NoSeed: true, ReasoningField: "reasoning_content"}, ask(because.Message{Role: because.RoleAssistant, Content: "a", Reasoning: "r"}),
			`{"model":"m","messages":[{"role":"assistant","content":"a","reasoning_content":"r"}]}`},
		{"format", Options{NoSeed: true}, format, `{"model":"m","messages":[{"role":"user","content":"q"}],"response_format":{"type":"json_schema","json_schema":{"name":"a_verdict_","schema":{"type":"object","properties":{"a":{"type":"string"}}}}}}`},
		{"strict format", Options{NoSeed: true}, strictly, `{"model":"m","messages":[{"role":"user","content":"q"}],"response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false},"strict":true}}}`},
		{"continued", Options{NoSeed: true, Continue: true}, prefilled, `{"model":"m","messages":[{"role":"user","content":"q"},{"role":"assistant","content":"So "}],"continue_final_message":true,"add_generation_prompt":false}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Model = "m"
			if tt.o.BaseURL == "" {
				tt.o.BaseURL = "http://localhost/v1"
			}
			m, err := New(tt.o)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time with what is remembered
				got, err := m.encode(9, tt.r)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, string(got)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// TestRefused checks requests that can't be sent.
func TestRefused(t *testing.T) {
	m := open1(t, "http://localhost/v1")
	for name, change := range map[string]func(*because.Request){
		"no messages":     func(r *because.Request) { r.Messages = nil },
		"an unknown role": func(r *because.Request) { r.Messages[0].Role = "narrator" },
		"a tool's schema": func(r *because.Request) { r.Tools = []because.Tool{{Name: "f", Parameters: json.RawMessage(`{`)}} },
		"a format":        func(r *because.Request) { r.Format = &because.Schema{Schema: json.RawMessage(`{`)} },
		"a temperature":   func(r *because.Request) { r.Temperature = 0; r.Temperature /= r.Temperature },
	} {
		r := hello()
		change(&r)
		if _, err := m.encode(1, r); model.KindOf(err) != model.Rejected {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSignedTurns checks that signatures go back with an unchanged turn, and that a changed one goes without.
func TestSignedTurns(t *testing.T) {
	const turn = `{"role":"assistant","content":"a <b>","reasoning_details":[{"type":"reasoning.encrypted","data":"xyz"}],"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"s"}}}]}`
	m := open1(t, "http://localhost/v1")
	got, err := m.decode([]byte(`{"choices":[{"message":`+turn+`,"finish_reason":"tool_calls"}]}`), hello())
	if err != nil {
		t.Fatal(err)
	}
	stored, err := json.Marshal(got.Message()) // as a log does
	if err != nil {
		t.Fatal(err)
	}
	var back because.Message
	if err := json.Unmarshal(stored, &back); err != nil {
		t.Fatal(err)
	}
	has := func(change func(*because.Message)) bool {
		message := back
		message.ToolCalls = append([]because.ToolCall(nil), back.ToolCalls...)
		change(&message)
		body, err := m.encode(1, because.Request{Messages: []because.Message{message}})
		if err != nil || !json.Valid(body) {
			t.Fatalf("%v: %s", err, body)
		}
		return strings.Contains(string(body), "thought_signature") && strings.Contains(string(body), `"xyz"`)
	}
	if !has(func(*because.Message) {}) {
		t.Error("the turn goes back without its signatures")
	}
	if has(func(m *because.Message) { m.Content = "other" }) || has(func(m *because.Message) { m.ToolCalls[0].Arguments = json.RawMessage(`{"x":1}`) }) || has(func(m *because.Message) { m.Native = json.RawMessage(`{"anthropic":[{"openai":1}]}`) }) {
		t.Error("a changed turn keeps its signatures")
	}
}

// TestSeeds checks that seeds fit every server and that few fall together.
func TestSeeds(t *testing.T) {
	seen := map[int64]bool{}
	for i := range uint64(1000) {
		for _, s := range []uint64{i, i << 32, ^i, i<<40 + 7} {
			folded := seed31(s)
			if folded < 0 || folded >= 1<<31 || s < 1<<31 && folded != int64(s) {
				t.Fatalf("seed %d becomes %d", s, folded)
			}
			seen[folded] = true
		}
	}
	if len(seen) < 3990 {
		t.Errorf("of 4000 seeds only %d remain", len(seen))
	}
}

// TestKeepAlive checks that requests in a row share one connection, also after errors.
func TestKeepAlive(t *testing.T) {
	hosts := map[string]bool{}
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts[r.RemoteAddr] = true
		if n++; n%3 == 0 {
			http.Error(w, `{"error":"busy"}`, http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte(`{"choices":[{"message":{"content":"a"}}]}`))
	}))
	defer srv.Close()
	m := open1(t, srv.URL)
	for range 9 {
		if _, err := m.Answer(t.Context(), 1, hello()); err != nil && model.KindOf(err) != model.Overloaded {
			t.Fatal(err)
		}
	}
	if len(hosts) != 1 {
		t.Errorf("9 requests took %d connections", len(hosts))
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`{"choices":[{"message":{"content":"a","tool_calls":[{"function":{"name":"f","arguments":"{"}}]},"finish_reason":"stop"}]}`, `{"error":{"code":429,"message":"x"}}`,
		`{"choices":[{"message":{"content":[{"type":"text","text":"a"}],"reasoning_details":[1]}}],"usage":{"prompt_tokens":1}}`, `null`, `{"error":"x"}`, `[]`} {
		f.Add([]byte(s))
	}
	m, err := New(Options{Model: "m", BaseURL: "http://localhost/v1", Key: testKey})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := m.decode(body, hello())
		if err != nil {
			if model.KindOf(err) == "" {
				t.Errorf("%v is no model.Error", err)
			}
			return
		}
		for _, c := range got.Calls {
			if !json.Valid(c.Arguments) || c.ID == "" {
				t.Errorf("a call %+v", c)
			}
		}
		if got.Native != nil && !json.Valid(got.Native) {
			t.Errorf("native %s", got.Native)
		}
		r := because.Request{Messages: append(hello().Messages, got.Message())}
		if again, err := m.encode(1, r); err != nil || !json.Valid(again) {
			t.Errorf("the answer can't go back: %v: %s", err, again)
		}
	})
}
