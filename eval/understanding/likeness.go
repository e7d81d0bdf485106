package understanding

import (
	"slices"
	"strings"
	"unicode"
)

// words gives the words of a text in lower case, without punctuation.
func words(text string) []string {
	text = strings.NewReplacer("'", "", "’", "").Replace(strings.ToLower(text))
	return strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// normal is a text as its words, so that neither wrapping nor punctuation matters.
func normal(text string) string { return strings.Join(words(text), " ") }

// grams gives the runs of n words of a text; a shorter text is one run.
func grams(text string, n int) map[string]bool {
	all, w := map[string]bool{}, words(text)
	for i := 0; i+n <= len(w); i++ {
		all[strings.Join(w[i:i+n], " ")] = true
	}
	if len(all) == 0 && len(w) > 0 {
		all[strings.Join(w, " ")] = true
	}
	return all
}

// likeness is the share of runs of three words that two texts have in common, of all that either has (Jaccard).
func likeness(a, b string) float64 { return overlap(grams(a, 3), grams(b, 3)) }

func overlap(x, y map[string]bool) float64 {
	both := 0
	for g := range x {
		if y[g] {
			both++
		}
	}
	if both == 0 {
		return 0
	}
	return float64(both) / float64(len(x)+len(y)-both)
}

// From these shares on texts count as the same. Within an item some likeness is natural; between items it makes two of one.
const (
	sameWording  = 0.8
	sameQuestion = 0.6
)

// prints gives the runs of words of each of a question's wordings.
func (q *Question) prints() []map[string]bool {
	var out []map[string]bool
	for _, ask := range q.Ask {
		out = append(out, grams(ask, 3))
	}
	return out
}

// alike tells whether two questions have nearly a wording in common, by their prints.
func alike(a, b []map[string]bool) bool {
	return slices.ContainsFunc(a, func(x map[string]bool) bool {
		return slices.ContainsFunc(b, func(y map[string]bool) bool { return overlap(x, y) >= sameQuestion })
	})
}

// leakedWords is how long a run of words must be for a question to give away what an answer should say.
const leakedWords = 7

// shared tells whether a run of words of the answer stands in the question.
func shared(question, answer string) bool {
	if len(words(answer)) < leakedWords {
		return false
	}
	in := grams(question, leakedWords)
	for g := range grams(answer, leakedWords) {
		if in[g] {
			return true
		}
	}
	return false
}
