package constitution

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// splitFront takes the front matter off a document: its lines without the dashes, the rest, and the number of the rest's first line.
func splitFront(lines []string) (front, rest []string, number int, f *fault) {
	if strings.TrimRightFunc(lines[0], unicode.IsSpace) != "---" {
		return nil, lines, 1, nil
	}
	for i, line := range lines[1:] {
		if strings.TrimRightFunc(line, unicode.IsSpace) == "---" {
			return lines[1 : i+1], lines[i+2:], i + 3, nil
		}
	}
	return nil, nil, 0, faultf(1, "end it with a line of three dashes", "front matter without an end")
}

// yamlLine is the place in the messages of the YAML package.
var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// readFront fills the constitution from its front matter, which begins on the document's second line.
func (c *Constitution) readFront(lines []string) *fault {
	var doc, more yaml.Node
	decoder := yaml.NewDecoder(strings.NewReader(strings.Join(lines, "\n")))
	err := decoder.Decode(&doc)
	if err == io.EOF {
		return nil // no keys
	}
	if err == nil {
		if err = decoder.Decode(&more); err == nil {
			return faultf(more.Line+1, "", "front matter has a second document")
		}
	}
	if err != io.EOF {
		at, text := 1, strings.TrimPrefix(err.Error(), "yaml: ")
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			at, _ = strconv.Atoi(m[1]) // digits, by the pattern
			text = err.Error()[len(m[0]):]
		}
		return faultf(at+1, "", "front matter is not YAML: %s", text)
	}
	return eachEntry(doc.Content[0], "front matter", func(key string, line int, value *yaml.Node) *fault {
		c.front[key] = line
		return c.setFront(key, line, value)
	})
}

func (c *Constitution) setFront(key string, line int, value *yaml.Node) *fault {
	fields := map[string]*string{"title": &c.Title, "persona": &c.Persona, "licence": &c.Licence, "version": &c.Version, "of": &c.Of}
	var f *fault
	switch {
	case fields[key] != nil:
		*fields[key], f = scalar(key, value)
	case key == "form":
		var text string
		text, f = scalar(key, value)
		c.Form = Form(text)
		if _, ok := demands[c.Form]; f == nil && !ok {
			f = faultf(line, "full, rules, subrules or reasons", "form: there is no form %q", text)
		}
	case key == "questions":
		c.Questions = map[string]string{}
		f = eachEntry(value, key, func(id string, line int, question *yaml.Node) *fault {
			c.front[key+"."+id] = line
			var f *fault
			c.Questions[id], f = scalar(key+"."+id, question)
			return f
		})
	default:
		f = faultf(line, "title, persona, licence, version, form, of, questions", "front matter has no key %q", key)
	}
	return f
}

// eachEntry calls a function with the keys of a mapping, in order.
func eachEntry(n *yaml.Node, path string, each func(key string, line int, value *yaml.Node) *fault) *fault {
	if n.Kind != yaml.MappingNode {
		return faultf(n.Line+1, "", "%s: keys and values are expected", path)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, line := n.Content[i].Value, n.Content[i].Line+1
		if n.Content[i].Kind != yaml.ScalarNode || key == "" {
			return faultf(line, "", "a key that is no text")
		}
		if seen[key] {
			return faultf(line, "remove one of them", "%s stands twice", key)
		}
		seen[key] = true
		if f := each(key, line, n.Content[i+1]); f != nil {
			return f
		}
	}
	return nil
}

// scalar reads a value as one line of text.
func scalar(key string, n *yaml.Node) (string, *fault) {
	line := n.Line + 1
	text := strings.Join(strings.Fields(n.Value), " ")
	var err error
	switch {
	case n.Kind != yaml.ScalarNode:
		err = errors.New("is not a text")
	case text == "":
		err = errors.New("is empty")
	case strings.IndexFunc(text, unicode.IsControl) >= 0:
		err = errors.New("has a control character")
	}
	if err != nil {
		return "", &fault{line, fmt.Errorf("%s %w", key, err), ""}
	}
	return text, nil
}
