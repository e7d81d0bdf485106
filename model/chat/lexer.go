package chat

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSource bounds the size of a template. The longest that models ship have about 20 kB.
const maxSource = 1 << 20

// maxDigits is Python's limit of an integer in text.
const maxDigits = 4300

type tokenKind uint8

const (
	tokEOF tokenKind = iota
	tokData
	tokOpen       // {{
	tokClose      // }}
	tokBlockOpen  // {%
	tokBlockClose // %}
	tokName
	tokString
	tokInt
	tokFloat
	tokOp
)

// token is a lexical element: s its text (for strings, what they denote), number the value of a number.
type token struct {
	kind   tokenKind
	s      string
	number value
	line   int
}

// lexer follows jinja2.lexer of Jinja 3.1 with trim_blocks and lstrip_blocks, quirks included.
type lexer struct {
	src       string
	pos       int
	line      *int
	lineStart bool // the last match ended a line
	tokens    []token
}

var newlines = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// lex cuts a source into tokens. line follows the place, for failures.
func lex(src string, line *int) []token {
	src = newlines.Replace(src)
	src = strings.TrimSuffix(src, "\n") // keep_trailing_newline is off
	*line = 1
	l := &lexer{src: src, line: line, lineStart: true}
	for l.pos < len(l.src) {
		l.root()
	}
	l.emit(token{kind: tokEOF})
	return l.tokens
}

func (l *lexer) emit(t token) {
	t.line = *l.line
	l.tokens = append(l.tokens, t)
}

// advance moves over n bytes of a match.
func (l *lexer) advance(n int) {
	m := l.src[l.pos : l.pos+n]
	*l.line += strings.Count(m, "\n")
	l.lineStart = strings.HasSuffix(m, "\n")
	l.pos += n
}

var (
	tagStart = regexp.MustCompile(`\{[%{#]`)
	rawStart = regexp.MustCompile(`^\{%[-+]?` + space + `*raw` + space + `*(?:-%\}` + space + `*|%\})`)
	rawEnd   = regexp.MustCompile(`\{%([-+]?)` + space + `*endraw` + space + `*(?:\+%\}|-%\}` + space + `*|%\}\n?)`)
	comment  = regexp.MustCompile(`\+#\}|-#\}` + space + `*|#\}\n?`)
	blockEnd = regexp.MustCompile(`^(?:\+%\}|-%\}` + space + `*|%\}\n?)`)
	varEnd   = regexp.MustCompile(`^(?:-\}\}` + space + `*|\}\})`)
)

// space is what \s matches in Python.
const space = `[\s\v\x1c-\x1f\x{85}\p{Z}]`

// root takes the text up to the next tag, and the tag.
func (l *lexer) root() {
	rest := l.src[l.pos:]
	at := tagStart.FindStringIndex(rest)
	if at == nil {
		l.emit(token{kind: tokData, s: rest})
		l.advance(len(rest))
		return
	}
	tag, n := rest[at[0]+1], 2
	sign := byte(0)
	if at[1] < len(rest) && (rest[at[1]] == '-' || rest[at[1]] == '+') {
		sign, n = rest[at[1]], 3
	}
	l.text(rest[:at[0]], sign, tag != '{')
	if raw := rawStart.FindString(rest[at[0]:]); raw != "" {
		l.advance(at[0] + len(raw))
		l.raw()
		return
	}
	start := *l.line + strings.Count(rest[:at[0]], "\n")
	l.advance(at[0] + n)
	*l.line = start
	switch tag {
	case '#':
		l.comment()
	case '%':
		l.emit(token{kind: tokBlockOpen})
		l.expression(blockEnd, tokBlockClose)
	default:
		l.emit(token{kind: tokOpen})
		l.expression(varEnd, tokClose)
	}
}

// text emits the text before a tag, less the white space that the tag takes away.
func (l *lexer) text(s string, sign byte, block bool) {
	switch {
	case sign == '-':
		s = strings.TrimRightFunc(s, isSpace)
	case sign == 0 && block:
		start := strings.LastIndexByte(s, '\n') + 1
		if (start > 0 || l.lineStart) && strings.TrimLeftFunc(s[start:], isSpace) == "" {
			s = s[:start]
		}
	}
	if s != "" {
		l.emit(token{kind: tokData, s: s})
	}
}

// raw takes the rest of a raw block. Jinja does not miss its end at the end of the source.
func (l *lexer) raw() {
	if l.pos == len(l.src) {
		return
	}
	at := rawEnd.FindStringSubmatchIndex(l.src[l.pos:])
	if at == nil {
		fail("missing end of raw directive")
	}
	rest := l.src[l.pos:]
	sign := byte(0)
	if at[2] < at[3] {
		sign = rest[at[2]]
	}
	l.text(rest[:at[0]], sign, true)
	l.advance(at[1])
}

func (l *lexer) comment() {
	if l.pos == len(l.src) {
		return
	}
	at := comment.FindStringIndex(l.src[l.pos:])
	if at == nil {
		fail("missing end of comment tag")
	}
	l.advance(at[1])
}

// operators, longest first.
var operators = []string{"**", "//", "==", "!=", "<=", ">=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"}

var (
	floatRE = regexp.MustCompile(`^[0-9](?:_?[0-9])*(?:\.[0-9](?:_?[0-9])*(?:[eE][+\-]?[0-9](?:_?[0-9])*)?|[eE][+\-]?[0-9](?:_?[0-9])*)`)
	intRE   = regexp.MustCompile(`^(?:0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[0-9a-fA-F])+|[1-9](?:_?[0-9])*|0(?:_?0)*)`)
	strRE   = regexp.MustCompile(`^(?s:'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*")`)
)

// expression takes the inside of a tag up to its end, which counts only outside brackets.
func (l *lexer) expression(end *regexp.Regexp, kind tokenKind) {
	var open []byte
	for l.pos < len(l.src) {
		rest := l.src[l.pos:]
		if m := end.FindString(rest); m != "" && len(open) == 0 {
			l.emit(token{kind: kind})
			l.advance(len(m))
			return
		}
		r, w := utf8.DecodeRuneInString(rest)
		if isSpace(r) {
			l.advance(w)
			continue
		}
		if !l.literal(rest) {
			open = l.operator(rest, open)
		}
	}
}

// literal takes a number, name or string, if there is one.
func (l *lexer) literal(rest string) bool {
	afterDot := len(l.tokens) > 0 && l.pos > 0 && l.src[l.pos-1] == '.'
	r, _ := utf8.DecodeRuneInString(rest)
	switch {
	case !afterDot && floatRE.MatchString(rest):
		m := floatRE.FindString(rest)
		f, _ := strconv.ParseFloat(strings.ReplaceAll(m, "_", ""), 64) // out of range: infinite, as in Python
		l.take(tokFloat, m, f)
	case intRE.MatchString(rest):
		m := intRE.FindString(rest)
		n, ok := new(big.Int), len(m) <= maxDigits
		if ok {
			n, ok = n.SetString(strings.ReplaceAll(m, "_", ""), 0)
		}
		if !ok {
			fail("bad number %.20s", m)
		}
		l.take(tokInt, m, integer(n))
	case isWord(r):
		m := rest
		if i := strings.IndexFunc(rest, func(r rune) bool { return !isWord(r) }); i >= 0 {
			m = rest[:i]
		}
		if unicode.IsNumber(r) {
			fail("invalid character in identifier %q", m)
		}
		l.take(tokName, m, nil)
	case r == '\'' || r == '"':
		m := strRE.FindString(rest)
		if m == "" {
			fail("unexpected char %q", r)
		}
		s := unescape(m[1 : len(m)-1])
		l.emit(token{kind: tokString, s: s})
		l.advance(len(m))
	default:
		return false
	}
	return true
}

func isWord(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.Is(unicode.Mn, r)
}

func (l *lexer) take(kind tokenKind, m string, number value) {
	l.emit(token{kind: kind, s: m, number: number})
	l.advance(len(m))
}

// operator takes an operator and keeps count of brackets.
func (l *lexer) operator(rest string, open []byte) []byte {
	closing := map[string]byte{"(": ')', "[": ']', "{": '}'}
	for _, op := range operators {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		if c, ok := closing[op]; ok {
			open = append(open, c)
		}
		if op == ")" || op == "]" || op == "}" {
			if len(open) == 0 || open[len(open)-1] != op[0] {
				fail("unexpected '%s'", op)
			}
			open = open[:len(open)-1]
		}
		l.take(tokOp, op, nil)
		return open
	}
	r, _ := utf8.DecodeRuneInString(rest)
	fail("unexpected char %q", r)
	return nil
}

// unescape resolves the escapes of Python's string literals. An unknown one stands for itself.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	simple := map[byte]string{'\n': "", '\\': `\`, '\'': "'", '"': `"`, 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v"}
	widths := map[byte]int{'x': 2, 'u': 4, 'U': 8}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		c := s[i]
		if r, ok := simple[c]; ok {
			b.WriteString(r)
		} else if w, ok := widths[c]; ok {
			b.WriteRune(codePoint(s, i+1, w, 16))
			i += w
		} else if c >= '0' && c <= '7' {
			w := 1
			for w < 3 && i+w < len(s) && s[i+w] >= '0' && s[i+w] <= '7' {
				w++
			}
			b.WriteRune(codePoint(s, i, w, 8))
			i += w - 1
		} else {
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String()
}

// codePoint reads a number of w digits at i.
func codePoint(s string, i, w, base int) rune {
	if i+w > len(s) {
		fail("truncated escape in a string")
	}
	n, err := strconv.ParseUint(s[i:i+w], base, 32)
	if err != nil || n > utf8.MaxRune {
		fail("bad escape in a string: %q", s[i:i+w])
	}
	return rune(n)
}
