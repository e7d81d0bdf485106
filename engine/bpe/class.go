package bpe

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// Classes of characters that pre-tokenizers and added tokens ask for. A character may be in several.
const (
	letter  = 1 << iota // \p{L}
	number              // \p{N}
	space               // \s
	upper               // [\p{Lu}\p{Lt}]
	lower               // \p{Ll}
	uncased             // [\p{Lm}\p{Lo}\p{M}]
	numeric             // what the Digits pre-tokenizer isolates
	word                // \w
)

// The reference implementation knows Unicode 16 (its \p{...} and \w) and Unicode 17 (its Digits); the standard
// library knows 15. These are the characters between them, from UnicodeData.
var (
	newUpper = &unicode.RangeTable{
		R16: []unicode.Range16{{0x1c89, 0x1c89, 1}, {0xa7cb, 0xa7cc, 1}, {0xa7da, 0xa7da, 1}, {0xa7dc, 0xa7dc, 1}},
		R32: []unicode.Range32{{0x10d50, 0x10d65, 1}},
	}
	newLower = &unicode.RangeTable{
		R16: []unicode.Range16{{0x1c8a, 0x1c8a, 1}, {0xa7cd, 0xa7cd, 1}, {0xa7db, 0xa7db, 1}},
		R32: []unicode.Range32{{0x10d70, 0x10d85, 1}},
	}
	newUncasedLetter = &unicode.RangeTable{R32: []unicode.Range32{
		{0x105c0, 0x105f3, 1}, {0x10d4a, 0x10d4f, 1}, {0x10d6f, 0x10d6f, 1}, {0x10ec2, 0x10ec4, 1}, {0x11380, 0x11389, 1},
		{0x1138b, 0x1138b, 1}, {0x1138e, 0x1138e, 1}, {0x11390, 0x113b5, 1}, {0x113b7, 0x113b7, 1}, {0x113d1, 0x113d1, 1},
		{0x113d3, 0x113d3, 1}, {0x11bc0, 0x11be0, 1}, {0x13460, 0x143fa, 1}, {0x16100, 0x1611d, 1}, {0x16d40, 0x16d6c, 1},
		{0x18cff, 0x18cff, 1}, {0x1e5d0, 0x1e5ed, 1}, {0x1e5f0, 0x1e5f0, 1}, {0x2ebf0, 0x2ee5d, 1},
	}}
	newMark = &unicode.RangeTable{
		R16: []unicode.Range16{{0x897, 0x897, 1}},
		R32: []unicode.Range32{
			{0x10d69, 0x10d6d, 1}, {0x10efc, 0x10efc, 1}, {0x113b8, 0x113c0, 1}, {0x113c2, 0x113c2, 1}, {0x113c5, 0x113c5, 1},
			{0x113c7, 0x113ca, 1}, {0x113cc, 0x113d0, 1}, {0x113d2, 0x113d2, 1}, {0x113e1, 0x113e2, 1}, {0x11f5a, 0x11f5a, 1},
			{0x1611e, 0x1612f, 1}, {0x1e5ee, 0x1e5ef, 1},
		},
	}
	newDigit = &unicode.RangeTable{R32: []unicode.Range32{
		{0x10d40, 0x10d49, 1}, {0x116d0, 0x116e3, 1}, {0x11bf0, 0x11bf9, 1}, {0x16130, 0x16139, 1}, {0x16d70, 0x16d79, 1},
		{0x1ccf0, 0x1ccf9, 1}, {0x1e5f1, 0x1e5fa, 1},
	}}
	newestNumber = &unicode.RangeTable{R32: []unicode.Range32{{0x11de0, 0x11de9, 1}, {0x16ff4, 0x16ff6, 1}}}
)

// classTable holds the classes of all characters, in blocks of 256; a nil block has none.
type classTable [(unicode.MaxRune + 1) >> 8]*[256]uint8

// classes is built on first use, which takes about a millisecond.
var classes = sync.OnceValue(func() *classTable {
	t := new(classTable)
	t.add(letter|upper|word, unicode.Lu, unicode.Lt, newUpper)
	t.add(letter|lower|word, unicode.Ll, newLower)
	t.add(letter|uncased|word, unicode.Lm, unicode.Lo, newUncasedLetter)
	t.add(uncased|word, unicode.M, newMark)
	t.add(number|numeric, unicode.N, newDigit)
	t.add(numeric, newestNumber)
	t.add(space, unicode.White_Space)
	t.add(word, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Join_Control, unicode.Other_Alphabetic, newDigit)
	return t
})

// add gives the characters of the tables the classes of the mask.
func (t *classTable) add(mask uint8, tables ...*unicode.RangeTable) {
	for _, table := range tables {
		for _, r := range table.R16 {
			t.addRange(mask, uint32(r.Lo), uint32(r.Hi), uint32(r.Stride))
		}
		for _, r := range table.R32 {
			t.addRange(mask, r.Lo, r.Hi, r.Stride)
		}
	}
}

func (t *classTable) addRange(mask uint8, lo, hi, stride uint32) {
	for c := lo; c <= hi; c += stride {
		if t[c>>8] == nil {
			t[c>>8] = new([256]uint8)
		}
		t[c>>8][c&255] |= mask
	}
}

// of gives the classes of the first character of s and its length in bytes; zero for an empty s. A byte that is
// no UTF-8 is a character without classes.
func (t *classTable) of(s string) (uint8, int) {
	if len(s) == 0 {
		return 0, 0
	}
	if c := s[0]; c < utf8.RuneSelf {
		return t[0][c], 1
	}
	r, n := utf8.DecodeRuneInString(s)
	return t.rune(r), n
}

// last gives the classes of the last character of s.
func (t *classTable) last(s string) uint8 {
	r, n := utf8.DecodeLastRuneInString(s)
	if n == 0 {
		return 0
	}
	return t.rune(r)
}

func (t *classTable) rune(r rune) uint8 {
	if b := t[r>>8]; b != nil {
		return b[r&255]
	}
	return 0
}

// run gives the length in bytes of the longest start of s whose characters have any class of the mask.
func (t *classTable) run(s string, mask uint8) int {
	i := 0
	for i < len(s) {
		c, n := t.of(s[i:])
		if c&mask == 0 {
			break
		}
		i += n
	}
	return i
}
