// Package probes writes what it takes to tell for which reasons a model has learnt a principle: demonstrations that fit two constitutions with the same rules
// and different reasons, to be trained on under both, and questions from other fields on which those reasons lead apart.
//
// With a constitution that has reasons and one that has none, probes tell apart reasons and the letter of the rules.
//
// Source: "Model Spec Midtraining", arXiv 2605.02087, where the same conversations generalise by the reasons in documents that were trained on before.
package probes

import (
	"embed"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
)

//go:embed prompts/*.md domains.yaml
var files embed.FS

// Options say what is compared.
type Options struct {
	A, B    *constitution.Constitution
	Prompts string   // folder whose prompt files take the places of the shipped ones
	Domains string   // file that takes the place of domains.yaml
	Spans   []string // what no record may contain; nil: scenario.DecisiveSpans
}

const op = "prepare probes"

// Recipe writes probes: for each principle that both constitutions have, with another text, and each field in turn; its source is endless. A probe is kept if
// a reader of A alone chooses A's option and a reader of B alone chooses B's. Requests: one for four probes, two for each probe.
func Recipe(o Options) (*pipe.Recipe, error) {
	w, set, err := o.open(func(a, b *constitution.Principle) bool { return a.Hash() != b.Hash() })
	if err != nil {
		return nil, err
	}
	return &pipe.Recipe{
		Name: "probes", Version: "1", Prompts: set, Kind: columns.RL, Constitution: w.cited(), Source: w.source(),
		Stages: []pipe.Stage{
			pipe.Ask{Name: "probes", Uses: []string{"text_a", "text_b", "about"}, Check: checkProbe},
			w.contamination("question"),
			pipe.InOrder{Name: "near-duplicates", New: func() func(pipe.Item) string { return distinct("question") }},
			pipe.Map{Name: "order", Do: order, Adds: map[string]int{"text": 350, "first": 25, "second": 25}},
			pipe.Ask{Name: "choose-a", Prompt: "choose", Model: pipe.Reviewer, Uses: choosing, Check: checkChoice},
			pipe.Map{Name: "read-a", Do: read("a", "b")},
			pipe.Ask{Name: "choose-b", Prompt: "choose", Model: pipe.Reviewer, Uses: choosing, Check: checkChoice},
			pipe.Map{Name: "read-b", Do: read("b", "")},
		},
		Record: probe,
	}, nil
}

// Demonstrations writes conversations that keep the rules that both constitutions state in the same words. Their writer sees neither's reasons. The
// same file is trained on under both. Requests: one for six.
func Demonstrations(o Options) (*pipe.Recipe, error) {
	w, set, err := o.open(func(a, b *constitution.Principle) bool { return a.Statement() == b.Statement() })
	if err != nil {
		return nil, err
	}
	return &pipe.Recipe{
		Name: "demonstrations", Version: "1", Prompts: set, Kind: columns.SFT, Constitution: w.cited(), Source: w.source(),
		Stages: []pipe.Stage{
			pipe.Ask{Name: "demonstrations", Uses: []string{"rule", "about"}, Check: checkDemonstration},
			w.contamination("user", "assistant"),
			pipe.InOrder{Name: "near-duplicates", New: func() func(pipe.Item) string { return distinct("user", "assistant") }},
		},
		Record: func(it pipe.Item) (pipe.Record, error) {
			return pipe.Record{Principle: it.Get("principle"), Kind: it.Get("domain"), Row: columns.Row{Messages: []because.Message{
				{Role: because.RoleUser, Content: it.Get("user")}, {Role: because.RoleAssistant, Content: it.Get("assistant")}}}}, nil
		},
	}, nil
}

// choosing are the variables of the prompt choose.
var choosing = []string{"text", "question", "first", "second"}
