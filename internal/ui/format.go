package ui

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// amount gives a quantity in at most five columns: 930, 83k, 1.2M.
func amount(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return "?"
	}
	for _, unit := range []struct {
		size   float64
		suffix string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v := math.Abs(x) / unit.size; v >= 0.9995 {
			digits := 0
			if v < 9.95 {
				digits = 1
			}
			return strings.TrimSuffix(strconv.FormatFloat(x/unit.size, 'f', digits, 64), ".0") + unit.suffix
		}
	}
	if x == math.Trunc(x) || math.Abs(x) >= 99.5 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'f', 1, 64)
}

// clock gives a duration as 0:07, 12:30 or 1:02:03.
func clock(d time.Duration) string {
	s := int64(max(0, d).Round(time.Second) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// spent gives how long a finished step took: 0.3s, 12s, 2:05.
func spent(d time.Duration) string {
	switch {
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1fs", max(0, d).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	}
	return clock(d)
}

// bar draws a share of 1 in width columns.
func bar(share float64, width int, unicode bool) string {
	if !(share > 0) { // NaN too
		share = 0
	}
	halves := int(min(1, share)*float64(2*width) + 1e-9)
	if !unicode {
		return strings.Repeat("#", halves/2) + strings.Repeat(".", width-halves/2)
	}
	s := strings.Repeat("━", halves/2)
	if halves%2 == 1 {
		s += "╸"
	}
	return s + strings.Repeat("─", width-(halves+1)/2)
}

// speed estimates a rate from totals at times: a mean in which news of five seconds ago counts a third.
type speed struct {
	last  time.Time
	total float64
	rate  float64 // units per second; 0 until known
}

const memory = 5 * time.Second

func (s *speed) add(t time.Time, total float64) {
	if s.last.IsZero() || total < s.total {
		*s = speed{last: t, total: total}
		return
	}
	dt := t.Sub(s.last)
	if dt < 50*time.Millisecond { // too short to divide by; counted with the next
		return
	}
	now := (total - s.total) / dt.Seconds()
	weight := 1 - math.Exp(-dt.Seconds()/memory.Seconds())
	if s.rate == 0 {
		weight = 1
	}
	s.rate += weight * (now - s.rate)
	s.last, s.total = t, total
}

// left gives the time from now until the total is reached, if that can be told.
func (s *speed) left(now time.Time, total float64) (time.Duration, bool) {
	if s.rate <= 0 || !(total > s.total) {
		return 0, false
	}
	seconds := (total - s.total) / s.rate
	if seconds > 1e6 {
		return 0, false
	}
	return max(0, time.Duration(seconds*float64(time.Second))-now.Sub(s.last)), true
}

// reason gives why a step failed or was skipped, on one line.
func reason(e Event) string {
	if e.Err != nil {
		return Clean(e.Err.Error())
	}
	return Clean(e.Note)
}
