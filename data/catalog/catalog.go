// Package catalog holds the recipes for training data of real models by name, for the command line and for studies: what each is for, which models
// it asks, which options it has, and how it is made.
//
//	r, err := catalog.Find("advice")
//	made, err := r.Make(catalog.Options{Constitution: c, N: 500, Seed: 1, With: map[string]any{"two-turns": 0.5}})
//	result, err := pipe.Run(ctx, made, pipe.Options{...})
package catalog

import (
	"errors"
	"slices"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/internal/input"
)

// Roles of models beside pipe.Writer and pipe.Reviewer. A run in which one has no model lets the writer play it.
const (
	Judge  = "judge"
	Target = "target" // the model to be trained
	Teller = "teller" // of stories, which may be a base model
)

// Options say what a recipe is to make.
type Options struct {
	Constitution *constitution.Constitution // nil: the default one
	Prompts      string                     // folder of prompt files that take the places of the recipe's own
	// N is how many records a run will want, as in pipe.Options, so that as many are planned. 0: all that the source gives, which an endless one refuses.
	N      int
	Seed   uint64
	Review bool   // have a reviewer rewrite what can do without (stories)
	Data   string // file that the recipe starts from, where it takes one
	// With holds the recipe's own options, by their names in Recipe.Params. Values are numbers, truths and texts, or lists of them; each may be
	// given as a text, as on a command line.
	With map[string]any
	// Likelihood is the model to be trained, where runs are chosen by likelihood. It must be able to tell how likely an answer is.
	Likelihood because.Likelihood
}

// ErrLikelihood says that options need Options.Likelihood, and it is nil.
var ErrLikelihood = errors.New("the model to be trained does not tell how likely an answer is")

// Param is an option of a recipe's own.
type Param struct {
	Name  string
	About string
	// Needed is a value for examples where the option must be given; "": it has a default.
	Needed string
}

// Recipe is an entry of the catalog.
type Recipe struct {
	Name  string
	Short string // a phrase
	About string // sentences
	// Roles are the models that it asks, beside pipe.Writer.
	Roles  []string
	Params []Param
	// Data says what Options.Data holds; "": the recipe takes no file.
	Data string
	// NoConstitution says that it is made without one.
	NoConstitution bool
	// Endless says that its source never ends, so a run must say how many records it wants. Whole says that a run mostly wants all, as of copies.
	Endless, Whole bool
	// Finish makes further files of the records at a path, once they are there, and gives their names; nil: there are none.
	Finish func(o Options, path string) ([]string, error)

	make func(Options, *with) (*pipe.Recipe, error)
}

const op = "make recipe"

// Find gives a recipe.
func Find(name string) (Recipe, error) {
	if i := slices.IndexFunc(recipes, func(r Recipe) bool { return r.Name == name }); i >= 0 {
		return recipes[i], nil
	}
	return Recipe{}, because.E("find recipe", name, errors.New("there is no such recipe"), input.DidYouMean(name, Names()))
}

// Names lists the recipes, sorted.
func Names() []string {
	var names []string
	for _, r := range recipes {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	return names
}

// Asks tells whether a recipe has a role.
func (r Recipe) Asks(role string) bool { return slices.Contains(r.Roles, role) }

// Make makes the recipe. Options that are unknown or have a value that means nothing are errors that name them.
func (r Recipe) Make(o Options) (*pipe.Recipe, error) {
	if r.make == nil {
		return nil, because.E(op, r.Name, errors.New("it is none of the catalog's"), "catalog.Find gives those")
	}
	switch {
	case o.N < 0:
		return nil, because.E(op, r.Name, errors.New("the number of records is negative"), "")
	case r.Endless && o.N == 0:
		return nil, because.E(op, r.Name, errors.New("its source has no end"), "say how many records are wanted")
	case r.Data != "" && o.Data == "":
		return nil, because.E(op, r.Name, errors.New("no file is named that it starts from"), "it takes "+r.Data)
	case r.Data == "" && o.Data != "":
		return nil, because.E(op, r.Name+": "+o.Data, errors.New("the recipe starts from no file"), "")
	}
	if o.Constitution == nil && !r.NoConstitution {
		c, err := constitution.Shipped(constitution.Default)
		if err != nil {
			return nil, err
		}
		o.Constitution = c
	}
	w := &with{recipe: r, values: o.With}
	if err := w.known(); err != nil {
		return nil, err
	}
	return r.make(o, w)
}
