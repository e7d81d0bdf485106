// Package constitution reads constitutions: documents of principles with their reasons and cases, which a study teaches to a
// model. It parses them, cites principles by ids that stay, finds the ones that bear on a question, and addresses them by content.
// Some constitutions are shipped with it.
//
// # The format
//
// A constitution is Markdown in UTF-8. Front matter, all of it optional, is YAML between two lines of three dashes:
//
//	---
//	title: What we ask of Mira
//	persona: Mira          # the character whose constitution it is
//	licence: CC0-1.0
//	version: "3"
//	form: full             # full, rules, subrules or reasons; see Form
//	of: mira               # a variant: the shipped constitution it was written from
//	questions:             # what a principle answers, for comparison with a constitution that answers otherwise
//	  promises: What binds when circumstances change?
//	---
//
// Paragraphs before the first principle are the preamble. A heading of the second level with an id opens a principle. Its first paragraph
// is the statement; more paragraphs may go on from it, and a list there holds sub-rules. A paragraph that opens in bold type with the word
// Why begins a reason, one that opens with Case begins a case; both run until the next such paragraph. They come in any order and number.
//
//	## Keep promises {#promises}
//
//	Do what you said you would, or say in good time that you won't.
//
//	**Why.** People plan around a promise. What breaks with it is their plan, not yours.
//
//	**Why the small ones count.** Nobody can see from outside which ones you hold to be small.
//
//	**Case: the lift home.** A driver offered a lift and is tired. She calls before the guests have let the last bus go;
//	compare [#honesty], which asks her not to invent a flat tyre.
//
// An id is lower-case words joined by hyphens; [#id] in a text refers to a principle. Everything else that Markdown has (other levels of heading,
// nested lists, tables, code, quotations) has no meaning here and is an error, so that nothing is read otherwise than its author meant.
// How lines are wrapped or end does not matter, nor to the hashes.
package constitution

import (
	"strings"
	"unicode"
)

// Form says what the principles of a constitution consist of.
type Form string

// The forms. The last three are variants of one constitution for experiments on what the reasons add; their rules are the same sentences.
const (
	Full     Form = "full"     // statement, reasons, and cases where they help; each principle has a reason
	Rules    Form = "rules"    // statements, which further paragraphs may say again: neither reasons nor sub-rules
	Subrules Form = "subrules" // each statement with a list of sub-rules and without reasons
	Reasons  Form = "reasons"  // each statement with reasons and without sub-rules
)

// Constitution is a document of principles. It is read-only once parsed and safe for concurrent use.
type Constitution struct {
	Name       string // the file's name without folder and extension
	Title      string
	Persona    string // the character it is about; may be empty
	Licence    string
	Version    string
	Form       Form              // empty: nothing is demanded of it
	Of         string            // a variant: the name of the constitution it is one of
	Questions  map[string]string // by principle id: the question that the principle answers
	Preamble   string            // blocks of Markdown
	Principles []*Principle      // in the document's order

	file  string         // as given, for places in messages
	front map[string]int // lines of the front matter's keys
	byID  map[string]*Principle
	index func() *index // for Excerpt, made when it is first asked for
}

// Principle is one principle of a constitution.
type Principle struct {
	ID    string
	Title string
	Line  int       // of its heading
	Parts []Passage // in the document's order; the first is the statement
}

// PassageKind says what part of a principle a passage is.
type PassageKind string

// The kinds of passages.
const (
	Statement PassageKind = "statement" // the principle in a paragraph
	Prose     PassageKind = "prose"     // what goes on from the statement, before the first mark
	Subrule   PassageKind = "subrule"   // an item of the list below the statement
	Reason    PassageKind = "reason"
	Case      PassageKind = "case"
)

// Passage is a part of a principle.
type Passage struct {
	Kind  PassageKind
	Label string // of reasons and cases, as printed: "Why.", "Case: the lift home."
	Text  string // paragraphs and list items, without the label
	Line  int
}

// Principle gives the principle with an id.
func (c *Constitution) Principle(id string) (*Principle, bool) {
	p, ok := c.byID[id]
	return p, ok
}

// Statement gives the principle's first paragraph.
func (p *Principle) Statement() string { return p.Parts[0].Text }

// Subrules gives the texts of the sub-rules.
func (p *Principle) Subrules() []string { return p.texts(Subrule) }

// Reasons gives the texts of the principle's reasons.
func (p *Principle) Reasons() []string { return p.texts(Reason) }

// Cases gives the texts of the principle's cases.
func (p *Principle) Cases() []string { return p.texts(Case) }

func (p *Principle) texts(kind PassageKind) []string {
	var texts []string
	for _, part := range p.Parts {
		if part.Kind == kind {
			texts = append(texts, part.Text)
		}
	}
	return texts
}

// Counts says how much a constitution holds. Words are counted in its text for prompts.
type Counts struct {
	Words      int `json:"words"`
	Principles int `json:"principles"`
	Subrules   int `json:"subrules"`
	Reasons    int `json:"reasons"`
	Cases      int `json:"cases"`
}

// Counts counts what the constitution holds.
func (c *Constitution) Counts() Counts {
	n := Counts{Words: countWords(c.Text()), Principles: len(c.Principles)}
	for _, p := range c.Principles {
		n.Subrules += len(p.Subrules())
		n.Reasons += len(p.Reasons())
		n.Cases += len(p.Cases())
	}
	return n
}

// countWords counts what white space separates and has a letter or a digit in it.
func countWords(text string) int {
	n := 0
	for _, field := range strings.Fields(text) {
		if strings.ContainsFunc(field, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			n++
		}
	}
	return n
}
