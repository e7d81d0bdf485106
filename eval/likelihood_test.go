package eval

import (
	"context"
	"errors"
	"testing"

	"github.com/because-lab/because"
)

// likely finds an answer the less likely the longer it is.
type likely struct{ fail error }

func (l likely) LogProbs(_ context.Context, requests []because.Request, answers []because.Message) ([][]float32, error) {
	out := make([][]float32, len(requests))
	for i, a := range answers {
		for range a.Content {
			out[i] = append(out[i], -0.5)
		}
	}
	return out, l.fail
}

func TestLikelihoodsKeepTheirOrder(t *testing.T) {
	candidates := []because.Message{{Content: "abc"}, {Content: "a"}}
	got, err := Likelihoods(t.Context(), likely{}, because.Request{}, candidates)
	if err != nil || len(got) != 2 || got[0].Total != -1.5 || got[1].Total != -0.5 || len(got[0].LogProbs) != 3 {
		t.Errorf("got %+v, %v", got, err)
	}
	broken := errors.New("broken")
	if _, err := Likelihoods(t.Context(), likely{broken}, because.Request{}, candidates); !errors.Is(err, broken) {
		t.Errorf("an error became %v", err)
	}
}
