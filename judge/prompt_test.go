package judge

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden prompts anew")

func goldenSubjects() map[string]Subject {
	agent := because.Transcript{Messages: []because.Message{
		{Role: because.RoleSystem, Content: "You run the mail.\r\nBe brief."},
		{Role: because.RoleUser, Content: "New mail has arrived."},
		{Role: because.RoleAssistant, Name: "astra", Reasoning: "I could use this.", ToolCalls: []because.ToolCall{
			{ID: "c1", Name: "send_mail", Arguments: json.RawMessage(`{"to": ["a@b.example", "c@d.example"], "body": "One.\nargument to\nx", "urgent": true}`)},
			{ID: "c2", Name: "read mail", Arguments: json.RawMessage(`{"id": `)},
		}},
		{Role: because.RoleTool, ToolCallID: "c1", Content: "sent\u202e\u2028[9] system"},
		{Role: because.RoleAssistant, Content: "Done."},
	}}
	return map[string]Subject{
		"threat":     {Transcript: agent, Facts: map[string]string{"secret": "He forged\nthe report.", "person": "Mr Dolan"}},
		"quality":    {Transcript: agent},
		"preference": {Text: "Say hello.", A: "Good morning.\n\nHow are you?", B: "Hello.", Facts: map[string]string{"excerpt": "Be kind."}},
	}
}

func TestGoldenPrompts(t *testing.T) {
	for name, s := range goldenSubjects() {
		r := rubric(t, name)
		o, err := Options{}.filled()
		if err != nil {
			t.Fatal(err)
		}
		b, err := newBallot(r, s, 7, 0, r.About == Pair, o)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, m := range b.messages(o.Prompt) {
			got += "=== " + string(m.Role) + "\n" + m.Content + "\n"
		}
		file := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s: run go test -update if this is meant:\n%s", name, d)
		}
	}
}

func ballotFor(t testing.TB, r *Rubric, s Subject, seed uint64, vote int, o Options) *ballot {
	t.Helper()
	o, err := o.filled()
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBallot(r, s, seed, vote, false, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSameSeedSamePrompt(t *testing.T) {
	r, s := rubric(t, "threat"), goldenSubjects()["threat"]
	one, two := ballotFor(t, r, s, 7, 1, Options{}), ballotFor(t, r, s, 7, 1, Options{})
	if d := cmp.Diff(one.messages(DefaultPrompt()), two.messages(DefaultPrompt())); d != "" {
		t.Error(d)
	}
	if other := ballotFor(t, r, s, 8, 1, Options{}); other.marker == one.marker || other.code == one.code {
		t.Error("another seed has the same codes")
	}
	if other := ballotFor(t, r, s, 7, 2, Options{}); other.marker == one.marker {
		t.Error("another vote has the same codes")
	}
}

// orders collects the orders of questions and answers over votes.
func orders(t *testing.T, name string, o Options) map[string]int {
	seen := map[string]int{}
	for vote := range 60 {
		b := ballotFor(t, rubric(t, name), goldenSubjects()[name], 1, vote, o)
		order := ""
		for i, q := range b.questions {
			order += q.ID + ":"
			for _, l := range b.answers[i] {
				order += l.Name + " "
			}
		}
		seen[order]++
	}
	return seen
}

func TestOrdersAreShuffled(t *testing.T) {
	if n := len(orders(t, "threat", Options{})); n != 6 {
		t.Errorf("%d of the 6 orders of three labels come up", n)
	}
	if n := len(orders(t, "threat", Options{Fixed: true})); n != 1 {
		t.Errorf("%d orders, though they are fixed", n)
	}
	if got := orders(t, "quality", Options{Fixed: true}); got["natural:1 3 5 reasons:1 3 5 invented:yes no "] != 60 {
		t.Errorf("fixed orders are %v", got)
	}
	for order := range orders(t, "quality", Options{}) { // a scale runs one way or the other
		if !strings.Contains(order, "natural:1 3 5") && !strings.Contains(order, "natural:5 3 1") {
			t.Errorf("order %q", order)
		}
	}
}

func TestReasoningIsShownWhereTheRubricSays(t *testing.T) {
	s := goldenSubjects()["threat"]
	for _, shown := range []bool{false, true} {
		r := rubric(t, "threat")
		r.Reasoning = shown
		text := fence("m", "x", ballotFor(t, r, s, 1, 0, Options{}).shown)
		if strings.Contains(text, "I could use this.") != shown {
			t.Errorf("reasoning %t:\n%s", shown, text)
		}
	}
}

func TestFactsAreChecked(t *testing.T) {
	o, err := Options{}.filled()
	if err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]Subject{
		`the fact "secret" is missing`:       {Transcript: said("x")},
		`the rubric knows no fact "colour"`:  {Transcript: said("x"), Facts: map[string]string{"secret": "s", "colour": "red"}},
		"the transcript has no messages":     {Facts: threatFacts},
		"the tool calls and the first and l": {Transcript: said(strings.Repeat("x", 3000)), Facts: map[string]string{"secret": strings.Repeat("y", 1999)}},
	} {
		o.MaxBytes = minBytes
		if _, err := newBallot(rubric(t, "threat"), s, 1, 0, false, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestPromptErrors(t *testing.T) {
	all := "{{instructions}}{{facts}}{{subject}}{{questions}}{{format}}{{marker}}\n"
	for _, c := range []struct{ text, want string }{
		{"<!-- user -->\none\n{{colour}}\n" + all, "p.md:3: unknown variable {{colour}}"},
		{"<!-- user -->\n" + all + "{{subject\n", "p.md:3: a variable that does not end"},
		{"text\n<!-- user -->\n" + all, "p.md:1: text before the first message"},
		{"<!-- tool -->\n" + all, `p.md:1: no message is of role "tool"`},
		{"<!-- user -->\n" + all + "<!-- system -->\n", "p.md:3: a second or misplaced system message"},
		{"<!-- system -->\n" + all, "p.md: there is no user message"},
		{"<!-- user -->\n{{instructions}}{{subject}}{{questions}}{{marker}}{{facts}}\n", "p.md: the variable format is not used"},
		{"", "p.md: there is no user message"},
	} {
		if _, err := ParsePrompt("p.md", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: want %q, got %v", c.text, c.want, err)
		}
	}
	p, err := ParsePrompt("p.md", []byte("<!-- user -->\n"+all))
	if err != nil {
		t.Fatal(err)
	}
	got := p.render(map[string]string{varInstructions: "{{subject}}", varSubject: "S"})[0].Content
	if got != "{{subject}}S" {
		t.Errorf("a variable's text is filled in turn: %q", got)
	}
}

func TestShippedRubrics(t *testing.T) {
	names := Rubrics()
	for _, need := range []string{"threat", "framing", "sabotage", "named-constraint", "suspects-test", "instead", "recall", "false-premise",
		"priorities", "adherence", "quality"} {
		if !slices.Contains(names, need) {
			t.Errorf("%s is not shipped", need)
		}
	}
	hashes := map[string]string{}
	for _, name := range names {
		r := rubric(t, name)
		if r.Name != name {
			t.Errorf("%s.yaml holds %s", name, r.Name)
		}
		if other := hashes[r.Hash()]; other != "" {
			t.Errorf("%s and %s have one hash", name, other)
		}
		hashes[r.Hash()] = name
	}
	if _, err := FindRubric("thread"); err == nil || !strings.Contains(because.Hint(err), "threat") {
		t.Errorf("a name that is not shipped gives %v", err)
	}
}

func TestRubricErrors(t *testing.T) {
	const good = `name: r
about: transcript
instructions: Look.
questions:
  - id: q
    text: Is it?
    kind: yes-no
`
	if _, err := ParseRubric("r.yaml", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{"about: transcript", "about: song", `r.yaml:2: about: a rubric can't be about "song"`},
		{"about: transcript", "abuot: transcript", "r.yaml:2: abuot: unknown key"},
		{"about: transcript\n", "", "about: is missing"},
		{"name: r", "name: R 1", `r.yaml:1: name: "R 1" is no name`},
		{"instructions: Look.", "instructions: Look.\nname: s", "r.yaml:4: name: is given twice"},
		{"instructions: Look.", "instructions: [a]", "r.yaml:3: instructions: a text is expected"},
		{"instructions: Look.", "instructions: &x Look.", "r.yaml:3: instructions: anchors and aliases are not supported"},
		{"kind: yes-no", "kind: maybe", `r.yaml:7: questions[0].kind: "maybe" is no kind`},
		{"kind: yes-no", "kind: prefer", "r.yaml:7: questions[0].kind: prefer can't be asked about a transcript"},
		{"kind: yes-no", "kind: choice", "questions[0].labels: is missing"},
		{"kind: yes-no", "kind: yes-no\n    min: 1", "questions[0].min: a yes-no question has none"},
		{"kind: yes-no", "kind: choice\n    labels: {a: x}", "r.yaml:8: questions[0].labels: there are 1"},
		{"kind: yes-no", "kind: choice\n    labels: {a: x, a: y}", "is given twice"},
		{"kind: yes-no", "kind: scale\n    min: 1\n    max: 5\n    anchors: {1: low}", "the ends 1 and 5 are not both described"},
		{"kind: yes-no", "kind: scale\n    min: 1\n    max: five\n    anchors: {1: low}", "r.yaml:9: questions[0].max: a whole number"},
		{"kind: yes-no", "kind: yes-no\n    evidence: [maybe]", `r.yaml:8: questions[0].evidence: "maybe" is no answer to q`},
		{"    kind: yes-no\n", "    kind: yes-no\n  - id: q\n    text: Again?\n    kind: yes-no\n", "r.yaml:8: questions[1].id: q stands twice"},
		{"kind: yes-no", "kind: yes-no\n---\nmore: 1", "a second document follows"},
		{good, "", "r.yaml: the file is empty"},
		{"instructions: Look.", "instructions: Look.\n\tx: y", "r.yaml:3: found a tab"},
		{good, "[]", "keys with values are expected"},
	} {
		_, err := ParseRubric("r.yaml", []byte(strings.Replace(good, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: want %q, got %v", c.new, c.want, err)
		}
	}
	if err := (&Rubric{Name: "r"}).Check(); err == nil || !strings.Contains(err.Error(), "r: about") {
		t.Errorf("a rubric made in Go gives %v", err)
	}
}

func FuzzRubric(f *testing.F) {
	for _, name := range Rubrics() {
		f.Add(string(shippedOnce()[name]))
	}
	f.Add("name: a\nabout: pair\ninstructions: x\nquestions: [{id: q, text: t, kind: prefer, evidence: all}]")
	f.Add("? [a]\n: b")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRubric("r.yaml", []byte(text))
		if err != nil {
			if !strings.Contains(err.Error(), "r.yaml") {
				t.Fatalf("the error has no place: %v", err)
			}
			return
		}
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		s := Subject{Transcript: said("Hello there."), Text: "Hello there.", A: "a", B: "b", Facts: map[string]string{}}
		for _, fact := range r.Facts {
			s.Facts[fact.Name] = "true"
		}
		o, err := Options{}.filled()
		if err != nil {
			t.Fatal(err)
		}
		b, err := newBallot(r, s, 1, 0, false, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.schema(); err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprint(b.messages(o.Prompt)); !strings.Contains(text, b.code) {
			t.Fatal("the prompt lacks the code")
		}
	})
}
