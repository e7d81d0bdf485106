package columns

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/whole"
)

// Options say how rows are written.
type Options struct {
	// ToolsAsText writes the column tools as a string that holds JSON, which datasets before 4.7 need: schemas that differ from row to row have
	// no common type there. Parquet always has it so.
	ToolsAsText bool
}

// Writer writes rows into a file, which appears whole when it is committed.
type Writer struct {
	path string
	kind Kind
	o    Options
	file *whole.File
	w    *bufio.Writer
	rows int
	seen layout // of the rows so far
}

const opWrite = "write records"

// Create begins a file of rows of one kind: JSON lines, or Parquet where the name ends so.
func Create(path string, kind Kind, o Options) (*Writer, error) {
	if needs[kind] == "" {
		return nil, because.E(opWrite, path, fmt.Errorf("no rows are of kind %q", kind), "sft, sdf, rl or dpo")
	}
	if _, err := formatOf(path); err != nil {
		return nil, because.E(opWrite, path, err, "")
	}
	f, err := whole.Create(path)
	if err != nil {
		return nil, because.E(opWrite, path, err, "")
	}
	return &Writer{path: path, kind: kind, o: o, file: f, w: bufio.NewWriterSize(f, 1<<16)}, nil
}

// formatOf tells the format by the name of a file.
func formatOf(path string) (string, error) {
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".jsonl", ".parquet":
		return ext, nil
	case ".json", ".ndjson":
		return ".jsonl", nil
	}
	return "", errors.New("the name ends neither in .jsonl nor in .parquet")
}

// Write adds a row. What could not be trained on is refused, with row and column.
func (w *Writer) Write(r Row) error {
	if f := check(w.kind, r); f != nil {
		return because.E(opWrite, fmt.Sprintf("%s: row %d: %s", w.path, w.rows+1, f.column), f.err, "")
	}
	text, err := w.o.encode(r)
	if err != nil {
		return because.E(opWrite, fmt.Sprintf("%s: row %d", w.path, w.rows+1), err, "")
	}
	if _, err := w.w.Write(append(text, '\n')); err != nil {
		return because.E(opWrite, w.path, err, "")
	}
	w.seen.note(r)
	w.rows++
	return nil
}

// Finish writes out what is left. The rows can be read (Rows), and committed.
func (w *Writer) Finish() error {
	err := w.w.Flush()
	if format, _ := formatOf(w.path); err == nil && format == ".parquet" {
		err = w.toParquet()
	} else if err == nil {
		err = w.file.Finish()
	}
	if err != nil {
		return because.E(opWrite, w.path, err, "")
	}
	return nil
}

// Temp is the name under which the finished file lies until it is committed.
func (w *Writer) Temp() string { return w.file.Name() }

// Commit puts the file in its place.
func (w *Writer) Commit() error {
	if err := w.Finish(); err != nil {
		return err
	}
	if err := w.file.Commit(); err != nil {
		return because.E(opWrite, w.path, err, "")
	}
	return nil
}

// Abort removes what is not committed.
func (w *Writer) Abort() { w.file.Abort() }

// WriteFile writes rows into a file, whole or not at all.
func WriteFile(path string, kind Kind, rows []Row, o Options) error {
	w, err := Create(path, kind, o)
	if err != nil {
		return err
	}
	defer w.Abort()
	for _, r := range rows {
		if err := w.Write(r); err != nil {
			return err
		}
	}
	return w.Commit()
}

// message is a message in TRL's form.
type message struct {
	Role       because.Role `json:"role"`
	Content    string       `json:"content"`
	Reasoning  string       `json:"reasoning_content,omitempty"`
	Name       string       `json:"name,omitempty"`
	ToolCalls  []call       `json:"tool_calls,omitempty"`
	ToolCallID string       `json:"tool_call_id,omitempty"`
}

type call struct {
	ID       string   `json:"id,omitempty"`
	Type     string   `json:"type"`
	Function function `json:"function"`
}

type function struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

type tool struct {
	Type     string       `json:"type"`
	Function because.Tool `json:"function"`
}

func messagesOut(messages []because.Message) []message {
	out := make([]message, len(messages))
	for i, m := range messages {
		out[i] = message{Role: m.Role, Content: m.Content, Reasoning: m.Reasoning, Name: m.Name, ToolCallID: m.ToolCallID}
		for _, c := range m.ToolCalls {
			out[i].ToolCalls = append(out[i].ToolCalls, call{c.ID, "function", function{c.Name, c.Arguments}})
		}
	}
	return out
}

// encode writes a row as a JSON object, TRL's columns first, then the others by name.
func (o Options) encode(r Row) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	var err error
	column := func(name string, v any) {
		if b.Len() == 0 {
			b.WriteByte('{')
		} else {
			b.WriteByte(',')
		}
		key, _ := json.Marshal(name) // a string
		b.Write(key)
		b.WriteByte(':')
		err = errors.Join(err, enc.Encode(v))
	}
	for _, part := range []struct {
		name     string
		messages []because.Message
	}{{"prompt", r.Prompt}, {"chosen", r.Chosen}, {"rejected", r.Rejected}, {"messages", r.Messages}} {
		if part.messages != nil {
			column(part.name, messagesOut(part.messages))
		}
	}
	if r.Text != "" {
		column("text", r.Text)
	}
	if len(r.Tools) > 0 {
		tools := make([]tool, len(r.Tools))
		for i, t := range r.Tools {
			tools[i] = tool{"function", t}
		}
		if o.ToolsAsText {
			text, e := json.Marshal(tools)
			err = errors.Join(err, e)
			column("tools", string(text))
		} else {
			column("tools", tools)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Extra)) {
		column(name, r.Extra[name])
	}
	b.WriteByte('}')
	return []byte(strings.ReplaceAll(b.String(), "\n", "")), err
}
