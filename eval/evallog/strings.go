package evallog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// name reads the name of a field and its colon.
func (l *lexer) name() ([]byte, error) {
	plain, escaped, err := l.quoted()
	if err != nil {
		return nil, err
	}
	if escaped {
		s, err := unescape(plain)
		if err != nil {
			return nil, l.errorf("%w", err)
		}
		plain = []byte(s)
	}
	if l.peek() != ':' {
		return nil, l.unexpected("a colon")
	}
	l.pos++
	return plain, nil
}

// quoted gives the inside of a string and whether it has escapes.
func (l *lexer) quoted() (inside []byte, escaped bool, err error) {
	if l.peek() != '"' {
		return nil, false, l.unexpected("a string")
	}
	start := l.pos + 1
	for i := start; i < len(l.data); i++ {
		if i += plainLength(l.data[i:]); i == len(l.data) {
			break
		}
		switch c := l.data[i]; {
		case c == '"':
			l.pos = i + 1
			return l.data[start:i], escaped, nil
		case c == '\\':
			escaped = true
			i++
		case c < ' ':
			l.pos = i
			return nil, false, l.errorf("control character in a string")
		}
	}
	l.pos = len(l.data)
	return nil, false, l.errorf("%w", errCut)
}

// plainLength gives the length of the start of b that holds no quote, backslash or control character. It looks at eight bytes at a time: a byte
// less than k has its high bit set in (x - k) &^ x.
func plainLength(b []byte) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, back := x^ones*'"', x^ones*'\\'
		if ((x-ones*' ')&^x|(quote-ones)&^quote|(back-ones)&^back)&high != 0 {
			break
		}
	}
	for ; i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\'; i++ {
	}
	return i
}

// text reads a string and resolves it if it is a reference.
func (l *lexer) text() (string, error) {
	inside, escaped, err := l.quoted()
	if err != nil {
		return "", err
	}
	s := ""
	if !escaped {
		s = validText(inside)
	} else if s, err = unescape(inside); err != nil {
		return "", l.errorf("%w", err)
	}
	if l.attachments != nil {
		s = resolveText(s, l.attachments)
	}
	return s, nil
}

// unescape decodes the inside of a string. Lone surrogates and broken UTF-8 become U+FFFD.
func unescape(in []byte) (string, error) {
	out := make([]byte, 0, len(in))
	for i := 0; i < len(in); i++ {
		n := bytes.IndexByte(in[i:], '\\')
		if n < 0 {
			out = append(out, in[i:]...)
			break
		}
		out = append(out, in[i:i+n]...)
		i += n + 1 // quoted has seen to it that a byte follows
		switch c := in[i]; c {
		case '"', '\\', '/':
			out = append(out, c)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, n, err := unicodeEscape(in[i-1:])
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
			i += n - 2
		default:
			return "", fmt.Errorf("unknown escape \\%c in a string", c)
		}
	}
	return validText(out), nil
}

// validText gives a text; broken UTF-8 becomes U+FFFD.
func validText(b []byte) string {
	if !utf8.Valid(b) {
		b = bytes.ToValidUTF8(b, []byte("\uFFFD"))
	}
	return string(b)
}

// unicodeEscape reads \uXXXX, or two of them for one character, at the start of in.
func unicodeEscape(in []byte) (r rune, n int, err error) {
	unit := func(in []byte) (rune, bool) {
		if len(in) < 6 || in[0] != '\\' || in[1] != 'u' {
			return 0, false
		}
		u, err := strconv.ParseUint(string(in[2:6]), 16, 16)
		return rune(u), err == nil
	}
	first, ok := unit(in)
	if !ok {
		return 0, 0, errors.New("broken \\u escape in a string")
	}
	if !utf16.IsSurrogate(first) {
		return first, 6, nil
	}
	if second, ok := unit(in[6:]); ok {
		if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
			return r, 12, nil
		}
	}
	return utf8.RuneError, 6, nil
}

// checkEscapes reports escapes that unescape would not take.
func checkEscapes(in []byte) error {
	for i := bytes.IndexByte(in, '\\'); i >= 0; {
		n := 2
		switch in[i+1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			if _, _, err := unicodeEscape(in[i:]); err != nil {
				return err
			}
			n = 6
		default:
			return fmt.Errorf("unknown escape \\%c in a string", in[i+1])
		}
		next := bytes.IndexByte(in[i+n:], '\\')
		if next < 0 {
			break
		}
		i += n + next
	}
	return nil
}
