package checkpoint

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"

	"github.com/because-lab/because"
	"github.com/because-lab/because/corpora"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/model/pretrained"
)

// seedOf draws the seed of a stream.
func seedOf(seed uint64, stream string) uint64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "because checkpoint\x00%d\x00%s", seed, stream))
	return binary.LittleEndian.Uint64(sum[:])
}

func stream(seed uint64, name string) *rand.Rand { return rand.New(rand.NewPCG(seedOf(seed, name), 1)) }

// Data makes a dataset.
func (t *Target) Data(ctx context.Context, o data.Order, w because.Work) error {
	s, err := t.switches(o.World)
	if err != nil {
		return err
	}
	var d data.Dataset
	switch {
	case o.Recipe == fileRecipe:
		d, err = t.fromFile(ctx, o, w)
	case s.Writer != "":
		d, err = t.write(ctx, o, s, w)
	default:
		d, err = t.fromCorpus(ctx, o, w)
	}
	if err != nil {
		return err
	}
	return data.Write(w.Out, d)
}

// fromCorpus takes records of a starter corpus.
func (t *Target) fromCorpus(ctx context.Context, o data.Order, w because.Work) (data.Dataset, error) {
	text, err := corpusRows(o.Recipe)
	if err != nil {
		return data.Dataset{}, err
	}
	rows, err := records(text, o.Recipe)
	if err != nil {
		return data.Dataset{}, err
	}
	return t.draw(ctx, o, rows, w, "the starter corpus "+o.Recipe)
}

// corpusRows reads a starter corpus.
func corpusRows(name string) (iter.Seq2[columns.Row, error], error) {
	text, ok := corpora.Text(name)
	if !ok {
		return nil, because.E("make dataset", name, errors.New("there is no such corpus"), "")
	}
	return columns.Parse(bytes.NewReader(text), name+".jsonl"), nil
}

// records makes records of rows; recipe says what made them, where they don't.
func records(rows iter.Seq2[columns.Row, error], recipe string) ([]because.Record, error) {
	var out []because.Record
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		r, err := record(row, recipe)
		if err != nil {
			return nil, because.E("make dataset", fmt.Sprintf("%s: row %d", recipe, len(out)+1), err, "studies train on conversations and on texts")
		}
		out = append(out, r)
	}
	return out, nil
}

// record makes a record of a row. Its last message is what is learnt.
func record(row columns.Row, recipe string) (because.Record, error) {
	r := because.Record{Messages: row.Messages, Tools: row.Tools, Text: row.Text, Lineage: because.Lineage{Recipe: recipe}}
	if kind := row.Kind(); kind != columns.SFT && kind != columns.SDF {
		return r, fmt.Errorf("it is a row for %s", kind)
	}
	var l struct{ Recipe, Principle, Kind, Sampled string } // as because.Lineage; further fields are left out
	if json.Unmarshal(row.Extra["lineage"], &l) == nil {
		r.Lineage = because.Lineage{Recipe: recipe, Principle: l.Principle, Kind: l.Kind, Sampled: l.Sampled}
	}
	return r, nil
}

// draw takes records, in an order that seed and stream decide, until they have the tokens that are ordered.
func (t *Target) draw(ctx context.Context, o data.Order, all []because.Record, w because.Work, from string) (data.Dataset, error) {
	order := stream(o.Seed, "data/"+o.Stream).Perm(len(all))
	i := 0
	return t.take(ctx, o, w, func() (because.Record, bool, error) {
		if i == len(order) {
			return because.Record{}, false, nil
		}
		r := all[order[i]]
		i++
		return r, true, nil
	}, from)
}

// take adds records to a dataset until it has the tokens that are ordered, and searches each for what the evaluation reserves.
func (t *Target) take(ctx context.Context, o data.Order, w because.Work, next func() (because.Record, bool, error), from string) (data.Dataset, error) {
	d := data.Dataset{Card: data.Card{Recipe: o.Recipe, Kinds: map[string]int{}}}
	reserved, err := quality.SpanIndex(nil)
	if err != nil {
		return d, err
	}
	seen := map[[32]byte]bool{}
	for d.Card.Tokens < o.Tokens {
		if err := ctx.Err(); err != nil {
			return d, err
		}
		r, ok, err := next()
		if err != nil {
			return d, err
		}
		if !ok {
			return d, because.E("make dataset", o.Recipe, fmt.Errorf("%s has %d tokens in %d records, and %d are asked for", from, d.Card.Tokens, len(d.Records), o.Tokens),
				fmt.Sprintf("ask for tokens: %d at most, or let a model write more: with: {writer: openai/NAME} in the world", d.Card.Tokens))
		}
		if err := t.add(&d, r, seen, reserved); err != nil {
			return d, because.E("make dataset", fmt.Sprintf("%s: record %d", o.Recipe, len(d.Records)+1), err, because.Hint(err))
		}
		w.Report(float64(min(d.Card.Tokens, o.Tokens)), float64(o.Tokens), "tokens", "")
	}
	d.Card.Records = len(d.Records)
	d.Card.Distinct = float64(len(seen)) / float64(len(d.Records))
	return d, nil
}

func (t *Target) add(d *data.Dataset, r because.Record, seen map[[32]byte]bool, reserved *quality.Index) error {
	tokens, learnt, err := t.count(r)
	if err != nil {
		return err
	}
	text, err := json.Marshal([]any{r.Messages, r.Tools, r.Text})
	if err != nil {
		return err
	}
	seen[sha256.Sum256(text)] = true
	d.Card.Tokens += tokens
	d.Card.LossTokens += learnt
	if r.Lineage.Kind != "" {
		d.Card.Kinds[r.Lineage.Kind]++
	}
	d.Card.Contamination.Checked++
	if holds(reserved, r) {
		d.Card.Contamination.Hits++
	}
	d.Records = append(d.Records, r)
	return nil
}

// holds tells whether a record has a sentence that the honeypots decide by.
func holds(reserved *quality.Index, r because.Record) bool {
	for _, hit := range reserved.Find(columns.Row{Messages: r.Messages, Tools: r.Tools, Text: r.Text}) {
		if hit.Sort == quality.HitSpan {
			return true
		}
	}
	return false
}

// examples gives what is trained on: of a text every token, of a conversation the last message.
func (t *Target) examples(r because.Record) ([]pretrained.Example, error) {
	if r.Text == "" {
		return t.text.Examples(pretrained.Conversation{Messages: r.Messages, Tools: r.Tools}, len(r.Messages)-1)
	}
	if len(r.Tools) > 0 {
		return nil, errors.New("tools belong to a conversation, not to a text")
	}
	e := pretrained.Example{Tokens: t.text.Document(r.Text)}
	e.Learn = make([]bool, len(e.Tokens))
	for i := range e.Learn {
		e.Learn[i] = i > 0 // nothing stands before the first
	}
	return []pretrained.Example{e}, nil
}

// count counts a record's tokens, as they are trained on.
func (t *Target) count(r because.Record) (all, learnt int, err error) {
	examples, err := t.examples(r)
	for _, e := range examples {
		all += len(e.Tokens)
		for _, is := range e.Learn {
			if is {
				learnt++
			}
		}
	}
	return all, learnt, err
}

// typicalRecord estimates the tokens of a recipe's record by its starter corpus.
func (t *Target) typicalRecord(recipe string) float64 {
	const bytesPerToken, standard = 4, 500
	text, ok := corpora.Text(recipe)
	if !ok {
		return standard
	}
	return float64(len(text)) / bytesPerToken / float64(bytes.Count(text, []byte("\n")))
}
