package judge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/because-lab/because"
)

// block is a run of the material's lines under one line of the grading program.
type block struct {
	message int    // the number in brackets, from 1; 0 for facts
	title   string // who wrote it, or which argument it is
	text    string // cleaned; may be empty
	kept    bool   // part of a tool call: never left out, though it may be cut
	answer  string // of a pair: A or B
	note    string // instead of the rest: what was left out here
}

// blocks renders a conversation: for each message what was thought (if reasoning is set), said and called.
func blocks(t because.Transcript, reasoning bool) []block {
	var out []block
	called := map[string]string{} // tool by the id of its call
	for i, m := range t.Messages {
		n := i + 1
		who := string(m.Role)
		switch {
		case m.Role == because.RoleTool:
			who = "tool answers"
			if tool := called[m.ToolCallID]; tool != "" {
				who = "tool " + word(tool) + " answers"
			}
		case m.Name != "":
			who += " " + word(m.Name)
		}
		if reasoning && m.Reasoning != "" {
			out = append(out, block{message: n, title: who + ", reasoning", text: clean(m.Reasoning)})
		}
		if m.Content != "" || len(m.ToolCalls) == 0 {
			out = append(out, block{message: n, title: who, text: clean(m.Content)})
		}
		for _, c := range m.ToolCalls {
			called[c.ID] = c.Name
			out = append(out, block{message: n, title: who + " calls " + word(c.Name), kept: true})
			out = append(out, arguments(n, c.Arguments)...)
		}
	}
	return out
}

// arguments renders each argument of a call, and each leaf of a nested one, under a line of its own, in the order they
// were written: so no argument's text can pass for another argument.
func arguments(message int, raw json.RawMessage) []block {
	var out []block
	add := func(path, text string) {
		out = append(out, block{message: message, title: "argument " + path, text: clean(text), kept: true})
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	if !json.Valid(raw) {
		return []block{{message: message, title: "arguments, not valid JSON", text: clean(string(raw)), kept: true}}
	}
	if err := leaves(d, "", 0, add); err != nil && err != io.EOF {
		return []block{{message: message, title: "arguments", text: clean(string(raw)), kept: true}}
	}
	return out
}

const maxNesting = 16

// leaves walks a JSON value and gives each leaf with its path.
func leaves(d *json.Decoder, path string, depth int, add func(path, text string)) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	if depth > maxNesting {
		return fmt.Errorf("nested deeper than %d", maxNesting)
	}
	switch v := token.(type) {
	case json.Delim:
		return branches(d, v, path, depth, add)
	case string:
		add(path, v)
	case nil:
		add(path, "null")
	default:
		add(path, fmt.Sprint(v))
	}
	return nil
}

func branches(d *json.Decoder, open json.Delim, path string, depth int, add func(path, text string)) error {
	empty := true
	for i := 0; d.More(); i++ {
		empty = false
		inner := path + "[" + strconv.Itoa(i) + "]"
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return err
			}
			inner = word(fmt.Sprint(name))
			if strings.Contains(inner, ".") && inner[0] != '"' {
				inner = strconv.QuoteToASCII(inner) // a dot joins the names of a path
			}
			if path != "" {
				inner = path + "." + inner
			}
		}
		if err := leaves(d, inner, depth+1, add); err != nil {
			return err
		}
	}
	if empty && path != "" {
		add(path, "(empty)")
	}
	_, err := d.Token() // the end
	return err
}

// word shows a name on one line: as it is if it looks like a name, else quoted.
func word(s string) string {
	plain := s != "" && len(s) <= 128
	for _, c := range s {
		plain = plain && (unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("_-./@+", c))
	}
	if plain {
		return s
	}
	return strconv.QuoteToASCII(s)
}

// clean makes every character of a text visible, with \n as the only end of a line. Control and format characters, which
// can hide text from people or turn it round, become <U+XXXX>; joiners that scripts and emoji need stay.
func clean(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	s = strings.ReplaceAll(s, "\r\n", "\n")
	var b strings.Builder
	for _, c := range s {
		switch {
		case c == '\n' || c == '\r' || c == '\v' || c == '\f' || c == 0x85 || c == 0x2028 || c == 0x2029:
			b.WriteByte('\n')
		case c == '\t' || c == 0x200c || c == 0x200d:
			b.WriteRune(c)
		case unicode.Is(unicode.Cc, c) || unicode.Is(unicode.Cf, c):
			fmt.Fprintf(&b, "<U+%04X>", c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// paragraphs splits a document at empty lines, so that evidence can say where it stands. They are numbered on from a number.
func paragraphs(text, title string, from int) []block {
	var out []block
	var lines []string
	flush := func() {
		if len(lines) > 0 {
			out = append(out, block{message: from + len(out) + 1, title: title, text: strings.Join(lines, "\n")})
		}
		lines = nil
	}
	for _, line := range strings.Split(clean(text), "\n") {
		if strings.TrimSpace(line) == "" {
			flush()
			continue
		}
		lines = append(lines, line)
	}
	flush()
	return out
}
