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

	"github.com/because-lab/because"
)

// Files of a dataset folder.
const (
	RecordsFile = "records.jsonl"
	CardFile    = "card.json"
)

// maxLine bounds one record's line, so that a damaged file cannot exhaust memory.
const maxLine = 16 << 20

// Write puts a dataset into a folder: records.jsonl in TRL's columns, and card.json.
func Write(dir string, d Dataset) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i, r := range d.Records {
		if err := enc.Encode(r); err != nil {
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

// ReadRecords reads a folder's records.jsonl.
func ReadRecords(dir string) ([]because.Record, error) {
	path := filepath.Join(dir, RecordsFile)
	f, err := os.Open(path)
	if err != nil {
		return nil, because.E("read dataset", path, err, "")
	}
	defer f.Close()
	return ParseRecords(f, path)
}

// ParseRecords reads JSONL records; name says in errors where they come from.
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
		var rec because.Record
		d := json.NewDecoder(bytes.NewReader(s.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&rec); err != nil {
			return nil, because.E("read dataset", fmt.Sprintf("%s:%d", name, line), err, "each line is one JSON record with messages or text")
		}
		if err := checkRecord(rec); err != nil {
			return nil, because.E("read dataset", fmt.Sprintf("%s:%d", name, line), err, "")
		}
		out = append(out, rec)
	}
	if err := s.Err(); err != nil {
		return nil, because.E("read dataset", fmt.Sprintf("%s:%d", name, line+1), err, "")
	}
	return out, nil
}

func checkRecord(r because.Record) error {
	switch {
	case r.Text == "" && len(r.Messages) == 0:
		return errors.New("record has neither messages nor text")
	case r.Text != "" && len(r.Messages) > 0:
		return errors.New("record has both messages and text")
	}
	answered := len(r.Messages) == 0
	for i, m := range r.Messages {
		switch m.Role {
		case because.RoleSystem, because.RoleUser, because.RoleTool:
		case because.RoleAssistant:
			answered = true
		default:
			return fmt.Errorf("messages[%d] has the unknown role %q", i, m.Role)
		}
	}
	if !answered {
		return errors.New("no message is the assistant's, so nothing would be trained")
	}
	return nil
}
