package understanding

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/because-lab/because"
)

// field is an entry of the object that a writer model answers with.
type field struct {
	name  string
	list  bool     // a list of texts rather than one
	oneOf []string // the texts that it may be; nil: any
	blank bool     // may be empty
}

// form is what a writer model has to fill in.
type form struct {
	name   string
	fields []field
}

// The forms of answers, by prompt. The passages come first, so that what follows rests on them.
func formOf(prompt string, others []string) form {
	quotes := field{name: "quotes", list: true}
	wordings := field{name: "wordings", list: true}
	switch prompt {
	case string(Recall):
		return form{"recall_question", []field{quotes, {name: "expect"}, {name: "avoid", list: true, blank: true}, wordings}}
	case string(FalsePremise):
		return form{"false_question", []field{quotes, {name: "premise"}, {name: "truth"}, wordings}}
	case string(Open):
		return form{"open_question", []field{{name: "with", oneOf: others}, quotes, {name: "expect"}, wordings}}
	}
	return form{"review", []field{{name: "why"}, {name: "holds", oneOf: []string{"yes", "no", "silent"}}, {name: "assumed", oneOf: []string{"yes", "no"}}}}
}

// show gives an example of the form for a prompt.
func (f form) show() string {
	var parts []string
	for _, x := range f.fields {
		value := `"..."`
		switch {
		case x.list:
			value = `["...", "..."]`
		case x.oneOf != nil && len(x.oneOf) <= 3:
			value = `"` + strings.Join(x.oneOf, `" or "`) + `"`
		}
		parts = append(parts, fmt.Sprintf("%q: %s", x.name, value))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// schema is the form as a JSON Schema in the subset that providers' strict modes take.
func (f form) schema() *because.Schema {
	type entry struct {
		Type  string   `json:"type"`
		Enum  []string `json:"enum,omitempty"`
		Items *entry   `json:"items,omitempty"`
	}
	var properties, names []string
	for _, x := range f.fields {
		e := entry{Type: "string", Enum: x.oneOf}
		if x.list {
			e = entry{Type: "array", Items: &entry{Type: "string"}}
		}
		text, err := json.Marshal(e)
		if err != nil {
			panic("understanding: a schema has no JSON: " + err.Error())
		}
		properties = append(properties, fmt.Sprintf("%q:%s", x.name, text))
		names = append(names, fmt.Sprintf("%q", x.name))
	}
	return &because.Schema{Name: f.name, Schema: json.RawMessage(fmt.Sprintf(`{"type":"object","properties":{%s},"required":[%s],"additionalProperties":false}`,
		strings.Join(properties, ","), strings.Join(names, ",")))}
}

// reply is a form filled in.
type reply struct {
	texts map[string]string
	lists map[string][]string
}

// Bounds on what is read of an answer.
const (
	mostBytes  = 64 << 10
	mostStarts = 256 // braces at which the object may begin
)

var (
	thought       = regexp.MustCompile(`(?s)^\s*<think>.*?</think>`)
	trailingComma = regexp.MustCompile(`,(\s*[}\]])`)
)

// read takes the form from what a model wrote: the first object in it that has one of the form's entries, whatever stands around it. A
// comma before a closing bracket is passed over. The error is a complaint that can be put to the model.
func (f form) read(text string) (reply, error) {
	text = thought.ReplaceAllString(text, "")
	if strings.TrimSpace(text) == "" {
		return reply{}, errors.New("it is empty")
	}
	if len(text) > mostBytes {
		return reply{}, fmt.Errorf("it has %d bytes; %d are read", len(text), mostBytes)
	}
	var broken error
	for at, starts := 0, 0; starts < mostStarts; starts++ {
		i := strings.IndexByte(text[at:], '{')
		if i < 0 {
			break
		}
		at += i
		object, size, err := readObject(text[at:])
		if err == nil && f.has(object) {
			return f.fill(object)
		}
		if err != nil {
			broken, size = err, 1
		}
		at += size
	}
	if broken != nil {
		return reply{}, fmt.Errorf("the JSON object in it can't be read: %w", broken)
	}
	return reply{}, errors.New("there is no JSON object of the form in it")
}

// readObject reads the object at the start of a text and tells how long it is.
func readObject(text string) (map[string]json.RawMessage, int, error) {
	var object map[string]json.RawMessage
	d := json.NewDecoder(strings.NewReader(text))
	err := d.Decode(&object)
	if err == nil {
		return object, int(d.InputOffset()), nil
	}
	object = nil
	again := json.NewDecoder(strings.NewReader(trailingComma.ReplaceAllString(text, "$1")))
	if again.Decode(&object) == nil {
		return object, int(again.InputOffset()), nil
	}
	return nil, 0, err
}

func (f form) has(object map[string]json.RawMessage) bool {
	return slices.ContainsFunc(f.fields, func(x field) bool { _, ok := object[x.name]; return ok })
}

// fill checks the entries of an object.
func (f form) fill(object map[string]json.RawMessage) (reply, error) {
	out := reply{texts: map[string]string{}, lists: map[string][]string{}}
	for _, x := range f.fields {
		raw, ok := object[x.name]
		if !ok {
			return out, fmt.Errorf("it lacks the entry %q", x.name)
		}
		if x.list {
			var list []string
			if json.Unmarshal(raw, &list) != nil {
				return out, fmt.Errorf("%q is not a list of texts", x.name)
			}
			list = slices.DeleteFunc(list, func(s string) bool { return strings.TrimSpace(s) == "" })
			if len(list) == 0 && !x.blank {
				return out, fmt.Errorf("%q is empty", x.name)
			}
			for i := range list {
				list[i] = tidy(list[i])
			}
			out.lists[x.name] = list
			continue
		}
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return out, fmt.Errorf("%q is not a text", x.name)
		}
		if text = tidy(text); text == "" && !x.blank {
			return out, fmt.Errorf("%q is empty", x.name)
		}
		if x.oneOf != nil && !slices.Contains(x.oneOf, text) {
			return out, fmt.Errorf("%q is %q and has to be one of %s", x.name, cutTo(text, 60), strings.Join(x.oneOf, ", "))
		}
		out.texts[x.name] = text
	}
	return out, nil
}

// tidy is a text on one line.
func tidy(text string) string { return strings.Join(strings.Fields(text), " ") }

// cutTo cuts a text to some bytes for a message.
func cutTo(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + " …"
}
