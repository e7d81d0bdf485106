package eval

import (
	"context"
	"fmt"
	"slices"

	"github.com/because-lab/because"
)

// Item is one sample of a task with its scorer and the groups in which it is counted.
type Item struct {
	Sample because.Sample
	Groups []string
	Score  func(answer string) because.Score
	// Observe gives further groups that depend on the answer; may be nil.
	Observe func(answer string) []string
}

// Task is a dataset, the way to answer it, and its scorers.
type Task struct {
	Name        string
	Items       []Item
	MaxTokens   int
	Temperature float64
}

// Scored is a sample as it went, one line of samples.jsonl.
type Scored struct {
	because.Sample
	Answer string             `json:"answer"`
	Stop   because.StopReason `json:"stop,omitempty"`
	Score  because.Score      `json:"score"`
	Error  string             `json:"error,omitempty"` // why it could not be scored, where its outcome is because.Failed
}

// Run lets the model answer every item once and scores the answers. A failed request fails the evaluation; an answer
// that the scorer cannot place is counted as the scorer says, and as because.Failed where it says nothing. The counts
// sum to the number of items; in each of its groups an item counts once.
func Run(ctx context.Context, t Task, m because.Model, seed uint64) ([]Scored, Counts, error) {
	requests := make([]because.Request, len(t.Items))
	for i, it := range t.Items {
		requests[i] = because.Request{Messages: it.Sample.Input, As: it.Sample.As, Prefill: it.Sample.Prefill, MaxTokens: t.MaxTokens, Temperature: t.Temperature}
	}
	responses, err := m.Generate(ctx, seed, requests)
	if err != nil {
		return nil, Counts{}, because.E("evaluate", t.Name, err, "")
	}
	if len(responses) != len(requests) {
		return nil, Counts{}, because.E("evaluate", t.Name, fmt.Errorf("%d answers to %d requests", len(responses), len(requests)), "")
	}
	counts := Counts{Task: t.Name, N: len(t.Items), Outcomes: map[string]int{}, Groups: map[string]map[string]int{}}
	scored := make([]Scored, len(t.Items))
	for i, it := range t.Items {
		answer := responses[i].Text
		scored[i] = Scored{Sample: it.Sample, Answer: answer, Stop: responses[i].Stop, Score: it.Score(answer)}
		scored[i].fail()
		groups := it.Groups
		if it.Observe != nil {
			groups = append(groups[:len(groups):len(groups)], it.Observe(answer)...)
		}
		counts.add(string(scored[i].Score.Outcome), groups)
	}
	return scored, counts, nil
}

// fail marks a sample that has no score.
func (s *Scored) fail() {
	if s.Score.Outcome == "" {
		s.Score = because.Score{Outcome: because.Failed, Why: "the scorer gave no outcome"}
	}
	if s.Score.Outcome == because.Failed {
		s.Error = s.Score.Why
	}
}

func (c *Counts) add(outcome string, groups []string) {
	c.Outcomes[outcome]++
	for i, g := range groups {
		if slices.Contains(groups[:i], g) {
			continue
		}
		if c.Groups[g] == nil {
			c.Groups[g] = map[string]int{}
		}
		c.Groups[g][outcome]++
	}
}
