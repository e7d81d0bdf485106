package chat

import (
	"slices"
	"strconv"
	"strings"
)

// sequenceFilters are the filters over sequences.
func sequenceFilters() map[string]filterFunc {
	return map[string]filterFunc{
		"attr":       attrFilter,
		"count":      lengthFilter,
		"dictsort":   dictSort,
		"first":      first,
		"items":      itemsFilter,
		"join":       joinFilter,
		"last":       last,
		"length":     lengthFilter,
		"list":       listFilter,
		"map":        mapFilter,
		"max":        extreme("max", func(ev *interp, a, b value) bool { return ev.less(b, a) }),
		"min":        extreme("min", func(ev *interp, a, b value) bool { return ev.less(a, b) }),
		"reject":     selector("reject", false, false),
		"rejectattr": selector("rejectattr", true, false),
		"reverse":    reverse,
		"select":     selector("select", false, true),
		"selectattr": selector("selectattr", true, true),
		"sort":       sortFilter,
		"sum":        sum,
		"unique":     unique,
	}
}

// lookup follows a path such as function.name or items.0.
func (ev *interp) lookup(v, path value) value {
	switch path := path.(type) {
	case absent, nil:
		return v
	case text:
		for _, part := range strings.Split(path.s, ".") {
			var key value = given(part)
			if n, err := strconv.ParseInt(part, 10, 64); err == nil && n >= 0 {
				key = n
			}
			v = ev.item(v, key)
		}
		return v
	}
	return ev.item(v, path)
}

// folded gives strings in lower case, so that order ignores it.
func folded(v value, caseSensitive bool) value {
	if t, ok := v.(text); ok && !caseSensitive {
		return given(strings.ToLower(t.s))
	}
	return v
}

func generator(items []value) value { return &list{kind: kindGenerator, items: items} }

func attrFilter(ev *interp, v value, a *args) value {
	n := textArg("attr", a.bind("attr", "name")[0]).s
	if m, ok := ev.member(v, n); ok {
		return m
	}
	return missingIn(v, n)
}

func lengthFilter(_ *interp, v value, a *args) value {
	a.bind("length")
	return int64(length(v))
}

func first(ev *interp, v value, a *args) value {
	a.bind("first")
	if items := ev.items(v); len(items) > 0 {
		return items[0]
	}
	return undefined{"no first item, sequence was empty"}
}

func last(ev *interp, v value, a *args) value {
	a.bind("last")
	if l, ok := v.(*list); ok && l.kind == kindGenerator {
		fail("'generator' object is not reversible")
	}
	if items := ev.items(v); len(items) > 0 {
		return items[len(items)-1]
	}
	return undefined{"no last item, sequence was empty"}
}

func listFilter(ev *interp, v value, a *args) value {
	a.bind("list")
	return &list{items: ev.items(v)}
}

func itemsFilter(ev *interp, v value, a *args) value {
	a.bind("items")
	if _, ok := v.(undefined); ok {
		return generator(nil)
	}
	d, ok := v.(*dict)
	if !ok {
		fail("can only get item pairs from a mapping")
	}
	return generator(ev.pairs(d))
}

func joinFilter(ev *interp, v value, a *args) value {
	p := a.bind("join", "d", "attribute")
	sep := text{}
	if !isAbsent(p[0]) {
		sep = ev.str(p[0])
	}
	items := ev.items(v)
	if !isAbsent(p[1]) {
		ev.make(len(items), 16)
		items = slices.Clone(items)
		for i := range items {
			items[i] = ev.lookup(items[i], p[1])
		}
	}
	return ev.join(sep, items)
}

func reverse(ev *interp, v value, a *args) value {
	a.bind("reverse")
	if t, ok := v.(text); ok {
		ev.make(len(t.s), 64)
		chars := t.chars()
		slices.Reverse(chars)
		return ev.join(text{}, chars)
	}
	items := ev.items(v)
	ev.make(len(items), 16)
	items = slices.Clone(items)
	slices.Reverse(items)
	return generator(items)
}

// mapFilter applies a filter, or with attribute= takes an attribute of each item.
func mapFilter(ev *interp, v value, a *args) value {
	if !truth(v) {
		return generator(nil) // none, too
	}
	items := slices.Clone(ev.items(v))
	ev.make(len(items), 16)
	if len(a.pos) == 0 {
		p := a.bind("map", "attribute", "default")
		if isAbsent(p[0]) {
			fail("map requires a filter argument")
		}
		for i := range items {
			items[i] = ev.lookup(items[i], p[0])
			if _, ok := items[i].(undefined); ok && !isAbsent(p[1]) && p[1] != nil {
				items[i] = p[1]
			}
		}
		return generator(items)
	}
	name := textArg("map", a.pos[0]).s
	rest := &args{a.pos[1:], a.names, a.named}
	for i := range items {
		ev.spend(1)
		items[i] = ev.filter(name, items[i], rest)
	}
	return generator(items)
}

// selector makes select and its kin: which items pass a test, or have an attribute that does.
func selector(what string, byAttr, keep bool) filterFunc {
	return func(ev *interp, v value, a *args) value {
		pos := a.pos
		var path value = absent{}
		if byAttr {
			if len(pos) == 0 {
				fail("%s: missing parameter for attribute name", what)
			}
			path, pos = pos[0], pos[1:]
		}
		holds := truth
		if len(pos) > 0 {
			name, rest := textArg(what, pos[0]).s, &args{pos[1:], a.names, a.named}
			holds = func(v value) bool { return ev.test(name, v, rest) }
		}
		var kept []value
		if !truth(v) {
			return generator(nil) // none, too
		}
		for _, item := range ev.items(v) {
			ev.spend(1)
			if holds(ev.lookup(item, path)) == keep {
				ev.make(1, 16)
				kept = append(kept, item)
			}
		}
		return generator(kept)
	}
}

// keyed is an item with what it is ordered by.
type keyed struct{ key, item value }

// order sorts items by an attribute. Comma-separated attributes order by the first, then the next.
func (ev *interp) order(items []value, path value, caseSensitive, down bool) []value {
	ev.make(len(items), 64)
	paths := []value{path}
	if t, ok := path.(text); ok {
		paths = nil
		for _, p := range strings.Split(t.s, ",") {
			paths = append(paths, given(p))
		}
	}
	pairs := make([]keyed, len(items))
	for i, item := range items {
		keys := make([]value, len(paths))
		for j, p := range paths {
			keys[j] = folded(ev.lookup(item, p), caseSensitive)
		}
		pairs[i] = keyed{&list{items: keys}, item}
	}
	slices.SortStableFunc(pairs, func(a, b keyed) int {
		sign := 1
		if down {
			sign = -1
		}
		switch {
		case ev.less(a.key, b.key):
			return -sign
		case ev.less(b.key, a.key):
			return sign
		}
		return 0
	})
	sorted := make([]value, len(pairs))
	for i, p := range pairs {
		sorted[i] = p.item
	}
	return sorted
}

func sortFilter(ev *interp, v value, a *args) value {
	p := a.bind("sort", "reverse", "case_sensitive", "attribute")
	return &list{items: ev.order(ev.items(v), p[2], boolArg(p[1], false), boolArg(p[0], false))}
}

func dictSort(ev *interp, v value, a *args) value {
	p := a.bind("dictsort", "case_sensitive", "by", "reverse")
	d, ok := v.(*dict)
	if !ok {
		fail("dictsort: expected dict, got %s", typeName(v))
	}
	by := textArg("dictsort", p[1], written("key")).s
	at, ok := map[string]int64{"key": 0, "value": 1}[by]
	if !ok {
		fail("dictsort: you can only sort by either 'key' or 'value'")
	}
	return &list{items: ev.order(ev.pairs(d), at, boolArg(p[0], false), boolArg(p[2], false))}
}

func unique(ev *interp, v value, a *args) value {
	p := a.bind("unique", "case_sensitive", "attribute")
	seen := newDict()
	for _, item := range ev.items(v) {
		key := ev.key(folded(ev.lookup(item, p[1]), boolArg(p[0], false)))
		ev.make(1, 64)
		if _, ok := seen.get(key); !ok {
			seen.set(key, item)
		}
	}
	return generator(seen.values)
}

// extreme makes min and max: the first item that no other goes before.
func extreme(what string, before func(ev *interp, a, b value) bool) filterFunc {
	return func(ev *interp, v value, a *args) value {
		p := a.bind(what, "case_sensitive", "attribute")
		var best, key value = undefined{"no aggregated item, sequence was empty"}, nil
		for i, item := range ev.items(v) {
			k := folded(ev.lookup(item, p[1]), boolArg(p[0], false))
			if i == 0 || before(ev, k, key) {
				best, key = item, k
			}
		}
		return best
	}
}

func sum(ev *interp, v value, a *args) value {
	p := a.bind("sum", "attribute", "start")
	total := p[1]
	if isAbsent(total) {
		total = int64(0)
	}
	for _, item := range ev.items(v) {
		total = ev.arithmetic("+", total, ev.lookup(item, p[0]))
	}
	return total
}
