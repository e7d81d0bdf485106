package finetune

import "math/rand/v2"

// planner says which pieces each step trains on. It depends on the pieces' lengths, the options and the seed alone, and
// finds any step's again after a restart.
type planner struct {
	set      *dataset
	o        *Options
	steps    int // in all
	epoch    int // of batches
	first    int // step that the epoch begins with
	batches  [][]piece
	capacity int // tokens of a packed batch
}

func newPlanner(set *dataset, o *Options) *planner {
	p := &planner{set: set, o: o, capacity: o.Batch * o.SeqLen, steps: o.Steps}
	p.load(0, 0)
	if o.Steps > 0 {
		return p
	}
	for e := range o.Epochs {
		p.load(e, p.steps)
		p.steps += p.length()
	}
	p.load(0, 0)
	return p
}

// step gives the packed batches of a step, counted from 0. The last step of an epoch may have fewer.
func (p *planner) step(n int) [][]piece {
	if n < p.first {
		p.load(0, 0)
	}
	for n >= p.first+p.length() {
		p.load(p.epoch+1, p.first+p.length())
	}
	at := (n - p.first) * p.o.Accumulate
	return p.batches[at:min(len(p.batches), at+p.o.Accumulate)]
}

// length is the number of steps of the epoch.
func (p *planner) length() int { return (len(p.batches) + p.o.Accumulate - 1) / p.o.Accumulate }

// load packs an epoch: pieces in the epoch's order, each batch closed by the first that does not fit.
func (p *planner) load(epoch, first int) {
	p.epoch, p.first, p.batches = epoch, first, nil
	order := make([]int, len(p.set.pieces))
	for i := range order {
		order[i] = i
	}
	if !p.o.Ordered {
		rand.New(rand.NewPCG(p.o.Seed, uint64(epoch))).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	var batch []piece
	tokens := 0
	for _, i := range order {
		x := p.set.pieces[i]
		n := int(x.to - x.from)
		if tokens+n > p.capacity {
			p.batches = append(p.batches, batch)
			batch, tokens = nil, 0
		}
		batch, tokens = append(batch, x), tokens+n
	}
	p.batches = append(p.batches, batch)
}
