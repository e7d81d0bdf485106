package chat

import "unicode/utf8"

func width(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// bind gives the arguments for named parameters, absent{} where one was not given.
func (a *args) bind(what string, params ...string) []value {
	got := make([]value, len(params))
	for i := range got {
		got[i] = absent{}
	}
	if len(a.pos) > len(params) {
		fail("%s takes at most %d argument(s), got %d", what, len(params), len(a.pos))
	}
	copy(got, a.pos)
next:
	for i, n := range a.names {
		for j, p := range params {
			if p == n && got[j] == (absent{}) {
				got[j] = a.named[i]
				continue next
			}
		}
		fail("%s got an unexpected keyword argument '%s'", what, n)
	}
	return got
}

// isAbsent tells that an argument was left out.
func isAbsent(v value) bool {
	_, ok := v.(absent)
	return ok
}

// textArg gives a string argument; otherwise is its default.
func textArg(what string, v value, otherwise ...text) text {
	switch v := v.(type) {
	case text:
		return v
	case undefined:
		v.fail()
	case absent:
		if len(otherwise) > 0 {
			return otherwise[0]
		}
		fail("%s: missing argument", what)
	}
	fail("%s: expected str, got %s", what, typeName(v))
	return text{}
}

// intArg gives an integer argument within the range of an int32; otherwise is its default.
func intArg(what string, v value, otherwise ...int) int {
	if isAbsent(v) {
		if len(otherwise) > 0 {
			return otherwise[0]
		}
		fail("%s: missing argument", what)
	}
	if _, ok := v.(int64); !ok {
		if _, ok := v.(bool); !ok {
			fail("%s: expected an integer, got %s", what, typeName(v))
		}
	}
	return clamp(v, 0, -1<<31, 1<<31-1)
}

// boolArg gives the truth of an argument; otherwise is its default.
func boolArg(v value, otherwise bool) bool {
	if isAbsent(v) {
		return otherwise
	}
	return truth(v)
}
