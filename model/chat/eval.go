package chat

import "math/big"

// args are the evaluated arguments of a call.
type args struct {
	pos   []value
	names []string
	named []value
}

func (ev *interp) eval(e expr, sc *scope) value {
	defer ev.deeper()()
	ev.spend(1)
	ev.line = e.at()
	switch e := e.(type) {
	case *constant:
		return e.v
	case *name:
		return ev.variable(e.name, sc)
	case *bound:
		return e.v
	case *getAttr:
		of := ev.eval(e.of, sc)
		ev.line = e.line
		return ev.attribute(of, e.name)
	case *getItem:
		of, key := ev.eval(e.of, sc), ev.eval(e.key, sc)
		ev.line = e.line
		return ev.item(of, key)
	case *getSlice:
		return ev.evalSlice(e, sc)
	case *call:
		fn, a := ev.prepare(e, sc)
		return ev.call(fn, a)
	case *filter:
		of, a := ev.eval(e.of, sc), ev.arguments(e.args, sc)
		ev.line = e.line
		return ev.filter(e.name, of, a)
	case *test:
		of, a := ev.eval(e.of, sc), ev.arguments(e.args, sc)
		ev.line = e.line
		return ev.test(e.name, of, a)
	case *conditional:
		return ev.conditional(e, sc)
	}
	return ev.operation(e, sc)
}

// collection makes a list, tuple or dict.
func (ev *interp) collection(e expr, sc *scope) value {
	switch e := e.(type) {
	case *sequence:
		ev.make(len(e.items), 16)
		l := &list{kind: e.kind, items: make([]value, len(e.items))}
		for i, item := range e.items {
			l.items[i] = ev.eval(item, sc)
		}
		return l
	case *mapping:
		ev.make(len(e.keys), 64)
		d := newDict()
		for i, k := range e.keys {
			d.set(ev.key(ev.eval(k, sc)), ev.eval(e.values[i], sc))
		}
		return d
	}
	fail("cannot evaluate this") // a target where a value should be; the parser makes none
	return nil
}

func (ev *interp) operation(e expr, sc *scope) value {
	switch e := e.(type) {
	case *unary:
		return ev.unary(e, sc)
	case *binary:
		return ev.binary(e, sc)
	case *compare:
		return ev.compare(e, sc)
	case *concat:
		var b builder
		for _, part := range e.parts {
			t := ev.str(ev.eval(part, sc))
			ev.made(t)
			b.add(t)
		}
		return b.text()
	}
	return ev.collection(e, sc)
}

func (ev *interp) variable(name string, sc *scope) value {
	if v, ok := sc.find(name); ok {
		return v
	}
	if g, ok := globals[name]; ok {
		return g
	}
	return undefined{"'" + name + "' is undefined"}
}

func (ev *interp) conditional(e *conditional, sc *scope) value {
	if truth(ev.eval(e.test, sc)) {
		return ev.eval(e.yes, sc)
	}
	if e.no == nil {
		return undefined{"the inline if-expression evaluated to false and no else section was defined"}
	}
	return ev.eval(e.no, sc)
}

// prepare evaluates what is called and its arguments.
func (ev *interp) prepare(e *call, sc *scope) (value, *args) {
	fn, a := ev.eval(e.fn, sc), ev.arguments(e.args, sc)
	ev.line = e.line
	return fn, a
}

func (ev *interp) call(fn value, a *args) value {
	defer ev.deeper()()
	switch fn := fn.(type) {
	case *callable:
		line := ev.line
		v := fn.fn(ev, a)
		ev.line = line
		return v
	case undefined:
		fn.fail()
	}
	fail("'%s' object is not callable", typeName(fn))
	return nil
}

func (ev *interp) arguments(e arguments, sc *scope) *args {
	a := &args{}
	for _, p := range e.pos {
		a.pos = append(a.pos, ev.eval(p, sc))
	}
	if e.star != nil {
		extra := ev.items(ev.eval(e.star, sc))
		ev.make(len(extra), 16)
		a.pos = append(a.pos, extra...)
	}
	for i, n := range e.names {
		a.names, a.named = append(a.names, n), append(a.named, ev.eval(e.named[i], sc))
	}
	if e.dict == nil {
		return a
	}
	d, ok := ev.eval(e.dict, sc).(*dict)
	if !ok {
		fail("the argument after ** must be a mapping")
	}
	ev.make(len(d.keys), 32)
	for i, k := range d.keys {
		n, ok := k.(text)
		if !ok {
			fail("keywords must be strings")
		}
		a.names, a.named = append(a.names, n.s), append(a.named, d.values[i])
	}
	return a
}

func (ev *interp) unary(e *unary, sc *scope) value {
	v := ev.eval(e.of, sc)
	ev.line = e.line
	if e.op == "not" {
		return !truth(v)
	}
	if n, ok := whole(v); ok && n != -1<<63 {
		if e.op == "-" {
			return -n
		}
		return n
	}
	switch v := v.(type) {
	case float64:
		if e.op == "-" {
			return -v
		}
		return v
	case *big.Int:
		if e.op == "-" {
			return integer(new(big.Int).Neg(v))
		}
		return v
	case undefined:
		v.fail()
	}
	fail("bad operand type for unary %s: '%s'", e.op, typeName(v))
	return nil
}

// compare evaluates a chain of comparisons; it stops at the first that does not hold.
func (ev *interp) compare(e *compare, sc *scope) value {
	left := ev.eval(e.first, sc)
	for i, op := range e.ops {
		right := ev.eval(e.rest[i], sc)
		ev.line = e.line
		if !ev.holds(op, left, right) {
			return false
		}
		left = right
	}
	return true
}

func (ev *interp) holds(op string, a, b value) bool {
	switch op {
	case "==":
		return ev.equal(a, b)
	case "!=":
		return !ev.equal(a, b)
	case "<":
		return ev.less(a, b)
	case ">":
		return ev.less(b, a)
	case "<=":
		return ev.less(a, b) || ev.equal(a, b)
	case ">=":
		return ev.less(b, a) || ev.equal(a, b)
	case "in":
		return ev.contains(b, a)
	}
	return !ev.contains(b, a)
}
