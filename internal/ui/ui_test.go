package ui

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time {
	return noon.Add(time.Duration(seconds * float64(time.Second)))
}

// live is a display on a fake terminal, with a clock and frames that the test moves.
type live struct {
	*Display
	*screen
	t      *testing.T
	ticks  chan time.Time
	now    time.Time
	mu     sync.Mutex
	height int
	cancel context.CancelFunc
}

func startLive(t *testing.T, width int) *live {
	l := &live{screen: newScreen(t, width), t: t, ticks: make(chan time.Time), now: noon, height: 24}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.Display = start(ctx, Options{Out: l.screen, Mode: Live, Color: true, Unicode: true, Size: func() (int, int) {
		l.screen.mu.Lock()
		defer l.screen.mu.Unlock()
		return l.screen.width, l.height
	}}, func() time.Time { l.mu.Lock(); defer l.mu.Unlock(); return l.now }, l.ticks)
	t.Cleanup(func() { cancel(); l.Stop() })
	return l
}

// frame sets the clock, draws as at a tick, and gives what is on the screen.
func (l *live) frame(seconds float64) string {
	l.mu.Lock()
	l.now = at(seconds)
	l.mu.Unlock()
	l.Display.mu.Lock()
	l.view.frame()
	l.Display.mu.Unlock()
	return l.text()
}

func (l *live) want(got string, lines ...string) {
	l.t.Helper()
	if want := strings.Join(lines, "\n"); got != want {
		l.t.Errorf("screen:\n%s\nwant:\n%s", got, want)
	}
}

func TestLive(t *testing.T) {
	l := startLive(t, 100)
	l.Event(Event{Step: "a", Title: "base corpus", State: Cached, Time: at(0), RunDone: 10, RunTotal: 100})
	l.Event(Event{Step: "b", Title: "advice · seed 11", State: Started, Time: at(0), RunDone: 10, RunTotal: 100})
	l.Event(Event{Step: "c", Title: "documents · seed 11", State: Started, Time: at(0), RunDone: 10, RunTotal: 100})
	l.want(l.frame(0),
		"⠙ advice · seed 11                  0:00",
		"⠙ documents · seed 11               0:00",
		"  total                             ━━──────────────────   10 %  0:00 spent  1 cached")
	if !l.hidden {
		t.Error("the cursor is shown")
	}
	for s := 1.0; s <= 4; s++ {
		l.Event(Event{Step: "b", Title: "advice · seed 11", State: Progress, Time: at(s), Done: s * 80_000, Total: 800_000, Unit: "tokens", Note: "loss 2.13", RunDone: 10 + s, RunTotal: 100})
	}
	l.want(l.frame(4),
		"⠹ advice · seed 11                  ━━━━━━━━────────────   40 %  0:06 left  80k tokens/s  320k/800k",
		"⠹ documents · seed 11               0:04",
		"  total                             ━━╸─────────────────   14 %  1:26 left  0:04 spent  1 cached",
	)
	l.Event(Event{Step: "b", Title: "advice · seed 11", State: Done, Time: at(10), RunDone: 40, RunTotal: 100})
	l.Event(Event{Step: "c", Title: "documents · seed 11", State: Failed, Err: errors.New("disk\nfull"), Time: at(10), RunDone: 40, RunTotal: 100})
	l.Event(Event{Step: "d", Title: "evaluate", State: Skipped, Note: "documents · seed 11 failed", Time: at(10), RunDone: 40, RunTotal: 100})
	l.want(l.frame(10),
		"✓ advice · seed 11  10s",
		"✗ documents · seed 11  10s: failed: disk full",
		"· evaluate: skipped: documents · seed 11 failed",
		"  total                             ━━━━━━━━────────────   40 %  0:20 left  0:10 spent  1 failed")
	l.Message("a message\x1b[2Jof two\nlines")
	if err := l.Stop(); err != nil {
		t.Fatal(err)
	}
	l.want(l.text(),
		"✓ advice · seed 11  10s",
		"✗ documents · seed 11  10s: failed: disk full",
		"· evaluate: skipped: documents · seed 11 failed",
		"a message [2Jof two lines",
		"= 1 step cached")
	if l.hidden {
		t.Error("the cursor is still hidden")
	}
	before := l.writes
	l.Event(Event{Step: "z", State: Done})
	l.Message("late")
	if l.Stop() != nil || l.writes != before {
		t.Error("something was written after the end")
	}
}

// Without news a frame writes nothing, but clocks go on each second; a frame is one write.
func TestLiveWritesSparingly(t *testing.T) {
	l := startLive(t, 80)
	l.frame(0)
	if l.writes != 0 {
		t.Errorf("%d writes before anything happened", l.writes)
	}
	l.Event(Event{Step: "a", State: Started, Time: at(0)})
	for i := range 1000 {
		l.Event(Event{Step: "a", State: Progress, Done: float64(i), Total: 1000, Time: at(float64(i) / 1e4)})
	}
	l.frame(0.1)
	if l.writes != 1 {
		t.Errorf("%d writes for one frame", l.writes)
	}
	l.frame(0.5)
	if l.writes != 1 {
		t.Error("a frame without news was written")
	}
	l.frame(1.2)
	if l.writes != 2 {
		t.Error("the clock stands still")
	}
}

func TestLiveDrawsAtTicks(t *testing.T) {
	l := startLive(t, 80)
	l.Event(Event{Step: "a", Title: "one", State: Started, Time: at(0)})
	l.ticks <- noon
	l.ticks <- noon // is taken when the first has been drawn
	if got := l.text(); !strings.Contains(got, "one") {
		t.Errorf("after a tick: %q", got)
	}
}

func TestLiveInterrupt(t *testing.T) {
	l := startLive(t, 80)
	l.Event(Event{Step: "a", Title: "one", State: Started, Time: at(0)})
	l.Event(Event{Step: "b", Title: "two", State: Started, Time: at(0)})
	l.Event(Event{Step: "b", Title: "two", State: Done, Time: at(1)})
	l.frame(1)
	l.cancel()
	l.painter.Wait() // the goroutine ends by itself
	if l.hidden {
		t.Error("the cursor is still hidden")
	}
	l.want(l.text(), "✓ two  1.0s")
	l.Event(Event{Step: "a", Title: "one", State: Failed, Err: context.Canceled})
	if err := l.Stop(); err != nil {
		t.Error(err)
	}
	l.want(l.text(), "✓ two  1.0s")
}

func TestLiveManyStepsFitTheScreen(t *testing.T) {
	l := startLive(t, 60)
	l.height = 6
	for i := range 9 {
		l.Event(Event{Step: fmt.Sprint(i), Title: fmt.Sprint("step ", i), State: Started, Time: at(0)})
	}
	got := l.frame(0)
	if n := strings.Count(got, "\n") + 1; n > 5 || !strings.Contains(got, "and 6 more running") {
		t.Errorf("%d lines:\n%s", n, got)
	}
}

func TestLiveResize(t *testing.T) {
	for _, widths := range [][]int{{100, 60}, {100, 33}, {100, 20}, {40, 120}, {80, 9, 80}, {70, 8, 9, 10, 100}} {
		l := startLive(t, widths[0])
		for i := range 3 {
			l.Event(Event{Step: fmt.Sprint(i), Title: "a title of some length " + fmt.Sprint(i), State: Started, Time: at(0), RunTotal: 10})
		}
		l.Event(Event{Step: "1", Title: "a title of some length 1", State: Progress, Done: 3, Total: 10, Unit: "steps", Time: at(1), RunTotal: 10})
		l.frame(1)
		for i, width := range widths[1:] {
			l.resize(width)
			l.Event(Event{Step: "0", Title: "a title", State: Progress, Done: 1, Total: 2, Time: at(2 + float64(i)), RunTotal: 10})
			got := l.frame(2 + float64(i))
			if n := strings.Count(got, "\n") + 1; n != 4 {
				t.Errorf("widths %v: %d lines after a resize to %d:\n%s", widths, n, width, got)
			}
			for line := range strings.SplitSeq(got, "\n") {
				if Width(line) >= width {
					t.Errorf("%d columns on a screen of %d: %q", Width(line), width, line)
				}
			}
		}
		if err := l.Stop(); err != nil || l.text() != "" {
			t.Errorf("widths %v: %v, left on the screen: %q", widths, err, l.text())
		}
	}
}

// Whatever happens, the block is intact: one line per running step and the total, above them the finished
// ones in order.
func TestLiveProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := startLive(t, 90)
		running, finished := 0, 0
		states := map[int]State{}
		now := 0.0
		for range rapid.IntRange(1, 40).Draw(rt, "events") {
			id := rapid.IntRange(0, 6).Draw(rt, "step")
			now += rapid.Float64Range(0, 3).Draw(rt, "pause")
			e := Event{Step: fmt.Sprint(id), Title: fmt.Sprint("step ", id), Time: at(now), RunTotal: 100, RunDone: now}
			switch s := states[id]; {
			case s == "":
				e.State = Started
				running++
			case s == Started && rapid.Bool().Draw(rt, "ends"):
				e.State = rapid.SampledFrom([]State{Done, Failed, Skipped}).Draw(rt, "end")
				running, finished = running-1, finished+1
			default:
				e.State = Progress
				e.Done = rapid.Float64().Draw(rt, "done")
				e.Total = rapid.SampledFrom([]float64{0, 10, 1e9, math.NaN(), math.Inf(1)}).Draw(rt, "total")
			}
			if e.State != Progress {
				states[id] = e.State
			}
			l.Event(e)
			if rapid.Bool().Draw(rt, "frame") {
				l.frame(now)
			}
		}
		l.Message("end")
		got := l.frame(now)
		if n := strings.Count(got, "\n") + 1; n != finished+1+running+1 {
			rt.Fatalf("%d lines, %d finished, %d running:\n%s", n, finished, running, got)
		}
		if err := l.Stop(); err != nil || strings.Count(l.text(), "\n") != finished {
			rt.Fatalf("%v, at the end:\n%s", err, l.text())
		}
	})
}

func TestLines(t *testing.T) {
	var out bytes.Buffer
	d := New(context.Background(), Options{Out: &out, Unicode: true})
	d.Event(Event{Step: "a", State: Cached, Time: at(0)})
	d.Event(Event{Step: "b", State: Cached, Time: at(0)})
	d.Event(Event{Step: "c", Title: "train", State: Started, Time: at(0)})
	for s := range 60 {
		d.Event(Event{Step: "c", Title: "train", State: Progress, Done: float64(s), Total: 60, Time: at(float64(s))})
	}
	d.Event(Event{Step: "c", Title: "train", State: Done, Time: at(60), Note: "loss 1.02"})
	d.Event(Event{Step: "c", Title: "train", State: Progress, Time: at(61)}) // late
	d.Event(Event{Step: "d", Title: "eval", State: Started, Time: at(60)})
	d.Event(Event{Step: "d", Title: "eval", State: Failed, Time: at(60.5), Err: errors.New("no model")})
	d.Event(Event{Step: "e", State: Cached, Time: at(61)})
	d.Message("finished")
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	want := `= 2 steps cached
… train: 25 %, about 0:45 left
✓ train  1:00  loss 1.02
✗ eval  0.5s: failed: no model
= 1 step cached
finished
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", &out, want)
	}
}

func TestJSON(t *testing.T) {
	var out bytes.Buffer
	d := New(context.Background(), Options{Out: &out, Mode: JSON})
	d.Event(Event{Step: "a", Title: "train", Kind: "train", State: Started, Time: at(0)})
	for i := range 100 { // ten seconds
		d.Event(Event{Step: "a", Title: "train", State: Progress, Done: float64(i), Total: math.Inf(1), Unit: "tokens", Time: at(float64(i) / 10), RunDone: 1, RunTotal: 2})
	}
	d.Event(Event{Step: "a", Title: "train", State: Failed, Err: errors.New("no\nmodel"), Time: at(10)})
	d.Message("finished")
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 13 {
		t.Fatalf("%d lines:\n%s", len(lines), &out)
	}
	var last, message map[string]any
	for _, l := range lines {
		if err := json.Unmarshal([]byte(l), &message); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal([]byte(lines[11]), &last); err != nil {
		t.Fatal(err)
	}
	if last["state"] != "failed" || last["error"] != "no\nmodel" || last["step"] != "a" || last["time"] != "2025-01-01T12:00:10Z" || message["message"] != "finished" {
		t.Errorf("%v, %v", last, message)
	}
}

type brokenPipe struct{ writes int }

func (b *brokenPipe) Write([]byte) (int, error) {
	b.writes++
	return 0, os.ErrClosed
}

func TestBrokenOutput(t *testing.T) {
	for _, mode := range []Mode{Lines, JSON, Live} {
		out := &brokenPipe{}
		d := New(context.Background(), Options{Out: out, Mode: mode})
		for i := range 5 {
			d.Event(Event{Step: fmt.Sprint(i), State: Started})
			d.Event(Event{Step: fmt.Sprint(i), State: Done})
		}
		if err := d.Stop(); !errors.Is(err, os.ErrClosed) || out.writes != 1 {
			t.Errorf("mode %d: error %v after %d writes", mode, err, out.writes)
		}
	}
}

// Steps report from many goroutines; after Stop none of the display's is left.
func TestConcurrentUse(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, mode := range []Mode{Lines, JSON, Live} {
		var out bytes.Buffer
		ctx, cancel := context.WithCancel(context.Background())
		d := New(ctx, Options{Out: &out, Mode: mode, Unicode: true})
		var work sync.WaitGroup
		for i := range 8 {
			work.Add(1)
			go func() {
				defer work.Done()
				name := fmt.Sprint("step ", i)
				d.Event(Event{Step: name, State: Started})
				for j := range 200 {
					d.Event(Event{Step: name, State: Progress, Done: float64(j), Total: 200})
				}
				d.Event(Event{Step: name, State: Done})
			}()
		}
		work.Wait()
		go cancel()
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
		if n := strings.Count(out.String(), "step 3"); n == 0 && mode != Live {
			t.Errorf("mode %d: step 3 is not mentioned", mode)
		}
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

func TestFormats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{amount(0), "0"}, {amount(0.25), "0.2"}, {amount(930), "930"}, {amount(83_210), "83k"}, {amount(1_234_567), "1.2M"}, {amount(2e12), "2T"},
		{amount(999.7), "1k"}, {amount(9_960), "10k"}, {amount(math.NaN()), "?"},
		{clock(7 * time.Second), "0:07"}, {clock(750 * time.Second), "12:30"}, {clock(3723 * time.Second), "1:02:03"}, {clock(-time.Second), "0:00"},
		{spent(300 * time.Millisecond), "0.3s"}, {spent(12 * time.Second), "12s"}, {spent(125 * time.Second), "2:05"},
		{bar(0.5, 4, true), "━━──"}, {bar(0.62, 4, true), "━━──"}, {bar(0.63, 4, true), "━━╸─"}, {bar(2, 3, true), "━━━"}, {bar(math.NaN(), 3, true), "───"}, {bar(0.5, 4, false), "##.."},
		{Cut("abcdef", 4), "abc…"}, {Cut("abc", 3), "abc"}, {Cut("漢字漢字", 5), "漢字…"}, {Cut("abc", 0), ""}, {Pad("漢", 4), "漢  "},
		{CutMiddle("linked/seed11/train2", 14), "linked/…train2"}, {CutMiddle("short", 14), "short"}, {CutMiddle("漢字漢字漢字", 9), "漢字漢…字"},
		{Clean("a\x1b[31mb\tc\nd"), "a [31mb c d"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestWidthProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		width := rapid.IntRange(0, 20).Draw(t, "width")
		if got := Width(Cut(s, width)); got > width {
			t.Fatalf("%q cut to %d takes %d", s, width, got)
		}
		if got := Width(CutMiddle(s, width)); got > width {
			t.Fatalf("%q cut in its middle to %d takes %d", s, width, got)
		}
		if got := bar(rapid.Float64().Draw(t, "share"), width, true); Width(got) != width {
			t.Fatalf("a bar of %d: %q", width, got)
		}
		if clean := Clean(s); strings.ContainsAny(clean, "\x1b\n\r\t\u009b") {
			t.Fatalf("%q is not clean", clean)
		}
	})
}

func TestSpeed(t *testing.T) {
	var s speed
	for i := range 30 {
		s.add(at(float64(i)), float64(i)*100)
	}
	if math.Abs(s.rate-100) > 1e-6 {
		t.Errorf("steady 100/s reads as %v", s.rate)
	}
	if left, ok := s.left(at(29), 3900); !ok || left != 10*time.Second {
		t.Errorf("left %v, %v", left, ok)
	}
	if left, ok := s.left(at(32), 3900); !ok || left != 7*time.Second {
		t.Errorf("three seconds later %v, %v", left, ok)
	}
	for i := 30; i < 60; i++ {
		s.add(at(float64(i)), 2900+float64(i-29)*10)
	}
	if s.rate > 12 {
		t.Errorf("30 s after a drop to 10/s it reads as %v", s.rate)
	}
	s.add(at(61), 0) // another phase
	if s.rate != 0 {
		t.Error("the speed of the phase before is kept")
	}
}

func TestDetect(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	environment := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	d := Detect(file, environment("LANG", "C"))
	if d.Live || d.Color || d.Unicode || d.Options().Mode != Lines {
		t.Errorf("a file: %+v", d)
	}
	if columns, rows := d.Size(); columns != 0 || rows != 0 {
		t.Errorf("a file of %d by %d", columns, rows)
	}
	if !Detect(file, environment("LANG", "C", "LC_ALL", "de_AT.UTF-8")).Unicode || !Detect(file, environment()).Unicode {
		t.Error("UTF-8 is not recognised")
	}
}
