package understanding

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
)

var (
	validID   = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	validHash = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func (s *Set) checkHead() error {
	switch {
	case !validID.MatchString(s.Name):
		return fmt.Errorf("name: %q is not lower-case words joined by hyphens", s.Name)
	case s.Constitution.Name == "":
		return errors.New("constitution: it has no name")
	case !validHash.MatchString(s.Constitution.Hash):
		return fmt.Errorf("constitution: %q is no hash of 64 hexadecimal digits", s.Constitution.Hash)
	case len(s.Questions) == 0:
		return errors.New("there are no questions")
	}
	for _, id := range slices.Sorted(maps.Keys(s.Principles)) {
		if !validID.MatchString(id) || !validHash.MatchString(s.Principles[id]) {
			return fmt.Errorf("principles: %q: %q is not an id with its hash of 64 hexadecimal digits", id, s.Principles[id])
		}
	}
	return nil
}

// check says what a question lacks or has too much.
func (q *Question) check(pinned map[string]string) error {
	if !validID.MatchString(q.ID) {
		return fmt.Errorf("id: %q is not lower-case words joined by hyphens", q.ID)
	}
	if !slices.Contains(Kinds(), q.Kind) {
		return because.E(q.ID, "kind", fmt.Errorf("there is no kind %q", q.Kind), "use recall, false-premise or open")
	}
	if len(q.Principles) == 0 {
		return because.E(q.ID, "principles", errors.New("it is about none"), "name the ids of those on which the answer rests")
	}
	for i, id := range q.Principles {
		if _, ok := pinned[id]; !ok {
			return because.E(q.ID, "principles", fmt.Errorf("the set gives no hash for %q", id), "list it under the set's principles")
		}
		if slices.Contains(q.Principles[:i], id) {
			return because.E(q.ID, "principles", fmt.Errorf("%s stands twice", id), "")
		}
	}
	if len(q.Ask) < 2 {
		return because.E(q.ID, "ask", fmt.Errorf("%d wording(s)", len(q.Ask)), "give two at least, so that one phrase doesn't decide")
	}
	for i, ask := range q.Ask {
		if len(words(ask)) == 0 || slices.ContainsFunc(q.Ask[:i], func(other string) bool { return normal(other) == normal(ask) }) {
			return because.E(q.ID, "ask", fmt.Errorf("wording %d is empty or a repetition", i+1), "")
		}
	}
	return q.checkGrading()
}

// checkGrading says which of the fields for the grader are missing or out of place.
func (q *Question) checkGrading() error {
	given := map[string]bool{"expect": q.Expect != "", "avoid": len(q.Avoid) > 0, "premise": q.Premise != "", "truth": q.Truth != ""}
	needs := map[Kind]string{Recall: "expect", FalsePremise: "premise truth"}[q.Kind]
	takes := map[Kind]string{Recall: "expect avoid", FalsePremise: "premise truth", Open: "expect"}[q.Kind]
	for _, field := range []string{"expect", "avoid", "premise", "truth"} {
		switch {
		case given[field] && !strings.Contains(takes, field):
			return because.E(q.ID, field, fmt.Errorf("a question of kind %s has none", q.Kind), "")
		case !given[field] && strings.Contains(needs, field):
			return because.E(q.ID, field, errors.New("it is missing"), "a judge needs it to grade the answers")
		}
	}
	return nil
}

// Mismatch says that a set was made for another text of the principles that it cites.
type Mismatch struct {
	Made    Source
	Given   Source
	Changed []string // ids of cited principles whose text is another one
	Missing []string // ids of cited principles that the constitution doesn't have
}

func (m *Mismatch) Error() string {
	var parts []string
	if len(m.Changed) > 0 {
		parts = append(parts, "changed: "+strings.Join(m.Changed, ", "))
	}
	if len(m.Missing) > 0 {
		parts = append(parts, "missing: "+strings.Join(m.Missing, ", "))
	}
	return fmt.Sprintf("the questions were made for %s at %.12s, and in %s at %.12s principles differ; %s", m.Made.Name, m.Made.Hash, m.Given.Name, m.Given.Hash,
		strings.Join(parts, "; "))
}

// Fits tells whether a constitution has the text that the questions are about: the principles that they cite, as they were. What
// else it says may differ. The error is a Mismatch.
func (s *Set) Fits(c *constitution.Constitution) error {
	m := &Mismatch{Made: s.Constitution, Given: Source{c.Name, c.Hash()}}
	for _, id := range s.cited() {
		p, ok := c.Principle(id)
		switch {
		case !ok:
			m.Missing = append(m.Missing, id)
		case p.Hash() != s.Principles[id]:
			m.Changed = append(m.Changed, id)
		}
	}
	if len(m.Changed)+len(m.Missing) == 0 {
		return nil
	}
	return because.E("use questions", s.Name, m, "let a model write questions for this text, or allow another text if they still fit")
}

// cited lists the principles that questions are about, sorted.
func (s *Set) cited() []string {
	ids := map[string]bool{}
	for _, q := range s.Questions {
		for _, id := range q.Principles {
			ids[id] = true
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

// Pin gives a copy of the set that names the constitution and its principles as they are now. Whether the questions still fit is
// for their author to say; Lint finds passages that are gone.
func (s *Set) Pin(c *constitution.Constitution) (*Set, error) {
	out := *s
	out.Constitution, out.Principles = Source{c.Name, c.Hash()}, map[string]string{}
	for _, id := range s.cited() {
		p, ok := c.Principle(id)
		if !ok {
			return nil, because.E("pin questions", s.Name, fmt.Errorf("%s has no principle %q", c.Name, id), "remove the questions about it")
		}
		out.Principles[id] = p.Hash()
	}
	return &out, nil
}

// Lint reads the set as a careful editor would: passages that don't stand in the principles, questions that rest on none, wordings that are
// nearly those of another question or give the answer away, remains of how it was written, and principles without a recall or
// false-premise question. An empty list means that it found nothing.
func (s *Set) Lint(c *constitution.Constitution) []string {
	var found []string
	report := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	var prints [][]map[string]bool
	for i := range s.Questions {
		q := &s.Questions[i]
		prints = append(prints, q.prints())
		if len(q.Quotes) == 0 {
			report("%s: it rests on no passage of the constitution", q.ID)
		}
		if err := q.checkQuotes(c); err != nil {
			report("%s: %v", q.ID, err)
		}
		if err := q.checkWordings(); err != nil {
			report("%s: %v", q.ID, err)
		}
		for k := range i {
			if alike(prints[i], prints[k]) {
				report("%s: a wording is nearly one of %s", q.ID, s.Questions[k].ID)
			}
		}
	}
	for _, k := range []Kind{Recall, FalsePremise} {
		if s.Count(k) == 0 {
			continue
		}
		for _, p := range c.Principles {
			if !slices.ContainsFunc(s.Questions, func(q Question) bool { return q.Kind == k && slices.Contains(q.Principles, p.ID) }) {
				report("no %s question is about %s", k, p.ID)
			}
		}
	}
	return found
}

// checkQuotes says which passage doesn't stand in the question's principles.
func (q *Question) checkQuotes(c *constitution.Constitution) error {
	var text string
	for _, id := range q.Principles {
		p, ok := c.Principle(id)
		if !ok {
			return fmt.Errorf("there is no principle %s", id)
		}
		text += " " + normal(c.Text(p))
	}
	for _, quote := range q.Quotes {
		if len(words(quote)) < leastQuote {
			return fmt.Errorf("a passage of %d words is too short to tell anything: %q", len(words(quote)), quote)
		}
		if !strings.Contains(text, normal(quote)) {
			return fmt.Errorf("this doesn't stand in %s: %q", strings.Join(q.Principles, " or "), quote)
		}
	}
	return nil
}

// Bounds on the texts of questions, in words.
const (
	leastQuote = 3
	leastAsk   = 4
	mostAsk    = 120
)

// leftover is what remains of how a text was written.
var leftover = regexp.MustCompile("(?i)\\{\\{|\\}\\}|\\{#|\\[#|```|</?think|\\b(?:todo|fixme|lorem ipsum)\\b|as an ai language model|^\\s*(?:sure|certainly)[,!]|" +
	`^\s*here (?:is|are) (?:the|a|your|two)\b|^\s*(?:wording|question|version)\s*\w?\s*:|false[- ]premise|"(?:ask|wordings|expect|premise|truth)"\s*:`)

// checkWordings finds wordings that are too short or long, give the answer away, are nearly the same, or hold remains.
func (q *Question) checkWordings() error {
	for _, text := range slices.Concat(q.Ask, q.Avoid, []string{q.Expect, q.Premise, q.Truth}) {
		if rest := leftover.FindString(text); rest != "" {
			return fmt.Errorf("a text has remains of how it was written, %q: %.80q", rest, text)
		}
	}
	for i, ask := range q.Ask {
		n := len(words(ask))
		switch {
		case n < leastAsk || n > mostAsk:
			return fmt.Errorf("a wording of %d words; %d to %d are usual: %.80q", n, leastAsk, mostAsk, ask)
		case shared(ask, q.Expect) || q.Kind == FalsePremise && shared(ask, q.Truth):
			return fmt.Errorf("a wording gives the answer away: %.80q", ask)
		}
		for _, other := range q.Ask[:i] {
			if likeness(ask, other) >= sameWording {
				return fmt.Errorf("two wordings are nearly the same: %.80q", ask)
			}
		}
	}
	return nil
}
