package batch

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
	// Candidates are the answers among which a task scored by likelihood chooses.
	Candidates []because.Message
}

// Task is a dataset, the way to answer it, and its scorers.
type Task struct {
	Name        string
	Items       []Item
	MaxTokens   int
	Temperature float64
	// Likelihood scores by likelihood: the answer of an item is not sampled, it is the likeliest of its candidates.
	Likelihood bool
}

// Scored is a sample as it went, one line of samples.jsonl.
type Scored struct {
	because.Sample
	Answer  string             `json:"answer"`
	Choices []Choice           `json:"choices,omitempty"` // of a task scored by likelihood, in the order of the candidates
	Stop    because.StopReason `json:"stop,omitempty"`
	Score   because.Score      `json:"score"`
	Error   string             `json:"error,omitempty"` // why it could not be scored, where its outcome is because.Failed
}

// Run lets the model answer every item once, or choose among its candidates, and scores the answers. A failed request fails the evaluation; an answer
// that the scorer cannot place is counted as the scorer says, and as because.Failed where it says nothing. The counts
// sum to the number of items; in each of its groups an item counts once.
func Run(ctx context.Context, t Task, m because.Model, seed uint64) ([]Scored, Counts, error) {
	requests := make([]because.Request, len(t.Items))
	for i, it := range t.Items {
		requests[i] = because.Request{Messages: it.Sample.Input, As: it.Sample.As, Prefill: it.Sample.Prefill, MaxTokens: t.MaxTokens, Temperature: t.Temperature}
	}
	scored, err := t.answers(ctx, m, seed, requests)
	if err != nil {
		return nil, Counts{}, because.E("evaluate", t.Name, err, "")
	}
	counts := Counts{Task: t.Name, N: len(t.Items), Outcomes: map[string]int{}, Groups: map[string]map[string]int{}}
	for i, it := range t.Items {
		answer := scored[i].Answer
		scored[i].Sample, scored[i].Score = it.Sample, it.Score(answer)
		scored[i].fail()
		groups := it.Groups
		if it.Observe != nil {
			groups = append(groups[:len(groups):len(groups)], it.Observe(answer)...)
		}
		counts.add(string(scored[i].Score.Outcome), groups)
	}
	return scored, counts, nil
}

// answers gives the model's answers, still without scores.
func (t Task) answers(ctx context.Context, m because.Model, seed uint64, requests []because.Request) ([]Scored, error) {
	if t.Likelihood {
		return t.choose(ctx, m, requests)
	}
	responses, err := m.Generate(ctx, seed, requests)
	if err != nil {
		return nil, err
	}
	if len(responses) != len(requests) {
		return nil, fmt.Errorf("%d answers to %d requests", len(responses), len(requests))
	}
	out := make([]Scored, len(responses))
	for i, r := range responses {
		out[i] = Scored{Answer: r.Text, Stop: r.Stop}
	}
	return out, nil
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
