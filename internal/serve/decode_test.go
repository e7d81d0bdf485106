package serve

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
)

// hi is a valid list of messages.
const hi = `"messages":[{"role":"user","content":"hi"}]`

// refused are bodies of chats with what must be reported: field, code, part of the message.
var refused = []struct{ name, body, param, code, message string }{
	{"empty", ``, "", "invalid_json", "byte 0"},
	{"not JSON", `{"messages": nope}`, "", "invalid_json", "byte 15"},
	{"cut off", `{"messages": [`, "", "invalid_json", "unexpected end"},
	{"trailing garbage", `{` + hi + `} x`, "", "invalid_json", "after top-level value"},
	{"two values", `{` + hi + `}{}`, "", "invalid_json", "after top-level value"},
	{"not UTF-8", "{\"messages\":\"\xff\"}", "", "invalid_json", "UTF-8"},
	{"deep", `{"messages":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + `}`, "", "invalid_json", "nested"},
	{"array", `[]`, "", "invalid_type", "object"},
	{"null", `null`, "", "invalid_type", "object"},
	{"no messages", `{}`, "messages", "missing_required_parameter", "required"},
	{"null messages", `{"messages":null}`, "messages", "missing_required_parameter", "required"},
	{"no message", `{"messages":[]}`, "messages", "invalid_value", "empty"},
	{"messages a string", `{"messages":"hi"}`, "messages", "invalid_type", "an array, not a string"},
	{"message a string", `{"messages":["hi"]}`, "messages[0]", "invalid_type", "an object, not a string"},
	{"null message", `{"messages":[null]}`, "messages[0]", "invalid_type", "an object, not null"},
	{"no role", `{"messages":[{"content":"hi"}]}`, "messages[0].role", "missing_required_parameter", ""},
	{"role a number", `{"messages":[{"role":1}]}`, "messages[0].role", "invalid_type", "a string, not a number"},
	{"unknown role", `{"messages":[{"role":"function","content":""}]}`, "messages[0].role", "invalid_value", "function"},
	{"no content", `{"messages":[{"role":"user"}]}`, "messages[0].content", "missing_required_parameter", ""},
	{"no content of the assistant", `{"messages":[{"role":"assistant","content":null}]}`, "messages[0].content", "missing_required_parameter", ""},
	{"content a number", `{"messages":[{"role":"user","content":5}]}`, "messages[0].content", "invalid_type", "array of parts"},
	{"an image", `{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{}}]}]}`, "messages[0].content[1].type", "unsupported_value", "image_url"},
	{"text of a part", `{"messages":[{"role":"user","content":[{"type":"text","text":[]}]}]}`, "messages[0].content[0].text", "invalid_type", ""},
	{"unknown field of a message", `{"messages":[{"role":"user","content":"a","weight":1}]}`, "messages[0].weight", "unknown_parameter", ""},
	{"tool calls of a user", `{"messages":[{"role":"user","content":"a","tool_calls":[]}]}`, "messages[0].tool_calls", "unknown_parameter", ""},
	{"unpaired answer", `{"messages":[{"role":"tool","content":"a","tool_call_id":"c1"}]}`, "messages[0]", "invalid_value", "c1"},
	{"answer without id", `{"messages":[{"role":"tool","content":"a"}]}`, "messages[0].tool_call_id", "missing_required_parameter", ""},
	{"call's arguments", `{"messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{"}}]}]}`, "messages[0].tool_calls[0].function.arguments", "invalid_value", "JSON"},
	{"call's arguments an object", `{"messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":{}}}]}]}`, "messages[0].tool_calls[0].function.arguments", "invalid_type", "string"},
	{"call without id", `{"messages":[{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"f","arguments":"{}"}}]}]}`, "messages[0].tool_calls[0].id", "missing_required_parameter", ""},
	{"unknown parameter", `{` + hi + `,"temprature":1}`, "temprature", "unknown_parameter", ""},
	{"n a string", `{` + hi + `,"n":"2"}`, "n", "invalid_type", "an integer, not a string"},
	{"n a fraction", `{` + hi + `,"n":1.5}`, "n", "invalid_value", "1.5"},
	{"n 0", `{` + hi + `,"n":0}`, "n", "invalid_value", "range"},
	{"n large", `{` + hi + `,"n":129}`, "n", "invalid_value", "range"},
	{"n huge", `{` + hi + `,"n":1e999}`, "n", "invalid_value", ""},
	{"temperature", `{` + hi + `,"temperature":2.5}`, "temperature", "invalid_value", "range"},
	{"temperature a boolean", `{` + hi + `,"temperature":true}`, "temperature", "invalid_type", "a boolean"},
	{"top_p", `{` + hi + `,"top_p":0}`, "top_p", "invalid_value", "above 0"},
	{"top_k", `{` + hi + `,"top_k":-2}`, "top_k", "invalid_value", ""},
	{"seed", `{` + hi + `,"seed":0.5}`, "seed", "invalid_value", ""},
	{"seed beyond 64 bits", `{` + hi + `,"seed":18446744073709551616}`, "seed", "invalid_value", ""},
	{"max_tokens", `{` + hi + `,"max_tokens":0}`, "max_tokens", "invalid_value", ""},
	{"two limits", `{` + hi + `,"max_tokens":1,"max_completion_tokens":2}`, "max_tokens", "invalid_value", "max_completion_tokens"},
	{"empty stop", `{` + hi + `,"stop":""}`, "stop", "invalid_value", ""},
	{"stop a number", `{` + hi + `,"stop":[1]}`, "stop[0]", "invalid_type", ""},
	{"long stop", `{` + hi + `,"stop":["` + strings.Repeat("x", 1025) + `"]}`, "stop[0]", "invalid_value", "1025"},
	{"many stops", `{` + hi + `,"stop":[` + strings.Repeat(`"x",`, 16) + `"x"]}`, "stop", "invalid_value", "16"},
	{"stream a string", `{` + hi + `,"stream":"yes"}`, "stream", "invalid_type", ""},
	{"stream_options", `{` + hi + `,"stream_options":{"include_usage":true}}`, "stream_options", "invalid_value", "stream"},
	{"stream_options' option", `{` + hi + `,"stream":true,"stream_options":{"x":1}}`, "stream_options.x", "unknown_parameter", ""},
	{"logprobs a number", `{` + hi + `,"logprobs":3}`, "logprobs", "invalid_type", ""},
	{"top_logprobs alone", `{` + hi + `,"top_logprobs":3}`, "top_logprobs", "invalid_value", "logprobs"},
	{"top_logprobs", `{` + hi + `,"logprobs":true,"top_logprobs":21}`, "top_logprobs", "invalid_value", ""},
	{"penalty", `{` + hi + `,"presence_penalty":0.1}`, "presence_penalty", "unsupported_value", "only 0"},
	{"min_p", `{` + hi + `,"min_p":0.1}`, "min_p", "unsupported_value", ""},
	{"logit_bias", `{` + hi + `,"logit_bias":{"5":1}}`, "logit_bias", "unsupported_value", ""},
	{"response_format", `{` + hi + `,"response_format":{"type":"json_object"}}`, "response_format.type", "unsupported_value", "json_object"},
	{"audio", `{` + hi + `,"modalities":["text","audio"]}`, "modalities[1]", "unsupported_value", ""},
	{"functions", `{` + hi + `,"functions":[]}`, "functions", "unsupported_value", "tools"},
	{"reasoning_effort", `{` + hi + `,"reasoning_effort":"high"}`, "reasoning_effort", "unsupported_value", ""},
	{"required tool", `{` + hi + `,"tools":[],"tool_choice":"required"}`, "tool_choice", "unsupported_value", "auto"},
	{"named tool", `{` + hi + `,"tool_choice":{"type":"function","function":{"name":"f"}}}`, "tool_choice", "unsupported_value", "auto"},
	{"unknown tool choice", `{` + hi + `,"tool_choice":"maybe"}`, "tool_choice", "invalid_value", "maybe"},
	{"tool's type", `{` + hi + `,"tools":[{"type":"custom","custom":{}}]}`, "tools[0].type", "unsupported_value", "custom"},
	{"tool without function", `{` + hi + `,"tools":[{"type":"function"}]}`, "tools[0].function", "missing_required_parameter", ""},
	{"tool's name", `{` + hi + `,"tools":[{"type":"function","function":{"name":"a b"}}]}`, "tools[0].function.name", "invalid_value", ""},
	{"tool's parameters", `{` + hi + `,"tools":[{"type":"function","function":{"name":"f","parameters":[]}}]}`, "tools[0].function.parameters", "invalid_type", ""},
	{"two tools of a name", `{` + hi + `,"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"f"}}]}`, "tools[1]", "invalid_value", "f"},
	{"reserved variable", `{` + hi + `,"chat_template_kwargs":{"messages":[]}}`, "chat_template_kwargs.messages", "invalid_value", ""},
	{"variables", `{` + hi + `,"chat_template_kwargs":[]}`, "chat_template_kwargs", "invalid_type", ""},
	{"variable out of range", `{` + hi + `,"chat_template_kwargs":{"x":[1e999]}}`, "chat_template_kwargs", "invalid_value", "1e999"},
}

func TestDecodeChatRefuses(t *testing.T) {
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			_, err := decodeChat([]byte(c.body))
			checkRefused(t, err, c.param, c.code, c.message)
		})
	}
}

func checkRefused(t *testing.T, err error, param, code, message string) {
	t.Helper()
	var api *apiError
	if !errors.As(err, &api) {
		t.Fatalf("got %v, want an API error", err)
	}
	if api.Status != 400 || api.Param != param || api.Code != code || !strings.Contains(api.Message, message) {
		t.Errorf("got %d, param %q, code %q, %q; want 400, %q, %q, ...%q...", api.Status, api.Param, api.Code, api.Message, param, code, message)
	}
}

func TestDecodeChat(t *testing.T) {
	got, err := decodeChat([]byte(` {
		"model": "m", "n": 2.0, "temperature": 0, "top_p": 0.9, "top_k": -1, "seed": -1, "max_completion_tokens": 7, "max_tokens": 7,
		"stop": ["a", "b"], "stream" : true , "stream_options": {"include_usage": true }, "logprobs": true, "top_logprobs": 3,
		"user": "u", "metadata": {"a": "b"}, "store": false, "parallel_tool_calls": false, "service_tier": "auto",
		"presence_penalty": 0, "frequency_penalty": 0.0, "logit_bias": {}, "response_format": {"type": "text"}, "modalities": ["text"],
		"tool_choice": "auto", "chat_template_kwargs": {"enable_thinking": false, "k": 3, "x": [1.5, null, {"y": 2}]},
		"tools": [{"type": "function", "function": {"name": "f", "description": "d", "strict": true, "parameters": {"z": 1, "a": 2}}}],
		"messages": [
			{"role": "developer", "content": "be brief"},
			{"role": "user", "name": "eve", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b\ud83d\ude00"}]},
			{"role": "assistant", "content": null, "refusal": null, "annotations": [], "reasoning_content": "hm", "tool_calls": [
				{"id": "c1", "type": "function", "index": 0, "function": {"name": "f", "arguments": "{\"b\": 1, \"a\": [2]}"}},
				{"id": "c2", "type": "function", "function": {"name": "f", "arguments": ""}}]},
			{"role": "tool", "tool_call_id": "c1", "content": "done"},
			{"role": "assistant", "content": ""}
		]} `))
	if err != nil {
		t.Fatal(err)
	}
	want := &chatRequest{
		sampling: sampling{
			model: "m", n: 2, stops: []string{"a", "b"}, maxTokens: 7, topP: 0.9, seed: 1<<64 - 1, seeded: true, logProbs: true, top: 3,
			stream: true, usage: true,
		},
		oneCall: true,
		input: ChatInput{
			Vars:  map[string]any{"enable_thinking": false, "k": int64(3), "x": []any{1.5, nil, map[string]any{"y": int64(2)}}},
			Tools: []because.Tool{{Name: "f", Description: "d", Parameters: json.RawMessage(`{"z": 1, "a": 2}`)}},
			Messages: []because.Message{
				{Role: because.RoleSystem, Content: "be brief"},
				{Role: because.RoleUser, Name: "eve", Content: "ab😀"},
				{Role: because.RoleAssistant, ToolCalls: []because.ToolCall{
					{ID: "c1", Name: "f", Arguments: json.RawMessage(`{"b": 1, "a": [2]}`)}, {ID: "c2", Name: "f", Arguments: json.RawMessage(`{}`)},
				}},
				{Role: because.RoleTool, ToolCallID: "c1", Content: "done"},
				{Role: because.RoleAssistant},
			},
		},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(chatRequest{}, sampling{})); d != "" {
		t.Errorf("decoded (-want +got):\n%s", d)
	}
}

func TestDecodeChatDefaults(t *testing.T) {
	got, err := decodeChat([]byte(`{` + hi + `,"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none"}`))
	if err != nil {
		t.Fatal(err)
	}
	want := sampling{n: 1, maxTokens: -1, temperature: 1, topP: 1}
	if d := cmp.Diff(want, got.sampling, cmp.AllowUnexported(sampling{})); d != "" || got.oneCall {
		t.Errorf("one call %v, (-want +got):\n%s", got.oneCall, d)
	}
	if got.input.Tools != nil {
		t.Errorf("tool_choice none left the tools %v", got.input.Tools)
	}
}

func TestDecodeCompletionPrompts(t *testing.T) {
	for body, want := range map[string][]textPrompt{
		`"a"`:          {{path: "prompt", text: "a", isText: true}},
		`["a","b"]`:    {{path: "prompt[0]", text: "a", isText: true}, {path: "prompt[1]", text: "b", isText: true}},
		`[1, 2]`:       {{path: "prompt", tokens: []int32{1, 2}}},
		`[[1],[2, 3]]`: {{path: "prompt[0]", tokens: []int32{1}}, {path: "prompt[1]", tokens: []int32{2, 3}}},
		`["a",[7]]`:    {{path: "prompt[0]", text: "a", isText: true}, {path: "prompt[1]", tokens: []int32{7}}},
	} {
		q, err := decodeCompletion([]byte(`{"prompt":`+body+`}`), 8, 10)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if d := cmp.Diff(want, q.prompts, cmp.AllowUnexported(textPrompt{})); d != "" || q.maxTokens != 16 {
			t.Errorf("%s: max %d, (-want +got):\n%s", body, q.maxTokens, d)
		}
	}
}

func TestDecodeCompletionRefuses(t *testing.T) {
	for _, c := range []struct{ body, param, code, message string }{
		{`{}`, "prompt", "missing_required_parameter", ""},
		{`{"prompt":[]}`, "prompt", "invalid_value", "empty"},
		{`{"prompt":5}`, "prompt", "invalid_type", ""},
		{`{"prompt":[true]}`, "prompt[0]", "invalid_type", ""},
		{`{"prompt":["a",1]}`, "prompt[1]", "invalid_type", ""},
		{`{"prompt":[1,"a"]}`, "prompt[1]", "invalid_type", "an integer"},
		{`{"prompt":[1,10]}`, "prompt[1]", "invalid_value", "range"},
		{`{"prompt":[[1],[-1]]}`, "prompt[1][0]", "invalid_value", "range"},
		{`{"prompt":[1,1,1,1,1,1,1,1,1,1,"x"]}`, "prompt", "context_length_exceeded", "8"},
		{`{"prompt":["a","b"],"n":65}`, "n", "invalid_value", "2 prompts"},
		{`{"prompt":"a","logprobs":true}`, "logprobs", "invalid_type", "an integer"},
		{`{"prompt":"a","logprobs":21}`, "logprobs", "invalid_value", ""},
		{`{"prompt":"a","max_tokens":-1}`, "max_tokens", "invalid_value", ""},
		{`{"prompt":"a","best_of":2}`, "best_of", "unsupported_value", "n, 1"},
		{`{"prompt":"a","suffix":"b"}`, "suffix", "unsupported_value", ""},
		{`{"prompt":"a","messages":[]}`, "messages", "unknown_parameter", ""},
	} {
		_, err := decodeCompletion([]byte(c.body), 8, 10)
		if err == nil {
			t.Errorf("%s: no error", c.body)
			continue
		}
		checkRefused(t, err, c.param, c.code, c.message)
	}
	if _, err := decodeCompletion([]byte(`{"prompt":"a","suffix":"","best_of":2,"n":2,"logprobs":0,"max_tokens":0}`), 8, 10); err != nil {
		t.Errorf("neutral values: %v", err)
	}
}

// FuzzDecode: any body is a request or an error with status 400, and what is decoded keeps to the bounds.
func FuzzDecode(f *testing.F) {
	for _, c := range refused {
		if len(c.body) < 2000 {
			f.Add([]byte(c.body))
		}
	}
	f.Add([]byte(`{"prompt":[[1,2],[3]],"n":2,"echo":true,"logprobs":1,"stop":["a"]}`))
	f.Add([]byte(`{` + hi + `,"tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"":[{"":1}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		chat, err := decodeChat(body)
		checkFuzzed(t, err)
		if err == nil && (chat.n < 1 || chat.n > maxChoices || len(chat.input.Messages) == 0 || chat.topP <= 0 || len(chat.stops) > maxStops) {
			t.Errorf("decoded out of bounds: %+v", chat)
		}
		text, err := decodeCompletion(body, 8, 10)
		checkFuzzed(t, err)
		if err == nil && (len(text.prompts) == 0 || len(text.prompts)*text.n > maxChoices || text.maxTokens < 0) {
			t.Errorf("decoded out of bounds: %+v", text)
		}
	})
}

func checkFuzzed(t *testing.T, err error) {
	var api *apiError
	if err != nil && (!errors.As(err, &api) || api.Status != 400 || api.Message == "") {
		t.Errorf("got %v, want an API error", err)
	}
}
