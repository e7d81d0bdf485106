package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a request, which JSON schemas of tools take most of.
const maxDepth = 64

// field is a JSON value with its place in the request.
type field struct {
	parent *field
	name   string // in an object
	index  int    // in an array, where name is empty
	raw    json.RawMessage
}

// parseBody checks a request's JSON as a whole and gives its top-level object.
func parseBody(body []byte) (object, error) {
	if !utf8.Valid(body) {
		return object{}, invalid("", "invalid_json", "the request body is not valid UTF-8")
	}
	if at := tooDeep(body); at >= 0 {
		return object{}, invalid("", "invalid_json", "the request body is nested more than %d deep at byte %d", maxDepth, at)
	}
	var raw json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		at := int64(len(body))
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			at = syntax.Offset
		}
		return object{}, invalid("", "invalid_json", "the request body is not valid JSON at byte %d: %v", at, err)
	}
	return (&field{raw: raw}).object()
}

// tooDeep gives the offset at which JSON nests deeper than maxDepth, or -1. What is not JSON is left to the parser.
func tooDeep(body []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return i
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return -1
}

// path gives the field's place as clients write it: messages[2].content[0].text.
func (f *field) path() string {
	switch {
	case f.parent == nil:
		return f.name
	case f.name == "":
		return f.parent.path() + "[" + strconv.Itoa(f.index) + "]"
	case f.parent.path() == "":
		return f.name
	}
	return f.parent.path() + "." + f.name
}

// kind names the JSON type of the field, with its article.
func (f *field) kind() string {
	switch f.raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

func (f *field) wrongType(want string) error {
	return invalid(f.path(), "invalid_type", "want %s, not %s", want, f.kind())
}

func (f *field) invalid(format string, args ...any) error {
	return invalid(f.path(), "invalid_value", format, args...)
}

func (f *field) unsupported(format string, args ...any) error {
	return invalid(f.path(), "unsupported_value", format, args...)
}

func (f *field) isString() bool { return f.raw[0] == '"' }
func (f *field) isArray() bool  { return f.raw[0] == '[' }
func (f *field) isNumber() bool { return f.kind() == "a number" }

// decode unmarshals a field whose JSON type the caller has checked.
func (f *field) decode(to any) error {
	if err := json.Unmarshal(f.raw, to); err != nil {
		return f.invalid("%v", err)
	}
	return nil
}

func (f *field) text() (string, error) {
	if !f.isString() {
		return "", f.wrongType("a string")
	}
	var s string
	err := f.decode(&s)
	return s, err
}

func (f *field) boolean() (bool, error) {
	switch string(f.raw) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, f.wrongType("a boolean")
}

// number gives a finite number in [low, high].
func (f *field) number(low, high float64) (float64, error) {
	if !f.isNumber() {
		return 0, f.wrongType("a number")
	}
	x, err := strconv.ParseFloat(string(f.raw), 64)
	if err != nil || x < low || x > high {
		return 0, f.invalid("%s is not in the range from %v to %v", f.raw, low, high)
	}
	return x, nil
}

// integer gives a whole number in [low, high]; 1.0 and 1e3 are whole too.
func (f *field) integer(low, high int64) (int64, error) {
	if !f.isNumber() {
		return 0, f.wrongType("an integer")
	}
	i, err := strconv.ParseInt(string(f.raw), 10, 64)
	if err != nil {
		x, _ := strconv.ParseFloat(string(f.raw), 64)
		if x != math.Trunc(x) || math.Abs(x) > 1<<53 {
			return 0, f.invalid("%s is not an integer from %d to %d", f.raw, low, high)
		}
		i = int64(x)
	}
	if i < low || i > high {
		return 0, f.invalid("%s is not in the range from %d to %d", f.raw, low, high)
	}
	return i, nil
}

// each calls do for every element of an array, until an error.
func (f *field) each(do func(*field) error) error {
	if !f.isArray() {
		return f.wrongType("an array")
	}
	d := json.NewDecoder(bytes.NewReader(f.raw))
	if _, err := d.Token(); err != nil {
		return f.invalid("%v", err)
	}
	for i := 0; d.More(); i++ {
		e := &field{parent: f, index: i}
		if err := d.Decode(&e.raw); err != nil {
			return e.invalid("%v", err)
		}
		if err := do(e); err != nil {
			return err
		}
	}
	return nil
}

// object is a JSON object whose fields are taken one by one; what is left at the end is unknown. Null is
// the same as absent, as in the API.
type object struct {
	*field
	members map[string]json.RawMessage
}

func (f *field) object() (object, error) {
	if f.raw[0] != '{' {
		if f.parent == nil {
			return object{}, invalid("", "invalid_type", "want a JSON object as the request body, not %s", f.kind())
		}
		return object{}, f.wrongType("an object")
	}
	members := map[string]json.RawMessage{}
	if err := f.decode(&members); err != nil {
		return object{}, err
	}
	for name, raw := range members {
		if string(raw) == "null" {
			delete(members, name)
		}
	}
	return object{f, members}, nil
}

// take gives a member and marks it as known; nil if it is absent.
func (o object) take(name string) *field {
	raw, ok := o.members[name]
	if !ok {
		return nil
	}
	delete(o.members, name)
	return &field{parent: o.field, name: name, raw: raw}
}

// need is take for a member that must be there.
func (o object) need(name string) (*field, error) {
	if f := o.take(name); f != nil {
		return f, nil
	}
	path := (&field{parent: o.field, name: name}).path()
	return nil, invalid(path, "missing_required_parameter", "is required")
}

// done reports the first unknown member that was not taken, in the order of names.
func (o object) done() error {
	first := ""
	for name := range o.members {
		if first == "" || name < first {
			first = name
		}
	}
	if len(o.members) == 0 {
		return nil
	}
	path := (&field{parent: o.field, name: first}).path()
	return invalid(path, "unknown_parameter", "is not a parameter that this server knows")
}

// optional reads a member into to, which keeps its value if the member is absent.
func optional[T any](o object, name string, to *T, read func(*field) (T, error)) error {
	f := o.take(name)
	if f == nil {
		return nil
	}
	v, err := read(f)
	if err != nil {
		return err
	}
	*to = v
	return nil
}

// value gives the field as Go values: whole numbers as int64, others as float64.
func (f *field) value() (any, error) {
	d := json.NewDecoder(bytes.NewReader(f.raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, f.invalid("%v", err)
	}
	v, err := plainNumbers(v)
	if err != nil {
		return nil, f.invalid("%v", err)
	}
	return v, nil
}

// plainNumbers replaces json.Number below v.
func plainNumbers(v any) (_ any, err error) {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i, nil
		}
		x, err := v.Float64()
		if err != nil {
			return nil, fmt.Errorf("number %s is out of range", v)
		}
		return x, nil
	case []any:
		for i := range v {
			if v[i], err = plainNumbers(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = plainNumbers(v[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}
