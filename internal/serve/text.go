package serve

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// stopper finds the first stop string in a stream of bytes and holds back what may be the beginning of one. The
// first to be complete counts, the longest if several end there, so the cut depends on the text alone and not on how it is divided.
type stopper struct {
	stops [][]byte
	held  []byte
}

// push gives the bytes that are certain to stand before any stop string, and whether one was found: then nothing follows.
func (s *stopper) push(piece []byte) (out []byte, hit bool) {
	if len(s.stops) == 0 {
		return piece, false
	}
	for _, c := range piece {
		s.held = append(s.held, c)
		longest := 0
		for _, stop := range s.stops {
			if len(stop) > longest && bytes.HasSuffix(s.held, stop) {
				longest = len(stop)
			}
		}
		if longest > 0 {
			out = append([]byte(nil), s.held[:len(s.held)-longest]...)
			s.held = nil
			return out, true
		}
	}
	keep := s.begun()
	out = append([]byte(nil), s.held[:len(s.held)-keep]...)
	s.held = append(s.held[:0], s.held[len(s.held)-keep:]...)
	return out, false
}

// begun gives the length of the longest end of what is held that begins a stop string.
func (s *stopper) begun() int {
	for from := max(0, len(s.held)-maxStopBytes); from < len(s.held); from++ {
		for _, stop := range s.stops {
			if bytes.HasPrefix(stop, s.held[from:]) {
				return len(s.held) - from
			}
		}
	}
	return 0
}

// end gives what was held back.
func (s *stopper) end() []byte {
	out := s.held
	s.held = nil
	return out
}

// assembler makes valid text of bytes that may end within a character.
type assembler struct {
	tail []byte // an incomplete character
}

// push gives the text up to the last complete character.
func (a *assembler) push(piece []byte) string {
	b := append(a.tail, piece...)
	whole := len(b) - unfinished(b)
	a.tail = append([]byte(nil), b[whole:]...)
	return lossy(b[:whole])
}

// end gives what is left, as a replacement character.
func (a *assembler) end() string {
	out := lossy(a.tail)
	a.tail = nil
	return out
}

// unfinished gives the number of bytes at the end of b that more bytes could complete to a character.
func unfinished(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if end := b[len(b)-n:]; utf8.RuneStart(end[0]) {
			if !utf8.FullRune(end) {
				return n
			}
			return 0
		}
	}
	return 0
}

// lossy replaces each maximal part of b that is no UTF-8 by one U+FFFD, as the Unicode standard recommends (3.9,
// "U+FFFD Substitution of Maximal Subparts") and the usual decoders of tokens do.
func lossy(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		out.WriteRune(r)
		if r == utf8.RuneError && n == 1 {
			for n < len(b) && !utf8.FullRune(b[:n+1]) {
				n++
			}
		}
		b = b[n:]
	}
	return out.String()
}
