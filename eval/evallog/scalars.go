package evallog

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"
)

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string; broken UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	b = append(b, '"')
	text := unsafe.Slice(unsafe.StringData(s), len(s)) // only read
	for {
		n := plainLength(text)
		b = append(b, text[:n]...)
		if n == len(text) {
			return append(b, '"')
		}
		switch c := text[n]; c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		text = text[n+1:]
	}
}

// appendFloat writes a number; NaN and infinities as Python does.
func appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "NaN"...)
	case math.IsInf(f, 1):
		return append(b, "Infinity"...)
	case math.IsInf(f, -1):
		return append(b, "-Infinity"...)
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}

func appendBool(b []byte, v reflect.Value) ([]byte, error) {
	return strconv.AppendBool(b, v.Bool()), nil
}

func appendInt(b []byte, v reflect.Value) ([]byte, error) {
	return strconv.AppendInt(b, v.Int(), 10), nil
}

// appendRaw writes JSON that the caller gave, after a check; nothing is null.
func appendRaw(b []byte, v reflect.Value) ([]byte, error) {
	raw := v.Bytes()
	if len(raw) == 0 {
		return append(b, "null"...), nil
	}
	l := lexer{data: raw}
	if err := errors.Join(l.skip(), l.end()); err != nil {
		return b, err
	}
	return append(b, raw...), nil
}

// scanRaw keeps the text of a value; null counts as nothing.
func scanRaw(l *lexer, v reflect.Value) error {
	if l.null() {
		v.SetZero()
		return nil
	}
	raw, err := l.raw()
	if err == nil && l.resolver != nil {
		raw, err = l.resolver.raw(raw)
	}
	v.SetBytes(raw)
	return err
}

func scanString(l *lexer, v reflect.Value) error {
	if l.null() {
		v.SetString("")
		return nil
	}
	s, err := l.text()
	v.SetString(s)
	return err
}

func scanBool(l *lexer, v reflect.Value) error {
	x, err := l.boolean()
	v.SetBool(x)
	return err
}

func scanInt(l *lexer, v reflect.Value) error {
	n, err := l.integer()
	v.SetInt(n)
	return err
}

func scanFloat(l *lexer, v reflect.Value) error {
	f, err := l.float()
	v.SetFloat(f)
	return err
}

// RawOf gives a value as JSON through encoding/json, for the Raw fields of this package: arguments, metadata, a tool's result. It cannot
// write NaN; see Number.
func RawOf(v any) (json.RawMessage, error) { return json.Marshal(v) }
