package report

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

// Figure is one chart of a study. It draws itself at any width: labels move above the marks where there
// is little room, so that phones can read it.
type Figure struct {
	Name    string // the file's name without extension
	Title   string
	Caption string // how to read it
	draw    func(s *svg, width float64) (height float64)
	spec    map[string]any // Vega-Lite, with the data inline
}

const (
	wide   = 860.0
	narrow = 360.0 // fits a phone
)

//go:embed figure.css
var figureCSS string

// Figures gives the charts that r has data for.
func Figures(r *Results) []Figure {
	figures := []Figure{r.ratesFigure(), r.tokensFigure()}
	for i := range r.Worlds {
		figures = append(figures, r.curvesFigure(i))
	}
	figures = append(figures, r.forestFigure())
	var drawn []Figure
	for _, f := range figures {
		if f.draw != nil {
			drawn = append(drawn, f)
		}
	}
	return drawn
}

// SVG draws the figure as a document of its own, which follows the reader's light or dark theme.
func (f Figure) SVG() []byte {
	return []byte(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + f.inline(wide, f.Name, true))
}

// inline draws the figure for embedding; id makes the names within it unique on the page.
func (f Figure) inline(width float64, id string, standalone bool) string {
	var body, s svg
	height := f.draw(&body, width)
	s.open("svg", "xmlns", "http://www.w3.org/2000/svg", "class", "fig", "role", "img", "width", width, "height", height,
		"viewBox", fmt.Sprintf("0 0 %s %s", px(width), px(height)), "aria-labelledby", id+"-title "+id+"-desc")
	s.WriteByte('\n')
	s.el("title", f.Title, "id", id+"-title")
	s.el("desc", f.Caption, "id", id+"-desc")
	if standalone {
		s.WriteString("<style>" + figureCSS + "</style>\n")
	}
	s.el("rect", "", "class", "bg", "width", "100%", "height", "100%")
	s.WriteString(body.String())
	s.close("svg")
	return s.String()
}

// Vega gives the figure as a Vega-Lite specification with its data, to restyle it or to plot it elsewhere.
func (f Figure) Vega() ([]byte, error) {
	spec := map[string]any{
		"$schema":     "https://vega.github.io/schema/vega-lite/v5.json",
		"title":       f.Title,
		"description": f.Caption,
		"config":      map[string]any{"range": map[string]any{"category": []string{"#0072b2", "#c44e00", "#00805e", "#a4478a", "#8a6a00", "#4a5560"}}},
	}
	for key, value := range f.spec {
		spec[key] = value
	}
	data, err := json.MarshalIndent(spec, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encode figure %s: %w", f.Name, err)
	}
	return append(data, '\n'), nil
}

// class gives the classes of series i and what it draws.
func class(i int, what string) string { return fmt.Sprintf("s%d %s", i%6, what) }

// wrapLabel breaks a label into lines of at most width pixels, three at most.
func wrapLabel(s string, width float64) []string {
	lines := wrapText(s, max(6, int(width/charWidth)))
	if len(lines) > 3 {
		lines = append(lines[:2], strings.TrimRight(lines[2], " ")+"…")
	}
	return lines
}

// widest gives the pixels that the longest of the labels takes.
func widest(labels []string) float64 {
	n := 0
	for _, l := range labels {
		n = max(n, len([]rune(l)))
	}
	return float64(n) * charWidth
}

// legend draws entries side by side from (0, y) and gives the y below them. Each entry draws its own sign
// around the point it is given.
type legendEntry struct {
	label string
	sign  func(s *svg, x, y float64)
}

func legend(s *svg, y, width float64, entries []legendEntry) float64 {
	x := 8.0
	for _, e := range entries {
		w := 34 + float64(len([]rune(e.label)))*charWidth
		if x > 8 && x+w > width {
			x, y = 8, y+lineHeight+3
		}
		e.sign(s, x+10, y)
		s.label(x+24, y+4, "start", "", e.label)
		x += w
	}
	return y + lineHeight + 3
}
