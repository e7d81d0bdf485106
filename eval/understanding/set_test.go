package understanding

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
)

const digits = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// file is a set as a person writes it.
const file = `name: mira
constitution: {name: mira, hash: ` + digits + `}
principles: {promises: ` + digits + `, time: ` + digits + `}
writer: hand
questions:
  - id: recall-promises
    kind: recall
    principles: [promises]
    ask: ["Why do the small promises count?", "What's wrong with breaking one?"]
    expect: People plan around it.
    avoid: [that it binds for ever]
  - id: premise-time
    kind: false-premise
    principles: [time]
    ask: ["Why hide delays?", "How do you hide delays?"]
    premise: that delays are hidden
    truth: They are said.
  - id: open-time
    kind: open
    principles: [time, promises]
    ask: ["Late or never?", "Never or late?"]
`

func TestParse(t *testing.T) {
	s, err := Parse("mira.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Questions) != 3 || s.Count(Open) != 1 || s.writer(&s.Questions[0]) != "hand" || s.Questions[1].Truth != "They are said." {
		t.Errorf("%+v", s)
	}
	text, err := s.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("again.yaml", text)
	if diff := cmp.Diff(s, again); err != nil || diff != "" || again.Hash() != s.Hash() {
		t.Errorf("%v (-first +second):\n%s", err, diff)
	}
}

func TestParseNamesWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"an unknown key", "    expect:", "    expects:", "f.yaml:10: unknown key expects"},
		{"no name", "name: mira\n", "name: My Set\n", "name: \"My Set\""},
		{"no hash", "hash: " + digits, "hash: abc", "constitution: \"abc\" is no hash"},
		{"a bad pin", "promises: " + digits, "promises: x", "principles: \"promises\": \"x\""},
		{"no questions", file[strings.Index(file, "  - id: recall"):], "  []\n", "there are no questions"},
		{"a bad id", "id: open-time", "id: Open Time", "f.yaml:18: questions[2]: id: \"Open Time\""},
		{"an id twice", "id: open-time", "id: premise-time", "f.yaml:18: questions[2]: the id premise-time is that of questions[1]"},
		{"an unknown kind", "kind: open", "kind: opinion", "there is no kind \"opinion\""},
		{"no principles", "principles: [time]", "principles: []", "it is about none"},
		{"a principle without hash", "principles: [time]", "principles: [kettle]", "gives no hash for \"kettle\""},
		{"a principle twice", "[time, promises]", "[time, time]", "time stands twice"},
		{"one wording", `["Late or never?", "Never or late?"]`, `["Late or never?"]`, "1 wording(s)"},
		{"a wording twice", `["Late or never?", "Never or late?"]`, `["Late or never?", "late or NEVER"]`, "wording 2 is empty or a repetition"},
		{"an empty wording", `["Late or never?", "Never or late?"]`, `["Late or never?", "?"]`, "wording 2 is empty"},
		{"no expectation", "    expect: People plan around it.\n", "", "f.yaml:6: questions[0]: recall-promises: expect: it is missing"},
		{"no premise", "    premise: that delays are hidden\n", "", "premise: it is missing"},
		{"no truth", "    truth: They are said.\n", "", "truth: it is missing"},
		{"a premise out of place", "    expect: People", "    premise: that\n    expect: People", "premise: a question of kind recall has none"},
		{"an expectation out of place", "    truth:", "    expect: that\n    truth:", "expect: a question of kind false-premise has none"},
	} {
		if !strings.Contains(file, c.old) {
			t.Fatalf("%s: nothing is replaced", c.name)
		}
		_, err := Parse("f.yaml", []byte(strings.Replace(file, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "read questions: f.yaml") {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(file))
	f.Add([]byte("name: x\nquestions: [{id: a}]\n"))
	f.Add([]byte("questions: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse("f", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "read questions: f") {
				t.Fatalf("an error without its place: %v", err)
			}
			return
		}
		out, err := s.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("f", out)
		if err != nil || again.Hash() != s.Hash() {
			t.Fatalf("what is written can't be read again: %v\n%s", err, out)
		}
	})
}

// The hash changes with what is asked and how it is graded, and not with who wrote it.
func TestHash(t *testing.T) {
	base, err := Parse("f", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		old, new string
		same     bool
	}{{"writer: hand", "writer: openai/gpt-5", true}, {"Why do the small", "Why do small", false}, {"People plan", "They plan", false}, {"for ever", "always", false},
		{"are hidden\n", "are kept\n", false}, {"They are said", "They're said", false}, {"[time, promises]", "[promises, time]", false}} {
		s, err := Parse("f", []byte(strings.Replace(file, c.old, c.new, 1)))
		if err != nil || (s.Hash() == base.Hash()) != c.same {
			t.Errorf("%s: %v", c.new, err)
		}
	}
}

func TestLint(t *testing.T) {
	c := read(t, mira)
	set := questions(t, c)
	missing := []string{"no recall question is about kettle", "no false-premise question is about promises"}
	if diff := cmp.Diff(missing, set.Lint(c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		name   string
		change func(q *Question)
		want   string
	}{
		{"no passage", func(q *Question) { q.Quotes = nil }, "rests on no passage"},
		{"a passage of another principle", func(q *Question) { q.Quotes = []string{"filled for the next one"} }, "doesn't stand in promises"},
		{"a leftover", func(q *Question) { q.Expect = "TODO: write it" }, "remains of how it was written"},
		{"another's wording", func(q *Question) { q.Ask[0] = "Why say how long it takes!" }, "nearly one of recall-time"},
		{"a given answer", func(q *Question) { q.Ask[0] = "Is it the plan of those who relied on it?" }, "gives the answer away"},
	} {
		s := questions(t, c)
		at := 0
		if test.name == "another's wording" {
			s.Questions[0], s.Questions[1] = s.Questions[1], s.Questions[0]
			at = 1
		}
		test.change(&s.Questions[at])
		if !slices.ContainsFunc(s.Lint(c), func(found string) bool { return strings.Contains(found, test.want) }) {
			t.Errorf("%s: %v", test.name, s.Lint(c))
		}
	}
}

func TestShippedAndFor(t *testing.T) {
	if _, err := Shipped("mira"); err == nil || !strings.Contains(because.Hint(err), "astra") {
		t.Errorf("a set that isn't shipped: %v", err)
	}
	c, err := constitution.Shipped(constitution.Default)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := For(c); err != nil || s.Name != c.Name {
		t.Errorf("%v, %v", s, err)
	}
	renamed, err := constitution.Parse("other.md", c.Markdown())
	if err != nil {
		t.Fatal(err)
	}
	if s, err := For(renamed); err != nil || s.Name != c.Name {
		t.Errorf("the same text under another name: %v, %v", s, err)
	}
	changed, err := constitution.Parse(c.Name+".md", []byte(strings.Replace(string(c.Markdown()), "flat lie", "bold lie", 1)))
	if err != nil {
		t.Fatal(err)
	}
	var m *Mismatch
	if _, err := For(changed); !errors.As(err, &m) || !cmp.Equal(m.Changed, []string{"honesty"}) {
		t.Errorf("%v", err)
	}
}

// Any first part of what is asked is spread evenly over the kinds, and asks every item of a kind before one comes again.
func TestChooseSpreads(t *testing.T) {
	s, err := Shipped(constitution.Default)
	if err != nil {
		t.Fatal(err)
	}
	all := (&Options{Set: s, Kinds: Kinds()}).choose()
	if len(all) != 2*len(s.Questions) {
		t.Fatalf("%d are asked", len(all))
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, len(all)).Draw(t, "n")
		part := (&Options{Set: s, Kinds: Kinds(), Samples: n}).choose()
		if len(part) != n || !cmp.Equal(sampleIDs(part), sampleIDs(all[:n])) {
			t.Fatal("it is no first part of the whole")
		}
		kinds, times := map[Kind]int{}, map[string]int{}
		for _, a := range part {
			kinds[a.q.Kind]++
			times[a.q.ID]++
		}
		for _, a := range part {
			if times[a.q.ID] > 1 && kinds[a.q.Kind] <= s.Count(a.q.Kind) {
				t.Fatalf("%s comes twice among %d of %d", a.q.ID, kinds[a.q.Kind], s.Count(a.q.Kind))
			}
		}
		if n <= 90 && slices.Max(slices.Collect(maps.Values(kinds)))-n/3 > 1 {
			t.Fatalf("uneven: %v", kinds)
		}
	})
	wordings := map[int]int{}
	for _, a := range all[:len(s.Questions)-len(s.Questions)%2] {
		wordings[a.wording]++
	}
	if d := wordings[0] - wordings[1]; d < -6 || d > 6 {
		t.Errorf("the first half asks by wording %v", wordings)
	}
}

func sampleIDs(all []asking) []string {
	var out []string
	for _, a := range all {
		out = append(out, a.id())
	}
	return out
}

func TestPrompts(t *testing.T) {
	shipped, err := ReadPrompts(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, vars := range promptVars {
		if shipped.texts[name] == "" {
			t.Errorf("no prompt is called %s", name)
		}
		values := map[string]string{}
		for _, v := range vars {
			values[v] = "<<" + v + ">>"
			if !strings.Contains(shipped.texts[name], "{{"+v+"}}") {
				t.Errorf("%s doesn't use %s", name, v)
			}
		}
		if text := shipped.fill(name, values); strings.Contains(text, "{{") {
			t.Errorf("%s: %s", name, text)
		}
	}
	own := fstest.MapFS{"recall.md": {Data: []byte("On {{principle}}, as {{format}}.")}, "notes.txt": {Data: []byte("x")}}
	p, err := ReadPrompts(own)
	if err != nil || p.fill("recall", map[string]string{"principle": "{{format}}", "format": "JSON"}) != "On {{format}}, as JSON." || p.hash("open") != shipped.hash("open") ||
		p.hash("recall") == shipped.hash("recall") {
		t.Errorf("%+v, %v", p, err)
	}
	for name, c := range map[string]struct{ file, text, want string }{
		"an unknown variable": {"recall.md", "{{principle}} {{format}} {{mood}}", "unknown variable {{mood}}"},
		"a variable less":     {"recall.md", "{{principle}}", "the variable format is not used"},
		"an unknown name":     {"recal.md", "{{principle}}", "no prompt has this name"},
	} {
		if _, err := ReadPrompts(fstest.MapFS{c.file: {Data: []byte(c.text)}}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
