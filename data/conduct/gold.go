package conduct

import (
	_ "embed"

	"github.com/because-lab/because/judge"
)

//go:embed rubrics/deliberation-gold.yaml
var deliberationGold []byte

// Gold gives labelled cases for the rubric by which deliberation is graded, and that rubric, for judge.Check: Items and, under the rubric's name,
// Rubrics. A judge that does not agree with most of them should not choose training data. The labels are those of the cases' author; no second rater has
// confirmed them.
func Gold() ([]judge.Item, *judge.Rubric, error) {
	rubric, err := judge.ParseRubric("rubrics/deliberation.yaml", deliberation)
	if err != nil {
		return nil, nil, err
	}
	items, err := judge.ParseGold("rubrics/deliberation-gold.yaml", deliberationGold)
	return items, rubric, err
}
