package ui

import (
	"os"
	"strings"

	"golang.org/x/term"
)

// Terminal says what a file can show.
type Terminal struct {
	Live    bool // a terminal that moves its cursor
	Color   bool // Live, and NO_COLOR (no-color.org) is not set
	Unicode bool // the locale does not rule it out
	file    *os.File
}

// Detect looks at a file and at the variables TERM, NO_COLOR, LC_ALL, LC_CTYPE and LANG, which getenv gives
// (os.Getenv for a user's own).
func Detect(f *os.File, getenv func(string) string) Terminal {
	t := Terminal{file: f, Unicode: true}
	t.Live = term.IsTerminal(int(f.Fd())) && getenv("TERM") != "dumb"
	t.Color = t.Live && getenv("NO_COLOR") == ""
	// The first variable that is set decides. Without any, most systems of today take UTF-8.
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(getenv(name)); locale != "" {
			t.Unicode = strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
			break
		}
	}
	return t
}

// Size gives the columns and rows of the terminal, 0 where it has none.
func (t Terminal) Size() (columns, rows int) {
	columns, rows, err := term.GetSize(int(t.file.Fd()))
	if err != nil {
		return 0, 0
	}
	return columns, rows
}

// Options gives the options of a display on the terminal: Live where it can be, else Lines.
func (t Terminal) Options() Options {
	o := Options{Out: t.file, Color: t.Color, Unicode: t.Unicode, Size: t.Size}
	if t.Live {
		o.Mode = Live
	}
	return o
}
