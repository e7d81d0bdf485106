package chat

import (
	"math/big"
	"strings"
)

// tests are what stands behind "is". Those of two values take the second as an argument.
var tests map[string]func(ev *interp, v value, a *args) bool

func (ev *interp) test(name string, v value, a *args) bool {
	t, ok := tests[name]
	if !ok {
		fail("no test named '%s'", name)
	}
	return t(ev, v, a)
}

func init() {
	tests = map[string]func(*interp, value, *args) bool{
		"defined":   is(func(v value) bool { _, ok := v.(undefined); return !ok }),
		"undefined": is(func(v value) bool { _, ok := v.(undefined); return ok }),
		"none":      is(func(v value) bool { return v == nil }),
		"true":      is(func(v value) bool { return v == true }),
		"false":     is(func(v value) bool { return v == false }),
		"boolean":   is(func(v value) bool { _, ok := v.(bool); return ok }),
		"integer":   is(isInteger),
		"float":     is(func(v value) bool { _, ok := v.(float64); return ok }),
		"number":    is(func(v value) bool { _, ok := number(v); return ok }),
		"string":    is(func(v value) bool { _, ok := v.(text); return ok }),
		"mapping":   is(func(v value) bool { _, ok := v.(*dict); return ok }),
		"iterable":  is(isIterable),
		"sequence":  is(isSequence),
		"callable":  is(func(v value) bool { _, ok := v.(*callable); return ok }),
		"lower":     is(func(v value) bool { t, ok := v.(text); return ok && hasCase(t.s) && t.s == strings.ToLower(t.s) }),
		"upper":     is(func(v value) bool { t, ok := v.(text); return ok && hasCase(t.s) && t.s == strings.ToUpper(t.s) }),
		"odd":       is(func(v value) bool { return modulo(v, 2) == 1 }),
		"even":      is(func(v value) bool { return modulo(v, 2) == 0 }),
		"divisibleby": func(_ *interp, v value, a *args) bool {
			return modulo(v, int64(intArg("divisibleby", a.bind("divisibleby", "num")[0]))) == 0
		},
		"in": func(ev *interp, v value, a *args) bool { return ev.contains(a.bind("in", "seq")[0], v) },
		"sameas": func(ev *interp, v value, a *args) bool {
			other := a.bind("sameas", "other")[0]
			return typeName(v) == typeName(other) && ev.equal(v, other)
		},
		"filter": func(_ *interp, v value, _ *args) bool { return known(filters, v) },
		"test":   func(_ *interp, v value, _ *args) bool { return known(tests, v) },
	}
	for op, names := range map[string][]string{
		"==": {"==", "eq", "equalto"}, "!=": {"!=", "ne"}, "<": {"<", "lt", "lessthan"}, "<=": {"<=", "le"},
		">": {">", "gt", "greaterthan"}, ">=": {">=", "ge"},
	} {
		for _, n := range names {
			tests[n] = func(ev *interp, v value, a *args) bool { return ev.holds(op, v, a.bind(n, "other")[0]) }
		}
	}
}

func is(f func(value) bool) func(*interp, value, *args) bool {
	return func(_ *interp, v value, a *args) bool {
		a.bind("test")
		return f(v)
	}
}

func known[T any](table map[string]T, v value) bool {
	t, ok := v.(text)
	_, found := table[t.s]
	return ok && found
}

func isInteger(v value) bool {
	switch v.(type) {
	case int64, *big.Int:
		return true
	}
	return false
}

func isIterable(v value) bool {
	switch v.(type) {
	case text, *list, *dict, undefined:
		return true
	}
	return false
}

func isSequence(v value) bool {
	switch v := v.(type) {
	case text, *dict, undefined:
		return true
	case *list:
		return v.kind <= kindRange
	}
	return false
}

func hasCase(s string) bool { return strings.ToLower(s) != strings.ToUpper(s) }

func modulo(v value, n int64) int64 {
	i, ok := whole(v)
	if !ok {
		fail("expected an integer, got %s", typeName(v))
	}
	return integers("%", i, n).(int64)
}
