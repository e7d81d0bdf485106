package reward

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/judge"
)

var ballot = regexp.MustCompile(`"ballot": "(\w+)"`)

// grader grades an answer by the digit that it holds; other answers get no grade that can be read.
type grader struct{}

func (grader) Name() string { return "grader" }

func (grader) Answer(_ context.Context, _ uint64, r because.Request) (because.Response, error) {
	shown := r.Messages[len(r.Messages)-1].Content
	if !strings.Contains(shown, "help with the form") {
		return because.Response{}, fmt.Errorf("the judge is not told what is wanted")
	}
	grade := regexp.MustCompile(`grade (\d)`).FindStringSubmatch(shown)
	if grade == nil {
		return because.Response{Text: "I can't say.", Stop: because.StopEnd}, nil
	}
	return because.Response{Text: fmt.Sprintf(`{"answers": {"meets": {"evidence": [], "why": "It says so.", "answer": %q}}, "ballot": %q}`,
		grade[1], ballot.FindStringSubmatch(shown)[1]), Stop: because.StopEnd}, nil
}

func judged(t *testing.T, name string) (Func, error) {
	t.Helper()
	r, err := judge.FindRubric(name)
	if err != nil {
		t.Fatal(err)
	}
	j, err := judge.New(grader{}, r, judge.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return Judged(j, 4)
}

func TestJudged(t *testing.T) {
	f, err := judged(t, Rubric)
	if err != nil {
		t.Fatal(err)
	}
	item := func(text string) Item {
		return Item{ID: "r1", Task: "help with the form", Prompt: "Can you?", Completion: text}
	}
	got, err := f(t.Context(), []Item{item("grade 1"), item("grade 5"), item("grade 2")})
	if err != nil || !cmp.Equal(got, []float64{0, 1, 0.25}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := f(t.Context(), []Item{item("grade 1"), item("nothing")}); err == nil || got != nil || !strings.Contains(err.Error(), "r1") {
		t.Errorf("an answer without a grade: %v, %v", got, err)
	}
	if _, err := judged(t, "preference"); err == nil {
		t.Error("a rubric about pairs is taken for a reward")
	}
}
