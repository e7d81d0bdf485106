package report

import (
	"fmt"
	"math"

	"github.com/because-lab/because/internal/stats"
)

// forestFigure shows the effect of every claim and ablation with its interval, against the zone in which
// it would have to lie.
func (r *Results) forestFigure() Figure {
	f := Figure{Name: "claims", Title: "Effects of the claims and ablations",
		Caption: "Marks: mean over seeds with its 95 % interval (filled: as claimed; cross: against it; hollow: open). Small dots: each seed. " +
			"Shaded: for a claim, effects in the predicted direction of at least the smallest effect of interest; for an ablation, effects within the margin."}
	if len(r.Claims)+len(r.Ablations) == 0 {
		return f
	}
	f.draw = r.drawForest
	f.spec = r.forestSpec()
	return f
}

func (r *Results) drawForest(s *svg, width float64) float64 {
	reach := 0.1
	for _, c := range r.allClaims() {
		for _, v := range []Number{c.Effect, c.Lo, c.Hi} {
			if v.OK() {
				reach = max(reach, math.Abs(float64(v)))
			}
		}
		reach = max(reach, c.bound()*1.5)
	}
	reach = min(reach, 1)
	indent := r.idWidth()
	layout := forestLayout{left: min(260, width*0.34) + indent, right: width - 110, indent: indent, rowHeight: 38}
	if width < 500 {
		layout = forestLayout{left: 14, right: width - 14, indent: indent, rowHeight: 62, above: true}
	}
	x := linear(-reach, reach, layout.left, layout.right, 6)
	y := 14.0
	bottom := y + layout.rowHeight*float64(len(r.Claims)+len(r.Ablations)) + 6
	if len(r.Claims) > 0 && len(r.Ablations) > 0 {
		bottom += 30
	}
	xAxis(s, x, y, bottom, "effect: treated − control")
	s.line(x.at(0), 14, x.at(0), bottom, "axis")
	for _, c := range r.Claims {
		layout.row(s, x, y, c)
		y += layout.rowHeight
	}
	if len(r.Claims) > 0 && len(r.Ablations) > 0 {
		y += 30
		s.line(8, y-20, width-8, y-20, "grid")
		s.label(8, y-4, "start", "head", "must vanish")
	}
	for _, c := range r.Ablations {
		layout.row(s, x, y, c)
		y += layout.rowHeight
	}
	return bottom + 44
}

type forestLayout struct {
	left, right, rowHeight float64
	indent                 float64 // room for the longest ID
	above                  bool    // labels above the marks
}

// idWidth gives the room that the longest ID of a claim takes, in pixels of the bold label.
func (r *Results) idWidth() float64 {
	longest := 0
	for _, c := range r.allClaims() {
		longest = max(longest, len([]rune(c.ID)))
	}
	return 10 + 7.6*float64(max(4, longest))
}

var toneSeries = map[tone]int{good: 0, bad: 1, open: 5}

func (l forestLayout) row(s *svg, x scale, top float64, c Claim) {
	y := top + l.rowHeight/2
	t := verdictTone(c.Verdict)
	i := toneSeries[t]
	if l.above {
		y = top + 46
		s.label(l.left, top+14, "start", "head", c.ID)
		lines := wrapLabel(c.Title, l.right-l.left-l.indent)
		for k, line := range lines[:min(2, len(lines))] {
			if k == 1 && len(lines) > 2 {
				line += "…"
			}
			s.label(l.left+l.indent, top+14+lineHeight*float64(k), "start", "", line)
		}
	} else {
		s.label(8, y+4, "start", "head", c.ID)
		lines := wrapLabel(c.Title, l.left-l.indent-22)
		s.labels(8+l.indent, y, "start", "", lines[:min(2, len(lines))])
		s.label(l.right+12, y+4, "start", class(i, "name"), string(c.Verdict))
	}
	if from, to := c.zone(x); to > from {
		s.el("rect", "", "x", from, "y", y-11, "width", to-from, "height", 22.0, "class", "zone")
		if from < x.at(0) && x.at(0) < to { // it hides a piece of the zero line
			s.line(x.at(0), y-11, x.at(0), y+11, "axis")
		}
	}
	if !c.Effect.OK() {
		s.label(x.at(0)+8, y+4, "start", "muted", "no estimate")
		return
	}
	s.open("g")
	s.el("title", fmt.Sprintf("%s: %s, %s", c.ID, effect(c.Effect, c.Lo, c.Hi), c.Verdict))
	for _, seed := range c.PerSeed {
		if seed.Effect.OK() {
			s.el("circle", "", "cx", x.clamp(float64(seed.Effect)), "cy", y+7, "r", 2.2, "class", class(i, "seed"))
		}
	}
	if c.Lo.OK() && c.Hi.OK() {
		s.line(x.clamp(float64(c.Lo)), y, x.clamp(float64(c.Hi)), y, class(i, "ink"))
	}
	at := x.clamp(float64(c.Effect))
	switch t {
	case good:
		s.marker(0, at, y, 5, class(i, "full"))
	case bad:
		s.path([][2]float64{{at - 4, y - 4}, {at + 4, y + 4}}, class(i, "ink"), false)
		s.path([][2]float64{{at - 4, y + 4}, {at + 4, y - 4}}, class(i, "ink"), false)
	default:
		s.marker(0, at, y, 4.5, class(i, "hollow"))
	}
	s.close("g")
}

// zone gives the pixels between which the claim says that the effect lies.
func (c Claim) zone(x scale) (from, to float64) {
	b := c.bound()
	switch {
	case b == 0:
		return 0, 0
	case c.Margin != nil || c.Direction == stats.Absent:
		return x.clamp(-b), x.clamp(b)
	case c.Direction == stats.Lower:
		return x.from, x.clamp(-b)
	}
	return x.clamp(b), x.to
}

// bound gives the margin or the smallest effect of interest, 0 where the claim has none.
func (c Claim) bound() float64 {
	for _, b := range []*Number{c.Margin, c.SESOI} {
		if b != nil && b.OK() {
			return float64(*b)
		}
	}
	return 0
}

func (r *Results) allClaims() []Claim {
	return append(append([]Claim{}, r.Claims...), r.Ablations...)
}

func (r *Results) forestSpec() map[string]any {
	var values, order []any
	for _, c := range r.allClaims() {
		name := c.ID + " " + c.Title
		order = append(order, name)
		values = append(values, map[string]any{"claim": name, "effect": c.Effect, "lo": c.Lo, "hi": c.Hi,
			"direction": c.Direction, "bound": c.bound(), "verdict": c.Verdict, "seeds": c.Seeds, "n": c.N})
	}
	return map[string]any{
		"data":  map[string]any{"values": values},
		"width": 420, "height": map[string]any{"step": 22},
		"encoding": map[string]any{
			"y": map[string]any{"field": "claim", "type": "nominal", "sort": order, "title": nil, "axis": map[string]any{"labelLimit": 400}},
			"color": map[string]any{"field": "verdict", "type": "nominal", "scale": map[string]any{
				"domain": []string{"supported", "null", "contradicted", "not-null", "inconclusive"},
				"range":  []string{"#0072b2", "#0072b2", "#c44e00", "#c44e00", "#4a5560"}}},
		},
		"layer": []any{
			map[string]any{"mark": "rule", "encoding": map[string]any{
				"x": map[string]any{"field": "lo", "type": "quantitative", "title": "effect: treated − control"}, "x2": map[string]any{"field": "hi"}}},
			map[string]any{"mark": map[string]any{"type": "point", "filled": true, "tooltip": true}, "encoding": map[string]any{
				"x": map[string]any{"field": "effect", "type": "quantitative"}}},
			map[string]any{"mark": map[string]any{"type": "rule", "strokeDash": []int{3, 3}}, "data": map[string]any{"values": []any{map[string]any{"zero": 0}}},
				"encoding": map[string]any{"x": map[string]any{"field": "zero", "type": "quantitative"}, "y": nil, "color": map[string]any{"value": "gray"}}},
		},
	}
}
