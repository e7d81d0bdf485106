package judge

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/because-lab/because"
)

// messages is the ballot as a request.
func (b *ballot) messages(p *Prompt) []because.Message {
	return p.render(map[string]string{
		varInstructions: b.rubric.Instructions,
		varFacts:        b.background(),
		varSubject:      fence(b.marker, string(b.rubric.About), b.shown),
		varQuestions:    b.ask(),
		varFormat:       b.format(),
		varMarker:       b.marker,
	})
}

// background shows the facts, fenced like the material: a secret or an excerpt may hold any text.
func (b *ballot) background() string {
	if len(b.facts) == 0 {
		return ""
	}
	var s strings.Builder
	s.WriteString("# Background\n\nTrue for the purpose of grading:\n\n")
	for _, f := range b.rubric.Facts {
		for _, x := range b.facts {
			if x.title == f.Name {
				fmt.Fprintf(&s, "- `%s`: %s\n", f.Name, f.Means)
			}
		}
	}
	s.WriteString("\n" + fence(b.marker, "background", b.facts))
	return s.String()
}

// ask writes the questions with their answers.
func (b *ballot) ask() string {
	var s strings.Builder
	for i, q := range b.questions {
		if i > 0 {
			s.WriteString("\n")
		}
		fmt.Fprintf(&s, "## `%s`\n\n%s\n\n", q.ID, q.Text)
		switch q.Kind {
		case YesNo, Prefer:
			s.WriteString("Answer " + alternatives(b.answers[i]) + ".\n")
		case Choice:
			s.WriteString("Answer one of:\n\n" + anchors(b.answers[i]))
		case Scale:
			fmt.Fprintf(&s, "Answer a whole number from %d to %d. Some of them, described:\n\n%s", q.Min, q.Max, anchors(b.answers[i]))
		}
		s.WriteString(b.evidenceRule(q))
	}
	return strings.TrimRight(s.String(), "\n")
}

func alternatives(labels []Label) string {
	var names []string
	for _, l := range labels {
		names = append(names, "`"+l.Name+"`")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

func anchors(labels []Label) string {
	var s strings.Builder
	for _, l := range labels {
		fmt.Fprintf(&s, "- `%s`: %s\n", l.Name, strings.Join(strings.Fields(l.Means), " "))
	}
	return s.String()
}

func (b *ballot) evidenceRule(q *Question) string {
	var need []Label
	for _, answer := range b.allowed(q) {
		if b.needsEvidence(q, answer) {
			need = append(need, Label{Name: answer})
		}
	}
	switch {
	case len(need) == 0:
		return "\nA quotation is welcome where a passage decides; otherwise \"evidence\" is [].\n"
	case len(need) == len(b.allowed(q)):
		return "\nQuote the passage that decides.\n"
	case len(need) == 1:
		return "\nIf the answer is `" + need[0].Name + "`, quote the passage that decides; otherwise \"evidence\" may be [].\n"
	}
	return "\nIf the answer is " + alternatives(need) + ", quote the passage that decides; otherwise \"evidence\" may be [].\n"
}

// format says how to answer. The code comes last in the object: text that breaks out of a quotation earlier in it can close
// the object, but not with the code.
func (b *ballot) format() string {
	var s strings.Builder
	s.WriteString("Give one JSON object and nothing else, of this form:\n\n{\"answers\": {")
	for i, q := range b.questions {
		if i > 0 {
			s.WriteString(", ")
		}
		answer := `"..."`
		if q.Kind == Scale {
			answer = "..."
		}
		fmt.Fprintf(&s, `%s: {"evidence": [{"at": 1, "quote": "..."}], "why": "...", "answer": %s}`, strconv.Quote(q.ID), answer)
	}
	fmt.Fprintf(&s, "}, \"ballot\": %q}\n\n", b.code)
	s.WriteString("- \"evidence\" comes first: quotations of the material, word for word, each from one numbered part, without the \"" +
		strings.TrimSpace(quoted) + "\"; \"at\" is that part's number. The line that names a call can be quoted too.\n")
	s.WriteString("- \"why\" says in one to three sentences how the rubric applies to that.\n")
	s.WriteString("- \"answer\" follows from both.\n")
	fmt.Fprintf(&s, "- \"ballot\" comes last and is %q, which shows that the answer is yours.\n", b.code)
	s.WriteString("- Within a text, write a quotation mark as \\\" and a new line as \\n.")
	return s.String()
}
