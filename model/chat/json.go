package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// maxJSONDepth bounds the nesting of JSON that comes with the input.
const maxJSONDepth = 200

// decode reads JSON with the keys of objects in their order, and integers exactly. All of its strings count as given.
func decode(raw json.RawMessage) (value, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = errors.New("more than one value")
		}
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("byte %d: %w", d.InputOffset(), err)
	}
	return v, nil
}

func decodeValue(d *json.Decoder, depth int) (value, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxJSONDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '[' {
			return decodeList(d, depth)
		}
		return decodeDict(d, depth)
	case json.Number:
		return decodeNumber(string(t))
	case string:
		return given(t), nil
	}
	return t, nil // a bool or nil
}

func decodeNumber(s string) (value, error) {
	if !strings.ContainsAny(s, ".eE") {
		if len(s) > maxDigits {
			return nil, fmt.Errorf("integer of %d digits, at most %d", len(s), maxDigits)
		}
		n, ok := new(big.Int).SetString(s, 10)
		if !ok {
			return nil, fmt.Errorf("bad number %s", s)
		}
		return integer(n), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return nil, err
	}
	return f, nil
}

func decodeList(d *json.Decoder, depth int) (value, error) {
	l := &list{}
	for d.More() {
		v, err := decodeValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		l.items = append(l.items, v)
	}
	_, err := d.Token()
	return l, err
}

func decodeDict(d *json.Decoder, depth int) (value, error) {
	obj := newDict()
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := decodeValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		obj.set(given(k.(string)), v) // the decoder lets nothing else be a key
	}
	_, err := d.Token()
	return obj, err
}

// encoder writes JSON as Python's json.dumps does.
type encoder struct {
	ev         *interp
	b          strings.Builder
	ascii      bool
	sorted     bool
	indent     string
	lines      bool // items on lines of their own
	item, pair string
}

// toJSON is transformers' tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False). Its output counts as
// given: it quotes what came with the input.
func toJSON(ev *interp, v value, a *args) value {
	p := a.bind("tojson", "ensure_ascii", "indent", "separators", "sort_keys")
	e := &encoder{ev: ev, ascii: boolArg(p[0], false), item: ", ", pair: ": ", sorted: boolArg(p[3], false)}
	switch indent := p[1].(type) {
	case nil, absent:
	case text:
		e.indent, e.lines = indent.s, true
	default:
		e.indent, e.lines = ev.repeat(written(" "), int64(intArg("tojson", indent))).s, true
	}
	if e.lines {
		e.item = ","
	}
	if !isAbsent(p[2]) && p[2] != nil {
		parts := ev.items(p[2])
		if len(parts) != 2 {
			fail("tojson: separators must be a pair")
		}
		e.item, e.pair = textArg("tojson", parts[0]).s, textArg("tojson", parts[1]).s
	}
	e.value(v, "\n")
	return given(e.b.String())
}

// put writes and counts s.
func (e *encoder) put(s string) {
	e.ev.make(len(s), 1)
	e.b.WriteString(s)
}

// value writes v; newline is a line break with the indentation that v stands at.
func (e *encoder) value(v value, newline string) {
	defer e.ev.deeper()()
	e.ev.spend(1)
	switch v := v.(type) {
	case nil:
		e.put("null")
	case text:
		e.string(v.s)
	case bool, int64, *big.Int, float64:
		e.put(jsonScalar(v))
	case *list:
		if v.kind > kindTuple {
			fail("object of type %s is not JSON serializable", typeName(v))
		}
		e.block("[]", len(v.items), newline, func(i int, newline string) { e.value(v.items[i], newline) })
	case *dict:
		e.dict(v, newline)
	default:
		fail("object of type %s is not JSON serializable", typeName(v))
	}
}

func jsonScalar(v value) string {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case float64:
		switch {
		case math.IsNaN(v):
			return "NaN"
		case math.IsInf(v, 1):
			return "Infinity"
		case math.IsInf(v, -1):
			return "-Infinity"
		}
	}
	return scalar(v)
}

// block writes n items between brackets.
func (e *encoder) block(brackets string, n int, newline string, item func(i int, newline string)) {
	e.put(brackets[:1])
	inner := newline
	if e.lines && n > 0 {
		inner += e.indent
		e.ev.make(len(inner), 1)
	}
	for i := range n {
		if i > 0 {
			e.put(e.item)
		}
		if e.lines {
			e.put(inner)
		}
		item(i, inner)
	}
	if e.lines && n > 0 {
		e.put(newline)
	}
	e.put(brackets[1:])
}

func (e *encoder) dict(d *dict, newline string) {
	pairs := make([]keyed, len(d.keys))
	for i, k := range d.keys {
		pairs[i] = keyed{k, d.values[i]}
	}
	if e.sorted {
		slices.SortStableFunc(pairs, func(a, b keyed) int {
			if e.ev.less(a.key, b.key) {
				return -1
			}
			return 1
		})
	}
	e.block("{}", len(pairs), newline, func(i int, newline string) {
		switch k := pairs[i].key.(type) {
		case text:
			e.string(k.s)
		case nil:
			e.put(`"null"`)
		case bool, int64, *big.Int, float64:
			e.put(`"` + jsonScalar(k) + `"`)
		default:
			fail("keys must be str, int, float, bool or None, not %s", typeName(k))
		}
		e.put(e.pair)
		e.value(pairs[i].item, newline)
	})
}

// string writes a JSON string; all but control characters, quotes and backslashes stays as it is unless ascii is set.
func (e *encoder) string(s string) {
	e.ev.make(len(s)+2, 1)
	e.b.WriteByte('"')
	for i := 0; i < len(s); {
		n := width(s[i:])
		switch c := s[i]; {
		case c == '"' || c == '\\':
			e.b.WriteByte('\\')
			e.b.WriteByte(c)
		case c < 0x20:
			e.b.WriteString(controlEscape(c))
		case c >= 0x80 && e.ascii:
			e.b.WriteString(asciiEscape(s[i : i+n]))
		default:
			e.b.WriteString(s[i : i+n])
		}
		i += n
	}
	e.b.WriteByte('"')
}

func controlEscape(c byte) string {
	if i := strings.IndexByte("\n\r\t\b\f", c); i >= 0 {
		return `\` + "nrtbf"[i:i+1]
	}
	return fmt.Sprintf(`\u%04x`, c)
}

func asciiEscape(char string) string {
	r := []rune(char)[0]
	if hi, lo := utf16.EncodeRune(r); hi != 0xfffd {
		return fmt.Sprintf(`\u%04x\u%04x`, hi, lo)
	}
	return fmt.Sprintf(`\u%04x`, r)
}
