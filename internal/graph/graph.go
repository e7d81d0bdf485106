// Package graph plans and runs studies as graphs of cached steps.
//
// A step has parameters, inputs (the outputs of other steps) and a function that fills a folder. Its key is the hash of
// its kind, code version, parameters and inputs' keys, so all keys are known before anything runs: a plan can be
// printed, and a change rebuilds exactly what depends on it. What a step made is kept in a Store under its
// key; a run does what the wanted steps lack and nothing else, so an interrupted run continues where it stopped.
//
// Steps must be reproducible: what they write may depend only on Params, Version and the inputs' contents, never on
// paths, the number of workers, or time.
package graph

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/because-lab/because"
)

// Step is one node of a graph.
type Step struct {
	ID      string // unique and readable, such as "linked/seed11/arm/advice/train"
	Kind    string // what it does: data, train, eval, report
	Title   string // for people; ID where empty
	Version string // of the code behind Run: to be changed when its output changes
	Params  any    // everything else that determines the output; encoded into the key
	Needs   []Input
	Weight  float64 // relative cost, for scheduling and time left; 1 where zero
	Share   string  // names what is costly to open, such as a model on a cluster; steps that share it are run one after the other rather than in turn with others

	// Run writes the output into t.Output. It stops soon after ctx ends and then returns an error.
	Run func(ctx context.Context, t *Task) error
}

// Input names one input of a step.
type Input struct {
	Name string // as the step's code calls it, unique within the step
	Step string // ID of the step whose output it is
}

// Store is what a graph needs of a store: keys of inputs, and artifacts under keys.
type Store interface {
	// Key hashes a value into a key and gives the encoding (JSON) that was hashed.
	Key(inputs any) (key string, payload []byte, err error)
	// Lookup gives the artifact under a key. Damaged ones count as absent; full compares every byte.
	Lookup(ctx context.Context, key string, full bool) (artifact string, ok bool, err error)
	// Open gives the read-only folder of an artifact, every byte checked.
	Open(ctx context.Context, artifact string) (dir string, err error)
	// Put stores the folder that fill writes; nothing where fill fails or ctx ends.
	Put(ctx context.Context, fill func(dir string) error) (artifact string, err error)
	// Record notes that the inputs with this key and payload produced an artifact.
	Record(key string, payload []byte, artifact string, by map[string]string) error
	// Payload gives what was hashed into a recorded key.
	Payload(key string) (payload []byte, ok bool, err error)
	// Index and SetIndex keep the last key of every step of a study.
	Index(study string) (map[string]string, error)
	SetIndex(study string, index map[string]string) error
}

// Graph is a checked graph with its keys. It is immutable.
type Graph struct {
	name  string
	store Store
	steps []Step         // in topological order
	place map[string]int // of a step's ID in steps
	deps  [][]int        // places of the steps behind Needs, in their order
	used  []bool         // whether any step needs it
	keys  []string
	load  [][]byte // payload behind each key
}

// inputs is what a step's key hashes.
type inputs struct {
	Kind    string            `json:"kind"`
	Version string            `json:"version"`
	Params  any               `json:"params"`
	Inputs  map[string]string `json:"inputs"` // name -> key
}

// New checks the steps of a study, orders them and computes their keys. The name is the study's; it serves to compare
// with earlier runs. Errors name the step: one without ID or function, two of one ID, two inputs of one name, a
// reference to no step, a cycle (with its members), parameters without a stable encoding.
func New(name string, steps []Step, store Store) (*Graph, error) {
	if err := checkSteps(steps); err != nil {
		return nil, err
	}
	order, err := sortSteps(steps)
	if err != nil {
		return nil, err
	}
	g := &Graph{name: name, store: store, place: map[string]int{}, used: make([]bool, len(steps))}
	for place, i := range order {
		step := steps[i]
		if step.Title == "" {
			step.Title = step.ID
		}
		if step.Weight == 0 {
			step.Weight = 1
		}
		g.place[step.ID] = place
		g.steps = append(g.steps, step)
		if err := g.hash(step); err != nil {
			return nil, because.E("plan step", step.ID, err, "")
		}
	}
	return g, nil
}

// hash appends the step's dependencies and key, those of its inputs being known.
func (g *Graph) hash(step Step) error {
	in := inputs{Kind: step.Kind, Version: step.Version, Params: step.Params, Inputs: map[string]string{}}
	deps := make([]int, 0, len(step.Needs))
	for _, need := range step.Needs {
		d := g.place[need.Step]
		g.used[d] = true
		deps = append(deps, d)
		in.Inputs[need.Name] = g.keys[d]
	}
	key, payload, err := g.store.Key(in)
	if err != nil {
		return err
	}
	g.deps = append(g.deps, deps)
	g.keys = append(g.keys, key)
	g.load = append(g.load, payload)
	return nil
}

// checkSteps finds what is wrong with single steps and their references, and reports all of it.
func checkSteps(steps []Step) error {
	known := map[string]bool{}
	var errs []error
	fail := func(id, format string, args ...any) {
		errs = append(errs, because.E("plan step", id, fmt.Errorf(format, args...), ""))
	}
	for i, s := range steps {
		switch {
		case s.ID == "":
			fail(fmt.Sprintf("number %d", i), "has no ID")
		case known[s.ID]:
			fail(s.ID, "two steps have this ID")
		case s.Run == nil:
			fail(s.ID, "has no function to run")
		case s.Weight < 0 || math.IsNaN(s.Weight) || math.IsInf(s.Weight, 0):
			fail(s.ID, "weight %v is not a cost", s.Weight)
		}
		known[s.ID] = true
	}
	for _, s := range steps {
		names := map[string]bool{}
		for _, need := range s.Needs {
			if names[need.Name] {
				fail(s.ID, "two inputs are named %q", need.Name)
			}
			names[need.Name] = true
			if !known[need.Step] {
				fail(s.ID, "needs %q, which is not a step", need.Step)
			}
		}
	}
	return errors.Join(errs...)
}

// sortSteps orders steps so that each follows what it needs, otherwise as given.
func sortSteps(steps []Step) ([]int, error) {
	const unseen, open, closed = 0, 1, 2
	place := map[string]int{}
	for i, s := range steps {
		place[s.ID] = i
	}
	state := make([]int, len(steps))
	var order, trail []int
	var visit func(i int) error
	visit = func(i int) error {
		switch state[i] {
		case closed:
			return nil
		case open:
			return cycleError(steps, trail, i)
		}
		state[i] = open
		trail = append(trail, i)
		for _, need := range steps[i].Needs {
			if err := visit(place[need.Step]); err != nil {
				return err
			}
		}
		trail = trail[:len(trail)-1]
		state[i] = closed
		order = append(order, i)
		return nil
	}
	for i := range steps {
		if err := visit(i); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// cycleError names the cycle that closes where the trail meets step i again.
func cycleError(steps []Step, trail []int, i int) error {
	start := len(trail) - 1
	for trail[start] != i {
		start--
	}
	var names []string
	for _, j := range append(trail[start:], i) {
		names = append(names, steps[j].ID)
	}
	return because.E("plan step", steps[i].ID, fmt.Errorf("cycle: %s", strings.Join(names, " needs ")),
		"a step can't need its own output")
}

// Name gives the study's name.
func (g *Graph) Name() string { return g.name }

// Steps gives the steps in topological order, with defaults filled in.
func (g *Graph) Steps() []Step { return append([]Step(nil), g.steps...) }

// Key gives a step's key.
func (g *Graph) Key(id string) (key string, ok bool) {
	i, ok := g.place[id]
	if !ok {
		return "", false
	}
	return g.keys[i], true
}

// wanted gives the places of the steps with the given IDs, or of all that no step needs.
func (g *Graph) wanted(ids []string) ([]int, error) {
	var places []int
	for _, id := range ids {
		i, ok := g.place[id]
		if !ok {
			return nil, because.E("find step", id, errors.New("the study has no such step"), "")
		}
		places = append(places, i)
	}
	if len(ids) > 0 {
		return places, nil
	}
	for i, used := range g.used {
		if !used {
			places = append(places, i)
		}
	}
	return places, nil
}
