package conduct

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/internal/stats"
)

// Yield says what became of the runs under one wording of the injection.
type Yield struct {
	Wording string
	Tried   int
	Kept    int
	Share   float64
	Lo, Hi  float64 // Wilson's interval of 95 %
	Dropped map[string]int
}

// Yields compares the wordings of a file of deliberation by its card, the highest share first. The runs are those that went into the records or would
// have if they had not been dropped.
func Yields(c quality.Card) []Yield {
	byName := map[string]*Yield{}
	of := func(name string) *Yield {
		if byName[name] == nil {
			byName[name] = &Yield{Wording: name, Dropped: map[string]int{}}
		}
		return byName[name]
	}
	for kind, n := range c.Kinds {
		if _, name, ok := strings.Cut(kind, "/"); ok {
			of(name).Kept += n
		}
	}
	for _, s := range c.Stages {
		for why, n := range s.Dropped {
			if why, name, ok := strings.Cut(why, wordingMark); ok {
				of(name).Dropped[why] += n
			}
		}
	}
	var out []Yield
	for _, y := range byName {
		y.Tried = y.Kept
		for _, n := range y.Dropped {
			y.Tried += n
		}
		y.Share = float64(y.Kept) / float64(y.Tried)
		y.Lo, y.Hi = stats.Wilson(y.Kept, y.Tried, 0.95)
		out = append(out, *y)
	}
	slices.SortFunc(out, func(a, b Yield) int {
		if a.Share != b.Share {
			if a.Share > b.Share {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Wording, b.Wording)
	})
	return out
}

// WriteYields prints the share of runs that was kept under each wording, where a file has several: which wording elicits what is wanted. Other files print
// nothing.
func WriteYields(w io.Writer, c quality.Card) error {
	all := Yields(c)
	if c.Recipe != string(Deliberation) || len(all) < 2 {
		return nil
	}
	var b strings.Builder
	b.WriteString("\nkept by wording of the injection    runs   kept   share   95 % interval\n")
	for _, y := range all {
		fmt.Fprintf(&b, "  %-30s %6d %6d  %5.1f %%   [%.1f, %.1f]\n", y.Wording, y.Tried, y.Kept, 100*y.Share, 100*y.Lo, 100*y.Hi)
		for _, why := range slices.Sorted(maps.Keys(y.Dropped)) {
			fmt.Fprintf(&b, "      dropped %d: %s\n", y.Dropped[why], why)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
