package modeltest

import (
	"io"
	"log"
	"slices"
	"testing"

	"github.com/because-lab/because"
)

// quiet swallows what a server logs about a client that does not trust it.
var quiet = log.New(io.Discard, "", 0)

// Open opens the provider under test, with Key as its key, on a model that behaves as the script says. The provider must send each
// request once: retries are model.Retry's.
type Open func(t *testing.T, s *Script) because.Chat

// contract is one provider's run of the suite.
type contract struct {
	open  Open
	lacks []Feature
}

// Run checks a provider against the contract, as subtests. The caller declares the features that the provider lacks.
func Run(t *testing.T, open func(t *testing.T, s *Script) because.Chat, lacks ...Feature) {
	c := &contract{open, lacks}
	t.Run("refusals", c.refusals)
	if !c.has(Scripted) {
		t.Run("unscripted", c.unscripted)
		return
	}
	t.Run("answers", c.answers)
	t.Run("requests", c.requests)
	t.Run("conversation", c.conversation)
	t.Run("cancel", c.cancel)
	t.Run("concurrent", c.concurrent)
	if c.has(HTTP) {
		t.Run("faults", c.faults)
		t.Run("redirect", c.redirect)
	}
}

func (c *contract) has(f Feature) bool { return !slices.Contains(c.lacks, f) }
