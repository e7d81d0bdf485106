package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/because-lab/because"
)

// Explanation tells what a step's key was made from.
type Explanation struct {
	Step    Step
	Key     string
	Payload []byte     // the JSON that was hashed: kind, version, params and the keys of the inputs
	Inputs  []InputKey // in the order of Step.Needs
	LastKey string     // the key of the step's last output, "" where there is none
	Changes []Change   // what differs from then; nil where the keys are equal or the old payload is gone
}

// InputKey is an input with the key behind it.
type InputKey struct {
	Input
	Key string
}

// Change is one field of a payload that differs from before.
type Change struct {
	Field    string // its place, such as "params.lr" or "inputs.model"
	Old, New string // as JSON; "" where the field is absent
}

// String gives the change on one line.
func (c Change) String() string {
	show := func(v string) string {
		if v == "" {
			return "nothing"
		}
		return v
	}
	return fmt.Sprintf("%s: %s -> %s", c.Field, show(c.Old), show(c.New))
}

// Explain tells what a step's output is made from and what changed since it was last made.
func (g *Graph) Explain(id string) (Explanation, error) {
	i, ok := g.place[id]
	if !ok {
		return Explanation{}, because.E("explain step", id, errors.New("the study has no such step"), "")
	}
	last, err := g.store.Index(g.name)
	if err != nil {
		return Explanation{}, err
	}
	return g.explain(i, last)
}

// explain is Explain with the index at hand.
func (g *Graph) explain(i int, last map[string]string) (Explanation, error) {
	step := g.steps[i]
	e := Explanation{Step: step, Key: g.keys[i], Payload: g.load[i], LastKey: last[step.ID]}
	for n, need := range step.Needs {
		e.Inputs = append(e.Inputs, InputKey{need, g.keys[g.deps[i][n]]})
	}
	if e.LastKey == "" || e.LastKey == e.Key {
		return e, nil
	}
	old, ok, err := g.store.Payload(e.LastKey)
	if err != nil || !ok {
		return e, err
	}
	e.Changes, err = Diff(old, e.Payload)
	return e, err
}

// Diff lists the fields in which two payloads differ, sorted by field.
func Diff(old, new []byte) ([]Change, error) {
	was, err := flatten(old)
	if err != nil {
		return nil, err
	}
	is, err := flatten(new)
	if err != nil {
		return nil, err
	}
	var changes []Change
	for field, v := range was {
		if is[field] != v {
			changes = append(changes, Change{field, v, is[field]})
		}
	}
	for field, v := range is {
		if _, both := was[field]; !both {
			changes = append(changes, Change{field, "", v})
		}
	}
	sort.Slice(changes, func(i, j int) bool { return changes[i].Field < changes[j].Field })
	return changes, nil
}

// flatten maps the place of every leaf of a JSON text to its literal.
func flatten(text []byte) (map[string]string, error) {
	leaves := map[string]string{}
	var walk func(at string, raw json.RawMessage) error
	walk = func(at string, raw json.RawMessage) error {
		switch raw[0] {
		case '{':
			var members map[string]json.RawMessage
			if err := json.Unmarshal(raw, &members); err != nil {
				return err
			}
			for name, v := range members {
				if err := walk(strings.TrimPrefix(at+"."+name, "."), v); err != nil {
					return err
				}
			}
			if len(members) > 0 {
				return nil
			}
		case '[':
			var items []json.RawMessage
			if err := json.Unmarshal(raw, &items); err != nil {
				return err
			}
			for i, v := range items {
				if err := walk(fmt.Sprintf("%s[%d]", at, i), v); err != nil {
					return err
				}
			}
			if len(items) > 0 {
				return nil
			}
		}
		leaves[at] = string(raw)
		return nil
	}
	if !json.Valid(text) {
		return nil, because.E("compare payloads", "", errors.New("a payload is not JSON"), "")
	}
	if err := walk("", text); err != nil {
		return nil, because.E("compare payloads", "", err, "")
	}
	return leaves, nil
}
