package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/because-lab/because/internal/stats"
)

// missing stands for a number that could not be had or that the study did not ask for.
const missing = "-"

// rate gives a rate with its interval: 0.45 [0.42, 0.49].
func (c *Count) rate() string {
	if c == nil || !c.Rate.OK() {
		return missing
	}
	return fmt.Sprintf("%.2f [%.2f, %.2f]", c.Rate, c.Lo, c.Hi)
}

// point gives a rate alone, with the digits that small rates need.
func (c *Count) point() string {
	if c == nil || !c.Rate.OK() {
		return missing
	}
	if c.K > 0 && c.Rate < 0.0995 {
		return fmt.Sprintf("%.3f", c.Rate)
	}
	return fmt.Sprintf("%.2f", c.Rate)
}

// effect gives a difference with its interval and always with a sign: -0.25 [-0.31, -0.19].
func effect(e, lo, hi Number) string {
	switch {
	case !e.OK():
		return missing
	case !lo.OK() || !hi.OK():
		return signed(e) + " [no interval]"
	}
	return fmt.Sprintf("%s [%s, %s]", signed(e), signed(lo), signed(hi))
}

func signed(n Number) string {
	if !n.OK() {
		return missing
	}
	s := fmt.Sprintf("%+.2f", float64(n))
	if strings.Trim(s, "+-0.") == "" {
		return "0.00"
	}
	return s
}

func pValue(p Number) string {
	switch {
	case !p.OK():
		return missing
	case p < 0.001:
		return "<0.001"
	}
	return fmt.Sprintf("%.3f", p)
}

// short gives a small positive setting such as a margin: 0.05, 0.1.
func short(n Number) string {
	return strconv.FormatFloat(float64(n), 'g', 3, 64)
}

// tokens gives a number of tokens with three significant digits: 930, 55.2k, 1.23M.
func tokens(n int64) string {
	for _, unit := range []struct {
		size   float64
		suffix string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		x := float64(n) / unit.size
		if x < 0.9995 {
			continue
		}
		digits := max(0, 2-int(math.Floor(math.Log10(x*1.0005))))
		s := strconv.FormatFloat(x, 'f', digits, 64)
		if strings.Contains(s, ".") {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		return s + unit.suffix
	}
	return strconv.FormatInt(n, 10)
}

// thousands gives an integer with separators: 3,000.
func thousands(n int) string {
	s := strconv.Itoa(n)
	start := len(s) - 3
	for ; start > 0 && s[start-1] != '-'; start -= 3 {
		s = s[:start] + "," + s[start:]
	}
	return s
}

// plural gives "1 seed" or "5 seeds".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}

// tone says how a verdict reads: as expected, against it, or open.
type tone string

const (
	good tone = "good"
	bad  tone = "bad"
	open tone = "open"
)

func verdictTone(v stats.Verdict) tone {
	switch v {
	case stats.Supported, stats.Null:
		return good
	case stats.Contradicted, stats.NotNull:
		return bad
	}
	return open
}

// mark precedes a verdict, so that it can be told without colour.
func (t tone) mark() string {
	return map[tone]string{good: "✓", bad: "✗", open: "~"}[t]
}

// title gives a's title, or its name where it has none.
func (a *Arm) title() string {
	if a.Title != "" {
		return a.Title
	}
	return a.Name
}

func (w World) title() string {
	if w.Title != "" {
		return w.Title
	}
	return w.Name
}

// String gives "task, cell".
func (c Cell) String() string {
	if c.Cell == "" {
		return c.Task
	}
	return c.Task + ", " + c.Cell
}
