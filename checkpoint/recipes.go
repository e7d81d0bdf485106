package checkpoint

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/corpora"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/data/catalog"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/internal/input"
)

// fileRecipe is the recipe that takes a file of the user's.
const fileRecipe = "file"

// pathKey is the option of fileRecipe that names the file; resolved it is hashKey.
const pathKey = "path"

// starter are the recipes that have a starter corpus.
func starter() []string {
	return slices.DeleteFunc(corpora.Names(), func(name string) bool { return name == promptsRecipe })
}

// recipeNames lists the recipes that a study may use.
func recipeNames() []string {
	names := append(slices.Concat(starter(), catalog.Names()), fileRecipe)
	slices.Sort(names)
	return slices.Compact(names)
}

// CheckData checks recipe and options, and tells whether the recipe samples from the model that is to be trained.
func (t *Target) CheckData(o data.Order) (needsModel bool, err error) {
	s, err := t.switches(o.World)
	if err != nil {
		return false, err
	}
	switch {
	case o.Recipe == fileRecipe:
		return false, t.checkFile(o)
	case !slices.Contains(recipeNames(), o.Recipe):
		return false, because.E("find recipe", o.Recipe, errors.New("there is no such recipe"), input.DidYouMean(o.Recipe, recipeNames()))
	case s.Writer != "":
		return t.checkWritten(o)
	case !slices.Contains(starter(), o.Recipe):
		return false, because.E("find recipe", o.Recipe, errors.New("it needs a model that writes, and no corpus of it is shipped"),
			"name one in the world: with: {writer: openai/NAME}; without, there are "+strings.Join(append(starter(), fileRecipe), ", "))
	}
	for key := range o.With {
		return false, because.E("read option", key, fmt.Errorf("the starter corpus %s has no options", o.Recipe), "let a model write by the recipe: with: {writer: openai/NAME} in the world")
	}
	return false, nil
}

// checkWritten checks an order that a writer fills.
func (t *Target) checkWritten(o data.Order) (needsModel bool, err error) {
	r, made, err := t.written(o, 1, nil)
	if err != nil {
		return false, err
	}
	if made.Kind != columns.SFT && made.Kind != columns.SDF {
		return false, because.E("find recipe", o.Recipe, fmt.Errorf("its records are for %s, which a study does not train by here", made.Kind), "use "+strings.Join(starter(), ", "))
	}
	return r.Asks(catalog.Target), nil
}

// written makes a recipe of the catalog for about n records.
func (t *Target) written(o data.Order, n int, target because.Chat) (catalog.Recipe, *pipe.Recipe, error) {
	r, err := catalog.Find(o.Recipe)
	if err != nil {
		return r, nil, err
	}
	for _, key := range []string{"scenarios", "prompts"} {
		if _, ok := o.With[key]; ok {
			return r, nil, because.E("read option", key, errors.New("a folder is no part of what identifies data, so a study takes none"), "make the data with because gen "+o.Recipe+", and use recipe: file")
		}
	}
	options := catalog.Options{Constitution: t.constitution, N: n, Seed: seedOf(o.Seed, "data/"+o.Stream), Review: reviewed(o), With: o.With}
	if r.Data != "" {
		return r, nil, because.E("find recipe", o.Recipe, errors.New("it starts from a file"), "make the data with because gen "+o.Recipe+", and use recipe: file")
	}
	if r.NoConstitution {
		options.Constitution = nil
	}
	if l, ok := target.(because.Likelihood); ok {
		options.Likelihood = l
	}
	made, err := r.Make(options)
	if errors.Is(err, catalog.ErrLikelihood) && target == nil { // it will be there
		options.Likelihood = unasked{}
		made, err = r.Make(options)
	}
	if err != nil {
		return r, nil, keyed(o, err)
	}
	return r, made, nil
}

// keyed makes the option that an error of the catalog is about its subject.
func keyed(o data.Order, err error) error {
	var e *because.Error
	if errors.As(err, &e) {
		for key := range o.With {
			if e.Subject == o.Recipe+": "+key || strings.HasPrefix(e.Subject, o.Recipe+": "+key+"=") {
				return because.E(e.Op, key, e.Err, because.Hint(err))
			}
		}
	}
	return err
}

// reviewed tells whether a world has a reviewer of its own.
func reviewed(o data.Order) bool { return o.World["reviewer"] != nil && o.World["reviewer"] != "" }
