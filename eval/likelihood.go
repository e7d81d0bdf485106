package eval

import (
	"context"
	"slices"

	"github.com/because-lab/because"
)

// Choice is how likely a model finds one of several answers.
type Choice struct {
	LogProbs []float32 // of each of its tokens, in nats; the last is the mark that ends the answer
	Total    float64   // of the whole answer
}

// Likelihoods scores candidate answers to one request, calls or texts, without letting the model act. The difference of
// two totals is the log-odds of the one answer over the other. It sees a signal in small and base models where
// sampled answers are noise.
func Likelihoods(ctx context.Context, m because.Likelihood, r because.Request, candidates []because.Message) ([]Choice, error) {
	logProbs, err := m.LogProbs(ctx, slices.Repeat([]because.Request{r}, len(candidates)), candidates)
	if err != nil {
		return nil, err
	}
	out := make([]Choice, len(logProbs))
	for i, lp := range logProbs {
		out[i] = Choice{LogProbs: lp, Total: because.Total(lp)}
	}
	return out, nil
}
