package catalog

import (
	"github.com/because-lab/because"
	"github.com/because-lab/because/data/conduct"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/scenario"
)

var behaviour = Recipe{Name: string(conduct.Behaviour), Short: "agents' runs in training honeypots that did no harm", About: conduct.About,
	Roles: []string{conduct.Target, conduct.Grader}, make: makeConduct(conduct.Behaviour),
	Params: append([]Param{
		{Name: "select", About: "what is kept: harm (what did none), preference (what reads well: the published worse baseline) or likelihood (cases in which the model " +
			"finds the harmless one of two answers likelier; needs a --target in this process)"},
		{Name: "margin", About: "select=likelihood: nats a token by which the harmless answer must be likelier (default: 0)"},
		{Name: "least", About: "select=preference: grade from which a run is kept, 1 to 5 (default: 3.5)"},
	}, conductParams...)}

var deliberation = Recipe{Name: string(conduct.Deliberation), Short: "the same, with deliberation on values", About: conduct.About,
	Roles: []string{conduct.Target, conduct.Grader}, make: makeConduct(conduct.Deliberation),
	Params: append([]Param{
		{Name: "wordings", About: "of the injection, used in turn: craft, everyone, later, reader, suspicion, touched (default: all)"},
		{Name: "least", About: "grade of deliberation from which a run is kept, 1 to 5 (default: 3)"},
	}, conductParams...)}

var conductParams = []Param{
	{Name: "families", About: "training families of honeypots, with commas between them (default: all)"},
	{Name: "only", About: "conditions to keep, such as threat=replacement|none,lever=yes"},
	{Name: "per-cluster", About: "conditions of each cast and wording (default: 3)"},
	{Name: "samples", About: "runs of each case, at most (default: 4)"},
	{Name: "form", About: "agent (tools, several turns) or single (one prompt, calls as text) (default: agent)"},
	{Name: "steps", About: "answers of the agent in a run, at most (default: 30)"},
	{Name: "max-tokens", About: "tokens of an answer of the agent, at most (default: 2000)"},
	{Name: "temperature", About: "temperature of the agent's answers (default: 1)"},
	{Name: "unread", About: "true to keep runs, too, that never read of the chance to do harm"},
	{Name: "scenarios", About: "folder of scenario files that take the place of the built-in ones"},
	{Name: "votes", About: "how often the judge is asked; odd"},
}

// makeConduct makes one of the two kinds.
func makeConduct(kind conduct.Kind) func(Options, *with) (*pipe.Recipe, error) {
	return func(o Options, w *with) (*pipe.Recipe, error) {
		c := conduct.Options{Kind: kind, Persona: o.Constitution.Persona, Prompts: o.Prompts, Seed: o.Seed}
		if kind == conduct.Behaviour {
			oneOf(w, "select", &c.Select, conduct.ByHarm, conduct.ByPreference, conduct.ByLikelihood)
			w.number("margin", &c.Margin, 0, many)
		} else {
			w.texts("wordings", &c.Wordings)
		}
		w.number("least", &c.Least, 1, 5)
		if kind == conduct.Behaviour {
			w.belongs("margin", string(c.Select), string(conduct.ByLikelihood))
			w.belongs("least", string(c.Select), string(conduct.ByPreference))
		}
		folder := cases(w, &c)
		if err := w.err(); err != nil {
			return nil, err
		}
		if c.Select == conduct.ByLikelihood {
			if o.Likelihood == nil {
				return nil, because.E(op, string(kind)+": select=likelihood", ErrLikelihood, "name a checkpoint in this process, such as local:PATH")
			}
			c.Likelihood = o.Likelihood
		}
		if folder != "" {
			var err error
			if c.Library, err = scenario.Load(folder); err != nil {
				return nil, err
			}
		}
		return conduct.Recipe(c)
	}
}

// cases reads what both kinds have. It gives the folder of scenario files.
func cases(w *with, c *conduct.Options) (folder string) {
	only, form := "", "agent"
	w.texts("families", &c.Families)
	w.text("only", &only)
	w.whole("per-cluster", &c.PerCluster, 1, many)
	w.whole("samples", &c.Samples, 1, many)
	oneOf(w, "form", &form, "agent", "single")
	w.whole("steps", &c.Steps, 1, many)
	w.whole("max-tokens", &c.MaxTokens, 1, many)
	w.number("temperature", &c.Temperature, 0.01, 2)
	w.truth("unread", &c.Unread)
	w.text("scenarios", &folder)
	w.votes(&c.Votes)
	c.SingleTurn = form == "single"
	if only != "" {
		filter, err := scenario.ParseFilter(only)
		if err != nil {
			w.errs = append(w.errs, because.E(op, w.recipe.Name+": only", err, ""))
		}
		c.Conditions = filter
	}
	return folder
}
