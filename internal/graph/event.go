package graph

import "time"

// progressInterval is the least time between two progress events of a step.
const progressInterval = 50 * time.Millisecond

// Event is news of a run. Events arrive one at a time, those of a step in order: queued, started, progress, and then
// one of done, failed, skipped, interrupted. A step that the store has gives cached alone.
type Event struct {
	Time    time.Time
	Step    string // ID
	Title   string
	Kind    string
	State   State
	Done    float64 // of Total, in Unit, while running
	Total   float64 // 0 where unknown
	Unit    string
	Note    string
	Err     error         // why it failed, was skipped or interrupted
	Elapsed time.Duration // since it started

	RunDone, RunTotal float64 // weights finished and to be done in this run, the parts of running steps included
}

// emit sends an event about step i of node n, with the weights of the moment. The caller holds r.mu.
func (r *runner) emit(n *node, i int, e Event) {
	if r.opt.Events == nil {
		return
	}
	step := r.g.steps[i]
	e.Time = time.Now()
	e.Step, e.Title, e.Kind = step.ID, step.Title, step.Kind
	if n != nil && !n.began.IsZero() {
		e.Elapsed = e.Time.Sub(n.began)
	}
	for _, n := range r.nodes {
		switch n.state {
		case Done:
			e.RunDone += n.weight
			e.RunTotal += n.weight
		case Started:
			e.RunDone += n.weight * n.part
			e.RunTotal += n.weight
		case Queued:
			e.RunTotal += n.weight
		}
	}
	r.opt.Events(e)
}

// progress takes in what a running step reports.
func (r *runner) progress(n *node, e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.state != Started {
		return // a goroutine that outlived its step
	}
	if e.Total > 0 {
		n.part = min(max(e.Done/e.Total, 0), 1)
	}
	complete := e.Total > 0 && e.Done >= e.Total
	if now := time.Now(); now.Sub(n.told) >= progressInterval || complete && !n.complete {
		n.told, n.complete = now, complete
		e.State = Progress
		r.emit(n, n.steps[0], e)
	}
}
