package columns

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/parquet"
	"github.com/because-lab/because/internal/whole"
)

// layout says which optional columns and members rows have, since a Parquet file declares them before its first row.
type layout struct {
	reasoning, name, calls, callID, tools bool
	extra                                 map[string]bool
}

func (l *layout) note(r Row) {
	for _, messages := range [][]because.Message{r.Messages, r.Prompt, r.Chosen, r.Rejected} {
		for _, m := range messages {
			l.reasoning = l.reasoning || m.Reasoning != ""
			l.name = l.name || m.Name != ""
			l.calls = l.calls || len(m.ToolCalls) > 0
			l.callID = l.callID || m.ToolCallID != ""
		}
	}
	l.tools = l.tools || len(r.Tools) > 0
	for name := range r.Extra {
		if l.extra == nil {
			l.extra = map[string]bool{}
		}
		l.extra[name] = true
	}
}

// columns declares the columns. A tool call's arguments are a text that holds their JSON, and so are tools and further columns that are not
// texts, since their form may differ from row to row.
func (l layout) columns(kind Kind) []parquet.Field {
	members := []parquet.Field{{Name: "role"}, {Name: "content"}}
	optional := func(has bool, f parquet.Field) {
		if has {
			f.Optional = true
			members = append(members, f)
		}
	}
	call := parquet.Type{Fields: []parquet.Field{{Name: "id", Optional: true}, {Name: "type"},
		{Name: "function", Type: parquet.Type{Fields: []parquet.Field{{Name: "name"}, {Name: "arguments"}}}}}}
	optional(l.reasoning, parquet.Field{Name: "reasoning_content"})
	optional(l.name, parquet.Field{Name: "name"})
	optional(l.calls, parquet.Field{Name: "tool_calls", Type: parquet.Type{List: &call}})
	optional(l.callID, parquet.Field{Name: "tool_call_id"})
	var out []parquet.Field
	for name := range strings.SplitSeq(strings.ReplaceAll(needs[kind], " and ", ", "), ", ") {
		if name == "text" {
			out = append(out, parquet.Field{Name: name})
		} else {
			out = append(out, parquet.Field{Name: name, Type: parquet.Type{List: &parquet.Type{Fields: members}}})
		}
	}
	if l.tools {
		out = append(out, parquet.Field{Name: "tools", Optional: true})
	}
	for _, name := range slices.Sorted(maps.Keys(l.extra)) {
		out = append(out, parquet.Field{Name: name, Optional: true})
	}
	return out
}

// toParquet replaces the lines that were written with a Parquet file.
func (w *Writer) toParquet() error {
	if err := w.file.Finish(); err != nil {
		return err
	}
	lines := w.file
	f, err := whole.Create(w.path)
	if err != nil {
		return err
	}
	w.file = f
	defer os.Remove(lines.Name())
	p := parquet.NewWriter(f, w.seen.columns(w.kind))
	for r, err := range ReadAs(lines.Name(), "rows.jsonl") {
		if err == nil {
			err = p.Write(w.seen.parquetRow(r))
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(p.Close(), f.Finish())
}

func (l layout) parquetRow(r Row) map[string]any {
	row := map[string]any{}
	for _, part := range []struct {
		name     string
		messages []because.Message
	}{{"prompt", r.Prompt}, {"chosen", r.Chosen}, {"rejected", r.Rejected}, {"messages", r.Messages}} {
		if part.messages != nil {
			row[part.name] = l.parquetMessages(part.messages)
		}
	}
	if r.Text != "" {
		row["text"] = r.Text
	}
	if l.tools {
		row["tools"] = nil
		if len(r.Tools) > 0 {
			row["tools"] = toolsText(r.Tools)
		}
	}
	for name := range l.extra {
		row[name] = nil
		if v, ok := r.Extra[name]; ok && string(v) != "null" {
			row[name] = textOr(v)
		}
	}
	return row
}

// textOr gives a JSON string as its text, and other JSON as it is written.
func textOr(v json.RawMessage) string {
	var text string
	if json.Unmarshal(v, &text) == nil {
		return text
	}
	return string(v)
}

func toolsText(tools []because.Tool) string {
	out := make([]tool, len(tools))
	for i, t := range tools {
		out[i] = tool{"function", t}
	}
	text, err := json.Marshal(out)
	if err != nil { // parameters were checked
		panic(fmt.Sprintf("columns: %v", err))
	}
	return string(text)
}

func (l layout) parquetMessages(messages []because.Message) []any {
	out := make([]any, len(messages))
	orNil := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	for i, m := range messages {
		row := map[string]any{"role": string(m.Role), "content": m.Content}
		if l.reasoning {
			row["reasoning_content"] = orNil(m.Reasoning)
		}
		if l.name {
			row["name"] = orNil(m.Name)
		}
		if l.callID {
			row["tool_call_id"] = orNil(m.ToolCallID)
		}
		if l.calls {
			row["tool_calls"] = nil
			var calls []any
			for _, c := range m.ToolCalls {
				calls = append(calls, map[string]any{"id": orNil(c.ID), "type": "function",
					"function": map[string]any{"name": c.Name, "arguments": string(c.Arguments)}})
			}
			if calls != nil {
				row["tool_calls"] = calls
			}
		}
		out[i] = row
	}
	return out
}
