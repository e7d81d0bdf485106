package chat

import "slices"

// expression parses with a conditional: a if b else c.
func (p *parser) expression() expr {
	defer p.enter()()
	e := p.or()
	for p.isName("if") {
		line := p.next().line
		c := &conditional{node: node{line}, yes: e, test: p.or()}
		if p.skipName("else") {
			c.no = p.expression()
		}
		e = c
	}
	return e
}

func (p *parser) or() expr { return p.leftNames("or", p.and) }

func (p *parser) and() expr { return p.leftNames("and", p.not) }

// chain counts one more operator at the same level, for trees that grow to the left.
func (p *parser) chain(n int) {
	if n > maxDepth {
		fail("%w: more than %d operators in a row", ErrLimit, maxDepth)
	}
}

func (p *parser) leftNames(op string, operand func() expr) expr {
	e := operand()
	for n := 1; p.isName(op); n++ {
		p.chain(n)
		line := p.next().line
		e = &binary{node{line}, op, e, operand()}
	}
	return e
}

func (p *parser) leftOps(operand func() expr, ops ...string) expr {
	e := operand()
	for n := 1; p.cur().kind == tokOp && slices.Contains(ops, p.cur().s); n++ {
		p.chain(n)
		t := p.next()
		e = &binary{node{t.line}, t.s, e, operand()}
	}
	return e
}

func (p *parser) not() expr {
	if p.isName("not") {
		defer p.enter()()
		line := p.next().line
		return &unary{node{line}, "not", p.not()}
	}
	return p.comparison()
}

func (p *parser) comparison() expr {
	c := &compare{node: node{p.cur().line}, first: p.sum()}
	for {
		t := p.cur()
		switch {
		case t.kind == tokOp && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, t.s):
			p.next()
		case p.isName("in"):
			p.next()
		case p.isName("not") && p.tokens[p.i+1].kind == tokName && p.tokens[p.i+1].s == "in":
			p.next()
			p.next()
			t.s = "not in"
		default:
			if c.ops == nil {
				return c.first
			}
			return c
		}
		c.ops, c.rest = append(c.ops, t.s), append(c.rest, p.sum())
	}
}

func (p *parser) sum() expr { return p.leftOps(p.concatenation, "+", "-") }

func (p *parser) concatenation() expr {
	c := &concat{node{p.cur().line}, []expr{p.product()}}
	for p.skipOp("~") {
		c.parts = append(c.parts, p.product())
	}
	if len(c.parts) == 1 {
		return c.parts[0]
	}
	return c
}

func (p *parser) product() expr { return p.leftOps(p.power, "*", "/", "//", "%") }

func (p *parser) power() expr { return p.leftOps(func() expr { return p.unary(true) }, "**") }

func (p *parser) unary(filters bool) expr {
	var e expr
	if t := p.cur(); p.isOp("-") || p.isOp("+") {
		defer p.enter()()
		p.next()
		e = &unary{node{t.line}, t.s, p.unary(false)}
	} else {
		e = p.primary(false)
	}
	e = p.postfix(e)
	if filters {
		e = p.filters(e)
	}
	return e
}

// primary parses a literal, a name or something in brackets; for an assignment also ns.attr.
func (p *parser) primary(namespace bool) expr {
	t := p.cur()
	n := node{t.line}
	switch t.kind {
	case tokName:
		p.next()
		return p.nameOrConstant(n, t.s, namespace)
	case tokString:
		s := ""
		for p.cur().kind == tokString {
			s += p.next().s
		}
		return &constant{n, written(s)}
	case tokInt, tokFloat:
		return &constant{n, p.next().number}
	case tokOp:
		switch t.s {
		case "(":
			p.next()
			e := p.tuple(p.expression, true)
			p.wantOp(")")
			return e
		case "[":
			return p.list()
		case "{":
			return p.dict()
		}
	}
	p.unexpected("an expression")
	return nil
}

func (p *parser) nameOrConstant(n node, s string, namespace bool) expr {
	switch s {
	case "true", "True":
		return &constant{n, true}
	case "false", "False":
		return &constant{n, false}
	case "none", "None":
		return &constant{n, nil}
	}
	if namespace && p.skipOp(".") {
		return &nsRef{n, s, p.wantName()}
	}
	for _, m := range p.mentions {
		m[s] = true
	}
	return &name{n, s}
}

// tuple parses items with commas between; a single item without comma is itself.
func (p *parser) tuple(item func() expr, parentheses bool, end ...string) expr {
	t := &sequence{node: node{p.cur().line}, kind: kindTuple}
	comma := false
	for !p.tupleEnds(end) {
		t.items = append(t.items, item())
		if !p.skipOp(",") {
			break
		}
		comma = true
	}
	if comma {
		return t
	}
	if len(t.items) == 1 {
		return t.items[0]
	}
	if !parentheses {
		p.unexpected("an expression")
	}
	return t
}

func (p *parser) tupleEnds(end []string) bool {
	t := p.cur()
	return t.kind == tokClose || t.kind == tokBlockClose || t.kind == tokEOF || p.isOp(")") || t.kind == tokName && slices.Contains(end, t.s)
}

// target parses what is assigned to: a name, a tuple of them, or an attribute of a namespace.
func (p *parser) target(namespace bool, end ...string) expr {
	e := p.tuple(func() expr { return p.primary(namespace) }, false, end...)
	p.assignable(e)
	return e
}

func (p *parser) assignable(e expr) {
	switch e := e.(type) {
	case *name, *nsRef:
		return
	case *sequence:
		for _, item := range e.items {
			p.assignable(item)
		}
		return
	}
	fail("can't assign to this")
}

func (p *parser) list() expr {
	defer p.enter()()
	l := &sequence{node: node{p.next().line}, kind: kindList}
	for !p.isOp("]") {
		if len(l.items) > 0 {
			p.wantOp(",")
			if p.isOp("]") {
				break
			}
		}
		l.items = append(l.items, p.expression())
	}
	p.wantOp("]")
	return l
}

func (p *parser) dict() expr {
	defer p.enter()()
	d := &mapping{node: node{p.next().line}}
	for !p.isOp("}") {
		if len(d.keys) > 0 {
			p.wantOp(",")
			if p.isOp("}") {
				break
			}
		}
		d.keys = append(d.keys, p.expression())
		p.wantOp(":")
		d.values = append(d.values, p.expression())
	}
	p.wantOp("}")
	return d
}

// postfix parses attributes, subscripts and calls.
func (p *parser) postfix(e expr) expr {
	for n := 1; ; n++ {
		p.chain(n)
		switch {
		case p.isOp("."):
			e = p.attribute(e)
		case p.isOp("["):
			e = p.subscript(e)
		case p.isOp("("):
			e = p.call(e)
		default:
			return e
		}
	}
}

func (p *parser) attribute(of expr) expr {
	line := p.next().line
	switch t := p.next(); t.kind {
	case tokName:
		return &getAttr{node{line}, of, t.s}
	case tokInt:
		return &getItem{node{line}, of, &constant{node{line}, t.number}}
	}
	fail("expected name or number after '.'")
	return nil
}

func (p *parser) subscript(of expr) expr {
	n := node{p.next().line}
	var lo, hi, step expr
	if !p.isOp(":") {
		lo = p.expression()
		if p.isOp(",") {
			lo = p.indices(n, lo)
		}
		if p.skipOp("]") {
			return &getItem{n, of, lo}
		}
	}
	p.wantOp(":")
	if !p.isOp(":") && !p.isOp("]") {
		hi = p.expression()
	}
	if p.skipOp(":") && !p.isOp("]") {
		step = p.expression()
	}
	p.wantOp("]")
	return &getSlice{n, of, lo, hi, step}
}

// indices parses the rest of a subscript of several, which is a tuple.
func (p *parser) indices(n node, first expr) expr {
	t := &sequence{n, kindTuple, []expr{first}}
	for p.skipOp(",") {
		t.items = append(t.items, p.expression())
	}
	return t
}

func (p *parser) call(fn expr) expr {
	n := node{p.cur().line}
	return &call{n, fn, p.arguments()}
}

func (p *parser) arguments() arguments {
	defer p.enter()()
	var a arguments
	p.wantOp("(")
	for first := true; !p.isOp(")"); first = false {
		if !first {
			p.wantOp(",")
			if p.isOp(")") {
				break
			}
		}
		p.argument(&a)
	}
	p.wantOp(")")
	return a
}

func (p *parser) argument(a *arguments) {
	switch {
	case p.isOp("*") && a.star == nil && a.dict == nil:
		p.next()
		a.star = p.expression()
	case p.isOp("**") && a.dict == nil:
		p.next()
		a.dict = p.expression()
	case p.cur().kind == tokName && p.tokens[p.i+1].kind == tokOp && p.tokens[p.i+1].s == "=" && a.dict == nil:
		a.names = append(a.names, p.next().s)
		p.next()
		a.named = append(a.named, p.expression())
	case a.star == nil && a.dict == nil && a.names == nil:
		a.pos = append(a.pos, p.expression())
	default:
		fail("invalid syntax for function call expression")
	}
}

// filters parses filters, tests and calls behind an expression.
func (p *parser) filters(e expr) expr {
	for n := 1; ; n++ {
		p.chain(n)
		switch {
		case p.skipOp("|"):
			e = p.filter(e)
		case p.isName("is"):
			e = p.test(e)
		case p.isOp("("):
			e = p.call(e)
		default:
			return e
		}
	}
}

// filter parses a filter's name and arguments.
func (p *parser) filter(of expr) expr {
	f := &filter{node: node{p.cur().line}, of: of, name: p.dotted()}
	if p.isOp("(") {
		f.args = p.arguments()
	}
	return f
}

func (p *parser) dotted() string {
	s := p.wantName()
	for p.skipOp(".") {
		s += "." + p.wantName()
	}
	return s
}

func (p *parser) test(of expr) expr {
	n := node{p.next().line}
	negated := p.skipName("not")
	t := &test{node: n, of: of, name: p.dotted()}
	switch c := p.cur(); {
	case p.isOp("("):
		t.args = p.arguments()
	case c.kind == tokName && slices.Contains([]string{"else", "or", "and"}, c.s):
	case c.kind == tokName, c.kind == tokString, c.kind == tokInt, c.kind == tokFloat, p.isOp("["), p.isOp("{"):
		if c.s == "is" && c.kind == tokName {
			fail("tests with 'is' cannot be chained")
		}
		t.args.pos = []expr{p.postfix(p.primary(false))}
	}
	if negated {
		return &unary{n, "not", t}
	}
	return t
}
