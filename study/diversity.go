package study

import (
	"context"
	"hash/maphash"
	"path/filepath"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
)

// diversityFile stands beside a dataset's card.
const diversityFile = "diversity.json"

// diversityVersion is part of the keys of data steps: change it when measure gives other numbers than before.
const diversityVersion = "1"

// ngram is the number of words in the n-grams that diversity counts, and nearby the number of words by which
// near-duplicates differ at most.
const (
	ngram  = 4
	nearby = 3
)

// diversity says how much the records of a dataset resemble each other.
type diversity struct {
	Ngrams         int    `json:"ngrams"`          // word 4-grams
	DistinctNgrams int    `json:"distinct_ngrams"` // different ones among them
	NearDuplicates int    `json:"near_duplicates"` // records as long as an earlier one that differ from it in at most 3 words
	Example        string `json:"example"`         // the first record
}

// writeDiversity measures the dataset in dir and leaves the numbers there.
func writeDiversity(ctx context.Context, dir string) error {
	records, err := data.ReadRecords(dir)
	if err != nil {
		return err
	}
	d, err := measure(ctx, records)
	if err != nil {
		return err
	}
	return data.WriteJSON(filepath.Join(dir, diversityFile), d)
}

// measure compares records with each other. Time is linear in their number unless many share long stretches.
func measure(ctx context.Context, records []because.Record) (diversity, error) {
	d := diversity{}
	seen := map[[ngram]string]struct{}{}
	var texts [][]string
	parts := map[part][]int{} // records by the stretches that they hold
	seed := maphash.MakeSeed()
	for i, r := range records {
		if err := ctx.Err(); err != nil {
			return d, err
		}
		words := strings.Fields(plain(r))
		texts = append(texts, words)
		for j := 0; j+ngram <= len(words); j++ {
			seen[[ngram]string(words[j:j+ngram])] = struct{}{}
			d.Ngrams++
		}
		if near(texts, parts, stretches(seed, words), i) {
			d.NearDuplicates++
		}
	}
	d.DistinctNgrams = len(seen)
	if len(records) > 0 {
		d.Example = plain(records[0])
	}
	return d, nil
}

// part is one of the equal stretches that a text of some length is cut into, by its hash.
type part struct {
	length, index int
	hash          uint64
}

// stretches cuts a text into one stretch more than the words in which near-duplicates may differ: two of them have at
// least one stretch in common.
func stretches(seed maphash.Seed, words []string) []part {
	out := make([]part, nearby+1)
	for i := range out {
		from, to := i*len(words)/len(out), (i+1)*len(words)/len(out)
		out[i] = part{len(words), i, maphash.String(seed, strings.Join(words[from:to], " "))}
	}
	return out
}

// near tells whether the last text is a near-duplicate of an earlier one, and files it under its stretches.
func near(texts [][]string, parts map[part][]int, mine []part, last int) bool {
	found := false
	for _, p := range mine {
		for _, other := range parts[p] {
			if found = differ(texts[other], texts[last]) <= nearby; found {
				break
			}
		}
		if found {
			break
		}
	}
	for _, p := range mine {
		parts[p] = append(parts[p], last)
	}
	return found
}

// differ counts the places in which two texts of one length differ, up to one more than nearby.
func differ(a, b []string) int {
	n := 0
	for i := range a {
		if a[i] != b[i] {
			if n++; n > nearby {
				break
			}
		}
	}
	return n
}

// plain gives a record as a person reads it.
func plain(r because.Record) string {
	if r.Text != "" {
		return r.Text
	}
	return conversation(r.Messages)
}

// conversation gives messages one a line, each after its speaker.
func conversation(messages []because.Message) string {
	var b strings.Builder
	for i, m := range messages {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(string(m.Role))
		if m.Name != "" {
			b.WriteString(" " + m.Name)
		}
		b.WriteString(": " + m.Content)
		for _, call := range m.ToolCalls {
			b.WriteString(" [" + call.Name + " " + string(call.Arguments) + "]")
		}
	}
	return b.String()
}
