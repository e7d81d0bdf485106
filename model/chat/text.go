package chat

import (
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// text is a string of the template language that remembers which of its bytes the template wrote. Runs cover s without
// gaps, neighbours differ.
type text struct {
	s    string
	runs []run
	// safe is Jinja's Markup: what is added to it gets escaped for HTML. Templates get there by the filter safe.
	safe bool
}

// run is a stretch of one origin that ends before byte end.
type run struct {
	end      int
	template bool
}

// written is text of the template's own; given is text that came with the input.
func written(s string) text { return origin(s, true) }
func given(s string) text   { return origin(s, false) }

func origin(s string, template bool) text {
	if s == "" {
		return text{}
	}
	return text{s: s, runs: []run{{len(s), template}}}
}

// cut gives the bytes from i to before j.
func (t text) cut(i, j int) text {
	if i >= j {
		return text{safe: t.safe}
	}
	if i == 0 && j == len(t.s) {
		return t
	}
	first := sort.Search(len(t.runs), func(k int) bool { return t.runs[k].end > i })
	last := sort.Search(len(t.runs), func(k int) bool { return t.runs[k].end >= j })
	runs := make([]run, 0, last-first+1)
	for k := first; k <= last; k++ {
		runs = append(runs, run{min(t.runs[k].end, j) - i, t.runs[k].template})
	}
	return text{t.s[i:j], runs, t.safe}
}

// spans gives the runs with their text.
func (t text) spans() []Span {
	spans := make([]Span, 0, len(t.runs))
	start := 0
	for _, r := range t.runs {
		spans = append(spans, Span{t.s[start:r.end], r.template})
		start = r.end
	}
	return spans
}

// plus is a + b. Where one is safe the other is escaped, and so is the sum.
func (t text) plus(u text) text {
	if t.safe && !u.safe {
		u = escape(u)
	}
	if u.safe && !t.safe {
		t = escape(t)
	}
	var b builder
	b.add(t)
	b.add(u)
	sum := b.text()
	sum.safe = u.safe
	return sum
}

// escape escapes what HTML knows, which makes a text safe.
func escape(t text) text {
	if t.safe {
		return t
	}
	t = t.each(func(r rune) string {
		switch r {
		case '&':
			return "&amp;"
		case '<':
			return "&lt;"
		case '>':
			return "&gt;"
		case '"':
			return "&#34;"
		case '\'':
			return "&#39;"
		}
		return string(r)
	})
	t.safe = true
	return t
}

// each calls f with every rune in order and puts what it returns in the rune's place.
func (t text) each(f func(r rune) string) text {
	var b builder
	start := 0
	for _, r := range t.runs {
		for _, c := range t.s[start:r.end] {
			b.addString(f(c), r.template)
		}
		start = r.end
	}
	return b.text()
}

// builder joins texts.
type builder struct {
	buf  []byte
	runs []run
}

func (b *builder) add(t text) {
	start := 0
	for _, r := range t.runs {
		b.addString(t.s[start:r.end], r.template)
		start = r.end
	}
}

func (b *builder) addString(s string, template bool) {
	if s == "" {
		return
	}
	b.buf = append(b.buf, s...)
	if n := len(b.runs); n > 0 && b.runs[n-1].template == template {
		b.runs[n-1].end = len(b.buf)
		return
	}
	b.runs = append(b.runs, run{len(b.buf), template})
}

func (b *builder) text() text { return text{s: string(b.buf), runs: b.runs} }

// isSpace tells Python's white space: Unicode's, and the four separators of ASCII.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// trim cuts runes that drop accepts off the ends.
func (t text) trim(left, right bool, drop func(rune) bool) text {
	i, j := 0, len(t.s)
	if left {
		i = len(t.s) - len(strings.TrimLeftFunc(t.s, drop))
	}
	if right {
		j = i + len(strings.TrimRightFunc(t.s[i:], drop))
	}
	return t.cut(i, j)
}

// oneOf makes a predicate for the runes of chars.
func oneOf(chars string) func(rune) bool {
	return func(r rune) bool { return strings.ContainsRune(chars, r) }
}

// length counts code points, as Python's len does.
func (t text) length() int { return utf8.RuneCountInString(t.s) }

// offset gives the byte at which code point i starts; i may be the length.
func (t text) offset(i int) int {
	if len(t.s) == t.length() {
		return i
	}
	at := 0
	for ; i > 0; i-- {
		_, n := utf8.DecodeRuneInString(t.s[at:])
		at += n
	}
	return at
}

// chars splits into code points.
func (t text) chars() []value {
	items := make([]value, 0, len(t.s))
	for i := 0; i < len(t.s); {
		_, n := utf8.DecodeRuneInString(t.s[i:])
		items = append(items, t.cut(i, i+n))
		i += n
	}
	return items
}

// replace replaces the first n occurrences of old, all where n is negative. An empty old stands before every code
// point and at the end, as in Python.
func (t text) replace(old string, by text, n int) text {
	var b builder
	at := 0
	for n != 0 && at <= len(t.s) {
		if old == "" {
			b.add(by)
			_, w := utf8.DecodeRuneInString(t.s[at:])
			if at == len(t.s) {
				return b.text()
			}
			b.add(t.cut(at, at+w))
			at, n = at+w, n-1
			continue
		}
		i := strings.Index(t.s[at:], old)
		if i < 0 {
			break
		}
		b.add(t.cut(at, at+i))
		b.add(by)
		at, n = at+i+len(old), n-1
	}
	b.add(t.cut(min(at, len(t.s)), len(t.s)))
	return b.text()
}

// split cuts at sep, at most n times where n is not negative; fromRight counts cuts from the end.
func (t text) split(sep string, n int, fromRight bool) []value {
	var cuts []int
	if fromRight {
		for end := len(t.s); n < 0 || len(cuts) < n; {
			i := strings.LastIndex(t.s[:end], sep)
			if i < 0 {
				break
			}
			cuts, end = append(cuts, i), i
		}
		slices.Reverse(cuts)
	} else {
		for at := 0; n < 0 || len(cuts) < n; {
			i := strings.Index(t.s[at:], sep)
			if i < 0 {
				break
			}
			cuts, at = append(cuts, at+i), at+i+len(sep)
		}
	}
	parts, at := make([]value, 0, len(cuts)+1), 0
	for _, c := range cuts {
		parts, at = append(parts, t.cut(at, c)), c+len(sep)
	}
	return append(parts, t.cut(at, len(t.s)))
}

// fields cuts at white space, at most n times where n is not negative, and drops empty parts.
func (t text) fields(n int, fromRight bool) []value {
	if fromRight {
		return t.fieldsRight(n)
	}
	var parts []value
	rest := t.trim(true, false, isSpace)
	for rest.s != "" {
		i := strings.IndexFunc(rest.s, isSpace)
		if i < 0 || len(parts) == n {
			return append(parts, rest)
		}
		parts = append(parts, rest.cut(0, i))
		rest = rest.cut(i, len(rest.s)).trim(true, false, isSpace)
	}
	return parts
}

func (t text) fieldsRight(n int) []value {
	var parts []value
	rest := t.trim(false, true, isSpace)
	for rest.s != "" {
		i := strings.LastIndexFunc(rest.s, isSpace)
		if i < 0 || len(parts) == n {
			parts = append(parts, rest)
			break
		}
		_, w := utf8.DecodeRuneInString(rest.s[i:])
		parts = append(parts, rest.cut(i+w, len(rest.s)))
		rest = rest.cut(0, i).trim(false, true, isSpace)
	}
	slices.Reverse(parts)
	return parts
}

// lines cuts at Python's line boundaries; keep leaves them on the lines.
func (t text) lines(keep bool) []value {
	var parts []value
	at := 0
	for i := 0; i < len(t.s); {
		r, w := utf8.DecodeRuneInString(t.s[i:])
		end := i + w
		if r == '\r' && end < len(t.s) && t.s[end] == '\n' {
			end++
		}
		if strings.ContainsRune("\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029", r) {
			stop := i
			if keep {
				stop = end
			}
			parts, at = append(parts, t.cut(at, stop)), end
		}
		i = end
	}
	if at < len(t.s) {
		parts = append(parts, t.cut(at, len(t.s)))
	}
	return parts
}
