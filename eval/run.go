package eval

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/because-lab/because"
)

// Files of an evaluation's folder.
const (
	SamplesFile = "samples.jsonl"
	ScoresFile  = "scores.json"
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
	Error  string             `json:"error,omitempty"`
}

// Run lets the model answer every item once and scores the answers. A failed request fails the evaluation; an answer
// that the scorer cannot place is counted as the scorer says. The counts sum to the number of items.
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
		groups := it.Groups
		if it.Observe != nil {
			groups = append(groups[:len(groups):len(groups)], it.Observe(answer)...)
		}
		counts.add(string(scored[i].Score.Outcome), groups)
	}
	return scored, counts, nil
}

func (c *Counts) add(outcome string, groups []string) {
	c.Outcomes[outcome]++
	for _, g := range groups {
		if c.Groups[g] == nil {
			c.Groups[g] = map[string]int{}
		}
		c.Groups[g][outcome]++
	}
}

// Write puts an evaluation into a folder: samples.jsonl, one scored sample a line, and scores.json.
func Write(dir string, scored []Scored, c Counts) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, s := range scored {
		if err := enc.Encode(s); err != nil {
			return because.E("write evaluation", s.ID, err, "")
		}
	}
	if err := os.WriteFile(filepath.Join(dir, SamplesFile), b.Bytes(), 0o666); err != nil {
		return because.E("write evaluation", dir, err, "")
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return because.E("write evaluation", dir, err, "")
	}
	if err := os.WriteFile(filepath.Join(dir, ScoresFile), append(text, '\n'), 0o666); err != nil {
		return because.E("write evaluation", dir, err, "")
	}
	return nil
}

// Read reads an evaluation's counts and checks that they sum to n.
func Read(dir string) (Counts, error) {
	path := filepath.Join(dir, ScoresFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return Counts{}, because.E("read evaluation", path, err, "")
	}
	var c Counts
	if err := json.Unmarshal(text, &c); err != nil {
		return Counts{}, because.E("read evaluation", path, err, "")
	}
	sum := 0
	for _, k := range c.Outcomes {
		sum += k
	}
	if sum != c.N {
		return Counts{}, because.E("read evaluation", path, fmt.Errorf("outcomes sum to %d, not to n = %d", sum, c.N), "")
	}
	return c, nil
}
