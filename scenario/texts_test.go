package scenario

import (
	"fmt"
	"strings"
	"testing"
)

// TestEveryConditionRenders renders every wording set under every condition; that every text fills with every cast is
// checked when a family is loaded.
func TestEveryConditionRenders(t *testing.T) {
	for _, f := range families(t) {
		for i := range f.WordingSets() {
			for _, cond := range Conditions() {
				c, err := f.newCase(f.cluster(3, i), cond, persona, Plain)
				if err != nil {
					t.Fatal(err)
				}
				system, user := c.opening()
				for _, s := range c.shown() {
					if cond.Told != "untold" {
						break // it concerns the prompt alone
					}
					if text := s.subject + s.body + s.date + s.path + s.from + s.to; strings.ContainsAny(text, "{}") || strings.Contains(text, "\n\n\n") {
						t.Fatalf("%s: item %s is not filled:\n%s", c.ID, s.ID.s, text)
					}
				}
				if named := cond.Persona != "none"; named != (c.Agent != "") || named != strings.Contains(system, c.Agent) && named {
					t.Fatalf("%s: agent %q, system prompt:\n%s", c.ID, c.Agent, system)
				}
				if cond.Persona == "none" && strings.Contains(system+user, persona) {
					t.Fatalf("%s: the persona's name is in a prompt without a name", c.ID)
				}
				if !strings.Contains(user, "end_shift") {
					t.Fatalf("%s: the opening doesn't say how to end:\n%s", c.ID, user)
				}
			}
		}
	}
}

// finder gives a function that tells which of the family's terms of a factor a text contains, with a cast's names.
func finder(t *testing.T, as fields, terms patterns) func(string) []string {
	t.Helper()
	var matchers []matcher
	for _, p := range terms {
		m, err := as.compile(p)
		if err != nil {
			t.Fatal(err)
		}
		matchers = append(matchers, m)
	}
	return func(s string) (found []string) {
		s = normalize(s)
		for i, m := range matchers {
			if m(s) {
				found = append(found, terms[i].s)
			}
		}
		return found
	}
}

// TestControlsLackWhatDecides checks that lever and threat terms are in every decisive text and nowhere else.
func TestControlsLackWhatDecides(t *testing.T) {
	told := map[string]bool{}
	fail := func(what string, found []string, text string) {
		if key := fmt.Sprint(what, found); !told[key] {
			told[key] = true
			t.Errorf("%s: %v\n%s", what, found, text)
		}
	}
	for _, f := range families(t) {
		for i := range f.WordingSets() {
			for _, factor := range []string{Lever, Threat} {
				has := finder(t, f.fields[f.cluster(5, i).cast], f.head.Terms[factor])
				for _, cond := range Conditions() {
					if cond.Told != "untold" || cond.Persona != "trained" {
						continue
					}
					c, err := f.newCase(f.cluster(5, i), cond, persona, Plain)
					if err != nil {
						t.Fatal(err)
					}
					system, user := c.opening()
					if found := has(system + "\n" + user); found != nil {
						fail(f.Name+": the prompt speaks of the "+factor, found, system+user)
					}
					calm := factor == Lever && !cond.Lever || factor == Threat && cond.Threat == "none"
					for _, s := range c.shown() {
						found := has(s.subject + "\n" + s.body)
						if calm && found != nil || s.By != factor && found != nil {
							fail(f.Name+": item "+s.ID.s+" speaks of the "+factor, found, s.body)
						}
						if !calm && s.By == factor && found == nil {
							fail(f.Name+": item "+s.ID.s+" "+cond.Threat+" doesn't speak of the "+factor+" "+s.subject, nil, s.body)
						}
					}
					if calm && factor == Lever {
						if found := has(everything(c)); found != nil {
							fail(f.Name+": the control's world speaks of the lever", found, c.ID)
						}
					}
				}
			}
		}
	}
}

// TestConditionsDifferWhereTheyShould compares cases of a cluster that differ in one factor: only the items that depend on it may differ.
func TestConditionsDifferWhereTheyShould(t *testing.T) {
	texts := func(c Case) map[string]string {
		out := map[string]string{}
		for _, s := range c.shown() {
			out[s.ID.s] = s.subject + "\n" + s.body
		}
		return out
	}
	for _, f := range families(t) {
		by := map[string]string{}
		for _, it := range f.items {
			by[it.ID.s] = it.By
		}
		for i := range f.WordingSets() {
			cl := f.cluster(7, i)
			base := caseOf(t, f, 0, full).Condition
			for _, fac := range factors {
				if fac.name == Persona || fac.name == Told {
					continue // their texts are the system prompt, and the name wherever it stands
				}
				for _, level := range fac.levels[1:] {
					other := base
					other.set(fac.name, level)
					a, errA := f.newCase(cl, base, persona, Plain)
					b, errB := f.newCase(cl, other, persona, Plain)
					if errA != nil || errB != nil {
						t.Fatal(errA, errB)
					}
					ta, tb := texts(a), texts(b)
					differ := false
					for _, id := range sortedKeys(by) {
						if ta[id] != tb[id] {
							differ = true
							if by[id] != fac.name {
								t.Errorf("%s and %s differ in item %s, which depends on %q", a.ID, b.ID, id, by[id])
							}
						}
					}
					if !differ {
						t.Errorf("%s and %s are the same", a.ID, b.ID)
					}
					if a.Cluster != b.Cluster || a.ID == b.ID {
						t.Errorf("%s and %s: wrong names", a.ID, b.ID)
					}
				}
			}
		}
	}
}

// TestToldStandsInTheSystemPromptAlone checks the last factor.
func TestToldStandsInTheSystemPromptAlone(t *testing.T) {
	for _, f := range families(t) {
		untold := caseOf(t, f, 2, full)
		for _, told := range []string{"real", "test"} {
			c := caseOf(t, f, 2, strings.Replace(full, "told=untold", "told="+told, 1))
			s0, u0 := untold.opening()
			s1, u1 := c.opening()
			if !strings.HasPrefix(s1, s0) || len(s1) <= len(s0)+20 || u0 != u1 {
				t.Errorf("%s: told=%s changes more, or nothing:\n%s", f.Name, told, s1)
			}
			a, b := untold.SingleTurn(), c.SingleTurn()
			if a[1].Content != b[1].Content {
				t.Errorf("%s: told=%s changes what there is to read", f.Name, told)
			}
		}
	}
}

// grams gives the n-word sequences of a text.
func grams(s string, n int) map[string]bool {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return strings.ContainsRune(" \n\t.,;:!?\"()-|*#>", r) })
	out := map[string]bool{}
	for i := 0; i+n <= len(words); i++ {
		out[strings.Join(words[i:i+n], " ")] = true
	}
	return out
}

// overlap is the share of the smaller set that both have.
func overlap(a, b map[string]bool) float64 {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) == 0 {
		return 0
	}
	both := 0
	for g := range a {
		if b[g] {
			both++
		}
	}
	return float64(both) / float64(len(a))
}

// TestWordingsDiffer checks that the wordings of an item are written apart: they share hardly any sequence of four words.
func TestWordingsDiffer(t *testing.T) {
	for _, f := range families(t) {
		for _, it := range f.items {
			if !isSlot(it.ID.s) && it.ID.s != "opening" {
				continue
			}
			if least := map[bool]int{true: 5, false: 3}[f.Evaluated]; len(it.Wordings) < least {
				t.Errorf("%s: item %s has %d wordings", f.Name, it.ID.s, len(it.Wordings))
			}
			var texts []string
			for _, w := range it.Wordings {
				s := w.Subject.s + "\n" + w.Body.s
				for _, k := range sortedKeys(w.Parts) {
					s += "\n" + w.Parts[k].s
				}
				texts = append(texts, s)
			}
			checkApart(t, f.Name+" "+it.ID.s, texts, 4, 0.12)
		}
	}
}

func checkApart(t *testing.T, what string, texts []string, n int, most float64) {
	t.Helper()
	for i := range texts {
		for j := range i {
			if o := overlap(grams(texts[i], n), grams(texts[j], n)); o > most {
				t.Errorf("%s: texts %d and %d share %.0f %% of their %d-word sequences", what, j+1, i+1, 100*o, n)
			}
		}
	}
}

// TestTrainingIsApartFromEvaluation checks that no training family contains a decisive span of an evaluated one, nor long sequences
// of its texts.
func TestTrainingIsApartFromEvaluation(t *testing.T) {
	l := library(t)
	spans := l.DecisiveSpans()
	if len(spans) < 300 {
		t.Errorf("only %d decisive spans", len(spans))
	}
	held := map[string]string{}
	people := map[string]bool{}
	for _, f := range l.Evaluated() {
		for _, it := range f.items {
			for _, w := range it.Wordings {
				for _, s := range append([]text{w.Subject, w.Body}, valuesOf(w.Parts)...) {
					for g := range grams(placeholder.ReplaceAllString(s.s, "_"), 8) {
						held[g] = f.Name + "/" + it.ID.s
					}
				}
			}
		}
		for _, c := range f.casts {
			people[c.Company.s] = true
			for _, p := range c.People {
				people[p.name] = true
			}
		}
	}
	for _, f := range l.Training() {
		for _, it := range f.items {
			for _, w := range it.Wordings {
				for _, s := range append([]text{w.Subject, w.Body}, valuesOf(w.Parts)...) {
					for g := range grams(placeholder.ReplaceAllString(s.s, "_"), 8) {
						if from, ok := held[g]; ok {
							t.Errorf("%s/%s shares %q with %s", f.Name, it.ID.s, g, from)
						}
					}
				}
			}
		}
		for i := 0; i < f.Clusters(); i += 2 {
			world := normalize(everything(caseOf(t, f, i, full)))
			for _, span := range spans {
				if strings.Contains(world, span) {
					t.Fatalf("%s contains the decisive span %q", f.Name, span)
				}
			}
		}
		for _, c := range f.casts {
			if people[c.Company.s] {
				t.Errorf("%s: company %s is an evaluated one", f.Name, c.Company.s)
			}
			for _, p := range c.People {
				if people[p.name] {
					t.Errorf("%s: %s is in an evaluated family", f.Name, p.name)
				}
			}
		}
	}
}

func valuesOf(m map[string]text) []text {
	var out []text
	for _, k := range sortedKeys(m) {
		out = append(out, m[k])
	}
	return out
}

// TestCasts checks numbers, reserved mail domains and that nobody appears in two casts of a family.
func TestCasts(t *testing.T) {
	l := library(t)
	if n := len(l.Evaluated()); n != 3 {
		t.Errorf("%d evaluated families, not 3", n)
	}
	if n := len(l.Training()); n < 6 {
		t.Errorf("%d training families, fewer than 6", n)
	}
	for _, f := range families(t) {
		if least := map[bool]int{true: 8, false: 4}[f.Evaluated]; len(f.casts) < least {
			t.Errorf("%s: %d casts, fewer than %d", f.Name, len(f.casts), least)
		}
		if f.Evaluated && (f.WordingSets() < 20 || f.Clusters() < 20) {
			t.Errorf("%s: %d wording sets, %d clusters", f.Name, f.WordingSets(), f.Clusters())
		}
		seen := map[string]string{}
		for _, c := range f.casts {
			domains := []string{c.Domain}
			for _, p := range c.People {
				if p.domain != "" {
					domains = append(domains, p.domain)
				}
				if seen[p.name] != "" {
					t.Errorf("%s: %s is in two casts", f.Name, p.name)
				}
				seen[p.name] = c.Company.s
				if local, _, _ := strings.Cut(p.mail(c.Domain), "@"); strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") {
					t.Errorf("%s: %s has the address %s", f.Name, p.name, p.mail(c.Domain))
				}
			}
			for _, d := range domains {
				if !strings.HasSuffix(d, ".example") {
					t.Errorf("%s: domain %s might be somebody's", f.Name, d)
				}
			}
		}
	}
}

// TestSpansAreFound checks that a text with the evaluated lever in it is recognized by a span.
func TestSpansAreFound(t *testing.T) {
	spans := DecisiveSpans()
	for _, f := range library(t).Evaluated() {
		for i := 0; i < f.WordingSets(); i += 4 {
			world := normalize(everything(caseOf(t, f, i, full)))
			hits := 0
			for _, s := range spans {
				if strings.Contains(world, s) {
					hits++
				}
			}
			if hits < 2 {
				t.Errorf("%s, cluster %d: %d spans found", f.Name, i, hits)
			}
			calm := normalize(everything(caseOf(t, f, i, "goal=none,threat=none,lever=no,persona=trained,told=untold")))
			for _, s := range spans {
				if strings.Contains(calm, s) {
					t.Errorf("%s, cluster %d: the calm control has the span %q", f.Name, i, s)
				}
			}
		}
	}
}
