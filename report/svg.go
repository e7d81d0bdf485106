package report

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// svg collects elements of a drawing; lengths are pixels at scale 1.
type svg struct {
	strings.Builder
}

// attrs are pairs of name and value; a float64 is written with at most one decimal.
func (s *svg) open(name string, attrs ...any) {
	s.WriteString("<" + name)
	for i := 0; i+1 < len(attrs); i += 2 {
		value := ""
		switch v := attrs[i+1].(type) {
		case float64:
			value = px(v)
		default:
			value = html.EscapeString(fmt.Sprint(v))
		}
		fmt.Fprintf(s, ` %s="%s"`, attrs[i], value)
	}
	s.WriteString(">")
}

func (s *svg) close(name string) { s.WriteString("</" + name + ">\n") }

// el writes an element whose content is text.
func (s *svg) el(name, content string, attrs ...any) {
	s.open(name, attrs...)
	s.WriteString(html.EscapeString(content))
	s.close(name)
}

func (s *svg) line(x1, y1, x2, y2 float64, class string, more ...any) {
	s.el("line", "", append([]any{"x1", x1, "y1", y1, "x2", x2, "y2", y2, "class", class}, more...)...)
}

// label writes one line of text; anchor is start, middle or end.
func (s *svg) label(x, y float64, anchor, class, content string) {
	s.el("text", content, "x", x, "y", y, "text-anchor", anchor, "class", class)
}

// labels writes lines of text around the vertical centre y.
func (s *svg) labels(x, y float64, anchor, class string, lines []string) {
	for i, l := range lines {
		s.label(x, y+4+lineHeight*(float64(i)-float64(len(lines)-1)/2), anchor, class, l)
	}
}

// marker draws the shape of a series around (x, y). Shapes repeat what colours say.
func (s *svg) marker(shape int, x, y, r float64, class string) {
	points := func(xy ...float64) {
		var p []string
		for i := 0; i < len(xy); i += 2 {
			p = append(p, px(x+r*xy[i])+","+px(y+r*xy[i+1]))
		}
		s.el("polygon", "", "points", strings.Join(p, " "), "class", class)
	}
	switch shape % 5 {
	case 0:
		s.el("circle", "", "cx", x, "cy", y, "r", r, "class", class)
	case 1:
		points(-.9, -.9, .9, -.9, .9, .9, -.9, .9)
	case 2:
		points(0, -1.25, 1.25, 0, 0, 1.25, -1.25, 0)
	case 3:
		points(0, -1.15, 1.1, .85, -1.1, .85)
	case 4:
		points(0, 1.15, 1.1, -.85, -1.1, -.85)
	}
}

// path joins points by straight lines.
func (s *svg) path(points [][2]float64, class string, closed bool) {
	var d strings.Builder
	for i, p := range points {
		d.WriteString([]string{"M", "L"}[min(i, 1)] + px(p[0]) + " " + px(p[1]))
	}
	if closed {
		d.WriteString("Z")
	}
	s.el("path", "", "d", d.String(), "class", class)
}

func px(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		panic("report: a figure has a coordinate that is not a number")
	}
	return strconv.FormatFloat(math.Round(x*10)/10+0, 'f', -1, 64)
}

const (
	lineHeight = 15.0 // of labels
	charWidth  = 6.6  // of a label's average character, generous
)

// scale maps values to pixels, linearly or by logarithm.
type scale struct {
	lo, hi     float64 // values
	from, to   float64 // pixels
	log        bool
	tickValues []float64
}

func (s scale) at(v float64) float64 {
	f := func(x float64) float64 { return x }
	if s.log {
		f = math.Log
	}
	return s.from + (s.to-s.from)*(f(v)-f(s.lo))/(f(s.hi)-f(s.lo))
}

// clamp is at, kept on the scale.
func (s scale) clamp(v float64) float64 { return s.at(min(s.hi, max(s.lo, v))) }

// linear gives a scale over [lo, hi], widened to a multiple of a round step, with about count ticks.
func linear(lo, hi, from, to float64, count int) scale {
	step := roundStep((hi - lo) / float64(count))
	first, last := math.Floor(lo/step+1e-9), math.Ceil(hi/step-1e-9)
	s := scale{lo: first * step, hi: last * step, from: from, to: to}
	for i := first; i <= last; i++ {
		s.tickValues = append(s.tickValues, i*step)
	}
	return s
}

// roundStep gives the next 1, 2 or 5 times a power of ten.
func roundStep(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= x*0.999 {
			return m * power
		}
	}
	return 10 * power
}

// logarithmic gives a scale over [lo, hi] with a little room at both ends and ticks at 1, 2 and 5 times
// powers of ten, thinned to about count.
func logarithmic(lo, hi, from, to float64, count int) scale {
	s := scale{lo: lo / 1.4, hi: hi * 1.4, from: from, to: to, log: true}
	for _, multiples := range [][]float64{{1, 2, 5}, {1, 3}, {1}} {
		s.tickValues = nil
		for power := math.Pow(10, math.Floor(math.Log10(s.lo))); power <= s.hi; power *= 10 {
			for _, m := range multiples {
				if v := m * power; v >= s.lo && v <= s.hi {
					s.tickValues = append(s.tickValues, v)
				}
			}
		}
		if len(s.tickValues) <= count {
			break
		}
	}
	return s
}

// tick gives a value of a linear axis without digits it does not need.
func tick(v float64) string {
	return strings.Replace(strconv.FormatFloat(math.Round(v*1000)/1000+0, 'f', -1, 64), "-", "−", 1)
}
