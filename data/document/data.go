package document

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/input"
	"github.com/because-lab/because/judge"
)

//go:embed types.yaml families.yaml rubrics
var shipped embed.FS

// Type is a type of documents.
type Type struct {
	Name  string   `yaml:"name"`
	What  string   `yaml:"what"`  // it is
	Where string   `yaml:"where"` // it appears
	Hints []string `yaml:"hints"`
}

// Family says in which way a document bears on the constitution.
type Family struct {
	Name       string   `yaml:"name"`
	Task       string   `yaml:"task"`
	Quotations []string `yaml:"quotations"` // how documents may quote, dealt out
	Nameless   bool     `yaml:"nameless"`   // the character's name may not occur
}

// catalogue is types.yaml.
type catalogue struct {
	Slants  []string `yaml:"slants"`
	Stances []string `yaml:"stances"`
	Types   []Type   `yaml:"types"`
}

const (
	typesFile    = "types.yaml"
	familiesFile = "families.yaml"
)

// Types gives the shipped types of documents.
func Types() ([]Type, error) {
	text, err := shipped.ReadFile(typesFile)
	if err != nil {
		return nil, err
	}
	c, err := parseTypes(typesFile, text)
	if err != nil {
		return nil, err
	}
	return c.Types, nil
}

// load reads types and families, the user's own before the shipped ones.
func (o *Options) load() (*catalogue, []Family, error) {
	text, file, err := o.read(typesFile)
	if err != nil {
		return nil, nil, err
	}
	types, err := parseTypes(file, text)
	if err != nil {
		return nil, nil, err
	}
	if text, file, err = o.read(familiesFile); err != nil {
		return nil, nil, err
	}
	families, err := parseFamilies(file, text)
	if err != nil {
		return nil, nil, err
	}
	families, err = choose(families, o.Families)
	return types, families, err
}

func (o *Options) read(name string) (text []byte, file string, err error) {
	if o.Data != "" {
		file = filepath.Join(o.Data, name)
		text, err = os.ReadFile(file)
		if err == nil || !errors.Is(err, os.ErrNotExist) {
			return text, file, err
		}
	}
	text, err = shipped.ReadFile(name)
	return text, name, err
}

func parseTypes(file string, text []byte) (*catalogue, error) {
	var c catalogue
	if err := input.YAML("read types of documents", file, text, &c); err != nil {
		return nil, err
	}
	bad := func(format string, args ...any) (*catalogue, error) {
		return nil, because.E("read types of documents", file, fmt.Errorf(format, args...), "")
	}
	if len(c.Types) == 0 || len(c.Slants) == 0 || len(c.Stances) == 0 {
		return bad("types, slants and stances: none of the three may be empty")
	}
	seen := map[string]bool{}
	for i, t := range c.Types {
		switch {
		case t.Name == "" || t.What == "" || t.Where == "" || len(t.Hints) == 0:
			return bad("type %d (%q) needs name, what, where and hints", i+1, t.Name)
		case slug(t.Name) == "":
			return bad("type %d: the name %q has no letters", i+1, t.Name)
		case seen[slug(t.Name)]:
			return bad("type %d: there is another %q", i+1, t.Name)
		}
		seen[slug(t.Name)] = true
	}
	return &c, nil
}

func parseFamilies(file string, text []byte) ([]Family, error) {
	var all struct {
		Families []Family `yaml:"families"`
	}
	if err := input.YAML("read families of documents", file, text, &all); err != nil {
		return nil, err
	}
	if len(all.Families) == 0 {
		return nil, because.E("read families of documents", file, errors.New("there is none"), "")
	}
	for i, f := range all.Families {
		if f.Name == "" || f.Task == "" || len(f.Quotations) == 0 {
			return nil, because.E("read families of documents", file, fmt.Errorf("family %d (%q) needs name, task and quotations", i+1, f.Name), "")
		}
	}
	return all.Families, nil
}

// choose gives the families of some names.
func choose(all []Family, names []string) ([]Family, error) {
	if len(names) == 0 {
		return all, nil
	}
	var out []Family
	var known []string
	for _, f := range all {
		known = append(known, f.Name)
	}
next:
	for _, name := range names {
		for _, f := range all {
			if f.Name == name {
				out = append(out, f)
				continue next
			}
		}
		return nil, because.E(op, "families", fmt.Errorf("there is no family %q", name), input.DidYouMean(name, known))
	}
	return out, nil
}

// rubric gives the rubric by which documents are scored.
func (o *Options) rubric() (*judge.Rubric, error) {
	r := o.Rubric
	if r == nil {
		const file = "rubrics/consistency.yaml"
		text, err := shipped.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if r, err = judge.ParseRubric(file, text); err != nil {
			return nil, err
		}
	}
	q := r.Question("consistency")
	if r.About != judge.Text || q == nil || q.Kind != judge.Scale {
		return nil, because.E(op, "rubric "+r.Name, errors.New("it must be about documents and have a scale called consistency"), "")
	}
	return r, nil
}

// slug makes a part of an id of a name.
func slug(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	return strings.Join(words, "-")
}
