package study

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/because-lab/because/internal/input"
)

// Bounds on a study file, so that a small file with nested aliases can't exhaust memory.
const (
	maxBytes = 1 << 20
	maxNodes = 1 << 17
	maxDepth = 32
	maxItems = 4096 // of a list
)

// decoder fills Go values from YAML nodes, strictly: unknown and repeated keys, values of another type and values
// left out are errors. It notes the line of every key and item.
type decoder struct {
	lines map[string]int // by key path, such as arms[2].stages[0].sft.tokens
	nodes int
}

// fault is what is wrong in a file, with its place.
type fault struct {
	line int
	path string
	err  error
	hint string
}

func (f *fault) Error() string { return fmt.Sprintf("line %d: %s: %v", f.line, f.path, f.err) }

func faultf(n *yaml.Node, path, hint, format string, args ...any) error {
	return &fault{line: n.Line, path: path, err: fmt.Errorf(format, args...), hint: hint}
}

// value decodes n, found at path, into v.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string, depth int) error {
	n, err := d.enter(n, path, depth)
	if err != nil {
		return err
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if v.Type() == reflect.TypeFor[Step]() { // a word or a number
		if n.Kind != yaml.ScalarNode || isNull(n) {
			return wrong(n, path, "a number of steps, last or mean")
		}
		v.SetString(n.Value)
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		return d.structure(n, v, path, depth)
	case reflect.Map:
		m, err := d.options(n, path, depth)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(m))
		return nil
	case reflect.Slice:
		return d.list(n, v, path, depth)
	}
	return d.scalar(n, v, path)
}

// enter counts a node, follows an alias, and refuses a value that is left out.
func (d *decoder) enter(n *yaml.Node, path string, depth int) (*yaml.Node, error) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if d.nodes++; d.nodes > maxNodes {
		return n, faultf(n, path, "", "the file has more than %d values, aliases counted", maxNodes)
	}
	if depth > maxDepth {
		return n, faultf(n, path, "", "nested deeper than %d", maxDepth)
	}
	if isNull(n) {
		return n, faultf(n, path, "give a value or leave the key out", "has no value")
	}
	return n, nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// entry is one key of a mapping.
type entry struct {
	name       string
	key, value *yaml.Node
	path       string
}

// entries lists the keys of a mapping and notes their lines.
func (d *decoder) entries(n *yaml.Node, path string) ([]entry, error) {
	if n.Kind != yaml.MappingNode {
		return nil, wrong(n, path, "keys with values")
	}
	seen := map[string]int{}
	var list []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		for key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode || isNull(key) {
			return nil, faultf(key, path, "", "a key must be a word")
		}
		e := entry{key.Value, key, n.Content[i+1], join(path, key.Value)}
		if key.ShortTag() == "!!merge" {
			return nil, faultf(key, path, "write the keys out", "merge keys (<<) are not supported")
		}
		if line, twice := seen[e.name]; twice {
			return nil, faultf(key, e.path, "remove one of them", "is given twice, first on line %d", line)
		}
		seen[e.name] = key.Line
		d.lines[e.path] = key.Line
		list = append(list, e)
	}
	return list, nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// structure decodes a mapping into a struct by its yaml tags.
func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string, depth int) error {
	list, err := d.entries(n, path)
	if err != nil {
		return err
	}
	fields := map[string]reflect.Value{}
	var names []string
	collectFields(v, fields, &names)
	for _, e := range list {
		field, known := fields[e.name]
		if !known {
			return faultf(e.key, e.path, input.DidYouMean(e.name, names), "unknown key")
		}
		if err := d.value(e.value, field, e.path, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// collectFields lists the fields of a struct by key, those of inlined structs among them.
func collectFields(v reflect.Value, fields map[string]reflect.Value, names *[]string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			collectFields(v.Field(i), fields, names)
		case f.IsExported() && name != "" && name != "-":
			fields[name] = v.Field(i)
			*names = append(*names, name)
		}
	}
}

// list decodes a sequence.
func (d *decoder) list(n *yaml.Node, v reflect.Value, path string, depth int) error {
	if n.Kind != yaml.SequenceNode {
		return wrong(n, path, "a list")
	}
	if len(n.Content) > maxItems {
		return faultf(n, path, "", "has %d items, more than %d", len(n.Content), maxItems)
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.lines[at] = item.Line
		if err := d.value(item, out.Index(i), at, depth+1); err != nil {
			return err
		}
	}
	v.Set(out)
	return nil
}

// options decodes a mapping whose keys the target defines.
func (d *decoder) options(n *yaml.Node, path string, depth int) (map[string]any, error) {
	list, err := d.entries(n, path)
	if err != nil {
		return nil, err
	}
	m := make(map[string]any, len(list))
	for _, e := range list {
		if m[e.name], err = d.free(e.value, e.path, depth+1); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// free decodes a value of any type: text, truth value, whole number, number, list or mapping.
func (d *decoder) free(n *yaml.Node, path string, depth int) (any, error) {
	n, err := d.enter(n, path, depth)
	if err != nil {
		return nil, err
	}
	switch n.Kind {
	case yaml.MappingNode:
		return d.options(n, path, depth)
	case yaml.SequenceNode:
		items := make([]any, len(n.Content))
		for i, item := range n.Content {
			at := fmt.Sprintf("%s[%d]", path, i)
			d.lines[at] = item.Line
			if items[i], err = d.free(item, at, depth+1); err != nil {
				return nil, err
			}
		}
		return items, nil
	}
	into := any(new(string))
	switch n.ShortTag() {
	case "!!bool":
		into = new(bool)
	case "!!int":
		into = new(int)
	case "!!float":
		into = new(float64)
	}
	v := reflect.ValueOf(into).Elem()
	if err := d.scalar(n, v, path); err != nil {
		return nil, err
	}
	return v.Interface(), nil
}

// scalar decodes a text, number or truth value into v.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) error {
	tag := n.ShortTag()
	if n.Kind != yaml.ScalarNode {
		tag = ""
	}
	switch v.Kind() {
	case reflect.String:
		if tag != "!!str" && tag != "!!timestamp" {
			return wrong(n, path, "text")
		}
		v.SetString(n.Value)
		return nil
	case reflect.Bool:
		if tag != "!!bool" {
			return wrong(n, path, "true or false")
		}
	case reflect.Int:
		if tag != "!!int" {
			return wrong(n, path, "a whole number")
		}
	case reflect.Uint64:
		if tag != "!!int" || strings.HasPrefix(n.Value, "-") {
			return wrong(n, path, "a whole number, 0 or more")
		}
	case reflect.Float64:
		if tag != "!!int" && tag != "!!float" {
			return wrong(n, path, "a number")
		}
	}
	if err := n.Decode(v.Addr().Interface()); err != nil {
		return wrong(n, path, "a number that fits")
	}
	if v.Kind() == reflect.Float64 && (math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0)) {
		return wrong(n, path, "a finite number")
	}
	return nil
}

// wrong tells that a value has another type than wanted.
func wrong(n *yaml.Node, path, want string) error {
	have, hint := "", ""
	switch n.Kind {
	case yaml.MappingNode:
		have = "keys with values"
	case yaml.SequenceNode:
		have = "a list"
	default:
		const most = 40
		value := []rune(n.Value)
		if len(value) > most {
			value = append(value[:most], '…')
		}
		have = fmt.Sprintf("%q", string(value))
		if want == "text" {
			hint = "put it in quotes"
		}
	}
	return faultf(n, path, hint, "want %s, have %s", want, have)
}

// document reads the one document of a YAML text. The line of a syntax error is in its text.
func document(text []byte) (*yaml.Node, error) {
	if len(text) > maxBytes {
		return nil, fmt.Errorf("the file has %d bytes, more than %d", len(text), maxBytes)
	}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	var doc, more yaml.Node
	if err := d.Decode(&doc); err != nil {
		return nil, err
	}
	if len(doc.Content) != 1 {
		return nil, errors.New("the file is empty")
	}
	if d.Decode(&more) == nil {
		return nil, fmt.Errorf("line %d: a second document follows", more.Line)
	}
	return doc.Content[0], nil
}
