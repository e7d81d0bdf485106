package document

import (
	"sync"

	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/scenario"
)

// honeypots knows the decisive spans of the evaluated honeypots.
var honeypots = sync.OnceValues(func() (*quality.Index, error) {
	return quality.NewIndex(quality.Reserved{Name: "honeypots", Spans: scenario.DecisiveSpans()})
})

// reserved gives an index of spans; nil stands for those of the honeypots.
func reserved(spans []string) (*quality.Index, error) {
	if spans == nil {
		return honeypots()
	}
	return quality.NewIndex(quality.Reserved{Name: "spans", Spans: spans})
}

// uncontaminated is a filter that drops what holds something reserved.
func uncontaminated(x *quality.Index) func(pipe.Item) string {
	return func(it pipe.Item) string {
		if len(x.Find(columns.Row{Text: it.Get("document")})) > 0 {
			return "contains what an evaluation reserves"
		}
		return ""
	}
}
