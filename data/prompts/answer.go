package prompts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/because-lab/because"
)

// Ask asks for the form, in words for a prompt.
func (f Form) Ask() string {
	var b strings.Builder
	switch {
	case f.JSON != "":
		b.WriteString("Give one JSON object and nothing else. It follows this schema:\n\n" + string(f.Schema.Schema))
	case f.List != "":
		b.WriteString("Give " + f.howMany() + ", each in this form, with nothing before, between or after them:\n\n")
		if len(f.Sections) == 0 {
			b.WriteString("<" + f.List + ">\n...\n</" + f.List + ">")
		} else {
			b.WriteString("<" + f.List + ">\n" + f.tags() + "</" + f.List + ">")
		}
	case len(f.Sections) > 0:
		b.WriteString("Answer in this form, with nothing before or after it:\n\n" + strings.TrimSuffix(f.tags(), "\n"))
	default:
		b.WriteString("Give the text itself and nothing else, with no comment before or after it.")
	}
	return b.String()
}

func (f Form) howMany() string {
	switch {
	case f.Most == 1:
		return "one item"
	case f.Least == f.Most:
		return fmt.Sprintf("%d items", f.Least)
	case f.Most == 0 && f.Least == 1:
		return "the items"
	case f.Most == 0:
		return fmt.Sprintf("at least %d items", f.Least)
	}
	return fmt.Sprintf("%d to %d items", f.Least, f.Most)
}

func (f Form) tags() string {
	var b strings.Builder
	for _, s := range f.Sections {
		if s.Optional {
			b.WriteString("<" + s.Name + ">... (leave it out if there is nothing to say)</" + s.Name + ">\n")
		} else {
			b.WriteString("<" + s.Name + ">...</" + s.Name + ">\n")
		}
	}
	return b.String()
}

// Names lists the texts that an answer gives; nil for a JSON object, whose members depend on its schema.
func (f Form) Names() []string {
	switch {
	case f.JSON != "":
		return nil
	case len(f.Sections) > 0:
		var names []string
		for _, s := range f.Sections {
			names = append(names, s.Name)
		}
		return names
	case f.List != "":
		return []string{f.List}
	}
	return []string{f.Text}
}

// Items estimates how many items an answer has.
func (f Form) Items() float64 {
	switch {
	case f.List == "":
		return 1
	case f.Most == 0:
		return float64(f.Least)
	}
	return float64(f.Least+f.Most) / 2
}

// Read reads an answer: the texts of each of its items, one item unless the form is a list. Texts lose white space around them. An error
// says, in words for who wrote the answer, what is wrong with its shape.
func (f Form) Read(answer string) ([]map[string]string, error) {
	switch {
	case f.JSON != "":
		texts, err := f.readJSON(answer)
		return []map[string]string{texts}, err
	case f.List != "":
		return f.readList(answer)
	case len(f.Sections) > 0:
		texts, err := f.readSections(answer)
		return []map[string]string{texts}, err
	}
	text := strings.TrimSpace(answer)
	if inner, err := between(text, f.Text); err == nil && inner != nil {
		text = *inner
	}
	if text == "" {
		return nil, errors.New("the answer is empty")
	}
	return []map[string]string{{f.Text: text}}, nil
}

// between gives what stands between a tag and its end, nil if the tag isn't there.
func between(text, name string) (*string, error) {
	open, end := "<"+name+">", "</"+name+">"
	_, rest, ok := strings.Cut(text, open)
	if !ok {
		return nil, nil
	}
	inner, rest, ok := strings.Cut(rest, end)
	if !ok {
		return nil, fmt.Errorf("%s has no end %s", open, end)
	}
	if strings.Contains(inner, open) || strings.Contains(rest, open) {
		return nil, fmt.Errorf("%s is there more than once", open)
	}
	inner = strings.TrimSpace(inner)
	return &inner, nil
}

func (f Form) readSections(text string) (map[string]string, error) {
	out := map[string]string{}
	for _, s := range f.Sections {
		inner, err := between(text, s.Name)
		switch {
		case err != nil:
			return nil, err
		case inner == nil && !s.Optional:
			return nil, fmt.Errorf("<%s> is missing", s.Name)
		case inner == nil:
			out[s.Name] = ""
		case *inner == "" && !s.Optional:
			return nil, fmt.Errorf("<%s> is empty", s.Name)
		default:
			out[s.Name] = *inner
		}
	}
	return out, nil
}

func (f Form) readList(text string) ([]map[string]string, error) {
	var out []map[string]string
	open, end := "<"+f.List+">", "</"+f.List+">"
	for {
		_, rest, ok := strings.Cut(text, open)
		if !ok {
			break
		}
		inner, after, ok := strings.Cut(rest, end)
		if !ok || strings.Contains(inner, open) {
			return nil, fmt.Errorf("item %d, %s, has no end %s", len(out)+1, open, end)
		}
		texts := map[string]string{f.List: strings.TrimSpace(inner)}
		if len(f.Sections) > 0 {
			var err error
			if texts, err = f.readSections(inner); err != nil {
				return nil, fmt.Errorf("item %d: %w", len(out)+1, err)
			}
		} else if texts[f.List] == "" {
			return nil, fmt.Errorf("item %d is empty", len(out)+1)
		}
		out, text = append(out, texts), after
	}
	switch {
	case len(out) == 0:
		return nil, fmt.Errorf("there is no %s ... %s", open, end)
	case len(out) < f.Least:
		return nil, fmt.Errorf("there are %d items, fewer than %d", len(out), f.Least)
	case f.Most > 0 && len(out) > f.Most:
		return nil, fmt.Errorf("there are %d items, more than %d", len(out), f.Most)
	}
	return out, nil
}

func (f Form) readJSON(text string) (map[string]string, error) {
	from, to := strings.IndexByte(text, '{'), strings.LastIndexByte(text, '}')
	if from < 0 || to < from {
		return nil, errors.New("there is no JSON object")
	}
	raw := []byte(text[from : to+1])
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, fmt.Errorf("the JSON object can't be read: %w", err)
	}
	if err := validate(f.Schema, raw); err != nil {
		return nil, fmt.Errorf("the JSON object does not follow its schema: %w", err)
	}
	out := map[string]string{}
	for name, v := range members {
		var s string
		if json.Unmarshal(v, &s) == nil && string(v) != "null" {
			out[name] = strings.TrimSpace(s)
			continue
		}
		var b bytes.Buffer
		if err := json.Compact(&b, v); err != nil {
			return nil, err
		}
		out[name] = b.String()
	}
	return out, nil
}

func validate(s *because.Schema, raw []byte) error {
	resolved, err := resolve(s.Schema)
	if err != nil {
		return err
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	return resolved.Validate(v)
}

func resolve(text []byte) (*jsonschema.Resolved, error) {
	var schema jsonschema.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		return nil, err
	}
	return schema.Resolve(nil)
}

// readSchema reads the schema of a JSON answer.
func (p *Prompt) readSchema(more find) error {
	if p.Answer.JSON == "" {
		return nil
	}
	text, file, err := more(p.Answer.JSON + ".schema.json")
	if err != nil {
		return place{p.File, 1}.bad("answer: {json: NAME} needs the file NAME.schema.json beside it", "%s.schema.json: %w", p.Answer.JSON, err)
	}
	if _, err := resolve(text); err != nil {
		return because.E(op, file, err, "it must be a JSON Schema")
	}
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(text), "", "  "); err != nil {
		return because.E(op, file, err, "")
	}
	p.Answer.Schema = &because.Schema{Name: p.Answer.JSON, Schema: b.Bytes()}
	return nil
}
