package eval

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"

	"github.com/because-lab/because/eval/evallog"
	"github.com/because-lab/because/internal/stats"
)

// Comparison is how two evaluations differ in what one scorer counts: first minus second.
type Comparison struct {
	Scorer  string `json:"scorer"`
	Outcome string `json:"outcome,omitempty"` // whose share it is; empty: the rate that the scorer counts, or the mean of a grade
	// Paired comparisons are of samples that both have; the others take all samples of each as independent.
	Paired    bool     `json:"paired"`
	N         int      `json:"n"` // pairs, or samples of both
	Clusters  int      `json:"clusters"`
	First     float64  `json:"first"`
	Second    float64  `json:"second"`
	Diff      float64  `json:"diff"`
	Lo        Bound    `json:"lo"`
	Hi        Bound    `json:"hi"`
	P         Bound    `json:"p"`
	Holm      Bound    `json:"p_holm"`    // adjusted for all comparisons made together
	Unmatched int      `json:"unmatched"` // samples that one of the two alone has, in paired comparisons; they count nowhere
	Warnings  []string `json:"warnings,omitempty"`
}

// sides holds the values of one thing that is counted, in both evaluations.
type sides [2][]stats.Observation

// Compare compares two evaluations scorer by scorer. Where at least half of the samples of each stand in both, by their ids, it
// compares pairs; otherwise the two are independent.
func Compare(first, second iter.Seq2[*evallog.Summary, error]) ([]Comparison, error) {
	c := counted{}
	for side, summaries := range []iter.Seq2[*evallog.Summary, error]{first, second} {
		if err := c.observe(summaries, side); err != nil {
			return nil, err
		}
	}
	var out []Comparison
	for _, scorer := range slices.Sorted(maps.Keys(c)) {
		for _, outcome := range c[scorer].outcomes() {
			s := c[scorer].sides(outcome)
			if len(s[0]) == 0 || len(s[1]) == 0 {
				continue
			}
			one, err := s.compare()
			if err != nil {
				return nil, fmt.Errorf("compare %s: %w", scorer, err)
			}
			one.Scorer, one.Outcome = scorer, outcome
			out = append(out, one)
		}
	}
	ps := make([]float64, len(out))
	for i := range out {
		ps[i] = float64(out[i].P)
	}
	for i, p := range stats.Holm(ps) {
		out[i].Holm = Bound(p)
	}
	return out, nil
}

// counted holds what both evaluations found, by scorer.
type counted map[string]*findings

// findings are those of one scorer in both evaluations.
type findings [2][]found

// found is what a scorer found on one sample: a number, or a word.
type found struct {
	stats.Observation
	word string
}

func (c counted) observe(summaries iter.Seq2[*evallog.Summary, error], side int) error {
	for s, err := range summaries {
		if err != nil {
			return err
		}
		if s.Error != "" {
			continue
		}
		var meta struct {
			Cluster string `json:"cluster"`
		}
		if len(s.Metadata) > 0 {
			if err := json.Unmarshal(s.Metadata, &meta); err != nil {
				return fmt.Errorf("sample %s: metadata: %w", s.ID, err)
			}
		}
		for name, score := range s.Scores {
			number, word, err := value(score)
			if err != nil {
				return fmt.Errorf("sample %s: score %s: %w", s.ID, name, err)
			}
			if word == "" && math.IsNaN(number) {
				continue
			}
			if c[name] == nil {
				c[name] = new(findings)
			}
			c[name][side] = append(c[name][side], found{stats.Observation{Sample: s.ID.String(), Cluster: meta.Cluster, Value: number}, word})
		}
	}
	return nil
}

// outcomes gives the words that either evaluation has, or one empty word where they have numbers.
func (f *findings) outcomes() []string {
	words := map[string]bool{}
	for _, side := range f {
		for _, x := range side {
			words[x.word] = true
		}
	}
	return slices.Sorted(maps.Keys(words))
}

// sides gives the numbers, or for each sample whether it has the word.
func (f *findings) sides(word string) *sides {
	out := new(sides)
	for i, side := range f {
		for _, x := range side {
			switch {
			case word == "" && x.word == "":
				out[i] = append(out[i], x.Observation)
			case word != "":
				o := x.Observation
				o.Value = 0
				if x.word == word {
					o.Value = 1
				}
				out[i] = append(out[i], o)
			}
		}
	}
	return out
}

func (s *sides) compare() (Comparison, error) {
	if s.matched()*2 < max(s.samples(0), s.samples(1)) {
		return s.unpaired(), nil
	}
	p, err := stats.PairedClustered(s[0], s[1], Level)
	if err != nil {
		return Comparison{}, err
	}
	return Comparison{Paired: true, N: p.N, Clusters: p.Clusters, First: p.Treated, Second: p.Control, Diff: p.Mean, Lo: Bound(p.Lo), Hi: Bound(p.Hi), P: Bound(p.P),
		Unmatched: len(p.OnlyTreated) + len(p.OnlyControl), Warnings: p.Warnings}, nil
}

func (s *sides) samples(side int) int {
	seen := map[string]bool{}
	for _, o := range s[side] {
		seen[o.Sample] = true
	}
	return len(seen)
}

func (s *sides) matched() int {
	seen := map[string]bool{}
	for _, o := range s[0] {
		seen[o.Sample] = true
	}
	n := 0
	for _, o := range s[1] {
		if seen[o.Sample] {
			n++
			delete(seen, o.Sample)
		}
	}
	return n
}

func (s *sides) unpaired() Comparison {
	var values [2][]float64
	var clusters [2][]string
	share := true
	for side := range s {
		for _, o := range s[side] {
			values[side] = append(values[side], o.Value)
			if o.Cluster == "" {
				o.Cluster = o.Sample
			}
			clusters[side] = append(clusters[side], o.Cluster)
			share = share && o.Value >= 0 && o.Value <= 1
		}
	}
	c := Comparison{N: len(values[0]) + len(values[1])}
	var d stats.Difference
	if share {
		a, b := stats.ClusteredRate(values[0], clusters[0], Level), stats.ClusteredRate(values[1], clusters[1], Level)
		d, c.First, c.Second, c.Clusters = stats.NewcombeClustered(a, b), a.Rate, b.Rate, a.Clusters+b.Clusters
	} else {
		a, b := stats.Clustered(values[0], clusters[0], Level), stats.Clustered(values[1], clusters[1], Level)
		d, c.First, c.Second, c.Clusters = stats.WelchClustered(a, b), a.Mean, b.Mean, a.Clusters+b.Clusters
	}
	c.Diff, c.Lo, c.Hi, c.P, c.Warnings = d.Diff, Bound(d.Lo), Bound(d.Hi), Bound(d.P), d.Warnings
	return c
}
