package chat

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// percent is Python's format % values, with the conversions s r d i u f e g x o c and %%.
func (ev *interp) percent(format text, values value) text {
	args := []value{values}
	if l, ok := values.(*list); ok && l.kind == kindTuple {
		args = l.items
	}
	var b builder
	at, used := 0, 0
	for {
		i := strings.IndexByte(format.s[at:], '%')
		if i < 0 {
			break
		}
		b.add(format.cut(at, at+i))
		spec, next := conversion(format.s, at+i+1)
		at = next
		if spec.verb == '%' {
			b.add(format.cut(next-1, next))
			continue
		}
		if used == len(args) {
			fail("not enough arguments for format string")
		}
		t := ev.convert(spec, args[used])
		used++
		ev.made(t)
		b.add(t)
	}
	_, isDict := values.(*dict)
	if used < len(args) && !isDict {
		fail("not all arguments converted during string formatting")
	}
	b.add(format.cut(at, len(format.s)))
	return ev.made(b.text())
}

// spec is one conversion of a format string.
type spec struct {
	flags            string
	width, precision int // precision is -1 where there is none
	verb             byte
}

// conversion reads what follows a percent sign at i, and gives where it ends.
func conversion(s string, i int) (spec, int) {
	c := spec{precision: -1}
	start := i
	for i < len(s) && strings.IndexByte("-+ 0#", s[i]) >= 0 {
		i++
	}
	c.flags = s[start:i]
	digits := func() int {
		start := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		n, err := strconv.Atoi("0" + s[start:i])
		if err != nil || n > 1000 {
			fail("format width too large")
		}
		return n
	}
	c.width = digits()
	if i < len(s) && s[i] == '.' {
		i++
		c.precision = digits()
	}
	if i == len(s) {
		fail("incomplete format")
	}
	c.verb = s[i]
	return c, i + 1
}

func (ev *interp) convert(c spec, v value) text {
	switch c.verb {
	case 's', 'r':
		t := ev.str(v)
		if c.verb == 'r' {
			var b strings.Builder
			ev.repr(&b, v)
			t = given(b.String())
		}
		if c.precision >= 0 {
			t = t.cut(0, t.offset(min(c.precision, t.length())))
		}
		pad := written(strings.Repeat(" ", max(0, c.width-t.length())))
		if strings.Contains(c.flags, "-") {
			return ev.join(text{}, []value{t, pad})
		}
		return ev.join(text{}, []value{pad, t})
	case 'd', 'i', 'u', 'x', 'X', 'o':
		verb := strings.NewReplacer("i", "d", "u", "d").Replace(string(c.verb))
		return written(fmt.Sprintf(c.layout()+verb, wholeOf(c, v)))
	case 'f', 'F', 'e', 'E', 'g', 'G':
		if c.precision < 0 {
			c.precision = 6
		}
		f, ok := number(v)
		if !ok {
			fail("must be real number, not %s", typeName(v))
		}
		return written(fmt.Sprintf(c.layout()+string(c.verb), f))
	}
	fail("unsupported format character '%c'", c.verb)
	return text{}
}

// layout is the head of the same conversion in Go.
func (c spec) layout() string {
	s := "%" + c.flags
	if c.width > 0 {
		s += strconv.Itoa(c.width)
	}
	if c.precision >= 0 {
		s += "." + strconv.Itoa(c.precision)
	}
	return s
}

func wholeOf(c spec, v value) any {
	if n, ok := whole(v); ok {
		return n
	}
	switch v := v.(type) {
	case *big.Int:
		return v
	case float64:
		if c.verb == 'd' || c.verb == 'i' || c.verb == 'u' {
			return integer(truncated(v))
		}
	case undefined:
		v.fail()
	}
	fail("%%%c format: a number is required, not %s", c.verb, typeName(v))
	return nil
}

// formatMethod is str.format with {}, {0} and {name}; conversions and format specifications are not supported.
func formatMethod(ev *interp, t text, a *args) value {
	var b builder
	auto := 0
	for at := 0; at < len(t.s); {
		i := strings.IndexAny(t.s[at:], "{}")
		if i < 0 {
			b.add(t.cut(at, len(t.s)))
			break
		}
		b.add(t.cut(at, at+i))
		at += i
		if strings.HasPrefix(t.s[at:], "{{") || strings.HasPrefix(t.s[at:], "}}") {
			b.add(t.cut(at, at+1))
			at += 2
			continue
		}
		end := strings.IndexByte(t.s[at:], '}')
		if t.s[at] == '}' || end < 0 {
			fail("format(): single brace in the format string")
		}
		v := ev.str(a.field(t.s[at+1:at+end], &auto))
		ev.made(v)
		b.add(v)
		at += end + 1
	}
	return ev.made(b.text())
}

// field gives what a replacement field refers to.
func (a *args) field(name string, auto *int) value {
	if name == "" {
		name = strconv.Itoa(*auto)
		*auto++
	}
	if i, err := strconv.Atoi(name); err == nil {
		if i < 0 || i >= len(a.pos) {
			fail("format(): replacement index %d out of range", i)
		}
		return a.pos[i]
	}
	for i, n := range a.names {
		if n == name {
			return a.named[i]
		}
	}
	fail("format(): unsupported or unknown field '{%s}'", name)
	return nil
}
