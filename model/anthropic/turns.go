package anthropic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model/internal/wire"
)

// writer writes the turns of a conversation. The API wants the results of one turn's calls together in the user turn after it.
type writer struct {
	buf    []byte
	cached bool
	open   because.Role // of the turn that is being written: user, assistant, or none
	blocks int          // in it
}

// turns writes a conversation, and the start of the answer as its last turn.
func (w *writer) turns(turns []because.Message, prefill string) error {
	last := -1 // the last turn of the user that has a block
	for i := range turns {
		if turns[i].Role == because.RoleTool || turns[i].Role == because.RoleUser && strings.TrimSpace(turns[i].Content) != "" {
			last = i
		}
	}
	if last < 0 {
		return errors.New("the request has no message of a user")
	}
	for i := range turns {
		if err := w.turn(&turns[i], w.cached && i == last); err != nil {
			return fmt.Errorf("turn %d: %w", i+1, err)
		}
	}
	// The API takes no space at the end of a given answer.
	if given := strings.TrimRight(prefill, " \t\r\n"); given != "" {
		w.begin(because.RoleAssistant)
		w.text(given, false)
	}
	w.end()
	return nil
}

// begin makes sure that the turn being written is of a role.
func (w *writer) begin(role because.Role) {
	if w.open == role {
		return
	}
	w.end()
	if w.buf[len(w.buf)-1] == '}' {
		w.buf = append(w.buf, ',')
	}
	w.buf = append(append(append(w.buf, `{"role":"`...), role...), `","content":[`...)
	w.open, w.blocks = role, 0
}

func (w *writer) end() {
	if w.open != "" {
		w.buf = append(w.buf, "]}"...)
	}
	w.open = ""
}

// next begins a block.
func (w *writer) next() {
	if w.blocks++; w.blocks > 1 {
		w.buf = append(w.buf, ',')
	}
}

func (w *writer) text(s string, marked bool) {
	w.next()
	w.buf = wire.AppendString(append(w.buf, `{"type":"text","text":`...), s)
	w.close(marked)
}

func (w *writer) close(marked bool) {
	if marked {
		w.buf = append(w.buf, mark...)
	}
	w.buf = append(w.buf, '}')
}

func (w *writer) turn(t *because.Message, marked bool) error {
	empty := strings.TrimSpace(t.Content) == "" // the API refuses such texts
	switch t.Role {
	case because.RoleUser:
		if !empty {
			w.begin(because.RoleUser)
			w.text(t.Content, marked)
		}
	case because.RoleTool:
		w.begin(because.RoleUser)
		w.next()
		w.buf = wire.AppendString(append(w.buf, `{"type":"tool_result","tool_use_id":`...), identifier(t.ToolCallID))
		if t.Content != "" {
			w.buf = wire.AppendString(append(w.buf, `,"content":`...), t.Content)
		}
		w.close(marked)
	case because.RoleAssistant:
		if own := ownBlocks(t); own != nil {
			w.begin(because.RoleAssistant)
			w.next()
			w.buf = append(w.buf, own...)
			return nil
		}
		if !empty {
			w.begin(because.RoleAssistant)
			w.text(t.Content, false)
		}
		for _, c := range t.ToolCalls {
			w.begin(because.RoleAssistant)
			w.next()
			w.buf = wire.AppendString(append(w.buf, `{"type":"tool_use","id":`...), identifier(c.ID))
			w.buf = wire.AppendString(append(w.buf, `,"name":`...), c.Name)
			w.buf = append(wire.AppendInput(append(w.buf, `,"input":`...), c.Arguments), '}')
		}
	case because.RoleSystem:
		return errors.New("the API takes system messages at the head of a conversation alone")
	default:
		return fmt.Errorf("the role %q is none of system, user, assistant and tool", t.Role)
	}
	return nil
}

// provider marks the turns of this package in Message.Native: the list of a turn's blocks, where it holds signed thinking.
const provider = "anthropic"

// ownBlocks gives an earlier turn's blocks as the model gave them, with commas between them, where it has some of this package
// and they still say what the turn says: a turn that was changed since goes without its thinking.
func ownBlocks(t *because.Message) []byte {
	raw := wire.Own(t.Native, provider)
	var blocks []block
	if raw == nil || json.Unmarshal(raw, &blocks) != nil || len(blocks) == 0 {
		return nil
	}
	said := gather(blocks)
	if said.Text != t.Content || len(said.Calls) != len(t.ToolCalls) {
		return nil
	}
	for i, c := range said.Calls {
		if c.ID != t.ToolCalls[i].ID || c.Name != t.ToolCalls[i].Name || !wire.SameJSON(c.Arguments, t.ToolCalls[i].Arguments) {
			return nil
		}
	}
	raw = bytes.TrimSpace(raw)
	return bytes.TrimSpace(raw[1 : len(raw)-1])
}
