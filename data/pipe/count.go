package pipe

import (
	"maps"

	"github.com/because-lab/because/data/quality"
)

// Count says what one stage did with the items that went into the records of a run, or would have if they had not been dropped. It does not
// depend on concurrency nor on what was kept from earlier runs.
type Count = quality.Stage

func addCount(c *Count, d Count) {
	c.In += d.In
	c.Out += d.Out
	c.Requests += d.Requests
	c.Usage.Add(d.Usage)
	c.Dropped, c.Again = addCounts(c.Dropped, d.Dropped), addCounts(c.Again, d.Again)
}

func addCounts(to, from map[string]int) map[string]int {
	if len(from) > 0 && to == nil {
		return maps.Clone(from)
	}
	for k, n := range from {
		to[k] += n
	}
	return to
}

// counts are those of the stages, by their place in the recipe.
type counts map[int]*Count

func (c counts) of(stage int) *Count {
	if c[stage] == nil {
		c[stage] = &Count{}
	}
	return c[stage]
}

func (c counts) add(d counts) {
	for stage, n := range d {
		addCount(c.of(stage), *n)
	}
}

// parcel is what flows between segments: what became of one item that entered the segment, or of none.
type parcel struct {
	items    []Item
	drops    []drop
	counts   counts
	failures []failure
}

// join adds another parcel's account, without its items.
func (p *parcel) join(q parcel) {
	p.drops, p.failures = append(p.drops, q.drops...), append(p.failures, q.failures...)
	if p.counts == nil {
		p.counts = counts{}
	}
	p.counts.add(q.counts)
}

// drop is an item that goes no further.
type drop struct {
	item   Item
	stage  string
	reason string
	tries  []Try
}

// failure is an item whose request failed.
type failure struct {
	item  string
	stage string
	err   error
}
