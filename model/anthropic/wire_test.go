package anthropic

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
	"github.com/google/go-cmp/cmp"
)

const testKey = "sk-ant-a1b2c3d4e5f6g7h8"

// hello is the least request.
func hello() because.Request {
	return because.Request{Messages: []because.Message{{Role: because.RoleUser, Content: "hello"}}, Temperature: because.OwnTemperature}
}

func open1(t *testing.T, url string) *Model {
	t.Helper()
	m, err := New(Options{Model: "claude-opus-4-6", BaseURL: url, Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAbilities(t *testing.T) {
	for id, want := range map[string]ability{
		"claude-3-haiku-20240307":                 {maxTokens: 4096},
		"claude-3-5-sonnet-20241022":              {maxTokens: 8192},
		"claude-3-7-sonnet-latest":                {maxTokens: 16384},
		"claude-opus-4-20250514":                  {maxTokens: 16384},
		"claude-opus-4-1":                         {maxTokens: 16384},
		"claude-haiku-4-5-20251001":               {maxTokens: 16384, structured: true},
		"claude-opus-4-6":                         {maxTokens: 16384, structured: true, adaptive: true},
		"us.anthropic.claude-sonnet-4-6-v1":       {maxTokens: 16384, structured: true, adaptive: true},
		"claude-sonnet-5":                         {maxTokens: 16384, structured: true, adaptive: true},
		"claude-mythos-preview":                   {maxTokens: 16384, structured: true, adaptive: true},
		"anthropic.claude-3-opus-20240229-v1:0":   {maxTokens: 4096},
		"my-own-proxy-model":                      {maxTokens: 16384, structured: true, adaptive: true},
		"claude-sonnet-4@20250514":                {maxTokens: 16384},
		"anthropic.claude-sonnet-4-20250514-v1:0": {maxTokens: 16384},
	} {
		if got := abilityOf(id); got != want {
			t.Errorf("%s: %+v, want %+v", id, got, want)
		}
	}
}

// TestEncode checks whole requests.
func TestEncode(t *testing.T) {
	say := func(role because.Role, text string) because.Message {
		return because.Message{Role: role, Content: text}
	}
	ask := func(messages ...because.Message) because.Request {
		return because.Request{Messages: messages, Temperature: because.OwnTemperature, MaxTokens: 9}
	}
	user := say(because.RoleUser, "q")
	with := func(r because.Request, change func(*because.Request)) because.Request { change(&r); return r }
	tool := because.Tool{Name: "f", Description: "d"}
	closed := json.RawMessage(`{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}`)
	loose := json.RawMessage(`{"type":"object","properties":{"a":{"type":"integer","minimum":1}}}`)
	const head = `{"model":"claude-opus-4-6","max_tokens":9`
	const q = `"messages":[{"role":"user","content":[{"type":"text","text":"q"}]}]`
	tests := []struct {
		name string
		o    Options
		r    because.Request
		want string
	}{
		{"plain", Options{}, ask(user), head + `,` + q + `}`},
		{"temperatures", Options{}, with(ask(user), func(r *because.Request) { r.Temperature, r.TopP = 1.5, 0.5 }), head + `,` + q + `,"temperature":1,"top_p":0.5}`},
		{"system and cache", Options{Cache: CacheAlways}, ask(say(because.RoleSystem, "s"), say(because.RoleSystem, " "), say(because.RoleSystem, "t"), user),
			head + `,"system":[{"type":"text","text":"s"},{"type":"text","text":"t","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"q","cache_control":{"type":"ephemeral"}}]}]}`},
		{"tools and cache", Options{}, with(ask(user), func(r *because.Request) { r.Tools = []because.Tool{tool} }),
			head + `,"tools":[{"name":"f","description":"d","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"q","cache_control":{"type":"ephemeral"}}]}]}`},
		{"no cache", Options{Cache: CacheNever}, with(ask(user), func(r *because.Request) { r.Tools = []because.Tool{tool} }),
			head + `,"tools":[{"name":"f","description":"d","input_schema":{"type":"object"}}],` + q + `}`},
		{"results of one turn, and wrong arguments", Options{Cache: CacheNever}, ask(user,
			because.Message{Role: because.RoleAssistant, ToolCalls: []because.ToolCall{{ID: "a:1", Name: "f", Arguments: json.RawMessage(`"{"`)}, {ID: "b", Name: "f", Arguments: json.RawMessage(`[1]`)}}},
			because.Message{Role: because.RoleTool, ToolCallID: "a:1", Content: "x"}, because.Message{Role: because.RoleTool, ToolCallID: "b"}, say(because.RoleUser, "and?")),
			head + `,"messages":[{"role":"user","content":[{"type":"text","text":"q"}]},{"role":"assistant","content":[{"type":"tool_use","id":"a_1","name":"f","input":{"unparsed":"{"}},{"type":"tool_use","id":"b","name":"f","input":{"unparsed":"[1]"}}]},` +
				`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a_1","content":"x"},{"type":"tool_result","tool_use_id":"b"},{"type":"text","text":"and?"}]}]}`},
		{"prefill", Options{}, with(ask(user), func(r *because.Request) { r.Prefill = "So \n" }),
			head + `,"messages":[{"role":"user","content":[{"type":"text","text":"q"}]},{"role":"assistant","content":[{"type":"text","text":"So"}]}]}`},
		{"a schema that can be followed", Options{}, with(ask(user), func(r *because.Request) { r.Format = &because.Schema{Name: "v", Schema: closed} }),
			head + `,` + q + `,"output_config":{"format":{"type":"json_schema","schema":` + string(closed) + `}}}`},
		{"one that can't", Options{}, with(ask(user), func(r *because.Request) { r.Format = &because.Schema{Name: "a v", Schema: loose} }),
			head + `,"tools":[{"name":"a_v","description":"Give the answer.","input_schema":` + string(loose) + `}],"tool_choice":{"type":"tool","name":"a_v"},` + q + `}`},
		{"effort", Options{}, with(ask(user), func(r *because.Request) { r.Effort, r.Temperature = "high", 0.5 }),
			head + `,` + q + `,"thinking":{"type":"adaptive","display":"summarized"},"output_config":{"effort":"high"}}`},
		{"effort of an older model", Options{Model: "claude-sonnet-4-5"}, with(ask(user), func(r *because.Request) { r.Effort, r.MaxTokens = "medium", 4096 }),
			`{"model":"claude-sonnet-4-5","max_tokens":4096,` + q + `,"thinking":{"type":"enabled","budget_tokens":2048}}`},
		{"extra", Options{Extra: map[string]any{"max_tokens": 7, "metadata": map[string]any{"user_id": "u"}}}, ask(user), `{"model":"claude-opus-4-6",` + q + `,"max_tokens":7,"metadata":{"user_id":"u"}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.o.Model == "" {
				tt.o.Model = "claude-opus-4-6"
			}
			m, err := New(tt.o)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time with what is remembered
				got, err := m.encode(tt.r)
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
	for name, change := range map[string]func(*because.Request){
		"no user":         func(r *because.Request) { r.Messages = nil },
		"only space":      func(r *because.Request) { r.Messages[0].Content = " \n" },
		"an unknown role": func(r *because.Request) { r.Messages[0].Role = "narrator" },
		"a later system message": func(r *because.Request) {
			r.Messages = append(r.Messages, because.Message{Role: because.RoleSystem, Content: "s"})
		},
		"a tool's schema":       func(r *because.Request) { r.Tools = []because.Tool{{Name: "f", Parameters: json.RawMessage(`{`)}} },
		"a prefill with effort": func(r *because.Request) { r.Prefill, r.Effort = "a", "low" },
		"a loose format with tools": func(r *because.Request) {
			r.Format, r.Tools = &because.Schema{Schema: json.RawMessage(`{"type":"object"}`)}, []because.Tool{{Name: "f"}}
		},
		"a format that is no JSON":      func(r *because.Request) { r.Format = &because.Schema{Schema: json.RawMessage(`{`)} },
		"a temperature that is nothing": func(r *because.Request) { r.Temperature = 0; r.Temperature /= r.Temperature },
	} {
		r := hello()
		change(&r)
		if _, err := open1(t, "http://localhost/v1").encode(r); model.KindOf(err) != model.Rejected {
			t.Errorf("%s: %v", name, err)
		}
	}
	old, err := New(Options{Model: "claude-sonnet-4-5"})
	if err != nil {
		t.Fatal(err)
	}
	r := hello()
	r.Effort, r.MaxTokens = "low", 1000
	if _, err := old.encode(r); model.KindOf(err) != model.Rejected || because.Hint(err) == "" {
		t.Errorf("thinking without room: %v", err)
	}
}

// TestDecode checks answers beyond the contract's.
func TestDecode(t *testing.T) {
	body := func(content, stop string) string {
		return `{"type":"message","model":"claude-x","content":` + content + `,"stop_reason":"` + stop + `","usage":{"input_tokens":1,"output_tokens":2}}`
	}
	used := because.Usage{Input: 1, Output: 2}
	loose := hello()
	loose.Format = &because.Schema{Name: "v", Schema: json.RawMessage(`{"type":"object"}`)}
	prefilled := hello()
	prefilled.Prefill = "So "
	tests := []struct {
		name, body string
		r          because.Request
		want       because.Response
	}{
		{"usage", `{"content":[],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":9,"cache_read_input_tokens":3,"cache_creation_input_tokens":4,"output_tokens_details":{"thinking_tokens":5}}}`, hello(),
			because.Response{Stop: because.StopEnd, Usage: because.Usage{Input: 1, Output: 9, CacheRead: 3, CacheWrite: 4, Reasoning: 5}}},
		{"blocks", body(`[{"type":"text","text":"a"},{"type":"server_thing","x":1},{"type":"text","text":"b"}]`, "stop_sequence"), hello(), because.Response{Text: "ab", Stop: because.StopEnd, Usage: used, Model: "claude-x"}},
		{"context full", body(`[{"type":"text","text":"a"}]`, "model_context_window_exceeded"), hello(), because.Response{Text: "a", Stop: because.StopLength, Usage: used, Model: "claude-x"}},
		{"paused", body(`[]`, "pause_turn"), hello(), because.Response{Stop: because.StopLength, Usage: used, Model: "claude-x"}},
		{"refusal", body(`[]`, "refusal"), hello(), because.Response{Stop: because.StopFilter, Usage: used, Model: "claude-x"}},
		{"call without input", body(`[{"type":"tool_use","id":"i","name":"f","input":null}]`, "tool_use"), hello(),
			because.Response{Calls: []because.ToolCall{{ID: "i", Name: "f", Arguments: json.RawMessage(`{}`)}}, Stop: because.StopCalls, Usage: used, Model: "claude-x"}},
		{"format by tool", body(`[{"type":"text","text":"Here:"},{"type":"tool_use","id":"i","name":"v","input":{"a":1}}]`, "tool_use"), loose, because.Response{Text: `{"a":1}`, Stop: because.StopEnd, Usage: used, Model: "claude-x"}},
		{"format by tool, cut", body(`[{"type":"text","text":"Here"}]`, "max_tokens"), loose, because.Response{Text: "Here", Stop: because.StopLength, Usage: used, Model: "claude-x"}},
		{"prefill with space", body(`[{"type":"text","text":" it is"}]`, "end_turn"), prefilled, because.Response{Text: "So it is", Stop: because.StopEnd, Usage: used, Model: "claude-x"}},
		{"prefill without space", body(`[{"type":"text","text":"it is"}]`, "end_turn"), prefilled, because.Response{Text: "So it is", Stop: because.StopEnd, Usage: used, Model: "claude-x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := open1(t, "http://localhost/v1").decode([]byte(tt.body), tt.r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSignedThinking checks that thinking goes back, signed, with an unchanged turn alone.
func TestSignedThinking(t *testing.T) {
	m := open1(t, "http://localhost/v1")
	got, err := m.decode([]byte(`{"content":[{"type":"thinking","thinking":"hm <b>","signature":"c2ln"},{"type":"redacted_thinking","data":"eHl6"},{"type":"text","text":"So."},{"type":"tool_use","id":"i","name":"f","input":{"a": 1}}],"stop_reason":"tool_use"}`), hello())
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
	if back.Reasoning != "hm <b>" {
		t.Errorf("reasoning %q", back.Reasoning)
	}
	has := func(change func(*because.Message)) bool {
		turn := back
		change(&turn)
		body, err := m.encode(because.Request{Messages: append(hello().Messages, turn, because.Message{Role: because.RoleTool, ToolCallID: "i"})})
		if err != nil || !json.Valid(body) {
			t.Fatalf("%v: %s", err, body)
		}
		return strings.Contains(string(body), "c2ln") && strings.Contains(string(body), "eHl6") && strings.Count(string(body), "So.") == 1
	}
	if !has(func(*because.Message) {}) {
		t.Error("the turn goes back without its thinking")
	}
	if has(func(m *because.Message) { m.Content = "other" }) || has(func(m *because.Message) { m.ToolCalls = nil }) || has(func(m *because.Message) { m.Native = json.RawMessage(`{"openai":["anthropic"]}`) }) {
		t.Error("a changed turn keeps its thinking")
	}
}

// TestErrors checks the provider's own words.
func TestErrors(t *testing.T) {
	renewed := time.Now().Add(30 * time.Second).UTC().Format(time.RFC3339)
	say := func(kind, message string) string {
		return fmt.Sprintf(`{"type":"error","error":{"type":%q,"message":%q},"request_id":"req_1"}`, kind, message)
	}
	tests := []struct {
		name   string
		status int
		header map[string]string
		body   string
		kind   model.Kind
		atMost time.Duration
		hint   string
	}{
		{"context", 400, nil, say("invalid_request_error", "prompt is too long: 212000 tokens > 200000 maximum"), model.TooLong, 0, "shorten"},
		{"context with max_tokens", 400, nil, say("invalid_request_error", "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"), model.TooLong, 0, "shorten"},
		{"bytes", 413, nil, say("request_too_large", "Request exceeds the maximum size"), model.TooLong, 0, "shorten"},
		{"key", 401, nil, say("authentication_error", "invalid x-api-key "+testKey), model.Denied, 0, "API key"},
		{"credit", 400, nil, say("invalid_request_error", "Your credit balance is too low to access the Anthropic API."), model.Denied, 0, "credit"},
		{"model", 404, nil, say("not_found_error", "model: claude-9"), model.NotFound, 0, "model's name"},
		{"rate", 429, map[string]string{"Anthropic-Ratelimit-Input-Tokens-Remaining": "0", "Anthropic-Ratelimit-Input-Tokens-Reset": renewed}, say("rate_limit_error", "This request would exceed your rate limit"), model.RateLimited, 30 * time.Second, ""},
		{"overloaded", 529, map[string]string{"Retry-After": "3"}, say("overloaded_error", "Overloaded"), model.Overloaded, 3 * time.Second, ""},
		{"prefill", 400, nil, say("invalid_request_error", "Prefilling assistant messages is not supported for this model."), model.Rejected, 0, "prefill"},
		{"sampling", 400, nil, say("invalid_request_error", "`temperature` is deprecated for this model."), model.Rejected, 0, "own temperature"},
		{"error under 200", 200, nil, say("overloaded_error", "Overloaded"), model.Overloaded, 0, ""},
		{"no stop reason", 200, nil, `{"type":"message","content":[]}`, model.Garbled, 0, ""},
		{"content of another kind", 200, nil, `{"type":"message","content":"text","stop_reason":"end_turn"}`, model.Garbled, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for name, value := range tt.header {
					w.Header().Set(name, value)
				}
				w.WriteHeader(tt.status)
				w.Write([]byte(tt.body))
			}))
			defer srv.Close()
			_, err := open1(t, srv.URL).Answer(t.Context(), 1, hello())
			var e *model.Error
			if !errors.As(err, &e) || e.Kind != tt.kind {
				t.Fatalf("%v: kind %q, want %q", err, model.KindOf(err), tt.kind)
			}
			if e.RetryAfter > tt.atMost || e.RetryAfter < tt.atMost-2*time.Second {
				t.Errorf("retry after %v, want %v", e.RetryAfter, tt.atMost)
			}
			if hint := because.Hint(err); !strings.Contains(hint, tt.hint) || strings.Contains(fmt.Sprint(err, hint), testKey) {
				t.Errorf("%v: hint %q", err, hint)
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	o := Options{Model: "m", Key: testKey, Headers: map[string]string{"X-Other": "hunter22"}}
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	js, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	for base, want := range map[string]string{"": DefaultBaseURL, "https://h": "https://h/v1", "https://h/v1/": "https://h/v1", "https://h/claude?x=1": "https://h/claude/v1"} {
		if m, err := New(Options{Model: "m", BaseURL: base}); err != nil || m.client.Base() != want {
			t.Errorf("%s: %v, %s", base, err, m.client.Base())
		}
	}
	text := fmt.Sprintf("%v %+v %#v %s %v %+v %#v %v %s %s", o, o, o, o, m, m, m, &o, js, m.Identity())
	if strings.Contains(text, testKey) || strings.Contains(text, "hunter22") {
		t.Errorf("a secret stands in %s", text)
	}
	if _, err := New(Options{Model: "m", Key: "a\nb"}); err == nil || strings.Contains(err.Error(), "a\nb") {
		t.Errorf("a key with a line break gives %v", err)
	}
	if _, err := New(Options{Model: "m", Cache: "sometimes"}); err == nil {
		t.Error("an unknown cache policy was taken")
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`{"content":[{"type":"thinking","thinking":"a","signature":"s"},{"type":"tool_use","id":"i","name":"f","input":{}}],"stop_reason":"tool_use"}`,
		`{"type":"error","error":{"type":"api_error"}}`, `{"content":[ ],"stop_reason":"x"}`, `null`, `{"content":[{"type":"thinking"},{"type":"text","text":"\ud800"}],"stop_reason":"end_turn"}`} {
		f.Add([]byte(s))
	}
	m, err := New(Options{Model: "m", Key: testKey})
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
			if !json.Valid(c.Arguments) {
				t.Errorf("a call %+v", c)
			}
		}
		if got.Native != nil && !json.Valid(got.Native) {
			t.Errorf("native %s", got.Native)
		}
		r := because.Request{Messages: append(hello().Messages, got.Message())}
		if again, err := m.encode(r); err != nil || !json.Valid(again) {
			t.Errorf("the answer can't go back: %v: %s", err, again)
		}
	})
}
