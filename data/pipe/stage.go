package pipe

import (
	"context"

	"github.com/because-lab/because"
)

// The roles of models in a run. A recipe may name further ones; a role for which a run has no model is played by the writer.
const (
	Writer   = "writer"
	Reviewer = "reviewer"
)

// Stage is one step of a recipe: an Ask, Map, Filter, Do, InOrder or All. Its name is unique in the recipe and part of its answers' keys.
type Stage interface {
	name() string
	// grows estimates the number of items that the stage gives for n.
	grows(n float64) float64
}

// Ask sends one request for each item and reads the answer. The prompt file says how the answer looks, how long it may be and how it is sampled;
// see package prompts. An answer with one item gives that item; a list gives children "01", "02" and so on.
//
// An answer that is empty, refused, cut off, moderated or of the wrong shape, that repeats what was injected, or that fails a check is asked for
// again, with another seed and with the reason. What remains bad drops the item.
type Ask struct {
	Name string
	// Prompt names the prompt file, without .md; empty: as the stage.
	Prompt string
	// Uses lists the texts of the item that the prompt may use: with a question mark those it may leave out. Any other variable, and one of these
	// that is missing, is an error with file and line.
	Uses    []string
	Model   string // role; empty: Writer
	Version int    // part of the key: another number asks anew
	// Injected names texts in the prompt that may not show in the answer: no eight words of them in a row (Leaks).
	Injected []string
	// MayRefuse lets answers begin as refusals do, where an assistant that declines is what is sampled.
	MayRefuse bool
	// Resample asks again with another seed alone and does not tell the reason, for answers that are samples of how a model behaves.
	Resample bool
	// Check looks at what was read from the answer, beside the item that was asked about; its error is the reason to ask again, unless it is a Drop.
	Check func(in, out Item) error
	// Read replaces the prompt's own reading of the answer. An error is a reason to ask again, unless it is a Drop.
	Read func(in Item, answer because.Response) ([]Item, error)
	// Request changes the request before it is sent, such as to add tools. It must depend on the item alone.
	Request func(in Item, r *because.Request) error
	// Tries is how many answers an item gets; 0: the run's.
	Tries int
	// Fan estimates the items that an answer gives; 0: what the prompt says, or 1. Yield estimates the share that is not dropped; 0: 1.
	Fan, Yield float64
}

// Map makes items of an item by code, which depends on the item alone. Return Drop(reason) to drop it.
type Map struct {
	Name string
	Do   func(Item) ([]Item, error)
	// Fan estimates the items that one gives; 0: 1. Adds estimates the tokens of texts that are added, for the estimate of what prompts cost.
	Fan  float64
	Adds map[string]int
}

// Filter keeps an item (an empty reason) or drops it. Reasons are few and fixed texts, since the card counts them.
type Filter struct {
	Name  string
	Keep  func(Item) (reason string)
	Yield float64 // estimates the share that is kept; 0: 1
}

// InOrder filters with a memory: it sees the items one after the other in the order of the source, such as to drop what is too like an earlier
// one. New gives the filter of a run. It holds up later items as long as earlier ones are under way.
type InOrder struct {
	Name  string
	New   func() func(Item) (reason string)
	Yield float64
}

// All sees all items at once, in the order of the source, and gives those that go on, in the order in which they shall. It waits for all of
// them and holds them in memory, so it is for plans: lists of principles, types and scenarios that are balanced or shuffled before the long
// texts are written. Items keep their past as long as they are made from those that came in, by With or Child.
type All struct {
	Name string
	Do   func([]Item) ([]Item, error)
	// Count estimates how many items are given for n; nil: n.
	Count func(n int) int
}

// Do is code that may ask models as often as it likes, such as for a conversation with tool calls. Everything it does must follow from the item and
// the answers.
type Do struct {
	Name    string
	Version int
	Do      func(ctx context.Context, s *Step, it Item) ([]Item, error)
	// Requests, Tokens and Fan estimate for one item: requests, tokens of each (read and written), and items given; 0: 1, 1000, 1.
	Requests   float64
	Tokens     [2]int
	Fan, Yield float64
	Model      string // for the estimate: the role that is asked
}

func (s Ask) name() string     { return s.Name }
func (s Map) name() string     { return s.Name }
func (s Filter) name() string  { return s.Name }
func (s InOrder) name() string { return s.Name }
func (s All) name() string     { return s.Name }
func (s Do) name() string      { return s.Name }
