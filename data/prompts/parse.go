package prompts

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/because-lab/because"
)

const op = "read prompt"

// Bounds on what a file may hold.
const (
	maxBytes   = 1 << 20
	maxInclude = 4 // files within files
)

// answerForm is the variable that asks for the form of the answer.
const answerForm = "answer_form"

var (
	opens    = regexp.MustCompile(`^<!--\s*([a-z]+)\s*-->$`)
	includes = regexp.MustCompile(`^\{\{>\s*([a-z0-9_-]+)\s*\}\}$`)
	variable = regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`)
	isName   = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// sourceLine is a line with its place.
type sourceLine struct {
	place
	text string
}

// find gives the text and the name, for messages, of a file.
type find func(name string) (text []byte, file string, err error)

func (p place) bad(hint, format string, args ...any) error {
	return because.E(op, fmt.Sprintf("%s:%d", p.file, p.line), fmt.Errorf(format, args...), hint)
}

// Parse reads a prompt file that includes no other and has no schema; file names it in messages.
func Parse(file string, text []byte) (*Prompt, error) {
	return parse(strings.TrimSuffix(file[strings.LastIndexAny(file, `/\`)+1:], ".md"), file, text, func(name string) ([]byte, string, error) {
		return nil, "", errors.New("there is no such file")
	})
}

func parse(name, file string, text []byte, more find) (*Prompt, error) {
	if err := checkText(file, text); err != nil {
		return nil, err
	}
	p := &Prompt{Name: name, File: file, places: map[string]place{}}
	source := strings.ReplaceAll(string(text), "\r\n", "\n")
	body, skipped, err := p.readFront(source)
	if err != nil {
		return nil, err
	}
	lines, err := expand(file, body, skipped, more, 0)
	if err != nil {
		return nil, err
	}
	if err := p.readMessages(lines); err != nil {
		return nil, err
	}
	if err := p.readSchema(more); err != nil {
		return nil, err
	}
	p.keepSource(source[:len(source)-len(body)], lines)
	return p, nil
}

func checkText(file string, text []byte) error {
	switch {
	case len(text) > maxBytes:
		return because.E(op, file, fmt.Errorf("it has more than %d KiB", maxBytes>>10), "")
	case !utf8.Valid(text):
		return because.E(op, file, errors.New("it is not UTF-8"), "save it as UTF-8")
	}
	return nil
}

// keepSource keeps what the prompt says, files that it includes in their places, and hashes it with the schema of the answer.
func (p *Prompt) keepSource(front string, lines []sourceLine) {
	var b strings.Builder
	b.WriteString(front)
	for _, l := range lines {
		b.WriteString(l.text + "\n")
	}
	p.source = b.String()
	h := sha256.New()
	h.Write([]byte(p.source))
	if p.Answer.Schema != nil {
		h.Write([]byte("\x00" + string(p.Answer.Schema.Schema)))
	}
	p.hash = hex.EncodeToString(h.Sum(nil))[:16]
}

// expand splits a text into lines, with those of included files in their places and without notes for people.
func expand(file, text string, skipped int, more find, depth int) ([]sourceLine, error) {
	var out []sourceLine
	note := false
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		at := place{file, skipped + i + 1}
		trimmed := strings.TrimSpace(line)
		if note || strings.HasPrefix(trimmed, "<!-- #") {
			note = !strings.HasSuffix(trimmed, "-->")
			continue
		}
		m := includes.FindStringSubmatch(trimmed)
		if m == nil {
			out = append(out, sourceLine{at, line})
			continue
		}
		if depth == maxInclude {
			return nil, at.bad("", "files include each other more than %d deep", maxInclude)
		}
		text, included, err := more("_" + m[1] + ".md")
		if err != nil {
			return nil, at.bad("{{> name}} includes the file _name.md beside it", "_%s.md: %w", m[1], err)
		}
		if err := checkText(included, text); err != nil {
			return nil, err
		}
		lines, err := expand(included, strings.ReplaceAll(string(text), "\r\n", "\n"), 0, more, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, lines...)
	}
	if note {
		return nil, place{file, skipped + 1}.bad("close it with -->", "a note <!-- # does not end")
	}
	return out, nil
}

// readMessages splits the lines into messages with their variables.
func (p *Prompt) readMessages(lines []sourceLine) error {
	var texts [][]sourceLine
	for _, l := range lines {
		m := opens.FindStringSubmatch(strings.TrimSpace(l.text))
		switch {
		case m != nil:
			role := because.Role(m[1])
			if err := p.mayOpen(l.place, role); err != nil {
				return err
			}
			p.messages, texts = append(p.messages, part{role: role}), append(texts, nil)
		case len(p.messages) > 0:
			texts[len(texts)-1] = append(texts[len(texts)-1], l)
		case strings.TrimSpace(l.text) != "":
			return l.bad("start with <!-- system --> or <!-- user -->", "text before the first message")
		}
	}
	if n := len(p.messages); n == 0 || p.messages[n-1].role != because.RoleUser {
		return place{p.File, max(1, lastLine(lines))}.bad("a line <!-- user --> starts it", "the last message must be the user's")
	}
	for i, text := range texts {
		var err error
		if p.messages[i].pieces, err = p.readPieces(text); err != nil {
			return err
		}
	}
	return nil
}

func lastLine(lines []sourceLine) int {
	if len(lines) == 0 {
		return 1
	}
	return lines[len(lines)-1].line
}

func (p *Prompt) mayOpen(at place, role because.Role) error {
	last := because.Role("")
	if n := len(p.messages); n > 0 {
		last = p.messages[n-1].role
	}
	switch {
	case role != because.RoleSystem && role != because.RoleUser && role != because.RoleAssistant:
		return at.bad("<!-- system -->, <!-- user --> or <!-- assistant -->; a note for people is written <!-- # ... -->", "no message is of role %q", role)
	case role == because.RoleSystem && last != "":
		return at.bad("", "a system message may only come first")
	case role == because.RoleAssistant && last != because.RoleUser:
		return at.bad("", "the assistant's message follows one of the user")
	case role == last:
		return at.bad("", "two messages of the %s in a row", role)
	}
	return nil
}

// readPieces finds the variables in a message.
func (p *Prompt) readPieces(lines []sourceLine) ([]piece, error) {
	var pieces []piece
	var text strings.Builder
	for _, l := range lines {
		rest := l.text
		for _, m := range variable.FindAllStringSubmatchIndex(l.text, -1) {
			name := l.text[m[2]:m[3]]
			if !isName.MatchString(name) {
				return nil, l.bad("a variable is lower-case words joined by underscores; {{> name}} stands on a line of its own", "{{%s}} is no variable", name)
			}
			before := l.text[len(l.text)-len(rest) : m[0]]
			if err := loose(l, before); err != nil {
				return nil, err
			}
			text.WriteString(before)
			pieces = append(pieces, piece{text: text.String()}, piece{variable: name})
			text.Reset()
			if _, ok := p.places[name]; !ok {
				p.places[name] = l.place
			}
			rest = l.text[m[1]:]
		}
		if err := loose(l, rest); err != nil {
			return nil, err
		}
		text.WriteString(rest + "\n")
	}
	return append(pieces, piece{text: text.String()}), nil
}

// loose refuses braces that belong to no variable.
func loose(l sourceLine, text string) error {
	if strings.Contains(text, "{{") || strings.Contains(text, "}}") {
		return l.bad("a variable is written {{name}}, on one line", "double braces that are no variable")
	}
	return nil
}
