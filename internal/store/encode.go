package store

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/because-lab/because"
)

// maxDepth bounds the nesting of an encoded value, so that a cycle of pointers is an error.
const maxDepth = 100

// Encode gives the canonical JSON of v: equal values give equal bytes, and values that differ give bytes that differ.
//
// It follows encoding/json and its tags, with these differences. Object keys are sorted. Floats are written in their
// shortest exact form with a point or an exponent, so that 1.0 and 1 stay apart. Nil and empty stay apart. Strings must
// be valid UTF-8. What has no stable encoding is refused with its place: functions, channels, complex numbers,
// pointers into memory, NaN and infinities, cyclic values, and structs with unexported fields (which would be left
// out unseen; the tag `json:"-"` leaves a field out knowingly). Marshalers are called and their output is made canonical.
func Encode(v any) ([]byte, error) {
	var e encoder
	if err := e.value(reflect.ValueOf(v), "", 0); err != nil {
		return nil, err
	}
	return e.buf, nil
}

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	jsonNumber    = reflect.TypeFor[json.Number]()
)

// encoder accumulates canonical JSON.
type encoder struct{ buf []byte }

// refuse makes the error for a value without a stable encoding; path is its place, as in "arms[2].lr".
func refuse(path, format string, args ...any) error {
	if path == "" {
		path = "value"
	}
	return because.E("hash inputs", path, fmt.Errorf(format, args...), "")
}

// value appends v, found at path.
func (e *encoder) value(v reflect.Value, path string, depth int) error {
	if depth > maxDepth {
		return refuse(path, "nested deeper than %d, perhaps a cycle", maxDepth)
	}
	if !v.IsValid() {
		e.buf = append(e.buf, "null"...)
		return nil
	}
	if done, err := e.marshaler(v, path, depth); done || err != nil {
		return err
	}
	switch v.Kind() {
	case reflect.Bool:
		e.buf = strconv.AppendBool(e.buf, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.buf = strconv.AppendInt(e.buf, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		e.buf = strconv.AppendUint(e.buf, v.Uint(), 10)
	case reflect.Float32, reflect.Float64:
		return e.float(v.Float(), v.Type().Bits(), path)
	case reflect.String:
		return e.string(v.String(), path)
	case reflect.Interface, reflect.Pointer:
		return e.value(v.Elem(), path, depth+1)
	case reflect.Slice:
		if v.IsNil() {
			e.buf = append(e.buf, "null"...)
			return nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return e.string(base64.StdEncoding.EncodeToString(v.Bytes()), path)
		}
		return e.list(v, path, depth)
	case reflect.Array:
		return e.list(v, path, depth)
	case reflect.Map:
		return e.mapping(v, path, depth)
	case reflect.Struct:
		return e.structure(v, path, depth)
	default:
		return refuse(path, "%s has no stable encoding", v.Type())
	}
	return nil
}

// marshaler appends v through its own marshaling methods, where it has any (on the value or on its address).
func (e *encoder) marshaler(v reflect.Value, path string, depth int) (done bool, err error) {
	t := v.Type()
	if t == jsonNumber {
		return true, e.number(v.String(), path)
	}
	if k := v.Kind(); (k == reflect.Pointer || k == reflect.Interface) && v.IsNil() {
		return false, nil
	}
	has := func(i reflect.Type) bool { return t.Implements(i) || reflect.PointerTo(t).Implements(i) }
	if !has(jsonMarshaler) && !has(textMarshaler) {
		return false, nil
	}
	if !t.Implements(jsonMarshaler) && !t.Implements(textMarshaler) {
		p := reflect.New(t) // methods of the address: give it one, whether or not v has
		p.Elem().Set(v)
		v = p
	}
	switch m := v.Interface().(type) {
	case json.Marshaler:
		raw, err := m.MarshalJSON()
		if err != nil {
			return true, refuse(path, "%w", err)
		}
		return true, e.raw(raw, path, depth)
	case encoding.TextMarshaler:
		text, err := m.MarshalText()
		if err != nil {
			return true, refuse(path, "%w", err)
		}
		return true, e.string(string(text), path)
	}
	return false, nil
}

// raw appends the canonical form of JSON text.
func (e *encoder) raw(text []byte, path string, depth int) error {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return refuse(path, "marshals to invalid JSON: %w", err)
	}
	return e.value(reflect.ValueOf(v), path, depth+1)
}

// number appends a JSON number literal: an integer as it is, anything else as the float that it denotes.
func (e *encoder) number(literal, path string) error {
	if !json.Valid([]byte(literal)) || strings.Trim(literal, "0123456789+-.eE") != "" {
		return refuse(path, "%q is not a number", literal)
	}
	if !strings.ContainsAny(literal, ".eE") {
		e.buf = append(e.buf, literal...)
		return nil
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		return refuse(path, "%w", err)
	}
	return e.float(f, 64, path)
}

// float appends the shortest decimal that reads back as f, marked as a float by a point or an exponent.
func (e *encoder) float(f float64, bits int, path string) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return refuse(path, "%v has no stable encoding", f)
	}
	start := len(e.buf)
	e.buf = strconv.AppendFloat(e.buf, f, 'g', -1, bits)
	if !strings.ContainsAny(string(e.buf[start:]), ".e") {
		e.buf = append(e.buf, ".0"...)
	}
	return nil
}

// string appends a JSON string with the fewest escapes.
func (e *encoder) string(s, path string) error {
	if !utf8.ValidString(s) {
		return refuse(path, "%q is not valid UTF-8", s)
	}
	e.buf = append(e.buf, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			e.buf = append(e.buf, '\\', c)
		case c < 0x20:
			e.buf = fmt.Appendf(e.buf, `\u%04x`, c)
		default:
			e.buf = append(e.buf, c)
		}
	}
	e.buf = append(e.buf, '"')
	return nil
}

// list appends a slice or an array.
func (e *encoder) list(v reflect.Value, path string, depth int) error {
	e.buf = append(e.buf, '[')
	for i := range v.Len() {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		if err := e.value(v.Index(i), fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
			return err
		}
	}
	e.buf = append(e.buf, ']')
	return nil
}

// member is one name and value of an object.
type member struct {
	name  string
	value reflect.Value
}

// object appends members sorted by name; two of one name are refused.
func (e *encoder) object(members []member, path string, depth int) error {
	sort.Slice(members, func(i, j int) bool { return members[i].name < members[j].name })
	e.buf = append(e.buf, '{')
	for i, m := range members {
		at := m.name
		if path != "" {
			at = path + "." + m.name
		}
		if i > 0 {
			if members[i-1].name == m.name {
				return refuse(at, "two members have this name")
			}
			e.buf = append(e.buf, ',')
		}
		if err := e.string(m.name, at); err != nil {
			return err
		}
		e.buf = append(e.buf, ':')
		if err := e.value(m.value, at, depth+1); err != nil {
			return err
		}
	}
	e.buf = append(e.buf, '}')
	return nil
}

// mapping appends a map.
func (e *encoder) mapping(v reflect.Value, path string, depth int) error {
	if v.IsNil() {
		e.buf = append(e.buf, "null"...)
		return nil
	}
	var members []member
	for it := v.MapRange(); it.Next(); {
		name, err := keyName(it.Key())
		if err != nil {
			return refuse(path, "%w", err)
		}
		members = append(members, member{name, it.Value()})
	}
	return e.object(members, path, depth)
}

// keyName gives a map key as text.
func keyName(k reflect.Value) (string, error) {
	if m, ok := k.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		return string(text), err
	}
	switch k.Kind() {
	case reflect.String:
		return k.String(), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(k.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(k.Uint(), 10), nil
	}
	return "", errors.New("map key of type " + k.Type().String() + " has no stable encoding")
}

// structure appends a struct.
func (e *encoder) structure(v reflect.Value, path string, depth int) error {
	members, err := fields(v, path)
	if err != nil {
		return err
	}
	return e.object(members, path, depth)
}

// fields lists what of a struct is encoded, embedded structs flattened as encoding/json does.
func fields(v reflect.Value, path string) ([]member, error) {
	var members []member
	for i := range v.NumField() {
		f, fv := v.Type().Field(i), v.Field(i)
		tag := f.Tag.Get("json")
		if tag == "-" {
			continue
		}
		name, opts, _ := strings.Cut(tag, ",")
		if f.Anonymous && name == "" {
			if fv.Kind() == reflect.Pointer && fv.Type().Elem().Kind() == reflect.Struct {
				if fv.IsNil() {
					continue
				}
				fv = fv.Elem()
			}
			if fv.Kind() == reflect.Struct {
				inner, err := fields(fv, path)
				if err != nil {
					return nil, err
				}
				members = append(members, inner...)
				continue
			}
		}
		if !f.IsExported() {
			return nil, refuse(path, "field %s of %s is unexported, so it has no encoding", f.Name, v.Type())
		}
		if hasOption(opts, "omitempty") && isEmpty(fv) || hasOption(opts, "omitzero") && fv.IsZero() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		members = append(members, member{name, fv})
	}
	return members, nil
}

// hasOption reports whether the comma-separated tag options contain name.
func hasOption(opts, name string) bool {
	for o := range strings.SplitSeq(opts, ",") {
		if o == name {
			return true
		}
	}
	return false
}

// isEmpty reports what encoding/json calls empty.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}
