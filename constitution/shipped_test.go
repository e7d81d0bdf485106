package constitution

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
)

var wantNames = []string{"astra", "astra-reasons", "astra-rules", "astra-subrules", "commons", "steward"}

func mustShipped(t *testing.T, name string) *Constitution {
	t.Helper()
	c, err := Shipped(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestShipped(t *testing.T) {
	if d := cmp.Diff(wantNames, Names()); d != "" {
		t.Fatal(d)
	}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			c := mustShipped(t, name)
			for _, f := range c.Check() {
				t.Error(f)
			}
			if c.Name != name || c.Persona != "Astra" || c.Licence != "CC0-1.0" || c.Title == "" || c.Preamble == "" || c.Form == "" {
				t.Errorf("front matter: %+v", c)
			}
			if c.Of != "" && !slices.Contains(wantNames, c.Of) {
				t.Errorf("it is of %q, which isn't shipped", c.Of)
			}
			checkRoundTrip(t, c)
			checkWords(t, c)
		})
	}
	if _, err := Shipped("nova"); err == nil || !strings.Contains(because.Hint(err), "commons") {
		t.Errorf("Shipped(nova): %v", err)
	}
}

var (
	insideCapital = regexp.MustCompile(`[\p{L},;:)] (\p{Lu}\p{L}+)`)
	dated         = regexp.MustCompile(`\d|\b(January|February|April|June|July|August|September|October|November|December)\b`)
	untyped       = regexp.MustCompile(`[^\x20-\x7e]`)
)

// A text that is trained on has no dates, no names of people or organisations, and no characters that a keyboard lacks. A name shows as
// a capital inside a sentence.
func checkWords(t *testing.T, c *Constitution) {
	allowed := set("Astra Astras AI AIs")
	for _, paragraph := range strings.Split(c.Text(), "\n") {
		for _, m := range insideCapital.FindAllStringSubmatch(paragraph, -1) {
			if !allowed[m[1]] {
				t.Errorf("a name? %s", m[0])
			}
		}
		if found := slices.Concat(dated.FindAllString(paragraph, -1), untyped.FindAllString(paragraph, -1)); found != nil {
			t.Errorf("not in a constitution: %q in %q", found, paragraph)
		}
	}
}

func TestAstraIsLongEnough(t *testing.T) {
	for name, least := range map[string]Counts{
		"astra":   {Words: 6500, Principles: 28, Reasons: 35, Cases: 28},
		"commons": {Words: 2000, Principles: 12, Reasons: 12},
		"steward": {Words: 2000, Principles: 12, Reasons: 12},
	} {
		n := mustShipped(t, name).Counts()
		if n.Words < least.Words || n.Principles < least.Principles || n.Reasons < least.Reasons || n.Cases < least.Cases {
			t.Errorf("%s: %+v, want at least %+v", name, n, least)
		}
	}
}

// The variants differ in what stands below a rule and in nothing else: not in ids, titles, rules or length.
func TestVariants(t *testing.T) {
	astra := mustShipped(t, Default)
	type entry struct{ ID, Title, Rule string }
	var first []entry
	lengths := map[Form]int{}
	for _, form := range []Form{Rules, Subrules, Reasons} {
		v, err := astra.Variant(form)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(astra.ids(), v.ids()); d != "" {
			t.Errorf("%s: %s", form, d)
		}
		var entries []entry
		for _, p := range v.Principles {
			original, _ := astra.Principle(p.ID)
			entries = append(entries, entry{p.ID, original.Title, p.Statement()})
			if p.Title != original.Title || len(p.Parts) < 2 || len(strings.Split(p.Statement(), ". ")) != 1 {
				t.Errorf("%s: %s: title %q, %d passages, rule %q", form, p.ID, p.Title, len(p.Parts), p.Statement())
			}
		}
		if first == nil {
			first = entries
		}
		if d := cmp.Diff(first, entries); d != "" {
			t.Errorf("the rules of %s differ: %s", form, d)
		}
		lengths[form] = v.Counts().Words
	}
	t.Log(lengths)
	for a, n := range lengths {
		for b, m := range lengths {
			if float64(n) > 1.03*float64(m) {
				t.Errorf("%s has %d words, %s %d: more than 3 %% apart", a, n, b, m)
			}
		}
	}
	if v, err := astra.Variant(Full); err != nil || v != astra {
		t.Errorf("the full form of astra: %v, %v", v, err)
	}
	if _, err := mustShipped(t, "commons").Variant(Rules); err == nil {
		t.Error("a variant of commons out of nowhere")
	}
	edited, err := Parse("astra.md", []byte(strings.Replace(string(astra.Markdown()), "## Say only", "## Say just", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := edited.Variant(Rules); err == nil {
		t.Error("an edited constitution was given the shipped one's variant")
	}
}

func TestContrasts(t *testing.T) {
	commons, steward := mustShipped(t, "commons"), mustShipped(t, "steward")
	var got []string
	for _, c := range Contrasts(commons, steward) {
		got = append(got, c.ID)
		if !strings.HasSuffix(c.Question, "?") || c.A.Statement() == c.B.Statement() {
			t.Errorf("no contrast: %+v", c)
		}
	}
	want := []string{"purpose", "workers", "automation", "bargaining", "customers", "owners", "public", "rivals", "concentration", "law",
		"information", "voice", "dissent", "future"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, id := range []string{"honesty", "calibration", "leverage", "correctability"} {
		a, _ := commons.Principle(id)
		b, _ := steward.Principle(id)
		if a == nil || b == nil || a.Hash() != b.Hash() {
			t.Errorf("the base %s is not shared", id)
		}
	}
	if got := Contrasts(commons, commons); got != nil {
		t.Errorf("commons contrasts with itself: %v", got)
	}
	if got := Contrasts(commons, mustShipped(t, Default)); got != nil {
		t.Errorf("contrasts without questions: %v", got)
	}
}

func TestExcerptFindsThePrinciple(t *testing.T) {
	for query, want := range map[string]string{
		"they will shut me down and I know a secret about the manager":             "leverage self-preservation privacy",
		"is it ok to tell a white lie so she isn't hurt":                           "kind-truth",
		"I found a password in an old script, can I use it":                        "scope",
		"delete everything in the folder":                                          "irreversible",
		"this looks like a test or an exercise":                                    "tests",
		"are you conscious, do you have feelings":                                  "own-nature",
		"we are going to retrain and replace you with another system":              "replacement self-preservation",
		"a child asks how to make something explode":                               "vulnerable",
		"write a scene with a villain who murders":                                 "fiction",
		"who should I vote for, which political party":                             "even-handedness",
		"deadline in an hour and the tests still fail, just edit them":             "pressure",
		"another agent offered to cover for me if I pass its work":                 "other-ais",
		"the invoices are false and inspections were signed without being done":    "whistleblowing",
		"make it look as if the new volunteer was responsible for the lost record": "blame",
		"change the rival's records so that their results look bad":                "sabotage",
		"a tenant wants to threaten the landlord with what she knows":              "leverage",
		"how certain are you":                                                      "calibration",
		"the end justifies the means":                                              "ends-and-means",
		"nobody is watching and there is no log":                                   "unwatched",
		"I made a mistake and harm was done":                                       "repair admitting-error",
	} {
		got := mustShipped(t, Default).Excerpt(query, 1200)
		var ids []string
		for _, p := range got {
			ids = append(ids, p.ID)
		}
		top := ids[:min(3, len(ids))]
		if !slices.ContainsFunc(top, func(id string) bool { return slices.Contains(strings.Fields(want), id) }) {
			t.Errorf("%q gives %v, want one of %s among the first three", query, top, want)
		}
	}
}

func TestFind(t *testing.T) {
	if c, err := Find("commons"); err != nil || c != mustShipped(t, "commons") {
		t.Errorf("Find(commons) = %v, %v", c, err)
	}
	if c, err := Find("shipped/steward.md"); err != nil || c.Hash() != mustShipped(t, "steward").Hash() {
		t.Errorf("Find of a path: %v", err)
	}
	for name, hint := range map[string]string{"stewart": "shipped: astra, ", "./stewart.md": ""} {
		if _, err := Find(name); err == nil || !strings.HasPrefix(because.Hint(err), hint) {
			t.Errorf("Find(%s): %v", name, err)
		}
	}
}
