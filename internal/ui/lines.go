package ui

import (
	"fmt"
	"time"
)

// longStep is how long a step runs before the line view says that it is under way.
const longStep = 15 * time.Second

// lineView prints a line for each step that ends, and one for each that turns out to be long. Cached steps
// are counted and named together.
type lineView struct {
	*output
	tracker
	palette
	pending int // cached steps not yet told
}

func newLineView(out *output, o Options) *lineView {
	return &lineView{output: out, palette: palette{color: o.Color, unicode: o.Unicode}}
}

func (v *lineView) event(e Event) {
	s := v.add(e)
	switch e.State {
	case Cached:
		v.pending++
	case Progress:
		if s == nil || s.long || e.Time.Sub(s.began) < longStep {
			return
		}
		s.long = true
		line := v.pick("… ", "  ") + Clean(e.Title)
		if e.Total > 0 {
			line += fmt.Sprintf(": %.0f %%", 100*min(1, e.Done/e.Total))
		}
		if left, ok := s.speed.left(e.Time, e.Total); ok {
			line += ", about " + clock(left) + " left"
		}
		v.line(line)
	case Done, Failed, Skipped:
		v.line(ended(e, s, v.palette))
	}
}

func (v *lineView) message(text string) { v.line(Clean(text)) }

// line writes a line after what it follows.
func (v *lineView) line(s string) {
	v.flush()
	v.write(s + "\n")
}

// flush tells of the cached steps since the last line.
func (v *lineView) flush() {
	if v.pending > 0 {
		v.write(cachedLine(v.pending, v.palette) + "\n")
		v.pending = 0
	}
}

func cachedLine(n int, p palette) string {
	noun := "steps"
	if n == 1 {
		noun = "step"
	}
	return p.dim(fmt.Sprintf("= %d %s cached", n, noun))
}

func (v *lineView) frame() {}
func (v *lineView) stop()  { v.flush() }
