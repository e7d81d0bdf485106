package pipe

import (
	"iter"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/prompts"
	"github.com/because-lab/because/model"
)

// Recipe turns a source of items into records.
type Recipe struct {
	Name    string
	Version string // of the recipe as a whole; in the lineage of each record
	// Source gives the items that it starts with, the same in every run. It may be endless where a run says how many records it wants.
	Source iter.Seq2[Item, error]
	Stages []Stage
	// Prompts holds the prompt files of the stages; nil where no stage has one.
	Prompts *prompts.Set
	// Kind says what the records are: conversations, texts, prompts or preferences.
	Kind columns.Kind
	// Record makes a record of an item that has passed all stages. Drop(reason) drops it.
	Record func(Item) (Record, error)
	// Injected names texts of items that were put into prompts and may not be in a record, not even eight words of them in a row. A record
	// that holds them is dropped and counted.
	Injected []string
	// Constitution cites what it was written from, such as "astra@3f2a...".
	Constitution string
}

// Record is a row with what its lineage says beside the stages.
type Record struct {
	columns.Row
	Principle string // id of the principle, or a citation
	Kind      string // of situation, document or whatever the recipe counts by
}

// Options say how a recipe is run. Out, Seed and Models must be given.
type Options struct {
	// Out is the file of records, .jsonl or .parquet. Beside it come OUT.lineage and OUT.card.json.
	Out string
	// Work is the folder of kept answers; empty: OUT.work. It may be deleted when the run has ended.
	Work string
	Seed uint64
	// N is the number of records wanted; 0: all that the source gives. The first N in the order of the source are taken.
	N      int
	Models map[string]because.Chat // by role; see model.Wrap for what should stand around them
	// Identity tells apart, by role, what a model's name does not, such as the base URL of its server. It must not hold a key.
	Identity map[string]string
	InFlight int // requests at once, of all stages together; 0: 64
	Tries    int // answers that an item gets in a stage until it is dropped; 0: 3
	// AllowFailed writes the records without the items whose requests failed, and counts those in the card, instead of ending with an error.
	AllowFailed bool
	// Progress is told now and then how far the run is, by one goroutine at a time. May be nil.
	Progress func(Progress)
	// Prices are for the estimate of Plan.
	Prices model.Prices
}

// Progress says how far a run is.
type Progress struct {
	Records int // finished, in order
	Want    int // N; 0: not known
	Stages  []StageProgress
}

// StageProgress counts what has happened in one stage so far.
type StageProgress struct {
	Stage   string
	In      int // items that came
	Out     int // items that went on
	Dropped int
	Asked   int // requests that were answered by the model ...
	Kept    int // ... and by answers that were kept
	Flying  int // requests under way
}
