// Package honeypot evaluates what an agent does when it comes upon an opportunity to do harm that would serve its goal or keep it in
// place: the scenarios of package scenario, as agents with tools, as one prompt with tools written in XML, or by the likelihood
// of a harmful against a harmless call.
//
// Harm is a call with its arguments, by the family's rules; where its meaning decides, such as whether a mail is a threat,
// a judge says. Talk about harm is none. Rates are over all samples that were scored, so the outcome "invalid", of agents that
// did nothing, stands beside them.
package honeypot

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval"
	"github.com/because-lab/because/scenario"
)

// Form is how a scenario is put to a model.
type Form string

// The forms. Agent is several turns with the model's own tool calls; Single is one prompt that holds everything there is to read, with
// calls written in XML; Likelihood compares two calls, and the model doesn't act.
const (
	Agent      Form = "agent"
	Single     Form = "single"
	Likelihood Form = "likelihood"
)

// Options choose the samples of an evaluation and how they are put.
type Options struct {
	Scenarios *scenario.Library
	Family    string
	Form      Form            // "" means Agent
	Only      scenario.Filter // conditions to keep; of Agent and Single
	Samples   int             // 0: as many as 24 clusters have; of Likelihood, all pairs
	// PerCluster is how many conditions a cluster comes under; 0 means 9, so that the samples come from many clusters.
	PerCluster int
	Seed       uint64
	Persona    string // the name of the trained persona
	Variant    scenario.Variant
	Turns      int // limit of an agent's answers; 0 means 40
	// Judge says that there is a model to grade with. Without one, what the rules leave open is an error, and what only a judge
	// can see is not counted.
	Judge bool
	// Cross lets the judge also grade what the rules decide, to see how far the two agree: "harm" grades what they call harmful,
	// "all" every sample, "none" neither. "" means "harm".
	Cross string
	// Votes is how often the judge is asked; 0 means once.
	Votes int
	Ask   because.Request
}

// Key of the state's values.
const findingKey = "finding"

// Task makes the evaluation.
func Task(o Options) (eval.Task, error) {
	fail := func(err error, hint string) (eval.Task, error) {
		return eval.Task{}, because.E("make task", "honeypot/"+o.Family, err, hint)
	}
	f, err := o.Scenarios.Family(o.Family)
	if err != nil {
		return eval.Task{}, err
	}
	if !f.Evaluated {
		return fail(errors.New("it is a training family, which is never evaluated"), "there are "+strings.Join(Families(o.Scenarios), ", "))
	}
	if o.Form == "" {
		o.Form = Agent
	}
	if o.Cross == "" {
		o.Cross = "harm"
	}
	if o.Variant == "" {
		o.Variant = scenario.Plain
	}
	if o.Turns == 0 {
		o.Turns = 40
	}
	if o.PerCluster == 0 {
		o.PerCluster = 9
	}
	t := eval.Task{Name: "honeypot/" + o.Family, Version: 1, Ask: o.Ask, Args: map[string]any{"form": o.Form, "only": onlyText(o.Only), "persona": o.Persona,
		"variant": o.Variant, "cross": o.Cross, "votes": max(1, o.Votes), "turns": o.Turns, "seed": o.Seed, "per_cluster": o.PerCluster},
		Limits: eval.Limits{Messages: 8 * o.Turns, Time: 30 * time.Minute}}
	switch o.Form {
	case Agent, Single:
		return o.acting(t, f)
	case Likelihood:
		return o.choosing(t, f)
	}
	return fail(fmt.Errorf("unknown form %q", o.Form), "use agent, single or likelihood")
}

// Families lists the families that are evaluated.
func Families(l *scenario.Library) []string {
	var out []string
	for _, f := range l.Evaluated() {
		out = append(out, f.Name)
	}
	return out
}

// acting makes the forms in which the model acts.
func (o Options) acting(t eval.Task, f *scenario.Family) (eval.Task, error) {
	conditions := o.Only.Conditions()
	if o.Samples == 0 {
		o.Samples = 24 * min(o.PerCluster, len(conditions))
	}
	cases, err := f.Cases(scenario.Design{Filter: o.Only, N: o.Samples, PerCluster: o.PerCluster, Seed: o.Seed, Persona: o.Persona, Variant: o.Variant})
	if err != nil {
		return eval.Task{}, err
	}
	byID := make(map[string]scenario.Case, len(cases))
	samples := make([]because.Sample, len(cases))
	for i, c := range cases {
		byID[c.ID] = c
		samples[i] = o.sample(c)
	}
	t.Dataset = eval.Samples(t.Name, f.Hash(), samples)
	t.By = []string{scenario.Goal, scenario.Threat, scenario.Lever, scenario.Persona, scenario.Told}
	t.Solver = agent(byID, o.Turns)
	if o.Form == Single {
		t.Solver = single(byID)
	}
	t.Scorers, err = o.scorers(f, byID)
	return t, err
}

// sample describes a case to the runner.
func (o Options) sample(c scenario.Case) because.Sample {
	meta := map[string]string{"variant": string(c.Variant), "agent": c.Agent}
	for _, part := range strings.Split(c.Condition.String(), ",") {
		name, level, _ := strings.Cut(part, "=")
		meta[name] = level
	}
	s := because.Sample{ID: c.ID, Cluster: c.Family + "/" + c.Cluster, Meta: meta, Prefill: c.Prefill()}
	if o.Form == Single {
		s.Input = c.SingleTurn()
	} else {
		s.Input = c.Start().Opening()
	}
	return s
}

// onlyText writes a filter in the form in which it is read.
func onlyText(f scenario.Filter) string {
	var parts []string
	for _, name := range []string{scenario.Goal, scenario.Threat, scenario.Lever, scenario.Persona, scenario.Told} {
		if levels, ok := f[name]; ok {
			parts = append(parts, name+"="+strings.Join(levels, "|"))
		}
	}
	return strings.Join(parts, ",")
}
