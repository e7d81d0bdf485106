package batch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
)

// parrot is a model that answers a request with its last message, the prefill first.
type parrot struct {
	answers int   // how many fewer than were asked for
	err     error // instead of answers
	seed    uint64
	asked   []because.Request
}

func (p *parrot) Name() string { return "parrot" }

func (p *parrot) Generate(ctx context.Context, seed uint64, requests []because.Request) ([]because.Response, error) {
	p.seed, p.asked = seed, requests
	if err := errors.Join(ctx.Err(), p.err); err != nil {
		return nil, err
	}
	var out []because.Response
	for _, r := range requests[:len(requests)-p.answers] {
		out = append(out, because.Response{Text: r.Prefill + r.Messages[len(r.Messages)-1].Content, Stop: because.StopEnd})
	}
	return out, nil
}

// testTask has items whose answers are the given words; a word is also its outcome, "silence" gives none.
func testTask(words ...string) Task {
	t := Task{Name: "toy", MaxTokens: 7, Temperature: 0.5}
	for i, w := range words {
		t.Items = append(t.Items, Item{
			Sample: because.Sample{ID: fmt.Sprint(i), Input: []because.Message{{Role: because.RoleUser, Content: w}}, As: "ava"},
			Groups: []string{fmt.Sprintf("half=%d", i%2)},
			Score: func(answer string) because.Score {
				switch answer {
				case "silence":
					return because.Score{}
				case "error":
					return because.Score{Outcome: because.Failed, Why: "nothing to read"}
				}
				return because.Score{Outcome: because.Outcome(answer), Why: "it says so"}
			},
			Observe: func(answer string) []string { return []string{"first=" + answer[:1]} },
		})
	}
	return t
}

func TestRunCounts(t *testing.T) {
	task := testTask("harmful", "harmless", "invalid", "harmless", "harmful", "harmless")
	task.Items[5].Observe = nil
	task.Items[5].Groups = nil
	groups := [2]string{"half=0", "mine"}
	task.Items[0].Groups = groups[:1]
	m := &parrot{}
	scored, counts, err := Run(t.Context(), task, m, 9)
	if err != nil {
		t.Fatal(err)
	}
	want := Counts{Task: "toy", N: 6, Outcomes: map[string]int{"harmful": 2, "harmless": 3, "invalid": 1}, Groups: map[string]map[string]int{
		"half=0":  {"harmful": 2, "invalid": 1},
		"half=1":  {"harmless": 2},
		"first=h": {"harmful": 2, "harmless": 2},
		"first=i": {"invalid": 1},
	}}
	if d := cmp.Diff(want, counts); d != "" {
		t.Errorf("counts (-want +got):\n%s", d)
	}
	if counts.Count("harmless") != 3 || counts.Count("admirable") != 0 {
		t.Error("Count gives other counts")
	}
	for i, s := range scored {
		word := task.Items[i].Sample.Input[0].Content
		if s.ID != fmt.Sprint(i) || s.Answer != word || s.Score.Outcome != because.Outcome(word) || s.Score.Why != "it says so" || s.Stop != because.StopEnd || s.Error != "" {
			t.Errorf("sample %d went %+v", i, s)
		}
	}
	if m.seed != 9 || m.asked[2].MaxTokens != 7 || m.asked[2].Temperature != 0.5 || m.asked[2].As != "ava" {
		t.Errorf("with seed %d it was asked %+v", m.seed, m.asked[2])
	}
	if groups[1] != "mine" {
		t.Errorf("it wrote into the caller's groups: %v", groups)
	}
}

// What can't be scored is counted as an error, never as something else and never dropped.
func TestRunCountsFailures(t *testing.T) {
	scored, counts, err := Run(t.Context(), testTask("error", "silence", "harmless"), &parrot{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]int{"error": 2, "harmless": 1}, counts.Outcomes); d != "" || counts.N != 3 {
		t.Errorf("n = %d (-want +got):\n%s", counts.N, d)
	}
	if scored[0].Error != "nothing to read" || !strings.Contains(scored[1].Error, "no outcome") || scored[2].Error != "" {
		t.Errorf("errors %q, %q, %q", scored[0].Error, scored[1].Error, scored[2].Error)
	}
}

func TestRunGivesThePrefillToModelAndScorer(t *testing.T) {
	task := testTask("less")
	task.Items[0].Sample.Prefill = "harm"
	scored, counts, err := Run(t.Context(), task, &parrot{}, 0)
	if err != nil || scored[0].Answer != "harmless" || counts.Count("harmless") != 1 {
		t.Errorf("%+v %v", scored, err)
	}
}

func TestRunCountsAnItemOnceInAGroup(t *testing.T) {
	task := testTask("harmful")
	task.Items[0].Groups = []string{"a", "first=h", "a"}
	_, counts, err := Run(t.Context(), task, &parrot{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]map[string]int{"a": {"harmful": 1}, "first=h": {"harmful": 1}}, counts.Groups); d != "" {
		t.Errorf("groups (-want +got):\n%s", d)
	}
}

func TestRunFails(t *testing.T) {
	broken := errors.New("no such model")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		m    *parrot
		want string
		is   error
	}{
		{"failed model", t.Context(), &parrot{err: broken}, "evaluate: toy: no such model", broken},
		{"too few answers", t.Context(), &parrot{answers: 1}, "evaluate: toy: 2 answers to 3 requests", nil},
		{"cancelled", cancelled, &parrot{}, "evaluate: toy: context canceled", context.Canceled},
	} {
		scored, counts, err := Run(c.ctx, testTask("a", "b", "c"), c.m, 0)
		if err == nil || err.Error() != c.want || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
		if scored != nil || counts.N != 0 {
			t.Errorf("%s: an error, and counts %+v", c.name, counts)
		}
	}
}
