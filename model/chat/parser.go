package chat

import "slices"

// maxDepth bounds the nesting of a template's source, and of values and calls when it runs.
const maxDepth = 500

// parser is a recursive descent over the tokens, with the grammar of jinja2.parser. It fails by panic; Parse catches.
type parser struct {
	tokens   []token
	i        int
	line     int
	depth    int
	loops    int
	mentions []map[string]bool // the names in the bodies of the macros around
}

func (p *parser) cur() token { return p.tokens[p.i] }

func (p *parser) next() token {
	t := p.tokens[p.i]
	p.line = t.line
	if t.kind != tokEOF {
		p.i++
	}
	return t
}

func (p *parser) isOp(op string) bool     { return p.cur().kind == tokOp && p.cur().s == op }
func (p *parser) isName(name string) bool { return p.cur().kind == tokName && p.cur().s == name }

func (p *parser) skipOp(op string) bool {
	if p.isOp(op) {
		p.next()
		return true
	}
	return false
}

func (p *parser) skipName(name string) bool {
	if p.isName(name) {
		p.next()
		return true
	}
	return false
}

func (p *parser) wantOp(op string) {
	if !p.skipOp(op) {
		p.unexpected("'" + op + "'")
	}
}

func (p *parser) wantName() string {
	if p.cur().kind != tokName {
		p.unexpected("a name")
	}
	return p.next().s
}

func (p *parser) want(kind tokenKind, what string) {
	if p.cur().kind != kind {
		p.unexpected(what)
	}
	p.next()
}

// unexpected fails at the current token.
func (p *parser) unexpected(want string) {
	t := p.cur()
	p.line = t.line
	got := "'" + t.s + "'"
	switch t.kind {
	case tokEOF:
		got = "the end of the template"
	case tokClose:
		got = "'}}'"
	case tokBlockClose:
		got = "'%}'"
	}
	fail("expected %s, got %s", want, got)
}

// enter counts a level of nesting; leave it with the function it returns.
func (p *parser) enter() func() {
	if p.depth++; p.depth > maxDepth {
		fail("%w: nested more than %d deep", ErrLimit, maxDepth)
	}
	return func() { p.depth-- }
}

func (p *parser) template() []stmt {
	body := p.statements()
	if p.cur().kind != tokEOF {
		p.unexpected("the end of the template")
	}
	return body
}

// statements parses up to the end or to a tag with one of the names, which stays: the current token is its name.
func (p *parser) statements(end ...string) []stmt {
	defer p.enter()()
	var body []stmt
	for {
		switch t := p.next(); t.kind {
		case tokEOF:
			if len(end) > 0 {
				fail("unexpected end of the template, looking for %s", end[0])
			}
			return body
		case tokData:
			body = append(body, &dataStmt{t.s})
		case tokOpen:
			body = append(body, &outputStmt{p.tuple(p.expression, false)})
			p.want(tokClose, "'}}'")
		case tokBlockOpen:
			if p.cur().kind == tokName && slices.Contains(end, p.cur().s) {
				return body
			}
			body = append(body, p.statement())
			p.want(tokBlockClose, "'%}'")
		}
	}
}

// block parses the body of a statement whose head is read: "%}", statements, and the name of the tag that ends it.
func (p *parser) block(end ...string) ([]stmt, string) {
	p.skipOp(":")
	p.want(tokBlockClose, "'%}'")
	body := p.statements(end...)
	return body, p.next().s
}

func (p *parser) statement() stmt {
	line := p.cur().line
	switch tag := p.wantName(); tag {
	case "if":
		return p.parseIf()
	case "for":
		return p.parseFor(line)
	case "set":
		return p.parseSet(line)
	case "macro":
		return p.parseMacro(line, p.wantName())
	case "call":
		return p.parseCall(line)
	case "filter":
		s := &captureStmt{line: line, filters: p.filterChain()}
		s.body, _ = p.block("endfilter")
		return s
	case "with":
		return p.parseWith(line)
	case "generation":
		body, _ := p.block("endgeneration")
		return &scopeStmt{body}
	case "break", "continue":
		if p.loops == 0 {
			fail("%s outside of a loop", tag)
		}
		return &loopControl{tag == "break"}
	case "include", "import", "from", "extends", "block":
		fail("{%% %s %%} is not for chat templates: there are no other templates to load", tag)
	default:
		fail("unknown tag '%s'", tag)
	}
	return nil
}

func (p *parser) parseIf() stmt {
	s := &ifStmt{}
	for {
		s.tests = append(s.tests, p.tuple(p.or, false))
		body, end := p.block("elif", "else", "endif")
		s.bodies = append(s.bodies, body)
		switch end {
		case "else":
			s.other, _ = p.block("endif")
			return s
		case "endif":
			return s
		}
	}
}

func (p *parser) parseFor(line int) stmt {
	s := &forStmt{line: line, target: p.target(false, "in")}
	if !p.skipName("in") {
		p.unexpected("'in'")
	}
	s.over = p.tuple(p.or, false, "recursive")
	if p.skipName("if") {
		s.where = p.expression()
	}
	if p.isName("recursive") {
		fail("recursive loops are not supported")
	}
	p.loops++
	body, end := p.block("endfor", "else")
	p.loops--
	s.body = body
	if end == "else" {
		s.other, _ = p.block("endfor")
	}
	return s
}

func (p *parser) parseSet(line int) stmt {
	target := p.target(true)
	if p.skipOp("=") {
		return &setStmt{line, target, p.tuple(p.expression, false)}
	}
	s := &captureStmt{line: line, target: target}
	if p.skipOp("|") {
		s.filters = p.filterChain()
	}
	s.body, _ = p.block("endset")
	return s
}

func (p *parser) parseWith(line int) stmt {
	s := &withStmt{line: line}
	for p.cur().kind != tokBlockClose {
		if len(s.targets) > 0 {
			p.wantOp(",")
		}
		s.targets = append(s.targets, p.target(false))
		p.wantOp("=")
		s.values = append(s.values, p.expression())
	}
	s.body, _ = p.block("endwith")
	return s
}

// parseMacro parses from the signature on.
func (p *parser) parseMacro(line int, name string) *macroStmt {
	m := &macroStmt{line: line, name: name}
	p.wantOp("(")
	for !p.isOp(")") {
		if len(m.params) > 0 {
			p.wantOp(",")
		}
		m.params = append(m.params, p.wantName())
		if p.skipOp("=") {
			m.defaults = append(m.defaults, p.expression())
		} else if len(m.defaults) > 0 {
			fail("non-default argument follows default argument")
		}
	}
	p.wantOp(")")
	return p.macroBody(m, "endmacro")
}

func (p *parser) macroBody(m *macroStmt, end string) *macroStmt {
	p.mentions = append(p.mentions, map[string]bool{})
	loops := p.loops
	p.loops = 0 // a break in a macro cannot leave the loop around it
	m.body, _ = p.block(end)
	p.loops = loops
	top := p.mentions[len(p.mentions)-1]
	p.mentions = p.mentions[:len(p.mentions)-1]
	m.varargs, m.kwargs = top["varargs"], top["kwargs"]
	return m
}

// parseCall parses {% call macro(args) %}, with an optional signature of the block itself.
func (p *parser) parseCall(line int) stmt {
	m := &macroStmt{line: line, name: "caller"}
	if p.skipOp("(") {
		for !p.isOp(")") {
			if len(m.params) > 0 {
				p.wantOp(",")
			}
			m.params = append(m.params, p.wantName())
		}
		p.wantOp(")")
	}
	c, ok := p.expression().(*call)
	if !ok {
		fail("expected a call")
	}
	return &callStmt{line, p.macroBody(m, "endcall"), c}
}

// filterChain parses name(args)|name... and gives what wraps a value in them.
func (p *parser) filterChain() func(value) expr {
	hole := &bound{}
	chain := p.filter(hole)
	for p.skipOp("|") {
		chain = p.filter(chain)
	}
	return func(v value) expr { return rebind(chain, v) }
}

// rebind copies a chain of filters with v at its start.
func rebind(e expr, v value) expr {
	f, ok := e.(*filter)
	if !ok {
		return &bound{v: v}
	}
	g := *f
	g.of = rebind(f.of, v)
	return &g
}
