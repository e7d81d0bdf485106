package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strconv"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// plainByte tells which bytes stand for themselves inside a JSON string.
var plainByte = func() (t [256]bool) {
	for i := 0x20; i < utf8.RuneSelf; i++ {
		t[i] = i != '"' && i != '\\'
	}
	return t
}()

// AppendString appends s as a JSON string. What is not UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plainByte[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), "\uFFFD"...)
				start = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, c)
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// Object writes a JSON object by appending. Fields that the caller gave as extra ones are left out when they are written again,
// so that an extra field replaces the client's own.
type Object struct {
	Buf   []byte
	extra *Extra
	any   bool
}

// Begin starts an object with room for size bytes; extra may be nil.
func Begin(size int, extra *Extra) *Object {
	return &Object{Buf: append(make([]byte, 0, size), '{'), extra: extra}
}

// Key writes a field's name and tells whether its value is to follow.
func (o *Object) Key(name string) bool {
	if o.extra != nil && o.extra.names[name] {
		return false
	}
	if o.any {
		o.Buf = append(o.Buf, ',')
	}
	o.any = true
	o.Buf = append(append(append(o.Buf, '"'), name...), '"', ':')
	return true
}

// String writes a text field.
func (o *Object) String(name, value string) {
	if o.Key(name) {
		o.Buf = AppendString(o.Buf, value)
	}
}

// Int writes a whole number.
func (o *Object) Int(name string, value int64) {
	if o.Key(name) {
		o.Buf = strconv.AppendInt(o.Buf, value, 10)
	}
}

// Float writes a finite number.
func (o *Object) Float(name string, value float64) {
	if o.Key(name) {
		o.Buf = strconv.AppendFloat(o.Buf, value, 'g', -1, 64)
	}
}

// Strings writes a list of texts.
func (o *Object) Strings(name string, values []string) {
	if !o.Key(name) {
		return
	}
	o.Buf = append(o.Buf, '[')
	for i, v := range values {
		if i > 0 {
			o.Buf = append(o.Buf, ',')
		}
		o.Buf = AppendString(o.Buf, v)
	}
	o.Buf = append(o.Buf, ']')
}

// Raw writes a value that is JSON already.
func (o *Object) Raw(name string, value []byte) {
	if o.Key(name) {
		o.Buf = append(o.Buf, value...)
	}
}

// End writes the extra fields and closes the object.
func (o *Object) End() []byte {
	if o.extra != nil && len(o.extra.encoded) > 0 {
		if o.any {
			o.Buf = append(o.Buf, ',')
		}
		o.Buf = append(o.Buf, o.extra.encoded...)
	}
	return append(o.Buf, '}')
}

// Extra is fields that a user adds to every request.
type Extra struct {
	names   map[string]bool
	encoded []byte // the fields, sorted, with commas between them
}

// JSON gives the fields as an object.
func (e *Extra) JSON() string { return "{" + string(e.encoded) + "}" }

// NewExtra encodes a user's fields. Those named in reserved are the client's own.
func NewExtra(fields map[string]any, reserved ...string) (*Extra, error) {
	for _, name := range reserved {
		if _, ok := fields[name]; ok {
			return nil, fmt.Errorf("the extra field %q is set by the request itself", name)
		}
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	sort.Strings(names)
	e := &Extra{names: map[string]bool{}}
	for i, name := range names {
		value, err := json.Marshal(fields[name])
		if err != nil {
			return nil, fmt.Errorf("the extra field %q: %w", name, err)
		}
		if i > 0 {
			e.encoded = append(e.encoded, ',')
		}
		e.encoded = append(append(AppendString(e.encoded, name), ':'), value...)
		e.names[name] = true
	}
	return e, nil
}

// Finite tells whether a number can be written as JSON.
func Finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// Kind gives the first byte of a JSON value, which tells its type, or 0 for nothing.
func Kind(raw []byte) byte {
	if raw = bytes.TrimLeft(raw, " \t\r\n"); len(raw) > 0 {
		return raw[0]
	}
	return 0
}

// Arguments reads the arguments of a tool call as a model wrote them. JSON is kept as it is. A text that is no JSON, or that is
// itself a JSON string, is kept as a JSON string that holds it: arguments that begin with a quote are always ones that the model
// got wrong, word for word. Nothing means no arguments.
func Arguments(text string) json.RawMessage {
	if text == "" {
		return json.RawMessage("{}")
	}
	if raw := []byte(text); json.Valid(raw) && Kind(raw) != '"' {
		return raw
	}
	return AppendString(nil, text)
}

// Wrong gives the text of arguments that the model got wrong, which Arguments kept.
func Wrong(raw json.RawMessage) (text string, wrong bool) {
	if Kind(raw) != '"' || json.Unmarshal(raw, &text) != nil {
		return "", false
	}
	return text, true
}

// AppendInput appends a call's arguments as the object that servers want to see in an earlier turn: wrong ones become the field
// "unparsed" of an object, so that one bad call does not end a conversation.
func AppendInput(dst []byte, raw json.RawMessage) []byte {
	text, wrong := Wrong(raw)
	switch {
	case wrong:
	case len(raw) == 0:
		return append(dst, "{}"...)
	case Kind(raw) == '{' && json.Valid(raw):
		return append(dst, raw...)
	default:
		text = string(raw)
	}
	return append(AppendString(append(dst, `{"unparsed":`...), text), '}')
}

// SameJSON tells whether two JSON texts differ in spaces at most.
func SameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

// Own takes a turn that one provider keeps in a message's Native out of it, nil where another's stands there. Native is then an
// object with the provider's name as its only field.
func Own(native json.RawMessage, provider string) json.RawMessage {
	if len(native) == 0 || !bytes.Contains(native, []byte(provider)) {
		return nil
	}
	var all map[string]json.RawMessage
	if json.Unmarshal(native, &all) != nil || len(all) != 1 {
		return nil
	}
	return all[provider]
}

// Native is what Own reads.
func Native(provider string, turn json.RawMessage) json.RawMessage {
	out := append(AppendString([]byte("{"), provider), ':')
	return append(append(out, turn...), '}')
}
