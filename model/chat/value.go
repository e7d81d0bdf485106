package chat

import (
	"fmt"
	"math"
	"math/big"
	"strings"
)

// value is one of: nil (None), bool, int64, *big.Int (beyond int64), float64, text, *list, *dict, *namespace, *loop, *callable,
// undefined; and absent, for arguments that were not given.
type value any

type absent struct{}

// undefined is what a missing variable or key evaluates to. Almost all use of it fails, and says what was missing.
type undefined struct{ what string }

func (u undefined) fail() { fail("%s", u.what) }

type listKind uint8

const (
	kindList listKind = iota
	kindTuple
	kindRange     // prints as its bounds
	kindView      // dict.keys() and its like: no index, not JSON
	kindGenerator // what map and select give: true, no length, to be gone through once
)

// list is a sequence. Lists are never changed after they are made.
type list struct {
	kind  listKind
	items []value
	label string // how ranges, views and generators print
	spent bool   // a generator that was gone through
}

// namespace is the one value that a template may change: ns.x = y.
type namespace struct{ attrs map[string]value }

// callable is a function, method or macro.
type callable struct {
	name string
	fn   func(ev *interp, a *args) value
}

// dict keeps its keys in the order in which they came.
type dict struct {
	keys, values []value
	index        map[string]int
}

func newDict() *dict { return &dict{index: map[string]int{}} }

func (d *dict) set(k, v value) {
	h := hash(k)
	if i, ok := d.index[h]; ok {
		d.values[i] = v
		return
	}
	d.index[h] = len(d.keys)
	d.keys, d.values = append(d.keys, k), append(d.values, v)
}

func (d *dict) get(k value) (value, bool) {
	i, ok := d.index[hash(k)]
	if !ok {
		return nil, false
	}
	return d.values[i], true
}

func (d *dict) put(k string, v value) { d.set(written(k), v) }

// hash gives equal strings for keys that are equal, as 1, 1.0 and true are in Python.
func hash(k value) string {
	switch k := k.(type) {
	case text:
		return "s" + k.s
	case nil:
		return "n"
	case undefined:
		return "u"
	case bool, int64, *big.Int, float64:
		if f, ok := k.(float64); ok && f != math.Trunc(f) {
			return "f" + floatRepr(f)
		}
		if f, ok := k.(float64); ok && math.Abs(f) < 1<<62 {
			k = int64(f)
		}
		if b, ok := k.(bool); ok {
			k = int64(0)
			if b {
				k = int64(1)
			}
		}
		return fmt.Sprintf("i%v", k)
	case *list:
		if k.kind == kindTuple {
			var b strings.Builder
			for _, item := range k.items {
				h := hash(item)
				fmt.Fprintf(&b, "t%d:%s", len(h), h)
			}
			return b.String()
		}
	}
	return "" // interp.key lets nothing else come here
}

// integer gives an int64 where n fits.
func integer(n *big.Int) value {
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}

// typeName is Python's name of a value's type.
func typeName(v value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case text:
		return "str"
	case *list:
		return [...]string{"list", "tuple", "range", "dict_items", "generator"}[v.kind]
	case *dict:
		return "dict"
	case *namespace:
		return "Namespace"
	case *loop:
		return "LoopContext"
	case undefined:
		return "Undefined"
	}
	return "function"
}

// truth is Python's.
func truth(v value) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case text:
		return v.s != ""
	case *list:
		return v.kind == kindGenerator || len(v.items) > 0
	case *dict:
		return len(v.keys) > 0
	}
	return true
}

// number widens bools, integers and floats to a float64.
func number(v value) (float64, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int64:
		return float64(v), true
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f, true
	case float64:
		return v, true
	}
	return 0, false
}

// whole gives bools and integers as int64.
func whole(v value) (int64, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int64:
		return v, true
	}
	return 0, false
}

// equal is Python's ==.
func (ev *interp) equal(a, b value) bool {
	defer ev.deeper()()
	ev.spend(1)
	if x, ok := number(a); ok {
		y, ok := number(b)
		i, aInt := whole(a)
		j, bInt := whole(b)
		if aInt && bInt {
			return i == j
		}
		if p, isBig := a.(*big.Int); isBig {
			if q, both := b.(*big.Int); both {
				return p.Cmp(q) == 0
			}
		}
		return ok && x == y
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case text:
		b, ok := b.(text)
		if ok && len(a.s) == len(b.s) {
			ev.scan(len(a.s))
		}
		return ok && a.s == b.s
	case *list:
		b, ok := b.(*list)
		return ok && (a == b || a.kind == b.kind && a.kind <= kindRange && ev.equalItems(a.items, b.items))
	case *dict:
		b, ok := b.(*dict)
		return ok && ev.equalDicts(a, b)
	case undefined:
		_, ok := b.(undefined)
		return ok
	case *namespace, *callable, *loop:
		return a == b
	}
	return false
}

func (ev *interp) equalItems(a, b []value) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !ev.equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func (ev *interp) equalDicts(a, b *dict) bool {
	if len(a.keys) != len(b.keys) {
		return false
	}
	for i, k := range a.keys {
		v, ok := b.get(k)
		if !ok || !ev.equal(a.values[i], v) {
			return false
		}
	}
	return true
}

// less is Python's <, for two numbers, strings or lists of them.
func (ev *interp) less(a, b value) bool {
	defer ev.deeper()()
	ev.spend(1)
	if i, ok := whole(a); ok {
		if j, ok := whole(b); ok {
			return i < j
		}
	}
	if x, ok := number(a); ok {
		if y, ok := number(b); ok {
			return x < y
		}
	}
	if u, ok := a.(undefined); ok {
		u.fail()
	}
	if u, ok := b.(undefined); ok {
		u.fail()
	}
	if x, ok := a.(text); ok {
		if y, ok := b.(text); ok {
			ev.scan(min(len(x.s), len(y.s)))
			return x.s < y.s // the order of UTF-8 is that of code points
		}
	}
	if x, ok := a.(*list); ok {
		if y, ok := b.(*list); ok && x.kind == y.kind && x.kind <= kindTuple {
			for i := 0; i < min(len(x.items), len(y.items)); i++ {
				if !ev.equal(x.items[i], y.items[i]) {
					return ev.less(x.items[i], y.items[i])
				}
			}
			return len(x.items) < len(y.items)
		}
	}
	fail("'<' not supported between instances of '%s' and '%s'", typeName(a), typeName(b))
	return false
}

// contains is Python's: item in box.
func (ev *interp) contains(box, item value) bool {
	switch box := box.(type) {
	case text:
		sub, ok := item.(text)
		if !ok {
			if u, ok := item.(undefined); ok {
				u.fail()
			}
			fail("'in <string>' requires string as left operand, not %s", typeName(item))
		}
		ev.scan(len(box.s))
		return strings.Contains(box.s, sub.s)
	case *dict:
		_, ok := box.get(ev.key(item))
		return ok
	}
	for _, v := range ev.items(box) {
		if ev.equal(v, item) {
			return true
		}
	}
	return false
}

// items gives what iterating over v gives.
func (ev *interp) items(v value) []value {
	switch v := v.(type) {
	case text:
		ev.make(v.length(), 64)
		return v.chars()
	case *list:
		if v.kind == kindGenerator {
			if v.spent {
				return nil
			}
			v.spent = true
		}
		return v.items
	case *dict:
		return v.keys
	case undefined:
		return nil
	}
	fail("'%s' object is not iterable", typeName(v))
	return nil
}

// length is Python's len.
func length(v value) int {
	switch v := v.(type) {
	case text:
		return v.length()
	case *list:
		if v.kind != kindGenerator {
			return len(v.items)
		}
	case *dict:
		return len(v.keys)
	case undefined:
		return 0
	case *loop:
		return v.length()
	}
	fail("object of type '%s' has no len()", typeName(v))
	return 0
}
