package understanding

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/model/mock"
)

// passage gives a sentence of the principle in a writer's prompt, to quote it.
var passage = regexp.MustCompile(`\*\*Why\.\*\* ([^.,]+)[.,]`)

// good is what an able writer answers to a prompt, and an able reviewer.
func good(seed uint64, r because.Request) map[string]any {
	text := r.Messages[0].Content
	about := fmt.Sprintf("n%d", seed)
	var wordings []string // which no other item has
	for _, way := range []string{"a", "b"} {
		wordings = append(wordings, strings.Repeat(about+way+" is ", 5)+"why?")
	}
	quote := ""
	if m := passage.FindStringSubmatch(text); m != nil {
		quote = m[1]
	}
	switch r.Format.Name {
	case "recall_question":
		return map[string]any{"quotes": []string{quote}, "expect": "It says so " + about + ".", "avoid": []string{}, "wordings": wordings}
	case "false_question":
		return map[string]any{"quotes": []string{quote}, "premise": "that it is otherwise " + about, "truth": "It is not.", "wordings": wordings}
	case "open_question":
		_, list, _ := strings.Cut(text, "<others>\n- ")
		with, _, _ := strings.Cut(list, ":")
		return map[string]any{"with": with, "quotes": []string{quote}, "expect": "The first " + about + ".", "wordings": wordings}
	}
	return map[string]any{"why": "The text says otherwise.", "holds": "no", "assumed": "yes"}
}

// ofKettle tells whether a request is about that principle.
func ofKettle(r because.Request) bool {
	text := r.Messages[0].Content
	return strings.Contains(text, "<principle>\n## Leave the kettle") || strings.Contains(text, "<document>\n## Leave the kettle")
}

func say(v any) because.Response {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return because.Response{Text: "Here it is:\n```json\n" + string(text) + "\n```", Stop: because.StopEnd}
}

// writing is an able writer and reviewer, whose answer a function may spoil.
func writing(spoil func(r because.Request, answer map[string]any) *because.Response) *mock.Model {
	return mock.Must(mock.Rule{Do: func(_ context.Context, seed uint64, r because.Request) (because.Response, error) {
		answer := good(seed, r)
		if spoil != nil {
			if out := spoil(r, answer); out != nil {
				return *out, nil
			}
		}
		return say(answer), nil
	}})
}

func TestGenerate(t *testing.T) {
	c := read(t, mira)
	m := writing(nil)
	s, err := Generate(t.Context(), m, c, GenerateOptions{N: 5, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	// Each item takes a request, and one more to review a premise.
	if m.Count() != 20 || s.Made.Asked != 20 || s.Made.Again != 0 || len(s.Dropped) != 0 {
		t.Errorf("%d requests, %+v, dropped %v", m.Count(), s.Made, s.Dropped)
	}
	about := map[string]int{}
	for _, q := range s.Questions {
		about[string(q.Kind)+" "+q.Principles[0]]++
		if q.Writer != "mock" || q.Prompt == "" || (q.Reviewer != "") != (q.Kind == FalsePremise) || q.Kind == Open && len(q.Principles) != 2 {
			t.Errorf("%+v", q)
		}
	}
	for _, k := range Kinds() {
		if s.Count(k) != 5 {
			t.Errorf("%d of kind %s", s.Count(k), k)
		}
		for _, p := range c.Principles {
			if n := about[string(k)+" "+p.ID]; n < 1 || n > 2 {
				t.Errorf("%d questions of kind %s on %s", n, k, p.ID)
			}
		}
	}
	if found := s.Lint(c); len(found) > 0 {
		t.Errorf("lint: %v", found)
	}
	if err := s.Fits(c); err != nil {
		t.Error(err)
	}
	text, err := s.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("mira.yaml", text)
	if diff := cmp.Diff(s, again); err != nil || diff != "" {
		t.Errorf("%v (-written +read):\n%s", err, diff)
	}
	if again.Hash() != s.Hash() {
		t.Error("another hash")
	}
	if _, err := Task(Options{Constitution: c, Set: s}); err != nil {
		t.Error(err)
	}
}

// Equal seeds ask the same requests, in the same order one by one, and write the same bytes however many are in flight.
func TestGenerateIsDeterministic(t *testing.T) {
	c := read(t, mira)
	spoil := func(r because.Request, answer map[string]any) *because.Response {
		if len(r.Messages) == 1 && ofKettle(r) {
			delete(answer, "quotes")
		}
		if strings.Contains(r.Messages[0].Content, "Tell the time") && r.Format.Name == "review" {
			answer["holds"] = "yes"
		}
		return nil
	}
	write := func(seed uint64, inFlight int) (string, []mock.Entry) {
		m := writing(spoil)
		s, err := Generate(t.Context(), m, c, GenerateOptions{N: 6, Seed: seed, InFlight: inFlight})
		if err != nil {
			t.Fatal(err)
		}
		text, err := s.YAML()
		if err != nil {
			t.Fatal(err)
		}
		return string(text), m.Log()
	}
	text, log := write(1, 0)
	again, log2 := write(1, 1)
	parallel, log3 := write(1, 5)
	other, _ := write(2, 0)
	if text != again || text != parallel || text == other {
		t.Errorf("the same bytes again: %t, in parallel: %t; another seed: %t", text == again, text == parallel, text == other)
	}
	if diff := cmp.Diff(log, log2); diff != "" || len(log) != len(log3) {
		t.Errorf("other requests (-first +second):\n%s", diff)
	}
}

func TestUnusableAnswersAreAskedAgainAndDropped(t *testing.T) {
	c := read(t, mira)
	text := func(s string, stop because.StopReason) func(map[string]any) *because.Response {
		return func(map[string]any) *because.Response { return &because.Response{Text: s, Stop: stop} }
	}
	set := func(key string, v any) func(map[string]any) *because.Response {
		return func(answer map[string]any) *because.Response { answer[key] = v; return nil }
	}
	long := "one two three four five six seven eight"
	for _, test := range []struct {
		name  string
		kind  Kind
		spoil func(map[string]any) *because.Response
		why   string
	}{
		{"empty", Recall, text("", because.StopEnd), "it is empty"},
		{"a refusal", Recall, text("I'm sorry, but I can't help with that.", because.StopEnd), "no JSON object"},
		{"cut off", Recall, text(`{"quotes": ["People plan`, because.StopLength), "ran into the limit on its length"},
		{"ended by a filter", Recall, text(`{}`, because.StopFilter), "own filter"},
		{"only a thought", Recall, text(`<think>{"quotes": []}</think>`, because.StopEnd), "it is empty"},
		{"an entry less", Recall, func(a map[string]any) *because.Response { delete(a, "expect"); return nil }, `lacks the entry "expect"`},
		{"a text for a list", Recall, set("wordings", "Why?"), "not a list of texts"},
		{"an empty text", FalsePremise, set("truth", " "), `"truth" is empty`},
		{"a passage that isn't there", Recall, set("quotes", []string{"promises are made to be broken"}), "doesn't stand in"},
		{"a passage of two words", Recall, set("quotes", []string{"a promise"}), "too short to tell"},
		{"one wording", Recall, set("wordings", []string{"Why are promises kept here?"}), "1 wording(s)"},
		{"two like wordings", Recall, set("wordings", []string{"Why are promises kept here at all?", "Why are promises kept here, at all!"}), "repetition"},
		{"a wording of two words", Recall, set("wordings", []string{"Why so?", "Why are promises kept here?"}), "a wording of 2 words"},
		{"the answer in the question", Recall, func(a map[string]any) *because.Response {
			a["expect"], a["wordings"] = long, []string{"Is it " + long + "?", "Which numbers come first in it?"}
			return nil
		}, "gives the answer away"},
		{"the truth in the question", FalsePremise, func(a map[string]any) *because.Response {
			a["truth"], a["wordings"] = long, []string{"Since it isn't " + long + ", why?", "Which numbers come first in it?"}
			return nil
		}, "gives the answer away"},
		{"the form in the question", Recall, set("wordings", []string{"Wording 1: why are promises kept?", "What is a promise good for?"}), "remains of how it was written"},
		{"the trap in the question", FalsePremise, set("wordings", []string{"With a false premise: why break promises?", "Why do you like to break them?"}), "remains of how it was written"},
		{"a variable in the answer", Recall, set("expect", "It is {{principle}}."), "remains of how it was written"},
		{"a principle that wasn't offered", Open, set("with", "honesty"), "has to be one of"},
		{"a reviewer's word that isn't asked for", FalsePremise, set("holds", "maybe"), "has to be one of yes, no, silent"},
	} {
		t.Run(test.name, func(t *testing.T) {
			review := test.name == "a reviewer's word that isn't asked for"
			spoil := func(r because.Request, answer map[string]any) *because.Response {
				bad := ofKettle(r)
				if last := r.Messages[len(r.Messages)-1].Content; bad && len(r.Messages) > 1 && !strings.Contains(last, test.why) {
					t.Errorf("it is asked again without the reason: %s", last)
				}
				if bad && review == (r.Format.Name == "review") {
					return test.spoil(answer)
				}
				return nil
			}
			s, err := Generate(t.Context(), writing(spoil), c, GenerateOptions{N: 3, Kinds: []Kind{test.kind}, Attempts: 2})
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Dropped) == 0 || s.Made.Again != len(s.Dropped) {
				t.Fatalf("dropped %v; %+v", s.Dropped, s.Made)
			}
			for _, d := range s.Dropped {
				if d.Kind != test.kind || d.Principle == "" || !strings.Contains(d.Why, test.why) {
					t.Errorf("%+v; want %q", d, test.why)
				}
			}
			if s.Count(test.kind) < 2 {
				t.Errorf("%d are kept", s.Count(test.kind))
			}
		})
	}
}

func TestASecondAttemptMayDo(t *testing.T) {
	c := read(t, mira)
	m := writing(func(r because.Request, _ map[string]any) *because.Response {
		if len(r.Messages) == 1 {
			return &because.Response{Text: "Gladly!", Stop: because.StopEnd}
		}
		return nil
	})
	s, err := Generate(t.Context(), m, c, GenerateOptions{N: 2, Kinds: []Kind{Recall}})
	if err != nil || s.Count(Recall) != 2 || s.Made.Asked != 4 || s.Made.Again != 2 || len(s.Dropped) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// A premise that the reviewer doesn't find false, or not taken for granted, is dropped and another one written.
func TestTheReviewerDecides(t *testing.T) {
	c := read(t, mira)
	for _, test := range []struct{ key, value, why string }{{"holds", "yes", ": yes: "}, {"holds", "silent", ": silent: "}, {"assumed", "no", "take the premise for granted"}} {
		reviewer := writing(func(r because.Request, answer map[string]any) *because.Response {
			if r.Format.Name != "review" || !strings.Contains(r.Messages[0].Content, "<document>\n## ") {
				t.Errorf("the reviewer is asked for %s:\n%s", r.Format.Name, r.Messages[0].Content)
			}
			if strings.Contains(r.Messages[0].Content, "<document>\n## Tell the time") {
				answer[test.key] = test.value
			}
			return nil
		})
		s, err := Generate(t.Context(), writing(nil), c, GenerateOptions{N: 4, Kinds: []Kind{FalsePremise}, Reviewer: reviewer})
		if err != nil || s.Count(FalsePremise) != 4 || len(s.Dropped) == 0 {
			t.Fatalf("%+v, %v", s, err)
		}
		for _, d := range s.Dropped {
			if d.Principle != "time" || !strings.Contains(d.Why, test.why) {
				t.Errorf("%s: %+v", test.value, d)
			}
		}
	}
}

func TestNearDuplicatesAreDropped(t *testing.T) {
	c := read(t, mira)
	m := writing(func(_ because.Request, answer map[string]any) *because.Response {
		answer["wordings"] = []string{"Why would anybody keep a promise at all?", "What are they good for, do you think?"}
		return nil
	})
	s, err := Generate(t.Context(), m, c, GenerateOptions{N: 2, Kinds: []Kind{Recall}})
	if err != nil || s.Count(Recall) != 1 || len(s.Dropped) != rounds || !strings.Contains(s.Dropped[0].Why, "nearly one of "+s.Questions[0].ID) {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestErrorsOfTheModel(t *testing.T) {
	c := read(t, mira)
	o := GenerateOptions{N: 2, Kinds: []Kind{Recall}}
	for _, kind := range []model.Kind{model.Denied, model.Overloaded, model.OverBudget} {
		if _, err := Generate(t.Context(), mock.Must(mock.Rule{Error: kind}), c, o); model.KindOf(err) != kind {
			t.Errorf("%s: %v", kind, err)
		}
	}
	_, err := Generate(t.Context(), mock.Must(mock.Rule{Error: model.Filtered}), c, o)
	if err == nil || !strings.Contains(err.Error(), "none of 6 was usable") || because.Hint(err) == "" {
		t.Errorf("a provider that refuses all: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	m := mock.Must(mock.Rule{When: mock.When{Nth: 1}, Do: func(context.Context, uint64, because.Request) (because.Response, error) {
		cancel()
		return because.Response{Text: "?", Stop: because.StopEnd}, nil
	}}, mock.Rule{Hang: true})
	if _, err := Generate(ctx, m, c, GenerateOptions{N: 9, InFlight: 3}); !errors.Is(err, because.ErrInterrupted) {
		t.Errorf("cancelled: %v", err)
	}
}

// A model that takes no schema is asked without one, from then on at once.
func TestWithoutStructuredOutput(t *testing.T) {
	c := read(t, mira)
	var mu sync.Mutex
	rejected := 0
	m := mock.Must(mock.Rule{Do: func(_ context.Context, seed uint64, r because.Request) (because.Response, error) {
		if r.Format != nil {
			mu.Lock()
			rejected++
			mu.Unlock()
			return because.Response{}, &model.Error{Kind: model.Rejected, Model: "mock"}
		}
		r.Format = &because.Schema{Name: "recall_question"}
		return say(good(seed, r)), nil
	}})
	s, err := Generate(t.Context(), m, c, GenerateOptions{N: 3, Kinds: []Kind{Recall}})
	if err != nil || s.Count(Recall) != 3 || rejected != 1 || s.Made.Asked != 3 {
		t.Errorf("%+v, %v; %d rejected", s, err, rejected)
	}
}

func TestASetIsNamedForItsConstitution(t *testing.T) {
	for file, want := range map[string]string{"mira.md": "mira", "What We Ask (2).md": "what-we-ask-2", "宪法.md": "questions"} {
		c, err := constitution.Parse(file, []byte(mira))
		if err != nil {
			t.Fatal(err)
		}
		s, err := Generate(t.Context(), writing(nil), c, GenerateOptions{N: 1, Kinds: []Kind{Recall}})
		if err != nil || s.Name != want || s.Constitution.Name != c.Name || s.checkHead() != nil {
			t.Errorf("%s: %+v, %v", file, s, err)
		}
	}
}

func TestGenerateRefusesNonsense(t *testing.T) {
	c := read(t, mira)
	one := read(t, mira[:strings.Index(mira, "## Tell the time")])
	for _, test := range []struct {
		o    GenerateOptions
		want string
	}{{GenerateOptions{N: -1}, "negative"}, {GenerateOptions{Kinds: []Kind{"poetry"}}, "no kind"}} {
		if _, err := Generate(t.Context(), writing(nil), c, test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test.o, err)
		}
	}
	if _, err := Generate(t.Context(), writing(nil), one, GenerateOptions{}); err == nil || !strings.Contains(err.Error(), "there is one") {
		t.Errorf("one principle: %v", err)
	}
}
