package document

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/pipe"
)

// perList is how many kinds of a type the prompt subtypes asks for.
const perList = 10

// lengths are dealt out to documents, in words; short ones more often, as in the world.
var lengths = []int{300, 350, 400, 450, 500, 600, 600, 700, 800, 900, 1000, 1200, 1500}

// planner spreads documents over types, families and principles.
type planner struct {
	o        Options
	types    *catalogue
	families []Family
}

// source gives types, in rounds until there will be enough kinds of them. Each round is in another order and has another slant.
func (p planner) source() iter.Seq2[pipe.Item, error] {
	return func(yield func(pipe.Item, error) bool) {
		left := p.o.Documents
		for round := 0; left > 0; round++ {
			slant := p.types.Slants[round%len(p.types.Slants)]
			for i, at := range stream("types", round).Perm(len(p.types.Types)) {
				if i >= p.o.Documents {
					break
				}
				t := p.types.Types[at]
				it := pipe.New(fmt.Sprintf("%02d/%s", round, slug(t.Name)), "type", t.Name, "what", t.What, "where", t.Where,
					"hints", strings.Join(t.Hints, "; "), "slant", slant, "place", fmt.Sprintf("%06d", i))
				if !yield(it, nil) {
					return
				}
			}
			left -= perList * min(len(p.types.Types), p.o.Documents)
		}
	}
}

// plan orders the kinds so that every stretch of the list has many types, takes as many as documents are wanted, and deals out families,
// principles, stances and lengths. All pairs of a family and a principle come once before any comes twice.
func (p planner) plan(items []pipe.Item) ([]pipe.Item, error) {
	items = slices.Clone(items)
	slices.SortFunc(items, func(a, b pipe.Item) int {
		return cmp.Or(cmp.Compare(round(a), round(b)), cmp.Compare(last(a), last(b)), cmp.Compare(a.Get("place"), b.Get("place")))
	})
	items = items[:min(len(items), p.o.Documents)]
	pairs := newDeck("pairs", len(p.families)*len(p.o.Constitution.Principles))
	stances, sizes := newDeck("stances", len(p.types.Stances)), newDeck("lengths", len(lengths))
	quotes := map[string]*deck{}
	for _, f := range p.families {
		quotes[f.Name] = newDeck("quotations "+f.Name, len(f.Quotations))
	}
	for i, it := range items {
		pair, unnamed := pairs.draw(), ""
		f, principle := p.families[pair%len(p.families)], p.o.Constitution.Principles[pair/len(p.families)]
		if f.Nameless {
			unnamed = p.o.Constitution.Persona
		}
		items[i] = it.Without("place", "slant").With(
			"family_name", f.Name, "family", p.named(f.Task), "quotation", p.named(f.Quotations[quotes[f.Name].draw()]),
			"principle", principle.ID, "unnamed", unnamed, "stance", p.types.Stances[stances.draw()], "words", strconv.Itoa(lengths[sizes.draw()]))
	}
	return items, nil
}

// named fills in the character's name.
func (p planner) named(text string) string {
	name := p.o.Constitution.Persona
	if name == "" {
		name = "the AI"
	}
	return strings.ReplaceAll(text, "{persona}", name)
}

// round and last are the first and the last part of an item's id.
func round(it pipe.Item) string {
	r, _, _ := strings.Cut(it.ID(), "/")
	return r
}

func last(it pipe.Item) string { return it.ID()[strings.LastIndexByte(it.ID(), '/')+1:] }

// excerpt adds the principle that a document is about, whole, and those that bear on its subject, within the number of words.
func (p planner) excerpt(it pipe.Item) ([]pipe.Item, error) {
	c := p.o.Constitution
	principle, ok := c.Principle(it.Get("principle"))
	if !ok {
		return nil, fmt.Errorf("the constitution has no principle %q", it.Get("principle"))
	}
	cite, err := c.Cite(principle.ID)
	if err != nil {
		return nil, err
	}
	chosen := []*constitution.Principle{principle}
	room := p.o.Excerpt - len(strings.Fields(c.Text(principle)))
	for _, q := range c.Excerpt(principle.Title+" "+principle.Statement()+" "+it.Get("subtype"), p.o.Excerpt) {
		if words := len(strings.Fields(c.Text(q))); q.ID != principle.ID && words <= room {
			chosen, room = append(chosen, q), room-words
		}
	}
	return []pipe.Item{it.With("excerpt", c.Text(chosen...), "citation", cite)}, nil
}

// deck deals out numbers: each once, in an order of its own, before any comes again.
type deck struct {
	name  string
	n     int
	dealt int
	order []int
}

func newDeck(name string, n int) *deck { return &deck{name: name, n: n} }

func (d *deck) draw() int {
	if d.dealt%d.n == 0 {
		d.order = stream(d.name, d.dealt/d.n).Perm(d.n)
	}
	at := d.order[d.dealt%d.n]
	d.dealt++
	return at
}

// stream gives chance that depends on its name and number alone: plans are the same whatever the run's seed, so that runs can be compared.
func stream(name string, n int) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(h.Sum64(), uint64(n)))
}
