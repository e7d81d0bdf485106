// Package words splits texts into words and compares runs of them, for checks on data: leaks, duplicates, contamination.
package words

import (
	"unicode"
	"unicode/utf8"
)

// Word is a word of a text: a run of letters and digits, apostrophes within it left out.
type Word struct {
	Hash     uint64 // of its letters in lower case
	From, To int    // bytes of the text
}

// FNV-1a's constants.
const (
	begin = 14695981039346656037
	prime = 1099511628211
)

// Split finds the words of a text.
func Split(text string) []Word {
	out := make([]Word, 0, len(text)/6+1)
	w := Word{Hash: begin, From: -1}
	for i, c := range text {
		switch {
		case unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.IsMark(c):
			if w.From < 0 {
				w.From = i
			}
			w.Hash = (w.Hash ^ uint64(unicode.ToLower(c))) * prime
			w.To = i + max(1, utf8.RuneLen(c))
		case c == '\'' || c == '’':
		case w.From >= 0:
			out = append(out, w)
			w = Word{Hash: begin, From: -1}
		}
	}
	if w.From >= 0 {
		out = append(out, w)
	}
	return out
}

// Gram hashes words in a row. Different ones have the same hash about once in 10^19 pairs.
func Gram(ws []Word) uint64 {
	h := uint64(begin)
	for _, w := range ws {
		h = (h ^ w.Hash) * prime
		h ^= h >> 29
	}
	return h
}

// Quote is how many words in a row are taken for a quotation.
const Quote = 8

// Repeats finds words that a text repeats from another one: Quote in a row, or all of the other where it has fewer, though no fewer than
// three. It gives the first ones as the text has them.
func Repeats(text, other string) (span string, found bool) {
	needle := Split(other)
	n := min(Quote, len(needle))
	if n < 3 {
		return "", false
	}
	ws := Split(text)
	grams := make(map[uint64]bool, len(needle))
	for i := 0; i+n <= len(needle); i++ {
		grams[Gram(needle[i:i+n])] = true
	}
	for i := 0; i+n <= len(ws); i++ {
		if grams[Gram(ws[i:i+n])] {
			return text[ws[i].From:ws[i+n-1].To], true
		}
	}
	return "", false
}
