package evallog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// maxDepth bounds the nesting of JSON; Inspect itself writes no more than 254 levels.
const maxDepth = 1000

var errCut = errors.New("the JSON is cut off")

// lexer walks through JSON text. Beyond the standard it takes the bare NaN, Infinity and -Infinity that Python writes, which is
// the reason not to use encoding/json; and it can swap the references of a condensed sample for what they stand for.
type lexer struct {
	data        []byte
	pos, depth  int
	attachments map[string]string // what "attachment://KEY" stands for
	resolver    *resolver         // the same for raw values; nil where there are no attachments
}

func (l *lexer) errorf(format string, args ...any) error {
	return fmt.Errorf("byte %d: %w", l.pos, fmt.Errorf(format, args...))
}

// peek gives the next byte that is not white space, 0 at the end.
func (l *lexer) peek() byte {
	for ; l.pos < len(l.data); l.pos++ {
		switch c := l.data[l.pos]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// unexpected is the error for the byte at the place of the lexer.
func (l *lexer) unexpected(want string) error {
	if l.pos >= len(l.data) {
		return l.errorf("%w", errCut)
	}
	return l.errorf("%q instead of %s", l.data[l.pos], want)
}

// null skips a null, if there is one.
func (l *lexer) null() bool {
	if l.peek() == 'n' && bytes.HasPrefix(l.data[l.pos:], []byte("null")) {
		l.pos += 4
		return true
	}
	return false
}

// enter goes into an array or object that begins with open.
func (l *lexer) enter(open byte) error {
	if l.peek() != open {
		return l.unexpected(map[byte]string{'[': "a list", '{': "an object"}[open])
	}
	if l.depth++; l.depth > maxDepth {
		return l.errorf("nested more than %d levels deep", maxDepth)
	}
	l.pos++
	return nil
}

// more reports whether another element follows and stands before it; at the end it leaves the array or object.
func (l *lexer) more(first bool, end byte) (bool, error) {
	c := l.peek()
	if c == end {
		l.pos++
		l.depth--
		return false, nil
	}
	if first {
		return true, nil
	}
	if c != ',' {
		return false, l.unexpected("a comma or the end")
	}
	l.pos++
	if c := l.peek(); c == end {
		return false, l.unexpected("a value")
	}
	return true, nil
}

// list calls f before each element of an array.
func (l *lexer) list(f func() error) error {
	if err := l.enter('['); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := l.more(first, ']')
		if err != nil || !more {
			return err
		}
		if err := f(); err != nil {
			return err
		}
	}
}

// object calls f with the name of each field, standing before its value. The name is valid during the call.
func (l *lexer) object(f func(name []byte) error) error {
	if err := l.enter('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := l.more(first, '}')
		if err != nil || !more {
			return err
		}
		name, err := l.name()
		if err != nil {
			return err
		}
		if err := f(name); err != nil {
			return err
		}
	}
}

// literals are the values beside strings, numbers and containers.
var literals = [...]string{"null", "true", "false", "NaN", "Infinity", "-Infinity"}

// scalar gives the text of a number or literal.
func (l *lexer) scalar() ([]byte, error) {
	c, rest := l.peek(), l.data[l.pos:]
	for _, word := range literals {
		if c == word[0] && bytes.HasPrefix(rest, []byte(word)) {
			l.pos += len(word)
			return rest[:len(word)], nil
		}
	}
	n := numberLength(rest)
	if n == 0 {
		return nil, l.unexpected("a value")
	}
	l.pos += n
	return rest[:n], nil
}

// numberLength gives the length of the number at the start of in, 0 if there is none.
func numberLength(in []byte) int {
	i := 0
	digits := func() bool {
		from := i
		for i < len(in) && in[i] >= '0' && in[i] <= '9' {
			i++
		}
		return i > from
	}
	if i < len(in) && in[i] == '-' {
		i++
	}
	if from := i; !digits() || in[from] == '0' && i > from+1 {
		return 0
	}
	if i < len(in) && in[i] == '.' {
		if i++; !digits() {
			return 0
		}
	}
	if i < len(in) && (in[i] == 'e' || in[i] == 'E') {
		if i++; i < len(in) && (in[i] == '+' || in[i] == '-') {
			i++
		}
		if !digits() {
			return 0
		}
	}
	return i
}

// skip passes over a value of any kind.
func (l *lexer) skip() error {
	switch l.peek() {
	case '"':
		inside, escaped, err := l.quoted()
		if err == nil && escaped {
			err = checkEscapes(inside)
		}
		return err
	case '[':
		return l.list(l.skip)
	case '{':
		return l.object(func([]byte) error { return l.skip() })
	}
	_, err := l.scalar()
	return err
}

// raw gives the text of a value of any kind, a part of the lexer's data.
func (l *lexer) raw() (json.RawMessage, error) {
	l.peek()
	start := l.pos
	if err := l.skip(); err != nil {
		return nil, err
	}
	return l.data[start:l.pos:l.pos], nil
}

// end fails unless nothing but white space follows.
func (l *lexer) end() error {
	if l.peek(); l.pos < len(l.data) {
		return l.unexpected("the end")
	}
	return nil
}

// float reads a number; null is 0.
func (l *lexer) float() (float64, error) {
	if l.null() {
		return 0, nil
	}
	text, err := l.scalar()
	if err != nil {
		return 0, err
	}
	switch string(text) {
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return math.Inf(1), nil
	case "-Infinity":
		return math.Inf(-1), nil
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // Python, too, takes what is too large as infinite
		return 0, l.errorf("%s is not a number", text)
	}
	return f, nil
}

// integer reads a whole number; null is 0.
func (l *lexer) integer() (int64, error) {
	if l.null() {
		return 0, nil
	}
	text, err := l.scalar()
	if err != nil {
		return 0, err
	}
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<63 {
		return 0, l.errorf("%s is not a whole number", text)
	}
	return int64(f), nil
}

// boolean reads true or false; null is false.
func (l *lexer) boolean() (bool, error) {
	if l.null() {
		return false, nil
	}
	text, err := l.scalar()
	switch {
	case err != nil:
		return false, err
	case string(text) == "true":
		return true, nil
	case string(text) == "false":
		return false, nil
	}
	return false, l.errorf("%s is neither true nor false", text)
}
