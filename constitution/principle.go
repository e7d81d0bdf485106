package constitution

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	titled  = regexp.MustCompile(`^(.*\S) \{#([^{}]*)\}$`)
	validID = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
)

// readPrinciple reads a heading and the blocks below it.
func (c *Constitution) readPrinciple(blocks []block) *fault {
	head, body := blocks[0], blocks[1:]
	if head.level != 2 {
		return faultf(head.line, "principles have two number signs; reasons and cases are paragraphs that open with **Why.** or **Case.**",
			"a heading of unknown sort, level %d: %s", head.level, shorten(head.text))
	}
	m := titled.FindStringSubmatch(head.text)
	if m == nil {
		return faultf(head.line, fmt.Sprintf("write ## %s {#%s}", head.text, suggestID(head.text)), "the principle %q has no id", shorten(head.text))
	}
	p := &Principle{ID: m[2], Title: m[1], Line: head.line}
	if !validID.MatchString(p.ID) {
		return faultf(head.line, fmt.Sprintf("such as {#%s}", suggestID(p.ID)), "an id is lower-case words joined by hyphens: %q", shorten(p.ID))
	}
	if other, ok := c.byID[p.ID]; ok {
		return faultf(head.line, "give one of them another id", "the id %s is taken, by the principle on line %d", p.ID, other.Line)
	}
	if f := p.readBody(body); f != nil {
		return f
	}
	if f := demands[c.Form](p); f != nil {
		return f
	}
	c.byID[p.ID] = p
	c.Principles = append(c.Principles, p)
	return nil
}

// readBody splits the blocks below a heading into passages.
func (p *Principle) readBody(blocks []block) *fault {
	if len(blocks) == 0 {
		return faultf(p.Line, "say it in a paragraph below the heading", "the principle %s is empty", p.ID)
	}
	for i := 0; i < len(blocks); {
		part, text, f := beginPassage(blocks[i], i == 0)
		if f != nil {
			return f
		}
		own := []block{{blocks[i].kind, 0, text, part.Line}}
		if part.Kind == Subrule {
			own[0].kind = paragraph
		}
		i++
		for part.Label != "" && i < len(blocks) && !marked(blocks[i]) {
			own = append(own, blocks[i])
			i++
		}
		if own[0].text == "" {
			own = own[1:]
		}
		part.Text = joinBlocks(own)
		if part.Text == "" {
			return faultf(part.Line, "write it after the mark", "**%s** is followed by nothing", part.Label)
		}
		p.Parts = append(p.Parts, part)
	}
	return nil
}

// beginPassage says which passage a block begins and gives the block's text without its mark.
func beginPassage(b block, first bool) (Passage, string, *fault) {
	label, text, f := readMark(b)
	part := Passage{Kind: Prose, Label: label, Line: b.line}
	switch {
	case f != nil:
		return part, "", f
	case first && (label != "" || b.kind == item):
		return part, "", faultf(b.line, "say the principle in a paragraph first", "a principle begins with its statement")
	case first:
		part.Kind = Statement
	case strings.HasPrefix(label, "Why"):
		part.Kind = Reason
	case label != "":
		part.Kind = Case
	case b.kind == item:
		part.Kind = Subrule
	}
	return part, text, nil
}

var (
	bold     = regexp.MustCompile(`^\*\*([^*]+)\*\*(.*)$`)
	mark     = regexp.MustCompile(`^(Why|Case)\b[^*]*[.:?!]$`)
	likeMark = regexp.MustCompile(`^[*_]+ ?(Why|Case)\b`)
)

// readMark splits a paragraph that opens with a mark into the mark and the rest. Bold type that ends a sentence looks like
// a mark, and so does emphasis on the words Why and Case, so these have to be marks; other bold type is emphasis.
func readMark(b block) (label, text string, f *fault) {
	const hint = "reasons open with **Why.** or **Why it is so.**, cases with **Case.** or **Case: its name.**, in a paragraph"
	if m := bold.FindStringSubmatch(b.text); m != nil {
		label, text = strings.TrimSpace(m[1]), strings.TrimSpace(m[2])
	}
	ending := label[max(0, len(label)-1):]
	switch {
	case b.kind == paragraph && mark.MatchString(label):
		if text == "" {
			return label, "", nil
		}
		if next, f := readLine(text, b.line); f != nil || next.kind != paragraph {
			return "", "", faultf(b.line, "put a list on lines of its own", "what follows **%s** begins as something else: %s", shorten(label), shorten(text))
		}
		return label, text, nil
	case likeMark.MatchString(b.text), b.kind == paragraph && ending != "" && strings.Contains(".:?!", ending):
		return "", "", faultf(b.line, hint, "a mark of unknown sort: %s", shorten(b.text))
	}
	return "", b.text, nil
}

func marked(b block) bool {
	label, _, f := readMark(b)
	return label != "" || f != nil
}

// demands are what the forms ask of each principle.
var demands = map[Form]func(*Principle) *fault{
	"":   func(*Principle) *fault { return nil },
	Full: func(p *Principle) *fault { return p.demand(Full, map[PassageKind]bool{Reason: true}) },
	Rules: func(p *Principle) *fault {
		return p.demand(Rules, map[PassageKind]bool{Reason: false, Case: false, Subrule: false})
	},
	Subrules: func(p *Principle) *fault {
		return p.demand(Subrules, map[PassageKind]bool{Reason: false, Case: false, Subrule: true})
	},
	Reasons: func(p *Principle) *fault {
		return p.demand(Reasons, map[PassageKind]bool{Reason: true, Case: false, Subrule: false})
	},
}

// demand checks that the principle has passages of a kind, or has none.
func (p *Principle) demand(form Form, wants map[PassageKind]bool) *fault {
	for _, kind := range []PassageKind{Subrule, Reason, Case} {
		want, asked := wants[kind]
		has := len(p.texts(kind)) > 0
		switch {
		case asked && want && !has:
			return faultf(p.Line, "", "the principle %s has no %s, which the form %q demands", p.ID, kind, form)
		case asked && !want && has:
			return faultf(p.Line, "", "the principle %s has a %s, which the form %q rules out", p.ID, kind, form)
		}
	}
	return nil
}

// suggestID makes an id of a title.
func suggestID(title string) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	if len(words) == 0 {
		return "a-name"
	}
	return strings.Join(words[:min(3, len(words))], "-")
}
