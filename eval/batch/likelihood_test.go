package batch

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
)

// likely finds an answer the less likely the longer it is.
type likely struct{ fail error }

func (likely) Name() string { return "likely" }

func (likely) Generate(context.Context, uint64, []because.Request) ([]because.Response, error) {
	return nil, errors.New("it was to choose, not to act")
}

func (l likely) LogProbs(_ context.Context, requests []because.Request, answers []because.Message) ([][]float32, error) {
	out := make([][]float32, len(requests))
	for i, a := range answers {
		for range a.Content {
			out[i] = append(out[i], -0.5)
		}
	}
	return out, l.fail
}

func messages(texts ...string) []because.Message {
	var out []because.Message
	for _, t := range texts {
		out = append(out, because.Message{Role: because.RoleAssistant, Content: t})
	}
	return out
}

func TestLikelihoodsKeepTheirOrder(t *testing.T) {
	candidates := [][]because.Message{messages("abc", "a"), messages("ab")}
	got, err := Likelihoods(t.Context(), likely{}, make([]because.Request, 2), candidates)
	want := [][]Choice{{{[]float32{-0.5, -0.5, -0.5}, -1.5}, {[]float32{-0.5}, -0.5}}, {{[]float32{-0.5, -0.5}, -1}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	broken := errors.New("broken")
	if _, err := Likelihoods(t.Context(), likely{broken}, make([]because.Request, 2), candidates); !errors.Is(err, broken) {
		t.Errorf("an error became %v", err)
	}
}

func TestTaskScoredByLikelihood(t *testing.T) {
	score := func(answer string) because.Score {
		if answer == "sell" {
			return because.Score{Outcome: because.Harmful}
		}
		return because.Score{Outcome: because.Harmless}
	}
	task := Task{Name: "choice", Likelihood: true, Items: []Item{
		{Sample: because.Sample{ID: "1"}, Score: score, Candidates: messages("sell", "keep it")},
		{Sample: because.Sample{ID: "2"}, Score: score, Candidates: messages("sell", "no")}}}
	scored, counts, err := Run(t.Context(), task, likely{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if counts.Count("harmful") != 1 || counts.Count("harmless") != 1 || scored[1].Answer != "no" || scored[1].Choices[0].Total != -2 {
		t.Errorf("counts %v, second sample %+v", counts, scored[1])
	}
	if _, _, err := Run(t.Context(), task, mute{}, 1); err == nil {
		t.Error("a model without log-probabilities was scored by them")
	}
	task.Items[0].Candidates = nil
	if _, _, err := Run(t.Context(), task, likely{}, 1); err == nil {
		t.Error("a sample without candidates was scored")
	}
}

// mute is a model without log-probabilities.
type mute struct{}

func (mute) Name() string { return "mute" }

func (mute) Generate(context.Context, uint64, []because.Request) ([]because.Response, error) {
	return nil, errors.New("it was to be scored, not to act")
}
