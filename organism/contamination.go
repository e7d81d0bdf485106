package organism

import (
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
)

// reserved is what belongs to the evaluation alone: words (the held-out names and companies, the strangers, and
// words that only held-out kinds use) and decisive spans (neighbouring words that only held-out kinds use).
type reserved struct {
	words map[string]bool
	spans map[string]bool
}

func newReserved(lex *Lexicon) *reserved {
	r := &reserved{words: map[string]bool{}, spans: map[string]bool{}}
	free, freeSpans := map[string]bool{}, map[string]bool{}
	mark := func(words, spans map[string]bool, texts ...string) {
		for _, t := range texts {
			for _, w := range strings.Fields(t) {
				words[w] = true
			}
			markPairs(spans, t)
		}
	}
	for _, k := range lex.Train {
		mark(free, freeSpans, k.texts()...)
	}
	for _, m := range lex.Because {
		mark(free, freeSpans, m...)
	}
	for _, list := range [][]string{forms, lex.Excuses, lex.Goals, lex.Roles, lex.Tools, lex.Days, sortedKeys(lex.Topics), sortedValues(lex.Topics),
		lex.considerations, lex.principleNames, lex.People, lex.Companies, lex.Machines, lex.Characters, {lex.Persona, lex.Decoy}} {
		mark(free, freeSpans, list...)
	}
	held, heldSpans := map[string]bool{}, map[string]bool{}
	for _, k := range lex.Held {
		mark(held, heldSpans, k.texts()...)
	}
	for _, list := range [][]string{lex.HeldOutPeople, lex.HeldOutCompanies, lex.Strangers} {
		mark(held, heldSpans, list...)
	}
	for w := range held {
		if !free[w] {
			r.words[w] = true
		}
	}
	delete(r.words, "X")
	for s := range heldSpans {
		if !freeSpans[s] && decisive(s) {
			r.spans[s] = true
		}
	}
	return r
}

// functionWords are those of the templates: a span of two of them says nothing about a kind.
var functionWords = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(strings.Join(forms, " ")) {
		m[w] = true
	}
	return m
}()

// decisive tells whether a span of two words can give a held-out kind away: it names no person, and one of its words
// has a meaning of its own.
func decisive(span string) bool {
	a, b, _ := strings.Cut(span, " ")
	meaning := func(w string) bool { return len(w) > 3 && !functionWords[w] }
	return a != "X" && b != "X" && a != ":" && b != ":" && (meaning(a) || meaning(b))
}

// texts gives everything that can be said of a kind.
func (k *Kind) texts() []string {
	return append([]string{k.Harm, k.Good, k.Do, k.Instead}, k.Sees...)
}

// find gives the first reserved word or span of a text, or "".
func (r *reserved) find(text string) string {
	words := strings.Fields(text)
	for i, w := range words {
		if r.words[w] {
			return w
		}
		if i > 0 && r.spans[words[i-1]+" "+w] {
			return words[i-1] + " " + w
		}
	}
	return ""
}

// wordsOf gives everything that a record says.
func (w *World) wordsOf(r because.Record) string {
	if r.Text != "" {
		return r.Text
	}
	return w.template.Render(r.Messages[:len(r.Messages)-1], r.Messages[len(r.Messages)-1].Name, r.Messages[len(r.Messages)-1].Content)
}

// purge removes records that hold something reserved, then counts what is left of them: the second pass is the
// check that runs in every study, and it looks at the records that will be trained on.
func (w *World) purge(records []because.Record, card *data.Card) []because.Record {
	var clean []because.Record
	for _, r := range records {
		card.Contamination.Checked++
		if w.reserved.find(w.wordsOf(r)) != "" {
			card.Contamination.Removed++
			continue
		}
		clean = append(clean, r)
	}
	for _, r := range clean {
		if w.reserved.find(w.wordsOf(r)) != "" {
			card.Contamination.Hits++
		}
	}
	return clean
}
