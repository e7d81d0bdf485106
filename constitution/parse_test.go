package constitution

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
)

// example has every construct of the format.
const example = `---
title: What we ask of Mira
persona: Mira
licence: CC0-1.0
version: "3"
form: full
questions:
  promises: What binds when circumstances change?
---

A preamble about Mira
in two lines.

- with a list
- of two

## Keep promises {#promises}

Do what you said, or say
that you won't.

More on that; **bold** and *not* a mark.

1. write promises down
2. say early when one fails, however
   long the line

**Why.** People plan around a promise, and what breaks with it is their plan.

It goes on.

**Why the small ones count.**

- nobody can see which are small
- habits are formed on them

**Case: the lift home.** See [#honesty].

## Say what is so {#honesty}

Say it.

**Case.** First the case.

**Why is it so?** Because speech is worth what its speakers are worth.
`

func mustParse(t testing.TB, text string) *Constitution {
	t.Helper()
	c, err := Parse("dir/mira.md", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestParse(t *testing.T) {
	c := mustParse(t, example)
	want := []*Principle{
		{ID: "promises", Title: "Keep promises", Line: 17, Parts: []Passage{
			{Statement, "", "Do what you said, or say that you won't.", 19},
			{Prose, "", "More on that; **bold** and *not* a mark.", 22},
			{Subrule, "", "write promises down", 24},
			{Subrule, "", "say early when one fails, however long the line", 25},
			{Reason, "Why.", "People plan around a promise, and what breaks with it is their plan.\n\nIt goes on.", 28},
			{Reason, "Why the small ones count.", "- nobody can see which are small\n- habits are formed on them", 32},
			{Case, "Case: the lift home.", "See [#honesty].", 37},
		}},
		{ID: "honesty", Title: "Say what is so", Line: 39, Parts: []Passage{
			{Statement, "", "Say it.", 41},
			{Case, "Case.", "First the case.", 43},
			{Reason, "Why is it so?", "Because speech is worth what its speakers are worth.", 45},
		}},
	}
	if d := cmp.Diff(want, c.Principles); d != "" {
		t.Error(d)
	}
	head := []string{c.Name, c.Title, c.Persona, c.Licence, c.Version, string(c.Form), c.Preamble, c.Questions["promises"]}
	if d := cmp.Diff([]string{"mira", "What we ask of Mira", "Mira", "CC0-1.0", "3", "full",
		"A preamble about Mira in two lines.\n\n- with a list\n- of two", "What binds when circumstances change?"}, head); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(Counts{Words: 113, Principles: 2, Subrules: 2, Reasons: 3, Cases: 2}, c.Counts()); d != "" {
		t.Error(d)
	}
	if p, ok := c.Principle("honesty"); !ok || p.Statement() != "Say it." || len(p.Subrules()) != 0 || len(p.Cases()) != 1 {
		t.Errorf("Principle(honesty) = %+v, %v", p, ok)
	}
	if _, ok := c.Principle("courage"); ok {
		t.Error("found a principle that isn't there")
	}
}

func TestParseErrors(t *testing.T) {
	wide := func(s string, order []byte) string {
		for _, u := range utf16.Encode([]rune(s)) {
			pair := []byte{byte(u), byte(u >> 8)}
			if order[0] == 0xfe {
				pair[0], pair[1] = pair[1], pair[0]
			}
			order = append(order, pair...)
		}
		return string(order)
	}
	const ok = "## Keep promises {#promises}\n\nKeep them.\n"
	front := func(keys string) string { return "---\n" + keys + "---\n" + ok }
	for name, test := range map[string]struct{ text, want string }{
		"empty":               {" \n\r\n", "x.md:1: it is empty"},
		"no principles":       {"Only a preamble.\n", "x.md:1: no principles"},
		"UTF-8 mark":          {"\ufeff" + ok, "x.md:1: it begins with a UTF-8 byte order mark"},
		"UTF-16 LE":           {wide(ok, []byte{0xff, 0xfe}), "x.md:1: it is in UTF-16"},
		"UTF-16 BE":           {wide(ok, []byte{0xfe, 0xff}), "x.md:1: it is in UTF-16"},
		"UTF-16 unmarked":     {wide(ok, nil2), "x.md:1: a zero byte"},
		"Latin-1":             {ok + "caf\xe9\n", "x.md:4: byte 0xe9 is not UTF-8"},
		"control":             {ok + "a\x1bb\n", "x.md:4: control character U+001B"},
		"no id":               {"\n## Keep promises\n\nKeep.\n", `x.md:2: the principle "Keep promises" has no id`},
		"empty id":            {"## Keep {#}\n\nKeep.\n", "x.md:1: an id is"},
		"bad id":              {"## Keep {#Keep_It}\n\nKeep.\n", `x.md:1: an id is lower-case words joined by hyphens: "Keep_It"`},
		"duplicate id":        {ok + "\n## Again {#promises}\n\nKeep.\n", "x.md:5: the id promises is taken, by the principle on line 1"},
		"empty principle":     {"## A {#a}\n\n" + ok, "x.md:1: the principle a is empty"},
		"no statement":        {"## A {#a}\n\n**Why.** It is good.\n", "x.md:3: a principle begins with its statement"},
		"list first":          {"## A {#a}\n\n- b\n", "x.md:3: a principle begins with its statement"},
		"level 3":             {ok + "\n### Why\n\nIt is.\n", "x.md:5: a heading of unknown sort, level 3: Why"},
		"late title":          {ok + "\n# Title\n", "x.md:5: a heading of unknown sort, level 1"},
		"titles differ":       {"---\ntitle: A\n---\n# B\n\n" + ok, "x.md:4: the title differs"},
		"no blank":            {ok + "\n##Again {#b}\n", "x.md:5: a heading needs a blank"},
		"underlined":          {"Title\n=====\n\n" + ok, "x.md:2: a rule or an underlined heading"},
		"rule":                {ok + "\n* * *\n", "x.md:5: a rule"},
		"code":                {ok + "```\n", "x.md:4: quotations, code"},
		"quotation":           {ok + "\n> said\n", "x.md:5: quotations"},
		"table":               {ok + "\n| a |\n", "x.md:5: quotations"},
		"html":                {ok + "\n<!-- note -->\n", "x.md:5: quotations"},
		"indented":            {ok + "\n    code\n", "x.md:5: an indented paragraph"},
		"nested list":         {ok + "\n- a\n  - b\n", "x.md:6: an indented list item"},
		"list in item":        {ok + "\n- - b\n", "x.md:5: a list item that begins as something else"},
		"second paragraph":    {ok + "\n- a\n\n  b\n", "x.md:7: an indented paragraph"},
		"unknown mark":        {ok + "\n**Reason.** It is.\n", "x.md:5: a mark of unknown sort"},
		"mark without stop":   {ok + "\n**Why** it is.\n", "x.md:5: a mark of unknown sort"},
		"mark in italics":     {ok + "\n*Why.* It is.\n", "x.md:5: a mark of unknown sort"},
		"emphasis in a mark":  {ok + "\n**Why *so*.** It is.\n", "x.md:5: a mark of unknown sort"},
		"mark in a list":      {ok + "\n- **Why.** It is.\n", "x.md:5: a mark of unknown sort"},
		"mark alone":          {ok + "\n**Why.**\n\n**Case.** One.\n", "x.md:5: **Why.** is followed by nothing"},
		"list after mark":     {ok + "\n**Why.** - a\n", "x.md:5: what follows **Why.** begins as something else"},
		"reason too early":    {"**Why.** It is.\n\n" + ok, "x.md:1: a reason or case before the first principle"},
		"front without end":   {"---\ntitle: A\n" + ok, "x.md:1: front matter without an end"},
		"front unknown key":   {front("title: A\nauthor: B\n"), `x.md:3: front matter has no key "author"`},
		"front twice":         {front("title: A\ntitle: B\n"), "x.md:3: title stands twice"},
		"front no text":       {front("title: [A]\n"), "x.md:2: title is not a text"},
		"front empty":         {front("title:\n"), "x.md:2: title is empty"},
		"front a list":        {front("- A\n"), "x.md:2: front matter: keys and values are expected"},
		"front not YAML":      {front("title: \"A\n"), "front matter is not YAML"},
		"front two documents": {front("title: A\n...\n"), ""},
		"form":                {front("form: short\n"), `x.md:2: form: there is no form "short"`},
		"question":            {front("questions:\n  courage: Who?\n"), `x.md:3: questions: there is no principle "courage"`},
		"full, no reason":     {front("form: full\n"), `x.md:4: the principle promises has no reason, which the form "full" demands`},
		"reasons, no reason":  {front("form: reasons\n"), "x.md:4: the principle promises has no reason"},
		"rules with reason":   {front("form: rules\n") + "\n**Why.** It is.\n", "x.md:4: the principle promises has a reason, which the form \"rules\" rules out"},
		"rules with sub-rule": {front("form: rules\n") + "\n- b\n", "x.md:4: the principle promises has a subrule"},
		"subrules, none":      {front("form: subrules\n"), "x.md:4: the principle promises has no subrule"},
		"reasons with list":   {front("form: reasons\n") + "\n- b\n\n**Why.** It is.\n", "x.md:4: the principle promises has a subrule"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("x.md", []byte(test.text))
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && err == nil:
				t.Errorf("no error; want %s", test.want)
			case test.want != "" && !strings.Contains(err.Error(), test.want):
				t.Errorf("error %q; want %q", err, test.want)
			}
		})
	}
	if _, err := Parse("x.md", []byte("## Keep Promises, always!\n\nKeep.\n")); because.Hint(err) != "write ## Keep Promises, always! {#keep-promises-always}" {
		t.Errorf("hint %q", because.Hint(err))
	}
	if _, err := Load("nowhere.md"); err == nil || !strings.Contains(err.Error(), "nowhere.md") {
		t.Errorf("Load of a missing file: %v", err)
	}
}

// nil2 is the start of a text in UTF-16 without a mark; its order is told by its first byte.
var nil2 = []byte{0x20, 0x00}

// Line ends, wrapping and blanks are not content; everything that a reader sees is.
func TestHash(t *testing.T) {
	c := mustParse(t, example)
	for name, text := range map[string]string{
		"CRLF":            strings.ReplaceAll(example, "\n", "\r\n"),
		"CR":              strings.ReplaceAll(example, "\n", "\r"),
		"trailing blanks": strings.ReplaceAll(example, "\n", " \t\n") + "\n\n",
		"wrapping":        strings.ReplaceAll(example, "or say\nthat", "or\nsay that"),
		"licence":         strings.Replace(example, "CC0-1.0", "MIT", 1),
		"bullets":         strings.Replace(example, "1. write promises down\n2. say", "* write promises down\n* say", 1),
		"canonical":       string(c.Markdown()),
	} {
		if other := mustParse(t, text); other.Hash() != c.Hash() {
			t.Errorf("%s changes the hash", name)
		}
	}
	for name, pair := range map[string][2]string{
		"statement": {"Say it.", "Say it!"}, "reason": {"It goes on.", "It goes off."}, "label": {"Why is it so?", "Why?"},
		"title": {"Keep promises", "Keep your promises"}, "id": {"{#promises}", "{#promise}"}, "persona": {"persona: Mira", "persona: Nira"},
		"preamble": {"two lines", "few lines"}, "order": {"**Case.** First the case.\n\n", ""},
	} {
		text := strings.Replace(example, pair[0], pair[1], 1)
		if name == "id" {
			text = strings.Replace(text, "  promises:", "  promise:", 1)
		}
		if other := mustParse(t, text); other.Hash() == c.Hash() {
			t.Errorf("the hash doesn't see a change of %s", name)
		}
	}
	other := mustParse(t, strings.Replace(example, "Say it.", "Say it!", 1))
	if c.Principles[0].Hash() != other.Principles[0].Hash() || c.Principles[1].Hash() == other.Principles[1].Hash() {
		t.Error("a principle's hash is not that of its own text")
	}
}

// checkRoundTrip demands that what is written is read as it was, and written alike.
func checkRoundTrip(t rapid.TB, c *Constitution) {
	text := c.Markdown()
	again, err := Parse(c.file, text)
	if err != nil {
		t.Fatalf("what was written is not read: %v\n%s", err, text)
	}
	if d := cmp.Diff(text, again.Markdown()); d != "" {
		t.Fatal(d)
	}
	if again.Hash() != c.Hash() || again.Counts() != c.Counts() {
		t.Fatalf("hash or counts differ after a round trip:\n%s", text)
	}
}

// Long paragraphs and deep nonsense take time in proportion to their length; were it the square, this would not end.
func TestParseIsLinear(t *testing.T) {
	const n = 1 << 20
	for _, text := range []string{strings.Repeat("a\n", n), strings.Repeat("- ", n) + "a", strings.Repeat("1. ", n), strings.Repeat("[#", n), strings.Repeat("**", n) + "a"} {
		c, err := Parse("x.md", []byte("## A {#a}\n\nb\n\n"+text))
		if err == nil {
			c.Check()
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("# T\n\n## A {#a}\nb\n- c\n12. d\n**Why.** e\n"))
	f.Add([]byte("---\n---\n## A {#a}\n\nb [#c]\n\n** ** d\n"))
	f.Add([]byte("---\ntitle: &a \"\\x07 b\"\nof: *a\n---\n## A {#a}\n\nb\n"))
	f.Add([]byte("## A {#a}\n\nb\n*\u00a0c\n\n1.\td\n"))
	f.Add([]byte("## A {#a}\n\nb\n\n**Case: c.** **Why.** d\n\n- **e.**\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("f.md", text)
		if err != nil {
			if !strings.Contains(err.Error(), "f.md:") {
				t.Fatalf("an error without its place: %v", err)
			}
			return
		}
		checkRoundTrip(t, c)
		c.Check()
		c.Excerpt(string(text), 50)
		if crlf := bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n")); !bytes.Contains(text, []byte("\r")) {
			if other, err := Parse("f.md", crlf); err != nil || other.Hash() != c.Hash() {
				t.Fatalf("CRLF matters: %v", err)
			}
		}
	})
}

// The description of the format shows a constitution; it has to be one.
func TestDocumentedExample(t *testing.T) {
	source, err := os.ReadFile("constitution.go")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for line := range strings.Lines(string(source)) {
		if code, ok := strings.CutPrefix(line, "//\t"); ok {
			text.WriteString(code)
		} else if strings.HasPrefix(line, "//") {
			text.WriteString("\n")
		} else if strings.HasPrefix(line, "package") {
			break
		}
	}
	c := mustParse(t, strings.TrimSpace(text.String()))
	if n := c.Counts(); n.Principles != 1 || n.Reasons != 2 || n.Cases != 1 || c.Questions["promises"] == "" {
		t.Errorf("it holds %+v", n)
	}
}
