package quality

import (
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/judge"
)

// subject is what a judge is shown of a row: a conversation up to the assistant's last turn (of preferences, the chosen one), or a document,
// which a rubric about transcripts sees as one message. False where there is nothing to grade: a prompt without an answer, or a
// conversation where the rubric is about documents.
func subject(r columns.Row, rubric *judge.Rubric) (judge.Subject, bool) {
	s := judge.Subject{By: lineageOf(r).Sampled}
	switch kind := r.Kind(); {
	case kind == columns.SDF && rubric.About == judge.Text:
		s.Text = r.Text
	case rubric.About == judge.Text:
		return s, false
	case kind == columns.SDF:
		s.Transcript.Messages = []because.Message{{Role: because.RoleAssistant, Content: r.Text}}
	case kind == columns.SFT:
		s.Transcript = because.Transcript{Messages: r.Messages, Tools: r.Tools}
	case kind == columns.DPO:
		s.Transcript = because.Transcript{Messages: slices.Concat(r.Prompt, r.Chosen), Tools: r.Tools}
	default:
		return s, false
	}
	return s, true
}

// How a record came to its part of the constitution.
const (
	excerptCited = "cited by the record"
	excerptFound = "found by the record's words"
	excerptWhole = "the whole constitution"
)

// excerptWords bounds the principles that are found by words.
const excerptWords = 600

// excerpt gives the part of a constitution that bears on a row: the principle that its lineage cites, or else those that its words find.
func excerpt(c *constitution.Constitution, r columns.Row) (text, how string) {
	cited := lineageOf(r).Principle
	p, err := c.Resolve(cited)
	if err != nil && !strings.Contains(cited, "#") {
		p, _ = c.Principle(cited)
	}
	if p != nil {
		return c.Text(p), excerptCited
	}
	if found := c.Excerpt(opener(r)+" "+learnt(r), excerptWords); len(found) > 0 {
		return c.Text(found...), excerptFound
	}
	return c.Text(), excerptWhole
}
