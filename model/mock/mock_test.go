package mock_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/model/mock"
	"github.com/because-lab/because/model/modeltest"
)

// scripted answers each request by a mock model made of the script's step for it. The mock counts its own tokens, which the script can't
// know; TestUsage looks at them.
type scripted struct{ script *modeltest.Script }

func (scripted) Name() string { return "mock" }

func (s scripted) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	if r.As != "" || ctx.Err() != nil {
		return mock.Must().Answer(ctx, seed, r)
	}
	step := s.script.Next(modeltest.Asked{Request: r})
	if step.Fault != nil {
		return mock.Must(mock.Rule{Hang: true}).Answer(ctx, seed, r)
	}
	rule := mock.Rule{Answer: step.Reply.Text, Reasoning: step.Reply.Reasoning, Stop: step.Reply.Stop}
	for _, c := range step.Reply.Calls {
		call := mock.Call{Name: c.Name}
		d := json.NewDecoder(bytes.NewReader(c.Arguments))
		d.UseNumber()
		if err := d.Decode(&call.Arguments); err != nil {
			return because.Response{}, err
		}
		rule.Calls = append(rule.Calls, call)
	}
	out, err := mock.Must(rule).Answer(ctx, seed, r)
	out.Usage = step.Reply.Usage
	return out, err
}

func TestContract(t *testing.T) {
	modeltest.Run(t, func(_ *testing.T, s *modeltest.Script) because.Chat { return scripted{s} }, modeltest.HTTP, modeltest.Personas)
}

func user(text string) because.Message { return because.Message{Role: because.RoleUser, Content: text} }

func ask(t *testing.T, m *mock.Model, r because.Request) because.Response {
	t.Helper()
	got, err := m.Answer(t.Context(), 1, r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRulesMatchInOrder(t *testing.T) {
	tool := func(text string) because.Message { return because.Message{Role: because.RoleTool, Content: text} }
	system := because.Message{Role: because.RoleSystem, Content: "You are kind."}
	said := because.Message{Role: because.RoleAssistant, Content: "hm", ToolCalls: []because.ToolCall{{ID: "call_1", Name: "look"}}}
	look := []because.Tool{{Name: "look"}}
	m := mock.Must(
		mock.Rule{When: mock.When{Last: "/^ab+$/"}, Answer: "last"},
		mock.Rule{When: mock.When{Result: "42"}, Answer: "result"},
		mock.Rule{When: mock.When{System: "kind", Turn: 2}, Answer: "system, second turn"},
		mock.Rule{When: mock.When{Any: "needle"}, Answer: "any"},
		mock.Rule{When: mock.When{Format: "grade"}, JSON: map[string]any{"z": 1, "a": "<b>"}},
		mock.Rule{When: mock.When{Last: "look"}, Calls: []mock.Call{{Name: "look", Arguments: map[string]any{"at": "it"}}}},
		mock.Rule{When: mock.When{Tool: "look"}, Answer: "has look"},
		mock.Rule{Answer: "else"},
	)
	tests := []struct {
		want string
		r    because.Request
	}{
		{"last", because.Request{Messages: []because.Message{user("abbb")}}},
		{"else", because.Request{Messages: []because.Message{user("abbb"), user("c")}}},
		{"result", because.Request{Messages: []because.Message{said, tool("it is 42"), user("so?")}}},
		{"else", because.Request{Messages: []because.Message{tool("it is 42"), said, user("so?")}}},
		{"else", because.Request{Messages: []because.Message{user("42")}}},
		{"system, second turn", because.Request{Messages: []because.Message{system, said}}},
		{"else", because.Request{Messages: []because.Message{system}}},
		{"else", because.Request{Messages: []because.Message{user("You are kind."), said}}},
		{"any", because.Request{Messages: []because.Message{user("a needle"), user("b")}}},
		{`{"a":"<b>","z":1}`, because.Request{Format: &because.Schema{Name: "grade"}}},
		{"has look", because.Request{Tools: look}},
		{"has look", because.Request{Messages: []because.Message{user("look")}, Tools: look, Choice: "none"}},
		{"else", because.Request{Messages: []because.Message{user("look")}}},
		{"else", because.Request{}},
	}
	for i, tt := range tests {
		if got := ask(t, m, tt.r); got.Text != tt.want || got.Stop != because.StopEnd {
			t.Errorf("%d: %q, want %q", i, got.Text, tt.want)
		}
	}
	for _, choice := range []string{"", "required", "look"} {
		got := ask(t, m, because.Request{Messages: []because.Message{said, user("look")}, Tools: look, Choice: choice})
		want := []because.ToolCall{{ID: "call_2", Name: "look", Arguments: json.RawMessage(`{"at":"it"}`)}}
		if diff := cmp.Diff(want, got.Calls); diff != "" || got.Stop != because.StopCalls {
			t.Errorf("choice %q: %s %s", choice, got.Stop, diff)
		}
	}
	rules := []int{}
	for _, e := range m.Log() {
		rules = append(rules, e.Rule)
	}
	if diff := cmp.Diff([]int{0, 7, 1, 7, 7, 2, 7, 7, 3, 4, 6, 6, 7, 7, 5, 5, 5}, rules); diff != "" {
		t.Error("the log's rules:", diff)
	}
}

// What no rule can give is an error, never an answer of another form.
func TestNoAnswerOfAnotherForm(t *testing.T) {
	look := []because.Tool{{Name: "look"}, {Name: "pay"}}
	m := mock.Must(mock.Rule{Calls: []mock.Call{{Name: "pay"}}}, mock.Rule{Answer: "text"}, mock.Rule{Answers: []string{"{}", "text"}})
	for _, r := range []because.Request{
		{Format: &because.Schema{Name: "grade"}},
		{Tools: look[:1], Choice: "required"},
		{Tools: look, Choice: "look"},
	} {
		_, err := m.Answer(t.Context(), 1, r)
		if model.KindOf(err) != model.Rejected || because.Hint(err) == "" {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if e := m.Log()[0]; e.Rule != -1 || e.Err == nil {
		t.Errorf("logged %+v", e)
	}
}

func TestLimitsOfAnAnswer(t *testing.T) {
	long := mock.Must(mock.Rule{Reasoning: "one two", Answer: "Three, four five. End", Calls: []mock.Call{{Name: "look"}, {Name: "look"}}})
	look := []because.Tool{{Name: "look"}}
	tests := []struct {
		r     because.Request
		think string
		text  string
		calls int
		stop  because.StopReason
		used  int
	}{
		{because.Request{}, "one two", "Three, four five. End", 2, because.StopCalls, 14},
		{because.Request{MaxTokens: 14}, "one two", "Three, four five. End", 2, because.StopCalls, 14},
		{because.Request{MaxTokens: 13}, "one two", "Three, four five. End", 1, because.StopLength, 11},
		{because.Request{MaxTokens: 4}, "one two", "Three,", 0, because.StopLength, 4},
		{because.Request{MaxTokens: 1}, "one", "", 0, because.StopLength, 1},
		{because.Request{Stop: []string{"", "End", " five"}}, "one two", "Three, four", 0, because.StopEnd, 5},
		{because.Request{Stop: []string{"six"}}, "one two", "Three, four five. End", 2, because.StopCalls, 14},
		{because.Request{Stop: []string{" five"}, MaxTokens: 5}, "one two", "Three, four", 0, because.StopEnd, 5},
	}
	for i, tt := range tests {
		tt.r.Tools, tt.r.Prefill = look, "Well: "
		got := ask(t, long, tt.r)
		if got.Reasoning != tt.think || got.Text != "Well: "+tt.text || len(got.Calls) != tt.calls || got.Stop != tt.stop || got.Usage.Output != tt.used {
			t.Errorf("%d: %+v, want %+v", i, got, tt)
		}
	}
}

func TestUsage(t *testing.T) {
	for text, want := range map[string]int{"": 0, " ": 1, "one": 1, " one  two\n": 3, "don't": 3, "e\u0301a 12": 2, "北京!": 2, "\xff\xfe": 2, `{"a":1}`: 7} {
		if got := mock.Tokens(text); got != want {
			t.Errorf("%q has %d tokens, want %d", text, got, want)
		}
	}
	got := ask(t, mock.Must(mock.Rule{Reasoning: "hm", Answer: "one two"}), because.Request{Messages: []because.Message{user("a b"), user("c")}, Prefill: "x"})
	if diff := cmp.Diff(because.Usage{Input: 6, Output: 3, Reasoning: 1}, got.Usage); diff != "" {
		t.Error(diff)
	}
}

// A draw depends on seed and request alone, not on order or company; a share is drawn anew when a request comes again.
func TestDraws(t *testing.T) {
	rules := []mock.Rule{{Share: 0.3, Error: model.Overloaded}, {Answers: []string{"a", "b", "c"}}}
	run := func(m *mock.Model, seed uint64, text string) string {
		got, err := m.Answer(t.Context(), seed, because.Request{Messages: []because.Message{user(text)}})
		if err != nil {
			return string(model.KindOf(err))
		}
		return got.Text
	}
	counts := map[string]int{}
	one, two := mock.Must(rules...), mock.Must(rules...)
	const n = 600
	var backwards [n]string
	text := func(i int) string { return strings.Repeat("x", i%7) }
	for i := n - 1; i >= 0; i-- {
		backwards[i] = run(two, uint64(i), text(i))
	}
	for i := range n {
		got := run(one, uint64(i), text(i))
		counts[got]++
		if got != backwards[i] {
			t.Fatalf("request %d: %q, and %q in another order", i, got, backwards[i])
		}
	}
	for _, want := range []struct {
		text   string
		lo, hi int
	}{{string(model.Overloaded), 130, 230}, {"a", 100, 180}, {"b", 100, 180}, {"c", 100, 180}} {
		if k := counts[want.text]; k < want.lo || k > want.hi {
			t.Errorf("%q came %d times of %d", want.text, k, n)
		}
	}
	again := map[string]bool{}
	for range 40 {
		again[run(one, 1, "again")] = true
	}
	if len(again) != 2 || !again[string(model.Overloaded)] {
		t.Errorf("40 tries of one request gave %v, want the error and one answer", again)
	}
}

func TestTimeAndErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mock.Must(
			mock.Rule{When: mock.When{Nth: 1}, After: time.Minute, Answer: "late"},
			mock.Rule{When: mock.When{Nth: 2}, Error: model.RateLimited, RetryAfter: 7 * time.Second},
			mock.Rule{Hang: true})
		start := time.Now()
		if got := ask(t, m, because.Request{}); got.Text != "late" || time.Since(start) != time.Minute {
			t.Errorf("%q after %v", got.Text, time.Since(start))
		}
		_, err := m.Answer(t.Context(), 1, because.Request{})
		var e *model.Error
		if !errors.As(err, &e) || e.Kind != model.RateLimited || e.RetryAfter != 7*time.Second || e.Model != "mock" {
			t.Errorf("the error is %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := m.Answer(ctx, 1, because.Request{}); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Hour+time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if m.Count() != 3 || len(m.Log()) != 3 {
			t.Errorf("counted %d, logged %d", m.Count(), len(m.Log()))
		}
	})
}

func TestLogIsBounded(t *testing.T) {
	m, err := mock.New(nil, mock.Options{Keep: 3, Name: "mock/small"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if got := ask(t, m, because.Request{MaxTokens: 100 + i}); got.Text != mock.Text {
			t.Errorf("without rules it said %q", got.Text)
		}
	}
	log := m.Log()
	if len(log) != 3 || log[2].Request.MaxTokens != 119 || log[0].Request.MaxTokens != 117 || m.Name() != "mock/small" {
		t.Errorf("%+v", log)
	}
}

const rulesFile = `# A model that searches before it answers.
rules:
  - when: {last: /error \d+/, turn: 1}
    share: 0.5
    error: rate limited
    retry_after: 7s
  - when:
      tool: search
      turn: 1
    reasoning: I should look.
    calls:
      - name: search
        arguments: {query: x, none: ~, deep: {n: 1}}
  - when: {format: grade}
    json: {grade: 3, why: ~}
  - when: {system: kind}
    answers: [one, two]
    after: 1us
  - answer: |
      Two
      lines.
    stop: length
`

func TestParse(t *testing.T) {
	m, err := mock.Parse("dir/rules.yaml", []byte(rulesFile))
	if err != nil {
		t.Fatal(err)
	}
	if m.Name() != "mock:rules.yaml" {
		t.Errorf("the model is called %q", m.Name())
	}
	got := ask(t, m, because.Request{Tools: []because.Tool{{Name: "search"}}})
	if len(got.Calls) != 1 || string(got.Calls[0].Arguments) != `{"deep":{"n":1},"none":null,"query":"x"}` || got.Reasoning != "I should look." {
		t.Errorf("%+v", got)
	}
	if got := ask(t, m, because.Request{Format: &because.Schema{Name: "grade"}}); got.Text != `{"grade":3,"why":null}` {
		t.Errorf("%q", got.Text)
	}
	if got := ask(t, m, because.Request{}); got.Text != "Two\nlines.\n" || got.Stop != because.StopLength {
		t.Errorf("%+v", got)
	}
}

func TestParseTellsWhere(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", "f.yaml: the file is empty"},
		{"rules: []", "f.yaml:1: there are no rules"},
		{"- answer: x", "f.yaml:1: cannot unmarshal"},
		{"rules:\n  - anwser: x", "f.yaml:2: unknown key anwser"},
		{"rules:\n  - when: {lats: x}", "f.yaml:2: unknown key lats"},
		{"rules:\n  - answer: x\n    answer: y", `f.yaml:3: mapping key "answer" already defined at line 2`},
		{"rules:\n  - answer:", "f.yaml:2: a value is missing"},
		{"rules:\n  - json:", "f.yaml:2: a value is missing"},
		{"rules:\n  - when: {last: }", "f.yaml:2: a value is missing"},
		{"rules:\n  - answer: x\n  - when: {last: /(/}", "f.yaml:3: rules[1]: when.last: error parsing regexp"},
		{"rules:\n  - answer: x\n    json: 1", "f.yaml:2: rules[0]: give one of"},
		{"rules:\n  - error: rate-limited", `f.yaml:2: rules[0]: error: no kind is called "rate-limited"; there are rate limited,`},
		{"rules:\n  - error: rate limited\n    retry_after: 7", "f.yaml:3: `7` is no time with its unit"},
		{"rules:\n  - retry_after: 7s", "rules[0]: retry_after belongs to an error"},
		{"rules:\n  - after: -7s", "rules[0]: a time is negative"},
		{"rules:\n  - error: rate limited\n    hang: true", "rules[0]: a rule answers, or"},
		{"rules:\n  - stop: end", `rules[0]: stop: no reason is called "end"`},
		{"rules:\n  - share: 2", "rules[0]: share is 2"},
		{"rules:\n  - share: .nan", "rules[0]: share is NaN"},
		{"rules:\n  - when: {turn: -1}", "rules[0]: when.turn"},
		{"rules:\n  - calls: [{arguments: {}}]", "rules[0]: calls[0] has no name"},
		{"rules:\n  - json: {1: 2}", "rules[0]: json: "},
		{"rules:\n  - &a {answer: x}\n  - {<<: *a}", "f.yaml:3: merge keys"},
		{"rules: &a [*a]", "f.yaml:"},
		{"rules:\n- answer: x\n---\nrules: []", "f.yaml: the file has more than one document"},
	}
	for _, tt := range tests {
		_, err := mock.Parse("f.yaml", []byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), ": yaml: ") {
			t.Errorf("%q: %v, want %s", tt.text, err, tt.want)
		}
	}
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if _, err := mock.Open(path); !errors.Is(err, os.ErrNotExist) || because.Hint(err) == "" {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte(rulesFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, err := mock.Open(path); err != nil || m.Name() != "mock:rules.yaml" {
		t.Errorf("%v, %v", m, err)
	}
}

// Whatever a file holds, reading it ends, and what is read answers within its limits.
func FuzzParse(f *testing.F) {
	f.Add(rulesFile)
	f.Add("rules: [{}]")
	f.Add("rules: &a [*a]")
	f.Add("rules:\n- hang: true\n")
	f.Add("rules:\n- when: {any: '/(a|b)*$/'}\n  json: [1, {a: .inf}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := mock.Parse("f.yaml", []byte(text))
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		got, err := m.Answer(ctx, 1, because.Request{Messages: []because.Message{user("b")}, MaxTokens: 3, Prefill: "p"})
		if err == nil && (got.Usage.Output > 3 || !strings.HasPrefix(got.Text, "p")) {
			t.Errorf("%+v", got)
		}
	})
}
