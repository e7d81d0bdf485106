//go:build unix

package ray

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/train/ray/raytest"
)

// cpuTime is what this process has used so far.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFollow100 follows 100 jobs that take a step a second each, with the times of real use, and reports the share of a core that it costs: of the
// followers and the cluster in memory together, so that the followers' own share is less. Once by streams, once by reading the whole logs.
func BenchmarkFollow100(b *testing.B) {
	for _, way := range []string{"stream", "poll"} {
		b.Run(way, func(b *testing.B) {
			lines := raytest.Print(raytest.Event(Event{Kind: EventStart, Steps: 1000}))
			for i := range 1000 {
				lines = append(lines, raytest.Print(raytest.Event(stepEvent(i+1, 1)), fmt.Sprint("log ", i))...)
				if i >= 300 { // the steps before are there from the start
					lines[len(lines)-1].After = time.Second
				}
			}
			s, c := cluster(b, func(raytest.Job) raytest.Script { return raytest.Script{Lines: lines} })
			c.pace = ordinary(0)
			if way == "poll" {
				s.NoWebSocket()
				c.pace.fresh = c.pace.slow // as after the first minute
			}
			ctx, cancel := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			for i := range 100 {
				id := fmt.Sprint("job-", i)
				if err := c.Submit(ctx, Submission{ID: id, Entry: "x"}); err != nil {
					b.Fatal(err)
				}
				wg.Go(func() {
					if _, err := c.Follow(ctx, id, func([]Event) error { return nil }); !errors.Is(err, because.ErrInterrupted) {
						b.Error(err)
					}
				})
			}
			time.Sleep(5 * time.Second) // until all are at the end of their logs
			before, began := cpuTime(b), time.Now()
			for b.Loop() {
				time.Sleep(5 * time.Second)
			}
			b.ReportMetric(100*(cpuTime(b)-before).Seconds()/time.Since(began).Seconds(), "%core")
			cancel()
			wg.Wait()
		})
	}
}
