package batch

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// files are what a folder remembers of batches. Each has TOKEN.json, its state, and once it has ended TOKEN.jsonl, its answers: one
// a line, as {"key": ..., "answer": ...}. Files appear whole or not at all.
type files struct{ dir, identity string }

// state is a batch as it is remembered. ID is empty while its submission has not been confirmed.
type state struct {
	For     string    `json:"for"` // the identity of the vendor's endpoint
	Token   string    `json:"token"`
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Keys    []string  `json:"keys"`
}

// span is the place of an answer in a file of answers.
type span struct {
	at   int64
	size int
}

func (f files) path(s state, ext string) string { return filepath.Join(f.dir, s.Token+ext) }

// states reads the states of all batches of the identity.
func (f files) states() ([]state, error) {
	names, err := filepath.Glob(filepath.Join(f.dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var out []state
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var s state
		if err := json.Unmarshal(data, &s); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if s.Token+".json" != filepath.Base(name) || strings.ContainsAny(s.Token, `/\`) {
			return nil, fmt.Errorf("%s: it is not the state of a batch", name)
		}
		if s.For == f.identity {
			out = append(out, s)
		}
	}
	return out, nil
}

func (f files) save(s state) error {
	s.For = f.identity
	data, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	return writeWhole(f.path(s, ".json"), func(w io.Writer) error { _, err := w.Write(data); return err })
}

// remove forgets a batch that has no answers.
func (f files) remove(s state) error {
	if err := os.Remove(f.path(s, ".json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// answerLine is one line of a file of answers.
type answerLine struct {
	Key    string          `json:"key"`
	Answer json.RawMessage `json:"answer"`
}

// writeAnswers writes the file of answers with what fill puts.
func (f files) writeAnswers(s state, fill func(put func(key string, body []byte) error) error) error {
	return writeWhole(f.path(s, ".jsonl"), func(w io.Writer) error {
		buf := bufio.NewWriter(w)
		err := fill(func(key string, body []byte) error {
			line, err := json.Marshal(answerLine{key, body})
			if err != nil {
				return fmt.Errorf("the answer to %s: %w", key, err)
			}
			_, err = buf.Write(append(line, '\n'))
			return err
		})
		if err != nil {
			return err
		}
		return buf.Flush()
	})
}

// answers finds the place of every answer of a batch.
func (f files) answers(s state) (map[string]span, error) {
	file, err := os.Open(f.path(s, ".jsonl"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	known := map[string]bool{}
	for _, key := range s.Keys {
		known[key] = true
	}
	out := map[string]span{}
	r := bufio.NewReaderSize(file, 1<<16)
	at := int64(0)
	for {
		line, err := r.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return out, nil
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		key, ok := keyOf(line)
		if !ok {
			return nil, fmt.Errorf("%s: byte %d: not an answer", file.Name(), at)
		}
		if known[key] {
			out[key] = span{at, len(line)}
		}
		at += int64(len(line))
	}
}

// keyOf reads the key at the head of a line.
func keyOf(line []byte) (string, bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"key":"`))
	if !ok {
		return "", false
	}
	key, _, ok := bytes.Cut(rest, []byte(`","answer":`))
	return string(key), ok
}

// read gives the answer at a place.
func (f files) read(s state, at span) ([]byte, error) {
	file, err := os.Open(f.path(s, ".jsonl"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data := make([]byte, at.size)
	if _, err := file.ReadAt(data, at.at); err != nil {
		return nil, err
	}
	var line answerLine
	if err := json.Unmarshal(data, &line); err != nil {
		return nil, fmt.Errorf("%s: byte %d: %w", file.Name(), at.at, err)
	}
	return line.Answer, nil
}

// writeWhole writes a file beside its place, makes sure that it is on the disk, and moves it there.
func writeWhole(path string, fill func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, removeIfThere(f.Name()))
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
