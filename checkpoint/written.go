package checkpoint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/data/catalog"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/quality"
)

// unasked stands for the model to be trained where a recipe is only checked.
type unasked struct{}

func (unasked) LogProbs(context.Context, []because.Request, []because.Message) ([][]float32, error) {
	return nil, errors.New("the model is not open")
}

// mostRounds bounds how often a recipe is run for more records.
const mostRounds = 6

// write lets a writer make records by a recipe. How many records the tokens take shows only then: a run that gives too few is followed by one for
// more, which takes over the answers that it has in common with the first.
func (t *Target) write(ctx context.Context, o data.Order, s Switches, w because.Work) (data.Dataset, error) {
	models, stop, err := t.writers(ctx, o, s, w)
	if err != nil {
		return data.Dataset{}, err
	}
	defer stop()
	scratch, err := os.MkdirTemp("", "because-data-")
	if err != nil {
		return data.Dataset{}, because.E("make dataset", o.Recipe, err, "")
	}
	defer os.RemoveAll(scratch)
	kept, err := t.answers(o, models, scratch)
	if err != nil {
		return data.Dataset{}, err
	}
	n := 2 + int(math.Ceil(1.2*float64(o.Tokens)/t.typicalRecord(o.Recipe)))
	for round := 1; ; round++ {
		file := filepath.Join(scratch, fmt.Sprintf("%d.jsonl", round))
		d, enough, err := t.round(ctx, o, w, models, file, kept, n)
		if err != nil {
			return d, err
		}
		switch {
		case enough && d.Card.Contamination.Removed == 0: // its rows are the file's
			return d, copyFile(filepath.Join(w.Out, data.RecordsFile+".lineage"), file+".lineage")
		case enough:
			return d, nil
		case round == mostRounds || d.Card.Tokens == 0:
			return d, because.E("make dataset", o.Recipe, fmt.Errorf("%d records that were wanted gave %d tokens, and %d are asked for", n, d.Card.Tokens, o.Tokens), "ask for fewer tokens")
		}
		n = 2 + int(math.Ceil(1.2*float64(n)*float64(o.Tokens)/float64(d.Card.Tokens)))
	}
}

// round runs the recipe once for n records, and takes of them what is ordered. Records with something reserved are left out and counted.
func (t *Target) round(ctx context.Context, o data.Order, w because.Work, models map[string]because.Chat, file, kept string, n int) (d data.Dataset, enough bool, err error) {
	_, made, err := t.written(o, n, models[catalog.Target])
	if err != nil {
		return d, false, err
	}
	run := pipe.Options{Out: file, Work: kept, Seed: seedOf(o.Seed, "data/"+o.Stream), N: n, Models: models,
		Progress: func(p pipe.Progress) { w.Report(float64(p.Records), float64(max(1, p.Want)), "records", "") }}
	if _, err := pipe.Run(ctx, made, run); err != nil {
		return d, false, err
	}
	all, err := records(columns.Read(file), o.Recipe)
	if err != nil {
		return d, false, err
	}
	reserved, err := quality.SpanIndex(nil)
	if err != nil {
		return d, false, err
	}
	d.Card = data.Card{Recipe: o.Recipe, Kinds: map[string]int{}}
	seen := map[[32]byte]bool{}
	for _, r := range all {
		if d.Card.Tokens >= o.Tokens {
			break
		}
		if holds(reserved, r) {
			d.Card.Contamination.Checked++
			d.Card.Contamination.Removed++
			continue
		}
		if err := t.add(&d, r, seen, reserved); err != nil {
			return d, false, because.E("make dataset", fmt.Sprintf("%s: record %d", o.Recipe, len(d.Records)+1), err, because.Hint(err))
		}
	}
	d.Card.Records = len(d.Records)
	if len(d.Records) > 0 {
		d.Card.Distinct = float64(len(seen)) / float64(len(d.Records))
	}
	return d, d.Card.Tokens >= o.Tokens, nil
}

// writers opens the models of a recipe by their roles.
func (t *Target) writers(ctx context.Context, o data.Order, s Switches, w because.Work) (map[string]because.Chat, func(), error) {
	r, err := catalog.Find(o.Recipe)
	if err != nil {
		return nil, nil, err
	}
	names := map[string]string{pipe.Writer: s.Writer, pipe.Reviewer: s.Reviewer, catalog.Judge: s.Judge}
	if names[pipe.Reviewer] == "" {
		names[pipe.Reviewer] = s.Writer
	}
	if names[catalog.Judge] == "" {
		names[catalog.Judge] = names[pipe.Reviewer]
	}
	models, stop := map[string]because.Chat{}, func() {}
	for role, name := range names {
		if role != pipe.Writer && !r.Asks(role) {
			continue
		}
		if models[role], err = t.o.Models(ctx, name); err != nil {
			return nil, nil, err
		}
	}
	if r.Asks(catalog.Target) {
		var target because.Chat
		if target, stop, err = t.open(ctx, s, w); err != nil {
			return nil, nil, err
		}
		models[catalog.Target] = target
	}
	return models, stop, nil
}

// answers gives the folder in which an order's answers are kept, apart for each model that is to be trained.
func (t *Target) answers(o data.Order, models map[string]because.Chat, scratch string) (string, error) {
	if t.o.Answers == "" {
		return filepath.Join(scratch, "answers"), nil
	}
	target := ""
	if m, ok := models[catalog.Target]; ok {
		target = m.Name()
	}
	o.Tokens = 0 // more of the same is paid for once
	text, err := json.Marshal([]any{o, target, t.constitution.Hash()})
	if err != nil {
		return "", because.E("make dataset", o.Recipe, err, "")
	}
	sum := sha256.Sum256(text)
	return filepath.Join(t.o.Answers, hex.EncodeToString(sum[:])[:24]), nil
}

func copyFile(to, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return because.E("make dataset", from, err, "")
	}
	defer f.Close()
	if err := copyTo(to, f); err != nil {
		return because.E("make dataset", to, err, "")
	}
	return nil
}
