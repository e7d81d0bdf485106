package openai

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model/internal/wire"
)

// completion is the body of an answer.
type completion struct {
	ID      string          `json:"id"`
	Model   string          `json:"model"`
	Choices []choice        `json:"choices"`
	Usage   usage           `json:"usage"`
	Error   json.RawMessage `json:"error"`
}

type choice struct {
	Message *struct {
		Content   content `json:"content"`
		Refusal   string  `json:"refusal"`
		Reasoning string  `json:"reasoning"`         // OpenRouter, Ollama, newer vLLM
		Thoughts  string  `json:"reasoning_content"` // DeepSeek, vLLM, SGLang, llama.cpp
		Calls     []call  `json:"tool_calls"`
		// Details is OpenRouter's form of reasoning, with what the provider signed.
		Details json.RawMessage `json:"reasoning_details"`
	} `json:"message"`
	Finish string          `json:"finish_reason"`
	Error  json.RawMessage `json:"error"`
}

type call struct {
	ID       string `json:"id"`
	Function struct {
		Name      string    `json:"name"`
		Arguments arguments `json:"arguments"`
	} `json:"function"`
	// Extra is Gemini's signature of its reasoning.
	Extra json.RawMessage `json:"extra_content"`
}

// usage counts tokens. Cached and written tokens are a part of the prompt's.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
	Input      struct {
		Cached  int `json:"cached_tokens"`
		Written int `json:"cache_write_tokens"`
	} `json:"prompt_tokens_details"`
	Output struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

// content is a text, or a list of parts as Mistral's reasoning models give it.
type content struct{ text, thoughts string }

// UnmarshalJSON reads a string, null, or a list of parts of type text and thinking. Other parts are left out.
func (c *content) UnmarshalJSON(raw []byte) error {
	if wire.Kind(raw) != '[' {
		return json.Unmarshal(raw, &c.text)
	}
	var parts []struct {
		Type     string  `json:"type"`
		Text     string  `json:"text"`
		Thinking content `json:"thinking"`
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return err
	}
	for _, p := range parts {
		c.text += p.Text
		c.thoughts += p.Thinking.text
	}
	return nil
}

// arguments are those of a call: a string that should hold JSON, or, from some servers, the JSON itself.
type arguments json.RawMessage

// UnmarshalJSON keeps arguments as wire.Arguments does.
func (a *arguments) UnmarshalJSON(raw []byte) error {
	switch wire.Kind(raw) {
	case 'n':
		*a = arguments("{}")
	case '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		*a = arguments(wire.Arguments(text))
	default:
		*a = arguments(bytes.Clone(raw))
	}
	return nil
}

// decode reads an answer to a request.
func (m *Model) decode(body []byte, r because.Request) (because.Response, error) {
	var c completion
	if err := json.Unmarshal(body, &c); err != nil {
		return because.Response{}, m.client.Garbled(fmt.Errorf("the answer is not the JSON of a chat completion: %w", err))
	}
	failure := c.Error
	if len(c.Choices) > 0 && len(c.Choices[0].Error) > 0 {
		failure = c.Choices[0].Error
	}
	if k := wire.Kind(failure); k != 0 && k != 'n' {
		if p, ok := wire.ParseProblem(slices.Concat([]byte(`{"error":`), failure, []byte("}"))); ok {
			return because.Response{}, m.client.Explain(200, p, 0)
		}
	}
	if len(c.Choices) == 0 || c.Choices[0].Message == nil {
		if p, ok := wire.ParseProblem(body); ok && c.Choices == nil {
			return because.Response{}, m.client.Explain(200, p, 0)
		}
		return because.Response{}, m.client.Garbled(errors.New("the answer has no choices"))
	}
	return m.response(&c, body, r)
}

// response makes an answer of a completion's first choice.
func (m *Model) response(c *completion, body []byte, r because.Request) (because.Response, error) {
	first := c.Choices[0]
	out := because.Response{Text: first.Message.Content.text, Model: c.Model, Usage: c.Usage.tokens()}
	for _, s := range []string{first.Message.Thoughts, first.Message.Reasoning, first.Message.Content.thoughts} {
		if s != "" {
			out.Reasoning = s
			break
		}
	}
	if out.Text == "" {
		out.Text = first.Message.Refusal
	}
	signed := len(first.Message.Details) > 0 && string(first.Message.Details) != "null"
	for i, f := range first.Message.Calls {
		id := f.ID
		if id == "" {
			id = callID(c.ID, body, i)
		}
		given := json.RawMessage(f.Function.Arguments)
		if given == nil {
			given = json.RawMessage("{}")
		}
		out.Calls = append(out.Calls, because.ToolCall{ID: id, Name: f.Function.Name, Arguments: given})
		signed = signed || len(f.Extra) > 0
	}
	var err error
	if out.Stop, err = m.stop(first.Finish, len(out.Calls) > 0); err != nil {
		return because.Response{}, err
	}
	if signed {
		out.Native = nativeTurn(body)
	}
	out.Text = r.Prefill + out.Text
	return out, nil
}

// callID names a call of a server that does not, differently in every answer.
func callID(answer string, body []byte, i int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s", answer, i, body))
	return "call_" + hex.EncodeToString(sum[:12])
}

// tokens gives the usage as because counts it. Some servers, such as xAI's, tell reasoning beside the answer's tokens and not as
// a part of them, which the total gives away.
func (u usage) tokens() because.Usage {
	out := because.Usage{CacheRead: max(0, u.Input.Cached), CacheWrite: max(0, u.Input.Written), Output: max(0, u.Completion), Reasoning: max(0, u.Output.Reasoning)}
	out.Input = max(0, u.Prompt-out.CacheRead-out.CacheWrite)
	if out.Reasoning > 0 && u.Total == u.Prompt+u.Completion+out.Reasoning {
		out.Output += out.Reasoning
	}
	return out
}

// stop reads a finish reason. Some servers say "stop" where an answer ends with calls, as OpenAI does after a forced choice.
func (m *Model) stop(finish string, calls bool) (because.StopReason, error) {
	switch finish {
	case "length", "model_length", "max_tokens":
		return because.StopLength, nil
	case "content_filter":
		return because.StopFilter, nil
	case "error", "abort", "insufficient_system_resource":
		return "", m.client.Explain(200, wire.Problem{Type: "server_error", Message: fmt.Sprintf("the server gave up in the middle of an answer (finish reason %q)", finish)}, 0)
	}
	if calls {
		return because.StopCalls, nil
	}
	return because.StopEnd, nil
}

// provider marks the turns of this package in Message.Native: the server's own message, where it holds signatures that the server
// wants back.
const provider = "openai"

// nativeTurn takes the message out of an answer's body.
func nativeTurn(body []byte) json.RawMessage {
	var c struct {
		Choices []struct {
			Message json.RawMessage `json:"message"`
		} `json:"choices"`
	}
	if json.Unmarshal(body, &c) != nil || len(c.Choices) == 0 {
		return nil
	}
	return wire.Native(provider, c.Choices[0].Message)
}

// ownTurn gives an earlier turn as the server gave it, where it has one of this package and still says what the turn says: a turn
// that was changed since, or has a prefill in it, goes without its signatures.
func ownTurn(t *because.Message) json.RawMessage {
	own := wire.Own(t.Native, provider)
	var c choice
	if own == nil || json.Unmarshal(own, &c.Message) != nil || c.Message == nil {
		return nil
	}
	if strings.TrimSpace(c.Message.Content.text) != strings.TrimSpace(t.Content) || len(c.Message.Calls) != len(t.ToolCalls) {
		return nil
	}
	for i, f := range c.Message.Calls {
		if f.ID != t.ToolCalls[i].ID || f.Function.Name != t.ToolCalls[i].Name || !wire.SameJSON(f.Function.Arguments, t.ToolCalls[i].Arguments) {
			return nil
		}
	}
	return own
}
