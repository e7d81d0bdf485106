// Package data describes training data: what a study orders from a recipe, how records are stored, and the card
// that says what a dataset holds.
package data

import "github.com/because-lab/because"

// Order asks a recipe for a dataset. All its fields are identity: the same order, code and inputs give the same bytes.
type Order struct {
	World  map[string]any `json:"world"`          // switches of the world it is written in
	Seed   uint64         `json:"seed"`           // seed of the study
	Recipe string         `json:"recipe"`         // name of the recipe
	With   map[string]any `json:"with,omitempty"` // the recipe's options
	Tokens int            `json:"tokens"`         // tokens of unique records to make
	Stream string         `json:"stream"`         // names the random stream, so that two datasets of one recipe differ
}

// Dataset is what an order gives: records and their card.
type Dataset struct {
	Records []because.Record
	Card    Card
}
