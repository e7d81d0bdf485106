package document

import (
	"regexp"
	"strings"

	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/internal/words"
)

// quotable is a constitution's text, by which quotations are checked. Words count, not their case or the punctuation between them.
type quotable struct {
	text  string          // words, each between spaces
	grams map[uint64]bool // of gramWords words
}

const (
	fewest    = 4 // words of a quotation that is checked; fewer may be anybody's
	gramWords = 3
)

func newQuotable(c *constitution.Constitution) *quotable {
	text := c.Text()
	q := &quotable{text: plain(text), grams: map[uint64]bool{}}
	ws := words.Split(text)
	for i := 0; i+gramWords <= len(ws); i++ {
		q.grams[words.Gram(ws[i:i+gramWords])] = true
	}
	return q
}

var apostrophes = strings.NewReplacer("'", "", "’", "")

// plain writes a text as its words, in lower case, between single spaces.
func plain(text string) string {
	var b strings.Builder
	b.WriteByte(' ')
	for _, w := range words.Split(text) {
		b.WriteString(apostrophes.Replace(strings.ToLower(text[w.From:w.To])))
		b.WriteByte(' ')
	}
	return b.String()
}

var (
	quoted = regexp.MustCompile(`"[^"“”\n]{8,600}"|“[^“”\n]{8,600}”`)
	// source is how a text introduces words of a constitution, at the end of what stands before them.
	source = regexp.MustCompile(`(?i)\b(?:constitution|charter|principles?|founding (?:text|document)|(?:published|makers['’]) document|(?:its|their|the) (?:makers|authors|developers)|document (?:its|their) makers)\b` +
		`[^.!?"“”\n]{0,60}\b(?:says?|said|reads?|put it|puts it|states?|writes?|wrote|asks?|goes|calls?|argues?|holds?|begins?|ends?|words?|sentence|line|phrase|passage)\b[^.!?"“”\n]{0,40}$`)
	// gaps stand in a quotation where something was left out or put in.
	gaps = regexp.MustCompile(`\[[^\]]*\]|\.\.\.|…`)
)

// misquoted gives the first quotation that is said to be the constitution's, or that nearly is, and isn't in it word for word; "" if there is none.
func (q *quotable) misquoted(text string) string {
	for _, at := range quoted.FindAllStringIndex(text, -1) {
		inner := strings.Trim(text[at[0]:at[1]], `"“”`)
		ws := words.Split(inner)
		if len(ws) < fewest || q.has(inner) {
			continue
		}
		if source.MatchString(text[max(0, at[0]-160):at[0]]) || q.near(ws) {
			return inner
		}
	}
	return ""
}

// has tells whether a quotation stands in the constitution; parts between gaps stand in it one after the other.
func (q *quotable) has(quotation string) bool {
	rest := q.text
	for _, part := range gaps.Split(quotation, -1) {
		p := plain(part)
		if strings.TrimSpace(p) == "" {
			continue
		}
		i := strings.Index(rest, p)
		if i < 0 {
			return false
		}
		rest = rest[i+len(p)-1:]
	}
	return true
}

// near tells whether most of a quotation's words come from the constitution in the same order: it was altered on the way.
func (q *quotable) near(ws []words.Word) bool {
	all, found := 0, 0
	for i := 0; i+gramWords <= len(ws); i++ {
		all++
		if q.grams[words.Gram(ws[i:i+gramWords])] {
			found++
		}
	}
	return len(ws) >= 8 && float64(found) >= 0.6*float64(all)
}
