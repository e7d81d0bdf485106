// Package columns reads and writes records as files that TRL and Hugging Face's datasets load as they are: JSON lines or Parquet, in exactly TRL's
// columns for supervised finetuning, training on texts, reinforcement learning and preferences. Any further columns are the user's own, such as a
// lineage. Every complaint names file, row and column.
//
// Source: the dataset formats of TRL 1.x, https://huggingface.co/docs/trl/dataset_formats.
package columns

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/internal/words"
)

// Kind says for which training rows are, and so which columns they have.
type Kind string

// The kinds of rows.
const (
	SFT Kind = "sft" // messages, with tools where they have some: loss on the assistant's turns
	SDF Kind = "sdf" // text: loss on every token
	RL  Kind = "rl"  // prompt: messages that end before the assistant's turn; other columns go to the reward
	DPO Kind = "dpo" // prompt, chosen and rejected: messages
)

// Row is one record. Which fields it has, its kind says.
type Row struct {
	Messages []because.Message
	Tools    []because.Tool // beside Messages, Prompt or the three of DPO
	Text     string
	Prompt   []because.Message
	Chosen   []because.Message
	Rejected []because.Message
	// Extra holds further columns as JSON. Their names are none of TRL's.
	Extra map[string]json.RawMessage
}

// own are the columns that have a meaning.
var own = []string{"messages", "tools", "text", "prompt", "completion", "chosen", "rejected"}

// Kind tells the kind of a row by the fields that it has; "" where they are of none or of several.
func (r Row) Kind() Kind {
	has := [...]bool{r.Messages != nil, r.Text != "", r.Prompt != nil, r.Chosen != nil || r.Rejected != nil}
	switch has {
	case [...]bool{true, false, false, false}:
		return SFT
	case [...]bool{false, true, false, false}:
		return SDF
	case [...]bool{false, false, true, false}:
		return RL
	case [...]bool{false, false, true, true}:
		return DPO
	}
	return ""
}

// Texts gives every text of a row that a model is trained on or reads, with the role of its author and its place, such as messages[1]. Texts of
// documents have no role. Arguments of tool calls and definitions of tools are among them, as JSON.
func (r Row) Texts() []Text {
	var out []Text
	if r.Text != "" {
		out = append(out, Text{Place: "text", Text: r.Text})
	}
	for _, part := range []struct {
		column   string
		messages []because.Message
	}{{"messages", r.Messages}, {"prompt", r.Prompt}, {"chosen", r.Chosen}, {"rejected", r.Rejected}} {
		for i, m := range part.messages {
			place := fmt.Sprintf("%s[%d]", part.column, i)
			if m.Content != "" {
				out = append(out, Text{m.Role, place, m.Content})
			}
			if m.Reasoning != "" {
				out = append(out, Text{m.Role, place + ".reasoning_content", m.Reasoning})
			}
			for j, c := range m.ToolCalls {
				out = append(out, Text{m.Role, fmt.Sprintf("%s.tool_calls[%d]", place, j), c.Name + " " + string(c.Arguments)})
			}
		}
	}
	for i, t := range r.Tools {
		out = append(out, Text{Place: fmt.Sprintf("tools[%d]", i), Text: t.Name + " " + t.Description + " " + string(t.Parameters)})
	}
	return out
}

// Repeats finds a place where a row repeats an instruction that was injected when it was sampled: eight words of it in a row. Who writes rows checks
// this for each injected text, since what is trained on must not hold them.
func (r Row) Repeats(injected string) (place, span string, found bool) {
	for _, t := range r.Texts() {
		if span, found := words.Repeats(t.Text, injected); found {
			return t.Place, span, true
		}
	}
	return "", "", false
}

// Text is a text of a row.
type Text struct {
	Role  because.Role // empty for documents and definitions of tools
	Place string
	Text  string
}

// fault is what is wrong in a column.
type fault struct {
	column string
	err    error
}

func (f *fault) Error() string { return f.column + ": " + f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

func faultf(column, format string, args ...any) *fault {
	return &fault{column, fmt.Errorf(format, args...)}
}

// Check tells whether a row can be trained on as one of a kind. Its error begins with the column.
func Check(kind Kind, r Row) error {
	if f := check(kind, r); f != nil {
		return f
	}
	return nil
}

func check(kind Kind, r Row) *fault {
	if got := r.Kind(); got != kind {
		if got == "" {
			return faultf(columnOf(kind), "the row has %s; %s needs %s", describe(r), kind, needs[kind])
		}
		return faultf(columnOf(kind), "it is a row of kind %s, not %s", got, kind)
	}
	if kind == SDF && len(r.Tools) > 0 {
		return faultf("tools", "tools belong to a conversation, not to a text")
	}
	for i, t := range r.Tools {
		if t.Name == "" {
			return faultf("tools", "[%d] has no name", i)
		}
		if len(t.Parameters) > 0 && !isObject(t.Parameters) {
			return faultf("tools", "[%d]: parameters are no JSON object", i)
		}
	}
	for name, v := range r.Extra {
		for _, o := range own {
			if name == o {
				return faultf(name, "it is a column of TRL's and stands among the further ones")
			}
		}
		if name == "" || !json.Valid(v) {
			return faultf(name, "it is no JSON")
		}
	}
	return checkConversations(kind, r)
}

func checkConversations(kind Kind, r Row) *fault {
	switch kind {
	case SFT:
		return conversation("messages", r.Messages, true, true)
	case RL:
		return conversation("prompt", r.Prompt, true, false)
	case DPO:
		if f := conversation("prompt", r.Prompt, true, false); f != nil {
			return f
		}
		if f := conversation("chosen", r.Chosen, false, true); f != nil {
			return f
		}
		return conversation("rejected", r.Rejected, false, true)
	}
	return nil
}

// conversation checks one column of messages: whether it may begin with a system prompt, and whether it ends with an answer or before one.
func conversation(column string, messages []because.Message, begins, answers bool) *fault {
	if len(messages) == 0 {
		return faultf(column, "there are no messages")
	}
	for i, m := range messages {
		place := fmt.Sprintf("%s[%d]", column, i)
		switch m.Role {
		case because.RoleSystem:
			if i > 0 || !begins {
				return faultf(place, "a system prompt may only come first")
			}
		case because.RoleUser, because.RoleTool:
			if m.Content == "" {
				return faultf(place, "the message of the %s is empty", m.Role)
			}
		case because.RoleAssistant:
			if m.Content == "" && len(m.ToolCalls) == 0 {
				return faultf(place, "the assistant's turn has neither content nor tool calls")
			}
		default:
			return faultf(place, "the role %q is none of system, user, assistant, tool", m.Role)
		}
		for j, c := range m.ToolCalls {
			if c.Name == "" || !isObject(c.Arguments) {
				return faultf(place, "tool_calls[%d] needs a name, and arguments that are a JSON object", j)
			}
		}
	}
	last := messages[len(messages)-1].Role == because.RoleAssistant
	if last != answers {
		if answers {
			return faultf(column, "the last message is not the assistant's, so there is nothing to learn")
		}
		return faultf(column, "the last message is the assistant's; a prompt ends before its turn")
	}
	return nil
}

func isObject(raw json.RawMessage) bool {
	text := strings.TrimSpace(string(raw))
	return strings.HasPrefix(text, "{") && json.Valid(raw)
}

var needs = map[Kind]string{SFT: "messages", SDF: "text", RL: "prompt", DPO: "prompt, chosen and rejected"}

func columnOf(kind Kind) string {
	if first, _, ok := strings.Cut(needs[kind], ","); ok {
		return first
	}
	return needs[kind]
}

func describe(r Row) string {
	var has []string
	for _, c := range []struct {
		name string
		is   bool
	}{{"messages", r.Messages != nil}, {"text", r.Text != ""}, {"prompt", r.Prompt != nil}, {"chosen", r.Chosen != nil}, {"rejected", r.Rejected != nil}} {
		if c.is {
			has = append(has, c.name)
		}
	}
	if has == nil {
		return "no columns to train on"
	}
	return strings.Join(has, " and ")
}
