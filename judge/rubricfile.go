package judge

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/because-lab/because"
	"go.yaml.in/yaml/v3"
)

const opRubric = "read rubric"

// ParseRubric reads a rubric from the text of a YAML file; name says in errors where it comes from.
func ParseRubric(name string, text []byte) (*Rubric, error) {
	f := newFile(opRubric, name)
	root, err := f.root(text)
	if err != nil {
		return nil, err
	}
	r := &Rubric{source: string(text), places: f.places}
	r.places[""] = site{name, 0}
	var about string
	err = f.mapping(root, "", map[string]key{
		"name":         {true, f.text(&r.Name)},
		"about":        {true, f.text(&about)},
		"reasoning":    {false, f.truth(&r.Reasoning)},
		"instructions": {true, f.text(&r.Instructions)},
		"facts":        {false, f.list(r.readFact(f))},
		"questions":    {true, f.list(r.readQuestion(f))},
	})
	if err != nil {
		return nil, err
	}
	r.About = About(about)
	if err := r.Check(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Rubric) readFact(f *yamlFile) func(*yaml.Node, string) error {
	return func(n *yaml.Node, path string) error {
		var fact Fact
		err := f.mapping(n, path, map[string]key{
			"name":     {true, f.text(&fact.Name)},
			"means":    {true, f.text(&fact.Means)},
			"optional": {false, f.truth(&fact.Optional)},
		})
		r.Facts = append(r.Facts, fact)
		return err
	}
}

func (r *Rubric) readQuestion(f *yamlFile) func(*yaml.Node, string) error {
	return func(n *yaml.Node, path string) error {
		var q Question
		var kind string
		label := f.pairs(func(name, means string) { q.Labels = append(q.Labels, Label{name, means}) })
		err := f.mapping(n, path, map[string]key{
			"id":       {true, f.text(&q.ID)},
			"text":     {true, f.text(&q.Text)},
			"kind":     {true, f.text(&kind)},
			"labels":   {false, label},
			"min":      {false, f.whole(&q.Min)},
			"max":      {false, f.whole(&q.Max)},
			"anchors":  {false, label},
			"evidence": {false, r.readEvidence(f, &q)},
		})
		if err != nil {
			return err
		}
		q.Kind = Kind(kind)
		_, labels := f.places[path+".labels"]
		for _, only := range []struct {
			key string
			of  Kind
		}{{"labels", Choice}, {"anchors", Scale}, {"min", Scale}, {"max", Scale}} {
			if _, given := f.places[path+"."+only.key]; given && q.Kind != only.of {
				return f.bad(n, path+"."+only.key, "labels belong to a choice; min, max and anchors to a scale", "a %s question has none", q.Kind)
			}
		}
		if !labels && q.Kind == Choice {
			return f.bad(n, path+".labels", "", "is missing")
		}
		if len(q.Evidence) == 1 && q.Evidence[0] == everyAnswer {
			q.Evidence = q.Answers()
		}
		r.Questions = append(r.Questions, q)
		return nil
	}
}

const everyAnswer = "all"

// readEvidence reads the answers that need a quotation: a list, or "all".
func (r *Rubric) readEvidence(f *yamlFile, q *Question) func(*yaml.Node, string) error {
	return func(n *yaml.Node, path string) error {
		if n.Kind == yaml.ScalarNode && n.Value == everyAnswer {
			q.Evidence = []string{everyAnswer}
			return nil
		}
		return f.texts(&q.Evidence)(n, path)
	}
}

// bad makes the error about a part of the rubric.
func (r *Rubric) bad(at, hint, format string, args ...any) error {
	place := r.places[""]
	for p := at; p != ""; p = p[:max(0, strings.LastIndexAny(p, ".["))] {
		if s, ok := r.places[p]; ok {
			place = s
			break
		}
	}
	subject := place.subject(at)
	if r.source == "" {
		subject = r.Name + ": " + at
	}
	return because.E(opRubric, subject, fmt.Errorf(format, args...), hint)
}

// LoadRubric reads and checks a rubric's file.
func LoadRubric(file string) (*Rubric, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, because.E(opRubric, file, err, "shipped rubrics: "+strings.Join(Rubrics(), ", "))
	}
	return ParseRubric(file, text)
}

// The shipped rubrics were written for this project and are given to the public domain (CC0).
//
//go:embed rubrics/*.yaml
var shippedRubrics embed.FS

// Rubrics lists the shipped rubrics.
func Rubrics() []string {
	files, err := shippedRubrics.ReadDir("rubrics")
	if err != nil {
		panic("judge: " + err.Error()) // embedded at build time
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".yaml"))
	}
	slices.Sort(names)
	return names
}

var shippedOnce = sync.OnceValue(func() map[string][]byte {
	texts := map[string][]byte{}
	for _, name := range Rubrics() {
		text, err := shippedRubrics.ReadFile(path.Join("rubrics", name+".yaml"))
		if err != nil {
			panic("judge: " + err.Error()) // embedded at build time
		}
		texts[name] = text
	}
	return texts
})

// FindRubric gives the shipped rubric of that name or, if there is none, reads the file of that path.
func FindRubric(nameOrPath string) (*Rubric, error) {
	if text, ok := shippedOnce()[nameOrPath]; ok {
		return ParseRubric(nameOrPath+".yaml", text)
	}
	if isName(nameOrPath) {
		return nil, because.E(opRubric, nameOrPath, errors.New("no such rubric is shipped"), "shipped: "+strings.Join(Rubrics(), ", "))
	}
	return LoadRubric(nameOrPath)
}
