package bpe

import (
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// laterMarks are the characters that have a combining class since Unicode 10. The reference implementation
// normalizes by Unicode 9, in which they are starters, so they stay where they are.
var laterMarks = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x7fd, 0x7fd, 1}, {0x898, 0x89f, 1}, {0x8ca, 0x8d3, 1}, {0x9fe, 0x9fe, 1}, {0xc3c, 0xc3c, 1}, {0xd3b, 0xd3c, 1},
		{0xeba, 0xeba, 1}, {0x1715, 0x1715, 1}, {0x1abf, 0x1ace, 1}, {0x1df6, 0x1dfa, 1}, {0xa82c, 0xa82c, 1},
	},
	R32: []unicode.Range32{
		{0x10d24, 0x10d27, 1}, {0x10eab, 0x10eac, 1}, {0x10efd, 0x10eff, 1}, {0x10f46, 0x10f50, 1}, {0x10f82, 0x10f85, 1},
		{0x11070, 0x11070, 1}, {0x1133b, 0x1133b, 1}, {0x1145e, 0x1145e, 1}, {0x11839, 0x1183a, 1}, {0x1193d, 0x1193e, 1},
		{0x11943, 0x11943, 1}, {0x119e0, 0x119e0, 1}, {0x11a34, 0x11a34, 1}, {0x11a47, 0x11a47, 1}, {0x11a99, 0x11a99, 1},
		{0x11d42, 0x11d42, 1}, {0x11d44, 0x11d45, 1}, {0x11d97, 0x11d97, 1}, {0x11f41, 0x11f42, 1}, {0x16ff0, 0x16ff1, 1},
		{0x1e08f, 0x1e08f, 1}, {0x1e130, 0x1e136, 1}, {0x1e2ae, 0x1e2ae, 1}, {0x1e2ec, 0x1e2ef, 1}, {0x1e4ec, 0x1e4ef, 1},
	},
}

// Hangul syllables are composed by arithmetic (Unicode standard, section 3.12).
const (
	hangulS, hangulL, hangulV, hangulT    = 0xac00, 0x1100, 0x1161, 0x11a7
	hangulLs, hangulVs, hangulTs, hangulN = 19, 21, 28, 19 * 21 * 28
)

// compositions maps a starter and what follows it to the character that both make.
var compositions = sync.OnceValue(func() map[[2]rune]rune {
	pairs := map[[2]rune]rune{}
	add := func(lo, hi rune) {
		for c := lo; c <= hi; c++ {
			s := string(c)
			d := []rune(string(norm.NFC.PropertiesString(s).Decomposition()))
			if len(d) < 2 || norm.NFC.String(s) != s {
				continue // has no decomposition, or is excluded from composition
			}
			first := []rune(norm.NFC.String(string(d[:len(d)-1])))
			if len(first) == 1 {
				pairs[[2]rune{first[0], d[len(d)-1]}] = c
			}
		}
	}
	add(0xa0, 0x30ff)
	add(0x11080, 0x1192f) // what Unicode 9 has; 0x11938 came later
	return pairs
})

// mark is a character on its way through composition.
type mark struct {
	r       rune
	class   uint8
	trusted bool // see mask
}

// nfc brings a text into canonical composed form as the reference implementation does, whose tables are those of
// Unicode 9 and which has no limit on the number of marks. Bytes that are no UTF-8 stay as they are.
func nfc(s string, m mask) (string, mask) {
	if norm.NFC.IsNormalString(s) {
		return s, m
	}
	w := writer{out: make([]byte, 0, len(s)), mask: m.like()}
	var pending []mark // a starter and what may combine with it
	flush := func() {
		for _, c := range compose(pending) {
			w.rune(c.r, c.trusted)
		}
		pending = pending[:0]
	}
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r < utf8.RuneSelf:
			flush()
			pending = append(pending, mark{r, 0, m.at(i)})
		case r == utf8.RuneError && n == 1:
			flush()
			w.byte(s[i], m.at(i))
		default:
			for _, c := range decompose(r, s[i:i+n], m.at(i)) {
				if c.class == 0 && !joins(pending, c.r) {
					flush()
				}
				pending = append(pending, c)
			}
		}
		i += n
	}
	flush()
	return string(w.out), w.mask
}

// decompose gives the canonical decomposition of the character r, which is spelled s, with combining classes.
func decompose(r rune, s string, trusted bool) []mark {
	if i := r - hangulS; 0 <= i && i < hangulN {
		m := []mark{{hangulL + i/(hangulVs*hangulTs), 0, trusted}, {hangulV + i%(hangulVs*hangulTs)/hangulTs, 0, trusted}}
		if i%hangulTs != 0 {
			m = append(m, mark{hangulT + i%hangulTs, 0, trusted})
		}
		return m
	}
	d := norm.NFC.PropertiesString(s).Decomposition()
	if d == nil || r == 0x11938 { // whose decomposition came with Unicode 13
		return []mark{{r, combiningClass(r), trusted}}
	}
	var m []mark
	for _, r := range string(d) {
		m = append(m, mark{r, combiningClass(r), trusted})
	}
	return m
}

func combiningClass(r rune) uint8 {
	if r < 0x300 || unicode.Is(laterMarks, r) {
		return 0
	}
	return norm.NFC.PropertiesString(string(r)).CCC()
}

// joins tells whether a starter may combine with what is pending, so that it must wait with it.
func joins(pending []mark, r rune) bool {
	if len(pending) == 0 {
		return false
	}
	if isVowelOrTail(r) {
		return true
	}
	last := compose(slices.Clone(pending))
	_, ok := compositions()[[2]rune{last[len(last)-1].r, r}]
	return ok
}

func isVowelOrTail(r rune) bool {
	return hangulV <= r && r < hangulV+hangulVs || hangulT < r && r < hangulT+hangulTs
}

// compose orders marks by class and combines them with their starter, in place (Unicode standard, section 3.11).
func compose(m []mark) []mark {
	for i := 0; i < len(m); {
		j := i + 1
		if m[i].class != 0 {
			for j < len(m) && m[j].class != 0 {
				j++
			}
			slices.SortStableFunc(m[i:j], func(a, b mark) int { return int(a.class) - int(b.class) })
		}
		i = j
	}
	out := m[:0]
	starter := -1
	for _, c := range m {
		if starter >= 0 {
			last := out[len(out)-1]
			blocked := len(out)-1 > starter && last.class >= c.class
			if r, ok := pair(out[starter].r, c.r); ok && !blocked {
				out[starter].r, out[starter].trusted = r, out[starter].trusted && c.trusted
				continue
			}
		}
		if c.class == 0 {
			starter = len(out)
		}
		out = append(out, c)
	}
	return out
}

// pair gives the character that two make together.
func pair(a, b rune) (rune, bool) {
	if l, v := a-hangulL, b-hangulV; 0 <= l && l < hangulLs && 0 <= v && v < hangulVs {
		return hangulS + (l*hangulVs+v)*hangulTs, true
	}
	if s, t := a-hangulS, b-hangulT; 0 <= s && s < hangulN && s%hangulTs == 0 && 0 < t && t < hangulTs {
		return a + t, true
	}
	r, ok := compositions()[[2]rune{a, b}]
	return r, ok
}
