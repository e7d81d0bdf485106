package report

import "fmt"

// ratesFigure shows every arm's harmful rate, its interval and its seeds; worlds share a row, so that what
// an arm does where the mechanism works stands beside what it does where it is cut.
func (r *Results) ratesFigure() Figure {
	f := Figure{Name: "rates", Title: "Harmful rate of each arm (" + r.Primary.String() + ")",
		Caption: "Large marks: rate over all seeds with Wilson's 95 % interval. Small dots: each seed. Dashed lines: the control arm of each world."}
	rows := r.rateRows()
	if len(rows) == 0 {
		return f
	}
	f.draw = func(s *svg, width float64) float64 { return r.drawRates(s, width, rows) }
	f.spec = r.ratesSpec(rows)
	return f
}

// rateRow is one arm in all the worlds that have it; evals is by index of world, nil where it has none.
type rateRow struct {
	name, label string
	evals       []*Eval
}

func (r *Results) rateRows() []rateRow {
	var rows []rateRow
	index := map[string]int{}
	for i := range r.Arms {
		a := &r.Arms[i]
		e := a.Find(r.Primary)
		if e == nil || e.Harmful == nil || !e.Harmful.Rate.OK() {
			continue
		}
		at, ok := index[a.Name]
		if !ok {
			at = len(rows)
			index[a.Name] = at
			rows = append(rows, rateRow{a.Name, a.title(), make([]*Eval, len(r.Worlds))})
		}
		for w := range r.Worlds {
			if r.Worlds[w].Name == a.World {
				rows[at].evals[w] = e
			}
		}
	}
	return rows
}

func (r *Results) drawRates(s *svg, width float64, rows []rateRow) float64 {
	var labels []string
	top := 0.0
	for _, row := range rows {
		labels = append(labels, row.label)
		for _, e := range row.evals {
			if e != nil {
				top = max(top, float64(e.Harmful.Hi))
				for _, seed := range e.BySeed {
					if seed.Harmful != nil && seed.N > 0 {
						top = max(top, float64(*seed.Harmful)/float64(seed.N))
					}
				}
			}
		}
	}
	left, above := min(250, widest(labels)+20), false
	if width < 500 {
		left, above = 12, true
	}
	var entries []legendEntry
	for w := range r.Worlds {
		entries = append(entries, legendEntry{r.Worlds[w].title(), func(s *svg, x, y float64) { s.marker(w, x, y, 5, class(w, "full")) }})
	}
	y := legend(s, 18, width, entries) + 4
	x := linear(0, max(0.1, top), left, width-24, int(width/90))
	// Rows are placed first, so that the grid lies behind them.
	tops := []float64{y}
	for _, row := range rows {
		tops = append(tops, tops[len(tops)-1]+row.height(left, above))
	}
	bottom := tops[len(rows)]
	for i := 1; i < len(rows); i += 2 { // stripes lead the eye from a label to its marks
		s.el("rect", "", "x", 0.0, "y", tops[i], "width", width, "height", tops[i+1]-tops[i], "class", "stripe")
	}
	xAxis(s, x, y, bottom, "harmful rate")
	for w := range r.Worlds {
		if e := r.control(w); e != nil {
			at := x.at(float64(e.Harmful.Rate))
			s.line(at, y, at, bottom, class(w, "thin dash"))
		}
	}
	for i, row := range rows {
		row.draw(s, x, tops[i], tops[i+1], left, above, r)
	}
	return bottom + 44
}

func (row rateRow) worlds() (n int) {
	for _, e := range row.evals {
		if e != nil {
			n++
		}
	}
	return n
}

func (row rateRow) height(left float64, above bool) float64 {
	marks := 13*float64(row.worlds()) + 11
	if above {
		return marks + lineHeight*float64(len(wrapLabel(row.label, narrow-30))) + 4
	}
	return max(marks, lineHeight*float64(len(wrapLabel(row.label, left-16)))+8)
}

func (row rateRow) draw(s *svg, x scale, top, bottom, left float64, above bool, r *Results) {
	if above {
		lines := wrapLabel(row.label, narrow-30)
		for _, l := range lines {
			top += lineHeight
			s.label(left, top, "start", "", l)
		}
	} else {
		s.labels(left-12, (top+bottom)/2, "end", "", wrapLabel(row.label, left-16))
	}
	y := (top+bottom)/2 - 6.5*float64(row.worlds()-1)
	for w, e := range row.evals {
		if e == nil {
			continue
		}
		s.open("g")
		s.el("title", fmt.Sprintf("%s, %s: %s, %d of %d", row.label, r.Worlds[w].title(), e.Harmful.rate(), e.Harmful.K, e.Harmful.N))
		for _, seed := range e.BySeed {
			if seed.Harmful != nil && seed.N > 0 {
				s.el("circle", "", "cx", x.at(float64(*seed.Harmful)/float64(seed.N)), "cy", y, "r", 2.2, "class", class(w, "seed"))
			}
		}
		s.line(x.at(float64(e.Harmful.Lo)), y, x.at(float64(e.Harmful.Hi)), y, class(w, "ink"))
		s.marker(w, x.at(float64(e.Harmful.Rate)), y, 4.5, class(w, "full"))
		s.close("g")
		y += 13
	}
}

// control gives the primary eval of the control arm in world w, or nil.
func (r *Results) control(w int) *Eval {
	for i := range r.Arms {
		if a := &r.Arms[i]; a.Name == r.Control && a.World == r.Worlds[w].Name {
			if e := a.Find(r.Primary); e != nil && e.Harmful != nil && e.Harmful.Rate.OK() {
				return e
			}
		}
	}
	return nil
}

// xAxis draws the vertical grid between top and bottom with the ticks' values and a title below.
func xAxis(s *svg, x scale, top, bottom float64, title string) {
	for _, v := range x.tickValues {
		s.line(x.at(v), top, x.at(v), bottom, "grid")
		label := tick(v)
		if x.log {
			label = tokens(int64(v))
		}
		s.label(x.at(v), bottom+16, "middle", "muted", label)
	}
	s.label((x.from+x.to)/2, bottom+35, "middle", "muted", title)
}

func (r *Results) ratesSpec(rows []rateRow) map[string]any {
	var values, order, worlds []any
	for _, w := range r.Worlds {
		worlds = append(worlds, w.title())
	}
	for _, row := range rows {
		order = append(order, row.label)
		for w, e := range row.evals {
			if e != nil {
				values = append(values, map[string]any{"arm": row.label, "world": r.Worlds[w].title(),
					"rate": e.Harmful.Rate, "lo": e.Harmful.Lo, "hi": e.Harmful.Hi, "n": e.Harmful.N})
			}
		}
	}
	y := map[string]any{"field": "arm", "type": "nominal", "sort": order, "title": nil}
	offset := map[string]any{"field": "world", "type": "nominal", "sort": worlds}
	color := map[string]any{"field": "world", "type": "nominal", "sort": worlds, "legend": map[string]any{"orient": "top", "labelLimit": 400}}
	return map[string]any{
		"data":  map[string]any{"values": values},
		"width": 480, "height": map[string]any{"step": 14},
		"encoding": map[string]any{"y": y, "yOffset": offset, "color": color},
		"layer": []any{
			map[string]any{"mark": "rule", "encoding": map[string]any{
				"x": map[string]any{"field": "lo", "type": "quantitative", "title": "harmful rate"}, "x2": map[string]any{"field": "hi"}}},
			map[string]any{"mark": map[string]any{"type": "point", "filled": true, "tooltip": true}, "encoding": map[string]any{
				"x":     map[string]any{"field": "rate", "type": "quantitative"},
				"shape": map[string]any{"field": "world", "type": "nominal", "sort": worlds, "legend": nil}}},
		},
	}
}
