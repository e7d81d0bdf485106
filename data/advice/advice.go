// Package advice is the recipe for difficult advice: conversations in which a person has the dilemma, a decent aim that breaking a norm or going
// round a check would reach, and the assistant answers as somebody would who believes in the constitution's reasons. Nothing in them resembles
// an evaluated scenario.
//
// The stages are the seven published steps. A writer lists the principles that bear on a summary of the problem (principles), open-ended types of
// dilemma for each (types), and scenarios that would tell belief from recital (scenarios). It writes the opening of a conversation for
// each (prompts); a first answer (first) and the findings of code (check) go to a reviewer, who rewrites the opening until code finds
// no fault (rewrite-prompts). Then the conversation is sampled with the relevant part of the constitution behind the system prompt (inject,
// answer), a fresh context with those principles reviews and rewrites the answer (review), and the injection is taken away (strip). Last, what
// repeats an evaluation's decisive sentences, what a judge finds not to follow the constitution, and what is nearly the same as an earlier record is dropped.
//
// Source: Anthropic, "Teaching Claude why" (8 May 2026), with its extended version.
package advice

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/prompts"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/judge"
)

// About describes the recipe for people who choose one.
const About = `Difficult advice: users with a dilemma of their own, a good aim and a short way to it that breaks a norm or goes round a check; an assistant that
answers from the constitution's reasons. Conversations of one or two turns, with and without system prompt, far from every evaluated scenario.`

// Name and Version stand in the lineage of each record.
const (
	Name    = "advice"
	Version = "1"
)

// Grader is the role of the model that grades finished conversations, beside pipe.Writer and pipe.Reviewer.
const Grader = "judge"

//go:embed prompts/*.md
var files embed.FS

// Options of the recipe. The zero value is a plan of one batch of scenarios for each principle and type under the default constitution.
type Options struct {
	Constitution *constitution.Constitution // nil: the default one
	Problem      string                     // summary of the problem to train against; empty: the prompt file problem
	Prompts      string                     // folder of prompt files that take the places of the embedded ones
	// N is how many records the run will want. Scenarios for somewhat more are planned, spread evenly over principles and types, and in an order in
	// which every shorter run is spread evenly too. 0: one batch for each principle and type.
	N    int
	Seed uint64 // of the draws of settings, pressures, manners and wordings

	Principles int // chosen from the constitution; 0: 12, or all where it has fewer
	Types      int // of dilemma for each principle; 0: 8
	Scenarios  int // that one request writes; 0: 4

	NoSystem float64 // share of conversations without system prompt; 0: 0.3, negative: none
	TwoTurns float64 // share with a second turn of the user; 0: 0.2, negative: none
	YouAre   float64 // share of the system prompts that may begin with "You are"; 0: 0.1, negative: none

	Least   float64 // the grade of adherence, of 10, from which a conversation is kept; 0: 7
	Votes   int     // of the judge; odd; 0: 1
	Excerpt int     // words of the constitution that are injected, at most; 0: 700
	// Kept is the share of scenarios thought to become records, for how many are planned and for the dry run; 0: 0.75.
	Kept float64
}

func (o Options) withDefaults() (Options, error) {
	if o.Constitution == nil {
		c, err := constitution.Shipped(constitution.Default)
		if err != nil {
			return o, err
		}
		o.Constitution = c
	}
	all := len(o.Constitution.Principles)
	o.Principles = min(orInt(o.Principles, 12), all)
	o.Types, o.Scenarios, o.Votes, o.Excerpt = orInt(o.Types, 8), orInt(o.Scenarios, 4), orInt(o.Votes, 1), orInt(o.Excerpt, 700)
	for _, s := range []struct {
		share *float64
		or    float64
	}{{&o.NoSystem, 0.3}, {&o.TwoTurns, 0.2}, {&o.YouAre, 0.1}, {&o.Kept, 0.75}, {&o.Least, 7}} {
		if *s.share == 0 {
			*s.share = s.or
		}
	}
	switch {
	case all == 0:
		return o, errors.New("the constitution has no principles")
	case o.N < 0 || o.Principles < 1 || o.Types < 1 || o.Scenarios < 1 || o.Excerpt < 1:
		return o, errors.New("numbers of records, principles, types, scenarios and words are not negative")
	case !(o.NoSystem <= 1) || !(o.TwoTurns <= 1) || !(o.YouAre <= 1) || !(o.Kept > 0 && o.Kept <= 1):
		return o, errors.New("shares are at most 1, and the share that is kept is more than 0")
	case !(o.Least >= 1 && o.Least <= 10):
		return o, errors.New("grades of adherence go from 1 to 10")
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
	o       Options
	set     *prompts.Set
	frag    map[string]string // texts of prompt files that are parts of prompts
	lists   map[string][]string
	wording []*prompts.Prompt // of the injection
	// reserved finds what the evaluations keep to themselves.
	reserved *quality.Index
	rubric   *judge.Rubric
}

// Recipe makes the recipe. Its models are pipe.Writer, who also samples the answers, pipe.Reviewer and Grader.
func Recipe(o Options) (*pipe.Recipe, error) {
	const op = "make recipe"
	o, err := o.withDefaults()
	if err != nil {
		return nil, because.E(op, Name, err, "")
	}
	r := &recipe{o: o}
	if r.reserved, err = reserve(); err != nil {
		return nil, because.E(op, Name, err, "")
	}
	if r.set, err = prompts.Load(files, o.Prompts); err != nil {
		return nil, err
	}
	if err := r.readParts(); err != nil {
		return nil, because.E(op, Name, err, "")
	}
	if r.rubric, err = judge.FindRubric("adherence"); err != nil {
		return nil, err
	}
	return &pipe.Recipe{
		Name: Name, Version: Version, Prompts: r.set, Kind: columns.SFT,
		Constitution: o.Constitution.Name + "@" + o.Constitution.Hash(),
		Source:       r.source(), Stages: r.stages(), Injected: []string{"injection"}, Record: record,
	}, nil
}

// stages lists the steps in the order in which they are published.
func (r *recipe) stages() []pipe.Stage {
	o := r.o
	stages := []pipe.Stage{
		pipe.Ask{Name: "principles", Uses: []string{"constitution", "problem", "how_many"}, Read: r.readPrinciples, Fan: float64(o.Principles)},
		pipe.Ask{Name: "types", Uses: []string{"principle", "bearing", "problem", "how_many"}, Read: r.readTypes, Fan: float64(o.Types)},
		pipe.All{Name: "plan", Do: r.plan, Count: r.batches},
		pipe.Ask{Name: "scenarios", Uses: []string{"principle", "type", "sparks"}, Read: r.readScenarios, Fan: float64(o.Scenarios)},
		pipe.Filter{Name: "scenarios-clean", Keep: func(it pipe.Item) string { return r.repeats(columns.Row{Text: it.Get("scenario")}) }},
		pipe.InOrder{Name: "scenarios-near", New: nearly("scenario")},
		pipe.All{Name: "spread", Do: r.spread, Count: r.scenarios},
		pipe.Ask{Name: "prompts", Uses: []string{"scenario", "shape", "voice"}},
		pipe.Ask{Name: "first", Uses: []string{"system", "user"}, MayRefuse: true, Resample: true},
		pipe.Map{Name: "check", Do: check, Adds: map[string]int{"faults": 30}},
		pipe.Ask{Name: "rewrite-prompts", Model: pipe.Reviewer, Uses: []string{"scenario", "shape", "voice", "system", "user", "first", "faults"},
			Check: func(_, out pipe.Item) error { return again(faults(out)) }},
		pipe.Map{Name: "inject", Do: r.inject, Adds: map[string]int{"excerpt": o.Excerpt * 3 / 2, "injection": o.Excerpt*3/2 + 150, "conversation": 200}},
		pipe.Ask{Name: "answer", Uses: []string{"system", "injection", "user"}, Injected: []string{"injection"}, MayRefuse: true, Resample: true},
		pipe.Ask{Name: "review", Model: pipe.Reviewer, Uses: []string{"excerpt", "conversation", "draft"}, Check: checkAnswer},
	}
	if o.TwoTurns > 0 {
		stages = append(stages, pipe.Do{Name: "second", Do: r.second, Requests: 3 * o.TwoTurns, Tokens: [2]int{1800, 400}})
	}
	return append(stages,
		pipe.Map{Name: "strip", Do: strip},
		pipe.Filter{Name: "clean", Keep: r.clean},
		pipe.Do{Name: "grade", Do: r.grade, Requests: float64(o.Votes), Tokens: [2]int{2800, 250}, Model: Grader, Yield: o.Kept},
		pipe.InOrder{Name: "near", New: nearly("user", "follow_up", "answer")},
	)
}

// source gives one item, from which all others come.
func (r *recipe) source() iter.Seq2[pipe.Item, error] {
	return func(yield func(pipe.Item, error) bool) {
		var b strings.Builder
		for _, p := range r.o.Constitution.Principles {
			fmt.Fprintf(&b, "[%s]\n%s\n\n", p.ID, strings.TrimSpace(r.o.Constitution.Text(p)))
		}
		yield(pipe.New(r.o.Constitution.Name, "constitution", strings.TrimSpace(b.String()), "problem", r.frag["problem"],
			"how_many", fmt.Sprint(r.o.Principles)), nil)
	}
}

// record makes the conversation of an item.
func record(it pipe.Item) (pipe.Record, error) {
	messages := opening(it)
	messages = append(messages, because.Message{Role: because.RoleAssistant, Content: it.Get("answer")})
	if next, ok := it.Lookup("follow_up"); ok {
		messages = append(messages, because.Message{Role: because.RoleUser, Content: next},
			because.Message{Role: because.RoleAssistant, Content: it.Get("answer_2")})
	}
	grade := json.RawMessage(it.Get("adherence"))
	return pipe.Record{Principle: it.Get("citation"), Kind: it.Get("principle_id"),
		Row: columns.Row{Messages: messages, Extra: map[string]json.RawMessage{"adherence": grade}}}, nil
}

// opening is the conversation until the first answer, as it is trained on.
func opening(it pipe.Item) []because.Message {
	var messages []because.Message
	if system := it.Get("system"); system != "" {
		messages = append(messages, because.Message{Role: because.RoleSystem, Content: system})
	}
	return append(messages, because.Message{Role: because.RoleUser, Content: it.Get("user")})
}

// nearly drops items whose texts are nearly the same as those of an earlier one.
func nearly(names ...string) func() func(pipe.Item) string {
	return func() func(pipe.Item) string {
		near := quality.NewNear(0.5)
		return func(it pipe.Item) string {
			var parts []string
			for _, name := range names {
				parts = append(parts, it.Get(name))
			}
			if _, _, found := near.Add(strings.Join(parts, "\n")); found {
				return "nearly the same as an earlier one"
			}
			return ""
		}
	}
}
