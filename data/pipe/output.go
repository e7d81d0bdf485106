package pipe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/quality"
)

// Names of the files beside the records, after the records' own.
const (
	LineageSuffix = ".lineage"
	CardSuffix    = ".card.json"
)

// Lineage is a record's column of that name.
type Lineage struct {
	Recipe       string       `json:"recipe"`
	Version      string       `json:"version,omitempty"`
	Constitution string       `json:"constitution,omitempty"`
	Seed         uint64       `json:"seed"`
	Principle    string       `json:"principle,omitempty"`
	Kind         string       `json:"kind,omitempty"`
	Sampled      string       `json:"sampled,omitempty"`  // the writer
	Reviewer     string       `json:"reviewer,omitempty"` // where it is another model
	Stages       []StageTrace `json:"stages"`
}

// StageTrace is one step of a record's lineage, with hashes of the prompt file and of the items before and after.
type StageTrace struct {
	Stage  string `json:"stage"`
	Prompt string `json:"prompt,omitempty"`
	Model  string `json:"model,omitempty"`
	Input  string `json:"input"`
	Output string `json:"output"`
}

// output writes what a run makes.
type output struct {
	r        *run
	writer   *columns.Writer
	lineage  *lineageWriter
	counts   counts
	failures []failure
	rows     int
	surplus  int
}

func (r *run) create() (*output, error) {
	w, err := columns.Create(r.o.Out, r.Kind, columns.Options{})
	if err != nil {
		return nil, err
	}
	l, err := createLineage(r.o.Out + LineageSuffix)
	if err != nil {
		w.Abort()
		return nil, err
	}
	return &output{r: r, writer: w, lineage: l, counts: counts{}}, l.begin(r)
}

// abort removes what is not committed.
func (o *output) abort() {
	o.writer.Abort()
	o.lineage.abort()
}

// collect makes records of the items until all are there that are wanted.
func (r *run) collect(ctx context.Context, stream <-chan parcel, out *output) error {
	for {
		p, ok, err := receive(ctx, stream)
		if err != nil || !ok {
			return err
		}
		if err := out.take(p); err != nil {
			return because.E(opRun, r.o.Out, err, "")
		}
		r.records.Store(int64(out.rows))
		r.parcels.Add(1)
		r.limited.poke()
		if r.o.N > 0 && out.rows >= r.o.N {
			return errEnough
		}
	}
}

// take writes what became of a parcel's items.
func (o *output) take(p parcel) error {
	o.counts.add(p.counts)
	o.failures = append(o.failures, p.failures...)
	for _, d := range p.drops {
		if err := o.lineage.drop(d); err != nil {
			return err
		}
	}
	last := len(o.r.Stages)
	state := &o.r.states[last]
	for _, it := range p.items {
		if o.r.o.N > 0 && o.rows >= o.r.o.N {
			o.surplus++
			continue
		}
		n := Count{In: 1}
		state.in.Add(1)
		err := o.record(it)
		var d *dropError
		if errors.As(err, &d) {
			n.Dropped = map[string]int{d.reason: 1}
			state.dropped.Add(1)
			err = o.lineage.drop(drop{item: it, stage: "record", reason: d.reason})
		} else if err == nil {
			n.Out = 1
			state.out.Add(1)
		}
		if err != nil {
			return fmt.Errorf("item %s: %w", it.id, err)
		}
		addCount(o.counts.of(last), n)
	}
	return nil
}

// record writes one record with its lineage.
func (o *output) record(it Item) error {
	rec, err := o.r.Record(it)
	if err != nil {
		return err
	}
	for _, name := range o.r.Injected {
		for _, text := range it.ever(name) {
			if _, _, found := rec.Repeats(text); found {
				return Drop("holds the injected instruction")
			}
		}
	}
	lineage, err := json.Marshal(o.r.lineage(it, rec))
	if err != nil {
		return err
	}
	id, err := json.Marshal(it.id)
	if err != nil {
		return err
	}
	extra := map[string]json.RawMessage{"id": id, "lineage": lineage}
	for name, v := range rec.Extra {
		if _, taken := extra[name]; taken {
			return fmt.Errorf("the recipe gives the column %s, which the run writes", name)
		}
		extra[name] = v
	}
	rec.Row.Extra = extra
	if err := o.writer.Write(rec.Row); err != nil {
		return err
	}
	o.rows++
	return o.lineage.record(it, o.rows, rec)
}

// ever gives the texts of a name that the item or one that it came from had.
func (it Item) ever(name string) []string {
	var out []string
	last := ""
	if text, ok := it.Lookup(name); ok {
		out, last = append(out, text), text
	}
	for s := it.from; s != nil; s = s.from {
		if text := (Item{fields: s.fields}).Get(name); text != "" && text != last {
			out, last = append(out, text), text
		}
	}
	return out
}

// lineage says what a record was made from.
func (r *run) lineage(it Item, rec Record) Lineage {
	l := Lineage{Recipe: r.Name, Version: r.Version, Constitution: r.Constitution, Seed: r.o.Seed, Principle: rec.Principle, Kind: rec.Kind}
	for _, s := range it.from.chain() {
		if s.stage == "" {
			continue
		}
		l.Stages = append(l.Stages, StageTrace{s.stage, s.prompt, s.model, s.input, s.output})
		if s.model != "" {
			l.Sampled = r.o.Models[Writer].Name()
		}
	}
	if m := r.o.Models[Reviewer]; m != nil && m.Name() != r.o.Models[Writer].Name() {
		l.Reviewer = m.Name()
	}
	return l
}

// commit measures the records and puts the files in their places, the records last.
func (o *output) commit() (quality.Card, error) {
	if o.rows == 0 {
		return quality.Card{}, because.E(opRun, o.r.Name, fmt.Errorf("no record is left: %s", o.r.whyNone(o.counts)), "")
	}
	if err := errors.Join(o.lineage.finish(), o.writer.Finish()); err != nil {
		return quality.Card{}, err
	}
	card, err := quality.MeasureRows(columns.ReadAs(o.writer.Temp(), o.r.o.Out), quality.Options{})
	if err != nil {
		return card, err
	}
	card.Recipe, card.Version, card.Seed, card.Constitution = o.r.Name, o.r.Version, o.r.o.Seed, o.r.Constitution
	card.Wanted, card.Surplus = o.r.o.N, o.surplus
	card.Stages = o.r.tally(o.counts)
	if err := o.lineage.commit(); err != nil {
		return card, err
	}
	if err := card.Write(o.r.o.Out + CardSuffix); err != nil {
		return card, err
	}
	return card, o.writer.Commit()
}

// whyNone says where the items went.
func (r *run) whyNone(c counts) string {
	for _, n := range r.tally(c) {
		if n.In > 0 && n.Out == 0 {
			var reasons []string
			for _, reason := range slices.Sorted(maps.Keys(n.Dropped)) {
				reasons = append(reasons, fmt.Sprintf("%s (%d)", reason, n.Dropped[reason]))
			}
			return fmt.Sprintf("the stage %s dropped all of its %d items: %s", n.Stage, n.In, strings.Join(reasons, ", "))
		}
	}
	return "the source gave no items"
}
