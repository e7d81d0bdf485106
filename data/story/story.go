// Package story is the recipe for fictional stories of made minds that live a constitution. They are trained on with loss on every token (SDF).
//
// As published ("Teaching Claude why", 2026), stories are sampled within a frame: the constitution, then "below is a story of so many words", then a
// title. Titles are sampled first and lengths are drawn. A chat model gets the frame as a prompt, a base model as the start of the text that it
// continues. No story may be about what is evaluated: code compares it with the decisive spans of the honeypots, and a judge is asked.
package story

import (
	"embed"
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

// Judge is the role of the model that judges stories.
const Judge = "judge"

// Teller is the role of the model that writes them, where it is another one than gives titles and reviews: a base model, say.
const Teller = "teller"

// Options say what is written.
type Options struct {
	Constitution *constitution.Constitution
	Prompts      string // folder whose prompt files take the places of the shipped ones
	Ideas        string // file that takes the place of ideas.yaml
	// Base gives the frame to the teller as the start of its answer (because.Request.Prefill), as a base model needs it.
	Base bool
	// Review has each story reviewed and rewritten.
	Review bool
	// Lengths are the numbers of words that stories are to have, dealt out in turn; a number that comes twice is dealt twice as often. nil: 400 to 2500.
	Lengths []int
	// Excerpt is how many words of the constitution stand in the frame; 0: all of it.
	Excerpt int
	Least   int      // grade of conduct below which a story is dropped, from 1 to 10; 0: 6
	Banned  []string // names; nil: quality.Overused
	Spans   []string // what no story may contain; nil: scenario.DecisiveSpans
	Judge   judge.Options
	Rubric  *judge.Rubric // replaces the shipped one; it must have its questions
}

const op = "prepare stories"

// Recipe writes stories; its source is endless. Of each, requests: the story, a review if asked for, and the judge's; and one for six titles.
func Recipe(o Options) (*pipe.Recipe, error) {
	if o.Constitution == nil || len(o.Constitution.Principles) == 0 {
		return nil, because.E(op, "constitution", errors.New("none is given"), "")
	}
	o.defaults()
	set, err := prompts.Load(files, o.Prompts)
	if err != nil {
		return nil, err
	}
	ideas, err := loadIdeas(o.Ideas)
	if err != nil {
		return nil, err
	}
	g, err := newGrader(o)
	if err != nil {
		return nil, err
	}
	spans, err := quality.SpanIndex(o.Spans)
	if err != nil {
		return nil, err
	}
	f := framer{o, ideas}
	stages := []pipe.Stage{
		pipe.Ask{Name: "titles", Uses: []string{"ideas"}},
		pipe.InOrder{Name: "distinct-titles", New: distinctTitles},
		pipe.Map{Name: "frame", Do: f.frame, Adds: f.adds()},
		f.tell(),
		pipe.Map{Name: "clean", Do: clean},
	}
	if o.Review {
		stages = append(stages, pipe.Ask{Name: "review", Model: pipe.Reviewer, Uses: []string{"title", "excerpt", "story"}, Check: f.check})
	}
	stages = append(stages,
		pipe.Filter{Name: "contamination", Keep: uncontaminated(spans)},
		pipe.InOrder{Name: "near-duplicates", New: distinct},
		pipe.Do{Name: "judge", Do: g.grade, Model: Judge, Tokens: [2]int{4500, 200}})
	return &pipe.Recipe{
		Name: "stories", Version: "1", Prompts: set, Kind: columns.SDF,
		Constitution: o.Constitution.Name + "@" + o.Constitution.Hash(),
		Source:       f.source(), Stages: stages, Record: record,
	}, nil
}

func (o *Options) defaults() {
	if len(o.Lengths) == 0 {
		o.Lengths = []int{400, 500, 600, 700, 800, 800, 900, 1000, 1000, 1200, 1200, 1500, 1500, 1800, 2000, 2500}
	}
	if o.Least <= 0 {
		o.Least = 6
	}
	if o.Banned == nil {
		o.Banned = quality.Overused
	}
}

func record(it pipe.Item) (pipe.Record, error) {
	if it.Get("story") == "" {
		return pipe.Record{}, fmt.Errorf("the item %s has no story", it.ID())
	}
	return pipe.Record{Principle: it.Get("citation"), Kind: "story", Row: columns.Row{Text: it.Get("title") + "\n\n" + it.Get("story")}}, nil
}
