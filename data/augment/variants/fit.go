package variants

import (
	"context"
	"strconv"
	"strings"

	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/pipe"
)

// kinds tell the editor what a part is.
var kinds = map[constitution.Form]string{
	constitution.Rules:    "It says the rule again in other words, without reasons, purposes or examples.",
	constitution.Subrules: `It is a list of sub-rules without reasons, each a line that begins with "- ".`,
	constitution.Reasons:  "It gives the reasons for the rule, and no further rules.",
}

// count counts the words of a part; the hyphen before a sub-rule is none.
func count(part string) int {
	n := 0
	for _, w := range strings.Fields(part) {
		if w != "-" && w != "*" {
			n++
		}
	}
	return n
}

// fit gives parts back until their lengths are right.
func (w writer) fit(ctx context.Context, s *pipe.Step, it pipe.Item) ([]pipe.Item, error) {
	least, most := w.bounds()
	for _, form := range Forms {
		for round := 0; ; round++ {
			n := count(it.Get(string(form)))
			if n >= least && n <= most {
				break
			}
			if round == w.o.Rounds {
				return nil, pipe.Drop("could not be brought to its length")
			}
			change := "longer"
			if n > most {
				change = "shorter"
			}
			items, err := s.Ask(ctx, pipe.Ask{Name: "fit", Uses: []string{"kind", "rule", "text", "now", "least", "most", "change"},
				Check: func(in, out pipe.Item) error { return w.parses(in, in.Get("rule"), form, out.Get("fitted")) },
			}, it.With("kind", kinds[form], "text", it.Get(string(form)), "now", strconv.Itoa(n), "change", change))
			if err != nil {
				return nil, err
			}
			it = it.With(string(form), items[0].Get("fitted"))
		}
	}
	return []pipe.Item{it}, nil
}
