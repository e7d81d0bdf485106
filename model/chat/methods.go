package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// textMethods are the methods of str. (Every table of functions is filled by init, for what they call refers to them.)
var textMethods map[string]func(*interp, text, *args) value

var dictMethods = map[string]func(*interp, *dict, *args) value{
	"get": func(ev *interp, d *dict, a *args) value {
		p := a.bind("get()", "key", "default")
		if v, ok := d.get(ev.key(p[0])); ok {
			return v
		}
		if isAbsent(p[1]) {
			return nil
		}
		return p[1]
	},
	"keys":   func(ev *interp, d *dict, a *args) value { return view("dict_keys", d.keys, a) },
	"values": func(ev *interp, d *dict, a *args) value { return view("dict_values", d.values, a) },
	"items":  func(ev *interp, d *dict, a *args) value { return view("dict_items", ev.pairs(d), a) },
	"copy": func(ev *interp, d *dict, a *args) value {
		a.bind("copy()")
		return d // nothing can change it
	},
}

func view(label string, items []value, a *args) value {
	a.bind(label)
	return &list{kind: kindView, items: items, label: label}
}

// pairs gives key and value of each entry.
func (ev *interp) pairs(d *dict) []value {
	ev.make(len(d.keys), 64)
	items := make([]value, len(d.keys))
	for i, k := range d.keys {
		items[i] = &list{kind: kindTuple, items: []value{k, d.values[i]}}
	}
	return items
}

var listMethods = map[string]func(*interp, *list, *args) value{
	"index": func(ev *interp, l *list, a *args) value {
		p := a.bind("index()", "value")
		for i, v := range l.items {
			if ev.equal(v, p[0]) {
				return int64(i)
			}
		}
		fail("%s is not in list", ev.str(p[0]).s)
		return nil
	},
	"count": func(ev *interp, l *list, a *args) value {
		p, n := a.bind("count()", "value"), int64(0)
		for _, v := range l.items {
			if ev.equal(v, p[0]) {
				n++
			}
		}
		return n
	},
	"copy": func(ev *interp, l *list, a *args) value {
		a.bind("copy()")
		return l
	},
}

func init() {
	textMethods = map[string]func(*interp, text, *args) value{
		"strip":        stripper(true, true),
		"lstrip":       stripper(true, false),
		"rstrip":       stripper(false, true),
		"split":        splitter(false),
		"rsplit":       splitter(true),
		"splitlines":   splitLines,
		"startswith":   affix(strings.HasPrefix),
		"endswith":     affix(strings.HasSuffix),
		"removeprefix": removePrefix,
		"removesuffix": removeSuffix,
		"partition":    partition(false),
		"rpartition":   partition(true),
		"replace":      replaceMethod,
		"join":         joinMethod,
		"find":         finder(strings.Index, false),
		"rfind":        finder(strings.LastIndex, false),
		"index":        finder(strings.Index, true),
		"rindex":       finder(strings.LastIndex, true),
		"count":        countMethod,
		"upper":        mapper(upper),
		"lower":        mapper(lower),
		"title":        mapper(title),
		"capitalize":   mapper(capitalize),
		"isdigit":      predicate(func(r rune) bool { return unicode.IsDigit(r) }),
		"isnumeric":    predicate(unicode.IsNumber),
		"isalpha":      predicate(unicode.IsLetter),
		"isalnum":      predicate(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
		"isspace":      predicate(isSpace),
		"isupper":      cased(unicode.IsUpper, unicode.IsLower),
		"islower":      cased(unicode.IsLower, unicode.IsUpper),
		"ljust":        padder(0),
		"rjust":        padder(1),
		"format":       formatMethod,
	}
}

type textMethod = func(*interp, text, *args) value

func stripper(left, right bool) textMethod {
	return func(ev *interp, t text, a *args) value {
		p := a.bind("strip()", "chars")
		ev.scan(len(t.s))
		if isAbsent(p[0]) || p[0] == nil {
			return t.trim(left, right, isSpace)
		}
		chars := textArg("strip()", p[0]).s
		ev.spend(len(t.s) * (len(chars)/64 + 1) / 64)
		return t.trim(left, right, oneOf(chars))
	}
}

func splitter(fromRight bool) textMethod {
	return func(ev *interp, t text, a *args) value {
		p := a.bind("split()", "sep", "maxsplit")
		n := intArg("split()", p[1], -1)
		if isAbsent(p[0]) || p[0] == nil {
			ev.make(len(t.s), 32) // as many parts as half the bytes
			return &list{items: t.fields(n, fromRight)}
		}
		sep := textArg("split()", p[0]).s
		if sep == "" {
			fail("empty separator")
		}
		ev.make(strings.Count(t.s, sep)+len(t.s)/64+1, 64)
		return &list{items: t.split(sep, n, fromRight)}
	}
}

func splitLines(ev *interp, t text, a *args) value {
	p := a.bind("splitlines()", "keepends")
	ev.make(len(t.s), 64)
	return &list{items: t.lines(boolArg(p[0], false))}
}

// affix makes startswith and endswith, which take a string or a tuple of them.
func affix(has func(s, affix string) bool) textMethod {
	return func(ev *interp, t text, a *args) value {
		p := a.bind("startswith()", "prefix")
		options := []value{p[0]}
		if l, ok := p[0].(*list); ok && l.kind == kindTuple {
			options = l.items
		}
		for _, o := range options {
			ev.spend(1)
			if has(t.s, textArg("startswith()", o).s) {
				return true
			}
		}
		return false
	}
}

func removePrefix(ev *interp, t text, a *args) value {
	prefix := textArg("removeprefix()", a.bind("removeprefix()", "prefix")[0]).s
	if strings.HasPrefix(t.s, prefix) {
		return t.cut(len(prefix), len(t.s))
	}
	return t
}

func removeSuffix(ev *interp, t text, a *args) value {
	suffix := textArg("removesuffix()", a.bind("removesuffix()", "suffix")[0]).s
	if strings.HasSuffix(t.s, suffix) {
		return t.cut(0, len(t.s)-len(suffix))
	}
	return t
}

func partition(fromRight bool) textMethod {
	return func(ev *interp, t text, a *args) value {
		sep := textArg("partition()", a.bind("partition()", "sep")[0])
		if sep.s == "" {
			fail("empty separator")
		}
		ev.scan(len(t.s))
		i := strings.Index(t.s, sep.s)
		if fromRight {
			i = strings.LastIndex(t.s, sep.s)
		}
		parts := []value{t, text{}, text{}}
		switch {
		case i >= 0:
			parts = []value{t.cut(0, i), t.cut(i, i+len(sep.s)), t.cut(i+len(sep.s), len(t.s))}
		case fromRight:
			parts = []value{text{}, text{}, t}
		}
		return &list{kind: kindTuple, items: parts}
	}
}

func replaceMethod(ev *interp, t text, a *args) value {
	p := a.bind("replace()", "old", "new", "count")
	return ev.replace(t, textArg("replace()", p[0]), textArg("replace()", p[1]), intArg("replace()", p[2], -1))
}

func (ev *interp) replace(t, old, by text, n int) text {
	times := strings.Count(t.s, old.s)
	if n >= 0 {
		times = min(times, n)
	}
	ev.scan(len(t.s))
	ev.make(times, len(by.s)+16*len(by.runs)+32)
	return ev.made(t.replace(old.s, by, n))
}

func joinMethod(ev *interp, sep text, a *args) value {
	p := a.bind("join()", "iterable")
	items := ev.items(p[0])
	for i, item := range items {
		if _, ok := item.(text); !ok {
			fail("sequence item %d: expected str instance, %s found", i, typeName(item))
		}
	}
	return ev.join(sep, items)
}

func (ev *interp) join(sep text, items []value) text {
	var b builder
	for i, item := range items {
		if i > 0 {
			ev.made(sep)
			b.add(sep)
		}
		t := ev.str(item)
		ev.made(t)
		b.add(t)
	}
	return b.text()
}

func finder(index func(s, sub string) int, must bool) textMethod {
	return func(ev *interp, t text, a *args) value {
		sub := textArg("find()", a.bind("find()", "sub")[0]).s
		ev.scan(len(t.s))
		i := index(t.s, sub)
		if i < 0 {
			if must {
				fail("substring not found")
			}
			return int64(-1)
		}
		return int64(utf8.RuneCountInString(t.s[:i]))
	}
}

func countMethod(ev *interp, t text, a *args) value {
	sub := textArg("count()", a.bind("count()", "sub")[0]).s
	ev.scan(len(t.s))
	return int64(strings.Count(t.s, sub))
}

func mapper(f func(text) text) textMethod {
	return func(ev *interp, t text, a *args) value {
		a.bind("case conversion")
		ev.make(len(t.s), 4)
		return f(t)
	}
}

func upper(t text) text {
	return t.each(func(r rune) string {
		if s, ok := wideUpper[r]; ok {
			return s
		}
		return string(unicode.ToUpper(r))
	})
}

// wideUpper are letters whose upper case has several.
var wideUpper = map[rune]string{'ß': "SS", 'ŉ': "ʼN", 'ﬀ': "FF", 'ﬁ': "FI", 'ﬂ': "FL", 'ﬃ': "FFI", 'ﬄ': "FFL", 'ﬅ': "ST", 'ﬆ': "ST"}

func lower(t text) text {
	return t.each(func(r rune) string { return strings.ToLower(string(r)) })
}

// title is str.title: words are runs of letters.
func title(t text) text {
	inWord := false
	return t.each(func(r rune) string {
		first := !inWord
		inWord = unicode.IsLetter(r)
		if first {
			return string(unicode.ToTitle(r))
		}
		return string(unicode.ToLower(r))
	})
}

func capitalize(t text) text {
	first := true
	return t.each(func(r rune) string {
		if first {
			first = false
			return string(unicode.ToTitle(r))
		}
		return string(unicode.ToLower(r))
	})
}

// predicate tells whether all runes fit, and there are some.
func predicate(f func(rune) bool) textMethod {
	return func(ev *interp, t text, a *args) value {
		a.bind("predicate")
		ev.scan(len(t.s))
		return t.s != "" && strings.IndexFunc(t.s, func(r rune) bool { return !f(r) }) < 0
	}
}

// cased tells whether there are runes of one case and none of the other.
func cased(is, not func(rune) bool) textMethod {
	return func(ev *interp, t text, a *args) value {
		a.bind("predicate")
		ev.scan(len(t.s))
		return strings.IndexFunc(t.s, is) >= 0 && strings.IndexFunc(t.s, not) < 0
	}
}

// padder fills up to a width, on the left with the given share of the padding.
func padder(left int) textMethod {
	return func(ev *interp, t text, a *args) value {
		p := a.bind("ljust()", "width", "fillchar")
		fill := textArg("ljust()", p[1], written(" "))
		pad := ev.repeat(fill, int64(intArg("ljust()", p[0])-t.length()))
		if left > 0 {
			return ev.made(ev.join(text{}, []value{pad, t}))
		}
		return ev.made(ev.join(text{}, []value{t, pad}))
	}
}
