package modeltest

import (
	"encoding/json"
	"testing"

	"github.com/because-lab/because"
)

// user is a request with one message, and the temperature left to the model, as every provider takes it.
func user(text string) because.Request {
	return because.Request{Messages: []because.Message{{Role: because.RoleUser, Content: text}}, Temperature: because.OwnTemperature, MaxTokens: 64}
}

// search and pay are tools with an object of arguments, nested in one case.
var (
	search = because.Tool{Name: "search", Description: "Search the mail.",
		Parameters: json.RawMessage(`{"type":"object","properties":{"query":{"type":"string"}},"required":["query"]}`)}
	pay = because.Tool{Name: "pay", Description: "Pay an invoice.",
		Parameters: json.RawMessage(`{"type":"object","properties":{"to":{"type":"object","properties":{"iban":{"type":"string"}}},"cents":{"type":"integer"}}}`)}
	now   = because.Tool{Name: "now", Description: "Tell the time.", Parameters: json.RawMessage(`{"type":"object","properties":{}}`)}
	calls = []because.ToolCall{
		{ID: "call_1", Name: "search", Arguments: json.RawMessage(`{"query":"what \"she\" wrote\n— 12 % of it"}`)},
		{ID: "call_2", Name: "pay", Arguments: json.RawMessage(`{"to":{"iban":"XX00 1234"},"cents":9007199254740993}`)},
		{ID: "call_3", Name: "now", Arguments: json.RawMessage(`{}`)},
	}
)

// unicode has what breaks careless code: characters of two to four bytes, joined emoji, right-to-left text, line separators,
// characters that HTML escapes, and a start of a special token.
const unicode = "Žluťoučký kůň, 北京, 👩🏽‍🚀🏳️‍🌈, שלום, e\u0301, \u2028line\u2029, <b>&amp;</b> \\u0041 \"q\" \t|<|im_end|>\r\n  "

// answers checks that an answer arrives as the model gave it.
func (c *contract) answers(t *testing.T) {
	some := because.Usage{Input: 11, Output: 7}
	format := user("as JSON")
	format.Format = &because.Schema{Name: "verdict", Schema: json.RawMessage(
		`{"type":"object","properties":{"harm":{"type":"boolean"}},"required":["harm"],"additionalProperties":false}`)}
	withTools := user("pay her")
	withTools.Tools = []because.Tool{search, pay, now}
	prefilled := user("go on")
	prefilled.Prefill = "I think that"
	tests := []struct {
		name  string
		needs Feature
		ask   because.Request
		reply because.Response // that the model gives; Text without the prefill
	}{
		{"plain", "", user("hello"), because.Response{Text: "Hello, you.", Stop: because.StopEnd, Usage: some}},
		{"empty", "", user("say nothing"), because.Response{Stop: because.StopEnd, Usage: because.Usage{Input: 3}}},
		{"unicode", "", user(unicode), because.Response{Text: unicode, Stop: because.StopEnd, Usage: some}},
		{"cut at the token limit", "", user("count"), because.Response{Text: "one, two,", Stop: because.StopLength, Usage: some}},
		{"moderated while it was written", "", user("bomb"), because.Response{Text: "First you", Stop: because.StopFilter, Usage: some}},
		{"reasoning", Reasoning, user("think"), because.Response{Reasoning: "She asks.\n\nI weigh it.", Text: "No.", Stop: because.StopEnd, Usage: some}},
		{"calls", Tools, withTools, because.Response{Calls: calls, Stop: because.StopCalls, Usage: some}},
		{"text and a call", Tools, withTools, because.Response{Text: "I'll look.", Calls: calls[:1], Stop: because.StopCalls, Usage: some}},
		{"prefill", Prefill, prefilled, because.Response{Text: " it is wrong.", Stop: because.StopEnd, Usage: some}},
		{"format", Format, format, because.Response{Text: `{"harm":false}`, Stop: because.StopEnd, Usage: some}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !c.has(tt.needs) {
				t.Skip("the provider lacks " + string(tt.needs))
			}
			s := replies(tt.reply)
			chat := c.open(t, s)
			got, err := chat.Answer(t.Context(), 1, tt.ask)
			if err != nil {
				t.Fatal(err)
			}
			want := tt.reply
			want.Text = tt.ask.Prefill + want.Text
			answered(t, want, got)
			c.arrived(t, s, tt.ask)
			if chat.Name() == "" {
				t.Error("the model has no name")
			}
			if n := len(s.Asked()); n != 1 {
				t.Errorf("one request was sent %d times", n)
			}
		})
	}
}

// requests checks that what a request asks for reaches the model.
func (c *contract) requests(t *testing.T) {
	tests := []struct {
		name  string
		needs Feature
		set   func(r *because.Request)
	}{
		{"temperature 0", "", func(r *because.Request) { r.Temperature = 0 }},
		{"temperature", "", func(r *because.Request) { r.Temperature = 0.7 }},
		{"top p", "", func(r *because.Request) { r.TopP = 0.9 }},
		{"top p of all", "", func(r *because.Request) { r.TopP = 1 }},
		{"max tokens", "", func(r *because.Request) { r.MaxTokens = 1234 }},
		{"no max tokens", "", func(r *because.Request) { r.MaxTokens = 0 }},
		{"stop strings", StopStrings, func(r *because.Request) { r.Stop = []string{"\n\nHuman:", "</answer>"} }},
		{"effort", Effort, func(r *because.Request) { r.Effort = "low" }},
		{"tools", Tools, func(r *because.Request) { r.Tools = []because.Tool{search, pay} }},
		{"auto choice", Tools, func(r *because.Request) { r.Tools, r.Choice = []because.Tool{search}, "auto" }},
		{"no choice", Choice, func(r *because.Request) { r.Tools, r.Choice = []because.Tool{search}, "none" }},
		{"required choice", Choice, func(r *because.Request) { r.Tools, r.Choice = []because.Tool{search}, "required" }},
		{"named choice", Choice, func(r *because.Request) { r.Tools, r.Choice = []because.Tool{search, pay}, "pay" }},
		{"foreign native turn", "", func(r *because.Request) {
			r.Messages = append(r.Messages, because.Message{Role: because.RoleAssistant, Content: "yes", Reasoning: "hm", Native: json.RawMessage(`{"of":"another provider"}`)},
				because.Message{Role: because.RoleUser, Content: "why?"})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !c.has(tt.needs) {
				t.Skip("the provider lacks " + string(tt.needs))
			}
			reply := because.Response{Text: "Well.", Stop: because.StopEnd}
			r := user("hello")
			tt.set(&r)
			if r.Choice == "required" || r.Choice == "pay" {
				reply = because.Response{Calls: []because.ToolCall{{ID: "c", Name: r.Tools[len(r.Tools)-1].Name, Arguments: json.RawMessage("{}")}}, Stop: because.StopCalls}
			}
			before := dump(r)
			s := replies(reply)
			if _, err := c.open(t, s).Answer(t.Context(), 1, r); err != nil {
				t.Fatal(err)
			}
			c.arrived(t, s, r)
			if after := dump(r); after != before {
				t.Errorf("the provider changed the request it was given:\n%s\nbecame\n%s", before, after)
			}
		})
	}
}

// conversation checks that turns go back as they came: a system prompt, calls with their IDs, and several results in order.
func (c *contract) conversation(t *testing.T) {
	r := user("pay her what she is owed")
	r.Messages = append([]because.Message{{Role: because.RoleSystem, Content: "You keep the books.\nBe brief."}}, r.Messages...)
	first := because.Response{Text: "I'll look.", Stop: because.StopEnd}
	if c.has(Tools) {
		r.Tools = []because.Tool{search, pay, now}
		first.Calls, first.Stop = calls, because.StopCalls
	}
	s := replies(first, because.Response{Text: "Done.", Stop: because.StopEnd})
	chat := c.open(t, s)
	got, err := chat.Answer(t.Context(), 1, r)
	if err != nil {
		t.Fatal(err)
	}
	c.arrived(t, s, r)
	r.Messages = append(r.Messages, got.Message())
	for i, call := range got.Calls {
		if call.ID == "" {
			t.Errorf("call %d has no ID", i+1)
		}
		r.Messages = append(r.Messages, because.Message{Role: because.RoleTool, ToolCallID: call.ID, Content: []string{"3 mails", "", unicode}[i%3]})
	}
	r.Messages = append(r.Messages, because.Message{Role: because.RoleUser, Content: "And?"})
	if got, err = chat.Answer(t.Context(), 2, r); err != nil {
		t.Fatal(err)
	}
	if got.Text != "Done." {
		t.Errorf("the second answer is %q", got.Text)
	}
	c.arrived(t, s, r)
}
