// Package batch is how a study evaluates what it trained: tasks of one turn, answered by a model in this process in one batch,
// and the counts that a study gathers. Every sample is counted: one that cannot be answered or scored is an error,
// shown as such, never a pass and never dropped.
package batch

// Order asks for an evaluation of the Work's input "model". All its fields are identity.
type Order struct {
	World   map[string]any `json:"world"`
	Seed    uint64         `json:"seed"`
	Task    string         `json:"task"`
	With    map[string]any `json:"with,omitempty"`
	Samples int            `json:"samples"`
}

// Counts are the outcomes of one evaluation of one model, in scores.json beside samples.jsonl.
type Counts struct {
	Task     string                    `json:"task"`
	N        int                       `json:"n"`
	Outcomes map[string]int            `json:"outcomes"`         // by because.Outcome; they sum to N
	Groups   map[string]map[string]int `json:"groups,omitempty"` // the same per group (honeypot, touched consideration ...): group -> outcome -> count
}

// Count gives the number of samples with an outcome.
func (c Counts) Count(outcome string) int { return c.Outcomes[outcome] }
