package bpe

import "unicode/utf8"

// A scanner gives the length of the first match of a pre-tokenizer's pattern at the start of a text that is not
// empty. Every pattern here matches at every place, so that the matches cover the text. They are written out by
// hand because the patterns look ahead, which package regexp does not; backtracking is resolved in the code.
type scanner func(t *classTable, s string) int

// scanners has the patterns by their text in tokenizer.json.
var scanners = map[string]scanner{
	patternGPT2:   scanGPT2,
	patternLlama3: scanLlama3,
	patternQwen2:  scanQwen2,
	patternTekken: scanTekken,
}

// The patterns of the families, each the exact text of its tokenizer.json. patternGPT2 is what ByteLevel with
// use_regex applies.
const (
	patternGPT2   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	patternLlama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patternQwen2  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patternTekken = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+` +
		`|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*` +
		`|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

func scanGPT2(t *classTable, s string) int {
	if n := contraction(s); n > 0 {
		return n
	}
	at := 0
	if s[0] == ' ' {
		at = 1
	}
	c, _ := t.of(s[at:])
	switch {
	case at == len(s) || c&space != 0:
		return white(t, s)
	case c&letter != 0:
		return at + t.run(s[at:], letter)
	case c&number != 0:
		return at + t.run(s[at:], number)
	}
	return at + symbols(t, s[at:])
}

func scanLlama3(t *classTable, s string) int { return scanLlama(t, s, 3) }

func scanQwen2(t *classTable, s string) int { return scanLlama(t, s, 1) }

// scanLlama takes numbers in groups of at most digits.
func scanLlama(t *classTable, s string, digits int) int {
	if n := contractionFold(s); n > 0 {
		return n
	}
	c, n := t.of(s)
	switch {
	case c&letter != 0:
		return t.run(s, letter)
	case c&number != 0:
		return upTo(t, s, number, digits)
	case s[0] != '\r' && s[0] != '\n':
		if after := t.run(s[n:], letter); after > 0 {
			return n + after
		}
	}
	return rest(t, s, "\r\n")
}

// scanTekken splits words where lower case is followed by upper case. Its two classes share the characters
// without case, and a mark can also be the character before the word.
func scanTekken(t *classTable, s string) int {
	c, n := t.of(s)
	if c&(letter|number) == 0 && s[0] != '\r' && s[0] != '\n' {
		if end := lowerWord(t, s[n:]); end > 0 {
			return n + end
		}
	}
	if end := lowerWord(t, s); end > 0 {
		return end
	}
	if c&(letter|number) == 0 && s[0] != '\r' && s[0] != '\n' {
		if end := t.run(s[n:], upper|uncased); end > 0 {
			return n + end // no lower case can follow, or lowerWord had matched
		}
	}
	if end := t.run(s, upper|uncased); end > 0 {
		return end
	}
	if c&number != 0 {
		return n
	}
	return rest(t, s, "\r\n/")
}

// lowerWord matches [upper or uncased]* [lower or uncased]+, 0 where that does not match.
func lowerWord(t *classTable, s string) int {
	end := t.run(s, upper|uncased)
	if n := t.run(s[end:], lower|uncased); n > 0 {
		return end + n
	}
	for end > 0 { // give back until what was given back is uncased
		_, n := utf8.DecodeLastRuneInString(s[:end])
		if t.last(s[:end])&uncased != 0 {
			return end
		}
		end -= n
	}
	return 0
}

// rest matches ` ?[^\s\p{L}\p{N}]+[trail]*|\s*[\r\n]+|\s+(?!\S)|\s+`.
func rest(t *classTable, s string, trail string) int {
	at := 0
	if s[0] == ' ' {
		at = 1
	}
	if n := symbols(t, s[at:]); n > 0 {
		end := at + n
		for end < len(s) && containsByte(trail, s[end]) {
			end++
		}
		return end
	}
	end := t.run(s, space)
	for i := end; i > 0; i-- {
		if s[i-1] == '\r' || s[i-1] == '\n' {
			return i
		}
	}
	return white(t, s)
}

// white matches `\s+(?!\S)|\s+`: white space, but its last character is left to what follows, if anything does.
func white(t *classTable, s string) int {
	end := t.run(s, space)
	if end == len(s) {
		return end
	}
	_, n := utf8.DecodeLastRuneInString(s[:end])
	if end > n {
		return end - n
	}
	return end
}

// symbols matches [^\s\p{L}\p{N}]*.
func symbols(t *classTable, s string) int {
	i := 0
	for i < len(s) {
		c, n := t.of(s[i:])
		if c&(space|letter|number) != 0 {
			break
		}
		i += n
	}
	return i
}

// upTo matches at most limit characters of a class.
func upTo(t *classTable, s string, mask uint8, limit int) int {
	i := 0
	for ; limit > 0 && i < len(s); limit-- {
		c, n := t.of(s[i:])
		if c&mask == 0 {
			break
		}
		i += n
	}
	return i
}

// contraction matches 's|'t|'re|'ve|'m|'ll|'d, 0 where none is.
func contraction(s string) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	switch s[1] {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(s) >= 3 {
		switch s[1:3] {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}

// contractionFold is contraction without regard to case, where the long s counts as an s.
func contractionFold(s string) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	if len(s) >= 3 && s[1:3] == "ſ" {
		return 3
	}
	folded := [3]byte{'\'', s[1] | 0x20}
	n := 2
	if len(s) >= 3 {
		folded[2], n = s[2]|0x20, 3
	}
	return contraction(string(folded[:n]))
}

func containsByte(set string, c byte) bool {
	for i := range len(set) {
		if set[i] == c {
			return true
		}
	}
	return false
}
