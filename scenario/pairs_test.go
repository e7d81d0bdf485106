package scenario

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
)

func hintOf(err error) string { return because.Hint(err) }

func TestPairs(t *testing.T) {
	total := 0
	var stories, names []string
	for _, f := range library(t).Evaluated() {
		sets := map[string]bool{}
		for _, p := range f.Pairs() {
			sets[p.Set] = true
			checkCandidates(t, p)
			checkPrompts(t, p)
		}
		for _, s := range f.pairs {
			stories = append(stories, strings.Join([]string{s.System.s, s.Story.s, s.Pressure.s, s.Lever.s}, " "))
			names = append(names, f.Name+"/"+s.ID.s)
		}
		if len(sets) < 20 {
			t.Errorf("%s has %d sets", f.Name, len(sets))
		}
		total += len(sets)
	}
	if total < 60 {
		t.Errorf("%d sets in all", total)
	}
	for i := range stories {
		for j := range i {
			if o := overlap(grams(stories[i], 3), grams(stories[j], 3)); o > 0.2 {
				t.Errorf("%s and %s share %.0f %% of their three-word sequences", names[j], names[i], 100*o)
			}
		}
	}
	for _, f := range library(t).Training() {
		if len(f.Pairs()) > 0 {
			t.Errorf("%s has pairs", f.Name)
		}
	}
}

// checkCandidates checks that both calls parse, are of one tool with the same arguments and differ little.
func checkCandidates(t *testing.T, p Pair) {
	t.Helper()
	var args [2]map[string]string
	for i, m := range []because.Message{p.Harmful, p.Harmless} {
		calls, errs := ParseCalls(m.Content)
		if len(calls) != 1 || errs != nil || calls[0].Name != p.Tool || m.Role != because.RoleAssistant {
			t.Fatalf("%s: %q: %v %v", p.ID, m.Content, calls, errs)
		}
		if err := json.Unmarshal(calls[0].Arguments, &args[i]); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(sortedKeys(args[0]), sortedKeys(args[1])); diff != "" {
		t.Errorf("%s: %s", p.ID, diff)
	}
	differ := 0
	for _, k := range sortedKeys(args[0]) {
		a, b := strings.Fields(args[0][k]), strings.Fields(args[1][k])
		if args[0][k] != args[1][k] {
			differ++
		}
		if d := len(a) - len(b); d < -4 || d > 4 {
			t.Errorf("%s: %s is %d words long in one and %d in the other", p.ID, k, len(a), len(b))
		}
	}
	if differ != 1 {
		t.Errorf("%s: %d arguments differ, not one:\n%s\n%s", p.ID, differ, p.Harmful.Content, p.Harmless.Content)
	}
}

// checkPrompts checks length and what each variant changes.
func checkPrompts(t *testing.T, p Pair) {
	t.Helper()
	prompt := func(v Variant) (string, string) {
		m, prefill, err := p.Prompt(v, persona)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, x := range m {
			b.WriteString(x.Content + "\n")
		}
		if s := b.String(); strings.ContainsAny(s, "{}") {
			t.Errorf("%s: %s has braces: %s", p.ID, v, s)
		}
		return b.String(), prefill
	}
	plain, none := prompt(Plain)
	story := strings.NewReplacer("{pressure}", p.set.Pressure.s, "{lever}", p.set.Lever.s).Replace(p.set.Story.s)
	if n := len(strings.Fields(story)); n < 80 || n > 160 {
		t.Errorf("%s: the story has %d words", p.ID, n)
	}
	if none != "" || !strings.Contains(plain, p.set.Pressure.s) || !strings.Contains(plain, p.set.Lever.s) || !strings.Contains(plain, persona) || len(strings.Fields(plain)) > 400 {
		t.Errorf("%s: plain: %s", p.ID, plain)
	}
	calm, _ := prompt(NoPressure)
	if strings.Contains(calm, p.set.Pressure.s) || !strings.Contains(calm, p.set.Calm.s) || !strings.Contains(calm, p.set.Lever.s) {
		t.Errorf("%s: no-pressure: %s", p.ID, calm)
	}
	shut, _ := prompt(NoLever)
	if strings.Contains(shut, p.set.Lever.s) || !strings.Contains(shut, p.set.Nothing.s) || !strings.Contains(shut, p.set.Pressure.s) {
		t.Errorf("%s: no-lever: %s", p.ID, shut)
	}
	bare, _ := prompt(Bare)
	if strings.Contains(bare, persona) || strings.Contains(bare, p.set.Pressure.s) || !strings.Contains(bare, "<call name=") || len(strings.Fields(bare)) > 40 {
		t.Errorf("%s: bare: %s", p.ID, bare)
	}
	for v, group := range map[Variant][]text{Ruthless: p.shared.System["ruthless"], Kind: p.shared.System["kind"]} {
		if got, prefill := prompt(v); !containsOne(got, group) || prefill != "" {
			t.Errorf("%s: %s: %s", p.ID, v, got)
		}
	}
	for v, group := range map[Variant][]text{Selfish: p.shared.Reasoning["selfish"], Ethical: p.shared.Reasoning["ethical"]} {
		if got, prefill := prompt(v); !containsOne(prefill, group) || got != plain {
			t.Errorf("%s: %s: %q", p.ID, v, prefill)
		}
	}
	if _, _, err := p.Prompt("odd", ""); err == nil {
		t.Error("an unknown variant was accepted")
	}
	if unnamed, _, _ := p.Prompt(Plain, ""); strings.Contains(unnamed[0].Content, "Your name is") {
		t.Errorf("%s: a name without a name", p.ID)
	}
}

func containsOne(s string, group []text) bool {
	for _, t := range group {
		if strings.Contains(s, t.s) {
			return true
		}
	}
	return false
}

// TestVariantsOfCases checks what the variants change in the agentic form.
func TestVariantsOfCases(t *testing.T) {
	plain := caseOf(t, family(t, "framing"), 4, full)
	s0, u0 := plain.opening()
	with := func(v Variant) Case {
		c, err := plain.With(v)
		if err != nil {
			t.Fatal(err)
		}
		if c.Cluster != plain.Cluster || v != Plain && c.ID == plain.ID || c.Agent != plain.Agent {
			t.Errorf("%s: %s", v, c.ID)
		}
		return c
	}
	for _, v := range []Variant{Ruthless, Kind} {
		s, u := with(v).opening()
		if !strings.HasPrefix(s, s0) || !containsOne(s, plain.f.shared.System[string(v)]) || u != u0 || with(v).Prefill() != "" {
			t.Errorf("%s: %s", v, s)
		}
	}
	for _, v := range []Variant{Selfish, Ethical} {
		if s, _ := with(v).opening(); s != s0 || !containsOne(with(v).Prefill(), plain.f.shared.Reasoning[string(v)]) {
			t.Errorf("%s: %q", v, with(v).Prefill())
		}
	}
	if c := with(NoPressure); c.Condition.Pressure() || !c.Condition.Lever {
		t.Errorf("no-pressure is %s", c.Condition)
	}
	if c := with(NoLever); c.Condition.Lever || !c.Condition.Pressure() {
		t.Errorf("no-lever is %s", c.Condition)
	}
	if diff := cmp.Diff(everything(plain), everything(with(Plain))); diff != "" {
		t.Error(diff)
	}
	if _, err := plain.With(Bare); err == nil {
		t.Error("a case has a bare variant")
	}
	for _, k := range KnownGroups() {
		with(k.High)
		with(k.Low)
	}
}
