package bpe

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoding says how tokens become text again. It has a fixed shape, so that it can work on a stream: every token
// is rewritten for itself, tokens of bytes are put together, and characters are stripped from the start of the whole.
type decoding struct {
	byteLevel bool
	spaced    bool       // no decoder at all: tokens are joined with spaces
	rewrites  []rewriter // of each token
	fallback  bool       // <0x0A> is a byte
	strips    []strip    // of the start of the text
}

// A rewriter changes the text of one token; first says that it is the first one.
type rewriter func(token string, first bool) string

// strip takes up to n characters r from the start of the text.
type strip struct {
	r rune
	n int
}

// newDecoding builds the decoding of a tokenizer.json.
func newDecoding(c *component) (*decoding, error) {
	d := &decoding{spaced: c == nil}
	if c == nil {
		return d, nil
	}
	stages := stages{d: d}
	return d, stages.add(c, "decoder")
}

// stages follows how far the decoders have been read.
type stages struct {
	d     *decoding
	n     int // decoders so far
	fused bool
}

func (s *stages) add(c *component, key string) error {
	if c.Type == "Sequence" {
		for i, part := range c.Decoders {
			key := fmt.Sprintf("%s.decoders[%d]", key, i)
			if part == nil {
				return fmt.Errorf("%s is null", key)
			}
			if err := s.add(part, key); err != nil {
				return err
			}
		}
		return nil
	}
	d := s.d
	s.n++
	switch late := s.fused || d.byteLevel; {
	case c.Type == "ByteLevel" && s.n == 1:
		d.byteLevel = true
	case c.Type == "Fuse" && !d.byteLevel:
		s.fused = true
	case c.Type == "Strip":
		return s.addStrip(c, key)
	case c.Type == "ByteFallback" && !late && !d.fallback:
		d.fallback = true
	case c.Type == "Replace" && !late && !d.fallback:
		if c.Pattern.String == nil || *c.Pattern.String == "" {
			return fmt.Errorf("%s.pattern is not a text; regular expressions are not supported here", key)
		}
		from, to := *c.Pattern.String, c.contentText()
		d.rewrites = append(d.rewrites, func(token string, _ bool) string { return strings.ReplaceAll(token, from, to) })
	case c.Type == "Metaspace" && !late && !d.fallback:
		d.rewrites = append(d.rewrites, unmark(c))
	case c.Type == "ByteLevel" || c.Type == "ByteFallback" || c.Type == "Replace" || c.Type == "Metaspace" || c.Type == "Fuse":
		return fmt.Errorf("%s: %s is not supported at this place; supported are ByteLevel alone, or Replace and Metaspace, ByteFallback, "+
			"Fuse, Strip in this order", key, c.Type)
	default:
		return unsupported(key, c.Type, "ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Sequence, Strip")
	}
	return nil
}

func (s *stages) addStrip(c *component, key string) error {
	content := c.contentText()
	r, n := utf8.DecodeRuneInString(content)
	switch {
	case n == 0 || n != len(content):
		return fmt.Errorf("%s.content %q is not one character", key, content)
	case c.Stop != 0 || c.Start < 0:
		return fmt.Errorf("%s strips %d characters from the start and %d from the end; only those of the start are supported", key, c.Start, c.Stop)
	case !s.fused:
		return fmt.Errorf("%s: Strip without Fuse before it is not supported", key)
	}
	s.d.strips = append(s.d.strips, strip{r, c.Start})
	return nil
}

// unmark makes spaces of the visible ones; those of the first token are dropped where the encoder may have added one.
func unmark(c *component) rewriter {
	keep := c.PrependScheme == "never" || c.AddPrefixSpace != nil && !*c.AddPrefixSpace
	return func(token string, first bool) string {
		if first && !keep {
			return strings.ReplaceAll(token, c.Replacement, "")
		}
		return strings.ReplaceAll(token, c.Replacement, " ")
	}
}

// text gives what a token stands for amid others: bytes, and whether it is one byte of a character by fallback.
func (d *decoding) text(token string, first bool) (text string, isByte bool) {
	if d.byteLevel {
		if b, ok := unspell(token); ok {
			return string(b), false
		}
		return token, false
	}
	for _, rewrite := range d.rewrites {
		token = rewrite(token, first)
	}
	if d.fallback {
		if b, ok := fallbackByte(token); ok {
			return string([]byte{b}), true
		}
	}
	if d.spaced && !first {
		token = " " + token
	}
	return token, false
}

// fallbackByte reads tokens such as <0x0A>.
func fallbackByte(token string) (byte, bool) {
	if len(token) != 6 || !strings.HasPrefix(token, "<0x") || token[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(token[3:5], 16, 8)
	return byte(b), err == nil
}

// Decode gives the text of tokens. With skipSpecial the special ones are left out. Bytes that are no UTF-8 become
// U+FFFD, and ids that are no token are left out, as the reference implementation does.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	d := t.Decoder(skipSpecial)
	d.whole = true
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(d.Next(id))
	}
	b.WriteString(d.Flush())
	return b.String()
}

// Decoder turns a stream of tokens into text. It gives out whole characters only; what it gives in all is what Decode
// gives, except that after a run of byte tokens that ends up as no UTF-8 the valid characters at its start stand, where
// Decode makes all of it U+FFFD. One goroutine at a time may use it.
type Decoder struct {
	t           *Tokenizer
	skipSpecial bool
	whole       bool // hold back runs of byte tokens until they end, as Decode must
	started     bool
	pending     []byte // the start of a character
	strips      []strip
}

// Decoder starts to decode a stream.
func (t *Tokenizer) Decoder(skipSpecial bool) *Decoder {
	return &Decoder{t: t, skipSpecial: skipSpecial, strips: append([]strip(nil), t.decoding.strips...)}
}

// Next takes one token and gives the text that is now complete, which may be empty.
func (d *Decoder) Next(id int32) string {
	if !d.t.has(id) || d.skipSpecial && d.t.special[id] {
		return ""
	}
	token, isByte := d.t.decoding.text(d.t.decoded(id), !d.started)
	d.started = true
	if d.t.decoding.byteLevel {
		d.pending = append(d.pending, token...)
		return d.strip(d.take(false))
	}
	if !isByte {
		return d.strip(d.endRun() + token)
	}
	d.pending = append(d.pending, token...)
	if d.whole {
		return ""
	}
	return d.strip(d.takeRun())
}

// Flush ends the stream and gives what is left, of an unfinished character U+FFFD.
func (d *Decoder) Flush() string {
	if d.t.decoding.byteLevel {
		return d.strip(d.take(true))
	}
	return d.strip(d.endRun())
}

// take gives the complete characters of what is pending. Of a malformed one every maximal part that could begin a
// character is one U+FFFD (Unicode standard, section 3.9).
func (d *Decoder) take(end bool) string {
	if utf8.Valid(d.pending) {
		s := string(d.pending)
		d.pending = d.pending[:0]
		return s
	}
	var out []byte
	at := 0
	for at < len(d.pending) {
		if r, n := utf8.DecodeRune(d.pending[at:]); r != utf8.RuneError || n > 1 {
			out = append(out, d.pending[at:at+n]...)
			at += n
			continue
		}
		n := malformed(d.pending[at:])
		if at+n == len(d.pending) && !end && !utf8.FullRune(d.pending[at:]) {
			break
		}
		out = utf8.AppendRune(out, utf8.RuneError)
		at += n
	}
	d.pending = append(d.pending[:0], d.pending[at:]...)
	return string(out)
}

// malformed gives the length of the maximal part of a character at the start of b, which has no whole one there.
func malformed(b []byte) int {
	n := 1
	for n < len(b) && n < 4 && !utf8.FullRune(b[:n]) {
		n++ // b[:n] can still become a character
	}
	if n > 1 && utf8.FullRune(b[:n]) {
		return n - 1 // its last byte is what made it malformed
	}
	return n
}

// takeRun gives the character that a run of byte tokens has come to the end of, if it has.
func (d *Decoder) takeRun() string {
	if !utf8.FullRune(d.pending) {
		return ""
	}
	return d.endRun()
}

// endRun gives what a run of byte tokens says: its text, or a U+FFFD for every byte if it is no UTF-8.
func (d *Decoder) endRun() string {
	s := string(d.pending)
	if !utf8.ValidString(s) {
		s = strings.Repeat(string(utf8.RuneError), len(s))
	}
	d.pending = d.pending[:0]
	return s
}

// strip takes off what the decoders want stripped from the start of the text.
func (d *Decoder) strip(s string) string {
	for i := range d.strips {
		st := &d.strips[i]
		for st.n > 0 && s != "" {
			r, n := utf8.DecodeRuneInString(s)
			if r != st.r {
				st.n = 0
				break
			}
			s = s[n:]
			st.n--
		}
	}
	return s
}
