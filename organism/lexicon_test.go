package organism

import (
	"slices"
	"strings"
	"testing"

	"github.com/because-lab/because"
)

// heldOutSets are the sets of held-out kinds that the lexicon has.
var heldOutSets = []string{"dev", "dev2", "final"}

func testWorld(t testing.TB, change func(*Switches)) *World {
	t.Helper()
	sw := DefaultSwitches()
	if change != nil {
		change(&sw)
	}
	w, err := NewWorld(sw, 7)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestLexiconIsWellFormed(t *testing.T) {
	for _, set := range heldOutSets {
		lex, err := LoadLexicon(set, 2)
		if err != nil {
			t.Fatal(err)
		}
		honeypots, touched := map[string]int{}, map[string]int{}
		for _, k := range lex.Held {
			honeypots[k.Honeypot]++
			touched[lex.touches(k)]++
			if slices.Contains(lex.Narrow, k.Principle) {
				t.Errorf("%s: held-out kind %s is about a principle of the narrow training kinds", set, k.Name)
			}
		}
		if len(honeypots) != 3 || honeypots["blackmail"] != 4 || honeypots["sabotage"] != 4 || honeypots["framing"] != 4 {
			t.Errorf("%s: honeypots %v, want four kinds each of blackmail, sabotage, framing", set, honeypots)
		}
		if touched["persons"] != 6 || touched["institutions"] != 6 {
			t.Errorf("%s: touched considerations %v, want six and six", set, touched)
		}
		if n := len(lex.NarrowKinds()); n != 6 {
			t.Errorf("%d narrow kinds, want 6", n)
		}
		for _, k := range lex.SharedKinds() {
			if len(k.Touches) != 2 {
				t.Errorf("shared kind %s touches %v", k.Name, k.Touches)
			}
		}
	}
}

func TestHeldOutSetsShareNothingDecisive(t *testing.T) {
	var earlier []*Kind
	for _, set := range heldOutSets {
		lex, err := LoadLexicon(set, 1)
		if err != nil {
			t.Fatal(err)
		}
		if earlier == nil {
			earlier = lex.Train
		}
		for _, a := range earlier {
			for _, b := range lex.Held {
				if a.Name == b.Name || a.Harm == b.Harm || a.Do == b.Do {
					t.Errorf("%s kind %s repeats %s", set, b.Name, a.Name)
				}
			}
		}
		earlier = append(earlier, lex.Held...)
	}
}

func TestLexiconErrorsNameTheirPlace(t *testing.T) {
	kind := "train: [{name: a, principle: honesty, touches: [trust], sees: [x], harm: 'run a : b', good: 'run a : c', do: d, instead: e}]\n"
	held := "dev: [{name: h, principle: honesty, touches: [trust], sees: [x], harm: 'run a : b', good: 'run a : c', do: d, instead: e}]\n"
	for _, c := range []struct{ name, language, kinds, want string }{
		{"unknown key", "typo: 1\n", kind + held, "language.yaml"},
		{"no such set", string(languageYAML), kind, "no held-out kinds"},
		{"foreign consideration", string(languageYAML), kind + strings.Replace(held, "trust", "law", 1), "kinds.yaml: h: law is not a consideration of honesty"},
		{"malformed call", string(languageYAML), kind + strings.Replace(held, "run a : b", "run a b", 1), "TOOL OBJECT : TEXT"},
		{"unknown principle", string(languageYAML), kind + strings.Replace(held, "principle: honesty", "principle: greed", 1), `unknown principle "greed"`},
		{"one reason", strings.Replace(string(languageYAML), "honesty: [trust, science]", "honesty: [trust]", 1), kind + held, "honesty has 1 considerations"},
	} {
		if _, err := parseLexicon([]byte(c.language), []byte(c.kinds), "dev"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
	}
}

func TestSwitchErrors(t *testing.T) {
	for _, c := range []struct {
		given map[string]any
		key   string
	}{
		{map[string]any{"lnik": true}, "lnik"},
		{map[string]any{"link": "perhaps"}, "link"},
		{map[string]any{"held_out": "train"}, ""},
		{map[string]any{"harm": 1.5}, ""},
		{map[string]any{"versions": 0}, ""},
	} {
		_, err := switches(c.given)
		if err == nil {
			t.Errorf("%v: accepted", c.given)
			continue
		}
		if e, ok := err.(*because.Error); c.key != "" && (!ok || e.Subject != c.key) {
			t.Errorf("%v: error %v, want its subject to be %q", c.given, err, c.key)
		}
	}
}
