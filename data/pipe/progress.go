package pipe

import (
	"context"
	"sync"
	"time"
)

// report tells the progress now and then until it is stopped, and then once more.
func (r *run) report(ctx context.Context) (stop func()) {
	if r.o.Progress == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.o.Progress(r.progress())
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
		r.o.Progress(r.progress())
	}
}

func (r *run) progress() Progress {
	p := Progress{Records: int(r.records.Load()), Want: r.o.N}
	for i, s := range r.Stages {
		state := &r.states[i]
		at := StageProgress{Stage: s.name(), In: int(state.in.Load()), Out: int(state.out.Load()), Dropped: int(state.dropped.Load()), Flying: int(state.flying.Load())}
		r.mu.Lock()
		for _, c := range state.chats {
			n := c.Stats()
			at.Asked += n.Misses
			at.Kept += n.Hits + n.Joined
		}
		r.mu.Unlock()
		p.Stages = append(p.Stages, at)
	}
	return p
}
