package batch

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/because-lab/because"
)

// Choice is how likely a model finds one of several answers.
type Choice struct {
	LogProbs []float32 `json:"log_probs"` // of each of its tokens, in nats; the last is the mark that ends the answer
	Total    float64   `json:"total"`     // of the whole answer
}

// Likelihoods scores candidate answers, calls or texts, to each request, without letting the model act. The difference of
// two totals is the log-odds of the one answer over the other. It sees a signal in small and base models where
// sampled answers are noise.
func Likelihoods(ctx context.Context, m because.Likelihood, requests []because.Request, candidates [][]because.Message) ([][]Choice, error) {
	var asked []because.Request
	var answers []because.Message
	for i, r := range requests {
		for _, c := range candidates[i] {
			asked, answers = append(asked, r), append(answers, c)
		}
	}
	logProbs, err := m.LogProbs(ctx, asked, answers)
	if err != nil {
		return nil, err
	}
	if len(logProbs) != len(answers) {
		return nil, fmt.Errorf("%d scores for %d answers", len(logProbs), len(answers))
	}
	out := make([][]Choice, len(requests))
	for i := range requests {
		out[i] = make([]Choice, len(candidates[i]))
		for j := range out[i] {
			out[i][j] = Choice{LogProbs: logProbs[j], Total: because.Total(logProbs[j])}
		}
		logProbs = logProbs[len(out[i]):]
	}
	return out, nil
}

// choose takes the likeliest candidate of each item as its answer, the first of equally likely ones.
func (t Task) choose(ctx context.Context, m because.Model, requests []because.Request) ([]Scored, error) {
	scorer, ok := m.(because.Likelihood)
	if !ok {
		return nil, because.E("score by likelihood", m.Name(), errors.New("the model gives no log-probabilities"), "let it act: leave likelihood out")
	}
	candidates := make([][]because.Message, len(t.Items))
	for i, it := range t.Items {
		if candidates[i] = it.Candidates; len(it.Candidates) == 0 {
			return nil, because.E("score by likelihood", it.Sample.ID, errors.New("the sample has no candidates"), "")
		}
	}
	choices, err := Likelihoods(ctx, scorer, requests, candidates)
	if err != nil {
		return nil, err
	}
	out := make([]Scored, len(choices))
	for i, c := range choices {
		best := 0
		for j := range c {
			if c[j].Total > c[best].Total {
				best = j
			}
		}
		out[i] = Scored{Answer: strings.TrimSpace(requests[i].Prefill + " " + candidates[i][best].Content), Choices: c, Stop: because.StopEnd}
	}
	return out, nil
}
