package constitution

import (
	"strings"
	"unicode"
)

// stopWords carry no topic. Shared by the index and the queries.
var stopWords = set(`a about after all also am an and any are as at be because been before being but by can cannot could did do does doing done
	for from get got had has have having he her here hers him his how i if in into is isn it its just know let like made make may me might more most
	much must my no not now of off on once one only or other our out over own s said same say she should so some such t than that the their them then
	there these they thing this those through to too under until up us very want was we were what when where which while who whom whose why will
	with without would yes yet you your don doesn didn won ll re ve m d`)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// terms gives the words of a text that carry a topic, lower-case and without English endings.
func terms(text string) []string {
	var out []string
	for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if !stopWords[word] {
			out = append(out, stem(word))
		}
	}
	return out
}

// endings are tried in this order; what is left must have a vowel and three letters at least.
var endings = []struct{ cut, put string }{
	{"ousness", "ous"}, {"fulness", "ful"}, {"ations", ""}, {"ation", ""}, {"ities", ""}, {"ments", ""}, {"ment", ""}, {"ness", ""}, {"ity", ""},
	{"edly", ""}, {"ingly", ""}, {"ies", "y"}, {"ied", "y"}, {"ings", ""}, {"ing", ""}, {"ions", ""}, {"ion", ""}, {"ers", ""}, {"sses", "ss"}, {"ily", "ily"},
	{"ed", ""}, {"er", ""}, {"ly", ""}, {"ses", "s"}, {"es", ""}, {"s", ""},
}

// stem cuts an English ending off, so that forms of a word meet: sharing, shared and shares give shar. It is much cruder
// than Porter's algorithm, and enough to find a principle.
func stem(word string) string {
	for _, e := range endings {
		base, ok := strings.CutSuffix(word, e.cut)
		if !ok || len(base) < 3 || !strings.ContainsAny(base, "aeiouy") || e.cut == "s" && strings.HasSuffix(base, "s") {
			continue
		}
		if n := len(base); e.put == "" && n > 3 && base[n-1] == base[n-2] && !strings.ContainsRune("lsz", rune(base[n-1])) {
			base = base[:n-1] // shutting -> shut
		}
		word = base + e.put
		break
	}
	if len(word) > 3 {
		word = strings.TrimSuffix(word, "e")
	}
	if base, ok := strings.CutSuffix(word, "y"); ok && len(base) > 2 {
		word = base + "i"
	}
	return word
}
