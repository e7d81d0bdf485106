package clients

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/because-lab/because"
	ours "github.com/because-lab/because/model/openai"
	"github.com/google/go-cmp/cmp"
	official "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
)

const key = "sk-parity-0123456789"

var (
	parameters = json.RawMessage(`{"type":"object","properties":{"query":{"type":"string"}},"required":["query"],"additionalProperties":false}`)
	search     = because.Tool{Name: "search", Description: "Search the mail.", Parameters: parameters}
	dialogue   = []because.Message{
		{Role: because.RoleSystem, Content: "You keep the books. <b>&\u2028"},
		{Role: because.RoleUser, Content: "Who is paid?\n\t\"Ava\" — 北京 👩🏽‍🚀"},
		{Role: because.RoleAssistant, Content: "I'll look.", ToolCalls: []because.ToolCall{{ID: "call_1", Name: "search", Arguments: json.RawMessage(`{"query":"pay"}`)}, {ID: "call_2", Name: "search", Arguments: json.RawMessage(`{"query":"ava"}`)}}},
		{Role: because.RoleTool, ToolCallID: "call_1", Content: "3 mails"},
		{Role: because.RoleTool, ToolCallID: "call_2", Content: "none"},
		{Role: because.RoleUser, Content: "So?"},
	}
)

// asObject gives a JSON object to an official client.
func asObject(raw json.RawMessage) map[string]any {
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		panic(err)
	}
	return v
}

// officialMessages writes a conversation for the official client.
func officialMessages(messages []because.Message) []official.ChatCompletionMessageParamUnion {
	var out []official.ChatCompletionMessageParamUnion
	for _, m := range messages {
		switch m.Role {
		case because.RoleSystem:
			out = append(out, official.SystemMessage(m.Content))
		case because.RoleUser:
			out = append(out, official.UserMessage(m.Content))
		case because.RoleTool:
			out = append(out, official.ToolMessage(m.Content, m.ToolCallID))
		default:
			a := official.ChatCompletionAssistantMessageParam{}
			if m.Content != "" {
				a.Content.OfString = official.String(m.Content)
			}
			for _, c := range m.ToolCalls {
				a.ToolCalls = append(a.ToolCalls, official.ChatCompletionMessageToolCallUnionParam{OfFunction: &official.ChatCompletionMessageFunctionToolCallParam{
					ID: c.ID, Function: official.ChatCompletionMessageFunctionToolCallFunctionParam{Name: c.Name, Arguments: string(c.Arguments)},
				}})
			}
			out = append(out, official.ChatCompletionMessageParamUnion{OfAssistant: &a})
		}
	}
	return out
}

// officialParams writes a request for the official client.
func officialParams(id string, seed int64, r because.Request) official.ChatCompletionNewParams {
	p := official.ChatCompletionNewParams{Model: id, Messages: officialMessages(r.Messages), Seed: official.Int(seed)}
	if r.Prefill != "" {
		p.Messages = append(p.Messages, official.AssistantMessage(r.Prefill))
	}
	for _, t := range r.Tools {
		p.Tools = append(p.Tools, official.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: t.Name, Description: official.String(t.Description), Parameters: asObject(t.Parameters)}))
	}
	switch r.Choice {
	case "", "auto":
	case "none", "required":
		p.ToolChoice.OfAuto = official.String(r.Choice)
	default:
		p.ToolChoice.OfFunctionToolChoice = &official.ChatCompletionNamedToolChoiceParam{Function: official.ChatCompletionNamedToolChoiceFunctionParam{Name: r.Choice}}
	}
	if r.MaxTokens > 0 && strings.HasPrefix(id, "gpt-5") {
		p.MaxCompletionTokens = official.Int(int64(r.MaxTokens))
	} else if r.MaxTokens > 0 {
		p.MaxTokens = official.Int(int64(r.MaxTokens))
	}
	if r.Temperature != because.OwnTemperature {
		p.Temperature = official.Float(r.Temperature)
	}
	if r.TopP != 0 && r.TopP != 1 {
		p.TopP = official.Float(r.TopP)
	}
	p.Stop.OfStringArray = r.Stop
	p.ReasoningEffort = shared.ReasoningEffort(r.Effort)
	if r.Format != nil {
		p.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
			Name: r.Format.Name, Strict: official.Bool(true), Schema: asObject(r.Format.Schema)}}
	}
	return p
}

// openaiRequests are requests with every feature that both clients have.
func openaiRequests() map[string]because.Request {
	own := because.Request{Messages: dialogue[1:2], Temperature: because.OwnTemperature}
	with := func(change func(*because.Request)) because.Request { r := own; change(&r); return r }
	return map[string]because.Request{
		"plain":        own,
		"conversation": with(func(r *because.Request) { r.Messages, r.Tools = dialogue, []because.Tool{search} }),
		"sampling": with(func(r *because.Request) {
			r.Temperature, r.TopP, r.MaxTokens, r.Stop = 0.7, 0.9, 100, []string{"\n", "END"}
		}),
		"greedy":   with(func(r *because.Request) { r.Temperature = 0 }),
		"none":     with(func(r *because.Request) { r.Tools, r.Choice = []because.Tool{search}, "none" }),
		"required": with(func(r *because.Request) { r.Tools, r.Choice = []because.Tool{search}, "required" }),
		"named":    with(func(r *because.Request) { r.Tools, r.Choice = []because.Tool{search}, "search" }),
		"effort":   with(func(r *because.Request) { r.Effort = "high" }),
		"format":   with(func(r *because.Request) { r.Format = &because.Schema{Name: "verdict", Schema: parameters} }),
		"prefill":  with(func(r *because.Request) { r.Prefill = "Well," }),
	}
}

// openaiAnswers are answers that both clients read.
var openaiAnswers = map[string]string{
	"text":  `{"id":"c","object":"chat.completion","created":1,"model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"So \u2028 <b> 👩🏽‍🚀","refusal":null},"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":90,"completion_tokens":9,"total_tokens":99,"prompt_tokens_details":{"cached_tokens":64},"completion_tokens_details":{"reasoning_tokens":5}}}`,
	"calls": `{"id":"c","object":"chat.completion","created":1,"model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"search","arguments":"{\"query\": \"x\"}"}},{"id":"b","type":"function","function":{"name":"search","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`,
}

// officialAnswer reads the official client's answer as because counts it.
func officialAnswer(c *official.ChatCompletion) because.Response {
	first := c.Choices[0]
	out := because.Response{Text: first.Message.Content, Stop: because.StopReason(first.FinishReason), Model: c.Model}
	for _, call := range first.Message.ToolCalls {
		out.Calls = append(out.Calls, because.ToolCall{ID: call.ID, Name: call.Function.Name, Arguments: json.RawMessage(call.Function.Arguments)})
	}
	cached := int(c.Usage.PromptTokensDetails.CachedTokens)
	out.Usage = because.Usage{Input: int(c.Usage.PromptTokens) - cached, CacheRead: cached, Output: int(c.Usage.CompletionTokens), Reasoning: int(c.Usage.CompletionTokensDetails.ReasoningTokens)}
	return out
}

func TestOpenAI(t *testing.T) {
	for kind, answer := range openaiAnswers {
		for _, id := range []string{"m", "gpt-5-mini"} {
			r, url := record(t, map[string]string{"/v1/chat/completions": answer})
			client := official.NewClient(option.WithAPIKey(key), option.WithBaseURL(url+"/v1/"))
			m, err := ours.New(ours.Options{Model: id, BaseURL: url + "/v1", Key: key})
			if err != nil {
				t.Fatal(err)
			}
			for name, q := range openaiRequests() {
				t.Run(kind+" "+id+" "+name, func(t *testing.T) {
					theirs, err := client.Chat.Completions.New(t.Context(), officialParams(id, 7, q))
					if err != nil {
						t.Fatal(err)
					}
					want := officialAnswer(theirs)
					want.Text = q.Prefill + want.Text
					got, err := m.Answer(t.Context(), 7, q)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("the official client's answer (-) and ours (+):\n%s", diff)
					}
					requests := r.take()
					same(t, requests[0], requests[1], "Authorization", "Content-Type")
				})
			}
		}
	}
}

func TestOpenAIBatch(t *testing.T) {
	r, url := record(t, map[string]string{
		"/v1/files": `{"id":"file-1","object":"file"}`, "/v1/batches": `{"id":"batch_1","object":"batch","status":"validating"}`, "/v1/batches/batch_1": `{"id":"batch_1","object":"batch","status":"cancelled"}`,
	})
	m, err := ours.New(ours.Options{Model: "m", BaseURL: url + "/v1", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	b, err := ours.Batch(m, ours.BatchOptions{Dir: t.TempDir(), MaxSize: 1, Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	q := openaiRequests()["conversation"]
	if _, err := b.Answer(t.Context(), 7, q); err == nil {
		t.Fatal("an empty batch answered")
	}
	got := r.take()
	line := got[0].body.(map[string]any)["file"].([]any)[0].(map[string]any)
	token := got[1].body.(map[string]any)["metadata"].(map[string]any)["because"].(string)

	body, err := json.Marshal(officialParams("m", 7, q))
	if err != nil {
		t.Fatal(err)
	}
	client := official.NewClient(option.WithAPIKey(key), option.WithBaseURL(url+"/v1/"))
	text := `{"custom_id":"` + line["custom_id"].(string) + `","method":"POST","url":"/v1/chat/completions","body":` + string(body) + "}\n"
	file, err := client.Files.New(t.Context(), official.FileNewParams{File: official.File(strings.NewReader(text), "b.jsonl", "application/jsonl"), Purpose: official.FilePurposeBatch})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Batches.New(t.Context(), official.BatchNewParams{InputFileID: file.ID, Endpoint: official.BatchNewParamsEndpointV1ChatCompletions, CompletionWindow: official.BatchNewParamsCompletionWindow24h,
		Metadata: shared.Metadata{"because": token}})
	if err != nil {
		t.Fatal(err)
	}
	theirs := r.take()
	same(t, theirs[0], got[0], "Authorization")
	same(t, theirs[1], got[1], "Authorization")
	if got[2].path != "GET /v1/batches/batch_1" {
		t.Errorf("after that came %s", got[2].path)
	}
}
