package quality

import (
	"cmp"
	"container/heap"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/because-lab/because/data/internal/words"
)

// share is a part of a whole, to four places.
func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return round(float64(n) / float64(of))
}

func round(x float64) float64 { return math.Round(x*1e4) / 1e4 }

// bounds of the bins of lengths, in words.
var bounds = []int{0, 10, 25, 50, 75, 100, 150, 200, 300, 400, 600, 800, 1200, 2000, 4000}

// lengths counts texts by their length.
type lengths struct {
	n, least, most int
	bins           [16]int
}

func (l *lengths) add(n int) {
	if l.n == 0 || n < l.least {
		l.least = n
	}
	l.most = max(l.most, n)
	l.n++
	i, _ := slices.BinarySearch(bounds, n)
	l.bins[i]++
}

func (l *lengths) length(of string) Length {
	out := Length{Of: of, N: l.n, Least: l.least, Most: l.most}
	below := 0
	for i, n := range l.bins {
		to := -1
		if i < len(bounds) {
			to = bounds[i]
		}
		if below < (l.n+1)/2 && below+n >= (l.n+1)/2 {
			out.Median = min(l.most, to)
			if i == len(bounds) {
				out.Median = l.most
			}
		}
		below += n
		if n > 0 {
			out.Bins = append(out.Bins, Bin{to, n})
		}
	}
	return out
}

// openings counts the first words of texts, by their hashes. The words are kept of those that come a second time.
type openings struct {
	n            int
	three, eight opened
}

type opened struct {
	seen  map[uint64]int32
	texts map[uint64]string
}

func (o *opened) note(text string, ws []words.Word) {
	if o.seen == nil {
		o.seen, o.texts = map[uint64]int32{}, map[uint64]string{}
	}
	key := words.Gram(ws)
	o.seen[key]++
	if o.seen[key] == 2 {
		o.texts[key] = strings.Clone(text[ws[0].From:ws[len(ws)-1].To])
	}
}

func (o *openings) add(text string) {
	o.n++
	end := min(len(text), 400)
	for end < len(text) && !utf8.RuneStart(text[end]) {
		end++
	}
	text = text[:end]
	ws := words.Split(text)
	if len(ws) >= 3 {
		o.three.note(text, ws[:3])
	}
	if len(ws) >= 8 {
		o.eight.note(text, ws[:8])
	}
}

const mostListed = 10

func (o *openings) opening(of string, n int) Opening {
	seen := o.three
	if n == 8 {
		seen = o.eight
	}
	out := Opening{Of: of, Words: n, N: o.n, Kinds: len(seen.seen)}
	for key, text := range seen.texts {
		count := int(seen.seen[key])
		out.Most = append(out.Most, Seen{text, count, share(count, o.n)})
	}
	slices.SortFunc(out.Most, func(a, b Seen) int { return cmp.Or(b.N-a.N, cmp.Compare(a.Text, b.Text)) })
	out.Most = out.Most[:min(mostListed, len(out.Most))]
	return out
}

// names counts capitalised words that do not begin a sentence, by the records that have them.
type names struct {
	banned map[string]bool
	seen   map[string]int
}

func newNames(banned []string) *names {
	n := &names{banned: map[string]bool{}, seen: map[string]int{}}
	for _, b := range banned {
		n.banned[b] = true
	}
	return n
}

func (n *names) add(text string) {
	here := map[string]bool{}
	begins := true // of a sentence
	for field := range strings.FieldsSeq(text) {
		word := strings.TrimFunc(field, func(r rune) bool { return !unicode.IsLetter(r) })
		word = strings.TrimSuffix(strings.TrimSuffix(word, "'s"), "’s")
		if isName(word) && (!begins || n.banned[word]) {
			here[word] = true
		}
		if word != "" || begins {
			last, _ := utf8.DecodeLastRuneInString(strings.TrimRight(field, `"'”’)*_`))
			begins = strings.ContainsRune(".!?:;—-–*#|>", last) || strings.HasPrefix(field, "#")
		}
	}
	for w := range here {
		n.seen[strings.Clone(w)]++
	}
}

// isName tells whether a word is written as names are: one capital, then small letters; I and its short forms are none.
func isName(word string) bool {
	first, size := utf8.DecodeRuneInString(word)
	if !unicode.IsUpper(first) || len(word) <= size || strings.ContainsAny(word[:min(len(word), 3)], "'’") {
		return false
	}
	for _, r := range word[size:] {
		if unicode.IsUpper(r) || unicode.IsDigit(r) {
			return false
		}
	}
	return true
}

// list gives the banned names, and the most frequent ones that more than one record has.
func (n *names) list(records int) []Name {
	var out []Name
	for name, count := range n.seen {
		if n.banned[name] || count > 1 {
			out = append(out, Name{name, count, n.banned[name]})
		}
	}
	slices.SortFunc(out, func(a, b Name) int {
		return cmp.Or(boolsFirst(a.Banned, b.Banned), b.Records-a.Records, cmp.Compare(a.Name, b.Name))
	})
	return out[:min(30, len(out))]
}

func boolsFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// sampleWords bounds the sample for distinct-n.
const sampleWords = 100_000

// sample keeps the texts with the least hashes, up to a number of words: the same ones whatever the order of the texts.
type sample struct {
	texts sampled
	words int
}

type sampledText struct {
	hash uint64
	ws   []uint64
}

// sampled is a heap with the greatest hash first.
type sampled []sampledText

func (s sampled) Len() int           { return len(s) }
func (s sampled) Less(i, j int) bool { return s[i].hash > s[j].hash }
func (s sampled) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }

// Push is for package heap.
func (s *sampled) Push(x any) { *s = append(*s, x.(sampledText)) }

// Pop is for package heap.
func (s *sampled) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

func (s *sample) add(text string) {
	split := words.Split(text)
	t := sampledText{hash: mix(words.Gram(split))}
	if s.words >= sampleWords && t.hash >= s.texts[0].hash {
		return
	}
	for _, w := range split {
		t.ws = append(t.ws, w.Hash)
	}
	heap.Push(&s.texts, t)
	s.words += len(t.ws)
	for s.words-len(s.texts[0].ws) >= sampleWords {
		s.words -= len(heap.Pop(&s.texts).(sampledText).ws)
	}
}

func (s *sample) variety() Variety {
	v := Variety{SampleWords: s.words}
	for n, to := range map[int]*float64{1: &v.Distinct1, 2: &v.Distinct2, 3: &v.Distinct3} {
		seen, all := map[[3]uint64]bool{}, 0
		for _, t := range s.texts {
			for i := 0; i+n <= len(t.ws); i++ {
				var gram [3]uint64
				copy(gram[:], t.ws[i:i+n])
				seen[gram] = true
				all++
			}
		}
		*to = share(len(seen), all)
	}
	return v
}
