package bpe

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// mask says of every byte of a text whether it may be part of a special token. A nil mask says so of none or
// all, as all tells.
type mask struct {
	bytes []bool
	all   bool
}

// at tells whether byte i is trusted.
func (m mask) at(i int) bool {
	if m.bytes == nil {
		return m.all
	}
	return m.bytes[i]
}

// span tells whether all bytes from start to end are trusted.
func (m mask) span(start, end int) bool {
	if m.bytes == nil {
		return m.all
	}
	for _, ok := range m.bytes[start:end] {
		if !ok {
			return false
		}
	}
	return true
}

// next gives the first trusted byte from start on, or end.
func (m mask) next(start, end int) int {
	if m.bytes == nil && !m.all {
		return end
	}
	for i := start; i < end; i++ {
		if m.at(i) {
			return i
		}
	}
	return end
}

// cut gives the mask of a part of the text.
func (m mask) cut(start, end int) mask {
	if m.bytes == nil {
		return m
	}
	return mask{bytes: m.bytes[start:end]}
}

// like gives an empty mask to write another text's into.
func (m mask) like() mask {
	if m.bytes == nil {
		return m
	}
	return mask{bytes: make([]bool, 0, len(m.bytes))}
}

// writer collects a text with its mask.
type writer struct {
	out  []byte
	mask mask
}

func (w *writer) byte(c byte, trusted bool) {
	w.out = append(w.out, c)
	w.fill(trusted)
}

func (w *writer) rune(r rune, trusted bool) {
	w.out = utf8.AppendRune(w.out, r)
	w.fill(trusted)
}

func (w *writer) string(s string, trusted bool) {
	w.out = append(w.out, s...)
	w.fill(trusted)
}

// copy takes over bytes start to end of a text with its mask.
func (w *writer) copy(s string, m mask, start, end int) {
	w.out = append(w.out, s[start:end]...)
	if w.mask.bytes != nil {
		w.mask.bytes = append(w.mask.bytes, m.bytes[start:end]...)
	}
}

// fill extends the mask to the length of the text.
func (w *writer) fill(trusted bool) {
	for w.mask.bytes != nil && len(w.mask.bytes) < len(w.out) {
		w.mask.bytes = append(w.mask.bytes, trusted)
	}
}

// A normalizer rewrites a text before it is split.
type normalizer func(s string, m mask) (string, mask)

// prepend puts a text before every text that is not empty.
func prepend(prefix string) normalizer {
	return func(s string, m mask) (string, mask) {
		if s == "" {
			return s, m
		}
		w := writer{mask: m.like()}
		w.string(prefix, m.at(0))
		w.copy(s, m, 0, len(s))
		return string(w.out), w.mask
	}
}

// replace puts one text for every occurrence of another.
func replace(from, to string) normalizer {
	return func(s string, m mask) (string, mask) {
		if m.bytes == nil {
			return strings.ReplaceAll(s, from, to), m
		}
		w := writer{mask: m.like()}
		at := 0
		for {
			i := strings.Index(s[at:], from)
			if i < 0 {
				break
			}
			w.copy(s, m, at, at+i)
			w.string(to, m.span(at+i, at+i+len(from)))
			at += i + len(from)
		}
		w.copy(s, m, at, len(s))
		return string(w.out), w.mask
	}
}

// normalizers builds the normalizers of a tokenizer.json.
func normalizers(c *component, key string) ([]normalizer, error) {
	if c == nil {
		return nil, nil
	}
	switch c.Type {
	case "Sequence":
		var all []normalizer
		for i, part := range c.Normalizers {
			key := fmt.Sprintf("%s.normalizers[%d]", key, i)
			if part == nil {
				return nil, fmt.Errorf("%s is null", key)
			}
			n, err := normalizers(part, key)
			if err != nil {
				return nil, err
			}
			all = append(all, n...)
		}
		return all, nil
	case "NFC":
		return []normalizer{nfc}, nil
	case "Prepend":
		return []normalizer{prepend(c.Prepend)}, nil
	case "Replace":
		if c.Pattern.String == nil || *c.Pattern.String == "" {
			return nil, fmt.Errorf("%s.pattern is not a text; regular expressions are not supported here", key)
		}
		return []normalizer{replace(*c.Pattern.String, c.contentText())}, nil
	}
	return nil, unsupported(key, c.Type, "NFC, Prepend, Replace, Sequence")
}

// unsupported is the error for a part that this package does not do.
func unsupported(key, kind, known string) error {
	return fmt.Errorf("%s.type %q is not supported; supported are %s", key, kind, known)
}
