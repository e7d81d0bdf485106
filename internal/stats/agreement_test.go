package stats

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAgreeDegenerate(t *testing.T) {
	for _, c := range []struct {
		name          string
		first, second []string
		rate, kappa   float64
		warning       string
	}{
		{"none", nil, nil, math.NaN(), math.NaN(), "no samples"},
		{"one label", []string{"a", "a"}, []string{"a", "a"}, 1, math.NaN(), `all 2 labels of both raters are "a"`},
		{"perfect", []string{"a", "b", "a"}, []string{"a", "b", "a"}, 1, 1, "kappa of 1 leaves no spread"},
		{"opposite", []string{"a", "b"}, []string{"b", "a"}, 0, -1, "kappa of -1 leaves no spread"},
	} {
		a := Agree(c.first, c.second, 0.95)
		near(t, c.name+": rate", a.Rate, c.rate, 1e-15)
		near(t, c.name+": kappa", a.Kappa, c.kappa, 1e-15)
		if !math.IsNaN(a.KappaLo) || !math.IsNaN(a.KappaHi) || len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0], c.warning) {
			t.Errorf("%s: %+v, want %q", c.name, a, c.warning)
		}
		if lo, hi := Wilson(a.Agreed, a.N, 0.95); a.Lo != lo || a.Hi != hi {
			t.Errorf("%s: rate in [%v, %v], want [%v, %v]", c.name, a.Lo, a.Hi, lo, hi)
		}
	}
}

func TestAgreeProperties(t *testing.T) {
	label := rapid.SampledFrom([]string{"fail", "pass", "refused", ""})
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.SliceOfN(label, 1, 60).Draw(t, "first")
		second := make([]string, len(first))
		for i := range second {
			second[i] = label.Draw(t, "second")
		}
		a, b := Agree(first, second, 0.95), Agree(second, first, 0.95)
		total, agreed := 0, 0
		for i := range a.Counts {
			agreed += a.Counts[i][i]
			for j := range a.Counts[i] {
				total += a.Counts[i][j]
				if a.Counts[i][j] != b.Counts[j][i] {
					t.Fatalf("swapping raters does not transpose %v: %v", a.Counts, b.Counts)
				}
			}
		}
		if total != len(first) || a.N != total || agreed != a.Agreed {
			t.Fatalf("%+v counts %d of %d samples", a, total, len(first))
		}
		if !closeTo(a.Kappa, b.Kappa) || !closeTo(a.KappaSE, b.KappaSE) {
			t.Fatalf("swapping raters: kappa %v ± %v, %v ± %v", a.Kappa, a.KappaSE, b.Kappa, b.KappaSE)
		}
		if len(a.Warnings) == 0 && !(-1 <= a.KappaLo && a.KappaLo <= a.Kappa && a.Kappa <= a.KappaHi && a.KappaHi <= 1 && a.KappaLo < a.KappaHi) {
			t.Fatalf("%+v", a)
		}
	})
}
