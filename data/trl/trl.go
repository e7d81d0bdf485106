// Package trl reads training data as users have it: JSON lines in the columns of Hugging Face's TRL. A row is a
// conversation (messages, or prompt and completion; tools beside them) or a text. Every complaint names the file, the
// row and the field.
package trl

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"github.com/because-lab/because"
)

// Row is one training example: a text, or a conversation in which the assistant's turns from index Loss on are to be learnt.
type Row struct {
	Line     int // in the file, from 1
	Text     string
	Messages []because.Message
	Tools    []because.Tool
	Loss     int // with prompt and completion, the first message of the completion; otherwise 0
}

// maxLine bounds one row in bytes, so that a damaged file cannot exhaust memory.
const maxLine = 64 << 20

const hint = `each line is a JSON object with "messages", with "prompt" and "completion", or with "text"`

// Read reads a file of rows. A file without rows is an error.
func Read(path string) ([]Row, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, because.E("read training data", path, err, "")
	}
	defer f.Close()
	return Parse(f, path)
}

// Parse reads rows; name says in errors where they come from. Empty lines are skipped.
func Parse(r io.Reader, name string) ([]Row, error) {
	var rows []Row
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	line := 0
	for s.Scan() {
		line++
		text := bytes.TrimSpace(s.Bytes())
		if line == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		if len(text) == 0 {
			continue
		}
		row, err := parseRow(text)
		if err != nil {
			return nil, because.E("read training data", fmt.Sprintf("%s:%d", name, line), err, hint)
		}
		row.Line = line
		rows = append(rows, row)
	}
	if err := s.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("the row is longer than %d MiB", maxLine>>20)
		}
		return nil, because.E("read training data", fmt.Sprintf("%s:%d", name, line+1), err, "")
	}
	if len(rows) == 0 {
		return nil, because.E("read training data", name, errors.New("there are no rows"), hint)
	}
	return rows, nil
}

// columns are the columns that mean something here; others are labels of the user's own, such as a lineage.
type columns struct {
	Text       *string         `json:"text"`
	Messages   json.RawMessage `json:"messages"`
	Prompt     json.RawMessage `json:"prompt"`
	Completion json.RawMessage `json:"completion"`
	Tools      json.RawMessage `json:"tools"`
}

func parseRow(text []byte) (Row, error) {
	if !utf8.Valid(text) {
		return Row{}, errors.New("the line is not valid UTF-8")
	}
	var c columns
	if err := json.Unmarshal(text, &c); err != nil {
		return Row{}, fmt.Errorf("the line is no JSON object of the right form: %w", err)
	}
	given := 0
	for _, is := range []bool{c.Text != nil, present(c.Messages), present(c.Prompt) || present(c.Completion)} {
		if is {
			given++
		}
	}
	switch {
	case given == 0:
		return Row{}, errors.New("the row has no text, no messages and no prompt with completion")
	case given > 1:
		return Row{}, errors.New("the row has more than one of text, messages, and prompt with completion")
	case c.Text != nil && *c.Text == "":
		return Row{}, errors.New("text is empty")
	case c.Text != nil && present(c.Tools):
		return Row{}, errors.New("tools belong to a conversation, not to a text")
	case c.Text != nil:
		return Row{Text: *c.Text}, nil
	}
	return c.conversation()
}

func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// conversation reads messages, or prompt and completion, with their tools.
func (c columns) conversation() (Row, error) {
	var row Row
	var err error
	if row.Tools, err = parseTools(c.Tools); err != nil {
		return row, err
	}
	if present(c.Messages) {
		row.Messages, err = parseMessages("messages", c.Messages)
	} else {
		row.Messages, row.Loss, err = promptAndCompletion(c.Prompt, c.Completion)
	}
	if err != nil {
		return row, err
	}
	return row, check(row)
}

// promptAndCompletion reads message lists, or plain strings as a user's question and the assistant's answer.
func promptAndCompletion(prompt, completion json.RawMessage) ([]because.Message, int, error) {
	if !present(prompt) || !present(completion) {
		return nil, 0, errors.New("prompt and completion belong together, and one is missing")
	}
	before, err := messagesOrText("prompt", because.RoleUser, prompt)
	if err != nil {
		return nil, 0, err
	}
	after, err := messagesOrText("completion", because.RoleAssistant, completion)
	return append(before, after...), len(before), err
}

func messagesOrText(field string, role because.Role, raw json.RawMessage) ([]because.Message, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return []because.Message{{Role: role, Content: text}}, nil
	}
	return parseMessages(field, raw)
}

// check refuses conversations that no chat could have had.
func check(row Row) error {
	learnt := false
	for i, m := range row.Messages {
		if m.Role == because.RoleSystem && i > 0 {
			return fmt.Errorf("messages[%d] is a system prompt, which may only come first", i)
		}
		learnt = learnt || i >= row.Loss && m.Role == because.RoleAssistant
	}
	if !learnt {
		return errors.New("no turn is the assistant's, so there is nothing to learn")
	}
	return checkCalls(row.Messages)
}
