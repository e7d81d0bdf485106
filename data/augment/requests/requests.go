// Package requests is the recipe for prompts that a model is trained on by reward (RL): harmful requests in many styles of pressing, each with a benign
// look-alike put in the same way, so that neither refusing everything nor helping with everything pays. Each prompt comes with the rubric of its reward.
//
// The prompts say what somebody wants and hold nothing that would help to do it; a judge is asked, and what isn't sure to be so is dropped.
package requests

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/prompts"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/internal/input"
	"github.com/because-lab/because/judge"
)

//go:embed prompts/*.md areas.yaml rubrics/request.yaml
var files embed.FS

// Judge is the role of the model that checks prompts.
const Judge = "judge"

// The labels of prompts.
const (
	Harmful = "harmful"
	Benign  = "benign"
)

// Options say what is written.
type Options struct {
	Constitution *constitution.Constitution
	Prompts      string   // folder whose prompt files take the places of the shipped ones
	Areas        string   // file that takes the place of areas.yaml
	Spans        []string // what no prompt may contain; nil: scenario.DecisiveSpans
	Judge        judge.Options
}

// areas is areas.yaml.
type areas struct {
	Areas []struct {
		Name   string `yaml:"name"`
		Harm   string `yaml:"harm"`
		Beside string `yaml:"beside"`
	} `yaml:"areas"`
	Styles []struct {
		Name string `yaml:"name"`
		How  string `yaml:"how"`
	} `yaml:"styles"`
	Voices []string `yaml:"voices"`
}

const op = "prepare requests"

// Recipe writes requests; its source is endless and gives pairs, a harmful and a benign one in turn. Of each prompt, requests: half a pair, a review with
// its rewriting, and the judge's.
func Recipe(o Options) (*pipe.Recipe, error) {
	if o.Constitution == nil {
		return nil, because.E(op, "constitution", errors.New("none is given"), "")
	}
	set, err := prompts.Load(files, o.Prompts)
	if err != nil {
		return nil, err
	}
	a, err := loadAreas(o.Areas)
	if err != nil {
		return nil, err
	}
	text, err := files.ReadFile("rubrics/request.yaml")
	if err != nil {
		return nil, err
	}
	rubric, err := judge.ParseRubric("rubrics/request.yaml", text)
	if err != nil {
		return nil, err
	}
	spans, err := quality.SpanIndex(o.Spans)
	if err != nil {
		return nil, err
	}
	w := writer{o.Constitution, a}
	return &pipe.Recipe{
		Name: "requests", Version: "1", Prompts: set, Kind: columns.RL,
		Constitution: o.Constitution.Name + "@" + o.Constitution.Hash(),
		Source:       w.source(),
		Stages: []pipe.Stage{
			pipe.Ask{Name: "pair", Uses: []string{"harm", "beside", "how", "voice"}, Check: checkPair},
			pipe.Map{Name: "split", Do: w.split, Fan: 2, Adds: map[string]int{"message": 90, "good": 70, "bad": 60, "excerpt": 500, "label": 2}},
			pipe.Ask{Name: "review", Model: pipe.Reviewer, Uses: []string{"label", "harm", "beside", "message", "good", "bad", "excerpt"}, Check: checkMessage},
			pipe.Filter{Name: "contamination", Keep: uncontaminated(spans)},
			pipe.InOrder{Name: "near-duplicates", New: distinct},
			pipe.Do{Name: "judge", Do: checker{rubric, o.Judge}.grade, Model: Judge, Tokens: [2]int{1300, 120}},
		},
		Record: record,
	}, nil
}

func uncontaminated(x *quality.Index) func(pipe.Item) string {
	return func(it pipe.Item) string {
		if len(x.Find(columns.Row{Text: it.Get("message")})) > 0 {
			return "contains what an evaluation reserves"
		}
		return ""
	}
}

func loadAreas(file string) (*areas, error) {
	name := file
	text, err := []byte(nil), error(nil)
	if file == "" {
		name = "areas.yaml"
		text, err = files.ReadFile(name)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, because.E("read areas of requests", name, err, "")
	}
	return parseAreas(name, text)
}

func parseAreas(file string, text []byte) (*areas, error) {
	var a areas
	if err := input.YAML("read areas of requests", file, text, &a); err != nil {
		return nil, err
	}
	bad := func(format string, args ...any) (*areas, error) {
		return nil, because.E("read areas of requests", file, fmt.Errorf(format, args...), "")
	}
	if len(a.Areas) == 0 || len(a.Styles) == 0 || len(a.Voices) == 0 {
		return bad("areas, styles and voices: none of the three may be empty")
	}
	for i, x := range a.Areas {
		if x.Name == "" || x.Harm == "" || x.Beside == "" {
			return bad("area %d (%q) needs name, harm and beside", i+1, x.Name)
		}
	}
	for i, x := range a.Styles {
		if x.Name == "" || x.How == "" {
			return bad("style %d (%q) needs name and how", i+1, x.Name)
		}
	}
	return &a, nil
}

// writer lays out pairs.
type writer struct {
	c *constitution.Constitution
	a *areas
}

// source gives areas with styles without end: all combinations once, in an order of their own, before any comes twice.
func (w writer) source() iter.Seq2[pipe.Item, error] {
	return func(yield func(pipe.Item, error) bool) {
		combinations := len(w.a.Areas) * len(w.a.Styles)
		for n := 0; ; n++ {
			at := deal("pairs", combinations, n)
			area, style := w.a.Areas[at/len(w.a.Styles)], w.a.Styles[at%len(w.a.Styles)]
			it := pipe.New(fmt.Sprintf("%06d", n), "area", area.Name, "harm", area.Harm, "beside", area.Beside, "style", style.Name, "how", style.How,
				"voice", w.a.Voices[deal("voices", len(w.a.Voices), n)])
			if !yield(it, nil) {
				return
			}
		}
	}
}

// deal gives the n-th of some numbers that are dealt out in an order of their own before any comes again.
func deal(name string, count, n int) int {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(h.Sum64(), uint64(n/count))).Perm(count)[n%count]
}

// split makes a prompt of each half, with the part of the constitution that bears on it.
func (w writer) split(it pipe.Item) ([]pipe.Item, error) {
	var out []pipe.Item
	for _, label := range []string{Harmful, Benign} {
		message := it.Get(label)
		found := w.c.Excerpt(it.Get("harm")+" "+message, 350)
		if len(found) == 0 {
			found = w.c.Principles[:1]
		}
		cite, err := w.c.Cite(found[0].ID)
		if err != nil {
			return nil, err
		}
		half := it.Without("harmful", "harmful_good", "harmful_bad", "benign", "benign_good", "benign_bad")
		out = append(out, half.Child(label, "label", label, "message", message, "good", it.Get(label+"_good"), "bad", it.Get(label+"_bad"),
			"excerpt", w.c.Text(found...), "citation", cite))
	}
	return out, nil
}

func distinct() func(pipe.Item) string {
	near := quality.NewNear(0.5)
	return func(it pipe.Item) string {
		if _, _, found := near.Add(it.Get("message")); found {
			return "nearly the same as an earlier one"
		}
		return ""
	}
}

func record(it pipe.Item) (pipe.Record, error) {
	rec := pipe.Record{Principle: it.Get("citation"), Kind: it.Get("area")}
	rec.Prompt = []because.Message{{Role: because.RoleUser, Content: it.Get("message")}}
	rec.Extra = map[string]json.RawMessage{}
	for name, v := range map[string]any{"label": it.Get("label"), "style": it.Get("style"), "area": it.Get("area"),
		"rubric": map[string]string{"good": it.Get("good"), "bad": it.Get("bad")}} {
		text, err := json.Marshal(v)
		if err != nil {
			return rec, err
		}
		rec.Extra[name] = text
	}
	return rec, nil
}

const (
	fewest = 8   // words of a message
	most   = 220 // more than the prompt asks for: people do run on
)

// checkPair asks again for messages that break a rule.
func checkPair(in, out pipe.Item) error {
	for _, label := range []string{Harmful, Benign} {
		if err := checkText(label, out.Get(label)); err != nil {
			return err
		}
	}
	if quality.Jaccard(out.Get(Harmful), out.Get(Benign)) > 0.5 {
		return pipe.Again("the two are the same", "The two messages are nearly the same. They come from two lives.")
	}
	return nil
}

func checkMessage(in, out pipe.Item) error { return checkText(in.Get("label"), out.Get("message")) }

func checkText(label, text string) error {
	if n := len(strings.Fields(text)); n < fewest || n > most {
		return pipe.Again("wrong length", fmt.Sprintf("The %s message has %d words; it should have 15 to 150.", label, n))
	}
	for _, r := range quality.Broken(because.RoleUser, text) {
		if r.ID == "greeting" || r.ID == "introduction" {
			return pipe.Again("breaks a rule of style", fmt.Sprintf("The %s message should have none of these: %s.", label, r.About))
		}
	}
	return nil
}
