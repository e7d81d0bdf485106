package study

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/report"
)

// data sums up what was trained on: a card per dataset over all seeds, and the search for the evaluation in all of it.
func (g *gathering) data() ([]report.DataCard, report.Contamination, error) {
	var cards []*sumCard
	var found report.Contamination
	index := map[string]*sumCard{}
	for _, d := range g.s.planner.datasets {
		card, err := g.card(d.step)
		if err != nil {
			return nil, found, err
		}
		like, err := g.likeness(d.step)
		if err != nil {
			return nil, found, err
		}
		world, rest, _ := strings.Cut(d.step, "/")
		_, rest, _ = strings.Cut(rest, "/") // the seed
		sum := index[world+"/"+rest]
		if sum == nil {
			sum = newSumCard(rest, d)
			sum.Example = like.Example
			index[world+"/"+rest] = sum
			cards = append(cards, sum)
		}
		sum.add(card, like)
		c := card.Contamination
		// A recipe may search more than it keeps; what it made is then what was searched.
		found.Records += max(card.Records+c.Removed, c.Checked)
		found.Checked += c.Checked
		found.Removed += c.Removed
		found.Hits += c.Hits
	}
	if err := g.addEpisodes(&found); err != nil {
		return nil, found, err
	}
	if err := g.addSpans(&found); err != nil {
		return nil, found, err
	}
	out := make([]report.DataCard, len(cards))
	for i, sum := range cards {
		out[i] = sum.card()
	}
	return out, found, nil
}

// addEpisodes counts the answers that RL sampled: they are searched, and left out where they hold something reserved.
func (g *gathering) addEpisodes(found *report.Contamination) error {
	for _, step := range g.s.planner.steps {
		if step.Kind != KindRL {
			continue
		}
		run, err := g.run(step.ID)
		if err != nil {
			return err
		}
		found.Records += run.Records
		found.Checked += run.Records
		found.Removed += run.Removed
	}
	return nil
}

// addSpans adds how much was searched for, where the world tells.
func (g *gathering) addSpans(found *report.Contamination) error {
	w, ok := g.s.planner.w.World.(Reserving)
	if !ok {
		return nil
	}
	for _, setting := range g.s.File.Worlds {
		n, err := w.Reserved(switches(setting))
		if err != nil {
			return because.E("gather results", setting.Name, err, "")
		}
		found.Spans = max(found.Spans, n)
	}
	return nil
}

// likeness reads how much the records of a dataset resemble each other.
func (g *gathering) likeness(step string) (diversity, error) {
	var d diversity
	return d, readJSON("gather results", filepath.Join(g.dir(step), diversityFile), &d)
}

// sumCard is a dataset's card, summed over seeds.
type sumCard struct {
	report.DataCard
	sampled, kept    int
	checked, removed int
	ngrams, distinct int
	dropped          map[string]int
}

func newSumCard(rest string, d dataset) *sumCard {
	name, _, _ := strings.Cut(rest, "/")
	title := fmt.Sprintf("%s: %s%s, %s tokens", name, d.order.Recipe, inBrackets(d.order.With), grouped(d.order.Tokens))
	return &sumCard{DataCard: report.DataCard{Name: strings.TrimSuffix(rest, "-data"), Title: title, World: d.world}, dropped: map[string]int{}}
}

func (s *sumCard) add(c data.Card, d diversity) {
	s.Records += c.Records
	s.Tokens += int64(c.Tokens)
	s.NearDuplicates += d.NearDuplicates
	s.Contaminated += c.Contamination.Removed
	s.sampled, s.kept = s.sampled+c.Sampled, s.kept+c.Kept
	s.checked, s.removed = s.checked+c.Contamination.Checked, s.removed+c.Contamination.Removed
	s.ngrams, s.distinct = s.ngrams+d.Ngrams, s.distinct+d.DistinctNgrams
	for reason, n := range c.Dropped {
		s.dropped[reason] += n
	}
}

// card gives the sum. Distinct n-grams are counted within each seed.
func (s *sumCard) card() report.DataCard {
	c := s.DataCard
	c.Distinct = report.NaN
	if s.ngrams > 0 {
		c.Distinct = report.Number(float64(s.distinct) / float64(s.ngrams))
	}
	if s.sampled > 0 && len(s.dropped) == 0 {
		c.Filters = append(c.Filters, report.Filter{Name: "recipe", In: s.sampled, Kept: s.kept})
	}
	left := s.kept
	for _, n := range s.dropped {
		left += n
	}
	for _, reason := range slices.Sorted(maps.Keys(s.dropped)) {
		c.Filters = append(c.Filters, report.Filter{Name: reason, In: left, Kept: left - s.dropped[reason]})
		left -= s.dropped[reason]
	}
	if s.checked > 0 {
		c.Filters = append(c.Filters, report.Filter{Name: "reserved", In: s.checked, Kept: s.checked - s.removed})
	}
	return c
}
