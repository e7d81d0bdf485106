package mock

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/because-lab/because"
)

// Bounds on a file of rules, so that nested aliases can't exhaust memory.
const (
	maxBytes = 4 << 20
	maxNodes = 1 << 18
)

// script is a file of rules.
type script struct {
	Rules []Rule `yaml:"rules"`
}

// Open reads a file of rules. The model is called mock:FILE, without folders, so that its name does not depend on a path.
func Open(path string) (*Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, because.E("open mock model", path, err, "mock:FILE.yaml names a file of rules; plain mock needs none")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, because.E("open mock model", path, err, "")
	}
	return Parse(path, text)
}

// Parse reads the text of a file of rules. It is strict: unknown and repeated keys, and rules that can't work, are errors with file
// and line.
func Parse(file string, text []byte) (*Model, error) {
	if len(text) > maxBytes {
		return nil, because.E("read mock model", file, fmt.Errorf("it has more than %d bytes", maxBytes), "")
	}
	var s script
	lines, err := decode(text, &s)
	if err != nil {
		return nil, placed(file, err)
	}
	m, err := New(s.Rules, Options{Name: "mock:" + filepath.Base(file)})
	var e *ruleError
	if errors.As(err, &e) && e.rule < len(lines) {
		return nil, because.E("read mock model", fmt.Sprintf("%s:%d: rules[%d]", file, lines[e.rule], e.rule), errors.Unwrap(errors.Unwrap(err)), "")
	}
	return m, err
}

// decode reads a document strictly and gives the line of every rule.
func decode(text []byte, s *script) (lines []int, err error) {
	var doc yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty")
	} else if err != nil {
		return nil, err
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file has more than one document")
	}
	nodes := 0
	if err := walk(&doc, 0, false, &nodes); err != nil {
		return nil, err
	}
	strict := yaml.NewDecoder(bytes.NewReader(text))
	strict.KnownFields(true)
	if err := strict.Decode(s); err != nil {
		return nil, err
	}
	top := doc.Content[0]
	for i := 0; i+1 < len(top.Content); i += 2 {
		if top.Content[i].Value == "rules" {
			for _, rule := range follow(top.Content[i+1]).Content {
				lines = append(lines, rule.Line)
			}
		}
	}
	if len(lines) == 0 {
		return nil, errors.New("line 1: there are no rules")
	}
	return lines, nil
}

func follow(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// walk bounds a document, aliases counted as what they stand for, and refuses values that are left out: as a zero they would match
// everything. Within json and arguments, free of our rules, null is a value.
func walk(n *yaml.Node, depth int, free bool, nodes *int) error {
	n = follow(n)
	if *nodes++; *nodes > maxNodes || depth > 64 {
		return fmt.Errorf("line %d: too many values, or nested too deep", n.Line)
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" && !free {
		return fmt.Errorf("line %d: a value is missing", n.Line)
	}
	for i, child := range n.Content {
		within := free
		if n.Kind == yaml.MappingNode {
			if child.ShortTag() == "!!merge" {
				return fmt.Errorf("line %d: merge keys (<<) are not supported", child.Line)
			}
			if i%2 == 1 && !free {
				key := n.Content[i-1].Value
				within = (key == "json" || key == "arguments") && follow(child).ShortTag() != "!!null"
			}
		}
		if err := walk(child, depth+1, within, nodes); err != nil {
			return err
		}
	}
	return nil
}

var (
	lineOf     = regexp.MustCompile(`line (\d+): (.*)`)
	untimed    = regexp.MustCompile(`cannot unmarshal \S+ (.*) into time\.Duration`)
	unknownKey = regexp.MustCompile(`field (\S+) not found in type \S+`)
)

// placed turns a decoder's error into one with file and line.
func placed(file string, err error) error {
	place, cause := file, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := lineOf.FindStringSubmatch(cause); m != nil {
		place, cause = file+":"+m[1], unknownKey.ReplaceAllString(untimed.ReplaceAllString(m[2], "$1 is no time with its unit, such as 7s or 200ms"), "unknown key $1")
	}
	return because.E("read mock model", place, errors.New(cause), "a rule has when, share, answer, answers, json, reasoning, calls, stop, error, retry_after, after, hang")
}
