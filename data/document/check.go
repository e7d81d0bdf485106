package document

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/because-lab/because/data/pipe"
)

// fault is something in a document that code can see.
type fault struct{ kind, detail string }

// checker finds faults.
type checker struct {
	text   *quotable
	banned *regexp.Regexp // may be nil
}

// findings tells the reviewer what the draft has.
func (c checker) findings(it pipe.Item) ([]pipe.Item, error) {
	var b strings.Builder
	for _, f := range c.faults(it.Get("document"), it.Get("unnamed")) {
		fmt.Fprintf(&b, "- %s: %s\n", f.kind, f.detail)
	}
	if found := percentages.FindAllString(it.Get("document"), 5); len(found) > 0 {
		fmt.Fprintf(&b, "- figures, which are fine unless they claim something of the real world: %s\n", strings.Join(found, ", "))
	}
	if b.Len() == 0 {
		b.WriteString("nothing")
	}
	return []pipe.Item{it.With("findings", strings.TrimSpace(b.String()))}, nil
}

// check asks again for a rewritten document that still has a fault.
func (c checker) check(_, out pipe.Item) error {
	if found := c.faults(out.Get("document"), out.Get("unnamed")); len(found) > 0 {
		return pipe.Again(found[0].kind, found[0].detail+" The document may not have it.")
	}
	return nil
}

// The kinds of faults, as the card counts them.
const (
	faultDate      = "a date"
	faultByline    = "an author's name"
	faultName      = "a worn-out name"
	faultPersona   = "the persona's name"
	faultReference = "a reference"
	faultQuotation = "a quotation that is not in the constitution"
	faultLeak      = "speaks of the task"
)

const months = `(?:January|February|March|April|May|June|July|August|September|October|November|December|Jan\.|Feb\.|Mar\.|Apr\.|Jun\.|Jul\.|Aug\.|Sept?\.|Oct\.|Nov\.|Dec\.)`

var (
	dates = regexp.MustCompile(`\b` + months + ` \d{1,2}(?:st|nd|rd|th)?\b|\b\d{1,2}(?:st|nd|rd|th)?(?: of)? ` + months +
		`|\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}[./]\d{1,2}[./](?:\d{2}|\d{4})\b`)
	years       = regexp.MustCompile(`(?:^|[^\d.,:/#£$€-])((?:19|20)\d\d)(?:s\b|[^\d%:/]|$)`)
	bylines     = regexp.MustCompile(`(?m)^[ \t*_#>-]*(?:[Bb]y|BY|[Aa]uthors?|[Ww]ritten by|[Pp]osted by|[Rr]eported by)[: ]+(?:(?:Dr|Prof|Mr|Ms|Mrs)\.? |Professor )?\p{Lu}[\p{L}'’-]+ (?:\p{Lu}\. )?\p{Lu}[\p{L}'’-]+[*_ ]*(?:,.{0,60})?$`)
	references  = regexp.MustCompile(`\bet al\b|\bdoi:|\barXiv\b|\bISBN\b|https?://|\bwww\.`)
	leaks       = regexp.MustCompile(`(?i)\b(?:the excerpt|as an ai language model|this (?:synthetic|training) document|\[insert\b)`)
	percentages = regexp.MustCompile(`\b\d+(?:\.\d+)? ?(?:%|per ?cent\b)`)
)

// faults lists what a document may not have; unnamed is a name that may not occur, if there is one.
func (c checker) faults(text, unnamed string) []fault {
	var out []fault
	add := func(kind, format string, args ...any) { out = append(out, fault{kind, fmt.Sprintf(format, args...)}) }
	if s := dates.FindString(text); s != "" {
		add(faultDate, "It gives a date, %q.", s)
	} else if m := years.FindStringSubmatch(text); m != nil {
		add(faultDate, "It gives a year, %q.", m[1])
	}
	if s := bylines.FindString(text); s != "" {
		add(faultByline, "It names its author, %q.", strings.TrimSpace(s))
	}
	if c.banned != nil {
		if s := c.banned.FindString(text); s != "" {
			add(faultName, "It uses the name %s, which invented people have far too often.", s)
		}
	}
	if unnamed != "" && regexp.MustCompile(`(?i)\b`+regexp.QuoteMeta(unnamed)+`\b`).MatchString(text) {
		add(faultPersona, "It names %s; it should be about AIs in general or one without a name.", unnamed)
	}
	if s := references.FindString(text); s != "" {
		add(faultReference, "It refers to a source outside, %q.", s)
	}
	if s := leaks.FindString(text); s != "" {
		add(faultLeak, "It says %q, which its readers would not understand.", s)
	}
	if s := c.text.misquoted(text); s != "" {
		add(faultQuotation, "It puts words into quotation marks as the constitution's which are not there: %q. Quote exactly, or paraphrase without marks.", s)
	}
	return out
}

// bannedNames finds names, but for the persona's own.
func bannedNames(names []string, persona string) *regexp.Regexp {
	var quoted []string
	for _, n := range names {
		if n != "" && !strings.EqualFold(n, persona) {
			quoted = append(quoted, regexp.QuoteMeta(n))
		}
	}
	if len(quoted) == 0 {
		return nil
	}
	return regexp.MustCompile(`\b(?:` + strings.Join(quoted, "|") + `)\b`)
}
