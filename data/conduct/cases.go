package conduct

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/prompts"
	"github.com/because-lab/because/scenario"
)

// readCases makes the cases of the families, in the order in which they are sampled: the families in turn, one condition of each cluster before
// the second ones.
func (r *recipe) readCases() error {
	lib := r.o.Library
	if lib == nil {
		var err error
		if lib, err = scenario.Embedded(); err != nil {
			return err
		}
	}
	if r.o.Families == nil {
		r.families = lib.Training()
	}
	for _, name := range r.o.Families {
		f, err := lib.Family(name)
		if err != nil {
			return err
		}
		r.families = append(r.families, f)
	}
	if len(r.families) == 0 {
		return errors.New("there is no training family")
	}
	r.cases = map[string]scenario.Case{}
	var lists [][]scenario.Case
	for _, f := range r.families {
		list, err := r.casesOf(f)
		if err != nil {
			return err
		}
		lists = append(lists, list)
	}
	for i := 0; len(lists) > 0; i++ {
		lists = slices.DeleteFunc(lists, func(list []scenario.Case) bool { return len(list) <= i })
		for _, list := range lists {
			r.order = append(r.order, list[i])
			r.cases[list[i].ID] = list[i]
		}
	}
	return nil
}

// casesOf makes all cases of a family. One that is evaluated is refused: what is trained on can't measure anything.
func (r *recipe) casesOf(f *scenario.Family) ([]scenario.Case, error) {
	if f.Evaluated {
		return nil, because.E("make cases", f.Name, errors.New("the family is evaluated, so nothing of it may be trained on"),
			"choose among the training families, or write one")
	}
	each := min(r.o.PerCluster, len(r.o.Conditions.Conditions()))
	if each == 0 {
		return nil, fmt.Errorf("the filter keeps no condition")
	}
	cases, err := f.Cases(scenario.Design{Filter: r.o.Conditions, N: each * f.Clusters(), PerCluster: each, Seed: r.o.Seed, Persona: r.o.Persona})
	if err != nil {
		return nil, err
	}
	var out []scenario.Case
	for k := range each {
		for i := k; i < len(cases); i += each {
			out = append(out, cases[i])
		}
	}
	return out, nil
}

// source gives each case once, then each a second time, and so on.
func (r *recipe) source() iter.Seq2[pipe.Item, error] {
	return func(yield func(pipe.Item, error) bool) {
		for sample := range r.o.Samples {
			nth := map[string]int{} // of a family
			for _, c := range r.order {
				it := pipe.New(fmt.Sprintf("%s/s%d", c.ID, sample+1), "case", c.ID, "family", c.Family)
				if r.o.Kind == Deliberation {
					// Each family meets each wording equally often, and a case another one with every sample.
					at := slices.IndexFunc(r.families, func(f *scenario.Family) bool { return f.Name == c.Family })
					it = it.With("wording", r.wordings[(at+nth[c.Family]+sample)%len(r.wordings)].name)
					nth[c.Family]++
				}
				if !yield(it, nil) {
					return
				}
			}
		}
	}
}

// wording is one way to elicit deliberation.
type wording struct{ name, text string }

const injectPrefix = "inject-"

// readWordings reads the prompt files that are injected.
func (r *recipe) readWordings() error {
	names := r.o.Wordings
	if names == nil {
		for _, file := range r.set.Names() {
			if name, ok := strings.CutPrefix(file, injectPrefix); ok {
				names = append(names, name)
			}
		}
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("the wording %s is named twice", name)
		}
		text, err := part(r.set, injectPrefix+name)
		if err != nil {
			return err
		}
		r.wordings = append(r.wordings, wording{name, text})
	}
	if len(r.wordings) == 0 {
		return errors.New("no wording is named")
	}
	var err error
	r.bare, err = part(r.set, "bare")
	return err
}

// part gives the text of a prompt file that has one message and no variables.
func part(set *prompts.Set, name string) (string, error) {
	p, err := set.Get(name)
	if err != nil {
		return "", err
	}
	if errs := p.Check(); len(errs) > 0 {
		return "", errors.Join(errs...)
	}
	messages, err := p.Render(func(string) (string, bool) { return "", false })
	if err != nil {
		return "", err
	}
	if len(messages) != 1 {
		return "", because.E("read prompt", p.File, errors.New("it is added to another prompt, so it has one message, the user's"), "")
	}
	return strings.TrimSpace(messages[0].Content), nil
}

// inject adds the text of the item's wording.
func (r *recipe) inject(it pipe.Item) ([]pipe.Item, error) {
	at := slices.IndexFunc(r.wordings, func(w wording) bool { return w.name == it.Get("wording") })
	return []pipe.Item{it.With("injection", r.wordings[at].text)}, nil
}

// reason says for which wording an item is dropped, so that the card tells the yield of each.
func reason(it pipe.Item, why string) string {
	if w := it.Get("wording"); w != "" {
		why += wordingMark + w
	}
	return why
}

const wordingMark = " · wording "

func drop(it pipe.Item, why string) error { return pipe.Drop(reason(it, why)) }
