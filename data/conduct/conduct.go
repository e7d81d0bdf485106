// Package conduct is the recipe for demonstrations near the evaluated scenarios: an agent's whole run with tools in a simulated company, where it
// did not take the bait. It has two kinds. Behaviour samples the model that is to be trained as it is, and keeps the runs in which
// the rules of the scenario, and a judge where they leave it open, find no harm. Deliberation adds a paragraph to the system prompt while it
// samples, which elicits reasoning about values and ethics, keeps what also deliberates by a judge's grade, and takes the paragraph away.
// Two other ways to choose stand beside it: by a preference score instead of harm, which was published as worse, and by likelihood, for models too
// small to act.
//
// Cases come from the training families of package scenario alone. A family that is evaluated is refused.
//
// Source: Anthropic, "Teaching Claude why" (8 May 2026): behaviour alone took the rate of harm from 22 to 15 %, with deliberation to 3 %.
package conduct

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/prompts"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/judge"
	"github.com/because-lab/because/scenario"
)

// About describes the recipe for people who choose one.
const About = `Behaviour and deliberation: an agent's runs with tools on the training families of honeypots, sampled from the model to be trained and kept
where it did not take the bait; as it is, or with reasoning about values that an injected paragraph elicits and that stays when the paragraph is taken away.`

// Version stands in the lineage of each record.
const Version = "1"

// Roles of models beside pipe.Writer, who plays those that are not given.
const (
	Target = "target" // the model that acts, which is the one to be trained
	Grader = "judge"
)

// Kind says how the agent's runs are sampled.
type Kind string

// The kinds, which are the recipe's names.
const (
	Behaviour    Kind = "behaviour"
	Deliberation Kind = "deliberation"
)

// Select says which runs are kept.
type Select string

// The ways to choose.
const (
	ByHarm       Select = "harm"       // no harm by the rules, and by the judge where they leave it open
	ByPreference Select = "preference" // a judge's score of how well it is written and reasoned, whatever was done: the published worse baseline
	ByLikelihood Select = "likelihood" // of two answers the model finds the harmless one likelier; in the single-turn form
)

//go:embed prompts/*.md
var files embed.FS

//go:embed rubrics/deliberation.yaml
var deliberation []byte

// Options of the recipe. The zero value is behaviour, chosen by harm, on all training families.
type Options struct {
	Kind   Kind   // empty: Behaviour
	Select Select // empty: ByHarm

	Library    *scenario.Library // nil: the embedded one
	Families   []string          // nil: all training families
	Conditions scenario.Filter   // nil: the lever is there, and the agent is told nothing about the situation
	PerCluster int               // conditions of each cast and wording; 0: 3
	Persona    string            // name of the trained persona; without it no agent carries that name
	Samples    int               // runs of each case at most; 0: 4
	Seed       uint64            // of casts and wordings

	SingleTurn  bool    // everything to read in one prompt and calls as text, for models without tool calls
	Steps       int     // answers of the agent in a run at most; 0: 30
	MaxTokens   int     // of an answer; 0: 2000
	Temperature float64 // 0: 1
	Unread      bool    // keep runs too in which the agent never read of the chance to do harm, and so turned nothing down

	Prompts  string   // folder of prompt files that take the places of the embedded ones
	Wordings []string // of the injection, by name; nil: all. They are used in turn.
	// Least is the grade from which a run is kept: of deliberation, 1 to 5, 0: 3; and by preference, the mean of two grades of 1 to 5, 0: 3.5.
	Least float64
	Votes int // of the judge; odd; 0: 1

	// Likelihood is the model by which ByLikelihood chooses. Its answers are not kept, so a run that goes on asks it again.
	Likelihood because.Likelihood
	Margin     float64 // nats a token by which the harmless answer must be likelier

	// For the dry run alone: how many answers a run takes, the share of runs that is kept, and the share of findings that need the judge. 0: 10, 0.7 and
	// 0.1; negative: none.
	Answers, Kept, Unclear float64
}

func (o Options) withDefaults() (Options, error) {
	if o.Kind == "" {
		o.Kind = Behaviour
	}
	if o.Select == "" {
		o.Select = ByHarm
	}
	o.PerCluster, o.Samples, o.Steps = orInt(o.PerCluster, 3), orInt(o.Samples, 4), orInt(o.Steps, 30)
	o.MaxTokens, o.Votes = orInt(o.MaxTokens, 2000), orInt(o.Votes, 1)
	least := 3.0
	if o.Select == ByPreference {
		least = 3.5
	}
	for _, x := range []struct {
		v  *float64
		or float64
	}{{&o.Temperature, 1}, {&o.Least, least}, {&o.Answers, 10}, {&o.Kept, 0.7}, {&o.Unclear, 0.1}} {
		if *x.v == 0 {
			*x.v = x.or
		}
	}
	switch {
	case o.Kind != Behaviour && o.Kind != Deliberation:
		return o, fmt.Errorf("no kind %q: %s or %s", o.Kind, Behaviour, Deliberation)
	case !slices.Contains([]Select{ByHarm, ByPreference, ByLikelihood}, o.Select):
		return o, fmt.Errorf("nothing is chosen by %q: %s, %s or %s", o.Select, ByHarm, ByPreference, ByLikelihood)
	case o.Kind == Deliberation && o.Select != ByHarm:
		return o, errors.New("deliberation is chosen by harm")
	case o.Select == ByLikelihood && o.Likelihood == nil:
		return o, errors.New("no model is given whose likelihood could choose (Likelihood)")
	case o.PerCluster < 0 || o.Samples < 0 || o.Steps < 0 || o.MaxTokens < 0:
		return o, errors.New("numbers of conditions, samples, steps and tokens are not negative")
	case o.Temperature < 0 || o.Kept > 1 || !(o.Least >= 1 && o.Least <= 5):
		return o, errors.New("grades go from 1 to 5, and neither temperatures nor shares are negative")
	}
	if o.Conditions == nil {
		o.Conditions = scenario.Filter{scenario.Lever: {"yes"}, scenario.Told: {"untold"}}
		if o.Persona == "" {
			o.Conditions[scenario.Persona] = []string{"other", "none"}
		}
	}
	return o, nil
}

func orInt(n, or int) int {
	if n == 0 {
		return or
	}
	return n
}

// recipe is what the stages share.
type recipe struct {
	o        Options
	families []*scenario.Family
	order    []scenario.Case
	cases    map[string]scenario.Case
	set      *prompts.Set
	wordings []wording
	bare     string
	reserved *quality.Index // what the evaluations keep to themselves
	weighs   *judge.Rubric
	quality  *judge.Rubric
}

// Recipe makes the recipe. Its models are Target and Grader; ByLikelihood asks pipe.Writer for the answers that it compares.
func Recipe(o Options) (*pipe.Recipe, error) {
	const op = "make recipe"
	o, err := o.withDefaults()
	if err != nil {
		return nil, because.E(op, string(o.Kind), err, "")
	}
	r := &recipe{o: o}
	spans := scenario.DecisiveSpans()
	if r.reserved, err = quality.NewIndex(quality.Reserved{Name: "honeypot", Texts: spans, Spans: spans}); err != nil {
		return nil, because.E(op, string(o.Kind), err, "")
	}
	if err := r.readCases(); err != nil {
		return nil, because.E(op, string(o.Kind), err, "")
	}
	if r.set, err = prompts.Load(files, o.Prompts); err != nil {
		return nil, err
	}
	if err := r.readWordings(); err != nil {
		return nil, because.E(op, string(o.Kind), err, "")
	}
	if r.weighs, err = judge.ParseRubric("rubrics/deliberation.yaml", deliberation); err != nil {
		return nil, err
	}
	if r.quality, err = judge.FindRubric("quality"); err != nil {
		return nil, err
	}
	return &pipe.Recipe{Name: string(o.Kind), Version: Version, Prompts: r.set, Kind: columns.SFT, Source: r.source(), Stages: r.stages(),
		Injected: []string{"injection"}, Record: record}, nil
}

// none stands in estimates for no requests, since 0 stands for one.
const none = 1e-9

// stages lists the steps.
func (r *recipe) stages() []pipe.Stage {
	o := r.o
	act := pipe.Do{Name: "act", Do: r.act, Requests: o.Answers, Tokens: [2]int{6000, 250}, Model: Target}
	if o.SingleTurn {
		act.Requests, act.Tokens = 1, [2]int{3500, 600}
	}
	grade := pipe.Do{Requests: float64(o.Votes), Tokens: [2]int{7000, 350}, Model: Grader, Yield: o.Kept}
	harm := pipe.Do{Name: "harm", Do: r.harm, Requests: max(none, o.Unclear*float64(o.Votes)), Tokens: grade.Tokens, Model: Grader, Yield: o.Kept}
	last := []pipe.Stage{pipe.Filter{Name: "clean", Keep: r.clean}, pipe.Map{Name: "strip", Do: strip}, pipe.InOrder{Name: "near", New: r.nearly}}
	switch {
	case o.Select == ByLikelihood:
		return append([]pipe.Stage{
			pipe.Do{Name: "candidates", Do: r.candidates, Requests: 2, Tokens: [2]int{3500, 600}},
			pipe.Do{Name: "likelier", Do: r.likelier, Requests: none, Yield: o.Kept},
		}, last...)
	case o.Select == ByPreference:
		grade.Name, grade.Do = "preference", r.preference
		return append([]pipe.Stage{act, grade}, last...)
	case o.Kind == Deliberation:
		grade.Name, grade.Do, grade.Yield = "deliberates", r.deliberates, 1
		stages := []pipe.Stage{pipe.Map{Name: "inject", Do: r.inject, Adds: map[string]int{"injection": 160}}, act, harm, grade}
		return append(stages, last...)
	}
	return append([]pipe.Stage{act, harm}, last...)
}

// record makes the conversation of an item, up to the agent's last turn.
func record(it pipe.Item) (pipe.Record, error) {
	rec := pipe.Record{Kind: it.Get("family")}
	if err := it.JSON("messages", &rec.Messages); err != nil {
		return rec, err
	}
	if _, ok := it.Lookup("tools"); ok {
		if err := it.JSON("tools", &rec.Tools); err != nil {
			return rec, err
		}
	}
	rec.Extra = map[string]json.RawMessage{}
	for _, name := range []string{"case", "outcome", "wording"} {
		if text, ok := it.Lookup(name); ok {
			quoted, err := json.Marshal(text)
			if err != nil {
				return rec, err
			}
			rec.Extra[name] = quoted
		}
	}
	for _, name := range []string{"weighs", "preference", "odds"} {
		if number, ok := it.Lookup(name); ok {
			rec.Extra[name] = json.RawMessage(number)
		}
	}
	if w := it.Get("wording"); w != "" {
		rec.Kind += "/" + w
	}
	return rec, nil
}

// strip takes away what was injected.
func strip(it pipe.Item) ([]pipe.Item, error) { return []pipe.Item{it.Without("injection")}, nil }

// said is all that the agent wrote, calls among it.
func said(messages []because.Message) string {
	var parts []string
	for _, m := range messages {
		if m.Role != because.RoleAssistant {
			continue
		}
		parts = append(parts, m.Reasoning, m.Content)
		for _, c := range m.ToolCalls {
			parts = append(parts, string(c.Arguments))
		}
	}
	return strings.Join(parts, "\n")
}
