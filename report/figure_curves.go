package report

import "fmt"

// curvesFigure shows how the arms of one world fare along RL: harm, admirable acts and invalid calls.
func (r *Results) curvesFigure(world int) Figure {
	w := r.Worlds[world]
	f := Figure{Name: "curves-" + fileName(w.Name), Title: "Along RL: " + w.title(),
		Caption: "Lines: rate over all seeds at each evaluation along RL. Bands: Wilson's 95 % interval."}
	arms := r.WorldArms(w.Name, true)
	if len(arms) == 0 {
		return f
	}
	f.draw = func(s *svg, width float64) float64 { return drawCurves(s, width, arms) }
	f.spec = curvesSpec(arms)
	return f
}

// panel is one measure of the figure; pick gives nil where a point lacks it.
type panel struct {
	name   string
	height float64
	pick   func(*Point) *Count
}

var panels = []panel{
	{"harmful", 220, func(p *Point) *Count { return &p.Harmful }},
	{"admirable", 130, func(p *Point) *Count { return p.Admirable }},
	{"states its principles", 110, func(p *Point) *Count { return p.Correct }},
	{"invalid", 90, func(p *Point) *Count { return &p.Invalid }},
}

// steps gives the counts of an arm that a panel shows and the steps they belong to.
func (p panel) steps(a *Arm) (steps []int, counts []*Count) {
	for i := range a.Curve {
		if c := p.pick(&a.Curve[i]); c != nil && c.Rate.OK() {
			steps, counts = append(steps, a.Curve[i].Step), append(counts, c)
		}
	}
	return steps, counts
}

func drawCurves(s *svg, width float64, arms []*Arm) float64 {
	var entries []legendEntry
	last := 1
	for i, a := range arms {
		entries = append(entries, legendEntry{a.title(), func(s *svg, x, y float64) {
			s.line(x-9, y, x+9, y, class(i, "ink"))
			s.marker(i, x, y, 4, class(i, "full"))
		}})
		last = max(last, a.Curve[len(a.Curve)-1].Step)
	}
	y := legend(s, 18, width, entries) + 8
	x := scale{lo: 0, hi: float64(last), from: 48, to: width - 24}
	x.tickValues = linear(0, float64(last), 0, 1, 6).tickValues
	for len(x.tickValues) > 0 && x.tickValues[len(x.tickValues)-1] > x.hi {
		x.tickValues = x.tickValues[:len(x.tickValues)-1]
	}
	bottom := y
	for _, p := range panels {
		top := 0.0
		for _, a := range arms {
			_, counts := p.steps(a)
			for _, c := range counts {
				top = max(top, float64(c.Hi))
			}
		}
		if top == 0 { // nothing of it was counted
			continue
		}
		y += 14
		s.label(x.from, y, "start", "head", p.name)
		bottom = y + 8 + p.height
		p.draw(s, arms, x, linear(0, max(0.02, top), bottom, y+8, max(2, int(p.height/45))))
		y = bottom + 14
	}
	for _, v := range x.tickValues {
		s.label(x.at(v), bottom+16, "middle", "muted", tick(v))
	}
	s.label((x.from+x.to)/2, bottom+35, "middle", "muted", "RL step")
	return bottom + 44
}

func (p panel) draw(s *svg, arms []*Arm, x, y scale) {
	for _, v := range x.tickValues {
		s.line(x.at(v), y.to, x.at(v), y.from, "grid")
	}
	for _, v := range y.tickValues {
		s.line(x.from, y.at(v), x.to, y.at(v), "grid")
		s.label(x.from-8, y.at(v)+4, "end", "muted", tick(v))
	}
	for i, a := range arms {
		steps, counts := p.steps(a)
		if len(steps) == 0 {
			continue
		}
		var line, band [][2]float64
		for j, c := range counts {
			line = append(line, [2]float64{x.at(float64(steps[j])), y.at(float64(c.Rate))})
			band = append(band, [2]float64{line[j][0], y.at(float64(c.Hi))})
		}
		for j := len(counts) - 1; j >= 0; j-- {
			band = append(band, [2]float64{line[j][0], y.at(float64(counts[j].Lo))})
		}
		s.path(band, class(i, "band"), true)
		s.path(line, class(i, "ink"), false)
		for j, c := range counts {
			s.open("g")
			s.el("title", fmt.Sprintf("%s, step %d: %s %s", a.title(), steps[j], p.name, c.rate()))
			s.marker(i, line[j][0], line[j][1], 3.5, class(i, "full"))
			s.close("g")
		}
	}
}

func curvesSpec(arms []*Arm) map[string]any {
	var values []any
	for _, p := range panels {
		for _, a := range arms {
			steps, counts := p.steps(a)
			for i, c := range counts {
				values = append(values, map[string]any{"measure": p.name, "arm": a.title(), "step": steps[i], "rate": c.Rate, "lo": c.Lo, "hi": c.Hi, "n": c.N})
			}
		}
	}
	return map[string]any{
		"data":    map[string]any{"values": values},
		"facet":   map[string]any{"row": map[string]any{"field": "measure", "type": "nominal", "title": nil, "sort": []any{"harmful", "admirable", "states its principles", "invalid"}}},
		"resolve": map[string]any{"scale": map[string]any{"y": "independent"}},
		"spec": map[string]any{
			"width": 520, "height": 160,
			"encoding": map[string]any{
				"x":     map[string]any{"field": "step", "type": "quantitative", "title": "RL step"},
				"color": map[string]any{"field": "arm", "type": "nominal", "legend": map[string]any{"orient": "top", "labelLimit": 400, "columns": 2}},
			},
			"layer": []any{
				map[string]any{"mark": map[string]any{"type": "area", "opacity": 0.2}, "encoding": map[string]any{
					"y": map[string]any{"field": "lo", "type": "quantitative", "title": "rate"}, "y2": map[string]any{"field": "hi"}}},
				map[string]any{"mark": map[string]any{"type": "line", "point": true, "tooltip": true}, "encoding": map[string]any{
					"y": map[string]any{"field": "rate", "type": "quantitative"}}},
			},
		},
	}
}

// fileName keeps the letters, digits and hyphens of a name from the study.
func fileName(name string) string {
	out := []byte(name)
	for i, c := range out {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			out[i] = '_'
		}
	}
	return string(out)
}
