// Package variants writes the three forms of a constitution that experiments on reasons compare: rules; rules with sub-rules; rules with reasons. The
// rules are the same sentences, and the three are equally long, so that what differs is what stands beside the rules.
//
// Source: "Model Spec Midtraining", arXiv 2605.02087, which compares models taught from such variants of one specification.
package variants

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/prompts"
)

//go:embed prompts/*.md
var files embed.FS

// Forms are the forms that are written, in the order of the records.
var Forms = []constitution.Form{constitution.Rules, constitution.Subrules, constitution.Reasons}

// Options say how the forms are written.
type Options struct {
	Constitution *constitution.Constitution // with reasons
	Prompts      string                     // folder whose prompt files take the places of the shipped ones
	// Words is how many words stand below each rule; 0: 90. Each part has that number within two in a hundred, and one word at least, so the forms
	// are equally long within less than five in a hundred.
	Words  int
	Rounds int // how often a part is given back to be brought to its length until its principle is dropped; 0: 6
}

const op = "prepare variants"

// Recipe writes the three forms of each principle: three records a principle, texts of the constitution's format. Requests: four a principle, and as many as
// it takes to bring the three parts to their length, three or so. What is dropped is dropped in all three forms. Assemble makes constitutions of the records.
func Recipe(o Options) (*pipe.Recipe, error) {
	if o.Constitution == nil {
		return nil, because.E(op, "constitution", errors.New("none is given"), "")
	}
	if o.Words == 0 {
		o.Words = 90
	}
	if o.Rounds <= 0 {
		o.Rounds = 6
	}
	if o.Words < 20 {
		return nil, because.E(op, "words", fmt.Errorf("%d are too few for a part", o.Words), "20 or more")
	}
	set, err := prompts.Load(files, o.Prompts)
	if err != nil {
		return nil, err
	}
	w := writer{o}
	part := []string{"rule", "principle", "words", "least", "most"}
	return &pipe.Recipe{
		Name: "variants", Version: "1", Prompts: set, Kind: columns.SDF,
		Constitution: o.Constitution.Name + "@" + o.Constitution.Hash(),
		Source:       w.source(),
		Stages: []pipe.Stage{
			pipe.Ask{Name: "rule", Uses: []string{"principle"}, Check: w.checkRule},
			pipe.Ask{Name: "rules", Uses: part, Check: w.wellFormed(constitution.Rules)},
			pipe.Ask{Name: "subrules", Uses: part, Check: w.wellFormed(constitution.Subrules)},
			pipe.Ask{Name: "reasons", Uses: part, Check: w.wellFormed(constitution.Reasons)},
			pipe.Do{Name: "fit", Do: w.fit, Requests: 3, Tokens: [2]int{450, 150}},
			pipe.Map{Name: "split", Do: w.split, Fan: 3},
		},
		Record: w.record,
	}, nil
}

type writer struct{ o Options }

// bounds is how many words a part may have.
func (w writer) bounds() (least, most int) {
	slack := max(1, int(math.Floor(0.02*float64(w.o.Words))))
	return w.o.Words - slack, w.o.Words + slack
}

func (w writer) source() iter.Seq2[pipe.Item, error] {
	least, most := w.bounds()
	return func(yield func(pipe.Item, error) bool) {
		for i, p := range w.o.Constitution.Principles {
			cite, err := w.o.Constitution.Cite(p.ID)
			it := pipe.New(fmt.Sprintf("%03d/%s", i+1, p.ID), "principle", w.o.Constitution.Text(p), "id", p.ID, "title", p.Title, "citation", cite,
				"words", strconv.Itoa(w.o.Words), "least", strconv.Itoa(least), "most", strconv.Itoa(most))
			if !yield(it, err) {
				return
			}
		}
	}
}

// checkRule wants a rule of some length and without its reason.
func (w writer) checkRule(in, out pipe.Item) error {
	rule := out.Get("rule")
	if n := len(strings.Fields(rule)); n < 8 || n > 60 {
		return pipe.Again("wrong length", fmt.Sprintf("The rule has %d words; it should have 15 to 45.", n))
	}
	if strings.Contains(strings.ToLower(rule), "because") || strings.Contains(rule, "\n") {
		return pipe.Again("not a rule alone", "It should be one paragraph without a reason.")
	}
	return w.parses(in, rule, "", "")
}

// wellFormed wants a part that the constitution's format takes for one of its form.
func (w writer) wellFormed(form constitution.Form) func(in, out pipe.Item) error {
	return func(in, out pipe.Item) error { return w.parses(in, in.Get("rule"), form, out.Get(string(form))) }
}

func (w writer) parses(it pipe.Item, rule string, form constitution.Form, part string) error {
	head := ""
	if form != "" {
		head = "---\nform: " + string(form) + "\n---\n\n"
	}
	c, err := constitution.Parse("answer.md", []byte(head+block(it, rule, form, part)))
	if err != nil {
		return pipe.Again("not of the form", "A program that reads it says: "+err.Error())
	}
	p := c.Principles[0]
	switch {
	case len(c.Principles) != 1:
		return pipe.Again("not of the form", "It holds a heading.")
	case form == constitution.Subrules && len(p.Subrules()) < 2:
		return pipe.Again("not of the form", `It should be lines that each begin with "- ", two at least.`)
	case form == constitution.Reasons && len(p.Reasons()) == 0, form == constitution.Rules && len(p.Parts) < 2:
		return pipe.Again("not of the form", "It should be plain paragraphs.")
	}
	return nil
}

// block writes a principle in the constitution's format.
func block(it pipe.Item, rule string, form constitution.Form, part string) string {
	if form == constitution.Reasons {
		part = "**Why.** " + part
	}
	return strings.TrimSpace("## "+it.Get("title")+" {#"+it.Get("id")+"}\n\n"+rule+"\n\n"+part) + "\n"
}

// split makes an item of each form.
func (w writer) split(it pipe.Item) ([]pipe.Item, error) {
	var out []pipe.Item
	for _, f := range Forms {
		out = append(out, it.Child(string(f), "form", string(f), "block", block(it, it.Get("rule"), f, it.Get(string(f)))))
	}
	return out, nil
}

func (w writer) record(it pipe.Item) (pipe.Record, error) {
	form, err := json.Marshal(it.Get("form"))
	return pipe.Record{Principle: it.Get("citation"), Kind: it.Get("form"),
		Row: columns.Row{Text: it.Get("block"), Extra: map[string]json.RawMessage{"form": form}}}, err
}
