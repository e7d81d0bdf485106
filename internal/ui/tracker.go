package ui

import (
	"fmt"
	"time"
)

// tracker knows what runs and what has ended. The views differ only in how they show it.
type tracker struct {
	running                       []*step // in order of start
	done, cached, failed, skipped int
	began                         time.Time // of the first step that was not cached
	runDone, runTotal             float64
	free                          float64 // the part of runDone that cached steps gave, at no time
}

// step is one that runs.
type step struct {
	Event // the latest
	began time.Time
	speed speed
	long  bool // the line view has announced it
}

// add takes in an event and gives the step that it is about: nil where the step was never started or has
// ended before. Progress of such a step is late news and changes nothing.
func (t *tracker) add(e Event) *step {
	if e.RunTotal > 0 {
		if e.State == Cached {
			t.free += max(0, e.RunDone-t.runDone)
		}
		t.runDone, t.runTotal = max(t.runDone, e.RunDone), e.RunTotal
	}
	at := t.find(e.Step)
	switch e.State {
	case Started, Progress:
		if at < 0 && e.State == Progress {
			return nil
		}
		if at < 0 {
			at = len(t.running)
			t.running = append(t.running, &step{began: e.Time})
			if t.began.IsZero() {
				t.began = e.Time
			}
		}
		s := t.running[at]
		if e.Unit != s.Unit || e.Total != s.Total { // another phase of the step
			s.speed = speed{}
		}
		s.Event = e
		if e.State == Progress {
			s.speed.add(e.Time, e.Done)
		}
		return s
	case Done:
		t.done++
	case Cached:
		t.cached++
	case Failed:
		t.failed++
	case Skipped:
		t.skipped++
	}
	if at < 0 {
		return nil
	}
	s := t.running[at]
	t.running = append(t.running[:at], t.running[at+1:]...)
	return s
}

func (t *tracker) find(name string) int {
	for i, s := range t.running {
		if s.Step == name {
			return i
		}
	}
	return -1
}

// left estimates the rest of the run from the work done since the first step that was not cached. Below
// two per cent of the work it would be a guess.
func (t *tracker) left(now time.Time) (time.Duration, bool) {
	worked, rest := t.runDone-t.free, t.runTotal-t.runDone
	elapsed := now.Sub(t.began)
	if t.began.IsZero() || rest <= 0 || worked < 0.02*(t.runTotal-t.free) || worked <= 0 || elapsed < time.Second {
		return 0, false
	}
	return time.Duration(float64(elapsed) * rest / worked), true
}

// counts gives "1 failed", "12 done", "30 cached" without what is zero, the most important first.
func (t *tracker) counts() (parts []string) {
	for _, c := range []struct {
		n    int
		name string
	}{{t.failed, "failed"}, {t.done, "done"}, {t.cached, "cached"}, {t.skipped, "skipped"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.name))
		}
	}
	return parts
}

// ended gives the line of a step that has ended; s is nil where it never started.
func ended(e Event, s *step, p palette) string {
	line := Clean(e.Title)
	if s != nil && e.State != Skipped {
		line += "  " + p.dim(spent(e.Time.Sub(s.began)))
	}
	why := reason(e)
	switch e.State {
	case Failed:
		return p.bad(p.pick("✗", "x")) + " " + line + ": " + p.bad("failed") + ": " + why
	case Skipped:
		line = p.dim(p.pick("·", "-")+" "+Clean(e.Title)) + p.dim(": skipped")
		if why != "" {
			line += p.dim(": " + why)
		}
		return line
	}
	if why != "" {
		line += "  " + p.dim(why)
	}
	return p.good(p.pick("✓", "+")) + " " + line
}

// palette colours text where colours are wanted.
type palette struct{ color, unicode bool }

func (p palette) paint(code, s string) string {
	if !p.color || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p palette) good(s string) string { return p.paint("32", s) }
func (p palette) bad(s string) string  { return p.paint("31", s) }
func (p palette) dim(s string) string  { return p.paint("2", s) }
func (p palette) bar(s string) string  { return p.paint("36", s) }

func (p palette) pick(unicode, ascii string) string {
	if p.unicode {
		return unicode
	}
	return ascii
}
