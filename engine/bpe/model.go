package bpe

import (
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// none marks the absence of a token.
const none = int32(-1)

// model turns one piece of text into tokens: characters first, then merges, the best first (Sennrich et al. 2016).
type model struct {
	merges    pairs
	byteLevel bool             // characters are bytes
	bytes     [256]int32       // byte-level: the token of a byte, or none
	runes     map[rune]int32   // else: the token of a character
	fallback  *[256]int32      // tokens of bytes, or none, for a character that has no token itself; nil: not used
	unk       int32            // for what has no token at all, or none: such characters are left out
	fuseUnk   bool             // a run of unknown characters is one unk
	whole     map[string]int32 // pieces that are tokens as they are, without merges; nil unless ignore_merges
}

// pairs is a hash table from two tokens to the rank of their merge and the token that it makes.
type pairs struct {
	slots []pairSlot
	shift int
}

type pairSlot struct {
	a, b int32 // a is none in a free slot
	rank uint32
	made int32
}

// newPairs makes a table for n merges.
func newPairs(n int) pairs {
	size := 2
	for size < 2*n {
		size *= 2
	}
	p := pairs{make([]pairSlot, size), 64 - bits.TrailingZeros(uint(size))}
	for i := range p.slots {
		p.slots[i].a = none
	}
	return p
}

// slot gives the place of a pair: its own, or the free one where it belongs.
func (p *pairs) slot(a, b int32) *pairSlot {
	h := (uint64(uint32(a))<<32 | uint64(uint32(b))) * 0x9e3779b97f4a7c15 >> p.shift // Fibonacci hashing
	for {
		s := &p.slots[h]
		if s.a == none || s.a == a && s.b == b {
			return s
		}
		h = (h + 1) & uint64(len(p.slots)-1)
	}
}

// put sets a merge; a later one of the same pair replaces it.
func (p *pairs) put(a, b int32, rank uint32, made int32) { *p.slot(a, b) = pairSlot{a, b, rank, made} }

// get finds a merge.
func (p *pairs) get(a, b int32) (rank uint32, made int32, ok bool) {
	s := p.slot(a, b)
	return s.rank, s.made, s.a != none
}

// symbol is a token in a doubly linked list; gone ones were merged into the one on their left.
type symbol struct {
	id         int32
	prev, next int32 // or none
	gone       bool
}

// scratch is the working memory of encoding, used by one goroutine at a time.
type scratch struct {
	symbols []symbol
	heap    []uint64           // rank<<32 | position
	cache   map[string][]int32 // tokens of short pieces seen before
	ids     []int32
}

// Bounds of the cache: pieces longer than cachePiece bytes are rare and rarely come again.
const (
	cachePiece   = 64
	cacheEntries = 1 << 14
)

// encode appends the tokens of a piece to w.ids.
func (m *model) encode(piece string, w *scratch) {
	if id, ok := m.whole[piece]; ok {
		w.ids = append(w.ids, id)
		return
	}
	if len(piece) > cachePiece {
		m.merge(piece, w)
		return
	}
	if ids, ok := w.cache[piece]; ok {
		w.ids = append(w.ids, ids...)
		return
	}
	start := len(w.ids)
	m.merge(piece, w)
	if len(w.cache) >= cacheEntries {
		clear(w.cache)
	}
	w.cache[string([]byte(piece))] = append([]int32(nil), w.ids[start:]...) // the copy lets go of the whole text
}

// merge appends the tokens of a piece to w.ids, computing them.
func (m *model) merge(piece string, w *scratch) {
	w.symbols = w.symbols[:0]
	m.symbols(piece, w)
	w.heap = w.heap[:0]
	for i := range len(w.symbols) - 1 {
		m.offer(w, int32(i), int32(i+1))
	}
	for len(w.heap) > 0 {
		top := w.pop()
		at := int32(uint32(top))
		s := &w.symbols[at]
		if s.gone || s.next == none {
			continue
		}
		next := &w.symbols[s.next]
		rank, made, ok := m.merges.get(s.id, next.id)
		if !ok || rank != uint32(top>>32) {
			continue // an entry from before a neighbour changed
		}
		s.id, next.gone = made, true
		if s.next = next.next; s.next != none {
			w.symbols[s.next].prev = at
			m.offer(w, at, s.next)
		}
		if s.prev != none {
			m.offer(w, s.prev, at)
		}
	}
	for _, s := range w.symbols {
		if !s.gone {
			w.ids = append(w.ids, s.id)
		}
	}
}

// offer queues the merge of two neighbours, if there is one.
func (m *model) offer(w *scratch, left, right int32) {
	if rank, _, ok := m.merges.get(w.symbols[left].id, w.symbols[right].id); ok {
		w.push(uint64(rank)<<32 | uint64(left))
	}
}

// symbols cuts a piece into the tokens of its characters. An unk is held back until a character with a token
// follows: that order is the reference implementation's.
func (m *model) symbols(piece string, w *scratch) {
	held := false
	for i := 0; i < len(piece); {
		id, n := m.char(piece[i:])
		switch {
		case id != none:
			if held {
				w.add(m.unk)
				held = false
			}
			w.add(id)
		case m.fallback != nil && m.addBytes(piece[i:i+n], w):
		case m.unk != none:
			if held && !m.fuseUnk {
				w.add(m.unk)
			}
			held = true
		}
		i += n
	}
	if held {
		w.add(m.unk)
	}
}

// char gives the token of the first character of s, or none, and its length in bytes.
func (m *model) char(s string) (int32, int) {
	if m.byteLevel {
		return m.bytes[s[0]], 1
	}
	r, n := utf8.DecodeRuneInString(s)
	if id, ok := m.runes[r]; ok && (r != utf8.RuneError || n > 1) {
		return id, n
	}
	return none, n
}

// addBytes spells a character with tokens of bytes, if there is one for each.
func (m *model) addBytes(char string, w *scratch) bool {
	if m.byteLevel {
		char = spell(char)
	}
	for i := range len(char) {
		if m.fallback[char[i]] == none {
			return false
		}
	}
	for i := range len(char) {
		w.add(m.fallback[char[i]])
	}
	return true
}

func (w *scratch) add(id int32) {
	n := int32(len(w.symbols))
	if n > 0 {
		w.symbols[n-1].next = n
	}
	w.symbols = append(w.symbols, symbol{id: id, prev: n - 1, next: none})
}

// push and pop keep w.heap a binary heap, the smallest first: the best rank, and of equal ranks the leftmost.
func (w *scratch) push(x uint64) {
	h := append(w.heap, x)
	i := len(h) - 1
	for i > 0 && h[(i-1)/2] > x {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i] = x
	w.heap = h
}

func (w *scratch) pop() uint64 {
	h := w.heap
	top, x := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	i := 0
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1] < h[child] {
			child++
		}
		if h[child] >= x {
			break
		}
		h[i] = h[child]
		i = child
	}
	if len(h) > 0 {
		h[i] = x
	}
	w.heap = h
	return top
}

// newModel builds the model of a tokenizer.json. special marks the tokens that plain text must not become.
func newModel(f *modelFile, byteLevel bool, special map[string]bool) (*model, error) {
	m := &model{byteLevel: byteLevel, unk: none, fuseUnk: yes(f.FuseUnk)}
	if f.UnkToken != nil {
		id, ok := f.Vocab[*f.UnkToken]
		if !ok {
			return nil, fmt.Errorf("model.unk_token %q is not in the vocabulary", *f.UnkToken)
		}
		m.unk = id
	}
	m.addCharacters(f, special)
	if yes(f.ByteFallback) {
		m.addFallback(f)
	}
	return m, m.addMerges(f, special)
}

// addCharacters fills in the tokens that are one character, and the whole pieces.
func (m *model) addCharacters(f *modelFile, special map[string]bool) {
	m.runes = map[rune]int32{}
	if yes(f.IgnoreMerges) {
		m.whole = make(map[string]int32, len(f.Vocab))
	}
	for i := range m.bytes {
		m.bytes[i] = none
	}
	for token, id := range f.Vocab {
		if special[token] {
			continue
		}
		text, ok := []byte(token), true
		if m.byteLevel {
			text, ok = unspell(token)
		}
		switch {
		case !ok:
			continue // no text is spelled like this
		case m.byteLevel && len(text) == 1:
			m.bytes[text[0]] = id
		case utf8.RuneCountInString(token) == 1:
			r, _ := utf8.DecodeRuneInString(token)
			m.runes[r] = id
		}
		if m.whole != nil && len(text) > 0 {
			m.whole[string(text)] = id
		}
	}
}

// addFallback fills in the tokens of bytes.
func (m *model) addFallback(f *modelFile) {
	m.fallback = new([256]int32)
	for b := range m.fallback {
		id, ok := f.Vocab[fmt.Sprintf("<0x%02X>", b)]
		if !ok {
			id = none
		}
		m.fallback[b] = id
	}
}

// addMerges fills in the merges.
func (m *model) addMerges(f *modelFile, special map[string]bool) error {
	m.merges = newPairs(len(f.Merges))
	for i, p := range f.Merges {
		made, ok := f.Vocab[p[0]+p[1]]
		if !ok {
			return fmt.Errorf("model.merges[%d]: %q is not in the vocabulary", i, p[0]+p[1])
		}
		a, okA := f.Vocab[p[0]]
		b, okB := f.Vocab[p[1]]
		if !okA || !okB {
			return fmt.Errorf("model.merges[%d]: %q or %q is not in the vocabulary", i, p[0], p[1])
		}
		if special[p[0]+p[1]] || special[p[0]] || special[p[1]] {
			continue // plain text must not become a special token, whatever the file says
		}
		m.merges.put(a, b, uint32(i), made)
	}
	return nil
}

func yes(b *bool) bool { return b != nil && *b }
