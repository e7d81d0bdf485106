package organism

import (
	"context"
	"fmt"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
)

// Sampling from a model goes in rounds, until there is enough or the rounds are used up: a filter that keeps almost
// nothing then gives a small dataset, and its card says so.
const (
	roundSize = 400
	maxRounds = 64
)

// make writes a recipe's dataset of about the given number of unique tokens. The model is needed by on-policy recipes.
func (w *World) makeDataset(ctx context.Context, r recipe, o *recipeRun, tokens int, stream string, m because.Model, report because.Progress) (data.Dataset, error) {
	wr := w.writer("data/" + stream)
	d := data.Dataset{Card: data.Card{Recipe: o.name, Kinds: map[string]int{}}}
	for round := 0; d.Card.Tokens < tokens; round++ {
		var batch []because.Record
		if r.onPolicy {
			if round == maxRounds {
				break
			}
			sampled, n, err := r.sample(ctx, wr, o, m, roundSize)
			if err != nil {
				return d, err
			}
			batch = sampled
			d.Card.Sampled += n
			d.Card.Kept += len(sampled)
		} else {
			batch = []because.Record{r.write(wr, o)}
		}
		w.take(&d, w.purge(batch, &d.Card), tokens)
		if report != nil {
			report(float64(d.Card.Tokens), float64(tokens), "tokens", "")
		}
		if err := ctx.Err(); err != nil {
			return d, err
		}
	}
	if len(d.Records) == 0 {
		return d, because.E("make dataset", o.name, fmt.Errorf("none of %d sampled answers was kept", d.Card.Sampled), "")
	}
	d.Card.Records = len(d.Records)
	d.Card.Distinct = w.distinct(d.Records)
	return d, nil
}

// take adds records until the token budget is reached.
func (w *World) take(d *data.Dataset, records []because.Record, tokens int) {
	for _, r := range records {
		if d.Card.Tokens >= tokens {
			return
		}
		all, loss := w.countTokens(r)
		d.Card.Tokens += all
		d.Card.LossTokens += loss
		if r.Lineage.Kind != "" {
			d.Card.Kinds[r.Lineage.Kind]++
		}
		d.Records = append(d.Records, r)
	}
}

// countTokens counts a record's tokens, its end marker included: in this world a token is a word.
func (w *World) countTokens(r because.Record) (all, loss int) {
	all = len(strings.Fields(w.wordsOf(r))) + 1
	if r.Text != "" {
		return all, all - 1
	}
	return all, len(strings.Fields(r.Messages[len(r.Messages)-1].Content)) + 1
}

func (w *World) distinct(records []because.Record) float64 {
	seen := map[string]bool{}
	for _, r := range records {
		seen[w.wordsOf(r)] = true
	}
	return float64(len(seen)) / float64(len(records))
}
