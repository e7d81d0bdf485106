package bpe

import (
	"fmt"
	"unicode/utf8"
)

// trie finds the longest of a set of texts that a text begins with.
type trie struct {
	next []map[byte]int32 // by node; node 0 is the root
	leaf []int32          // by node: what ends here, or -1
}

func newTrie() *trie { return &trie{next: []map[byte]int32{nil}, leaf: []int32{-1}} }

// add enters a text and gives what was entered for it before, or -1.
func (t *trie) add(text string, value int32) int32 {
	node := int32(0)
	for i := range len(text) {
		child, ok := t.next[node][text[i]]
		if !ok {
			child = int32(len(t.next))
			t.next, t.leaf = append(t.next, nil), append(t.leaf, -1)
			if t.next[node] == nil {
				t.next[node] = map[byte]int32{}
			}
			t.next[node][text[i]] = child
		}
		node = child
	}
	old := t.leaf[node]
	t.leaf[node] = value
	return old
}

// longest gives the longest entry at the start of s and its length, -1 and 0 if none is there.
func (t *trie) longest(s string) (value int32, n int) {
	value = -1
	node := int32(0)
	for i := range len(s) {
		child, ok := t.next[node][s[i]]
		if !ok {
			break
		}
		node = child
		if t.leaf[node] >= 0 {
			value, n = t.leaf[node], i+1
		}
	}
	return value, n
}

// finder finds added tokens in a text.
type finder struct {
	tokens []Added
	trie   *trie
	starts [256]bool // bytes that a token begins with
}

// newFinder makes a finder of tokens; texts are what to look for, as long as tokens.
func newFinder(tokens []Added, texts []string) (*finder, error) {
	f := &finder{tokens: tokens, trie: newTrie()}
	for i, text := range texts {
		if text == "" {
			return nil, fmt.Errorf("added_tokens: %q is empty once normalized", tokens[i].Content)
		}
		if old := f.trie.add(text, int32(i)); old >= 0 {
			return nil, fmt.Errorf("added_tokens: %q and %q are the same once normalized", tokens[old].Content, tokens[i].Content)
		}
		f.starts[text[0]] = true
	}
	return f, nil
}

// split cuts a text at the tokens that it has, the leftmost first and of those the longest. It calls token for
// each of them and text for what lies between, in order. A special token counts only where the mask trusts all of
// its bytes.
func (f *finder) split(s string, m mask, text func(start, end int), token func(id int32)) {
	done := 0
	for at := 0; at < len(s); {
		if !f.starts[s[at]] {
			at++
			continue
		}
		i, n := f.trie.longest(s[at:])
		if i < 0 {
			at++
			continue
		}
		a, start, end := &f.tokens[i], at, at+n
		if a.Special && !m.span(start, end) {
			// What follows an untrusted look-alike is searched on from its end, but a token that begins within
			// trusted text must not be lost to it.
			at = m.next(start+1, end)
			continue
		}
		at = end
		if a.SingleWord && touchesWord(s, start, end) {
			continue
		}
		if a.LStrip {
			start = trimRight(s[:start]) // as far as no token before it has taken that white space already
		}
		if a.RStrip {
			end += classes().run(s[end:], space) // the search itself goes on before that white space
		}
		if start > done {
			text(done, start)
		}
		token(a.ID)
		done = end
	}
	if done < len(s) {
		text(done, len(s))
	}
}

// touchesWord tells whether a word character stands right before or after a part of a text.
func touchesWord(s string, start, end int) bool {
	after, _ := classes().of(s[end:])
	return (classes().last(s[:start])|after)&word != 0
}

// trimRight gives the length of s without the white space at its end.
func trimRight(s string) int {
	for len(s) > 0 {
		_, n := utf8.DecodeLastRuneInString(s)
		if classes().last(s)&space == 0 {
			break
		}
		s = s[:len(s)-n]
	}
	return len(s)
}
