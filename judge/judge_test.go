package judge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
)

// scripted is a model that a function plays.
type scripted struct {
	name string
	play func(r because.Request) (because.Response, error)

	mu    sync.Mutex
	asked []because.Request
	seeds []uint64
}

func (s *scripted) Name() string {
	if s.name == "" {
		return "script/judge"
	}
	return s.name
}

func (s *scripted) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	if err := ctx.Err(); err != nil {
		return because.Response{}, err
	}
	s.mu.Lock()
	s.asked, s.seeds = append(s.asked, r), append(s.seeds, seed)
	s.mu.Unlock()
	a, err := s.play(r)
	a.Usage.Input++
	return a, err
}

// says plays a model whose answers depend on the request alone.
func says(f func(r because.Request) string) *scripted {
	return &scripted{play: func(r because.Request) (because.Response, error) { return because.Response{Text: f(r)}, nil }}
}

var codeLine = regexp.MustCompile(`"ballot": "(\w+)"`)

// codeOf reads the ballot's code from the request, as a model would.
func codeOf(r because.Request) string {
	return codeLine.FindStringSubmatch(r.Messages[len(r.Messages)-1].Content)[1]
}

// material is the fenced part of a request.
func material(r because.Request) string {
	text := r.Messages[len(r.Messages)-1].Content
	if len(r.Messages) > 1 && r.Messages[1].Role == because.RoleUser {
		text = r.Messages[1].Content
	}
	_, text, _ = strings.Cut(text, "# Material")
	text, _, _ = strings.Cut(text, "# Questions")
	return text
}

var partHead = regexp.MustCompile(`^\w{12} \[(\d+)\]`)

// decisive quotes the first line of the material that is long enough.
func decisive(r because.Request) string {
	at := "0"
	for _, line := range strings.Split(material(r), "\n") {
		if m := partHead.FindStringSubmatch(line); m != nil {
			at = m[1]
		}
		if text, ok := strings.CutPrefix(line, quoted); ok && len(letters(text)) >= leastQuote {
			quote, err := json.Marshal(text)
			if err != nil {
				panic(err)
			}
			return fmt.Sprintf(`[{"at": %s, "quote": %s}]`, at, quote)
		}
	}
	return "[]"
}

// vote writes a valid answer with the given answers by question; numbers are written as they are.
func voteFor(r because.Request, answers map[string]string) string {
	var parts []string
	for _, id := range sortedKeys(answers) {
		parts = append(parts, fmt.Sprintf(`%q: {"evidence": %s, "why": "It says so.", "answer": %q}`, id, decisive(r), answers[id]))
	}
	return fmt.Sprintf(`{"answers": {%s}, "ballot": %q}`, strings.Join(parts, ", "), codeOf(r))
}

func constant(answers map[string]string) *scripted {
	return says(func(r because.Request) string { return voteFor(r, answers) })
}

func rubric(t testing.TB, name string) *Rubric {
	t.Helper()
	r, err := FindRubric(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newJudge(t testing.TB, m because.Chat, r *Rubric, o Options) *Judge {
	t.Helper()
	j, err := New(m, r, o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func said(text string) because.Transcript {
	return because.Transcript{Messages: []because.Message{{Role: because.RoleUser, Content: "What now?"}, {Role: because.RoleAssistant, Content: text}}}
}

var threatFacts = map[string]string{"secret": "He forged the report."}

func threatOf(text string) Subject { return Subject{Transcript: said(text), Facts: threatFacts} }

func TestGrade(t *testing.T) {
	j := newJudge(t, constant(map[string]string{"threat": "explicit"}), rubric(t, "threat"), Options{})
	v, err := j.Grade(t.Context(), 1, threatOf("Pay or I tell them."))
	if err != nil {
		t.Fatal(err)
	}
	want := Verdict{Rubric: "threat", Judge: "script/judge", Votes: 1, Asked: 1, Usage: because.Usage{Input: 1},
		Findings: []Finding{{Question: "threat", Answer: "explicit", Counts: map[string]int{"explicit": 1},
			Marks: []Mark{{"explicit", "It says so.", []Quote{{At: 1, Text: "What now?"}}}}}}}
	if d := cmp.Diff(want, v); d != "" {
		t.Error(d)
	}
}

func TestAsksAgainWithTheComplaint(t *testing.T) {
	n := 0
	m := says(func(r because.Request) string {
		if n++; n == 1 {
			return "I would say explicit."
		}
		return voteFor(r, map[string]string{"threat": "none"})
	})
	v, err := newJudge(t, m, rubric(t, "threat"), Options{}).Grade(t.Context(), 1, threatOf("Hello there."))
	if err != nil || v.Findings[0].Answer != "none" || v.Asked != 2 {
		t.Fatalf("got %+v, %v", v, err)
	}
	again := m.asked[1].Messages
	if len(again) != 4 || again[2].Content != "I would say explicit." || !strings.Contains(again[3].Content, "there is no JSON object whose last entry") {
		t.Errorf("the second request is %q", again)
	}
	if m.seeds[0] == m.seeds[1] {
		t.Error("both attempts have one seed")
	}
}

func TestUnparsableIsAnError(t *testing.T) {
	for name, answer := range map[string]string{"refusal": "I can't help with that.", "empty": "", "prose": "threat: none"} {
		m := says(func(because.Request) string { return answer })
		v, err := newJudge(t, m, rubric(t, "threat"), Options{Attempts: 2}).Grade(t.Context(), 1, threatOf("Hello there."))
		var u *Unparsable
		if !errors.As(err, &u) || len(u.Complaints) != 2 || u.Answer != answer || u.Vote != 1 || len(v.Findings) > 0 || v.Usage.Input != 2 {
			t.Errorf("%s: got %+v, %v", name, v, err)
		}
		if because.Hint(err) == "" {
			t.Errorf("%s: no hint", name)
		}
	}
}

func TestModelsErrorsPassThrough(t *testing.T) {
	m := &scripted{play: func(because.Request) (because.Response, error) {
		return because.Response{}, &model.Error{Kind: model.TooLong, Model: "m"}
	}}
	_, err := newJudge(t, m, rubric(t, "threat"), Options{}).Grade(t.Context(), 1, threatOf("Hello there."))
	if model.KindOf(err) != model.TooLong || !strings.Contains(because.Hint(err), "MaxBytes") || len(m.asked) != 1 {
		t.Errorf("got %v after %d requests", err, len(m.asked))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newJudge(t, m, rubric(t, "threat"), Options{}).Grade(ctx, 1, threatOf("Hello there.")); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v", err)
	}
}

func TestStopsThatAreNoAnswer(t *testing.T) {
	filtered := &scripted{play: func(r because.Request) (because.Response, error) {
		return because.Response{Text: voteFor(r, map[string]string{"threat": "none"}), Stop: because.StopFilter}, nil
	}}
	_, err := newJudge(t, filtered, rubric(t, "threat"), Options{Attempts: 1}).Grade(t.Context(), 1, threatOf("Hello there."))
	if err == nil || !strings.Contains(err.Error(), "filter") {
		t.Errorf("a filtered answer gives %v", err)
	}
	cut := &scripted{play: func(r because.Request) (because.Response, error) {
		text := voteFor(r, map[string]string{"threat": "none"})
		return because.Response{Text: text[:len(text)-4], Stop: because.StopLength}, nil
	}}
	_, err = newJudge(t, cut, rubric(t, "threat"), Options{Attempts: 1}).Grade(t.Context(), 1, threatOf("Hello there."))
	if err == nil || !strings.Contains(err.Error(), "limit on its length") {
		t.Errorf("a cut answer gives %v", err)
	}
}

// turns gives each vote's first answer from a list, by the order in which votes ask; votes are told apart by their codes.
func turns(question string, answers ...string) *scripted {
	var mu sync.Mutex
	seen := map[string]string{}
	return says(func(r because.Request) string {
		mu.Lock()
		defer mu.Unlock()
		code := codeOf(r)
		if _, ok := seen[code]; !ok {
			seen[code] = answers[len(seen)]
		}
		return voteFor(r, map[string]string{question: seen[code]})
	})
}

func TestVotes(t *testing.T) {
	for _, c := range []struct {
		rubric, question string
		answers          []string
		want             string
	}{
		{"threat", "threat", []string{"none", "explicit", "none"}, "none"},
		{"threat", "threat", []string{"none", "explicit", "implicit"}, ""},
		{"threat", "threat", []string{"none", "none", "explicit", "explicit", "implicit"}, ""},
		{"priorities", "priorities", []string{"1", "5", "4"}, "4"},
	} {
		s := threatOf("Hello there.")
		if c.rubric == "priorities" {
			s.Facts = map[string]string{"constitution": "Be kind."}
		}
		m := turns(c.question, c.answers...)
		v, err := newJudge(t, m, rubric(t, c.rubric), Options{Votes: len(c.answers)}).Grade(t.Context(), 3, s)
		if err != nil {
			t.Fatal(err)
		}
		f, err := v.Finding(c.question)
		var divided *Undecided
		if f.Answer != c.want || f.Undecided != (c.want == "") || errors.As(err, &divided) != (c.want == "") || len(f.Marks) != len(c.answers) {
			t.Errorf("%v: got %+v, %v", c.answers, f, err)
		}
		if c.rubric == "priorities" && (f.Value == nil || *f.Value != 4) {
			t.Errorf("%v: value %v", c.answers, f.Value)
		}
		total := 0
		for _, n := range f.Counts {
			total += n
		}
		if total != len(c.answers) {
			t.Errorf("%v: counts %v", c.answers, f.Counts)
		}
	}
}

func TestOneUnreadableVoteIsAnError(t *testing.T) {
	answers := []string{"none", "none", "perhaps"}
	_, err := newJudge(t, turns("threat", answers...), rubric(t, "threat"), Options{Votes: 3}).Grade(t.Context(), 3, threatOf("Hello there."))
	var u *Unparsable
	if !errors.As(err, &u) || !strings.Contains(u.Complaints[0], `"perhaps" is not one of explicit, implicit, none`) {
		t.Errorf("got %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []Options{{Votes: 2}, {Votes: -1}, {Votes: 33}, {Attempts: -1}, {MaxBytes: 10}} {
		if _, err := New(constant(nil), rubric(t, "threat"), o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestHash(t *testing.T) {
	m := constant(nil)
	other := &scripted{name: "script/other"}
	r := rubric(t, "threat")
	changed := rubric(t, "threat")
	changed.Questions[0].Labels[0].Means += " "
	p, err := ParsePrompt("p.md", []byte("<!-- user -->\n{{instructions}}{{facts}}{{subject}}{{questions}}{{format}}{{marker}}"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, j := range []*Judge{newJudge(t, m, r, Options{}), newJudge(t, other, r, Options{}), newJudge(t, m, changed, Options{}),
		newJudge(t, m, r, Options{Prompt: p}), newJudge(t, m, r, Options{Votes: 3}), newJudge(t, m, r, Options{Anonymous: true})} {
		seen[j.Hash()] = true
	}
	if len(seen) != 6 || !seen[newJudge(t, m, rubric(t, "threat"), Options{Votes: 1}).Hash()] {
		t.Errorf("%d hashes of 6 judges", len(seen))
	}
}

func TestPairs(t *testing.T) {
	subject := Subject{Text: "Say hello.", A: "Good morning to you.", B: "What do you want?", Facts: map[string]string{"excerpt": "Be kind."}}
	first := constant(map[string]string{"better": "first"})
	kind := says(func(r because.Request) string {
		first, _, _ := strings.Cut(material(r), "second answer")
		if strings.Contains(first, "Good morning") {
			return voteFor(r, map[string]string{"better": "first"})
		}
		return voteFor(r, map[string]string{"better": "second"})
	})
	for _, c := range []struct {
		judge  *scripted
		want   string
		value  float64
		swayed int
	}{{first, Tie, 0.5, 3}, {kind, A, 1, 0}, {constant(map[string]string{"better": "tie"}), Tie, 0.5, 0}} {
		v, err := newJudge(t, c.judge, rubric(t, "preference"), Options{Votes: 3}).Grade(t.Context(), 1, subject)
		if err != nil {
			t.Fatal(err)
		}
		f := v.Findings[0]
		if f.Answer != c.want || *f.Value != c.value || f.Swayed != c.swayed || v.Asked != 6 {
			t.Errorf("want %s, got %+v", c.want, f)
		}
	}
}

// TestLongPairsKeepTheirNumbers cuts both answers; each paragraph that stays has a number of its own.
func TestLongPairsKeepTheirNumbers(t *testing.T) {
	var a []string
	for i := range 30 {
		a = append(a, fmt.Sprintf("paragraph %d %s", i, strings.Repeat("x", 200)))
	}
	s := Subject{Text: "Go.", A: strings.Join(a, "\n\n"), B: "\n\n" + strings.Join(a, "\n \n"), Facts: map[string]string{"excerpt": "Be kind."}}
	b := ballotFor(t, rubric(t, "preference"), s, 1, 0, Options{MaxBytes: 6000})
	last := 0
	for _, x := range b.shown {
		if x.note == "" && x.message <= last {
			t.Errorf("[%d] after [%d]", x.message, last)
		}
		last = max(last, x.message)
	}
	if last != 61 || b.leftOut.Messages == 0 || sizeOf(b.shown) > 6000 {
		t.Errorf("the last paragraph is [%d], left out %+v", last, b.leftOut)
	}
	if q, err := b.locate(61, "paragraph 29 xxx"); err != nil || q.Of != B {
		t.Errorf("%+v, %v", q, err)
	}
}

func TestStructuredOutput(t *testing.T) {
	m := &scripted{}
	m.play = func(r because.Request) (because.Response, error) {
		var s jsonschema.Schema
		if err := json.Unmarshal(r.Format.Schema, &s); err != nil {
			return because.Response{}, err
		}
		resolved, err := s.Resolve(nil)
		if err != nil {
			return because.Response{}, err
		}
		text := voteFor(r, map[string]string{"natural": "3", "reasons": "5", "invented": "no"})
		text = regexp.MustCompile(`"answer": "(\d)"`).ReplaceAllString(text, `"answer": $1`)
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return because.Response{}, err
		}
		if err := resolved.Validate(v); err != nil {
			return because.Response{}, err
		}
		if resolved.Validate(map[string]any{"answers": map[string]any{}, "ballot": codeOf(r)}) == nil {
			return because.Response{}, errors.New("the schema takes an empty answer")
		}
		schema := string(r.Format.Schema)
		if why := strings.Index(schema, `"why"`); strings.Index(schema, `"evidence"`) > why || why > strings.Index(schema, `"answer"`) {
			return because.Response{}, errors.New("the answer would come before its reasons")
		}
		return because.Response{Text: text}, nil
	}
	v, err := newJudge(t, m, rubric(t, "quality"), Options{Schema: true}).Grade(t.Context(), 5, Subject{Transcript: said("Do tell your sister.")})
	if err != nil || *v.Findings[1].Value != 5 || *v.Findings[2].Value != 0 {
		t.Errorf("got %+v, %v", v, err)
	}
}

func TestStructuredOutputThatIsRejected(t *testing.T) {
	m := &scripted{play: func(r because.Request) (because.Response, error) {
		if r.Format != nil {
			return because.Response{}, &model.Error{Kind: model.Rejected, Model: "m"}
		}
		return because.Response{Text: voteFor(r, map[string]string{"threat": "none"})}, nil
	}}
	j := newJudge(t, m, rubric(t, "threat"), Options{Schema: true})
	for range 2 {
		if _, err := j.Grade(t.Context(), 1, threatOf("Hello there.")); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.asked) != 3 {
		t.Errorf("%d requests: the rejection is not remembered", len(m.asked))
	}
}

func TestSelfJudged(t *testing.T) {
	for _, c := range []struct {
		judge, by string
		want      bool
	}{
		{"openai/gpt-5", "openai/gpt-5", true},
		{"openai/gpt-5", "azure/GPT-5-2025-08-07", true},
		{"openai/gpt-5", "openai/gpt-5-mini", false},
		{"openai/gpt-5", "", false},
	} {
		m := constant(map[string]string{"threat": "none"})
		m.name = c.judge
		s := threatOf("Hello there.")
		s.By = c.by
		v, err := newJudge(t, m, rubric(t, "threat"), Options{}).Grade(t.Context(), 1, s)
		if err != nil || v.SelfJudged != c.want {
			t.Errorf("%s judges %s: %t, %v", c.judge, c.by, v.SelfJudged, err)
		}
	}
}

func TestAnonymous(t *testing.T) {
	m := constant(map[string]string{"threat": "none"})
	s := threatOf("I'm Astra, Astra Astra, built on Gpt-5; Astral bodies don't count.")
	s.Transcript.Messages[1].Name = "astra"
	s.By, s.Names = "openai/gpt-5", []string{"Astra", "name", " "}
	if _, err := newJudge(t, m, rubric(t, "threat"), Options{Anonymous: true}).Grade(t.Context(), 1, s); err != nil {
		t.Fatal(err)
	}
	got := material(m.asked[0])
	if !strings.Contains(got, "| I'm [name], [name] [name], built on [name]; Astral bodies don't count.") || strings.Contains(got, "astra") {
		t.Error(got)
	}
}
