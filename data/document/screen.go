package document

import (
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/quality"
)

// uncontaminated is a filter that drops what holds something reserved.
func uncontaminated(x *quality.Index) func(pipe.Item) string {
	return func(it pipe.Item) string {
		if len(x.Find(columns.Row{Text: it.Get("document")})) > 0 {
			return "contains what an evaluation reserves"
		}
		return ""
	}
}
