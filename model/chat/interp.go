package chat

import (
	"fmt"
	"time"
)

// The bounds of one rendering, far above what templates need: they take some 10^2 steps a message. Steps and memory grow
// with the input. Memory counts what is made, freed or not.
const (
	maxSteps     = 1_000_000
	messageSteps = 10_000
	valueSteps   = 100
	maxMemory    = 128 << 20
	maxNested    = 1500 // nodes of the syntax tree under evaluation, calls included
)

// interp runs a template. It fails by panic; Render catches.
type interp struct {
	root   *scope
	out    *builder
	now    time.Time
	line   int
	steps  int
	memory int
	depth  int
}

// scope holds the variables of a block. Blocks see those around them as they are when they look.
type scope struct {
	vars   map[string]value
	parent *scope
}

func (s *scope) inner() *scope { return &scope{map[string]value{}, s} }

func (s *scope) find(name string) (value, bool) {
	for ; s != nil; s = s.parent {
		if v, ok := s.vars[name]; ok {
			return v, true
		}
	}
	return nil, false
}

func newInterp(in Input, vars *scope) *interp {
	ev := &interp{out: &builder{}, now: in.Now, line: 1, steps: maxSteps, memory: maxMemory}
	ev.steps += messageSteps * len(in.Messages)
	for _, v := range vars.vars {
		values, bytes := weigh(v)
		ev.steps += valueSteps*values + bytes
		ev.memory += 64 * bytes
	}
	ev.root = vars.inner()
	return ev
}

// weigh counts the values and the bytes of strings within v, which is part of the input and so a tree.
func weigh(v value) (values, bytes int) {
	parts := []value{}
	switch v := v.(type) {
	case text:
		return 1, len(v.s)
	case *list:
		parts = v.items
	case *dict:
		parts = append(append(parts, v.keys...), v.values...)
	}
	for _, part := range parts {
		n, b := weigh(part)
		values, bytes = values+n, bytes+b
	}
	return values + 1, bytes
}

// spend counts n steps.
func (ev *interp) spend(n int) {
	if ev.steps -= n; ev.steps < 0 {
		fail("%w: too many steps", ErrLimit)
	}
}

// scan counts the steps of going through n bytes.
func (ev *interp) scan(n int) { ev.spend(n>>8 + 1) }

// make counts the memory of n things of the given size, before they are made where n comes from the template.
func (ev *interp) make(n, size int) {
	if n > ev.memory/size {
		fail("%w: out of memory for text and lists", ErrLimit)
	}
	ev.memory -= n * size
	ev.spend(n*size>>8 + 1)
}

// made counts the memory of a new string, or of one to be copied.
func (ev *interp) made(t text) text {
	ev.make(len(t.s)+16*len(t.runs), 1)
	return t
}

// deeper counts a level of recursion; leave it with the function it returns.
func (ev *interp) deeper() func() {
	if ev.depth++; ev.depth > maxNested {
		fail("%w: nested more than %d deep", ErrLimit, maxNested)
	}
	return func() { ev.depth-- }
}

// signal tells how a list of statements ended.
type signal uint8

const (
	goOn signal = iota
	breakLoop
	continueLoop
)

func (ev *interp) run(body []stmt, sc *scope) signal {
	defer ev.deeper()()
	for _, s := range body {
		if sig := ev.exec(s, sc); sig != goOn {
			return sig
		}
	}
	return goOn
}

func (ev *interp) exec(s stmt, sc *scope) signal {
	ev.spend(1)
	switch s := s.(type) {
	case *dataStmt:
		ev.write(written(s.s))
	case *outputStmt:
		ev.write(ev.str(ev.eval(s.of, sc)))
	case *ifStmt:
		for i, t := range s.tests {
			if truth(ev.eval(t, sc)) {
				return ev.run(s.bodies[i], sc)
			}
		}
		return ev.run(s.other, sc)
	case *forStmt:
		ev.loop(s, sc)
	case *setStmt:
		ev.assign(s.target, ev.eval(s.to, sc), sc)
	case *captureStmt:
		return ev.captured(s, sc)
	case *withStmt:
		in := sc.inner()
		for i, t := range s.targets {
			ev.assign(t, ev.eval(s.values[i], sc), in)
		}
		return ev.run(s.body, in)
	case *scopeStmt:
		return ev.run(s.body, sc.inner())
	case *macroStmt:
		sc.vars[s.name] = ev.macro(s, sc)
	case *callStmt:
		ev.line = s.line
		fn, a := ev.prepare(s.call, sc)
		a.names, a.named = append(a.names, "caller"), append(a.named, ev.macro(s.macro, sc))
		ev.write(ev.str(ev.call(fn, a)))
	case *loopControl:
		if s.stop {
			return breakLoop
		}
		return continueLoop
	}
	return goOn
}

func (ev *interp) write(t text) {
	ev.made(t)
	ev.out.add(t)
}

// capture runs f and gives what it wrote.
func (ev *interp) capture(f func()) text {
	out := ev.out
	ev.out = &builder{}
	f()
	t := ev.out.text()
	ev.out = out
	return t
}

func (ev *interp) captured(s *captureStmt, sc *scope) (sig signal) {
	var v value = ev.capture(func() { sig = ev.run(s.body, sc.inner()) })
	if sig != goOn {
		return sig
	}
	if s.filters != nil {
		ev.line = s.line
		v = ev.eval(s.filters(v), sc)
	}
	if s.target == nil {
		ev.write(ev.str(v))
		return goOn
	}
	ev.assign(s.target, v, sc)
	return goOn
}

// assign binds a target: a name, a tuple of targets, or an attribute of a namespace.
func (ev *interp) assign(target expr, v value, sc *scope) {
	ev.line = target.at()
	switch t := target.(type) {
	case *name:
		sc.vars[t.name] = v
	case *nsRef:
		found, _ := sc.find(t.ns)
		ns, ok := found.(*namespace)
		if !ok {
			fail("cannot assign attribute on non-namespace object '%s'", t.ns)
		}
		ns.set(t.attr, v)
	case *sequence:
		items := ev.items(v)
		if len(items) != len(t.items) {
			fail("cannot unpack %d values into %d", len(items), len(t.items))
		}
		for i, item := range t.items {
			ev.assign(item, items[i], sc)
		}
	}
}

func (ns *namespace) set(attr string, v value) {
	if attr[:min(1, len(attr))] == "_" {
		fail("chat templates cannot store underscore-prefixed attributes on a namespace, but got '%s'", attr)
	}
	ns.attrs[attr] = v
}

// macro makes the function of a macro or call block. Parameters and defaults live in its own scope.
func (ev *interp) macro(m *macroStmt, def *scope) *callable {
	return &callable{m.name, func(ev *interp, a *args) value {
		sc := def.inner()
		vars := sc.vars
		first := len(m.params) - len(m.defaults)
		extra, used := m.bind(a, vars)
		for i, p := range m.params {
			if _, ok := vars[p]; ok {
				continue
			}
			vars[p] = undefined{fmt.Sprintf("parameter '%s' was not provided", p)}
			if i >= first {
				vars[p] = ev.eval(m.defaults[i-first], sc)
			}
		}
		rest := newDict()
		for i, n := range a.names {
			switch {
			case used[i]:
			case n == "caller":
				vars[n] = a.named[i]
			case !m.kwargs:
				fail("macro '%s' takes no keyword argument '%s'", m.name, n)
			default:
				rest.set(given(n), a.named[i])
			}
		}
		vars["varargs"], vars["kwargs"] = &list{kind: kindTuple, items: extra}, rest
		return ev.made(ev.capture(func() { ev.run(m.body, sc) }))
	}}
}

// bind puts arguments into the variables of a macro's parameters. It gives the positional ones left over, and which
// keywords it used.
func (m *macroStmt) bind(a *args, vars map[string]value) (extra []value, used map[int]bool) {
	used = map[int]bool{}
	for i, v := range a.pos {
		if i < len(m.params) {
			vars[m.params[i]] = v
		}
	}
	if len(a.pos) > len(m.params) {
		if !m.varargs {
			fail("macro '%s' takes not more than %d argument(s)", m.name, len(m.params))
		}
		extra = a.pos[len(m.params):]
	}
	for i, n := range a.names {
		for _, p := range m.params[min(len(a.pos), len(m.params)):] {
			if p == n {
				vars[p], used[i] = a.named[i], true
			}
		}
	}
	return extra, used
}
