package chat

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
)

// str is Python's str(): strings keep their origin, numbers and constants are harmless and count as the template's,
// and collections count as given.
func (ev *interp) str(v value) text {
	switch v := v.(type) {
	case text:
		return v
	case nil, bool, int64, *big.Int, float64:
		return written(scalar(v))
	case undefined:
		return text{}
	}
	var b strings.Builder
	ev.repr(&b, v)
	return given(b.String())
}

// scalar prints what is not a string or a collection.
func scalar(v value) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case float64:
		return floatRepr(v)
	}
	return fmt.Sprint(v)
}

// floatRepr prints the shortest digits that give f back, with an exponent below 1e-4 and from 1e16 on, as Python does.
func floatRepr(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// repr is Python's repr().
func (ev *interp) repr(b *strings.Builder, v value) {
	defer ev.deeper()()
	before := b.Len()
	switch v := v.(type) {
	case text:
		ev.made(v)
		quote(b, v.s)
	case nil, bool, int64, *big.Int, float64:
		b.WriteString(scalar(v))
	case *list:
		ev.reprList(b, v)
		return
	case *dict:
		b.WriteByte('{')
		for i, k := range v.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			ev.repr(b, k)
			b.WriteString(": ")
			ev.repr(b, v.values[i])
		}
		b.WriteByte('}')
		ev.make(len(v.keys)+1, 4)
		return
	case undefined:
		b.WriteString("Undefined")
	default:
		fail("cannot print a %s", typeName(v))
	}
	ev.make(b.Len()-before, 1)
}

func (ev *interp) reprList(b *strings.Builder, l *list) {
	open, end := "[", "]"
	switch l.kind {
	case kindTuple:
		if open, end = "(", ")"; len(l.items) == 1 {
			end = ",)"
		}
	case kindRange:
		b.WriteString(l.label)
		return
	case kindView:
		open, end = l.label+"([", "])"
	case kindGenerator:
		fail("cannot print a generator; put it through the filter 'list'")
	}
	b.WriteString(open)
	for i, item := range l.items {
		if i > 0 {
			b.WriteString(", ")
		}
		ev.repr(b, item)
	}
	b.WriteString(end)
	ev.make(len(l.items)+1, 2)
}

// quote writes a string as Python's repr does: single quotes unless there are some in it and no double ones.
func quote(b *strings.Builder, s string) {
	q := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	b.WriteRune(q)
	for _, r := range s {
		switch {
		case r == q || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			fmt.Fprintf(b, `\U%08x`, r)
		}
	}
	b.WriteRune(q)
}
