package bpe

import "unicode/utf8"

// Byte-level vocabularies spell every byte as a printable character (Radford et al. 2019, GPT-2): those of Latin-1
// that are printable stand for themselves, the others follow from U+0100 on.
var byteRunes, runeBytes = func() (runes [256]rune, back map[rune]byte) {
	back = make(map[rune]byte, 256)
	next := rune(256)
	for b := range 256 {
		r := rune(b)
		if !('!' <= r && r <= '~' || '\u00a1' <= r && r <= '\u00ac' || '\u00ae' <= r) {
			r = next
			next++
		}
		runes[b], back[r] = r, byte(b)
	}
	return runes, back
}()

// spell gives the byte-level spelling of a text.
func spell(text string) string {
	out := make([]byte, 0, 2*len(text))
	for i := range len(text) {
		out = utf8.AppendRune(out, byteRunes[text[i]])
	}
	return string(out)
}

// unspell gives the bytes that a token spells, and whether it spells any.
func unspell(token string) ([]byte, bool) {
	out := make([]byte, 0, len(token))
	for _, r := range token {
		b, ok := runeBytes[r]
		if !ok {
			return nil, false
		}
		out = append(out, b)
	}
	return out, true
}
