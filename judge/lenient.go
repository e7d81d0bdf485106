package judge

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// member is an entry of an object, kept with its order and its repetitions.
type member struct {
	name  string
	value any // string, number, bool, nil, []any or object
}

// object is a JSON object as it was written.
type object []member

// number is a JSON number as it was written.
type number string

// reader reads JSON with the slips that models make: trailing commas, single or typographic quotation marks, and Python's
// True, False and None. It does not guess where a text ends: a quotation mark that is not escaped ends it, one object has one
// style of quotation marks, and there are no comments. Otherwise text that a judge quotes could steer how its own answer
// is read.
type reader struct {
	s     string
	at    int
	style rune // the opening quotation mark of this object's texts; 0 before the first
}

const maxDepth = 12

var errCut = errors.New("it is cut off")

// readObject reads the object at the start of s, and tells how long it is.
func readObject(s string) (object, int, error) {
	r := &reader{s: s}
	v, err := r.value(0)
	if err != nil {
		return nil, r.at, err
	}
	o, ok := v.(object)
	if !ok {
		return nil, r.at, errors.New("it is no object")
	}
	return o, r.at, nil
}

func (r *reader) space() {
	for r.at < len(r.s) && strings.IndexByte(" \t\r\n", r.s[r.at]) >= 0 {
		r.at++
	}
}

// peek gives the next character after white space, 0 at the end.
func (r *reader) peek() rune {
	r.space()
	if r.at >= len(r.s) {
		return 0
	}
	c, _ := utf8.DecodeRuneInString(r.s[r.at:])
	return c
}

func (r *reader) fail(c rune, want string) error {
	if c == 0 {
		return errCut
	}
	return fmt.Errorf("%q where %s is expected", c, want)
}

func (r *reader) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	c := r.peek()
	switch {
	case c == '{':
		return r.object(depth)
	case c == '[':
		return r.array(depth)
	case closing(c) != 0:
		return r.text(c)
	case c == '-' || c >= '0' && c <= '9':
		return r.number(), nil
	}
	for _, word := range []struct {
		text  string
		value any
	}{{"true", true}, {"false", false}, {"null", nil}, {"True", true}, {"False", false}, {"None", nil}} {
		if strings.HasPrefix(r.s[r.at:], word.text) {
			r.at += len(word.text)
			return word.value, nil
		}
	}
	return nil, r.fail(c, "a value")
}

func (r *reader) object(depth int) (any, error) {
	o := object{}
	r.at++
	for {
		c := r.peek()
		if c == '}' {
			r.at++
			return o, nil
		}
		if closing(c) == 0 {
			return nil, r.fail(c, "a name in quotation marks")
		}
		name, err := r.text(c)
		if err != nil {
			return nil, err
		}
		if c := r.peek(); c != ':' {
			return nil, r.fail(c, "a colon")
		}
		r.at++
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		o = append(o, member{name, v})
		if err := r.comma('}'); err != nil {
			return nil, err
		}
	}
}

func (r *reader) array(depth int) (any, error) {
	list := []any{}
	r.at++
	for {
		if r.peek() == ']' {
			r.at++
			return list, nil
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if err := r.comma(']'); err != nil {
			return nil, err
		}
	}
}

// comma passes a comma, also before the end; the end itself is left to the caller.
func (r *reader) comma(end rune) error {
	switch c := r.peek(); c {
	case ',':
		r.at++
		return nil
	case end:
		return nil
	default:
		return r.fail(c, fmt.Sprintf("a comma or %c", end))
	}
}

// closing gives the quotation mark that ends a text begun with open, 0 if open begins none.
func closing(open rune) rune {
	switch open {
	case '"', '\'':
		return open
	case '“':
		return '”'
	case '‘':
		return '’'
	}
	return 0
}

func (r *reader) text(open rune) (string, error) {
	if r.style == 0 {
		r.style = open
	}
	if open != r.style {
		return "", errors.New("it mixes quotation marks of several kinds")
	}
	r.at += utf8.RuneLen(open)
	end := closing(open)
	var b strings.Builder
	for r.at < len(r.s) {
		c, size := utf8.DecodeRuneInString(r.s[r.at:])
		r.at += size
		switch c {
		case end:
			return b.String(), nil
		case '\\':
			if err := r.escape(&b); err != nil {
				return "", err
			}
		default:
			b.WriteRune(c) // also a new line, which JSON forbids
		}
	}
	return "", errCut
}

func (r *reader) escape(b *strings.Builder) error {
	if r.at >= len(r.s) {
		return errCut
	}
	c, size := utf8.DecodeRuneInString(r.s[r.at:])
	r.at += size
	switch c {
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case 'r':
		b.WriteByte('\r')
	case 'b', 'f':
		b.WriteByte(' ')
	case 'u':
		return r.unicode(b)
	default: // a quotation mark or backslash, or an escape that JSON doesn't have, as of a Markdown character
		b.WriteRune(c)
	}
	return nil
}

func (r *reader) unicode(b *strings.Builder) error {
	c, err := r.hex()
	if err != nil {
		return err
	}
	if utf16.IsSurrogate(c) && strings.HasPrefix(r.s[r.at:], `\u`) {
		r.at += 2
		low, err := r.hex()
		if err != nil {
			return err
		}
		c = utf16.DecodeRune(c, low)
	}
	b.WriteRune(c) // half a pair becomes U+FFFD
	return nil
}

func (r *reader) hex() (rune, error) {
	if r.at+4 > len(r.s) {
		return 0, errCut
	}
	v, err := strconv.ParseUint(r.s[r.at:r.at+4], 16, 16)
	if err != nil {
		return 0, fmt.Errorf(`\u is followed by %q`, r.s[r.at:r.at+4])
	}
	r.at += 4
	return rune(v), nil
}

func (r *reader) number() number {
	from := r.at
	for r.at < len(r.s) && strings.IndexByte("+-.eE0123456789", r.s[r.at]) >= 0 {
		r.at++
	}
	return number(r.s[from:r.at])
}
