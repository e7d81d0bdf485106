package bpe

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A splitter cuts a piece of text into smaller ones and passes them on in order; empty pieces are left out. first
// says that the piece is at the start of the whole text.
type splitter func(piece string, first bool, pass func(piece string, first bool))

// preTokenizer is what a text goes through between normalization and the model.
type preTokenizer struct {
	steps     []splitter
	byteLevel bool // the model reads bytes
}

// run cuts a piece by the steps from number i on and hands what results to emit.
func (p *preTokenizer) run(i int, piece string, first bool, emit func(string)) {
	if i == len(p.steps) {
		emit(piece)
		return
	}
	p.steps[i](piece, first, func(piece string, first bool) { p.run(i+1, piece, first, emit) })
}

// add appends the steps of a component of tokenizer.json.
func (p *preTokenizer) add(c *component, key string) error {
	if p.byteLevel {
		return fmt.Errorf("%s follows ByteLevel; nothing may split what it has spelled in bytes", key)
	}
	switch c.Type {
	case "Sequence":
		for i, part := range c.Pretokenizers {
			key := fmt.Sprintf("%s.pretokenizers[%d]", key, i)
			if part == nil {
				return fmt.Errorf("%s is null", key)
			}
			if err := p.add(part, key); err != nil {
				return err
			}
		}
		return nil
	case "ByteLevel":
		if c.AddPrefixSpace == nil || *c.AddPrefixSpace {
			p.steps = append(p.steps, prefixSpace)
		}
		if c.UseRegex == nil || *c.UseRegex {
			p.steps = append(p.steps, each(scanGPT2))
		}
		p.byteLevel = true
		return nil
	case "Digits":
		p.steps = append(p.steps, digits(c.IndividualDigits))
		return nil
	case "Metaspace":
		step, err := metaspace(c, key)
		p.steps = append(p.steps, step)
		return err
	case "Split":
		step, err := split(c, key)
		p.steps = append(p.steps, step)
		return err
	}
	return unsupported(key, c.Type, "ByteLevel, Digits, Metaspace, Sequence, Split")
}

// prefixSpace puts a space before a piece that has none.
func prefixSpace(piece string, first bool, pass func(string, bool)) {
	if !strings.HasPrefix(piece, " ") {
		piece = " " + piece
	}
	pass(piece, first)
}

// each cuts a piece into the matches of a pattern that covers it.
func each(scan scanner) splitter {
	return func(piece string, first bool, pass func(string, bool)) {
		t := classes()
		for piece != "" {
			n := scan(t, piece)
			pass(piece[:n], first)
			piece, first = piece[n:], false
		}
	}
}

// digits sets numbers apart from the rest: each digit for itself or whole runs.
func digits(individual bool) splitter {
	return func(piece string, first bool, pass func(string, bool)) {
		t := classes()
		for piece != "" {
			c, n := t.of(piece)
			isNumber := c&numeric != 0
			for n < len(piece) && !(isNumber && individual) {
				c, more := t.of(piece[n:])
				if (c&numeric != 0) != isNumber {
					break
				}
				n += more
			}
			pass(piece[:n], first)
			piece, first = piece[n:], false
		}
	}
}

// metaspace writes spaces as a visible character, puts one before the text as the scheme says, and may cut before
// each (Kudo and Richardson 2018, SentencePiece).
func metaspace(c *component, key string) (splitter, error) {
	if utf8.RuneCountInString(c.Replacement) != 1 {
		return nil, fmt.Errorf("%s.replacement %q is not one character", key, c.Replacement)
	}
	scheme := c.PrependScheme
	switch scheme {
	case "":
		scheme = "always"
	case "always", "first", "never":
	default:
		return nil, fmt.Errorf("%s.prepend_scheme is %q, want always, first or never", key, scheme)
	}
	if c.AddPrefixSpace != nil && !*c.AddPrefixSpace {
		scheme = "never"
	}
	cut := c.Split == nil || *c.Split
	return func(piece string, first bool, pass func(string, bool)) {
		piece = strings.ReplaceAll(piece, " ", c.Replacement)
		if (scheme == "always" || scheme == "first" && first) && !strings.HasPrefix(piece, c.Replacement) {
			piece = c.Replacement + piece
		}
		for cut && piece != "" {
			n := strings.Index(piece[1:], c.Replacement) + 1
			if n == 0 {
				break
			}
			pass(piece[:n], first)
			piece, first = piece[n:], false
		}
		pass(piece, first)
	}, nil
}

// split builds a Split: the known patterns, which cover the text, or a plain text.
func split(c *component, key string) (splitter, error) {
	keep, err := keeper(c.Behavior, key)
	if err != nil {
		return nil, err
	}
	switch {
	case c.Pattern.Regex != nil:
		scan, ok := scanners[*c.Pattern.Regex]
		if !ok {
			return nil, fmt.Errorf("%s.pattern.Regex is none of the known patterns: %q", key, *c.Pattern.Regex)
		}
		if c.Behavior != "Isolated" && !(c.Behavior == "Removed" && c.Invert) {
			return nil, fmt.Errorf("%s: behavior %q with invert %t is not supported for a regular expression", key, c.Behavior, c.Invert)
		}
		return each(scan), nil
	case c.Pattern.String != nil && *c.Pattern.String != "":
		return splitText(*c.Pattern.String, c.Invert, keep), nil
	}
	return nil, fmt.Errorf("%s.pattern is neither a text nor a regular expression", key)
}

// part is a stretch of a text that matches a pattern, or lies between matches.
type part struct {
	start, end int
	match      bool
}

// splitText cuts at a plain text, and keeps the matches as keep says.
func splitText(sep string, invert bool, keep func([]part) []part) splitter {
	return func(piece string, first bool, pass func(string, bool)) {
		var parts []part
		for at := 0; at < len(piece); {
			i := strings.Index(piece[at:], sep)
			if i < 0 {
				parts = append(parts, part{at, len(piece), invert})
				break
			}
			if i > 0 {
				parts = append(parts, part{at, at + i, invert})
			}
			parts = append(parts, part{at + i, at + i + len(sep), !invert})
			at += i + len(sep)
		}
		for _, p := range keep(parts) {
			pass(piece[p.start:p.end], first && p.start == 0)
		}
	}
}

// keeper gives what a Split does with the matches.
func keeper(behavior, key string) (func([]part) []part, error) {
	switch behavior {
	case "Isolated":
		return func(p []part) []part { return p }, nil
	case "Removed":
		return removed, nil
	case "Contiguous":
		return func(p []part) []part { return join(p, func(before, p part) bool { return before.match == p.match }) }, nil
	case "MergedWithPrevious":
		return func(p []part) []part { return join(p, func(before, p part) bool { return p.match && !before.match }) }, nil
	case "MergedWithNext":
		return func(p []part) []part { return join(p, func(before, p part) bool { return before.match && !p.match }) }, nil
	}
	return nil, fmt.Errorf("%s.behavior is %q, want Isolated, Removed, Contiguous, MergedWithPrevious or MergedWithNext", key, behavior)
}

func removed(parts []part) []part {
	var kept []part
	for _, p := range parts {
		if !p.match {
			kept = append(kept, p)
		}
	}
	return kept
}

// join makes one part of two neighbours where the rule on what they were says so.
func join(parts []part, rule func(before, p part) bool) []part {
	var out []part
	for i, p := range parts {
		if i > 0 && rule(parts[i-1], p) {
			out[len(out)-1].end = p.end
		} else {
			out = append(out, p)
		}
	}
	return out
}
