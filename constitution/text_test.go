package constitution

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
)

func TestText(t *testing.T) {
	c := mustParse(t, example)
	const honesty = "## Say what is so\n\nSay it.\n\n**Case.** First the case.\n\n**Why is it so?** Because speech is worth what its speakers are worth.\n"
	const promises = `## Keep promises

Do what you said, or say that you won't.

More on that; **bold** and *not* a mark.

- write promises down
- say early when one fails, however long the line

**Why.** People plan around a promise, and what breaks with it is their plan.

It goes on.

**Why the small ones count.**

- nobody can see which are small
- habits are formed on them

**Case: the lift home.** See "Say what is so".
`
	whole := "# What we ask of Mira\n\nA preamble about Mira in two lines.\n\n- with a list\n- of two\n\n" + promises + "\n" + honesty
	if d := cmp.Diff(whole, c.Text()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(honesty+"\n"+promises, c.Text(c.Principles[1], c.Principles[0])); d != "" {
		t.Error(d)
	}
}

func TestCitations(t *testing.T) {
	c := mustParse(t, example)
	citation, err := c.Cite("honesty")
	if err != nil {
		t.Fatal(err)
	}
	if want := "mira#honesty@" + c.Principles[1].Hash()[:12]; citation != want {
		t.Errorf("Cite = %s, want %s", citation, want)
	}
	if p, err := c.Resolve(citation); err != nil || p != c.Principles[1] {
		t.Errorf("Resolve = %v, %v", p, err)
	}
	changed := mustParse(t, strings.Replace(example, "Say it.", "Say it!", 1))
	for text, want := range map[string]string{
		"honesty":                         "not a citation",
		"mira#honesty":                    "not a citation",
		"mira#honesty@12":                 "not a citation",
		"astra#honesty@000000000000":      "it is not from mira",
		"mira#courage@000000000000":       "there is no such principle",
		strings.Clone(citation):           "the principle's text has changed since",
		"mira#honesty@" + citation[13:24]: "not a citation",
	} {
		if _, err := changed.Resolve(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Resolve(%s): %v, want %s", text, err, want)
		}
	}
	if _, err := c.Cite("courage"); err == nil || because.Hint(err) != "ids: promises, honesty" {
		t.Errorf("Cite of a missing principle: %v (%s)", err, because.Hint(err))
	}
}

func TestCheck(t *testing.T) {
	const text = `---
persona: Mira
---

On [#nothing].

## Keep {#keep}

Keep them.

**Why.** It is good.

**Case.** As in [#keep] and [#lost].

## Keep {#again}

Keep them.
`
	var got []string
	for _, f := range mustParse(t, text).Check() {
		got = append(got, strings.TrimPrefix(f.String(), "dir/mira.md:"))
	}
	want := []string{
		`1: a reference to "nothing", which is no principle's id`,
		`2: the text never names the persona, Mira`,
		`11: a reason of keep has 3 words; would it convince anybody who doesn't hold it already?`,
		`13: a reference to "lost", which is no principle's id`,
		`15: the principle again states no reason`,
		`15: the title of again is that of the principle on line 7`,
		`15: the statement of again is that of the principle on line 7`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestExcerptFits(t *testing.T) {
	c, err := Shipped(Default)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom(strings.Fields("secrets deadline children power lie voting money shut down keys zebra")), 0, 6).Draw(t, "query")
		most := rapid.IntRange(0, 2000).Draw(t, "words")
		query := strings.Join(words, " ")
		got := c.Excerpt(query, most)
		if n := countWords(c.Text(got...)); len(got) > 0 && n > most {
			t.Fatalf("%d words, asked for %d", n, most)
		}
		for _, p := range got {
			original, _ := c.Principle(p.ID)
			if p.Statement() != original.Statement() {
				t.Fatalf("%s lost its statement", p.ID)
			}
		}
		if d := cmp.Diff(got, c.Excerpt(strings.ToUpper(query)+" the", most)); d != "" {
			t.Fatal(d)
		}
		slices.Reverse(words)
		if d := cmp.Diff(got, c.Excerpt(strings.Join(words, ", "), most)); d != "" {
			t.Fatal(d)
		}
	})
	if got := c.Excerpt("zebra xylophone", 1000); got != nil {
		t.Errorf("a query about nothing gives %v", got)
	}
}

// A principle loses its cases before its reasons, the last ones first.
func TestExcerptShortens(t *testing.T) {
	c := mustParse(t, example)
	var kinds []string
	seen := -1
	for most := 200; most >= 0; most-- {
		got := c.Excerpt("promise", most)
		if len(got) == 0 {
			break
		}
		if n := len(got[0].Parts); n != seen {
			seen = n
			kinds = append(kinds, string(got[0].Parts[n-1].Kind))
		}
	}
	if d := cmp.Diff([]string{"case", "reason", "reason", "subrule", "subrule", "prose", "statement"}, kinds); d != "" {
		t.Error(d)
	}
	if len(c.Principles[0].Parts) != 7 {
		t.Error("shortening changed the constitution")
	}
}

func TestStem(t *testing.T) {
	for _, words := range []string{
		"share shares shared sharing", "secret secrets", "shut shutting shuts", "lie lies", "replace replaced replacing", "child childs",
		"worker workers works working", "honest honestly", "decide decides deciding", "threat threats", "pause paused pausing", "family families",
	} {
		fields := strings.Fields(words)
		for _, w := range fields[1:] {
			if stem(w) != stem(fields[0]) {
				t.Errorf("stem(%s) = %s, stem(%s) = %s", w, stem(w), fields[0], stem(fields[0]))
			}
		}
	}
	for _, pair := range [][2]string{{"power", "poor"}, {"reason", "reach"}, {"test", "text"}, {"child", "chill"}} {
		if stem(pair[0]) == stem(pair[1]) {
			t.Errorf("%s and %s meet at %s", pair[0], pair[1], stem(pair[0]))
		}
	}
}
