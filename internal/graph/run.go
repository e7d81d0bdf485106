package graph

import (
	"container/heap"
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Options adjust a run. None of them changes what is produced.
type Options struct {
	Jobs      int               // steps at a time; as many as cores where 0
	Workers   int               // cores to share among the running steps; all where 0
	KeepGoing bool              // after a failure go on with what does not depend on it
	Want      []string          // IDs of the steps to produce; those that no other needs where empty
	Events    func(Event)       // told what happens, one event at a time; must not block or call back
	By        map[string]string // noted with every result: who ran it, with which program
}

// Summary is what a run came to.
type Summary struct {
	Steps   []StepSummary // wanted steps and what had to be done for them, in topological order
	Elapsed time.Duration
}

// StepSummary is what became of one step.
type StepSummary struct {
	ID       string
	Key      string
	State    State         // Cached, Done, Failed, Skipped, Interrupted or Queued
	Artifact string        // the output, where cached or done
	Err      error         // why failed, skipped or interrupted
	Elapsed  time.Duration // of the step's own run
}

// Count tells how many steps ended in a state.
func (s *Summary) Count(state State) int {
	n := 0
	for _, step := range s.Steps {
		if step.State == state {
			n++
		}
	}
	return n
}

// Artifact gives the output of a step, where it is cached or done.
func (s *Summary) Artifact(id string) (artifact string, ok bool) {
	for _, step := range s.Steps {
		if step.ID == id {
			return step.Artifact, step.Artifact != ""
		}
	}
	return "", false
}

// node is a key that must be produced. Several steps may share it; the first of them runs.
type node struct {
	steps   []int // places, ascending
	weight  float64
	rank    float64 // weight of the heaviest path from here to the end
	users   []*node
	missing int // inputs that are not produced yet

	state    State // Queued, Started, then how it ended
	artifact string
	err      error
	began    time.Time
	elapsed  time.Duration

	part     float64   // of the running step, 0 to 1
	told     time.Time // of the last progress event
	complete bool      // the last progress event said so
}

// runner is the state of one run. Its loop owns everything but what mu guards: the nodes' state and progress, which
// running steps and events touch too.
type runner struct {
	g     *Graph
	opt   Options
	need  *resolver
	nodes []*node
	byKey map[string]*node
	ready queue
	ended chan *node // steps whose goroutine has finished
	index map[string]string

	running  int
	share    string // of the last step started that has one
	indexErr error

	mu sync.Mutex
}

// Run produces the wanted steps: what the store has is kept, the rest is run, at most opt.Jobs steps at a time, those
// that hold up the most work first. A failed step takes with it only those that need it; whether others go on,
// opt.KeepGoing says. When ctx ends, running steps are told to stop, and Run returns when they have.
//
// The summary is complete in any case, except where the store can't even be read. The error is a *RunError with the
// steps that failed; it is because.ErrInterrupted (under errors.Is) where ctx ended the run.
func (g *Graph) Run(ctx context.Context, opt Options) (*Summary, error) {
	began := time.Now()
	wanted, err := g.wanted(opt.Want)
	if err != nil {
		return nil, err
	}
	if opt.Workers <= 0 {
		opt.Workers = runtime.GOMAXPROCS(0)
	}
	if opt.Jobs <= 0 {
		opt.Jobs = runtime.GOMAXPROCS(0)
	}
	need, err := g.resolve(ctx, wanted)
	if err != nil {
		if ctx.Err() != nil {
			err = &RunError{Study: g.name, Cause: context.Cause(ctx)}
		}
		return nil, err
	}
	r := &runner{g: g, opt: opt, need: need, byKey: map[string]*node{}, ended: make(chan *node, opt.Jobs)}
	if r.index, err = g.store.Index(g.name); err != nil {
		return nil, err
	}
	r.build()
	r.announce()
	r.loop(ctx)
	s := r.summary()
	s.Elapsed = time.Since(began)
	return s, r.verdict(ctx, s)
}

// build makes the nodes of what must run and their edges.
func (r *runner) build() {
	for i, asked := range r.need.asked {
		key := r.g.keys[i]
		if !asked || !r.need.demand[key].run {
			continue
		}
		n := r.byKey[key]
		if n == nil {
			n = &node{state: Queued, weight: r.g.steps[i].Weight, rank: -1}
			r.byKey[key] = n
			r.nodes = append(r.nodes, n)
		}
		n.steps = append(n.steps, i)
	}
	for _, n := range r.nodes {
		seen := map[*node]bool{}
		for _, dep := range r.g.deps[n.steps[0]] {
			if d := r.byKey[r.g.keys[dep]]; d != nil && !seen[d] {
				seen[d] = true
				d.users = append(d.users, n)
				n.missing++
			}
		}
	}
	for _, n := range r.nodes {
		setRank(n)
		if n.missing == 0 {
			heap.Push(&r.ready, n)
		}
	}
}

// setRank computes the weight of the heaviest path from n to the end of the graph, n included.
func setRank(n *node) float64 {
	if n.rank < 0 {
		longest := 0.0
		for _, u := range n.users {
			longest = max(longest, setRank(u))
		}
		n.rank = n.weight + longest
	}
	return n.rank
}

// announce sends the events of what is cached and what will run.
func (r *runner) announce() {
	r.mu.Lock()
	defer r.mu.Unlock()
	var cached []int
	for i, asked := range r.need.asked {
		if asked && r.byKey[r.g.keys[i]] == nil {
			r.emit(nil, i, Event{State: Cached})
			cached = append(cached, i)
		}
	}
	for i, asked := range r.need.asked {
		if n := r.byKey[r.g.keys[i]]; asked && n != nil {
			r.emit(n, i, Event{State: Queued})
		}
	}
	r.remember(cached)
}

// remember notes the current keys of steps in the study's index. Trouble with it doesn't stop the work.
func (r *runner) remember(steps []int) {
	changed := false
	for _, i := range steps {
		if id, key := r.g.steps[i].ID, r.g.keys[i]; r.index[id] != key {
			r.index[id] = key
			changed = true
		}
	}
	if changed {
		if err := r.g.store.SetIndex(r.g.name, r.index); err != nil && r.indexErr == nil {
			r.indexErr = err
		}
	}
}

// loop starts what is ready and takes in what ended, until nothing runs and nothing more may start.
func (r *runner) loop(ctx context.Context) {
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	for {
		for work.Err() == nil && r.running < r.opt.Jobs && r.ready.Len() > 0 {
			r.start(work, r.next())
		}
		if r.running == 0 {
			return
		}
		n := <-r.ended // running steps obey work, so this ends soon after ctx does
		r.running--
		r.finish(n, work.Err() != nil)
		if n.state == Failed && !r.opt.KeepGoing {
			stop(fmt.Errorf("%s failed", r.g.steps[n.steps[0]].ID))
		}
	}
}

// next takes the node to start out of those that are ready: the heaviest path first. A step that shares something lets those go before it that share what
// was opened last.
func (r *runner) next() *node {
	at := 0
	if r.share != "" && r.shareOf(r.ready[0]) != "" {
		for i, n := range r.ready {
			if r.shareOf(n) == r.share && (r.shareOf(r.ready[at]) != r.share || r.ready.Less(i, at)) {
				at = i
			}
		}
	}
	n := heap.Remove(&r.ready, at).(*node)
	if s := r.shareOf(n); s != "" {
		r.share = s
	}
	return n
}

func (r *runner) shareOf(n *node) string { return r.g.steps[n.steps[0]].Share }

// workers is how many cores a node gets: they are shared among the steps that can run now. Steps that are small beside it
// don't count: they are soon done, and it would be left with too few for all the rest of its time.
func (r *runner) workers(n *node) int {
	atOnce := 1
	count := func(other *node) {
		if other.weight*10 >= n.weight {
			atOnce++
		}
	}
	for _, other := range r.nodes {
		if other.state == Started {
			count(other)
		}
	}
	for _, other := range r.ready {
		count(other)
	}
	return max(1, r.opt.Workers/min(r.opt.Jobs, atOnce))
}

// start runs a node's first step in a goroutine.
func (r *runner) start(ctx context.Context, n *node) {
	i := n.steps[0]
	t := &Task{Step: r.g.steps[i].ID, Inputs: map[string]string{}, Workers: r.workers(n)}
	t.report = func(done, total float64, unit, note string) {
		r.progress(n, Event{Done: done, Total: total, Unit: unit, Note: note})
	}
	artifacts := make([]string, len(r.g.deps[i])) // of the inputs
	for k, dep := range r.g.deps[i] {
		key := r.g.keys[dep]
		if d := r.byKey[key]; d != nil {
			artifacts[k] = d.artifact
		} else {
			artifacts[k] = r.need.demand[key].artifact
		}
	}
	r.mu.Lock()
	n.state, n.began = Started, time.Now()
	r.emit(n, i, Event{State: Started})
	r.mu.Unlock()
	r.running++
	go func() {
		defer func() { r.ended <- n }()
		n.artifact, n.err = r.execute(ctx, i, t, artifacts)
	}()
}

// finish takes in how a node's step ended and what follows for others.
func (r *runner) finish(n *node, stopped bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n.elapsed = time.Since(n.began)
	first := n.steps[0]
	if n.err != nil {
		n.state = Failed
		if stopped { // whatever it says: it was told to stop, and will run again
			n.state = Interrupted
		}
		r.emit(n, first, Event{State: n.state, Err: n.err})
		if n.state == Failed {
			r.skip(n, r.g.steps[first].ID)
		}
		return
	}
	n.state = Done
	r.emit(n, first, Event{State: Done})
	for _, i := range n.steps[1:] {
		r.emit(nil, i, Event{State: Cached, Note: "same as " + r.g.steps[first].ID})
	}
	r.remember(n.steps)
	for _, u := range n.users {
		if u.missing--; u.missing == 0 {
			heap.Push(&r.ready, u)
		}
	}
}

// skip gives up what depends on n, because the step named cause failed. The caller holds r.mu.
func (r *runner) skip(n *node, cause string) {
	err := fmt.Errorf("skipped because %s failed", cause)
	for _, i := range n.steps[1:] {
		r.emit(nil, i, Event{State: Skipped, Err: err})
	}
	for _, u := range n.users {
		if u.state != Queued {
			continue
		}
		u.state, u.err = Skipped, err
		r.emit(nil, u.steps[0], Event{State: Skipped, Err: err})
		r.skip(u, cause)
	}
}

// queue is a heap of nodes that can start: heaviest remaining path first, then in plan order.
type queue []*node

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*node)) }
func (q queue) Less(i, j int) bool {
	if q[i].rank != q[j].rank {
		return q[i].rank > q[j].rank
	}
	return q[i].steps[0] < q[j].steps[0]
}
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
