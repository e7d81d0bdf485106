package chat

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
)

type filterFunc = func(ev *interp, v value, a *args) value

// filters are those of Jinja that chat templates use; those over sequences are in filters_seq.go.
var filters map[string]filterFunc

func (ev *interp) filter(name string, v value, a *args) value {
	f, ok := filters[name]
	if !ok {
		fail("no filter named '%s'", name)
	}
	return f(ev, v, a)
}

func init() {
	filters = map[string]filterFunc{
		"abs":        absolute,
		"capitalize": onText(capitalize),
		"d":          defaultTo,
		"default":    defaultTo,
		"e":          onText(escape),
		"escape":     onText(escape),
		"float":      toFloat,
		"format":     formatFilter,
		"indent":     indentLines,
		"int":        toInt,
		"lower":      onText(lower),
		"replace":    replaceFilter,
		"round":      round,
		"safe":       onText(func(t text) text { t.safe = true; return t }),
		"string":     onText(func(t text) text { return t }),
		"title":      onText(titleWords),
		"tojson":     toJSON,
		"trim":       trimFilter,
		"upper":      onText(upper),
	}
	for n, f := range sequenceFilters() {
		filters[n] = f
	}
}

// onText makes a filter of what a value prints as.
func onText(f func(text) text) filterFunc {
	return func(ev *interp, v value, a *args) value {
		a.bind("filter")
		t := ev.str(v)
		ev.make(len(t.s), 4)
		return f(t)
	}
}

func defaultTo(_ *interp, v value, a *args) value {
	p := a.bind("default", "default_value", "boolean")
	if isAbsent(p[0]) {
		p[0] = text{}
	}
	if _, ok := v.(undefined); ok || boolArg(p[1], false) && !truth(v) {
		return p[0]
	}
	return v
}

func trimFilter(ev *interp, v value, a *args) value {
	return textMethods["strip"](ev, ev.str(v), a)
}

func replaceFilter(ev *interp, v value, a *args) value {
	p := a.bind("replace", "old", "new", "count")
	if isAbsent(p[0]) || isAbsent(p[1]) {
		fail("replace: missing argument")
	}
	n := -1
	if p[2] != nil {
		n = intArg("replace", p[2], -1)
	}
	return ev.replace(ev.str(v), ev.str(p[0]), ev.str(p[1]), n)
}

// titleWords is Jinja's title filter: words start after white space, hyphens and opening brackets.
func titleWords(t text) text {
	start := true
	return t.each(func(r rune) string {
		first := start
		start = isSpace(r) || strings.ContainsRune("-({[<", r)
		if first && !start {
			return strings.ToUpper(string(r))
		}
		return string(unicode.ToLower(r))
	})
}

func formatFilter(ev *interp, v value, a *args) value {
	if len(a.names) > 0 {
		fail("format: keyword arguments are not supported")
	}
	return ev.percent(ev.str(v), &list{kind: kindTuple, items: a.pos})
}

func indentLines(ev *interp, v value, a *args) value {
	p := a.bind("indent", "width", "first", "blank")
	by, ok := p[0].(text)
	if !ok {
		by = ev.repeat(written(" "), int64(intArg("indent", p[0], 4)))
	}
	t := textArg("indent", v)
	ev.make(len(t.s), 64)
	var ended builder // so that an empty last line counts
	ended.add(t)
	ended.addString("\n", true)
	lines := ended.text().lines(false)
	var b builder
	for i, line := range lines {
		line := line.(text)
		if i > 0 {
			b.addString("\n", true)
		}
		if i == 0 && boolArg(p[1], false) || i > 0 && (line.s != "" || boolArg(p[2], false)) {
			ev.made(by)
			b.add(by)
		}
		b.add(line)
	}
	return ev.made(b.text())
}

func absolute(_ *interp, v value, a *args) value {
	a.bind("abs")
	if n, ok := whole(v); ok {
		if n < 0 {
			return integers("-", 0, n)
		}
		return n
	}
	if n, ok := v.(*big.Int); ok {
		return new(big.Int).Abs(n)
	}
	f, ok := v.(float64)
	if !ok {
		fail("bad operand type for abs(): '%s'", typeName(v))
	}
	return math.Abs(f)
}

// toInt reads integers, and floats less their fraction; what is neither gives the default.
func toInt(ev *interp, v value, a *args) value {
	p := a.bind("int", "default", "base")
	base := intArg("int", p[1], 10)
	switch v := v.(type) {
	case int64, *big.Int, bool:
		if n, ok := whole(v); ok {
			return n
		}
		return v
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return integer(truncated(v))
		}
	case text:
		s := strings.TrimFunc(v.s, isSpace)
		ev.scan(len(s))
		if n, ok := parseInt(s, base); ok {
			return n
		}
		if f, ok := parseFloat(s); ok && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return integer(truncated(f))
		}
	case undefined:
		v.fail()
	}
	if isAbsent(p[0]) {
		return int64(0)
	}
	return p[0]
}

func truncated(f float64) *big.Int {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		fail("cannot convert float %s to integer", floatRepr(f))
	}
	n, _ := big.NewFloat(math.Trunc(f)).Int(nil)
	return n
}

// parseInt reads what Python's int() does: underscores between digits, and prefixes where they are the base's.
func parseInt(s string, base int) (value, bool) {
	if strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") || strings.Contains(s, "__") || base != 0 && (base < 2 || base > 36) {
		return nil, false
	}
	if len(s) > maxDigits {
		return nil, false
	}
	digits := strings.ReplaceAll(s, "_", "")
	sign := ""
	if digits != "" && (digits[0] == '-' || digits[0] == '+') {
		sign, digits = digits[:1], digits[1:]
	}
	if prefix := map[int]string{2: "0b", 8: "0o", 16: "0x"}[base]; prefix != "" && strings.HasPrefix(strings.ToLower(digits), prefix) {
		digits = digits[2:]
	}
	if digits == "" || digits[0] == '-' || digits[0] == '+' {
		return nil, false
	}
	n, ok := new(big.Int).SetString(sign+digits, base)
	if !ok {
		return nil, false
	}
	return integer(n), true
}

func parseFloat(s string) (float64, bool) {
	low := strings.ToLower(strings.TrimLeft(s, "+-"))
	if strings.HasPrefix(low, "0x") || strings.HasPrefix(low, "_") || strings.HasSuffix(low, "_") || strings.Contains(low, "__") {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	return f, err == nil || math.IsInf(f, 0)
}

func toFloat(_ *interp, v value, a *args) value {
	p := a.bind("float", "default")
	if f, ok := number(v); ok {
		return f
	}
	if u, ok := v.(undefined); ok {
		u.fail()
	}
	if t, ok := v.(text); ok {
		if f, ok := parseFloat(strings.TrimFunc(t.s, isSpace)); ok {
			return f
		}
	}
	if isAbsent(p[0]) {
		return 0.0
	}
	return p[0]
}

func round(_ *interp, v value, a *args) value {
	p := a.bind("round", "precision", "method")
	digits, how := intArg("round", p[0], 0), textArg("round", p[1], written("common")).s
	f, ok := number(v)
	if !ok {
		fail("round: expected a number, got %s", typeName(v))
	}
	if digits < -300 || digits > 300 {
		fail("round: precision out of range")
	}
	scale := math.Pow(10, float64(digits))
	switch {
	case how == "ceil":
		return math.Ceil(f*scale) / scale
	case how == "floor":
		return math.Floor(f*scale) / scale
	case how != "common":
		fail("round: method must be common, ceil or floor")
	case isInteger(v) && digits >= 0:
		return v
	case digits < 0:
		r := math.RoundToEven(f*scale) / scale
		if isInteger(v) {
			return integer(truncated(r))
		}
		return r
	}
	r, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', digits, 64), 64)
	return r
}
