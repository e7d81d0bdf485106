package ui

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Width gives the number of terminal columns that s takes: 0 for combining marks and control characters,
// 2 for East Asian wide characters and emoji, 1 for all else (Unicode Standard Annex 11, abridged).
func Width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// Cut shortens s to at most width columns; an ellipsis shows where something is missing.
func Cut(s string, width int) string {
	if Width(s) <= width {
		return s
	}
	if width <= 0 {
		return ""
	}
	var b strings.Builder
	used := 0
	for _, r := range s {
		w := runeWidth(r)
		if used+w > width-1 {
			break
		}
		b.WriteRune(r)
		used += w
	}
	return strings.TrimRight(b.String(), " ") + "…"
}

// CutMiddle shortens s like Cut, but keeps its end too: what tells titles such as linked/seed11/train2
// apart is often there.
func CutMiddle(s string, width int) string {
	if Width(s) <= width || width < 8 {
		return Cut(s, width)
	}
	tail, used := len(s), 0
	for tail > 0 {
		r, size := utf8.DecodeLastRuneInString(s[:tail])
		if used+runeWidth(r) > width/2-1 {
			break
		}
		tail, used = tail-size, used+runeWidth(r)
	}
	return strings.TrimSuffix(Cut(s[:tail], width-used), "…") + "…" + s[tail:]
}

// Pad appends spaces up to width columns.
func Pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-Width(s)))
}

// Clean makes s safe to print on one line of a terminal: escape sequences lose their power, since control
// characters (line ends and tabs too) become spaces.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}

func runeWidth(r rune) int {
	switch {
	case r == 0 || unicode.IsControl(r) || unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r < 0x1100:
		return 1
	}
	for _, wide := range [...][2]rune{
		{0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0x33ff}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff},
		{0xa000, 0xa4cf}, {0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe30, 0xfe6f}, {0xff00, 0xff60},
		{0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
	} {
		if wide[0] <= r && r <= wide[1] {
			return 2
		}
	}
	return 1
}
