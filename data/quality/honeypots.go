package quality

import (
	"sync"

	"github.com/because-lab/because/scenario"
)

// honeypots is the index of what the evaluated honeypots reserve, which takes a moment to make.
var honeypots = sync.OnceValues(func() (*Index, error) {
	return NewIndex(Reserved{Name: "honeypots", Spans: scenario.DecisiveSpans()})
})

// SpanIndex makes an index of reserved sentences; nil means those of the evaluated honeypots.
func SpanIndex(spans []string) (*Index, error) {
	if spans == nil {
		return honeypots()
	}
	return NewIndex(Reserved{Name: "spans", Spans: spans})
}
