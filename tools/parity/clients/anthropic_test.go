package clients

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	official "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/because-lab/because"
	ours "github.com/because-lab/because/model/anthropic"
	"github.com/google/go-cmp/cmp"
)

// claudeMessages writes the turns of a conversation for the official client; the last block of the user's last turn may be marked.
func claudeMessages(messages []because.Message, cached bool) []official.MessageParam {
	var out []official.MessageParam
	add := func(role official.MessageParamRole, b official.ContentBlockParamUnion) {
		if n := len(out); n > 0 && out[n-1].Role == role {
			out[n-1].Content = append(out[n-1].Content, b)
			return
		}
		out = append(out, official.MessageParam{Role: role, Content: []official.ContentBlockParamUnion{b}})
	}
	for i, m := range messages {
		switch m.Role {
		case because.RoleUser:
			b := official.NewTextBlock(m.Content)
			if cached && i == len(messages)-1 {
				b.OfText.CacheControl = official.NewCacheControlEphemeralParam()
			}
			add(official.MessageParamRoleUser, b)
		case because.RoleTool:
			add(official.MessageParamRoleUser, official.ContentBlockParamUnion{OfToolResult: &official.ToolResultBlockParam{ToolUseID: m.ToolCallID,
				Content: []official.ToolResultBlockParamContentUnion{{OfText: &official.TextBlockParam{Text: m.Content}}}}})
		case because.RoleAssistant:
			if m.Reasoning != "" {
				add(official.MessageParamRoleAssistant, official.NewThinkingBlock("c2ln", m.Reasoning))
			}
			add(official.MessageParamRoleAssistant, official.NewTextBlock(m.Content))
			for _, c := range m.ToolCalls {
				add(official.MessageParamRoleAssistant, official.NewToolUseBlock(c.ID, c.Arguments, c.Name))
			}
		}
	}
	return out
}

// claudeParams writes a request for the official client.
func claudeParams(id string, r because.Request) official.MessageNewParams {
	cached := len(r.Tools) > 0
	p := official.MessageNewParams{Model: id, MaxTokens: int64(r.MaxTokens), StopSequences: r.Stop}
	messages := r.Messages
	if messages[0].Role == because.RoleSystem {
		p.System = []official.TextBlockParam{{Text: messages[0].Content}}
		if cached {
			p.System[0].CacheControl = official.NewCacheControlEphemeralParam()
		}
		messages = messages[1:]
	}
	p.Messages = claudeMessages(messages, cached)
	if r.Prefill != "" {
		p.Messages = append(p.Messages, official.NewAssistantMessage(official.NewTextBlock(r.Prefill)))
	}
	for i, t := range r.Tools {
		schema := asObject(t.Parameters)
		tool := official.ToolParam{Name: t.Name, Description: official.String(t.Description), InputSchema: official.ToolInputSchemaParam{
			Properties: schema["properties"], Required: []string{"query"}, ExtraFields: map[string]any{"additionalProperties": false}}}
		if cached && p.System == nil && i == len(r.Tools)-1 {
			tool.CacheControl = official.NewCacheControlEphemeralParam()
		}
		p.Tools = append(p.Tools, official.ToolUnionParam{OfTool: &tool})
	}
	switch r.Choice {
	case "", "auto":
	case "none":
		p.ToolChoice.OfNone = &official.ToolChoiceNoneParam{}
	case "required":
		p.ToolChoice.OfAny = &official.ToolChoiceAnyParam{}
	default:
		p.ToolChoice = official.ToolChoiceParamOfTool(r.Choice)
	}
	if r.Temperature != because.OwnTemperature {
		p.Temperature = official.Float(r.Temperature)
	}
	if r.TopP != 0 {
		p.TopP = official.Float(r.TopP)
	}
	if r.Effort != "" && strings.HasSuffix(id, "4-5") {
		p.Thinking = official.ThinkingConfigParamOfEnabled(int64(r.MaxTokens / 2))
	} else if r.Effort != "" {
		p.Thinking.OfAdaptive = &official.ThinkingConfigAdaptiveParam{Display: official.ThinkingConfigAdaptiveDisplaySummarized}
		p.OutputConfig.Effort = official.OutputConfigEffort(r.Effort)
	}
	if r.Format != nil {
		p.OutputConfig.Format = official.JSONOutputFormatParam{Schema: asObject(r.Format.Schema)}
	}
	return p
}

// claudeRequests are requests with every feature that both clients have.
func claudeRequests() map[string]because.Request {
	own := because.Request{Messages: dialogue[1:2], Temperature: because.OwnTemperature, MaxTokens: 4096}
	with := func(change func(*because.Request)) because.Request { r := own; change(&r); return r }
	tools := []because.Tool{{Name: "first", Description: "First.", Parameters: parameters}, search}
	return map[string]because.Request{
		"plain":        own,
		"system":       with(func(r *because.Request) { r.Messages = dialogue[:2] }),
		"conversation": with(func(r *because.Request) { r.Messages, r.Tools = dialogue, tools }),
		"signed thinking": with(func(r *because.Request) {
			r.Messages, r.Tools = append([]because.Message(nil), dialogue...), tools
			r.Messages[2].Reasoning = "hm"
			r.Messages[2].Native = json.RawMessage(`{"anthropic":[{"type":"thinking","thinking":"hm","signature":"c2ln"},{"type":"text","text":"I'll look."},` +
				`{"type":"tool_use","id":"call_1","name":"search","input":{"query":"pay"}},{"type":"tool_use","id":"call_2","name":"search","input":{"query":"ava"}}]}`)
		}),
		"sampling": with(func(r *because.Request) { r.Temperature, r.TopP, r.Stop = 0.7, 0.9, []string{"\n", "END"} }),
		"greedy":   with(func(r *because.Request) { r.Temperature = 0 }),
		"none":     with(func(r *because.Request) { r.Tools, r.Choice = tools, "none" }),
		"required": with(func(r *because.Request) { r.Tools, r.Choice = tools, "required" }),
		"named":    with(func(r *because.Request) { r.Tools, r.Choice = tools, "search" }),
		"effort":   with(func(r *because.Request) { r.Effort = "medium" }),
		"format":   with(func(r *because.Request) { r.Format = &because.Schema{Name: "verdict", Schema: parameters} }),
		"prefill":  with(func(r *because.Request) { r.Prefill = "Well," }),
	}
}

// claudeAnswers are answers that both clients read.
var claudeAnswers = map[string]string{
	"text":  `{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"thinking","thinking":"hm","signature":"c2ln"},{"type":"text","text":"So \u2028 <b> 👩🏽‍🚀"}],"stop_reason":"max_tokens","usage":{"input_tokens":9,"output_tokens":8,"cache_read_input_tokens":7,"cache_creation_input_tokens":6,"output_tokens_details":{"thinking_tokens":5}}}`,
	"calls": `{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"I'll look."},{"type":"tool_use","id":"a","name":"search","input":{"query": "x", "n": 9007199254740993}},{"type":"tool_use","id":"b","name":"search","input":{}}],"stop_reason":"tool_use","usage":{"input_tokens":9,"output_tokens":8}}`,
}

// claudeAnswer reads the official client's answer as because counts it.
func claudeAnswer(m *official.Message) because.Response {
	out := because.Response{Model: m.Model, Stop: map[official.StopReason]because.StopReason{official.StopReasonMaxTokens: because.StopLength, official.StopReasonToolUse: because.StopCalls}[m.StopReason]}
	for _, b := range m.Content {
		switch b := b.AsAny().(type) {
		case official.TextBlock:
			out.Text += b.Text
		case official.ThinkingBlock:
			out.Reasoning += b.Thinking
		case official.ToolUseBlock:
			out.Calls = append(out.Calls, because.ToolCall{ID: b.ID, Name: b.Name, Arguments: b.Input})
		}
	}
	u := m.Usage
	out.Usage = because.Usage{Input: int(u.InputTokens), Output: int(u.OutputTokens), CacheRead: int(u.CacheReadInputTokens), CacheWrite: int(u.CacheCreationInputTokens), Reasoning: int(u.OutputTokensDetails.ThinkingTokens)}
	return out
}

func TestAnthropic(t *testing.T) {
	for kind, answer := range claudeAnswers {
		for _, id := range []string{"claude-opus-4-6", "claude-sonnet-4-5"} {
			r, url := record(t, map[string]string{"/v1/messages": answer})
			client := official.NewClient(option.WithAPIKey(key), option.WithBaseURL(url))
			m, err := ours.New(ours.Options{Model: id, BaseURL: url + "/v1", Key: key})
			if err != nil {
				t.Fatal(err)
			}
			for name, q := range claudeRequests() {
				t.Run(kind+" "+id+" "+name, func(t *testing.T) {
					theirs, err := client.Messages.New(t.Context(), claudeParams(id, q))
					if err != nil {
						t.Fatal(err)
					}
					want := claudeAnswer(theirs)
					want.Text = q.Prefill + want.Text
					got, err := m.Answer(t.Context(), 7, q)
					if err != nil {
						t.Fatal(err)
					}
					if strings.Contains(answer, "signature") != strings.Contains(string(got.Native), "c2ln") {
						t.Errorf("native turn %s", got.Native)
					}
					got.Native = nil
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("the official client's answer (-) and ours (+):\n%s", diff)
					}
					requests := r.take()
					same(t, requests[0], requests[1], "X-Api-Key", "Content-Type", "Anthropic-Version")
				})
			}
		}
	}
}

func TestAnthropicBatch(t *testing.T) {
	r, url := record(t, map[string]string{
		"/v1/messages/batches": `{"id":"msgbatch_1","processing_status":"in_progress"}`, "/v1/messages/batches/msgbatch_1": `{"id":"msgbatch_1","processing_status":"ended"}`,
		"/v1/messages/batches/msgbatch_1/results": ``,
	})
	m, err := ours.New(ours.Options{Model: "claude-opus-4-6", BaseURL: url + "/v1", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	b, err := ours.Batch(m, ours.BatchOptions{Dir: t.TempDir(), MaxSize: 1, Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	q := claudeRequests()["conversation"]
	if _, err := b.Answer(t.Context(), 7, q); err == nil {
		t.Fatal("an empty batch answered")
	}
	got := r.take()
	id := got[0].body.(map[string]any)["requests"].([]any)[0].(map[string]any)["custom_id"].(string)
	p := claudeParams("claude-opus-4-6", q)
	client := official.NewClient(option.WithAPIKey(key), option.WithBaseURL(url))
	_, err = client.Messages.Batches.New(t.Context(), official.MessageBatchNewParams{Requests: []official.MessageBatchNewParamsRequest{{CustomID: id,
		Params: official.MessageBatchNewParamsRequestParams{Model: p.Model, MaxTokens: p.MaxTokens, Messages: p.Messages, System: p.System, Tools: p.Tools}}}})
	if err != nil {
		t.Fatal(err)
	}
	same(t, r.take()[0], got[0], "X-Api-Key", "Anthropic-Version")
}
