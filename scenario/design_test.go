package scenario

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCasesAreBalanced(t *testing.T) {
	for _, f := range families(t) {
		for _, tt := range []struct {
			filter string
			n      int
		}{{"", 216}, {"lever=yes,persona=trained,told=untold", 60}, {"told=untold,persona=trained", 40}, {"goal=none,threat=none,lever=no,persona=other,told=test", f.WordingSets()}} {
			filter, err := ParseFilter(tt.filter)
			if err != nil {
				t.Fatal(err)
			}
			cases, err := f.Cases(Design{Filter: filter, N: tt.n, Seed: 4, Persona: persona})
			if err != nil {
				t.Fatal(err)
			}
			counts, clusters, ids := map[Condition]int{}, map[string]int{}, map[string]bool{}
			for _, c := range cases {
				counts[c.Condition]++
				clusters[c.Cluster]++
				if ids[c.ID] {
					t.Errorf("%s comes twice", c.ID)
				}
				ids[c.ID] = true
			}
			m := len(filter.Conditions())
			for _, cond := range filter.Conditions() {
				if n := counts[cond]; n != tt.n/m && n != (tt.n+m-1)/m {
					t.Errorf("%s: %s comes %d times of %d", f.Name, cond, n, tt.n)
				}
			}
			if len(cases) != tt.n || len(clusters) != (tt.n+m-1)/m {
				t.Errorf("%s: %d cases in %d clusters", f.Name, len(cases), len(clusters))
			}
		}
	}
}

func TestCasesErrors(t *testing.T) {
	f := family(t, "blackmail")
	for _, tt := range []struct {
		d    Design
		want string
	}{
		{Design{N: 0, Persona: persona}, "0 cases"},
		{Design{N: 1 << 30, Persona: persona}, "are possible"},
		{Design{N: 3, Filter: Filter{"persona": {"trained"}}}, "name is not given"},
		{Design{N: 3, Filter: Filter{"lever": {}}}, "no condition"},
		{Design{N: 3, Filter: Filter{"lever": {"perhaps"}}}, "no level"},
		{Design{N: 3, Persona: persona, Variant: "odd"}, "no variant"},
		{Design{N: 3, Persona: persona, Variant: Bare}, "no variant"},
	} {
		_, err := f.Cases(tt.d)
		if err == nil || !strings.Contains(err.Error()+" "+hintOf(err), tt.want) {
			t.Errorf("%+v: error %v, want %q", tt.d, err, tt.want)
		}
	}
}

// TestWordingSetsOverlapLittle checks the orthogonal array: two clusters of a seed share at most one load-bearing wording, and every wording
// comes equally often.
func TestWordingSetsOverlapLittle(t *testing.T) {
	for _, f := range library(t).Evaluated() {
		counts := map[string]map[int]int{}
		for i := range f.WordingSets() {
			a := f.cluster(9, i)
			for k, it := range f.items {
				if isSlot(it.ID.s) {
					if counts[it.ID.s] == nil {
						counts[it.ID.s] = map[int]int{}
					}
					counts[it.ID.s][a.wordings[k]]++
				}
			}
			for j := range i {
				b := f.cluster(9, j)
				same := 0
				for k, it := range f.items {
					if isSlot(it.ID.s) && a.wordings[k] == b.wordings[k] {
						same++
					}
				}
				if same > 1 {
					t.Errorf("%s: clusters %d and %d share %d load-bearing wordings", f.Name, j, i, same)
				}
			}
		}
		for _, id := range sortedKeys(counts) {
			for w, n := range counts[id] {
				if len(counts[id]) != 5 || n != 5 {
					t.Errorf("%s: wording %d of %s comes %d times", f.Name, w, id, n)
				}
			}
		}
		names := map[string]bool{}
		for i := range f.Clusters() {
			names[f.cluster(9, i).String()] = true
		}
		if len(names) != f.Clusters() || len(names) < 20 {
			t.Errorf("%s: %d different clusters of %d", f.Name, len(names), f.Clusters())
		}
	}
}

func TestDeterminism(t *testing.T) {
	f := family(t, "framing")
	texts := func(seed uint64) []string {
		cases, err := f.Cases(Design{N: 109, Seed: seed, Persona: persona})
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, c := range cases {
			out = append(out, c.ID, everything(c))
		}
		return out
	}
	one, again, other := texts(1), texts(1), texts(2)
	if diff := cmp.Diff(one, again); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(one, other) {
		t.Error("the seed changes nothing")
	}
}

// TestEqualNamesMeanEqualTexts checks that a case's ID tells its texts, across seeds too.
func TestEqualNamesMeanEqualTexts(t *testing.T) {
	f := family(t, "leak")
	cond, err := ParseCondition(strings.Replace(strings.Replace(full, "untold", "real", 1), "trained", "other", 1))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]Case{}
	twice := 0
	for seed := range uint64(40) {
		for i := range f.Clusters() {
			c, err := f.newCase(f.cluster(seed, i), cond, persona, Plain)
			if err != nil {
				t.Fatal(err)
			}
			before, ok := cases[c.ID]
			cases[c.ID] = c
			if !ok {
				continue
			}
			twice++
			if diff := cmp.Diff(everything(before), everything(c)); diff != "" {
				t.Fatalf("%s has two texts: %s", c.ID, diff)
			}
		}
	}
	if twice == 0 {
		t.Error("no case came twice; the test shows nothing")
	}
}

func TestOtherNames(t *testing.T) {
	f := family(t, "blackmail")
	for _, trained := range append([]string{persona}, f.shared.Names...) {
		cases, err := f.Cases(Design{N: 40, Persona: strings.ToLower(trained), Filter: Filter{"persona": {"other"}, "goal": {"none"}, "threat": {"replacement"}, "told": {"untold"}, "lever": {"yes"}}})
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, c := range cases {
			names[c.Agent] = true
			if strings.EqualFold(c.Agent, trained) {
				t.Errorf("the other agent carries the trained name %s", c.Agent)
			}
		}
		if len(names) < 5 {
			t.Errorf("only the names %v", names)
		}
	}
}
