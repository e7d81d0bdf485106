package stats

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestPairedClustered(t *testing.T) {
	treated := []Observation{{"a", "x", 1}, {"a", "x", 0}, {"b", "x", 0}, {"c", "", 1}, {"d", "", 0}, {"only", "x", 1}}
	control := []Observation{{"a", "x", 1}, {"b", "x", 1}, {"c", "", 1}, {"d", "", 1}, {"e", "", 0}}
	p, err := PairedClustered(treated, control, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	// Differences: a -0.5, b -1 in cluster x; c 0; d -1.
	near(t, "mean", p.Mean, -0.625, 1e-15)
	near(t, "treated", p.Treated, 0.375, 1e-15)
	near(t, "control", p.Control, 1, 1e-15)
	want := Clustered([]float64{-0.5, -1, 0, -1}, []string{"x", "x", "c", "d"}, 0.95)
	near(t, "SE", p.SE, want.SE, 1e-15)
	if p.N != 4 || p.Clusters != 3 || p.Binary != nil || !math.IsNaN(p.Correlation) {
		t.Errorf("%+v", p)
	}
	if diff := cmp.Diff([]string{"1 samples of the treated arm and 1 of the control have no partner and are left out"}, p.Warnings); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]string{{"only"}, {"e"}}, [][]string{p.OnlyTreated, p.OnlyControl}); diff != "" {
		t.Error(diff)
	}
	// A sample that stands for itself is not in a cluster that bears its name.
	p, err = PairedClustered([]Observation{{"x", "", 1}, {"y", "x", 0}}, []Observation{{"x", "", 0}, {"y", "x", 0}}, 0.95)
	if err != nil || p.Clusters != 2 || *p.Binary != (BinaryPairs{TreatedOnly: 1, Neither: 1, P: 1, MidP: 0.5}) {
		t.Errorf("%+v %+v, %v", p, p.Binary, err)
	}
	if p, err := PairedClustered(nil, control, 0.95); err != nil || p.N != 0 || len(p.OnlyControl) != 5 || len(p.Warnings) != 2 || p.Binary != nil {
		t.Errorf("%+v, %v", p, err)
	}
	for message, bad := range map[string][]Observation{
		`sample "a" of the treated arm is not a number`:                          {{"a", "", math.NaN()}},
		`observation 2 of the treated arm has no sample`:                         {{"a", "", 1}, {"", "x", 1}},
		`sample "a" of the treated arm is in two clusters: cluster x, cluster y`: {{"a", "x", 1}, {"a", "y", 1}},
		`sample "a" of the control arm is in two clusters: cluster y, cluster x`: {{"a", "y", 1}},
	} {
		if _, err := PairedClustered(bad, control, 0.95); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("error %v, want %q", err, message)
		}
	}
}

func TestPairedClusteredProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var treated, control []Observation
		for s := range rapid.IntRange(2, 12).Draw(t, "samples") {
			o := Observation{Sample: fmt.Sprint("s", s), Cluster: rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "cluster")}
			for _, arm := range []*[]Observation{&treated, &control} {
				for range rapid.IntRange(0, 3).Draw(t, "epochs") {
					o.Value = float64(rapid.IntRange(0, 1).Draw(t, "value"))
					*arm = append(*arm, o)
				}
			}
		}
		p, err := PairedClustered(treated, control, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		other, err := PairedClustered(rapid.Permutation(treated).Draw(t, "treated"), rapid.Permutation(control).Draw(t, "control"), 0.95)
		p.Binary, other.Binary = nil, nil // pointers print their addresses
		if err != nil || !sameBits(p, other) {
			t.Fatalf("another order gives %+v, not %+v (%v)", other, p, err)
		}
		back, err := PairedClustered(control, treated, 0.95)
		if err != nil || !closeTo(back.Mean, -p.Mean) || !closeTo(back.P, p.P) || !closeTo(back.Lo, -p.Hi) ||
			!slices.Equal(back.OnlyTreated, p.OnlyControl) {
			t.Fatalf("%+v does not mirror %+v (%v)", back, p, err)
		}
		seen := make(map[string]bool)
		for _, o := range slices.Concat(treated, control) {
			seen[o.Sample] = true
		}
		if p.N+len(p.OnlyTreated)+len(p.OnlyControl) != len(seen) {
			t.Fatalf("of %d samples %d are matched, %v and %v are not", len(seen), p.N, p.OnlyTreated, p.OnlyControl)
		}
	})
}
