package page

import (
	"fmt"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/stats"
)

// Tally counts judgments. Share is the part of the decided pairs, those that are no ties, in which A was chosen, with Wilson's interval of 95 %;
// Judged = A + B + Ties. Pairs are the unit: it is about this reader on other pairs of the kind, not about other readers.
type Tally struct {
	Judged, A, B, Ties int
	Pairs              int // on the page
	Share, Lo, Hi      float64
	Decided            int // 0: there is no share
	// LeftChosen of the decided pairs went to the left side, which has nothing to do with the files.
	LeftChosen int
}

const level = 0.95

// Tally counts the judgments.
func (j Judgments) Tally() Tally {
	t := Tally{Judged: len(j.Judgments), Pairs: j.Pairs}
	for _, one := range j.Judgments {
		switch {
		case one.Choice == "equal":
			t.Ties++
			continue
		case (one.Choice == "left") == (one.Left == "a"):
			t.A++
		default:
			t.B++
		}
		if one.Choice == "left" {
			t.LeftChosen++
		}
	}
	t.Decided = t.A + t.B
	if t.Decided > 0 {
		t.Share = float64(t.A) / float64(t.Decided)
	}
	t.Lo, t.Hi = stats.Wilson(t.A, t.Decided, level)
	return t
}

// About makes sure that judgments are about the files of two hashes. Path is the judgments'.
func (j Judgments) About(path, a, b string) error {
	for _, f := range []struct {
		letter string
		file   File
		sum    string
	}{{"first", j.A, a}, {"second", j.B, b}} {
		if f.file.Sum != f.sum {
			return because.E(opJudgments, path, fmt.Errorf("the %s file is another than the one that was judged, %s with SHA-256 %s…", f.letter, f.file.Name, f.file.Sum[:12]),
				"give the two files in the order in which the page was made from them")
		}
	}
	return nil
}
