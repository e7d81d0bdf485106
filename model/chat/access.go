package chat

import (
	"math/big"
	"slices"
)

// attribute is v.name: a method or attribute first, then a key.
func (ev *interp) attribute(v value, name string) value {
	if m, ok := ev.member(v, name); ok {
		return m
	}
	if d, ok := v.(*dict); ok {
		if item, ok := d.get(given(name)); ok {
			return item
		}
	}
	return missingIn(v, name)
}

// item is v[key]: an element first, then a method or attribute.
func (ev *interp) item(v, key value) value {
	switch v := v.(type) {
	case *dict:
		if ev.hashable(key) {
			if item, ok := v.get(key); ok {
				return item
			}
		}
	case *list:
		if i, ok := whole(key); ok && v.kind <= kindRange {
			if i, ok = fromEnd(i, len(v.items)); ok {
				return v.items[i]
			}
		}
	case text:
		if i, ok := whole(key); ok {
			ev.scan(len(v.s))
			if i, ok = fromEnd(i, v.length()); ok {
				at := v.offset(int(i))
				return v.cut(at, at+width(v.s[at:]))
			}
		}
	}
	if k, ok := key.(text); ok {
		if m, ok := ev.member(v, k.s); ok {
			return m
		}
		return missingIn(v, k.s)
	}
	if u, ok := v.(undefined); ok {
		u.fail()
	}
	return undefined{typeName(v) + " object has no element " + ev.str(key).s}
}

// hashable tells whether a key can be hashed, counts the work and bounds its nesting.
func (ev *interp) hashable(key value) bool {
	ev.spend(1)
	switch k := key.(type) {
	case text:
		ev.scan(len(k.s))
		return true
	case nil, bool, int64, *big.Int, float64, undefined:
		return true
	case *list:
		defer ev.deeper()()
		for _, item := range k.items {
			if !ev.hashable(item) {
				return false
			}
		}
		return k.kind == kindTuple
	}
	return false
}

// key fails for what cannot be a key.
func (ev *interp) key(k value) value {
	if !ev.hashable(k) {
		fail("unhashable type: '%s'", typeName(k))
	}
	return k
}

// missingIn is what an attribute that is not there gives.
func missingIn(v value, name string) value {
	if u, ok := v.(undefined); ok {
		u.fail()
	}
	return undefined{"'" + typeName(v) + " object' has no attribute '" + name + "'"}
}

// changers are the methods that change their object, which chat templates may not call.
var changers = map[string][]string{
	"list": {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"},
	"dict": {"clear", "pop", "popitem", "setdefault", "update"},
}

// member gives a method or attribute.
func (ev *interp) member(v value, name string) (value, bool) {
	if slices.Contains(changers[typeName(v)], name) {
		return undefined{"access to attribute '" + name + "' of '" + typeName(v) + "' object is unsafe: templates may not change values"}, true
	}
	switch v := v.(type) {
	case text:
		return method(v, name, textMethods)
	case *dict:
		return method(v, name, dictMethods)
	case *list:
		if v.kind <= kindTuple {
			return method(v, name, listMethods)
		}
	case *namespace:
		item, ok := v.attrs[name]
		return item, ok
	case *loop:
		return v.attr(name)
	}
	return nil, false
}

// method binds a method of a table to its object.
func method[T any](of T, name string, table map[string]func(*interp, T, *args) value) (value, bool) {
	m, ok := table[name]
	if !ok {
		return nil, false
	}
	return &callable{name, func(ev *interp, a *args) value { return m(ev, of, a) }}, true
}

// fromEnd resolves an index, negative ones from the end.
func fromEnd(i int64, n int) (int64, bool) {
	if i < 0 {
		i += int64(n)
	}
	return i, i >= 0 && i < int64(n)
}

func (ev *interp) evalSlice(e *getSlice, sc *scope) value {
	of := ev.eval(e.of, sc)
	bounds := [3]value{}
	for i, b := range []expr{e.lo, e.hi, e.step} {
		if b != nil {
			bounds[i] = ev.eval(b, sc)
		}
	}
	ev.line = e.line
	switch v := of.(type) {
	case text:
		ev.scan(len(v.s))
		if lo, hi, step := ev.bounds(bounds, v.length()); step == 1 {
			return v.cut(v.offset(lo), v.offset(max(lo, hi)))
		}
		var b builder
		for _, c := range ev.pick(v.chars(), bounds) {
			b.add(c.(text))
		}
		return ev.made(b.text())
	case *list:
		if v.kind <= kindRange {
			kind := v.kind
			if kind == kindRange {
				kind = kindTuple // a slice of a range prints as one in Python; nothing else tells them apart
			}
			return &list{kind: kind, items: ev.pick(v.items, bounds)}
		}
	case undefined:
		v.fail()
	}
	fail("'%s' object is not subscriptable", typeName(of))
	return nil
}

// pick gives the items that a slice takes.
func (ev *interp) pick(items []value, bounds [3]value) []value {
	lo, hi, step := ev.bounds(bounds, len(items))
	if step == 1 {
		return items[lo:max(lo, hi):max(lo, hi)]
	}
	ev.make(len(items), 16)
	var picked []value
	for i := lo; step > 0 && i < hi || step < 0 && i > hi; i += step {
		picked = append(picked, items[i])
	}
	return picked
}

// bounds resolves a slice's bounds for n items as Python's slice.indices does.
func (ev *interp) bounds(b [3]value, n int) (lo, hi, step int) {
	step = clamp(b[2], 1, -1<<31, 1<<31)
	if step == 0 {
		fail("slice step cannot be zero")
	}
	first, last := 0, n // where the walk may start and end
	if step < 0 {
		first, last = -1, n-1
	}
	resolve := func(v value, otherwise int) int {
		i := clamp(v, otherwise, -1<<31, 1<<31)
		if v != nil && i < 0 {
			i += n
		}
		return min(max(i, first), last)
	}
	if step < 0 {
		lo, hi = resolve(b[0], last), resolve(b[1], first)
	} else {
		lo, hi = resolve(b[0], first), resolve(b[1], last)
	}
	if step > n {
		step = n + 1 // the second step would leave anyway
	}
	if step < -n {
		step = -n - 1
	}
	return lo, hi, step
}

// clamp reads an index: an integer between lo and hi, otherwise where there is none.
func clamp(v value, otherwise, lo, hi int) int {
	if v == nil {
		return otherwise
	}
	if b, ok := v.(*big.Int); ok {
		if b.Sign() < 0 {
			return lo
		}
		return hi
	}
	i, ok := whole(v)
	if !ok {
		fail("slice indices must be integers or None, not %s", typeName(v))
	}
	return int(min(max(i, int64(lo)), int64(hi)))
}
