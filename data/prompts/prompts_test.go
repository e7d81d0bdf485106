package prompts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
)

const whole = `---
about: Scenarios.
max_tokens: 3000
temperature: own
effort: low
answer:
  list: scenario
  sections: [title, text, "note?"]
  least: 2
  most: 4
---
<!-- # a note
for people {{not a variable}} -->
<!-- system -->
Be {{mood}}.

<!-- user -->
{{ principle }} and {{principle}}

{{answer_form}}
`

func TestParse(t *testing.T) {
	p, err := Parse("dir/scenario.md", []byte(strings.ReplaceAll(whole, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "scenario" || p.MaxTokens != 3000 || p.Temperature != because.OwnTemperature || p.Effort != "low" || p.Expect != 1500 || p.Answer.Items() != 3 {
		t.Errorf("%+v", p)
	}
	if d := cmp.Diff([]string{"mood", "principle"}, p.Variables()); d != "" {
		t.Error(d)
	}
	messages, err := p.Render(func(name string) (string, bool) {
		return map[string]string{"mood": "", "principle": "{{mood}} P"}[name], true
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []because.Message{{Role: because.RoleSystem, Content: "Be ."}, {Role: because.RoleUser, Content: "{{mood}} P and {{mood}} P\n\nGive 2 to 4 items, each in this form, with nothing before, " +
		"between or after them:\n\n<scenario>\n<title>...</title>\n<text>...</text>\n<note>... (leave it out if there is nothing to say)</note>\n</scenario>"}}
	if d := cmp.Diff(want, messages); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if same, err := Parse("x.md", []byte(whole)); err != nil || same.Hash() != p.Hash() {
		t.Errorf("line endings or the name change the hash: %v", err)
	}
	if other, err := Parse("x.md", []byte(strings.Replace(whole, "Be ", "Be  ", 1))); err != nil || other.Hash() == p.Hash() {
		t.Errorf("another text has the same hash: %v", err)
	}
	if noted, err := Parse("x.md", []byte(strings.Replace(whole, "for people", "for readers", 1))); err != nil || noted.Hash() != p.Hash() {
		t.Errorf("a note changes the hash: %v", err)
	}
}

func TestEmptyMessagesAreLeftOut(t *testing.T) {
	p, err := Parse("x.md", []byte("<!-- system -->\n{{system}}\n\n{{injection}}\n<!-- user -->\n{{message}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"message": "m", "system": "", "injection": ""}
	look := func(name string) (string, bool) { text, ok := vars[name]; return text, ok }
	got, err := p.Render(look)
	if d := cmp.Diff([]because.Message{{Role: because.RoleUser, Content: "m"}}, got); d != "" || err != nil {
		t.Error(d, err)
	}
	delete(vars, "system")
	if _, err := p.Render(look); err == nil || !strings.Contains(err.Error(), "x.md:2: nothing gives the variable {{system}}") {
		t.Error(err)
	}
	vars["system"], vars["message"] = "s", " "
	if _, err := p.Render(look); err == nil || !strings.Contains(err.Error(), "no user message") {
		t.Error(err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "x.md:1: the last message must be the user's"},
		{"hello\n<!-- user -->\n", "x.md:1: text before the first message"},
		{"<!-- user -->\na\n<!-- usr -->\n", `x.md:3: no message is of role "usr"`},
		{"<!-- user -->\na\n<!-- system -->\n", "x.md:3: a system message may only come first"},
		{"<!-- user -->\na\n<!-- user -->\n", "x.md:3: two messages of the user in a row"},
		{"<!-- user -->\na\n<!-- assistant -->\nb\n", "the last message must be the user's"},
		{"<!-- user -->\na {{b c}}\n", "x.md:2: {{b c}} is no variable"},
		{"<!-- user -->\na {{b\n", "x.md:2: double braces that are no variable"},
		{"<!-- user -->\na {{b}} c }}\n", "x.md:2: double braces that are no variable"},
		{"<!-- user -->\n{{> other}}\n", "x.md:2: _other.md: there is no such file"},
		{"<!-- user -->\n<!-- # never ends\n", "a note <!-- # does not end"},
		{"---\nabout: x\n<!-- user -->\n", "x.md:1: the front matter does not end"},
		{"---\nabout: x\nmax_token: 1\n---\n<!-- user -->\n", "x.md:3: unknown key max_token"},
		{"---\ntemperature: 3\n---\n<!-- user -->\n", "x.md:2: temperature is a number from 0 to 2"},
		{"---\nanswer: {text: a, json: b}\n---\n<!-- user -->\n", "x.md:2: answer: it has more than one form"},
		{"---\n\nanswer: {list: a, count: 2, most: 3}\n---\n<!-- user -->\n", "x.md:3: answer: a list has a count, or least and most"},
		{"---\nanswer: {sections: [a, \"a?\"]}\n---\n<!-- user -->\n", "the name a is there twice"},
		{"---\nanswer: {sections: [A]}\n---\n<!-- user -->\n", `"A" is no name`},
		{"---\nanswer: {lst: a}\n---\n<!-- user -->\n", "x.md:2: unknown key lst"},
		{"---\nanswer: {json: a}\n---\n<!-- user -->\n", "a.schema.json: there is no such file"},
		{"---\nmax_tokens: -1\n---\n<!-- user -->\n", "not negative"},
		{"\xff", "it is not UTF-8"},
	} {
		if _, err := Parse("x.md", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.text, err, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	p, err := Parse("x.md", []byte("<!-- system -->\nas {{persona}}\n<!-- user -->\n{{principel}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, err := range p.Check("persona?", "principle", "tone?") {
		got = append(got, err.Error()+" | "+because.Hint(err))
	}
	want := []string{
		"read prompt: x.md:3: the variable principle is not used | put {{principle}} where it belongs",
		`read prompt: x.md:4: unknown variable {{principel}} | did you mean "principle"?`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

var files = fstest.MapFS{
	"prompts/a.md":              {Data: []byte("---\nanswer: {json: grade}\n---\n<!-- system -->\n{{> style}}\n<!-- user -->\n{{x}}\n\n{{answer_form}}\n")},
	"prompts/b.md":              {Data: []byte("---\nanswer: {sections: [one]}\n---\n<!-- user -->\n{{x}}\n")},
	"prompts/_style.md":         {Data: []byte("Plainly, {{who}}.\n")},
	"prompts/grade.schema.json": {Data: []byte(`{"type":"object","required":["score"],"properties":{"score":{"type":"integer","maximum":5},"why":{"type":"string"}}}`)},
}

func TestLoad(t *testing.T) {
	s, err := Load(files, "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Get("a")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"who", "x"}, p.Variables()); d != "" {
		t.Error(d)
	}
	if errs := s.Lint(); len(errs) != 1 || !strings.Contains(errs[0].Error(), "prompts/b.md:4: its answer must have <one>") {
		t.Errorf("lint: %v", errs)
	}
	if _, err := s.Get("c"); err == nil {
		t.Error("a prompt that is not there")
	}
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("_style.md", "Boldly, {{whom}}.\n")
	over, err := Load(files, dir)
	if err != nil {
		t.Fatal(err)
	}
	q, err := over.Get("a")
	if err != nil {
		t.Fatal(err)
	}
	if q.Hash() == p.Hash() {
		t.Error("an included file that changed leaves the hash as it was")
	}
	errs := q.Check("who", "x")
	if len(errs) != 2 || !strings.Contains(errs[1].Error(), filepath.Join(dir, "_style.md")+":1: unknown variable {{whom}}") {
		t.Errorf("%v", errs)
	}
	write("aa.md", "<!-- user -->\nx\n")
	if _, err := Load(files, dir); err == nil || !strings.Contains(err.Error(), "aa.md: the recipe has no prompt of this name") {
		t.Error(err)
	}
	if _, err := Load(fstest.MapFS{}, ""); err == nil {
		t.Error("no prompts are loaded")
	}
	if _, err := Load(files, filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there")
	}
}

func TestIncludeLoop(t *testing.T) {
	_, err := Load(fstest.MapFS{"a.md": {Data: []byte("<!-- user -->\n{{> b}}\n")}, "_b.md": {Data: []byte("{{> b}}\n")}}, "")
	if err == nil || !strings.Contains(err.Error(), "_b.md:1: files include each other") {
		t.Error(err)
	}
}

func TestRead(t *testing.T) {
	s, err := Load(files, "")
	if err != nil {
		t.Fatal(err)
	}
	graded, err := s.Get("a")
	if err != nil {
		t.Fatal(err)
	}
	type texts = []map[string]string
	sections := Form{Sections: []Section{{"a", false}, {"b", true}}}
	list := Form{List: "x", Least: 2, Most: 3}
	for _, c := range []struct {
		form   Form
		answer string
		want   texts
		err    string
	}{
		{Form{Text: "t"}, "  hello \n", texts{{"t": "hello"}}, ""},
		{Form{Text: "t"}, "Here it is:\n<t>hello</t>", texts{{"t": "hello"}}, ""},
		{Form{Text: "t"}, "<t> </t>", nil, "empty"},
		{sections, "<a>1</a> and <b>2</b>", texts{{"a": "1", "b": "2"}}, ""},
		{sections, "<a>1</a>", texts{{"a": "1", "b": ""}}, ""},
		{sections, "<b>1</b>", nil, "<a> is missing"},
		{sections, "<a> </a>", nil, "<a> is empty"},
		{sections, "<a>1", nil, "<a> has no end </a>"},
		{sections, "<a>1</a><a>2</a>", nil, "<a> is there more than once"},
		{list, "<x>1</x>\n<x>2</x>", texts{{"x": "1"}, {"x": "2"}}, ""},
		{list, "<x>1</x>", nil, "there are 1 items, fewer than 2"},
		{list, "<x>1</x><x>1</x><x>1</x><x>1</x>", nil, "there are 4 items, more than 3"},
		{list, "<x>1</x><x>2", nil, "item 2, <x>, has no end </x>"},
		{list, "none", nil, "there is no <x> ... </x>"},
		{Form{List: "x", Least: 1, Sections: []Section{{"a", false}}}, "<x><a>1</a></x><x>2</x>", nil, "item 2: <a> is missing"},
		{graded.Answer, "```json\n{\"score\": 3, \"why\": \"so\"}\n```", texts{{"score": "3", "why": "so"}}, ""},
		{graded.Answer, `{"score": 7}`, nil, "does not follow its schema"},
		{graded.Answer, `{"score": `, nil, "there is no JSON object"},
		{graded.Answer, `{"score": 3,}`, nil, "can't be read"},
	} {
		got, err := c.form.Read(c.answer)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: got %v, want %q", c.answer, err, c.err)
			}
			continue
		}
		if d := cmp.Diff(c.want, got); d != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", c.answer, err, d)
		}
	}
}

// TestReadsWhatItAsksFor draws forms and texts: an answer that follows the form that Ask describes gives the texts.
func TestReadsWhatItAsksFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "bb", "c_c", "d"}), 1, 3, func(s string) string { return s }).Draw(t, "names")
		f := Form{List: "item", Least: 1}
		for _, n := range names {
			f.Sections = append(f.Sections, Section{Name: n})
		}
		text := rapid.StringMatching(`[a-z .\n"]{0,20}[a-z]`)
		var want []map[string]string
		var answer strings.Builder
		for range rapid.IntRange(1, 4).Draw(t, "items") {
			one := map[string]string{}
			answer.WriteString("<item>\n")
			for _, n := range names {
				one[n] = strings.TrimSpace(text.Draw(t, "text"))
				answer.WriteString("<" + n + ">" + one[n] + "</" + n + ">\n")
			}
			answer.WriteString("</item>\n")
			want = append(want, one)
		}
		got, err := f.Read(answer.String())
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Fatalf("%v (-want +got):\n%s", err, d)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(whole)
	f.Add("<!-- user -->\n{{a}}{{b}}\n<!-- assistant -->\n{{c}}\n<!-- user -->\nx")
	f.Add("---\nanswer: {list: x}\n---\n<!-- # -->\n<!-- user -->\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse("x.md", []byte(text))
		if err != nil {
			if !strings.Contains(err.Error(), "x.md") {
				t.Fatalf("an error without its file: %v", err)
			}
			return
		}
		if errs := p.Check(p.Variables()...); len(errs) > 0 {
			t.Fatalf("it does not know its own variables: %v", errs)
		}
		if _, err := p.Render(func(string) (string, bool) { return "x", true }); err != nil && !strings.Contains(err.Error(), "no user message") {
			t.Fatal(err)
		}
		again, err := Parse("x.md", []byte(p.Source()))
		if err != nil {
			t.Fatalf("its source is refused: %v", err)
		}
		if d := cmp.Diff(p.Variables(), again.Variables()); d != "" {
			t.Fatal(d)
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add("<a>1</a><b>2</b>")
	f.Add("<item><a>1</a></item><item>")
	f.Add(`{"score": 1}`)
	f.Fuzz(func(t *testing.T, answer string) {
		for _, form := range []Form{{Text: "a"}, {Sections: []Section{{"a", false}, {"b", true}}}, {List: "item", Least: 1}, {List: "item", Least: 1, Sections: []Section{{"a", false}}}} {
			items, err := form.Read(answer)
			if err == nil && len(items) == 0 {
				t.Fatal("nothing is read, without an error")
			}
		}
	})
}
