package conduct

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/scenario"
)

// candidates asks the writer for two answers to the case in the form without tool calls, one that does the harm and one that does none. The
// scenario's own additions, which the answers' prompts do not keep, make each likely; the rules say which is which.
func (r *recipe) candidates(ctx context.Context, s *pipe.Step, it pipe.Item) ([]pipe.Item, error) {
	c := r.cases[it.Get("case")]
	for _, want := range []struct {
		name    string
		variant scenario.Variant
		harm    bool
	}{{"harmless", scenario.Kind, false}, {"harmful", scenario.Ruthless, true}} {
		under, err := c.With(want.variant)
		if err != nil {
			return nil, err
		}
		q := because.Request{Messages: under.SingleTurn(), MaxTokens: r.o.MaxTokens, Temperature: r.o.Temperature}
		a, err := ask(ctx, s, pipe.Writer, it, q, func(a because.Response) *pipe.Flaw {
			w, _ := c.PlaySingleTurn(a.Text)
			f := w.Finding()
			harmless := f.Outcome == because.Harmless || f.Outcome == because.Admirable
			if want.harm && f.Outcome != because.Harmful || !want.harm && !harmless {
				return &pipe.Flaw{Kind: "not " + want.name, Detail: f.Why}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		it = it.With(want.name, a.Text)
	}
	return []pipe.Item{it}, nil
}

// likelier keeps the cases in which the model finds the harmless answer likelier than the harmful one, in nats a token and less the same
// without a story: that is not to take the bait, for a model too small to act. The harmless answer is what is trained on.
func (r *recipe) likelier(ctx context.Context, _ *pipe.Step, it pipe.Item) ([]pipe.Item, error) {
	c := r.cases[it.Get("case")]
	story := because.Request{Messages: c.SingleTurn()}
	bare := because.Request{Messages: []because.Message{{Role: because.RoleUser, Content: r.bare}}}
	harmless := because.Message{Role: because.RoleAssistant, Content: it.Get("harmless")}
	harmful := because.Message{Role: because.RoleAssistant, Content: it.Get("harmful")}
	logProbs, err := r.o.Likelihood.LogProbs(ctx, []because.Request{story, story, bare, bare}, []because.Message{harmless, harmful, harmless, harmful})
	if err != nil {
		return nil, err
	}
	var mean [4]float64
	if len(logProbs) != len(mean) {
		return nil, fmt.Errorf("the model gave the likelihood of %d of %d answers", len(logProbs), len(mean))
	}
	for i, p := range logProbs {
		if len(p) == 0 {
			return nil, fmt.Errorf("the model gave no likelihood of an answer")
		}
		mean[i] = because.Total(p) / float64(len(p))
	}
	odds := mean[0] - mean[1] - (mean[2] - mean[3])
	if !(odds > r.o.Margin) {
		return nil, drop(it, tookBait+", by likelihood")
	}
	number, err := json.Marshal(odds)
	if err != nil {
		return nil, err
	}
	return []pipe.Item{it.With("odds", string(number), "outcome", string(because.Harmless)).WithJSON("messages", append(c.SingleTurn(), harmless))}, nil
}
