package finetune

import (
	"math/rand/v2"
	"slices"
)

// planner says which pieces each step trains on. It depends on the pieces' lengths, the options and the seed alone, and
// finds any step's again after a restart.
type planner struct {
	set     *dataset
	o       *Options
	steps   int         // in all
	epoch   int         // of updates
	first   int         // step that the epoch begins with
	updates [][][]piece // the packed batches of each of the epoch's steps
}

func newPlanner(set *dataset, o *Options) *planner {
	p := &planner{set: set, o: o, steps: o.Steps}
	p.load(0, 0)
	if o.Steps > 0 {
		return p
	}
	for e := range o.Epochs {
		p.load(e, p.steps)
		p.steps += len(p.updates)
	}
	p.load(0, 0)
	return p
}

// step gives the packed batches of a step, counted from 0. The last step of an epoch may have fewer.
func (p *planner) step(n int) [][]piece {
	if n < p.first {
		p.load(0, 0)
	}
	for n >= p.first+len(p.updates) {
		p.load(p.epoch+1, p.first+len(p.updates))
	}
	return p.updates[n-p.first]
}

// load lays out an epoch: its pieces in the epoch's order, as many to a step as Options.Rows says or as its batches hold.
func (p *planner) load(epoch, first int) {
	p.epoch, p.first, p.updates = epoch, first, nil
	order := slices.Clone(p.set.pieces)
	if !p.o.Ordered {
		rand.New(rand.NewPCG(p.o.Seed, uint64(epoch))).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	if p.o.Rows > 0 {
		for rows := range slices.Chunk(order, p.o.Rows) {
			p.updates = append(p.updates, p.pack(rows))
		}
		return
	}
	for batches := range slices.Chunk(p.pack(order), p.o.Accumulate) {
		p.updates = append(p.updates, batches)
	}
}

// pack lays pieces into batches in their order. Each batch is closed by the first piece that does not fit.
func (p *planner) pack(pieces []piece) [][]piece {
	capacity := p.o.Batch * p.o.SeqLen
	var batches [][]piece
	from, tokens := 0, 0
	for i, x := range pieces {
		n := int(x.to - x.from)
		if tokens+n > capacity {
			batches = append(batches, pieces[from:i])
			from, tokens = i, 0
		}
		tokens += n
	}
	return append(batches, pieces[from:])
}
