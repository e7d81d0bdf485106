package constitution

import (
	"math"
	"slices"
	"sort"
)

// Excerpt gives the principles that bear on a query, those that bear on it most first, within a number of words. A principle too long for the
// room that is left is given without its last cases, then without its last reasons, as a copy; the statement is never cut. A query
// that shares no word with the constitution gives none.
//
// Relevance is BM25 over word stems, where a principle's title and id count as if they stood there three times and its statement twice.
// It is a pure function of the text and the query; principles that are equally relevant come in the document's order.
//
// Source: S. Robertson, H. Zaragoza, "The probabilistic relevance framework: BM25 and beyond",
// Foundations and Trends in Information Retrieval 3 (2009) 333-389.
func (c *Constitution) Excerpt(query string, maxWords int) []*Principle {
	scores := c.relevance(query)
	order := make([]int, 0, len(scores))
	for i, s := range scores {
		if s > 0 {
			order = append(order, i)
		}
	}
	sort.SliceStable(order, func(i, j int) bool { return scores[order[i]] > scores[order[j]] })
	var chosen []*Principle
	for _, i := range order {
		if p, words := c.fit(c.Principles[i], maxWords); p != nil {
			chosen = append(chosen, p)
			maxWords -= words
		}
	}
	return chosen
}

// fit gives a principle cut to a number of words, and how many it has then; nil if its statement alone is too long.
func (c *Constitution) fit(p *Principle, most int) (*Principle, int) {
	words := countWords(p.Title)
	for _, part := range p.Parts {
		words += c.passageWords(part)
	}
	parts := p.Parts
	for words > most {
		if len(parts) == 1 {
			return nil, 0
		}
		drop := leastNeeded(parts)
		words -= c.passageWords(parts[drop])
		parts = slices.Delete(slices.Clone(parts), drop, drop+1)
	}
	if len(parts) == len(p.Parts) {
		return p, words
	}
	return &Principle{ID: p.ID, Title: p.Title, Line: p.Line, Parts: parts}, words
}

func (c *Constitution) passageWords(part Passage) int {
	return countWords(part.Label) + countWords(c.dereference(part.Text))
}

// leastNeeded finds the passage that is given up first: the last case, else the last reason, else the last of any kind.
func leastNeeded(parts []Passage) int {
	for _, kind := range []PassageKind{Case, Reason} {
		for i := len(parts) - 1; i > 0; i-- {
			if parts[i].Kind == kind {
				return i
			}
		}
	}
	return len(parts) - 1
}

// index is what relevance is computed from.
type index struct {
	counts    []map[string]float64 // by principle: how often a term occurs in it
	lengths   []float64            // by principle: the sum of its counts
	mean      float64              // of the lengths
	documents map[string]float64   // by term: how many principles it occurs in
}

func (c *Constitution) makeIndex() *index {
	x := &index{documents: map[string]float64{}}
	for _, p := range c.Principles {
		counts, length := p.weightedTerms(), 0.0
		for term, n := range counts {
			x.documents[term]++
			length += n // whole numbers: their order doesn't matter
		}
		x.counts, x.lengths = append(x.counts, counts), append(x.lengths, length)
		x.mean += length / float64(len(c.Principles))
	}
	return x
}

// relevance scores every principle for a query.
func (c *Constitution) relevance(query string) []float64 {
	const k1, b = 1.2, 0.75
	x := c.index()
	asked := terms(query)
	slices.Sort(asked) // one order of additions
	scores := make([]float64, len(c.Principles))
	for _, term := range slices.Compact(asked) {
		n := x.documents[term]
		idf := math.Log(1 + (float64(len(scores))-n+0.5)/(n+0.5))
		for i := range scores {
			if f := x.counts[i][term]; f > 0 {
				scores[i] += idf * f * (k1 + 1) / (f + k1*(1-b+b*x.lengths[i]/x.mean))
			}
		}
	}
	return scores
}

func (p *Principle) weightedTerms() map[string]float64 {
	counts := map[string]float64{}
	add := func(text string, weight float64) {
		for _, term := range terms(text) {
			counts[term] += weight
		}
	}
	add(p.Title+" "+p.ID, 3)
	for _, part := range p.Parts {
		weight := 1.0
		if part.Kind == Statement {
			weight = 2
		}
		add(part.Label+" "+part.Text, weight)
	}
	return counts
}
