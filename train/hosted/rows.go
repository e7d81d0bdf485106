package hosted

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/because-lab/because"
)

// Row is one training example: a conversation in which the assistant's turns from index Loss on are to be learnt. A Text is a row of
// the user's file that is a plain document, which is refused with its place.
type Row struct {
	Place    string // in the user's file, such as advice.jsonl:12; errors carry it
	Text     string
	Messages []because.Message
	Tools    []because.Tool
	Loss     int // index of the first message whose turn may carry loss
}

// upload is a file as the service gets it: chat fine-tuning examples, one per line.
type upload struct {
	text   []byte
	hash   string // SHA-256 of text
	rows   int
	tokens int // estimated, of one epoch
	long   int // rows that are longer than longRow tokens by the estimate
}

// name is under which the file is found again on the service.
func (u *upload) name() string { return "because-" + u.hash[:32] + ".jsonl" }

// The JSON of an example; see OpenAI's reference of the chat format for supervised fine-tuning.
type exampleLine struct {
	Messages []exampleMessage `json:"messages"`
	Tools    []exampleTool    `json:"tools,omitempty"`
}

type exampleMessage struct {
	Role       because.Role  `json:"role"`
	Content    *string       `json:"content,omitempty"` // left out where a turn consists of calls alone
	Name       string        `json:"name,omitempty"`
	ToolCalls  []exampleCall `json:"tool_calls,omitempty"`
	ToolCallID string        `json:"tool_call_id,omitempty"`
	Weight     *int          `json:"weight,omitempty"` // 0 on the assistant's turns without loss
}

type exampleCall struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	Function exampleFunction `json:"function"`
}

type exampleFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"` // JSON in a string
}

type exampleTool struct {
	Type     string       `json:"type"`
	Function because.Tool `json:"function"`
}

// encode writes rows that were checked.
func encode(rows []Row) (*upload, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	u := &upload{rows: len(rows)}
	for _, r := range rows {
		if err := e.Encode(r.line()); err != nil {
			return nil, because.E("prepare hosted training", r.Place, err, "")
		}
		tokens := r.tokens()
		u.tokens += tokens
		if tokens > longRow {
			u.long++
		}
	}
	sum := sha256.Sum256(b.Bytes())
	u.text, u.hash = b.Bytes(), hex.EncodeToString(sum[:])
	return u, nil
}

// line makes the JSON of a row.
func (r Row) line() exampleLine {
	var out exampleLine
	for i, m := range withIDs(r.Messages) {
		line := exampleMessage{Role: m.Role, Name: m.Name, ToolCallID: m.ToolCallID}
		if m.Content != "" || len(m.ToolCalls) == 0 {
			line.Content = &m.Content
		}
		for _, c := range m.ToolCalls {
			line.ToolCalls = append(line.ToolCalls, exampleCall{c.ID, "function", exampleFunction{c.Name, string(c.Arguments)}})
		}
		if m.Role == because.RoleAssistant && i < r.Loss {
			line.Weight = new(int)
		}
		out.Messages = append(out.Messages, line)
	}
	for _, t := range r.Tools {
		out.Tools = append(out.Tools, exampleTool{"function", t})
	}
	return out
}

// The estimate of tokens: byte pairs make about four bytes of a token, and a message has marks around it. longRow is the longest
// example that OpenAI's fine-tuned models of 2024 and 2025 take whole; longer ones are cut.
const (
	bytesPerToken    = 4
	tokensPerMessage = 4
	longRow          = 65_536
)

// tokens estimates the length of a row. The tools are part of the prompt.
func (r Row) tokens() int {
	n := 0
	for _, m := range r.Messages {
		n += len(m.Content) + len(m.Name) + tokensPerMessage*bytesPerToken
		for _, c := range m.ToolCalls {
			n += len(c.Name) + len(c.Arguments)
		}
	}
	for _, t := range r.Tools {
		n += len(t.Name) + len(t.Description) + len(t.Parameters)
	}
	return (n + bytesPerToken - 1) / bytesPerToken
}
