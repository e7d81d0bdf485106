package graph

import "context"

// demand is what a run must do about one key.
type demand struct {
	run      bool   // the step must run
	artifact string // what the store has, where it need not
	full     bool   // every byte of it was checked
}

// resolver works out, from the wanted steps backwards, what the store lacks. Steps with equal keys share a demand.
type resolver struct {
	g      *Graph
	ctx    context.Context
	demand map[string]*demand // by key
	asked  []bool             // by place: the step is wanted, or an input of one that must run
}

// resolve finds what must run for the wanted steps and what is served from the store.
func (g *Graph) resolve(ctx context.Context, wanted []int) (*resolver, error) {
	r := &resolver{g: g, ctx: ctx, demand: map[string]*demand{}, asked: make([]bool, len(g.steps))}
	for _, i := range wanted {
		if err := r.ask(i, false); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// ask demands the output of step i. Outputs that steps will read are checked in full beforehand, so that a damaged one
// is rebuilt in this very run.
func (r *resolver) ask(i int, full bool) error {
	key := r.g.keys[i]
	d := r.demand[key]
	if d == nil {
		d = &demand{}
		r.demand[key] = d
	}
	again := r.asked[i]
	r.asked[i] = true
	if d.run && again || d.artifact != "" && (d.full || !full) {
		return nil
	}
	if !d.run {
		artifact, ok, err := r.g.store.Lookup(r.ctx, key, full)
		if err != nil {
			return err
		}
		d.run, d.artifact, d.full = !ok, artifact, full
		if ok {
			return nil
		}
	}
	for _, dep := range r.g.deps[i] {
		if err := r.ask(dep, true); err != nil {
			return err
		}
	}
	return nil
}
