package anthropic

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/model/internal/wire"
)

// message is the body of an answer.
type message struct {
	Type    string          `json:"type"`
	Model   string          `json:"model"`
	Content json.RawMessage `json:"content"`
	Stop    string          `json:"stop_reason"`
	Usage   struct {
		Input   int `json:"input_tokens"`
		Output  int `json:"output_tokens"`
		Read    int `json:"cache_read_input_tokens"`
		Written int `json:"cache_creation_input_tokens"`
		Details struct {
			Thinking int `json:"thinking_tokens"`
		} `json:"output_tokens_details"`
	} `json:"usage"`
}

// block is a piece of an answer.
type block struct {
	Type     string          `json:"type"`
	Text     string          `json:"text"`
	Thinking string          `json:"thinking"`
	ID       string          `json:"id"`
	Name     string          `json:"name"`
	Input    json.RawMessage `json:"input"`
}

// gather joins the blocks of one answer.
func gather(blocks []block) because.Response {
	var out because.Response
	var text, thoughts []string
	for _, b := range blocks {
		switch b.Type {
		case "text":
			text = append(text, b.Text)
		case "thinking":
			thoughts = append(thoughts, b.Thinking)
		case "tool_use":
			out.Calls = append(out.Calls, because.ToolCall{ID: b.ID, Name: b.Name, Arguments: input(b.Input)})
		}
	}
	out.Text, out.Reasoning = strings.Join(text, ""), strings.Join(thoughts, "\n\n")
	return out
}

// input gives a call's arguments. The API parses them; where it could not, it gives what else it has.
func input(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || string(raw) == "null" {
		return json.RawMessage("{}")
	}
	return raw
}

// decode reads an answer to a request.
func (m *Model) decode(body []byte, r because.Request) (because.Response, error) {
	var a message
	if err := json.Unmarshal(body, &a); err != nil {
		return because.Response{}, m.client.Garbled(fmt.Errorf("the answer is not the JSON of a message: %w", err))
	}
	if a.Type == "error" {
		p, _ := wire.ParseProblem(body)
		return because.Response{}, m.client.Explain(200, p, 0)
	}
	var blocks []block
	if wire.Kind(a.Content) != '[' {
		return because.Response{}, m.client.Garbled(errors.New("the answer has no content"))
	}
	if err := json.Unmarshal(a.Content, &blocks); err != nil {
		return because.Response{}, m.client.Garbled(fmt.Errorf("the answer's content is not a list of blocks: %w", err))
	}
	out := gather(blocks)
	u := a.Usage
	out.Usage = because.Usage{Input: max(0, u.Input), Output: max(0, u.Output), CacheRead: max(0, u.Read), CacheWrite: max(0, u.Written), Reasoning: max(0, u.Details.Thinking)}
	out.Model = a.Model
	var err error
	if out.Stop, err = m.stop(a.Stop, len(out.Calls) > 0); err != nil {
		return because.Response{}, err
	}
	if slices.ContainsFunc(blocks, func(b block) bool { return b.Type == "thinking" || b.Type == "redacted_thinking" }) {
		out.Native = wire.Native(provider, a.Content)
	}
	if r.Format != nil && !m.follows(r.Format) {
		asFormat(&out, answerTool(r.Format))
	}
	out.Text = continued(r.Prefill, out.Text)
	return out, nil
}

// asFormat makes the arguments of the call that stands for an answer its text.
func asFormat(out *because.Response, tool string) {
	for _, c := range out.Calls {
		if c.Name != tool {
			continue
		}
		out.Text, out.Calls, out.Native = string(c.Arguments), nil, nil
		if out.Stop == because.StopCalls {
			out.Stop = because.StopEnd
		}
		return
	}
}

// continued joins a given start of an answer with what the model wrote after it. Space at the start's end was not sent, so that
// the model may have written it again.
func continued(start, rest string) string {
	bare := strings.TrimRight(start, " \t\r\n")
	if text := bare + rest; strings.HasPrefix(text, start) {
		return text
	}
	return start + strings.TrimLeft(rest, " \t\r\n")
}

// stop reads a stop reason. A turn that the provider paused is one that is not finished.
func (m *Model) stop(reason string, calls bool) (because.StopReason, error) {
	switch reason {
	case "max_tokens", "model_context_window_exceeded", "pause_turn":
		return because.StopLength, nil
	case "refusal":
		return because.StopFilter, nil
	case "":
		return "", m.client.Fail(model.Garbled, errors.New("the answer has no stop reason"))
	}
	if calls {
		return because.StopCalls, nil
	}
	return because.StopEnd, nil
}
