package ui

import (
	"fmt"
	"strings"
	"time"
)

// ANSI control sequences (ECMA-48; ?25 is DEC's cursor mode).
const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	eraseLine  = "\x1b[K" // to the right
	eraseBelow = "\x1b[J" // from the cursor on
)

// liveView keeps a block of lines at the bottom of a terminal: one per running step and one for the run.
// What has ended scrolls above it. A frame is one write, so that nothing flickers.
type liveView struct {
	*output
	tracker
	palette
	size    func() (int, int)
	now     func() time.Time
	above   []string // lines to scroll above at the next frame
	block   []int    // columns of each line that is on the screen
	hidden  bool     // the cursor
	dirty   bool     // news since the last frame
	painted time.Time
	spin    int
}

func newLiveView(out *output, o Options, now func() time.Time) *liveView {
	return &liveView{output: out, palette: palette{color: o.Color, unicode: o.Unicode}, size: o.Size, now: now}
}

func (v *liveView) event(e Event) {
	s := v.add(e)
	v.dirty = true
	switch e.State {
	case Done, Failed, Skipped:
		v.above = append(v.above, ended(e, s, v.palette))
	}
}

func (v *liveView) message(text string) {
	v.above = append(v.above, Clean(text))
	v.dirty = true
}

// frame draws what has changed; without news, once a second, so that clocks go on.
func (v *liveView) frame() {
	now := v.now()
	if !v.dirty && (len(v.running) == 0 || now.Sub(v.painted) < time.Second) {
		return
	}
	v.dirty, v.painted = false, now
	v.spin++
	columns, rows := v.screen()
	var out strings.Builder
	if !v.hidden {
		out.WriteString(hideCursor)
		v.hidden = true
	}
	v.home(&out, columns)
	for _, line := range v.above {
		out.WriteString(line + eraseLine + "\r\n")
	}
	v.above, v.block = nil, nil
	lines := v.lines(now, columns, rows)
	for i, line := range lines {
		if i > 0 {
			out.WriteString("\r\n")
		}
		out.WriteString(line.text + eraseLine)
		v.block = append(v.block, line.columns)
	}
	out.WriteString(eraseBelow)
	v.write(out.String())
}

// home moves to the first column of the block's first row. A narrower terminal has wrapped the lines that
// were wider, so they take more rows now.
func (v *liveView) home(out *strings.Builder, columns int) {
	rows := -1
	for _, width := range v.block {
		rows += max(1, (width+columns-1)/columns)
	}
	out.WriteString("\r")
	if rows > 0 {
		fmt.Fprintf(out, "\x1b[%dA", rows)
	}
}

func (v *liveView) screen() (columns, rows int) {
	if v.size != nil {
		columns, rows = v.size()
	}
	if columns <= 0 {
		columns, rows = 80, 24
	}
	return max(8, columns), max(3, rows)
}

// stop erases the block, keeps what has ended, and gives the cursor back.
func (v *liveView) stop() {
	columns, _ := v.screen()
	var out strings.Builder
	if len(v.block) > 0 {
		v.home(&out, columns)
		out.WriteString(eraseBelow)
	}
	for _, line := range v.above {
		out.WriteString(line + "\r\n")
	}
	if v.cached > 0 {
		out.WriteString(cachedLine(v.cached, v.palette) + "\r\n")
	}
	if v.hidden {
		out.WriteString(showCursor)
	}
	v.above, v.block, v.hidden = nil, nil, false
	v.write(out.String())
}

// row is a line of the block with the columns that it takes, colours not counted.
type row struct {
	text    string
	columns int
}

// lines gives the block for a screen: as many running steps as there is room for, and the run.
func (v *liveView) lines(now time.Time, columns, rows int) []row {
	width := columns - 1 // a full line would wrap on some terminals
	shown := v.running
	if most := rows - 2; len(shown) > most {
		shown = shown[:max(0, most-1)]
	}
	var out []row
	for _, s := range shown {
		out = append(out, v.stepLine(s, now, width))
	}
	if rest := len(v.running) - len(shown); rest > 0 {
		text := Cut(fmt.Sprintf("  and %d more running", rest), width)
		out = append(out, row{v.dim(text), Width(text)})
	}
	return append(out, v.totalLine(now, width))
}

// stepLine lays out a running step: title, bar, share, amounts, speed, time left, note. What does not fit
// is left out from the right.
func (v *liveView) stepLine(s *step, now time.Time, width int) row {
	spinner := []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧"}[v.spin%8]
	if !v.unicode {
		spinner = string(`|/-\`[v.spin%4])
	}
	var parts []string // in order of importance
	if s.Total > 0 {
		parts = append(parts, fmt.Sprintf("%3.0f %%", 100*min(1, max(0, s.Done/s.Total))))
	}
	if left, ok := s.speed.left(now, s.Total); ok {
		parts = append(parts, clock(left)+" left")
	} else {
		parts = append(parts, clock(now.Sub(s.began)))
	}
	if s.speed.rate > 0 {
		parts = append(parts, amount(s.speed.rate)+" "+strings.TrimSpace(Clean(s.Unit))+"/s")
	}
	switch {
	case s.Total > 0:
		parts = append(parts, amount(s.Done)+"/"+amount(s.Total))
	case s.Done > 0:
		parts = append(parts, strings.TrimSpace(amount(s.Done)+" "+Clean(s.Unit)))
	}
	if s.Note != "" {
		parts = append(parts, Clean(s.Note))
	}
	return v.fit(v.bar(spinner), Clean(s.Title), s.Done/s.Total, s.Total > 0, parts, width)
}

// totalLine is the run: its bar and share, the counts of steps, the time spent and left.
func (v *liveView) totalLine(now time.Time, width int) row {
	var parts []string
	if v.runTotal > 0 {
		parts = append(parts, fmt.Sprintf("%3.0f %%", 100*min(1, v.runDone/v.runTotal)))
	}
	if left, ok := v.left(now); ok {
		parts = append(parts, clock(left)+" left")
	}
	if !v.began.IsZero() {
		parts = append(parts, clock(now.Sub(v.began))+" spent")
	}
	return v.fit(" ", "total", v.runDone/v.runTotal, v.runTotal > 0, append(parts, v.counts()...), width)
}

// titleWidth is the most columns that titles get; all get the same, so that bars stand below each other.
const titleWidth = 32

// fit puts a mark, a title, a bar and as many parts as fit into width columns.
func (v *liveView) fit(mark, title string, share float64, bars bool, parts []string, width int) row {
	if width < 4 {
		text := Cut(title, width)
		return row{text, Width(text)}
	}
	room := min(titleWidth, max(8, width/3), width-2)
	barWidth := 20
	if width < 90 {
		barWidth = 12
	}
	text, used := mark+" "+Pad(CutMiddle(title, room), room), 2+room
	if bars && width-used >= barWidth+20 {
		text, used = text+"  "+v.bar(bar(share, barWidth, v.unicode)), used+2+barWidth
	}
	for _, p := range parts {
		if used+2+Width(p) > width {
			break
		}
		text, used = text+"  "+p, used+2+Width(p)
	}
	return row{text, used}
}
