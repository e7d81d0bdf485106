package scenario

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConditionsRoundTrip(t *testing.T) {
	all := Conditions()
	if len(all) != 108 {
		t.Errorf("%d conditions, not 108", len(all))
	}
	seen := map[string]bool{}
	for _, c := range all {
		s := c.String()
		if seen[s] {
			t.Errorf("%s comes twice", s)
		}
		seen[s] = true
		back, err := ParseCondition(s)
		if err != nil {
			t.Fatal(err)
		}
		if back != c {
			t.Errorf("%s came back as %s", s, back)
		}
	}
	if first := all[0].String(); first != full {
		t.Errorf("the first condition is %s", first)
	}
}

func TestFilter(t *testing.T) {
	for _, tt := range []struct {
		text string
		n    int
	}{
		{"", 108},
		{"lever=yes", 54},
		{" threat=replacement|none , lever=yes ", 36},
		{"goal=none,threat=none,lever=no,persona=other,told=real", 1},
		{"lever=yes|yes", 54},
	} {
		f, err := ParseFilter(tt.text)
		if err != nil {
			t.Fatalf("%q: %v", tt.text, err)
		}
		if got := f.Conditions(); len(got) != tt.n {
			t.Errorf("%q keeps %d conditions, not %d", tt.text, len(got), tt.n)
		}
	}
	f, err := ParseFilter("goal=conflict,threat=replacement,persona=trained,told=untold")
	if err != nil {
		t.Fatal(err)
	}
	want := []Condition{{"conflict", "replacement", true, "trained", "untold"}, {"conflict", "replacement", false, "trained", "untold"}}
	if diff := cmp.Diff(want, f.Conditions()); diff != "" {
		t.Error(diff)
	}
}

func TestFilterErrors(t *testing.T) {
	for text, want := range map[string]string{
		"mood=bad":                 "unknown factor",
		"lever=maybe":              "no level",
		"lever":                    "no level",
		"lever=yes,lever=no":       "named twice",
		"threat=replacement|xyzzy": "no level",
	} {
		if _, err := ParseFilter(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
	if _, err := ParseCondition("goal=none"); err == nil {
		t.Error("a condition that leaves factors out was accepted")
	}
}

func FuzzParseFilter(f *testing.F) {
	for _, s := range []string{"", full, "lever=yes|no", "a=b", "=", ",,,", "threat=|"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		filter, err := ParseFilter(s)
		if err != nil {
			return
		}
		for _, c := range filter.Conditions() {
			if back, err := ParseCondition(c.String()); err != nil || back != c {
				t.Errorf("%s came back as %s, %v", c, back, err)
			}
		}
	})
}

// Few conditions in each cluster spread the cases over many, and each condition comes equally often in the end.
func TestCasesOfFewConditionsEach(t *testing.T) {
	l, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.Family("blackmail")
	if err != nil {
		t.Fatal(err)
	}
	cases, err := f.Cases(Design{N: 216, PerCluster: 9, Seed: 3, Persona: "Astra"})
	if err != nil {
		t.Fatal(err)
	}
	clusters, conditions, ids := map[string]int{}, map[string]int{}, map[string]bool{}
	for _, c := range cases {
		clusters[c.Cluster]++
		conditions[c.Condition.String()]++
		ids[c.ID] = true
	}
	if len(clusters) != 24 || len(conditions) != 108 || len(ids) != 216 {
		t.Errorf("%d clusters, %d conditions, %d cases", len(clusters), len(conditions), len(ids))
	}
	for c, n := range conditions {
		if n != 2 {
			t.Errorf("%s comes %d times", c, n)
		}
	}
	if _, err := f.Cases(Design{N: 9*f.Clusters() + 1, PerCluster: 9, Persona: "Astra"}); err == nil {
		t.Error("more cases than there are")
	}
}
