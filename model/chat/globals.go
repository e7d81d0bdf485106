package chat

import (
	"fmt"
	"math"
)

// globals are the functions of the language, of Jinja and of transformers.
var globals map[string]value

func init() {
	globals = map[string]value{}
	for n, f := range map[string]func(*interp, *args) value{
		"range":           rangeOf,
		"dict":            dictOf,
		"namespace":       namespaceOf,
		"raise_exception": raise,
		"strftime_now":    strftimeNow,
	} {
		globals[n] = &callable{n, f}
	}
}

// maxRange is the sandbox's limit of a range.
const maxRange = 100_000

func rangeOf(ev *interp, a *args) value {
	p := a.bind("range()", "start", "stop", "step")
	lo, hi, step := 0, intArg("range()", p[0]), intArg("range()", p[2], 1)
	label := fmt.Sprintf("range(0, %d)", hi)
	if !isAbsent(p[1]) {
		lo, hi = hi, intArg("range()", p[1])
		label = fmt.Sprintf("range(%d, %d)", lo, hi)
	}
	if step == 0 {
		fail("range() arg 3 must not be zero")
	}
	if step != 1 {
		label = fmt.Sprintf("range(%d, %d, %d)", lo, hi, step)
	}
	n := max(0, int(math.Ceil(float64(hi-lo)/float64(step))))
	if n > maxRange {
		fail("%w: a range of %d, at most %d", ErrLimit, n, maxRange)
	}
	ev.make(n, 16)
	l := &list{kind: kindRange, label: label}
	for i := range n {
		l.items = append(l.items, int64(lo+i*step))
	}
	return l
}

// dictOf makes a mapping from another, or from pairs, and keywords.
func dictOf(ev *interp, a *args) value {
	d := newDict()
	if len(a.pos) > 1 {
		fail("dict expected at most 1 argument, got %d", len(a.pos))
	}
	for _, of := range a.pos {
		var items []value
		if from, ok := of.(*dict); ok {
			items = ev.pairs(from)
		} else {
			items = ev.items(of)
		}
		for _, item := range items {
			pair := ev.items(item)
			if len(pair) != 2 {
				fail("dictionary update sequence element has length %d; 2 is required", len(pair))
			}
			d.set(ev.key(pair[0]), pair[1])
		}
	}
	for i, n := range a.names {
		d.set(given(n), a.named[i])
	}
	ev.make(len(d.keys), 64)
	return d
}

func namespaceOf(ev *interp, a *args) value {
	ns := &namespace{map[string]value{}}
	d := dictOf(ev, a).(*dict)
	for i, k := range d.keys {
		ns.set(textArg("namespace()", k).s, d.values[i])
	}
	return ns
}

func raise(ev *interp, a *args) value {
	panic(failure{&Raised{ev.str(a.bind("raise_exception()", "message")[0]).s}})
}

func strftimeNow(ev *interp, a *args) value {
	return written(strftime(ev.now, textArg("strftime_now()", a.bind("strftime_now()", "format")[0]).s))
}
