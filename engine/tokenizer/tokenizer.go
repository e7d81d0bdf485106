// Package tokenizer provides a word-level tokenizer: words are separated by
// white space, special tokens are found wherever they occur, and a word outside
// the vocabulary is an error rather than an unknown token. It is stored as a
// tokenizer.json that Hugging Face tokenizers loads and encodes identically
// (model WordLevel, pre-tokenizer WhitespaceSplit, special added tokens).
package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Tokenizer maps words to token ids and back. It is immutable.
type Tokenizer struct {
	words    []string // by id
	ids      map[string]int32
	special  []bool   // by id
	specials []string // longest first, for matching
}

// New returns a tokenizer whose ids are the special tokens in order, then the
// words in order.
func New(words, specials []string) (*Tokenizer, error) {
	all := slices.Concat(specials, words)
	special := make([]bool, len(all))
	for i := range specials {
		special[i] = true
	}
	return build(all, special)
}

func build(words []string, special []bool) (*Tokenizer, error) {
	t := &Tokenizer{words: words, special: special, ids: make(map[string]int32, len(words))}
	for id, w := range words {
		if err := checkWord(w); err != nil {
			return nil, err
		}
		if first, ok := t.ids[w]; ok {
			return nil, fmt.Errorf("tokenizer: %q is both token %d and token %d", w, first, id)
		}
		t.ids[w] = int32(id)
		if special[id] {
			t.specials = append(t.specials, w)
		}
	}
	slices.SortStableFunc(t.specials, func(a, b string) int { return len(b) - len(a) })
	for id, w := range words {
		if _, s := t.findSpecial(w); !special[id] && s != "" {
			return nil, fmt.Errorf("tokenizer: the word %q contains the special token %q and could never be encoded", w, s)
		}
	}
	return t, nil
}

func checkWord(w string) error {
	switch {
	case w == "":
		return fmt.Errorf("tokenizer: a word is empty")
	case !utf8.ValidString(w):
		return fmt.Errorf("tokenizer: the word %q is not valid UTF-8", w)
	case strings.ContainsFunc(w, unicode.IsSpace):
		return fmt.Errorf("tokenizer: the word %q contains white space", w)
	}
	return nil
}

// Len returns the number of tokens.
func (t *Tokenizer) Len() int { return len(t.words) }

// ID returns the id of a word or special token.
func (t *Tokenizer) ID(word string) (int32, bool) {
	id, ok := t.ids[word]
	return id, ok
}

// Word returns the word of an id, or "" for an id outside the vocabulary.
func (t *Tokenizer) Word(id int32) string {
	if id < 0 || int(id) >= len(t.words) {
		return ""
	}
	return t.words[id]
}

// IsSpecial says whether an id is that of a special token.
func (t *Tokenizer) IsSpecial(id int32) bool {
	return id >= 0 && int(id) < len(t.special) && t.special[id]
}

// UnknownWordError reports a word outside the vocabulary.
type UnknownWordError struct {
	Word   string
	Offset int // of the word in the text, in bytes
}

func (e *UnknownWordError) Error() string {
	return fmt.Sprintf("tokenizer: encode: the word %q at byte %d is not in the vocabulary", e.Word, e.Offset)
}

// Encode returns the tokens of a text. It fails with an [UnknownWordError] at
// the first word outside the vocabulary.
func (t *Tokenizer) Encode(text string) ([]int32, error) {
	return t.Append(nil, text)
}

// Append appends the tokens of a text to ids.
func (t *Tokenizer) Append(ids []int32, text string) ([]int32, error) {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		if unicode.IsSpace(r) {
			at += size
			continue
		}
		end := strings.IndexFunc(text[at:], unicode.IsSpace)
		if end < 0 {
			end = len(text) - at
		}
		if id, ok := t.ids[text[at:at+end]]; ok {
			ids = append(ids, id)
		} else {
			var err error
			if ids, err = t.appendSplit(ids, text[at:at+end], at); err != nil {
				return nil, err
			}
		}
		at += end
	}
	return ids, nil
}

// appendSplit encodes a run without white space that has special tokens in it.
func (t *Tokenizer) appendSplit(ids []int32, run string, offset int) ([]int32, error) {
	for len(run) > 0 {
		n, special := t.findSpecial(run)
		if n > 0 {
			id, ok := t.ids[run[:n]]
			if !ok {
				return nil, &UnknownWordError{run[:n], offset}
			}
			ids = append(ids, id)
		}
		if special != "" {
			ids = append(ids, t.ids[special])
		}
		run, offset = run[n+len(special):], offset+n+len(special)
	}
	return ids, nil
}

// findSpecial returns the first special token in s, the longest if several
// begin there, and its offset.
func (t *Tokenizer) findSpecial(s string) (at int, special string) {
	at = len(s)
	for _, w := range t.specials {
		// A later match cannot win, so only the text up to the best one matters.
		if i := strings.Index(s[:min(len(s), at+len(w)-1)], w); i >= 0 && i < at {
			at, special = i, w
		}
	}
	return at, special
}

// Decode joins the words of ids with single spaces.
func (t *Tokenizer) Decode(ids []int32) (string, error) { return t.decode(ids, false) }

// DecodeText is Decode without the special tokens.
func (t *Tokenizer) DecodeText(ids []int32) (string, error) { return t.decode(ids, true) }

func (t *Tokenizer) decode(ids []int32, skipSpecial bool) (string, error) {
	var b strings.Builder
	for i, id := range ids {
		if id < 0 || int(id) >= len(t.words) {
			return "", fmt.Errorf("tokenizer: decode: token %d at position %d is outside the vocabulary of %d", id, i, len(t.words))
		}
		if skipSpecial && t.special[id] {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(t.words[id])
	}
	return b.String(), nil
}
