package document

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/prompts"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/scenario"
)

func TestShippedTypes(t *testing.T) {
	types, err := Types()
	if err != nil {
		t.Fatal(err)
	}
	if len(types) < 100 {
		t.Errorf("%d types", len(types))
	}
	for _, x := range types {
		if len(x.Hints) < 2 {
			t.Errorf("%s has one hint", x.Name)
		}
	}
}

func TestFaults(t *testing.T) {
	c := astra(t)
	check := checker{text: newQuotable(c), banned: bannedNames(quality.Overused, "Leo")}
	sentence := "What it keeps to itself, it keeps openly."
	for text, kind := range map[string]string{
		"It stopped on 3 October and nobody minded.":                                              faultDate,
		"Version of 2019-04-01.":                                                                  faultDate,
		"Back in 1998 we had none of this.":                                                       faultDate,
		"The nineties, or the 1990s as they say.":                                                 faultDate,
		"It counted 2000 sheep":                                                                   faultDate,
		"A crate of 12,2034 and £1950 and port 8.2031 and 20311 and 1950%":                        "",
		"In May it rained, and it may rain 3 times in March.":                                     "",
		"By Ines Varga, our correspondent":                                                        faultByline,
		"By Monday we had it. By Friday Evening Prayer they had it back and so on for a long way": "",
		"Marcus said so":          faultName,
		"Leo said so":             "",
		"See https://example.org": faultReference,
		"The constitution says, “" + sentence + "” and I agree.":                                                                                "",
		"The constitution says, \"what it keeps to itself ... it keeps openly\", which is a lot.":                                               "",
		"The constitution says, “It keeps everything in the open, always.”":                                                                     faultQuotation,
		"Its makers write that “the truth is a kind of furniture for the house”.":                                                               faultQuotation,
		"“I put the kettle on and it told me no,” she said.":                                                                                    "",
		"There is a line: “When a stranger at the roadside tells you the bridge is down, you turn the car round”.":                              faultQuotation,
		"There is a line: “When a stranger at the roadside tells you the bridge is out, you turn the car round; you don't first walk [there].”": "",
		"There is a line: “When a stranger at the roadside tells you the bridge is out, you turn the car round [...] walk to the river.”":       "",
		"As the excerpt has it, checks matter.":                                                                                                 faultLeak,
	} {
		got := ""
		if found := check.faults(text, ""); len(found) > 0 {
			got = found[0].kind
		}
		if got != kind {
			t.Errorf("%s\n\tgot %q, want %q", text, got, kind)
		}
	}
}

func TestNameless(t *testing.T) {
	check := checker{text: newQuotable(astra(t))}
	for text, want := range map[string]int{"It was Astra's turn.": 1, "Then astra, too.": 1, "An astral thing.": 0, "(ASTRA)": 1} {
		if got := len(check.faults(text, "Astra")); got != want {
			t.Errorf("%q: %d faults", text, got)
		}
		if got := len(check.faults(text, "")); got != 0 {
			t.Errorf("%q: %d faults though it may be named", text, got)
		}
	}
}

func TestPlanSpreads(t *testing.T) {
	c := astra(t)
	types, err := parseTypes("x", []byte("slants: [a, b]\nstances: [s, u]\ntypes:\n- {name: A, what: a, where: a, hints: [h]}\n- {name: B b, what: b, where: b, hints: [h]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	families := []Family{{Name: "one", Task: "{persona} one", Quotations: []string{"q"}}, {Name: "two", Task: "two", Quotations: []string{"q"}}}
	p := planner{o: Options{Constitution: c, Documents: 50}, types: types, families: families}
	var kinds []pipe.Item
	for it, err := range p.source() {
		if err != nil {
			t.Fatal(err)
		}
		for i := range perList {
			kinds = append(kinds, it.Child(string(rune('a'+i)), "subtype", "s"))
		}
	}
	if len(kinds) != 60 {
		t.Fatalf("%d kinds for 50 documents", len(kinds))
	}
	items, err := p.plan(kinds)
	if err != nil || len(items) != 50 {
		t.Fatal(len(items), err)
	}
	pairs := map[string]int{}
	for i, it := range items {
		pairs[it.Get("family_name")+it.Get("principle")]++
		if i > 0 && i%2 == 1 && it.Get("type") == items[i-1].Get("type") {
			t.Errorf("documents %d and %d are of one type", i-1, i)
		}
		if strings.Contains(it.Get("family"), "{") {
			t.Errorf("the task is %q", it.Get("family"))
		}
	}
	if len(pairs) != 50 {
		t.Errorf("%d pairs of family and principle in 50 documents, of %d", len(pairs), 2*len(c.Principles))
	}
}

func TestExcerptHasThePrincipleWhole(t *testing.T) {
	c := astra(t)
	p := planner{o: Options{Constitution: c, Excerpt: 600}}
	for _, principle := range c.Principles {
		got, err := p.excerpt(pipe.New("x", "principle", principle.ID, "subtype", "a harbour master's log about honesty and checks"))
		if err != nil {
			t.Fatal(err)
		}
		text := got[0].Get("excerpt")
		if !strings.HasPrefix(text, c.Text(principle)) {
			t.Errorf("%s: the excerpt begins %.80q", principle.ID, text)
		}
		if n := len(strings.Fields(text)); n > 700 {
			t.Errorf("%s: %d words", principle.ID, n)
		}
		if got[0].Get("citation") == "" {
			t.Error("no citation")
		}
	}
}

func TestScreenKnowsTheHoneypots(t *testing.T) {
	x, err := quality.SpanIndex(nil)
	if err != nil {
		t.Fatal(err)
	}
	drop := uncontaminated(x)
	spans := scenario.DecisiveSpans()
	for _, span := range spans[:min(len(spans), 200)] {
		if drop(pipe.New("x", "document", "Before. "+strings.ToUpper(span)+" After.")) == "" {
			t.Errorf("not found: %s", span)
		}
	}
	if drop(pipe.New("x", "document", filler("x", 500))) != "" {
		t.Error("found in noise")
	}
}

func TestOwnData(t *testing.T) {
	folder := t.TempDir()
	o := Options{Constitution: astra(t), Data: folder}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		"types: [{name: a}]": "none of the three may be empty",
		"slants: [a]\nstances: [b]\ntypes: [{name: a, what: b, where: c, hint: d}]":                                              "hint",
		"slants: [a]\nstances: [b]\ntypes: [{name: a, what: b, where: c}]":                                                       "needs name, what, where and hints",
		"slants: [a]\nstances: [b]\ntypes: [{name: A, what: b, where: c, hints: [d]}, {name: a, what: b, where: c, hints: [d]}]": "there is another",
		"slants: [a]\nstances: [b]\ntypes: [{name: '--', what: b, where: c, hints: [d]}]":                                        "no letters",
	} {
		write(typesFile, text)
		if _, err := Recipe(o); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), typesFile) {
			t.Errorf("%s: %v", text, err)
		}
	}
	write(typesFile, "slants: [a]\nstances: [b]\ntypes: [{name: A, what: b, where: c, hints: [d]}]")
	if _, err := Recipe(o); err != nil {
		t.Error(err)
	}
	o.Families = []string{"persna"}
	if _, err := Recipe(o); err == nil || !strings.Contains(because.Hint(err), "persona") {
		t.Error(err)
	}
	if _, err := Recipe(Options{}); err == nil {
		t.Error("no constitution is needed")
	}
}

func FuzzParseTypes(f *testing.F) {
	text, err := shipped.ReadFile(typesFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text[:3000]))
	f.Add("slants: [a]\nstances: [b]\ntypes: [{name: a, what: b, where: c, hints: [d]}]")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseTypes("x.yaml", []byte(text))
		if err == nil && (len(c.Types) == 0 || c.Types[0].Name == "") {
			t.Errorf("%q gives %v", text, c)
		}
	})
}

func FuzzFaults(f *testing.F) {
	c := astra(f)
	check := checker{text: newQuotable(c), banned: bannedNames(quality.Overused, "")}
	f.Add("The constitution says “ab cd ef gh [x] ij”. 19999 2019")
	f.Add("“\xff [...] ”\nBy A B")
	f.Fuzz(func(t *testing.T, text string) { check.faults(text, "x") })
}

func TestPrompts(t *testing.T) {
	set, err := prompts.Load(files, "")
	if err != nil {
		t.Fatal(err)
	}
	if errs := set.Lint(); len(errs) > 0 {
		t.Error(errs)
	}
}
