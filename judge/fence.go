package judge

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"unicode"
)

// stream gives the random numbers for one purpose of a call. Every draw of a judge comes from one, so that the same seed gives
// the same prompts.
func stream(seed uint64, purpose ...string) *rand.Rand {
	var s [8]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	return rand.New(rand.NewChaCha8(sha256.Sum256([]byte("judge\x00" + string(s[:]) + strings.Join(purpose, "\x00")))))
}

// No vowels, so that no word comes out.
const codeLetters = "bcdfghjkmnpqrtvwxz"

const codeLength = 12

// drawCode gives a word that none of the texts contains, however they are spaced, punctuated or capitalised: it is drawn again until
// that is so. The texts were written before it was drawn, and a text of n characters holds fewer than n of the 18^12
// words, so the first draw nearly always does.
func drawCode(random *rand.Rand, texts ...string) string {
	bare := make([]string, len(texts))
	for i, t := range texts {
		bare[i] = letters(t)
	}
	for {
		code := make([]byte, codeLength)
		for i := range code {
			code[i] = codeLetters[random.IntN(len(codeLetters))]
		}
		found := false
		for _, t := range bare {
			found = found || strings.Contains(t, string(code))
		}
		if !found {
			return string(code)
		}
	}
}

// letters is a text in lower case without anything but letters and digits.
func letters(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, s)
}

// quoted is what stands before each line of the material.
const quoted = "| "

// fence shows blocks between two lines with the marker. Lines that the program writes begin with the marker; the material's
// begin with the quotation bar.
func fence(marker, what string, shown []block) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s begin %s\n", marker, what)
	for _, x := range shown {
		b.WriteString(x.lines(marker))
	}
	fmt.Fprintf(&b, "%s end %s", marker, what)
	return b.String()
}

func (x block) lines(marker string) string {
	var b strings.Builder
	b.WriteString(marker)
	if x.note != "" {
		b.WriteString(" " + x.note + "\n")
		return b.String()
	}
	if x.message > 0 {
		b.WriteString(" [" + strconv.Itoa(x.message) + "]")
	}
	b.WriteString(" " + x.title + "\n")
	if x.text != "" {
		for _, line := range strings.Split(x.text, "\n") {
			b.WriteString(quoted + line + "\n")
		}
	}
	return b.String()
}

// size is the number of bytes that a block takes in the prompt.
func (x block) size() int { return len(x.lines(strings.Repeat("m", codeLength))) }

func sizeOf(shown []block) int {
	n := 0
	for _, x := range shown {
		n += x.size()
	}
	return n
}
