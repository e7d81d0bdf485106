package pipe

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// segment runs stages that need no order, on many items at once, and gives what became of them in the order in which they came.
//
// Items are worked on in the order of the source, so that what is oldest is done first: that bounds what has to wait for its turn. New items
// are taken as long as fewer than a window are alive, and the oldest is never held up, so it always goes on.
type segment struct {
	r      *run
	stages []int
	limit  float64 // with N, records that an item is thought to become; 0: no limit

	mu      sync.Mutex
	changed *sync.Cond
	ctx     context.Context
	g       *errgroup.Group
	ready   tasks
	open    []*origin // in order; the first is given next
	took    int       // origins so far
	made    int64     // tasks so far
	running int
	alive   int // items that are worked on or wait for their turn
	ended   bool
	bad     int // failures in a row
}

// origin is an item that came into the segment, with what becomes of it.
type origin struct {
	number  int
	root    *node
	pending int
	leaves  int
	account parcel
}

// node is an item on its way, or the items that it became.
type node struct {
	children []*node
	item     *Item // at the end
}

func newSegment(r *run) *segment {
	s := &segment{r: r}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *segment) window() int { return 4*s.r.o.InFlight + 64 }

func (s *segment) start(ctx context.Context, g *errgroup.Group, in <-chan parcel) <-chan parcel {
	s.ctx, s.g = ctx, g
	out := make(chan parcel)
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})
	g.Go(func() error { return s.admit(in) })
	g.Go(func() error { return s.emit(out) })
	return out
}

// admit takes items in while there is room.
func (s *segment) admit(in <-chan parcel) error {
	for {
		if err := s.wait(s.hasRoom); err != nil {
			return err
		}
		p, ok, err := receive(s.ctx, in)
		if err != nil {
			return err
		}
		s.mu.Lock()
		if !ok {
			s.ended = true
			s.changed.Broadcast()
			s.mu.Unlock()
			return nil
		}
		s.take(p)
		s.dispatch()
		s.changed.Broadcast()
		s.mu.Unlock()
	}
}

func receive(ctx context.Context, in <-chan parcel) (parcel, bool, error) {
	select {
	case p, ok := <-in:
		return p, ok, nil
	case <-ctx.Done():
		return parcel{}, false, ctx.Err()
	}
}

// wait waits until a condition holds or the run ends.
func (s *segment) wait(until func() bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !until() {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		s.changed.Wait()
	}
	return s.ctx.Err()
}

// hasRoom tells whether another item may come in. The lock must be held.
func (s *segment) hasRoom() bool {
	if s.alive >= s.window() {
		return false
	}
	if s.limit <= 0 {
		return true
	}
	// What one item becomes is what it has become so far, and at first what is said of it.
	records, parcels := float64(s.r.records.Load()), float64(s.r.parcels.Load())
	each := (records + 3*s.limit) / (parcels + 3)
	missing := math.Ceil((float64(s.r.o.N)-records)/math.Max(each, 1e-6) - 1e-9)
	return float64(s.took) < parcels+math.Max(1, missing)
}

// poke looks again whether another item may come in, after a record was made.
func (s *segment) poke() {
	if s != nil {
		s.mu.Lock()
		s.changed.Broadcast()
		s.mu.Unlock()
	}
}

// take opens an origin for each item of a parcel; the parcel's own account goes with the first. The lock must be held.
func (s *segment) take(p parcel) {
	account := parcel{drops: p.drops, counts: p.counts, failures: p.failures}
	if len(p.items) == 0 {
		s.open = append(s.open, &origin{account: account})
		s.took++
		return
	}
	for _, it := range p.items {
		o := &origin{number: s.took, root: &node{}, pending: 1, leaves: 1, account: account}
		account = parcel{}
		s.took++
		s.alive++
		s.open = append(s.open, o)
		s.push(task{origin: o, node: o.root, item: it})
	}
}

// push lets a task wait. The lock must be held.
func (s *segment) push(t task) {
	t.number = s.made
	s.made++
	heap.Push(&s.ready, t)
}

// dispatch starts what may start. The lock must be held.
func (s *segment) dispatch() {
	for s.running < s.r.o.InFlight && len(s.ready) > 0 && s.ctx.Err() == nil {
		first := s.ready[0]
		if s.alive > 2*s.window() && first.origin != s.oldest() {
			return // what has to wait for its turn must not grow
		}
		t := heap.Pop(&s.ready).(task)
		s.running++
		s.g.Go(func() error { return s.work(t) })
	}
}

// oldest gives the first origin that is not done. The lock must be held.
func (s *segment) oldest() *origin {
	for _, o := range s.open {
		if o.pending > 0 {
			return o
		}
	}
	return nil
}

// work takes an item through the stages until it is done or becomes several.
func (s *segment) work(t task) error {
	for {
		stage := s.stages[t.at]
		res, err := s.r.apply(s.ctx, stage, t.item)
		next, again, err := s.settle(t, stage, res, err)
		if err != nil || !again {
			return err
		}
		t = next
	}
}

// settle takes in what a stage made of an item. The worker goes on with the next task where again is true.
func (s *segment) settle(t task, stage int, res result, err error) (next task, again bool, fatal error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if fatal := s.fault(t, stage, res, err); fatal != nil {
			return t, false, fatal
		}
	} else {
		s.bad = 0
		s.account(t.origin, stage, res, len(res.items), "")
	}
	if len(res.items) > 0 && err == nil {
		if next, again = s.spread(t, res.items); again {
			s.dispatch()
			return next, true, nil
		}
	} else {
		s.alive--
		t.origin.leaves--
		t.origin.pending--
	}
	s.running--
	s.dispatch()
	s.changed.Broadcast()
	return t, false, nil
}

// spread puts the items that came of one in its place, and gives the first for the next stage, if there is one. The lock must be held.
func (s *segment) spread(t task, items []Item) (task, bool) {
	nodes := []*node{t.node}
	if len(items) > 1 {
		nodes = make([]*node, len(items))
		for i := range nodes {
			nodes[i] = &node{}
		}
		t.node.children = nodes
		t.origin.pending += len(items) - 1
		t.origin.leaves += len(items) - 1
		s.alive += len(items) - 1
	}
	if t.at+1 == len(s.stages) {
		for i, n := range nodes {
			n.item = &items[i]
		}
		t.origin.pending -= len(items)
		return t, false
	}
	for i := 1; i < len(items); i++ {
		s.push(task{origin: t.origin, node: nodes[i], at: t.at + 1, item: items[i]})
	}
	return task{origin: t.origin, node: nodes[0], at: t.at + 1, item: items[0]}, true
}

// account adds to the account of an origin. The lock must be held.
func (s *segment) account(o *origin, stage int, res result, out int, dropped string) {
	n := res.count
	n.In, n.Out = 1, out
	state := &s.r.states[stage]
	state.in.Add(1)
	state.out.Add(int64(out))
	if dropped != "" {
		n.Dropped = map[string]int{dropped: 1}
		state.dropped.Add(1)
	}
	if o.account.counts == nil {
		o.account.counts = counts{}
	}
	addCount(o.account.counts.of(stage), n)
}

// patience is how many requests in a row may fail before the run gives up.
const patience = 25

// fault takes in that a stage gave no items. Errors that other items would meet too end the run. The lock must be held.
func (s *segment) fault(t task, stage int, res result, err error) error {
	name := s.r.Stages[stage].name()
	var d *dropError
	if errors.As(err, &d) {
		s.account(t.origin, stage, res, 0, d.reason)
		t.origin.account.drops = append(t.origin.account.drops, drop{t.item, name, d.reason, res.tries})
		return nil
	}
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	var e *model.Error
	s.bad++
	if !errors.As(err, &e) || everywhere[e.Kind] || s.bad >= patience {
		return because.E(opRun, fmt.Sprintf("%s: stage %s, item %s", s.r.Name, name, t.item.id), err, "")
	}
	s.account(t.origin, stage, res, 0, "request failed")
	t.origin.account.failures = append(t.origin.account.failures, failure{t.item.id, name, err})
	return nil
}

// everywhere are the errors that say nothing about one request.
var everywhere = map[model.Kind]bool{
	model.Unreachable: true, model.BadTLS: true, model.Denied: true, model.NotFound: true, model.NoTools: true, model.OverBudget: true,
}

// emit gives what became of the items, in their order.
func (s *segment) emit(out chan<- parcel) error {
	defer close(out)
	for {
		err := s.wait(func() bool { return len(s.open) > 0 && s.open[0].pending == 0 || s.ended && len(s.open) == 0 })
		if err != nil {
			return err
		}
		s.mu.Lock()
		if len(s.open) == 0 {
			s.mu.Unlock()
			return nil
		}
		o := s.open[0]
		s.open[0] = nil
		s.open = s.open[1:]
		s.mu.Unlock()
		p := o.account
		p.items = o.root.collect(nil)
		if err := send(s.ctx, out, p); err != nil {
			return err
		}
		s.mu.Lock()
		s.alive -= o.leaves
		s.dispatch()
		s.changed.Broadcast()
		s.mu.Unlock()
	}
}

// collect gathers the items at the ends of a tree, in order.
func (n *node) collect(items []Item) []Item {
	switch {
	case n == nil:
	case n.item != nil:
		items = append(items, *n.item)
	default:
		for _, c := range n.children {
			items = c.collect(items)
		}
	}
	return items
}
