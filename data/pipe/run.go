package pipe

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/model"
)

// Result says how a run went.
type Result struct {
	Records int
	Surplus int // records that were made beyond N and are left out
	Card    quality.Card
	Stages  []Count // as in the card
	Asked   int     // requests that were sent to the models
	Kept    int     // requests that were answered by answers that were kept
	// Warnings are the first answers that could not be kept or read: the run is right, and a next one pays for them again.
	Warnings []error
}

// run is a recipe that is being run.
type run struct {
	*Recipe
	o      Options
	room   *semaphore.Weighted // requests at once
	states []stageState        // of the stages, and last of the records
	askers map[int]*asker      // by stage

	mu    sync.Mutex
	chats map[string]*model.Cached
	warns []error

	records atomic.Int64 // finished, in order
	parcels atomic.Int64 // that the records came from
	limited *segment     // takes no more items than are needed; may be nil
}

// stageState counts for the progress.
type stageState struct {
	in, out, dropped, flying atomic.Int64
	chats                    []*model.Cached
}

// errEnough ends a run that has the records that were wanted.
var errEnough = errors.New("the records are complete")

const opRun = "run recipe"

// Run makes the records of a recipe. A run that ends early, by an error, a cancelled context or kill -9, goes on where it was when it is
// started again with the same options. It refuses to write anything unless all records are there.
func Run(ctx context.Context, recipe *Recipe, o Options) (Result, error) {
	r, err := open(recipe, o)
	if err != nil {
		return Result{}, err
	}
	out, err := r.create()
	if err != nil {
		return Result{}, err
	}
	defer out.abort()
	if err := r.flow(ctx, out); err != nil {
		return r.result(out), err
	}
	if err := r.failed(out); err != nil {
		return r.result(out), err
	}
	card, err := out.commit()
	res := r.result(out)
	res.Card = card
	return res, err
}

// open checks recipe and options.
func open(recipe *Recipe, o Options) (*run, error) {
	if errs := Lint(recipe); len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if o.Out == "" {
		return nil, because.E(opRun, recipe.Name, errors.New("no file is named for the records"), "")
	}
	if o.Models[Writer] == nil {
		return nil, because.E(opRun, recipe.Name, errors.New("it has no writer"), "name the model that writes")
	}
	if o.Work == "" {
		o.Work = o.Out + ".work"
	}
	if o.InFlight <= 0 {
		o.InFlight = 64
	}
	if o.Tries <= 0 {
		o.Tries = 3
	}
	r := &run{Recipe: recipe, o: o, room: semaphore.NewWeighted(int64(o.InFlight)), states: make([]stageState, len(recipe.Stages)+1),
		askers: map[int]*asker{}, chats: map[string]*model.Cached{}}
	for i, s := range recipe.Stages {
		if ask, ok := s.(Ask); ok {
			a, err := r.asker(i, ask.Name, ask)
			if err != nil {
				return nil, err
			}
			r.askers[i] = a
		}
	}
	return r, nil
}

// seedOf draws the seed of a stage's n-th request about an item.
func (r *run) seedOf(item, stage string, n int) uint64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "because pipe\x00%d\x00%s\x00%s\x00%s\x00%d", r.o.Seed, r.Name, stage, item, n))
	return binary.LittleEndian.Uint64(sum[:])
}

// flow lets the items run through the segments into the records.
func (r *run) flow(outer context.Context, out *output) error {
	g, ctx := errgroup.WithContext(outer)
	stop := r.report(ctx)
	defer stop()
	stream := r.source(ctx, g)
	for _, s := range r.segments() {
		stream = s.start(ctx, g, stream)
	}
	g.Go(func() error { return r.collect(ctx, stream, out) })
	err := g.Wait()
	switch {
	case err == nil || errors.Is(err, errEnough):
		return nil
	case outer.Err() != nil:
		return because.E(opRun, r.Name, fmt.Errorf("%w (%w)", because.ErrInterrupted, err), "")
	}
	return err
}

// source sends the recipe's items, each as a parcel.
func (r *run) source(ctx context.Context, g *errgroup.Group) <-chan parcel {
	stream := make(chan parcel)
	g.Go(func() error {
		defer close(stream)
		seen := map[[16]byte]bool{}
		for it, err := range r.Source {
			if err != nil {
				return because.E(opRun, r.Name+": source", err, "")
			}
			key := shortHash(it.id)
			if seen[key] || it.id == "" {
				return because.E(opRun, r.Name+": source", fmt.Errorf("two items have the id %q, or it is empty", it.id), "")
			}
			seen[key] = true
			if err := send(ctx, stream, parcel{items: []Item{enter(it)}}); err != nil {
				return err
			}
		}
		return nil
	})
	return stream
}

func shortHash(text string) [16]byte {
	sum := sha256.Sum256([]byte(text))
	return [16]byte(sum[:16])
}

func send(ctx context.Context, stream chan<- parcel, p parcel) error {
	select {
	case stream <- p:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// part is what runs between two ordered streams.
type part interface {
	start(ctx context.Context, g *errgroup.Group, in <-chan parcel) <-chan parcel
}

// segments splits the stages where one needs order.
func (r *run) segments() []part {
	var parts []part
	var last *segment
	for i, s := range r.Stages {
		switch s := s.(type) {
		case InOrder:
			parts, last = append(parts, &inOrder{r, i, s}), nil
		case All:
			parts, last = append(parts, &all{r, i, s}), nil
		default:
			if last == nil {
				last = newSegment(r)
				parts = append(parts, last)
			}
			last.stages = append(last.stages, i)
		}
	}
	r.limitLast(parts)
	return parts
}

// limitLast makes the last segment whose items become records one by one take no more of them than are thought to be needed.
func (r *run) limitLast(parts []part) {
	if r.o.N <= 0 {
		return
	}
	for _, p := range slices.Backward(parts) {
		switch p := p.(type) {
		case *segment:
			p.limit, r.limited = r.growth(p.stages[0]), p
			return
		case *all:
			return
		}
	}
}

// growth estimates how many records an item becomes that enters a stage.
func (r *run) growth(stage int) float64 {
	n := 1.0
	for _, s := range r.Stages[stage:] {
		n = r.spread(s, n)
	}
	return n
}

// failed tells of items whose requests failed, unless they are to be left out.
func (r *run) failed(out *output) error {
	if len(out.failures) == 0 || r.o.AllowFailed {
		return nil
	}
	f := out.failures[0]
	return because.E(opRun, r.Name, fmt.Errorf("the requests of %d items failed, first in stage %s, item %s: %w", len(out.failures), f.stage, f.item, f.err),
		"run it again: all else is kept, and only these are asked for again")
}

func (r *run) result(out *output) Result {
	res := Result{Records: out.rows, Surplus: out.surplus, Stages: r.tally(out.counts)}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.chats {
		n := c.Stats()
		res.Asked += n.Misses
		res.Kept += n.Hits + n.Joined
	}
	res.Warnings = r.warns
	return res
}

// tally names the counts by their stages.
func (r *run) tally(c counts) []Count {
	var out []Count
	for i, s := range r.Stages {
		n := *c.of(i)
		n.Stage, n.Kind = s.name(), kindOf(s)
		if a := r.askers[i]; a != nil {
			n.Prompt, n.Model = a.prompt.Hash(), a.chat.Name()
		}
		out = append(out, n)
	}
	last := *c.of(len(r.Stages))
	last.Stage, last.Kind = "record", "record"
	return append(out, last)
}

func kindOf(s Stage) string {
	switch s.(type) {
	case Ask:
		return "ask"
	case Map:
		return "map"
	case Filter:
		return "filter"
	case InOrder:
		return "in order"
	case All:
		return "all"
	}
	return "do"
}
