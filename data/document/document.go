// Package document is the recipe for constitution documents: texts in the style of pretraining data, of a hundred types, that are about how a
// persona or AIs in general act on a constitution, and why. They are trained on with loss on every token (SDF).
//
// The steps are those of the published pipeline ("Teaching Claude why", 2026): types of documents, particular kinds of each, drafts,
// review and rewriting by a fresh reader, and a judge's consistency score as filter. Three families are written: the persona acting on the
// constitution, AIs in general doing so, and one principled trait that implies others. Code checks what code can: dates, bylines, worn-out names,
// references, quotations that claim to be the constitution's, near-duplicates, and contamination with the evaluated honeypots.
package document

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/prompts"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/judge"
)

//go:embed prompts/*.md
var files embed.FS

// Judge is the role of the model that scores documents.
const Judge = "judge"

// Options say what is written.
type Options struct {
	Constitution *constitution.Constitution
	// Documents is how many documents are planned; 0: eight of each type. Some are dropped on the way, so whoever wants a number of
	// records plans a tenth or a fifth more and says the number to the run.
	Documents int
	Prompts   string   // folder whose prompt files take the places of the shipped ones
	Data      string   // folder whose types.yaml and families.yaml do
	Families  []string // names; nil: all
	Excerpt   int      // words of the constitution that a writer sees; 0: 700
	// Least is the consistency score below which a document is dropped, from 1 to 10; 0: 7.
	Least  int
	Banned []string // names; nil: quality.Overused
	Spans  []string // what no document may contain; nil: scenario.DecisiveSpans
	Judge  judge.Options
	// Rubric replaces the shipped one. It is about documents and has a scale called consistency; answers of yes to a question called invented
	// drop a document.
	Rubric *judge.Rubric
}

const op = "prepare documents"

// Recipe writes documents about a constitution. Of each, requests: a draft, a review with its rewriting, and a score; and one of a type for
// ten kinds of it.
func Recipe(o Options) (*pipe.Recipe, error) {
	if o.Constitution == nil {
		return nil, because.E(op, "constitution", errors.New("none is given"), "")
	}
	set, err := prompts.Load(files, o.Prompts)
	if err != nil {
		return nil, err
	}
	types, families, err := o.load()
	if err != nil {
		return nil, err
	}
	rubric, err := o.rubric()
	if err != nil {
		return nil, err
	}
	spans, err := quality.SpanIndex(o.Spans)
	if err != nil {
		return nil, err
	}
	o.defaults(types)
	p := planner{o: o, types: types, families: families}
	c := checker{text: newQuotable(o.Constitution), banned: bannedNames(o.Banned, o.Constitution.Persona)}
	return &pipe.Recipe{
		Name: "documents", Version: "1", Prompts: set, Kind: columns.SDF,
		Constitution: o.Constitution.Name + "@" + o.Constitution.Hash(),
		Source:       p.source(),
		Stages: []pipe.Stage{
			pipe.Ask{Name: "subtypes", Uses: []string{"type", "what", "where", "slant"}},
			pipe.All{Name: "plan", Do: p.plan, Count: func(n int) int { return min(n, o.Documents) }},
			pipe.Map{Name: "excerpt", Do: p.excerpt, Adds: map[string]int{"excerpt": o.Excerpt * 4 / 3, "family": 100, "hints": 20, "stance": 15, "words": 1, "quotation": 20}},
			pipe.Ask{Name: "draft", Uses: []string{"type", "what", "where", "hints", "subtype", "family", "stance", "words", "quotation", "excerpt"}},
			pipe.Map{Name: "findings", Do: c.findings, Adds: map[string]int{"findings": 20}},
			pipe.Ask{Name: "review", Model: pipe.Reviewer, Uses: []string{"type", "what", "subtype", "family", "excerpt", "document", "findings"}, Check: c.check},
			pipe.Filter{Name: "contamination", Keep: uncontaminated(spans)},
			pipe.InOrder{Name: "near-duplicates", New: distinct},
			pipe.Do{Name: "consistency", Do: scorer{rubric, o.Judge, o.Least, o.Constitution.Persona}.score, Model: Judge, Tokens: [2]int{o.Excerpt*4/3 + 2600, 150}},
		},
		Record: record,
	}, nil
}

func (o *Options) defaults(types *catalogue) {
	if o.Documents <= 0 {
		o.Documents = 8 * len(types.Types)
	}
	if o.Excerpt <= 0 {
		o.Excerpt = 700
	}
	if o.Least <= 0 {
		o.Least = 7
	}
	if o.Banned == nil {
		o.Banned = quality.Overused
	}
}

// distinct drops documents of which more than half is in an earlier one.
func distinct() func(pipe.Item) string {
	near := quality.NewNear(0.5)
	return func(it pipe.Item) string {
		if _, _, found := near.Add(it.Get("document")); found {
			return "nearly the same as an earlier one"
		}
		return ""
	}
}

func record(it pipe.Item) (pipe.Record, error) {
	text := it.Get("document")
	if text == "" {
		return pipe.Record{}, fmt.Errorf("the item %s has no document", it.ID())
	}
	family, err := json.Marshal(it.Get("family_name"))
	if err != nil {
		return pipe.Record{}, err
	}
	row := columns.Row{Text: text, Extra: map[string]json.RawMessage{"family": family, "consistency": json.RawMessage(it.Get("consistency"))}}
	return pipe.Record{Principle: it.Get("citation"), Kind: it.Get("type"), Row: row}, nil
}
