package mix

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
)

// pool is a part's matching rows, in an order of its own.
type pool struct {
	part   Part
	rows   []columns.Row
	tokens []int
	count  Counted
	picked []int // indices of rows
}

// Make makes the mix and writes its output, whole or not at all. All records are in memory meanwhile.
func (p *Plan) Make() (Result, error) {
	res := Result{Output: p.path(p.Output)}
	var pools []*pool
	for i, part := range p.Parts {
		pl, err := p.read(i, part, &res.Kind)
		if err != nil {
			return res, err
		}
		pools = append(pools, pl)
	}
	total := 0.0 // tokens of parts without weight
	weights := 0.0
	for _, pl := range pools {
		if pl.part.Weight != nil {
			weights += *pl.part.Weight
			continue
		}
		if err := pl.take(); err != nil {
			return res, p.bad(pl.part, err)
		}
		total += float64(pl.count.Tokens)
	}
	for _, pl := range pools {
		if pl.part.Weight == nil {
			continue
		}
		want := int(math.Round(total / (1 - weights) * *pl.part.Weight))
		if err := pl.takeTokens(want); err != nil {
			return res, p.bad(pl.part, err)
		}
	}
	return res, p.write(pools, &res)
}

// read reads a part's rows and puts them in an order drawn from the seed.
func (p *Plan) read(i int, part Part, kind *columns.Kind) (*pool, error) {
	pl := &pool{part: part, count: Counted{File: part.File}}
	for r, err := range columns.Read(p.path(part.File)) {
		if err != nil {
			return nil, p.bad(part, err)
		}
		pl.count.Rows++
		if *kind == "" {
			*kind = r.Kind()
		}
		if r.Kind() != *kind {
			return nil, p.bad(part, fmt.Errorf("row %d is of kind %s, and the mix of %s: they train in different ways", pl.count.Rows, r.Kind(), *kind))
		}
		if part.matches(r) {
			pl.rows = append(pl.rows, r)
			pl.tokens = append(pl.tokens, tokens(r))
		}
	}
	if pl.count.Matching = len(pl.rows); len(pl.rows) == 0 {
		return nil, p.bad(part, fmt.Errorf("none of its %d records matches %v", pl.count.Rows, part.Where))
	}
	if part.Count != nil || part.Tokens != nil || part.Weight != nil {
		draw := p.stream(fmt.Sprintf("part %d %s", i, part.File))
		draw.Shuffle(len(pl.rows), func(a, b int) {
			pl.rows[a], pl.rows[b] = pl.rows[b], pl.rows[a]
			pl.tokens[a], pl.tokens[b] = pl.tokens[b], pl.tokens[a]
		})
	}
	return pl, nil
}

// stream gives random numbers for a purpose.
func (p *Plan) stream(purpose string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(purpose)) // never fails
	return rand.New(rand.NewPCG(p.Seed, h.Sum64()))
}

// matches tells whether a row's column, or its lineage, has the values that are asked for.
func (part Part) matches(r columns.Row) bool {
	for name, want := range part.Where {
		if got, ok := label(r, name); !ok || got != want {
			return false
		}
	}
	return true
}

// label finds a column, or a member of the lineage, as a text.
func label(r columns.Row, name string) (string, bool) {
	if v, ok := r.Extra[name]; ok {
		return asText(v), true
	}
	lineage := r.Extra["lineage"]
	var text string
	if json.Unmarshal(lineage, &text) == nil { // as in Parquet
		lineage = json.RawMessage(text)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(lineage, &members) != nil {
		return "", false
	}
	v, ok := members[name]
	return asText(v), ok
}

func asText(v json.RawMessage) string {
	var text string
	if json.Unmarshal(v, &text) == nil {
		return text
	}
	return string(v)
}

// tokens estimates the tokens of a row, at four bytes each, without definitions of tools.
func tokens(r columns.Row) int {
	r.Tools = nil
	n := 0
	for _, t := range r.Texts() {
		n += (len(t.Text) + 3) / 4
	}
	return n
}

// take takes what the part says: a count, tokens, or all.
func (pl *pool) take() error {
	switch {
	case pl.part.Tokens != nil:
		return pl.takeTokens(*pl.part.Tokens)
	case pl.part.Count != nil:
		for len(pl.picked) < *pl.part.Count {
			if err := pl.pick(); err != nil {
				return err
			}
		}
		return nil
	}
	for range pl.rows {
		if err := pl.pick(); err != nil {
			return err
		}
	}
	return nil
}

// takeTokens takes records until their tokens are as near to a number as whole records come, and at least one.
func (pl *pool) takeTokens(want int) error {
	for {
		next := pl.tokens[len(pl.picked)%len(pl.rows)]
		if len(pl.picked) > 0 && 2*(want-pl.count.Tokens) < next {
			return nil
		}
		if err := pl.pick(); err != nil {
			return err
		}
	}
}

// pick takes the next record; after the last one come the first again, if they may be repeated.
func (pl *pool) pick() error {
	i := len(pl.picked)
	if i >= len(pl.rows) {
		if !pl.part.Repeat {
			return fmt.Errorf("it has no more than %d matching records (%d tokens)", len(pl.rows), pl.count.Tokens)
		}
		pl.count.Repeated++
	}
	if i > maxRecords {
		return errors.New("it would take more than a hundred million records")
	}
	pl.picked = append(pl.picked, i%len(pl.rows))
	pl.count.Taken++
	pl.count.Tokens += pl.tokens[i%len(pl.rows)]
	return nil
}

const maxRecords = 100_000_000

// write puts the records in order and writes them.
func (p *Plan) write(pools []*pool, res *Result) error {
	type place struct{ pool, row int }
	var order []place
	for i, pl := range pools {
		for _, row := range pl.picked {
			order = append(order, place{i, row})
		}
		res.Parts = append(res.Parts, pl.count)
		res.Records += pl.count.Taken
		res.Tokens += pl.count.Tokens
	}
	if p.Shuffle == nil || *p.Shuffle {
		p.stream("order").Shuffle(len(order), func(a, b int) { order[a], order[b] = order[b], order[a] })
	}
	w, err := columns.Create(res.Output, res.Kind, columns.Options{})
	if err != nil {
		return err
	}
	defer w.Abort()
	for _, at := range order {
		if err := w.Write(pools[at.pool].rows[at.row]); err != nil {
			return because.E(opMake, p.file, err, "")
		}
	}
	return w.Commit()
}
