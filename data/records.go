package data

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/because-lab/because"
)

// Files of a dataset folder.
const (
	RecordsFile = "records.jsonl"
	CardFile    = "card.json"
)

// maxLine bounds one record's line in bytes, so that a damaged file cannot exhaust memory.
const maxLine = 16 << 20

var errLong = fmt.Errorf("the record is longer than %d MiB", maxLine>>20)

// Write puts a dataset into a folder: records.jsonl in TRL's columns, and card.json. It refuses what ReadRecords would
// refuse. The folder is a step's output: it counts once the step has ended, so the files are not made durable here.
func Write(dir string, d Dataset) error {
	if len(d.Records) == 0 {
		return because.E("write dataset", dir, errEmpty, "")
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i, r := range d.Records {
		begin := b.Len()
		err := checkRecord(r)
		if err == nil {
			err = enc.Encode(r)
		}
		if err == nil && b.Len()-begin > maxLine {
			err = errLong
		}
		if err != nil {
			return because.E("write dataset", fmt.Sprintf("record %d", i+1), err, "")
		}
	}
	if err := os.WriteFile(filepath.Join(dir, RecordsFile), b.Bytes(), 0o666); err != nil {
		return because.E("write dataset", dir, err, "")
	}
	return WriteJSON(filepath.Join(dir, CardFile), d.Card)
}

// WriteJSON writes a value as indented JSON with a final newline.
func WriteJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return because.E("write file", path, err, "")
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o666); err != nil {
		return because.E("write file", path, err, "")
	}
	return nil
}

var errEmpty = errors.New("there are no records")

// ReadRecords reads a folder's records.jsonl, which must hold at least one record.
func ReadRecords(dir string) ([]because.Record, error) {
	path := filepath.Join(dir, RecordsFile)
	f, err := os.Open(path)
	if err != nil {
		return nil, because.E("read dataset", path, err, "")
	}
	defer f.Close()
	records, err := ParseRecords(f, path)
	if err == nil && len(records) == 0 {
		return nil, because.E("read dataset", path, errEmpty, "")
	}
	return records, err
}

// ParseRecords reads records as JSON lines; name says in errors where they come from. Empty lines are skipped. A
// record is a text, or messages the last of which is the assistant's.
func ParseRecords(r io.Reader, name string) ([]because.Record, error) {
	var out []because.Record
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	line := 0
	for s.Scan() {
		line++
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		rec, err := parseRecord(s.Bytes())
		if err != nil {
			return nil, because.E("read dataset", fmt.Sprintf("%s:%d", name, line), err, "each line is one JSON record with messages or text")
		}
		out = append(out, rec)
	}
	if err := s.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = errLong
		}
		return nil, because.E("read dataset", fmt.Sprintf("%s:%d", name, line+1), err, "")
	}
	return out, nil
}

// parseRecord reads the record that a line holds, strictly.
func parseRecord(line []byte) (because.Record, error) {
	if !utf8.Valid(line) {
		return because.Record{}, errors.New("the line is not valid UTF-8")
	}
	var rec because.Record
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&rec); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the line ends within the record")
		}
		return rec, err
	}
	if _, err := d.Token(); err != io.EOF {
		return rec, errors.New("the line goes on after the record")
	}
	return rec, checkRecord(rec)
}

func checkRecord(r because.Record) error {
	switch {
	case r.Text == "" && len(r.Messages) == 0:
		return errors.New("record has neither messages nor text")
	case r.Text != "" && len(r.Messages) > 0:
		return errors.New("record has both messages and text")
	}
	for i, m := range r.Messages {
		switch m.Role {
		case because.RoleSystem, because.RoleUser, because.RoleTool, because.RoleAssistant:
		default:
			return fmt.Errorf("messages[%d] has the unknown role %q", i, m.Role)
		}
	}
	if n := len(r.Messages); n > 0 && r.Messages[n-1].Role != because.RoleAssistant {
		return fmt.Errorf("the last message is the %s's; training needs an answer of the assistant there", r.Messages[n-1].Role)
	}
	return nil
}
