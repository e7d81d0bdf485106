package graph

import (
	"context"
	"fmt"
	"strings"
)

// State says where a step stands.
type State string

// States of a step, in a plan (the first three), in events and in a summary.
const (
	Cached  State = "cached"  // the store has its output
	Stale   State = "stale"   // the store has its output for other inputs or parameters than now
	Missing State = "missing" // the store has no output of it

	Queued      State = "queued"      // to be run; in a summary: never started, because the run ended before
	Started     State = "started"     // running
	Progress    State = "progress"    // running, with news
	Done        State = "done"        // finished in this run
	Failed      State = "failed"      // its function failed
	Skipped     State = "skipped"     // a step that it needs failed
	Interrupted State = "interrupted" // stopped while running
)

// PlanStep is one step of a plan.
type PlanStep struct {
	ID, Kind, Title string
	Key             string
	Weight          float64
	State           State  // Cached, Stale or Missing
	Runs            bool   // a run of the plan would execute it
	Artifact        string // the output, where cached
	Reason          string // what changed, where stale
}

// Plan tells what a run for the wanted steps (by default those that no other needs) would do, for every step of the
// graph in topological order. It changes nothing. A step that is missing need not run, where all that
// needs it is cached.
func (g *Graph) Plan(ctx context.Context, want ...string) ([]PlanStep, error) {
	wanted, err := g.wanted(want)
	if err != nil {
		return nil, err
	}
	r, err := g.resolve(ctx, wanted)
	if err != nil {
		return nil, err
	}
	last, err := g.store.Index(g.name)
	if err != nil {
		return nil, err
	}
	plan := make([]PlanStep, len(g.steps))
	for i, s := range g.steps {
		p := PlanStep{ID: s.ID, Kind: s.Kind, Title: s.Title, Key: g.keys[i], Weight: s.Weight}
		d := r.demand[p.Key]
		if d == nil { // needed by nothing that must run
			artifact, ok, err := g.store.Lookup(ctx, p.Key, false)
			if err != nil {
				return nil, err
			}
			d = &demand{artifact: artifact, run: !ok}
			r.demand[p.Key] = d
		}
		p.Runs = d.run && r.asked[i]
		p.Artifact = d.artifact
		if p.State, p.Reason, err = g.state(i, d, last); err != nil {
			return nil, err
		}
		plan[i] = p
	}
	return plan, nil
}

// state tells a step's state from its demand and its last key, and why it is stale.
func (g *Graph) state(i int, d *demand, last map[string]string) (State, string, error) {
	if !d.run {
		return Cached, "", nil
	}
	if key := last[g.steps[i].ID]; key == "" || key == g.keys[i] {
		return Missing, "", nil
	}
	e, err := g.explain(i, last)
	if err != nil {
		return "", "", err
	}
	return Stale, reason(e.Changes), nil
}

// reason puts the first changes into words.
func reason(changes []Change) string {
	const most = 3
	var parts []string
	for _, c := range changes[:min(len(changes), most)] {
		if name, ok := strings.CutPrefix(c.Field, "inputs."); ok {
			parts = append(parts, "input "+name+" changed")
		} else {
			parts = append(parts, c.String())
		}
	}
	if n := len(changes) - most; n > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", n))
	}
	if parts == nil {
		return "inputs or parameters changed"
	}
	return strings.Join(parts, "; ")
}
