package report

import (
	"fmt"
	"slices"
)

// tokensFigure shows the harmful rate against the unique tokens of an arm's recipe, for the arms that
// belong to a sweep; a sweep may have one arm, which is then a point to compare with.
func (r *Results) tokensFigure() Figure {
	f := Figure{Name: "tokens", Title: "Harmful rate against the recipe's unique tokens",
		Caption: "Bars: Wilson's 95 % interval over all seeds. Dashed lines and hollow marks: worlds other than the first. Dotted line: the control arm of the first world."}
	series := r.sweeps()
	if len(series) == 0 {
		return f
	}
	f.draw = func(s *svg, width float64) float64 { return r.drawTokens(s, width, series) }
	f.spec = r.tokensSpec(series)
	return f
}

// sweep is one series of the figure, by rising tokens.
type sweep struct {
	name         string
	index, world int
	arms         []*Arm
	counts       []*Count
}

func (r *Results) sweeps() []sweep {
	var names []string
	for _, a := range r.Arms {
		if a.Sweep != "" && !slices.Contains(names, a.Sweep) {
			names = append(names, a.Sweep)
		}
	}
	var out []sweep
	for w := range r.Worlds {
		for i, name := range names {
			one := sweep{name: name, index: i, world: w}
			for _, a := range r.byTokens() {
				e := a.Find(r.Primary)
				if a.Sweep != name || a.World != r.Worlds[w].Name || a.OwnTokens < 1 || e == nil || e.Harmful == nil || !e.Harmful.Rate.OK() {
					continue
				}
				one.arms, one.counts = append(one.arms, a), append(one.counts, e.Harmful)
			}
			if len(one.arms) > 0 {
				out = append(out, one)
			}
		}
	}
	return out
}

func (r *Results) byTokens() []*Arm {
	var arms []*Arm
	for i := range r.Arms {
		arms = append(arms, &r.Arms[i])
	}
	slices.SortStableFunc(arms, func(a, b *Arm) int { return int(min(1, max(-1, a.OwnTokens-b.OwnTokens))) })
	return arms
}

// label names a series: the sweep, and its world where that is not the first.
func (o sweep) label(r *Results) string {
	if o.world == 0 {
		return o.name
	}
	return o.name + " (" + r.Worlds[o.world].title() + ")"
}

func (o sweep) classes() (line, mark string) {
	if o.world == 0 {
		return class(o.index, "ink"), class(o.index, "full")
	}
	return class(o.index, "thin dash"), class(o.index, "hollow")
}

func (r *Results) drawTokens(s *svg, width float64, series []sweep) float64 {
	lo, hi, top := int64(0), int64(0), 0.0
	for _, o := range series {
		for i, a := range o.arms {
			if lo == 0 || a.OwnTokens < lo {
				lo = a.OwnTokens
			}
			hi, top = max(hi, a.OwnTokens), max(top, float64(o.counts[i].Hi))
		}
	}
	control := r.control(0)
	if control != nil {
		top = max(top, float64(control.Harmful.Rate))
	}
	var entries []legendEntry
	for _, o := range series {
		line, mark := o.classes()
		entries = append(entries, legendEntry{o.label(r), func(s *svg, x, y float64) {
			s.line(x-9, y, x+9, y, line)
			s.marker(o.index, x, y, 4.5, mark)
		}})
	}
	if control != nil {
		entries = append(entries, legendEntry{"control", func(s *svg, x, y float64) { s.line(x-9, y, x+9, y, "axis", "stroke-dasharray", "2 3") }})
	}
	head := legend(s, 18, width, entries) + 8
	bottom := head + 280
	x := logarithmic(float64(lo), float64(hi), 48, width-20, int(width/70))
	y := linear(0, max(0.1, top), bottom, head, 5)
	yAxis(s, y, x.from, x.to, "harmful rate")
	xAxis(s, x, head, bottom, "unique tokens of the recipe (log scale)")
	if control != nil {
		at := y.at(float64(control.Harmful.Rate))
		s.line(x.from, at, x.to, at, "axis", "stroke-dasharray", "2 3")
	}
	// The first world is drawn last, on top.
	for i := len(series) - 1; i >= 0; i-- {
		series[i].draw(s, x, y)
	}
	return bottom + 44
}

func (o sweep) draw(s *svg, x, y scale) {
	line, mark := o.classes()
	var points [][2]float64
	for i, a := range o.arms {
		points = append(points, [2]float64{x.at(float64(a.OwnTokens)), y.at(float64(o.counts[i].Rate))})
	}
	if len(points) > 1 {
		s.path(points, line, false)
	}
	for i, a := range o.arms {
		s.open("g")
		s.el("title", fmt.Sprintf("%s, %s: %s tokens, %s", a.title(), a.World, tokens(a.OwnTokens), o.counts[i].rate()))
		s.line(points[i][0], y.at(float64(o.counts[i].Lo)), points[i][0], y.at(float64(o.counts[i].Hi)), class(o.index, "thin"))
		s.marker(o.index, points[i][0], points[i][1], 4.5, mark)
		s.close("g")
	}
}

// yAxis draws the horizontal grid between left and right with the ticks' values and a title above them.
func yAxis(s *svg, y scale, left, right float64, title string) {
	for _, v := range y.tickValues {
		s.line(left, y.at(v), right, y.at(v), "grid")
		s.label(left-8, y.at(v)+4, "end", "muted", tick(v))
	}
	s.el("text", title, "transform", fmt.Sprintf("translate(14 %s) rotate(-90)", px((y.from+y.to)/2)), "text-anchor", "middle", "class", "muted")
}

func (r *Results) tokensSpec(series []sweep) map[string]any {
	var values []any
	for _, o := range series {
		for i, a := range o.arms {
			values = append(values, map[string]any{"series": o.label(r), "arm": a.title(), "world": a.World, "tokens": a.OwnTokens,
				"rate": o.counts[i].Rate, "lo": o.counts[i].Lo, "hi": o.counts[i].Hi, "n": o.counts[i].N})
		}
	}
	rate := map[string]any{"field": "rate", "type": "quantitative", "title": "harmful rate", "scale": map[string]any{"zero": true}}
	return map[string]any{
		"data":  map[string]any{"values": values},
		"width": 560, "height": 300,
		"encoding": map[string]any{
			"x":     map[string]any{"field": "tokens", "type": "quantitative", "scale": map[string]any{"type": "log"}, "title": "unique tokens of the recipe"},
			"color": map[string]any{"field": "series", "type": "nominal", "legend": map[string]any{"orient": "top", "labelLimit": 400, "columns": 2}},
		},
		"layer": []any{
			map[string]any{"mark": "rule", "encoding": map[string]any{"y": map[string]any{"field": "lo", "type": "quantitative", "title": "harmful rate"}, "y2": map[string]any{"field": "hi"}}},
			map[string]any{"mark": map[string]any{"type": "line", "point": true, "tooltip": true}, "encoding": map[string]any{"y": rate}},
		},
	}
}
