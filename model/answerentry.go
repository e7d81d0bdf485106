package model

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/because-lab/because"
)

// answerEntry is an answer on disk. JSON within it is kept as strings, so that its bytes come back as they were.
type answerEntry struct {
	Asked     string             `json:"asked"` // the model's name, for people who look
	Text      string             `json:"text"`
	Reasoning string             `json:"reasoning,omitempty"`
	Calls     []answerCall       `json:"calls,omitempty"`
	Native    string             `json:"native,omitempty"`
	Stop      because.StopReason `json:"stop"`
	Usage     because.Usage      `json:"usage"`
	Model     string             `json:"model,omitempty"`
}

type answerCall struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// encodeAnswer writes an answer. Text that is no UTF-8 would not come back as it was, and is an error.
func encodeAnswer(asked string, r because.Response) ([]byte, error) {
	e := answerEntry{Asked: asked, Text: r.Text, Reasoning: r.Reasoning, Native: string(r.Native), Stop: r.Stop, Usage: r.Usage, Model: r.Model}
	texts := []string{e.Text, e.Reasoning, e.Native, e.Model, string(e.Stop)}
	for _, c := range r.Calls {
		call := answerCall{c.ID, c.Name, string(c.Arguments)}
		e.Calls = append(e.Calls, call)
		texts = append(texts, call.ID, call.Name, call.Arguments)
	}
	for _, s := range texts {
		if !utf8.ValidString(s) {
			return nil, fmt.Errorf("it holds text that is not UTF-8: %.40q", s)
		}
	}
	return json.Marshal(e)
}

// decodeAnswer reads an answer.
func decodeAnswer(text []byte) (because.Response, error) {
	var e answerEntry
	if err := json.Unmarshal(text, &e); err != nil {
		return because.Response{}, err
	}
	out := because.Response{Text: e.Text, Reasoning: e.Reasoning, Stop: e.Stop, Usage: e.Usage, Model: e.Model}
	if e.Native != "" {
		out.Native = json.RawMessage(e.Native)
	}
	for _, c := range e.Calls {
		out.Calls = append(out.Calls, because.ToolCall{ID: c.ID, Name: c.Name, Arguments: json.RawMessage(c.Arguments)})
	}
	return out, nil
}
