package bpe

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Train makes a byte-level BPE of at most vocabSize tokens from texts, with the pre-tokenizer of GPT-2: first the
// special tokens in their order, then the 256 bytes, then merges, the most frequent pair first and of equal ones that
// with the smaller ids (Sennrich et al. 2016). It is what the BpeTrainer of Hugging Face tokenizers makes with a
// byte-level alphabet. Equal texts in any order give an equal tokenizer.
func Train(texts iter.Seq[string], vocabSize int, specials []string) (*Tokenizer, error) {
	f := file{
		PreTokenizer:  json.RawMessage(`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`),
		PostProcessor: json.RawMessage(`{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,"use_regex":true}`),
		Decoder:       json.RawMessage(byteLevelDecoder),
	}
	counts := map[string]int{}
	for text := range texts {
		each(scanGPT2)(text, true, func(piece string, _ bool) { counts[piece]++ })
	}
	tr := trainer{tokens: []string{}, ids: map[string]int32{}, counts: map[[2]int32]int{}}
	for i, s := range specials {
		if _, ok := tr.ids[s]; ok || s == "" {
			return nil, fmt.Errorf("bpe: train: special token %d (%q) is empty or there twice", i, s)
		}
		f.AddedTokens = append(f.AddedTokens, Added{ID: tr.token(s), Content: s, Special: true})
	}
	if vocabSize < len(specials)+256 {
		return nil, fmt.Errorf("bpe: train: vocabulary of %d is too small for %d special tokens and 256 bytes", vocabSize, len(specials))
	}
	if vocabSize > 1<<24 {
		return nil, fmt.Errorf("bpe: train: vocabulary of %d is too large", vocabSize)
	}
	tr.start(counts)
	f.Model = &modelFile{Type: "BPE", Merges: tr.run(vocabSize), Vocab: tr.ids}
	t, err := build(f)
	if err != nil {
		return nil, fmt.Errorf("bpe: train: %w", err)
	}
	if len(counts) == 0 {
		return nil, errors.New("bpe: train: there is no text")
	}
	return t, nil
}

// trainer holds the words of a corpus as they are merged.
type trainer struct {
	tokens []string
	ids    map[string]int32
	words  []trainWord
	counts map[[2]int32]int // how often each pair stands side by side
	queue  []candidate      // a binary heap, the best candidate first
}

// trainWord is a piece of text and how often it occurs.
type trainWord struct {
	ids   []int32
	count int
}

// candidate is a pair with the words that it was last found in, and its count at that time.
type candidate struct {
	pair  [2]int32
	count int
	words []int32
}

// better orders candidates: more frequent first, then smaller ids.
func (c candidate) better(d candidate) bool {
	if c.count != d.count {
		return c.count > d.count
	}
	return slices.Compare(c.pair[:], d.pair[:]) < 0
}

// token gives the id of a token, a new one if need be.
func (tr *trainer) token(s string) int32 {
	if id, ok := tr.ids[s]; ok {
		return id
	}
	id := int32(len(tr.tokens))
	tr.tokens, tr.ids[s] = append(tr.tokens, s), id
	return id
}

// start spells the words in bytes and counts pairs.
func (tr *trainer) start(counts map[string]int) {
	alphabet := slices.Sorted(slices.Values(byteRunes[:]))
	for _, r := range alphabet {
		tr.token(string(r))
	}
	var table [256]int32
	for b, r := range byteRunes {
		table[b] = tr.ids[string(r)]
	}
	found := map[[2]int32][]int32{}
	for _, text := range slices.Sorted(maps.Keys(counts)) {
		w := trainWord{make([]int32, len(text)), counts[text]}
		for i := range len(text) {
			w.ids[i] = table[text[i]]
		}
		for i := range len(w.ids) - 1 {
			tr.found(found, [2]int32{w.ids[i], w.ids[i+1]}, int32(len(tr.words)), w.count)
		}
		tr.words = append(tr.words, w)
	}
	tr.offer(found)
}

// found counts a pair in a word.
func (tr *trainer) found(where map[[2]int32][]int32, pair [2]int32, word int32, count int) {
	tr.counts[pair] += count
	if w := where[pair]; len(w) == 0 || w[len(w)-1] != word {
		where[pair] = append(w, word)
	}
}

// offer queues the pairs of newly formed neighbours.
func (tr *trainer) offer(where map[[2]int32][]int32) {
	for _, pair := range slices.SortedFunc(maps.Keys(where), func(a, b [2]int32) int { return slices.Compare(a[:], b[:]) }) {
		if n := tr.counts[pair]; n > 0 {
			tr.push(candidate{pair, n, where[pair]})
		}
	}
}

// run merges until the vocabulary is full or no pair is left.
func (tr *trainer) run(vocabSize int) merges {
	out := merges{}
	for len(tr.tokens) < vocabSize && len(tr.queue) > 0 {
		c := tr.pop()
		if n := tr.counts[c.pair]; n != c.count {
			if n > 0 {
				c.count = n // it has become rarer since
				tr.push(c)
			}
			continue
		}
		a, b := tr.tokens[c.pair[0]], tr.tokens[c.pair[1]]
		made := tr.token(a + b)
		out = append(out, [2]string{a, b})
		where := map[[2]int32][]int32{}
		for _, w := range c.words {
			tr.mergeWord(w, c.pair, made, where)
		}
		tr.offer(where)
	}
	return out
}

// mergeWord merges a pair in a word and updates the counts of its neighbours.
func (tr *trainer) mergeWord(word int32, pair [2]int32, made int32, where map[[2]int32][]int32) {
	w := &tr.words[word]
	out := w.ids[:0]
	for i := 0; i < len(w.ids); i++ {
		if i+1 == len(w.ids) || w.ids[i] != pair[0] || w.ids[i+1] != pair[1] {
			out = append(out, w.ids[i])
			continue
		}
		if len(out) > 0 {
			left := out[len(out)-1]
			tr.counts[[2]int32{left, pair[0]}] -= w.count
			tr.found(where, [2]int32{left, made}, word, w.count)
		}
		if i+2 < len(w.ids) {
			right := w.ids[i+2]
			tr.counts[[2]int32{pair[1], right}] -= w.count
			tr.found(where, [2]int32{made, right}, word, w.count)
		}
		out = append(out, made)
		i++
	}
	w.ids = out
}

func (tr *trainer) push(c candidate) {
	q := append(tr.queue, c)
	for i := len(q) - 1; i > 0 && q[i].better(q[(i-1)/2]); i = (i - 1) / 2 {
		q[i], q[(i-1)/2] = q[(i-1)/2], q[i]
	}
	tr.queue = q
}

func (tr *trainer) pop() candidate {
	q := tr.queue
	top := q[0]
	q[0] = q[len(q)-1]
	q = q[:len(q)-1]
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(q) {
			break
		}
		if child+1 < len(q) && q[child+1].better(q[child]) {
			child++
		}
		if !q[child].better(q[i]) {
			break
		}
		q[i], q[child] = q[child], q[i]
		i = child
	}
	tr.queue = q
	return top
}
