package chat

// loop is the variable of that name in a for loop. What passes the loop's filter is found as the loop goes on, with one
// item of lookahead where the template asks whether this is the last.
type loop struct {
	source  func() (value, bool)
	ahead   []value // found and not yet gone through
	ended   bool    // the source has no more
	index   int64   // of the current item, from 0
	prev    value
	cur     value
	changed value // what changed() saw last; absent before
}

// loop runs a for statement.
func (ev *interp) loop(s *forStmt, sc *scope) {
	over := ev.eval(s.over, sc)
	ev.line = s.line
	items := ev.items(over)
	at := 0
	l := &loop{index: -1, cur: undefined{"there is no previous item"}, changed: absent{}}
	l.source = func() (value, bool) {
		for at < len(items) {
			v := items[at]
			at++
			if s.where == nil || ev.passes(s, v, sc) {
				return v, true
			}
		}
		return nil, false
	}
	for l.next() {
		ev.spend(1)
		in := sc.inner()
		in.vars["loop"] = l
		ev.assign(s.target, l.cur, in)
		if ev.run(s.body, in) == breakLoop {
			break
		}
	}
	if l.index < 0 {
		ev.run(s.other, sc.inner())
	}
}

func (ev *interp) passes(s *forStmt, v value, sc *scope) bool {
	ev.spend(1)
	in := sc.inner()
	in.vars["loop"] = undefined{"'loop' is undefined: the filter of a loop cannot see it"}
	ev.assign(s.target, v, in)
	return truth(ev.eval(s.where, in))
}

// next moves to the next item.
func (l *loop) next() bool {
	if !l.peek() {
		return false
	}
	l.prev, l.cur, l.ahead = l.cur, l.ahead[0], l.ahead[1:]
	l.index++
	return true
}

// peek finds the next item, if there is one.
func (l *loop) peek() bool {
	if len(l.ahead) == 0 && !l.ended {
		v, ok := l.source()
		if l.ended = !ok; ok {
			l.ahead = append(l.ahead, v)
		}
	}
	return len(l.ahead) > 0
}

// length finds all items.
func (l *loop) length() int {
	for !l.ended {
		v, ok := l.source()
		if l.ended = !ok; ok {
			l.ahead = append(l.ahead, v)
		}
	}
	return int(l.index) + 1 + len(l.ahead)
}

func (l *loop) attr(name string) (value, bool) {
	switch name {
	case "index":
		return l.index + 1, true
	case "index0":
		return l.index, true
	case "revindex":
		return int64(l.length()) - l.index, true
	case "revindex0":
		return int64(l.length()) - l.index - 1, true
	case "first":
		return l.index == 0, true
	case "last":
		return !l.peek(), true
	case "length":
		return int64(l.length()), true
	case "depth":
		return int64(1), true // no loop is recursive
	case "depth0":
		return int64(0), true
	case "previtem":
		return l.prev, true
	case "nextitem":
		if l.peek() {
			return l.ahead[0], true
		}
		return undefined{"there is no next item"}, true
	case "cycle":
		return &callable{name, l.cycle}, true
	case "changed":
		return &callable{name, l.change}, true
	}
	return nil, false
}

func (l *loop) cycle(_ *interp, a *args) value {
	if len(a.pos) == 0 {
		fail("no items for cycling given")
	}
	return a.pos[l.index%int64(len(a.pos))]
}

// change tells whether its arguments differ from those of the last call.
func (l *loop) change(ev *interp, a *args) value {
	now := &list{kind: kindTuple, items: a.pos}
	same := false
	if before, ok := l.changed.(*list); ok {
		same = ev.equal(before, now)
	}
	l.changed = now
	return !same
}
