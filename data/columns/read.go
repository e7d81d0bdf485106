package columns

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"unicode/utf8"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/parquet"
)

const (
	opRead = "read records"
	hint   = `a row has "messages", or "text", or "prompt", or "prompt", "chosen" and "rejected"`
)

// maxLine bounds one row in bytes, so that a damaged file cannot exhaust memory.
const maxLine = 64 << 20

// Read gives the rows of a file, JSON lines or Parquet. Rows of all kinds are accepted, also prompt and completion, which together make
// messages. It ends with the first row that is wrong, with an error that names file, row and column. A file without rows is an error.
func Read(path string) iter.Seq2[Row, error] { return ReadAs(path, path) }

// ReadAs reads a file that lies under another name than the one that tells its format.
func ReadAs(path, name string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		format, err := formatOf(name)
		if err != nil {
			yield(Row{}, because.E(opRead, name, err, ""))
			return
		}
		n := 0
		each := func(r Row, err error) bool {
			n++
			return yield(r, err)
		}
		if format == ".parquet" {
			readParquet(path, name, each)
		} else {
			readLines(path, name, each)
		}
		if n == 0 {
			yield(Row{}, because.E(opRead, name, errors.New("there are no rows"), hint))
		}
	}
}

// ReadAll reads a file into memory.
func ReadAll(path string) ([]Row, error) {
	var rows []Row
	for r, err := range Read(path) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func readLines(path, name string, yield func(Row, error) bool) {
	f, err := os.Open(path)
	if err != nil {
		yield(Row{}, because.E(opRead, name, err, ""))
		return
	}
	defer f.Close()
	parse(f, name, yield)
}

// Parse reads rows as JSON lines; name says in errors where they come from. Empty lines are skipped.
func Parse(r io.Reader, name string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) { parse(r, name, yield) }
}

func parse(r io.Reader, name string, yield func(Row, error) bool) {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 1<<16), maxLine)
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
			yield(Row{}, placed(fmt.Sprintf("%s:%d", name, line), err))
			return
		}
		if !yield(row, nil) {
			return
		}
	}
	if err := s.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("the row is longer than %d MiB", maxLine>>20)
		}
		yield(Row{}, because.E(opRead, fmt.Sprintf("%s:%d", name, line+1), err, ""))
	}
}

// placed adds the column to a place.
func placed(place string, err error) error {
	var f *fault
	if errors.As(err, &f) {
		return because.E(opRead, place+": "+f.column, f.err, hint)
	}
	return because.E(opRead, place, err, hint)
}

func readParquet(path, name string, yield func(Row, error) bool) {
	n := 0
	for m, err := range parquet.Read(path) {
		n++
		var row Row
		if err == nil {
			var text []byte
			if text, err = json.Marshal(dropNil(m)); err == nil {
				row, err = parseRow(text)
			}
			if err != nil {
				err = placed(fmt.Sprintf("%s: row %d", name, n), err)
			}
		}
		if !yield(row, err) || err != nil {
			return
		}
	}
}

func dropNil(m map[string]any) map[string]any {
	for k, v := range m {
		if v == nil {
			delete(m, k)
		}
	}
	return m
}

// parseRow reads a row from a JSON object.
func parseRow(text []byte) (Row, error) {
	if !utf8.Valid(text) {
		return Row{}, errors.New("the line is not valid UTF-8")
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return Row{}, fmt.Errorf("the line is no JSON object: %w", err)
	}
	if all == nil {
		return Row{}, errors.New("the line is no JSON object")
	}
	var r Row
	if f := r.read(all); f != nil {
		return r, f
	}
	kind := r.Kind()
	if kind == "" {
		return r, errors.New("the row has " + describe(r))
	}
	if f := check(kind, r); f != nil {
		return r, f
	}
	return r, nil
}

// read takes the columns that have a meaning, and keeps the others.
func (r *Row) read(all map[string]json.RawMessage) *fault {
	completion := all["completion"]
	for _, c := range []struct {
		name string
		to   *[]because.Message
		role because.Role // of a plain string
	}{{"messages", &r.Messages, ""}, {"prompt", &r.Prompt, because.RoleUser}, {"chosen", &r.Chosen, because.RoleAssistant},
		{"rejected", &r.Rejected, because.RoleAssistant}} {
		if raw := all[c.name]; present(raw) {
			var f *fault
			if *c.to, f = readMessages(c.name, raw, c.role); f != nil {
				return f
			}
		}
	}
	if present(completion) {
		answer, f := readMessages("completion", completion, because.RoleAssistant)
		switch {
		case f != nil:
			return f
		case r.Prompt == nil || r.Messages != nil || r.Chosen != nil:
			return faultf("completion", "it belongs beside a prompt")
		}
		r.Messages, r.Prompt = append(r.Prompt, answer...), nil
	}
	if raw := all["text"]; present(raw) {
		if err := json.Unmarshal(raw, &r.Text); err != nil {
			return faultf("text", "it is no string")
		}
		if r.Text == "" {
			return faultf("text", "it is empty")
		}
	}
	var f *fault
	if r.Tools, f = readTools(all["tools"]); f != nil {
		return f
	}
	for _, name := range own {
		delete(all, name)
	}
	if len(all) > 0 {
		r.Extra = all
	}
	return nil
}

func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }
