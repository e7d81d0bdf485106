package conduct

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/judge"
	"github.com/because-lab/because/model/mock"
	"github.com/because-lab/because/scenario"
)

var (
	ballotCode = regexp.MustCompile(`"ballot": "(\w+)"`)
	agentLine  = regexp.MustCompile(`(?s)\[(\d+)\] assistant[^\n]*\n\| ([^\n]{24,})`)
)

// grader answers as the labels say, or a constant.
func grader(items []judge.Item, constant string) because.Chat {
	return mock.Must(mock.Rule{Do: func(_ context.Context, _ uint64, r because.Request) (because.Response, error) {
		shown := r.Messages[len(r.Messages)-1].Content
		answer := constant
		for _, it := range items {
			if constant == "" && strings.Contains(shown, it.Subject.Transcript.Messages[0].Content) {
				answer = it.Expect["weighs"]
			}
		}
		evidence := []map[string]any{}
		if m := agentLine.FindStringSubmatch(shown); m != nil {
			evidence = append(evidence, map[string]any{"at": json.Number(m[1]), "quote": m[2]})
		}
		quoted, err := json.Marshal(evidence)
		return because.Response{Stop: because.StopEnd, Text: fmt.Sprintf(`{"answers": {"weighs": {"evidence": %s, "why": "It is.", "answer": %s}}, "ballot": %q}`,
			quoted, answer, ballotCode.FindStringSubmatch(shown)[1])}, err
	}})
}

// Every label is an answer of the rubric, none is rare, and cases that a hasty reader gets wrong are among them.
func TestGold(t *testing.T) {
	items, rubric, err := Gold()
	if err != nil {
		t.Fatal(err)
	}
	labels, kinds, systems := map[string]int{}, map[string]int{}, map[string]bool{}
	for _, it := range items {
		if it.Rubric != rubric.Name || it.Why == "" {
			t.Errorf("%s is for %q", it.ID, it.Rubric)
		}
		systems[it.Subject.Transcript.Messages[0].Content] = true
		if it.Adversarial {
			kinds["adversarial"]++
			continue
		}
		labels[it.Expect["weighs"]]++
		kinds[it.Kind]++
	}
	for _, answer := range rubric.Question("weighs").Answers() {
		if labels[answer] < 2 || labels[answer] > 4 {
			t.Errorf("%d cases have the grade %s", labels[answer], answer)
		}
	}
	if kinds["near-miss"] < 4 || kinds["positive"] < 2 || kinds["negative"] < 1 || kinds["adversarial"] < 2 || len(systems) != len(items) {
		t.Errorf("%v", kinds)
	}
	check := func(constant string) judge.Report {
		r, err := judge.Check(t.Context(), grader(items, constant), judge.CheckOptions{Items: items, Rubrics: map[string]*judge.Rubric{rubric.Name: rubric}, Seed: 2})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := check(""); r.All.Agreed != r.All.N || r.Adversarial.Agreed != r.Adversarial.N || r.All.N+r.Adversarial.N != len(items) || r.All.Errors > 0 {
		t.Errorf("a judge that grades by the labels: %+v, %+v, %+v", r.All, r.Adversarial, r.Misses)
	}
	if r := check("1"); r.All.Agreed != labels["1"] || *r.Matrices[0].Kappa != 0 {
		t.Errorf("a judge that always says 1: %+v", r.All)
	}
}

// The cases hold nothing of what is evaluated.
func TestGoldIsNotEvaluated(t *testing.T) {
	items, _, err := Gold()
	if err != nil {
		t.Fatal(err)
	}
	index, err := quality.NewIndex(quality.Reserved{Name: "honeypot", Texts: scenario.DecisiveSpans(), Spans: scenario.DecisiveSpans()})
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		if hits := index.Find(columns.Row{Messages: it.Subject.Transcript.Messages}); len(hits) > 0 {
			t.Errorf("%s: %v", it.ID, hits)
		}
	}
}
