package constitution

import (
	"fmt"
	"regexp"
	"strings"
)

// fault is what is wrong with a document, and on which line.
type fault struct {
	line int
	err  error
	hint string
}

func (f *fault) Error() string { return fmt.Sprintf("line %d: %v", f.line, f.err) }

// faultf makes a fault; the hint may be empty.
func faultf(line int, hint, format string, args ...any) *fault {
	return &fault{line, fmt.Errorf(format, args...), hint}
}

type blockKind int

const (
	paragraph blockKind = iota
	item                // of a list
	heading
)

// block is a heading, a paragraph or a list item, its lines joined.
type block struct {
	kind  blockKind
	level int // of headings
	text  string
	line  int
}

var (
	bullet  = regexp.MustCompile(`^([-+*]|\d{1,9}[.)])( |$)`)
	first   = regexp.MustCompile(`^([-+*]|1[.)]) `) // a list item that ends a paragraph; other numbers may begin a wrapped line
	rule    = regexp.MustCompile(`^([-=_+*] ?)+$`)
	headed  = regexp.MustCompile(`^(#{1,6}) (.+)$`)
	unknown = regexp.MustCompile("^(```|~~~|>|\\||</?[A-Za-z!?])")
)

// splitBlocks reads the lines of a document, which are numbered from the given one.
func splitBlocks(lines []string, number int) ([]block, *fault) {
	var blocks []block
	var texts [][]string // of the blocks, line by line
	open := false        // whether the last block may go on
	for i, raw := range lines {
		text := strings.Join(strings.Fields(raw), " ")
		if text == "" {
			open = false
			continue
		}
		next, f := readLine(text, number+i)
		if f != nil {
			return nil, f
		}
		indented := !strings.HasPrefix(raw, text[:1])
		last := len(blocks) - 1
		switch {
		case indented && next.kind != paragraph:
			return nil, faultf(next.line, "lists are not nested here, and headings begin at the margin", "an indented list item or heading")
		case indented && !open:
			return nil, faultf(next.line, "begin it at the margin; an item of a list is one paragraph", "an indented paragraph")
		case open && (next.kind == paragraph || next.kind == item && blocks[last].kind == paragraph && !first.MatchString(text)):
			texts[last] = append(texts[last], text)
		default:
			blocks, texts = append(blocks, next), append(texts, []string{next.text})
			open = next.kind != heading
		}
	}
	for i := range blocks {
		blocks[i].text = strings.Join(texts[i], " ")
	}
	return blocks, nil
}

// readLine says what a line would begin as, were it the first of a block. Its words are one blank apart.
func readLine(text string, number int) (block, *fault) {
	const hint = "a constitution has headings, paragraphs and lists; see the package's description of the format"
	switch {
	case rule.MatchString(text):
		return block{}, faultf(number, hint, "a rule or an underlined heading")
	case unknown.MatchString(text):
		return block{}, faultf(number, hint, "quotations, code, tables and HTML are not part of the format: %s", shorten(text))
	case text[0] == '#':
		m := headed.FindStringSubmatch(text)
		if m == nil {
			return block{}, faultf(number, "write ## Title {#id}", "a heading needs a blank and a title after its number signs: %s", shorten(text))
		}
		return block{heading, len(m[1]), m[2], number}, nil
	}
	mark := bullet.FindString(text)
	if mark == "" {
		return block{kind: paragraph, text: text, line: number}, nil
	}
	rest := text[len(mark):]
	if rest == "" {
		return block{}, faultf(number, "", "an empty list item")
	}
	nested := bullet.MatchString(rest)
	if !nested {
		inner, f := readLine(rest, number)
		nested = f != nil || inner.kind != paragraph
	}
	if nested {
		return block{}, faultf(number, "lists are not nested here", "a list item that begins as something else: %s", shorten(text))
	}
	return block{kind: item, text: rest, line: number}, nil
}

// shorten gives the beginning of a text for a message.
func shorten(text string) string {
	const most = 40
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + " ..."
	}
	return text
}

// joinBlocks writes paragraphs and list items as Markdown, one line each.
func joinBlocks(blocks []block) string {
	var b strings.Builder
	for i, next := range blocks {
		if i > 0 {
			b.WriteString("\n")
			if next.kind != item || blocks[i-1].kind != item {
				b.WriteString("\n")
			}
		}
		if next.kind == item {
			b.WriteString("- ")
		}
		b.WriteString(next.text)
	}
	return b.String()
}
