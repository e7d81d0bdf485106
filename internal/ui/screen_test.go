package ui

import (
	"strconv"
	"strings"
	"sync"
	"testing"
)

// screen is a terminal for tests: it obeys the control sequences that the live view may use and fails on
// any other. Lines that are wider than it wrap, and a resize wraps them anew.
type screen struct {
	t      *testing.T
	mu     sync.Mutex
	lines  []*line
	row    int // visual row of the cursor among all that were ever written
	column int
	width  int
	hidden bool
	writes int
}

// line is a run of columns up to a line end.
type line struct{ cells []rune }

func newScreen(t *testing.T, width int) *screen {
	return &screen{t: t, width: width, lines: []*line{{}}}
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	text := string(p)
	for text != "" {
		if strings.HasPrefix(text, "\x1b[") {
			end := strings.IndexFunc(text[2:], func(r rune) bool { return r >= '@' && r <= '~' }) + 2
			s.control(text[2:end], text[end])
			text = text[end+1:]
			continue
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		switch r {
		case '\r':
			s.column = 0
		case '\n':
			s.newline()
		default:
			if r < ' ' {
				s.t.Errorf("control character %q", r)
			}
			s.put(r)
		}
	}
	return len(p), nil
}

func (s *screen) control(arguments string, final byte) {
	switch {
	case final == 'm':
	case final == 'l' && arguments == "?25":
		s.hidden = true
	case final == 'h' && arguments == "?25":
		s.hidden = false
	case final == 'A':
		n, err := strconv.Atoi(arguments)
		if err != nil || n < 1 || n > s.row {
			s.t.Fatalf("up %q from row %d", arguments, s.row)
		}
		s.row -= n
	case final == 'K' && arguments == "":
		l, offset := s.at(s.row)
		// A full row leaves the cursor on its last column; erasing there would take a character away.
		l.cells = l.cells[:min(len(l.cells), offset+s.column)]
	case final == 'J' && arguments == "":
		l, offset := s.at(s.row)
		l.cells = l.cells[:min(len(l.cells), offset+s.column)]
		for i, other := range s.lines {
			if other == l {
				s.lines = s.lines[:i+1]
				break
			}
		}
	default:
		s.t.Fatalf("control sequence %q %c", arguments, final)
	}
}

// at gives the line that a visual row belongs to, and the offset of the row's first column in it.
func (s *screen) at(row int) (*line, int) {
	for _, l := range s.lines {
		rows := max(1, (len(l.cells)+s.width-1)/s.width)
		if row < rows {
			return l, row * s.width
		}
		row -= rows
	}
	s.t.Fatalf("row beyond the screen")
	return nil, 0
}

func (s *screen) newline() {
	l, _ := s.at(s.row)
	for i, other := range s.lines {
		if other != l {
			continue
		}
		if i == len(s.lines)-1 {
			s.lines = append(s.lines, &line{})
		}
		rows := 0
		for _, before := range s.lines[:i+1] {
			rows += max(1, (len(before.cells)+s.width-1)/s.width)
		}
		s.row = rows
		return
	}
}

func (s *screen) put(r rune) {
	if s.column == s.width { // wrap
		s.row, s.column = s.row+1, 0
	}
	l, offset := s.lineForPut()
	at := offset + s.column
	for len(l.cells) <= at {
		l.cells = append(l.cells, ' ')
	}
	l.cells[at] = r
	s.column++
}

func (s *screen) lineForPut() (*line, int) {
	if s.row < s.rows() {
		return s.at(s.row)
	}
	l := s.lines[len(s.lines)-1]
	return l, (len(l.cells) + s.width - 1) / s.width * s.width
}

func (s *screen) rows() (n int) {
	for _, l := range s.lines {
		n += max(1, (len(l.cells)+s.width-1)/s.width)
	}
	return n
}

// resize wraps all lines anew; the cursor stays at its character.
func (s *screen) resize(width int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, offset := s.at(s.row)
	index := offset + s.column
	s.width = width
	s.row = 0
	for _, other := range s.lines {
		if other == l {
			break
		}
		s.row += max(1, (len(other.cells)+width-1)/width)
	}
	s.row += max(0, index-1) / width
	s.column = index - max(0, index-1)/width*width
}

// text gives the lines on the screen.
func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, l := range s.lines {
		out = append(out, strings.TrimRight(string(l.cells), " "))
	}
	return strings.TrimRight(strings.Join(out, "\n"), "\n")
}
