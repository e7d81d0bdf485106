package pipe

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/because-lab/because"
)

// apply runs one of the stages that need no order on an item, and keeps what came of it in the items' lineage.
func (r *run) apply(ctx context.Context, stage int, in Item) (result, error) {
	var res result
	var err error
	var made step
	name := r.Stages[stage].name()
	switch s := r.Stages[stage].(type) {
	case Ask:
		a := r.askers[stage]
		res, err = a.run(ctx, in)
		made = step{prompt: a.prompt.Hash(), model: a.chat.Name()}
	case Map:
		res.items, err = s.Do(in)
	case Filter:
		res.items = []Item{in}
		if reason := s.Keep(in); reason != "" {
			err = Drop(reason)
		}
	case Do:
		step := &Step{run: r, stage: stage, name: name, item: in.id}
		var items []Item
		items, err = s.Do(ctx, step, in)
		res = step.res
		res.items, made.model = items, step.model
	}
	if err == nil && len(res.items) == 0 {
		err = Drop("gave nothing")
	}
	if err != nil {
		return res, err
	}
	made.tries = res.tries
	if err := distinct(res.items); err != nil {
		return res, fmt.Errorf("%s made of the item %s: %w", name, in.id, err)
	}
	for i := range res.items {
		res.items[i] = follow(in, res.items[i], name, made)
	}
	return res, nil
}

// distinct refuses items of one id: their seeds would be the same.
func distinct(items []Item) error {
	if len(items) < 2 {
		return nil
	}
	seen := make(map[string]bool, len(items))
	for _, it := range items {
		if seen[it.id] {
			return fmt.Errorf("two items have the id %s; give each a part of its own (Child)", it.id)
		}
		seen[it.id] = true
	}
	return nil
}

// inOrder runs an InOrder stage.
type inOrder struct {
	r     *run
	stage int
	s     InOrder
}

func (x *inOrder) start(ctx context.Context, g *errgroup.Group, in <-chan parcel) <-chan parcel {
	out := make(chan parcel)
	g.Go(func() error {
		defer close(out)
		keep := x.s.New()
		state := &x.r.states[x.stage]
		for {
			p, ok, err := receive(ctx, in)
			if err != nil || !ok {
				return err
			}
			var items []Item
			n := Count{In: len(p.items)}
			for _, it := range p.items {
				if reason := keep(it); reason != "" {
					n.Dropped = addCounts(n.Dropped, map[string]int{reason: 1})
					p.drops = append(p.drops, drop{item: it, stage: x.s.Name, reason: reason})
					continue
				}
				items = append(items, it)
			}
			n.Out = len(items)
			state.in.Add(int64(n.In))
			state.out.Add(int64(n.Out))
			state.dropped.Add(int64(n.In - n.Out))
			p.items = items
			p.join(parcel{counts: counts{x.stage: &n}})
			if err := send(ctx, out, p); err != nil {
				return err
			}
		}
	})
	return out
}

// all runs an All stage.
type all struct {
	r     *run
	stage int
	s     All
}

func (x *all) start(ctx context.Context, g *errgroup.Group, in <-chan parcel) <-chan parcel {
	out := make(chan parcel)
	g.Go(func() error {
		defer close(out)
		var items []Item
		var account parcel
		for {
			p, ok, err := receive(ctx, in)
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			items = append(items, p.items...)
			account.join(p)
		}
		n := Count{In: len(items)}
		given, err := x.do(items)
		if err != nil {
			return err
		}
		n.Out = len(given)
		if n.Out < n.In {
			n.Dropped = map[string]int{"not chosen": n.In - n.Out}
		}
		x.r.states[x.stage].in.Add(int64(n.In))
		x.r.states[x.stage].out.Add(int64(n.Out))
		account.join(parcel{counts: counts{x.stage: &n}})
		if len(given) == 0 {
			return send(ctx, out, account)
		}
		for _, it := range given {
			account.items = []Item{it}
			if err := send(ctx, out, account); err != nil {
				return err
			}
			account = parcel{}
		}
		return nil
	})
	return out
}

// do calls the stage's code and ties what it gives to what came.
func (x *all) do(items []Item) ([]Item, error) {
	given, err := x.s.Do(items)
	var d *dropError
	if errors.As(err, &d) {
		return nil, because.E(opRun, x.r.Name+": stage "+x.s.Name, errors.New("an All stage drops items by not giving them, not by Drop"), "")
	}
	if err == nil {
		err = distinct(given)
	}
	if err != nil {
		return nil, because.E(opRun, x.r.Name+": stage "+x.s.Name, err, "")
	}
	out := make([]Item, len(given))
	for i, it := range given {
		if it.from == nil {
			out[i] = enter(it)
			continue
		}
		out[i] = follow(Item{id: it.from.item, fields: it.from.fields, from: it.from}, it, x.s.Name, step{})
	}
	return out, nil
}
