package constitution

import (
	"embed"
	"errors"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/because-lab/because"
)

// The shipped constitutions were written for this project and are given to the public domain (CC0).
//
//go:embed shipped/*.md
var shipped embed.FS

// Default is the name of the shipped constitution that stands where none is asked for.
const Default = "astra"

// library parses the shipped constitutions once.
var library = sync.OnceValue(func() map[string]*Constitution {
	files, err := shipped.ReadDir("shipped")
	if err != nil {
		panic("constitution: " + err.Error()) // embedded at build time
	}
	all := map[string]*Constitution{}
	for _, f := range files {
		text, err := shipped.ReadFile(path.Join("shipped", f.Name()))
		if err != nil {
			panic("constitution: " + err.Error())
		}
		c, err := Parse(f.Name(), text)
		if err != nil {
			panic(err) // a test parses them all
		}
		all[c.Name] = c
	}
	return all
})

// Names lists the shipped constitutions.
func Names() []string {
	var names []string
	for name := range library() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Shipped gives a shipped constitution.
func Shipped(name string) (*Constitution, error) {
	c, ok := library()[name]
	if !ok {
		return nil, because.E("read constitution", name, errors.New("no such constitution is shipped"), "shipped: "+strings.Join(Names(), ", "))
	}
	return c, nil
}

// Find gives the shipped constitution of that name or, if there is none, reads the file of that path.
func Find(nameOrPath string) (*Constitution, error) {
	if c, ok := library()[nameOrPath]; ok {
		return c, nil
	}
	if !strings.ContainsAny(nameOrPath, `./\`) {
		return Shipped(nameOrPath) // the error that lists the names
	}
	return Load(nameOrPath)
}

// Variant gives the shipped constitution that was written as a variant of this one. Nothing is derived: rules are not what is left when
// the reasons are cut out, and texts that are compared must be of one length.
func (c *Constitution) Variant(form Form) (*Constitution, error) {
	if c.Form == form {
		return c, nil
	}
	for _, name := range Names() {
		if v := library()[name]; v.Of == c.Name && v.Form == form && library()[c.Name] != nil && library()[c.Name].Hash() == c.Hash() {
			return v, nil
		}
	}
	return nil, because.E("find variant", c.Name+": "+string(form), errors.New("there is none"),
		"variants are not derived; write one with the same ids and rules, of the same length as those it is compared with")
}

// Contrast is a question that two constitutions answer differently.
type Contrast struct {
	ID       string
	Question string
	A, B     *Principle
}

// Contrasts lists the questions that both constitutions say they answer, and answer in different words, in a's order.
// It is what a report needs to say to whom a model is aligned.
func Contrasts(a, b *Constitution) []Contrast {
	var out []Contrast
	for _, p := range a.Principles {
		other, ok := b.byID[p.ID]
		question := a.Questions[p.ID]
		if ok && question != "" && question == b.Questions[p.ID] && p.Hash() != other.Hash() {
			out = append(out, Contrast{p.ID, question, p, other})
		}
	}
	return out
}
