package modeltest

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/because-lab/because"
)

// dump writes a value for a failure.
func dump(v any) string {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// canonical gives JSON with sorted keys and without spaces; text that is no JSON stays as it is.
func canonical(raw json.RawMessage) json.RawMessage {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return raw
	}
	text, err := json.Marshal(v)
	if err != nil {
		return raw
	}
	return text
}

func canonicalCalls(calls []because.ToolCall) []because.ToolCall {
	var out []because.ToolCall
	for _, c := range calls {
		c.Arguments = canonical(c.Arguments)
		out = append(out, c)
	}
	return out
}

// plain reduces a request to what every wire format carries, so that what was sent can be compared with what arrived.
// A turn's reasoning and native form are its provider's to send or to leave out, and so are the names of speakers.
func plain(r because.Request) because.Request {
	var messages []because.Message
	for _, m := range r.Messages {
		messages = append(messages, because.Message{Role: m.Role, Content: m.Content, ToolCalls: canonicalCalls(m.ToolCalls), ToolCallID: m.ToolCallID})
	}
	r.Messages = messages
	var tools []because.Tool
	for _, t := range r.Tools {
		t.Parameters = canonical(t.Parameters)
		tools = append(tools, t)
	}
	r.Tools = tools
	if r.Format != nil {
		r.Format = &because.Schema{Schema: canonical(r.Format.Schema)}
	}
	if r.Choice == "auto" {
		r.Choice = ""
	}
	if r.TopP == 1 {
		r.TopP = 0
	}
	if len(r.Stop) == 0 {
		r.Stop = nil
	}
	return r
}

// arrived checks that the last request of a script is the one that was sent, and that it came with the key. MaxTokens 0 is the
// provider's choice.
func (c *contract) arrived(t *testing.T, s *Script, sent because.Request) {
	t.Helper()
	all := s.Asked()
	if len(all) == 0 {
		t.Fatal("nothing reached the model")
	}
	last := all[len(all)-1]
	want, got := plain(sent), plain(last.Request)
	if sent.MaxTokens == 0 {
		got.MaxTokens = 0
	}
	if !reflect.DeepEqual(want, got) {
		t.Errorf("sent\n%s\nand to the model came\n%s", dump(want), dump(got))
	}
	if c.has(HTTP) && last.Key != Key {
		t.Errorf("the request came with key %q", last.Key)
	}
}

// answered checks an answer but for its Native form and its Model, which are the provider's.
func answered(t *testing.T, want, got because.Response) {
	t.Helper()
	got.Native, got.Model = nil, ""
	want.Calls, got.Calls = canonicalCalls(want.Calls), canonicalCalls(got.Calls)
	if !reflect.DeepEqual(want, got) {
		t.Errorf("the model answered\n%s\nand the provider gave\n%s", dump(want), dump(got))
	}
}
