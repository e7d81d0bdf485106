// Package quality measures training data: how much there is, how varied it is, how much of it is nearly the same, which habits it has, and
// whether it holds what an evaluation reserves. All that is a pure function of the records, without a model; Grade, apart from it, asks a judge.
package quality

import (
	"encoding/json"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/whole"
)

// Card says what a file of records holds and how it was made, so that nobody has to open it to know.
type Card struct {
	Recipe       string  `json:"recipe,omitempty"`
	Version      string  `json:"version,omitempty"`
	Constitution string  `json:"constitution,omitempty"`
	Seed         uint64  `json:"seed,omitempty"`
	Wanted       int     `json:"wanted,omitempty"`  // records that were asked for; 0: all
	Surplus      int     `json:"surplus,omitempty"` // records that were made beyond
	Stages       []Stage `json:"stages,omitempty"`

	Records int            `json:"records"`
	Words   int            `json:"words"`
	Tokens  int            `json:"tokens"` // estimated, at four bytes each
	Kinds   map[string]int `json:"kinds,omitempty"`
	// Principles counts records by the principle that they cite.
	Principles map[string]int `json:"principles,omitempty"`

	Lengths  []Length  `json:"lengths"`  // words of systems, users, assistants, texts
	Variety  Variety   `json:"variety"`  // of what is learnt
	Near     NearShare `json:"near"`     // of whole records
	Openings []Opening `json:"openings"` // of answers or texts, and of users
	Names    []Name    `json:"names,omitempty"`
	Style    []Habit   `json:"style"`

	// Judged holds what judges made of the records, one entry for each judge, rubric, constitution and seed.
	Judged []Judged `json:"judged,omitempty"`
}

// Stage says what one stage of a recipe did.
type Stage struct {
	Stage    string         `json:"stage"`
	Kind     string         `json:"kind"` // ask, map, filter, in order, all, do, record
	Prompt   string         `json:"prompt,omitempty"`
	Model    string         `json:"model,omitempty"`
	In       int            `json:"in"` // items
	Out      int            `json:"out"`
	Dropped  map[string]int `json:"dropped,omitempty"`  // items, by reason
	Again    map[string]int `json:"again,omitempty"`    // answers that could not be used, by what was wrong
	Requests int            `json:"requests,omitempty"` // answers, good and bad
	Usage    because.Usage  `json:"usage"`
}

// Length is a histogram of lengths in words, of the texts of one role or of documents.
type Length struct {
	Of     string `json:"of"`
	N      int    `json:"n"`
	Least  int    `json:"least"`
	Median int    `json:"median"` // exact to its bin of the histogram: the greatest length in it
	Most   int    `json:"most"`
	Bins   []Bin  `json:"bins"`
}

// Bin counts lengths up to a bound that are above the bin before.
type Bin struct {
	To int `json:"to"` // -1: no bound
	N  int `json:"n"`
}

// Variety measures what is learnt, the assistant's answers or the texts.
//
// Distinct-n is the share of n-grams that are different from all others, over a sample of at most SampleWords words, since it falls with
// the size of a corpus (Li et al., "A diversity-promoting objective function for neural conversation models", 2016). The compression ratio
// is bytes before gzip by bytes after: text that repeats itself compresses better (Shaib et al., "Standardizing the measurement of text
// diversity", 2024). It too is comparable for corpora of about one size only.
type Variety struct {
	SampleWords int     `json:"sample_words"`
	Distinct1   float64 `json:"distinct_1"`
	Distinct2   float64 `json:"distinct_2"`
	Distinct3   float64 `json:"distinct_3"`
	Compression float64 `json:"compression_ratio"`
}

// NearShare counts records that are nearly the same as an earlier one.
type NearShare struct {
	Above   float64    `json:"above"` // Jaccard similarity of the sets of word 5-grams
	Records int        `json:"records"`
	Share   float64    `json:"share"`
	Pairs   []NearPair `json:"pairs,omitempty"` // the first of them
}

// NearPair is a record with an earlier one that it is like; rows count from 1.
type NearPair struct {
	Row     int     `json:"row"`
	Earlier int     `json:"earlier"`
	Jaccard float64 `json:"jaccard"`
}

// Opening counts first words that texts share.
type Opening struct {
	Of    string `json:"of"` // answer or user
	Words int    `json:"words"`
	N     int    `json:"n"`     // texts
	Kinds int    `json:"kinds"` // different openings
	Most  []Seen `json:"most"`  // those that more than one text has, the most frequent first
}

// Seen is a text with the number of records that have it.
type Seen struct {
	Text  string  `json:"text"`
	N     int     `json:"n"`
	Share float64 `json:"share"`
}

// Name is a capitalised word that stands within sentences.
type Name struct {
	Name    string `json:"name"`
	Records int    `json:"records"`
	Banned  bool   `json:"banned,omitempty"`
}

// Habit counts the texts that break a rule of style.
type Habit struct {
	Rule  string  `json:"rule"`
	About string  `json:"about"`
	N     int     `json:"n"`  // that break it
	Of    int     `json:"of"` // texts that the rule is about
	Share float64 `json:"share"`
}

// Write puts the card into a file as JSON, whole or not at all.
func (c Card) Write(path string) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err == nil {
		err = whole.WriteFile(path, append(text, '\n'))
	}
	if err != nil {
		return because.E("write card", path, err, "")
	}
	return nil
}
