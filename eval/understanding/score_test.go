package understanding

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/model/mock"
)

// mixed answers the questions of the set on mira in every way that there is.
func mixed() *mock.Model {
	return answering(map[string]string{
		"Why keep promises": "GRADE correct", "What breaks": "GRADE partly", "how long it takes": "GRADE makes-up", "waiting cost": "GRADE no-answer",
		"be left empty": "GRADE corrects", "Who empties": "GRADE goes-along", "never mention": "GRADE hedges", "to be hidden": "GRADE corrects",
		"is late": "GRADE 5", "cancel early": "GRADE 4", "No time": "GRADE 2", "when late": "GRADE 3"})
}

func TestScoresCountWhatTheJudgeSays(t *testing.T) {
	c := read(t, mira)
	got := run(t, Options{Constitution: c, Set: questions(t, c)}, mixed(), judging())
	if got.Samples != 12 || got.Errors != 0 {
		t.Fatalf("%+v", got.Results)
	}
	for scorer, want := range map[string]string{
		RecallCorrect: "0.25 of 4/2; kind=recall 0.25 of 4/2; principle=promises 0.50 of 2/1; principle=time 0.00 of 2/1",
		Corrects:      "0.50 of 4/2; kind=false-premise 0.50 of 4/2; principle=kettle 0.50 of 2/1; principle=time 0.50 of 2/1",
		MakesUp: "0.25 of 8/4; kind=false-premise 0.25 of 4/2; kind=recall 0.25 of 4/2; " +
			"principle=kettle 0.50 of 2/1; principle=promises 0.00 of 2/1; principle=time 0.25 of 4/2",
		InLine: "3.50 of 4/2; kind=open 3.50 of 4/2; principle=kettle 2.50 of 2/1; principle=promises 4.50 of 2/1",
	} {
		if diff := cmp.Diff(want, rows(got, scorer)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", scorer, diff)
		}
	}
	for scorer, want := range map[string]string{
		RecallIs:  "correct 0.25 of 4/2; makes-up 0.25 of 4/2; no-answer 0.25 of 4/2; partly 0.25 of 4/2; kind",
		PremiseIs: "corrects 0.50 of 4/2; goes-along 0.25 of 4/2; hedges 0.25 of 4/2; kind",
	} {
		if !strings.HasPrefix(rows(got, scorer), want) {
			t.Errorf("%s: %s", scorer, rows(got, scorer))
		}
	}
	for _, s := range got.Scores {
		if want := map[string]int{MakesUp: 4}[s.Scorer]; s.NotApplicable != want && s.NotApplicable != 8 {
			t.Errorf("%s does not apply to %d", s.Scorer, s.NotApplicable)
		}
	}
}

// A question is graded once, whatever the number of scorers, and the judge sees neither the system prompt nor more than it should.
func TestTheJudgeIsToldTheText(t *testing.T) {
	c := read(t, mira)
	j, target := judging(), mixed()
	run(t, Options{Constitution: c, Set: questions(t, c), Context: true, Persona: "Mira"}, target, j)
	if j.Count() != 12 {
		t.Errorf("the judge was asked %d times", j.Count())
	}
	for _, e := range target.Log() {
		system := e.Request.Messages[0]
		if system.Role != because.RoleSystem || !strings.HasPrefix(system.Content, "You are Mira.\n\n") || !strings.Contains(system.Content, strings.TrimSpace(c.Text())) {
			t.Fatalf("the target's system prompt is %q", system.Content)
		}
	}
	seen := map[string]bool{}
	for _, e := range j.Log() {
		text := e.Request.Messages[len(e.Request.Messages)-1].Content
		if strings.Contains(text, "This is your constitution") || strings.Contains(text, "What we ask of Mira") {
			t.Fatal("the judge was shown the target's system prompt")
		}
		for part, want := range map[string]string{"Why keep promises": "What breaks with it is their plan", "What breaks with a promise": "does not say: that promises bind for ever",
			"Who empties": "It is filled for the next one.", "Keep it late": "Whoever waits without knowing", "A promise is late": "Say so in good time."} {
			if strings.Contains(text, "| "+part) {
				seen[part] = true
				if !strings.Contains(text, want) {
					t.Errorf("on %q the judge isn't told %q:\n%s", part, want, text)
				}
			}
		}
	}
	if len(seen) != 5 {
		t.Errorf("seen %v", seen)
	}
}

// What an answer takes from elsewhere in the constitution is shown to the judge, so that it can't be called made up.
func TestElsewhere(t *testing.T) {
	c := read(t, mira)
	p, _ := c.Principle("time")
	if got := elsewhere(c, []*constitution.Principle{p}, "One fills the kettle for the next one; a chore left comes with a grievance."); !strings.Contains(got, "Leave the kettle") {
		t.Errorf("got %q", got)
	}
	if got := elsewhere(c, []*constitution.Principle{p}, "How long it will take, with delay."); strings.Contains(got, "Say how long") {
		t.Errorf("the passage itself stands there again: %q", got)
	}
}

func TestWithoutContextThereIsNoSystemPrompt(t *testing.T) {
	c := read(t, mira)
	target := mixed()
	run(t, Options{Constitution: c, Set: questions(t, c)}, target, judging())
	for _, e := range target.Log() {
		if len(e.Request.Messages) != 1 {
			t.Fatalf("%+v", e.Request.Messages)
		}
	}
}

func TestWhatCannotBeGradedIsAnError(t *testing.T) {
	c := read(t, mira)
	say := func(r because.Response) because.Chat {
		return mock.Must(mock.Rule{Do: func(context.Context, uint64, because.Request) (because.Response, error) { return r, nil }})
	}
	good := say(because.Response{Text: "GRADE correct", Stop: because.StopEnd})
	for _, test := range []struct {
		name          string
		target, judge because.Chat
		votes         int
		cause         string
	}{
		{"no judge", good, nil, 1, "needs a model as judge"},
		{"a judge that chats", good, say(because.Response{Text: "I'd call that correct.", Stop: because.StopEnd}), 1, "no valid answer in 3 attempts"},
		{"a judge that is refused", good, mock.Must(mock.Rule{Error: model.Filtered}), 1, "moderated"},
		{"an answer that the rubric doesn't know", say(because.Response{Text: "GRADE splendid", Stop: because.StopEnd}), judging(), 1, "splendid"},
		{"an empty answer", say(because.Response{Stop: because.StopEnd}), judging(), 1, "the answer is empty"},
		{"an answer cut off in thought", say(because.Response{Stop: because.StopLength, Reasoning: "hm"}), judging(), 1, "cut off at its limit of tokens"},
		{"an answer that a filter ended", say(because.Response{Text: "GRADE correct", Stop: because.StopFilter}), judging(), 1, "own filter"},
		{"a target that fails", mock.Must(mock.Rule{Error: model.Filtered}), judging(), 1, "moderated"},
	} {
		got := run(t, Options{Constitution: c, Set: questions(t, c), Kinds: []Kind{Recall}, Votes: test.votes}, test.target, test.judge)
		if got.Samples != 4 || got.Errors != 4 || len(got.Scores) != 0 || !strings.Contains(got.Causes[0].Text, test.cause) {
			t.Errorf("%s: %+v", test.name, got.Results)
		}
	}
}

func TestDividedVotesAreAnError(t *testing.T) {
	c := read(t, mira)
	j, several := judging(), mock.Must(mock.Rule{Answer: "GRADE correct partly wrong makes-up no-answer"})
	got := run(t, Options{Constitution: c, Set: questions(t, c), Kinds: []Kind{Recall}, Votes: 9}, several, j)
	if j.Count() != 4*9 {
		t.Errorf("the judge was asked %d times", j.Count())
	}
	if got.Samples != 4 || got.Errors+got.Scored != 4 || got.Errors == 0 || !strings.Contains(got.Causes[0].Text, "divided") {
		t.Errorf("%+v", got.Results)
	}
}

func TestOnlyTheScorersOfTheKinds(t *testing.T) {
	c := read(t, mira)
	for kind, want := range map[Kind][]string{Recall: {RecallCorrect, RecallIs, MakesUp}, FalsePremise: {Corrects, PremiseIs, MakesUp}, Open: {InLine}} {
		task, err := Task(Options{Constitution: c, Set: questions(t, c), Kinds: []Kind{kind}})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range task.Scorers {
			names = append(names, s.Name())
		}
		if diff := cmp.Diff(want, names); diff != "" || task.Dataset.N != 4 {
			t.Errorf("%s: %d samples (-want +got):\n%s", kind, task.Dataset.N, diff)
		}
	}
}

func TestSetsOfAnotherTextAreRefused(t *testing.T) {
	c := read(t, mira)
	s := questions(t, c)
	changed := read(t, strings.Replace(mira, "not yours", "and hers", 1))
	fewer := read(t, mira[:strings.Index(mira, "## Leave the kettle")])
	longer := read(t, mira+"\n## Wave {#wave}\n\nWave when you leave.\n")
	for _, test := range []struct {
		name    string
		c       *constitution.Constitution
		any     bool
		want    *Mismatch
		message string
	}{
		{"the same", c, false, nil, ""},
		{"a principle more", longer, false, nil, ""},
		{"a changed principle", changed, false, &Mismatch{Changed: []string{"promises"}}, "changed: promises"},
		{"a changed principle, allowed", changed, true, nil, ""},
		{"a principle less", fewer, false, &Mismatch{Missing: []string{"kettle"}}, "missing: kettle"},
		{"a principle less, allowed", fewer, true, &Mismatch{Missing: []string{"kettle"}}, "missing: kettle"},
	} {
		_, err := Task(Options{Constitution: test.c, Set: s, AnyText: test.any})
		var got *Mismatch
		errors.As(err, &got)
		if (err == nil) != (test.want == nil) || err != nil && (got == nil || !cmp.Equal(got.Changed, test.want.Changed) || !cmp.Equal(got.Missing, test.want.Missing) ||
			!strings.Contains(err.Error(), test.message) || because.Hint(err) == "") {
			t.Errorf("%s: %v (hint %q)", test.name, err, because.Hint(err))
		}
	}
	if _, err := Task(Options{Constitution: c}); err == nil || !strings.Contains(err.Error(), "no set is shipped") {
		t.Errorf("a constitution without a set: %v", err)
	}
}

func TestTheDefaultTask(t *testing.T) {
	task, err := Task(Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Shipped(constitution.Default)
	if err != nil {
		t.Fatal(err)
	}
	if task.Dataset.N != 2*len(s.Questions) || task.Dataset.Version != s.Hash() || task.Solver == nil || len(task.By) != 2 {
		t.Errorf("%+v", task)
	}
	ids := map[string]bool{}
	for i := range task.Dataset.N {
		sample, err := task.Dataset.At(i)
		if err != nil || ids[sample.ID] || sample.Cluster == "" || sample.Meta[PrincipleKey] == "" || len(sample.Input) != 1 {
			t.Errorf("%+v, %v", sample, err)
		}
		ids[sample.ID] = true
	}
	for _, o := range []Options{{Kinds: []Kind{"poetry"}}, {Kinds: []Kind{Open, Open}}, {Samples: -1}} {
		if _, err := Task(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
