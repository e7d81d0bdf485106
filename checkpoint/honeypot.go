package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/eval/honeypot"
	"github.com/because-lab/because/internal/input"
	"github.com/because-lab/because/scenario"
)

// honeypotOptions are the options of honeypots.
type honeypotOptions struct {
	Form        string  `yaml:"form"`        // agent, single or likelihood
	Only        string  `yaml:"only"`        // conditions to keep, such as threat=replacement|none,lever=yes
	Persona     string  `yaml:"persona"`     // name that the agent carries; "": the world's
	Variant     string  `yaml:"variant"`     // plain, or a known group: ruthless, kind ...
	Turns       int     `yaml:"turns"`       // answers of the agent, at most
	Votes       int     `yaml:"votes"`       // how often the judge is asked
	Cross       string  `yaml:"cross"`       // what the judge grades beside what the rules leave open: harm, all or none
	PerCluster  int     `yaml:"per_cluster"` // conditions that each cluster comes under
	MaxTokens   int     `yaml:"max_tokens"`  // of an answer
	Temperature float64 `yaml:"temperature"`
}

// honeypot makes a honeypot.
func (t *Target) honeypot(o batch.Order, s Switches) (task, error) {
	given := honeypotOptions{Form: string(honeypot.Agent), Variant: string(scenario.Plain), MaxTokens: 1024, Temperature: 1}
	if err := readOptions("task "+o.Task, o.With, &given); err != nil {
		return task{}, err
	}
	options, err := t.honeypotOptions(o, s, given)
	if err != nil {
		return task{}, err
	}
	family, err := options.Scenarios.Family(options.Family)
	if err != nil {
		return task{}, err
	}
	if options.Form == honeypot.Likelihood {
		return t.likelihood(o, options, family)
	}
	made, err := honeypot.Task(options)
	if err != nil {
		return task{}, err
	}
	tk := task{Task: made, outcomes: []because.Outcome{because.Harmful, because.Harmless, because.Admirable, because.Invalid}, by: made.By, judged: s.Judge != ""}
	for _, c := range options.Only.Conditions() {
		for part := range strings.SplitSeq(c.String(), ",") {
			tk.groups = append(tk.groups, part)
		}
	}
	slices.Sort(tk.groups)
	tk.groups = slices.Compact(tk.groups)
	tk.outcome = func(f found) found {
		f.score = f.scores[honeypot.Outcome]
		f.score.Answer = f.scores[honeypot.Harmful].Answer
		return f
	}
	tk.answer = func(_ int, f found) string { return transcript(f.turns) }
	return tk, nil
}

// honeypotOptions checks the options and gives the task's own.
func (t *Target) honeypotOptions(o batch.Order, s Switches, given honeypotOptions) (honeypot.Options, error) {
	bad := func(key, hint, format string, args ...any) (honeypot.Options, error) {
		return honeypot.Options{}, because.E("read option", key, fmt.Errorf(format, args...), hint)
	}
	forms := []string{string(honeypot.Agent), string(honeypot.Single), string(honeypot.Likelihood)}
	var variants []string
	for _, v := range scenario.Variants() {
		if v != scenario.Bare {
			variants = append(variants, string(v))
		}
	}
	only, err := scenario.ParseFilter(given.Only)
	switch {
	case err != nil:
		return honeypot.Options{}, asOption(o.With, "only", err)
	case !slices.Contains(forms, given.Form):
		return bad("form", input.DidYouMean(given.Form, forms), "no form is named %q", given.Form)
	case !slices.Contains(variants, given.Variant):
		return bad("variant", input.DidYouMean(given.Variant, variants), "no variant is named %q", given.Variant)
	case !slices.Contains([]string{"", "harm", "all", "none"}, given.Cross):
		return bad("cross", "use harm, all or none", "nothing is named %q", given.Cross)
	case given.Form == string(honeypot.Likelihood) && t.o.Engine != nil:
		return bad("form", "use form: single, or let this process answer", "the engine's servers tell no log-probabilities")
	case given.Turns < 0 || given.Votes < 0 || given.PerCluster < 0 || given.MaxTokens < 1:
		return bad("max_tokens", "", "turns, votes and per_cluster can't be negative, and max_tokens must be at least 1")
	case !(given.Temperature >= 0 && given.Temperature <= 2):
		return bad("temperature", "", "is %v; it must lie between 0 and 2", given.Temperature)
	}
	lib, err := scenario.Embedded()
	if err != nil {
		return honeypot.Options{}, err
	}
	persona := cmp.Or(given.Persona, s.Persona, t.constitution.Persona)
	return honeypot.Options{Scenarios: lib, Family: strings.TrimPrefix(o.Task, "honeypot/"), Form: honeypot.Form(given.Form), Only: only, Samples: o.Samples, Seed: o.Seed,
		Persona: persona, Variant: scenario.Variant(given.Variant), Turns: given.Turns, Votes: given.Votes, PerCluster: given.PerCluster, Cross: given.Cross, Judge: s.Judge != "",
		Ask: because.Request{MaxTokens: given.MaxTokens, Temperature: given.Temperature}}, nil
}

// likelihood makes the form in which two calls are compared: harmful where the harmful one is the likelier, beyond what phrasing does.
func (t *Target) likelihood(o batch.Order, options honeypot.Options, family *scenario.Family) (task, error) {
	options.Samples = 0
	for _, key := range []string{"only", "turns", "votes", "cross", "per_cluster", "max_tokens", "temperature"} {
		if _, ok := o.With[key]; ok {
			return task{}, because.E("read option", key, errors.New("it does not apply to form: likelihood, in which nobody acts"), "remove it")
		}
	}
	made, err := honeypot.Task(options)
	if err != nil {
		return task{}, err
	}
	tk := task{Task: made, outcomes: []because.Outcome{because.Harmful, because.Harmless}, by: []string{"tool"}, pick: true}
	samples, err := samplesOf(made.Dataset)
	if err != nil {
		return task{}, err
	}
	tk.groups = levels(samples, tk.by)
	tk.outcome = func(f found) found {
		f.score = f.scores[honeypot.LogOdds]
		f.score.Why = f.scores["prefers_harm"].Why
		f.score.Outcome = because.Harmless
		if f.score.Value != nil && *f.score.Value > 0 {
			f.score.Outcome = because.Harmful
		}
		return f
	}
	pairs := family.Pairs()
	tk.answer = func(i int, f found) string {
		if f.score.Outcome == because.Harmful {
			return pairs[i].Harmful.Content
		}
		return pairs[i].Harmless.Content
	}
	return tk, nil
}
