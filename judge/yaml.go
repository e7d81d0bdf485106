package judge

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/because-lab/because"
	"go.yaml.in/yaml/v3"
)

const maxFile = 4 << 20 // bytes

// site is a place in a file.
type site struct {
	file string
	line int
}

func (s site) subject(key string) string {
	text := s.file
	if s.line > 0 {
		text = fmt.Sprintf("%s:%d", s.file, s.line)
	}
	if key != "" && text != "" {
		text += ": "
	}
	return text + key
}

// yamlFile reads a file strictly: unknown and repeated keys, values of another type, aliases and anchors are errors with
// file, line and key. It notes where each key stands.
type yamlFile struct {
	op, name string
	places   map[string]site
}

func newFile(op, name string) *yamlFile {
	return &yamlFile{op: op, name: name, places: map[string]site{}}
}

// key is an entry of a mapping that may be there: what reads it, and whether it must be.
type key struct {
	need bool
	read func(n *yaml.Node, path string) error
}

func (f *yamlFile) bad(n *yaml.Node, path, hint, format string, args ...any) error {
	return because.E(f.op, site{f.name, n.Line}.subject(path), fmt.Errorf(format, args...), hint)
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )*(?:line (\d+): )?`)

// root gives the one document of a text.
func (f *yamlFile) root(text []byte) (*yaml.Node, error) {
	if len(text) > maxFile {
		return nil, because.E(f.op, f.name, fmt.Errorf("the file has %d bytes, more than %d", len(text), maxFile), "")
	}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, because.E(f.op, f.name, errNothing, "")
	case err != nil:
		m := yamlLine.FindStringSubmatch(err.Error())
		line, _ := strconv.Atoi(m[1]) // 0 where there is none
		return nil, because.E(f.op, site{f.name, line}.subject(""), errors.New(strings.TrimPrefix(err.Error(), m[0])), "")
	case len(doc.Content) != 1:
		return nil, because.E(f.op, f.name, errNothing, "")
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, f.bad(&more, "", "", "a second document follows")
	}
	return doc.Content[0], nil
}

// mapping reads keys with values.
func (f *yamlFile) mapping(n *yaml.Node, path string, keys map[string]key) error {
	if n.Kind != yaml.MappingNode {
		return f.bad(n, path, "", "keys with values are expected")
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, at := n.Content[i].Value, join(path, n.Content[i].Value)
		k, known := keys[name]
		switch {
		case n.Content[i].Kind != yaml.ScalarNode:
			return f.bad(n.Content[i], path, "", "a key must be a word")
		case !known:
			return f.bad(n.Content[i], at, "known: "+strings.Join(sortedKeys(keys), ", "), "unknown key")
		case seen[name]:
			return f.bad(n.Content[i], at, "remove one of them", "is given twice")
		}
		seen[name] = true
		f.places[at] = site{f.name, n.Content[i].Line}
		if err := k.read(n.Content[i+1], at); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(keys) {
		if keys[name].need && !seen[name] {
			return f.bad(n, join(path, name), "", "is missing")
		}
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// list calls a function with each item of a list.
func (f *yamlFile) list(each func(n *yaml.Node, path string) error) func(*yaml.Node, string) error {
	return func(n *yaml.Node, path string) error {
		if n.Kind != yaml.SequenceNode {
			return f.bad(n, path, "", "a list is expected")
		}
		for i, item := range n.Content {
			at := fmt.Sprintf("%s[%d]", path, i)
			f.places[at] = site{f.name, item.Line}
			if err := each(item, at); err != nil {
				return err
			}
		}
		return nil
	}
}

// text reads a value as it is written, whatever YAML takes it for: an answer may be yes or 3.
func (f *yamlFile) text(into *string) func(*yaml.Node, string) error {
	return func(n *yaml.Node, path string) error {
		switch {
		case n.Kind == yaml.AliasNode || n.Anchor != "":
			return f.bad(n, path, "write the value out", "anchors and aliases are not supported")
		case n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null":
			return f.bad(n, path, "", "a text is expected")
		}
		*into = strings.TrimSpace(n.Value)
		return nil
	}
}

func (f *yamlFile) texts(into *[]string) func(*yaml.Node, string) error {
	return f.list(func(n *yaml.Node, path string) error {
		var s string
		err := f.text(&s)(n, path)
		*into = append(*into, s)
		return err
	})
}

// pairs reads a mapping of any names to texts, in the file's order.
func (f *yamlFile) pairs(each func(name, value string)) func(*yaml.Node, string) error {
	return func(n *yaml.Node, path string) error {
		if n.Kind != yaml.MappingNode {
			return f.bad(n, path, "", "keys with values are expected")
		}
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			var name, value string
			if err := f.text(&name)(n.Content[i], path); err != nil {
				return err
			}
			at := join(path, name)
			if err := f.text(&value)(n.Content[i+1], at); err != nil {
				return err
			}
			if seen[name] {
				return f.bad(n.Content[i], at, "remove one of them", "is given twice")
			}
			seen[name] = true
			f.places[at] = site{f.name, n.Content[i].Line}
			each(name, value)
		}
		return nil
	}
}

func (f *yamlFile) whole(into *int) func(*yaml.Node, string) error {
	return func(n *yaml.Node, path string) error {
		v, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil {
			return f.bad(n, path, "", "a whole number is expected")
		}
		*into = v
		return nil
	}
}

func (f *yamlFile) truth(into *bool) func(*yaml.Node, string) error {
	return func(n *yaml.Node, path string) error {
		if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" {
			return f.bad(n, path, "", "true or false is expected")
		}
		*into = n.Value == "true"
		return nil
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
