package chat

import (
	"math"
	"math/big"
)

func (ev *interp) binary(e *binary, sc *scope) value {
	left := ev.eval(e.left, sc)
	switch e.op {
	case "and":
		if !truth(left) {
			return left
		}
		return ev.eval(e.right, sc)
	case "or":
		if truth(left) {
			return left
		}
		return ev.eval(e.right, sc)
	}
	right := ev.eval(e.right, sc)
	ev.line = e.line
	return ev.arithmetic(e.op, left, right)
}

// arithmetic is Python's on numbers, and + * % on strings and lists.
func (ev *interp) arithmetic(op string, a, b value) value {
	for _, v := range []value{a, b} {
		if u, ok := v.(undefined); ok {
			if s, isText := a.(text); isText && op == "%" {
				return ev.percent(s, b)
			}
			u.fail()
		}
	}
	i, aInt := whole(a)
	j, bInt := whole(b)
	if aInt && bInt {
		return integers(op, i, j)
	}
	x, aNum := number(a)
	y, bNum := number(b)
	if aNum && bNum {
		return floats(op, x, y)
	}
	if v, ok := ev.sequences(op, a, b); ok {
		return v
	}
	fail("unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(a), typeName(b))
	return nil
}

// sequences handles + * % of strings, lists and tuples.
func (ev *interp) sequences(op string, a, b value) (value, bool) {
	if _, ok := whole(a); ok && op == "*" {
		a, b = b, a
	}
	switch a := a.(type) {
	case text:
		if b, ok := b.(text); ok && op == "+" {
			ev.made(a)
			ev.made(b)
			return a.plus(b), true
		}
		if n, ok := whole(b); ok && op == "*" {
			return ev.repeat(a, n), true
		}
		if op == "%" {
			return ev.percent(a, b), true
		}
	case *list:
		if a.kind > kindTuple {
			return nil, false
		}
		if b, ok := b.(*list); ok && op == "+" && a.kind == b.kind {
			ev.make(len(a.items)+len(b.items), 16)
			return &list{kind: a.kind, items: append(a.items[:len(a.items):len(a.items)], b.items...)}, true
		}
		if n, ok := whole(b); ok && op == "*" {
			n = max(n, 0)
			ev.repeats(n, 16*len(a.items)+1)
			l := &list{kind: a.kind}
			for ; n > 0; n-- {
				l.items = append(l.items, a.items...)
			}
			return l, true
		}
	}
	return nil, false
}

func (ev *interp) repeat(t text, n int64) text {
	n = max(n, 0)
	ev.repeats(n, len(t.s)+16*len(t.runs)+1)
	var b builder
	for ; n > 0; n-- {
		b.add(t)
	}
	return b.text()
}

// repeats counts the memory of n copies of something.
func (ev *interp) repeats(n int64, size int) {
	if n > maxMemory {
		n = maxMemory + 1
	}
	ev.make(int(n), size)
}

// integers is arithmetic on int64. What does not fit fails: templates count messages.
func integers(op string, i, j int64) value {
	a, b := big.NewInt(i), big.NewInt(j)
	r := new(big.Int)
	switch op {
	case "+":
		r.Add(a, b)
	case "-":
		r.Sub(a, b)
	case "*":
		r.Mul(a, b)
	case "/", "//", "%":
		if j == 0 {
			fail("division by zero")
		}
		if op == "/" {
			return float64(i) / float64(j)
		}
		m := new(big.Int)
		r.DivMod(a, b, m) // Euclidean; Python rounds down
		if j < 0 && m.Sign() != 0 {
			r.Add(r, big.NewInt(-1))
			m.Add(m, b)
		}
		if op == "%" {
			r = m
		}
	case "**":
		if j < 0 {
			if i == 0 {
				fail("0.0 cannot be raised to a negative power")
			}
			return math.Pow(float64(i), float64(j))
		}
		if j > 63 && (i > 1 || i < -1) {
			fail("integer too large")
		}
		r.Exp(a, b, nil)
	}
	if !r.IsInt64() {
		fail("integer too large")
	}
	return r.Int64()
}

func floats(op string, x, y float64) value {
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "**":
		return math.Pow(x, y)
	}
	if y == 0 {
		fail("float division by zero")
	}
	switch op {
	case "/":
		return x / y
	case "//":
		return math.Floor(x / y)
	}
	m := math.Mod(x, y)
	if m != 0 && (m < 0) != (y < 0) {
		m += y
	}
	return m
}
