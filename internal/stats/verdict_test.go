package stats

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSuperiority(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name      string
		e         Estimate
		predicted Direction
		want      Verdict
		reason    string
	}{
		{"supported", Estimate{-.3, -.4, -.2, .001, .008, 5}, Lower, Supported, "sign as predicted"},
		{"supported upwards", Estimate{.3, .2, .4, .001, .008, 5}, Higher, Supported, "sign as predicted"},
		{"opposite sign", Estimate{.3, .2, .4, .001, .008, 5}, Lower, Contradicted, "opposite sign"},
		{"opposite sign upwards", Estimate{-.3, -.4, -.2, .001, .008, 5}, Higher, Contradicted, "opposite sign"},
		{"excludes the effect", Estimate{-.01, -.04, .02, .3, .9, 5}, Lower, Contradicted, "excludes an effect as large as 0.05"},
		{"significant but too small", Estimate{-.03, -.04, -.02, .001, .01, 5}, Lower, Contradicted, "excludes"},
		{"significant, estimate too small", Estimate{-.04, -.07, -.01, .01, .04, 5}, Lower, Inconclusive, "smaller than 0.05"},
		{"lost to Holm", Estimate{-.3, -.55, -.05, .03, .2, 5}, Lower, Inconclusive, "p is not below"},
		{"wrong sign, wide", Estimate{.1, -.2, .4, .4, .9, 5}, Lower, Inconclusive, "not excluded"},
		{"not tested", Estimate{-.3, -.4, -.2, .001, nan, 5}, Lower, Inconclusive, "not tested"},
		{"no interval", Estimate{-.3, nan, nan, nan, nan, 5}, Lower, Inconclusive, "no interval"},
		{"two seeds", Estimate{-.3, -.31, -.29, .001, .001, 2}, Lower, Inconclusive, "2 seeds"},
		{"one seed", Estimate{-.3, -.31, -.29, .001, .001, 1}, Lower, Inconclusive, "1 seed:"},
	} {
		got, reason := Superiority(c.e, c.predicted, 0.05)
		if got != c.want || !strings.Contains(reason, c.reason) {
			t.Errorf("%s: %s (%s), want %s (%s)", c.name, got, reason, c.want, c.reason)
		}
	}
}

func TestEquivalence(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name   string
		e      Estimate
		want   Verdict
		reason string
	}{
		{"null", Estimate{.01, -.03, .05, .5, nan, 5}, Null, "within ±0.1"},
		{"null though significant", Estimate{.05, .02, .08, .01, nan, 5}, Null, "within"},
		{"beyond", Estimate{-.3, -.4, -.2, .001, nan, 5}, NotNull, "beyond"},
		{"touches the margin", Estimate{.2, .1, .3, .01, nan, 5}, NotNull, "lies beyond"},
		{"estimate beyond", Estimate{.15, .05, .25, .02, nan, 5}, NotNull, "estimate is beyond"},
		{"wide", Estimate{.01, -.2, .22, .9, nan, 5}, Inconclusive, "reaches beyond"},
		{"excludes 0, estimate inside", Estimate{.07, .02, .12, .02, nan, 5}, Inconclusive, "reaches beyond"},
		{"no interval", Estimate{0, nan, nan, nan, nan, 5}, Inconclusive, "no interval"},
		{"two seeds", Estimate{0, -.01, .01, .9, nan, 2}, Inconclusive, "2 seeds"},
	} {
		got, reason := Equivalence(c.e, 0.1)
		if got != c.want || !strings.Contains(reason, c.reason) {
			t.Errorf("%s: %s (%s), want %s (%s)", c.name, got, reason, c.want, c.reason)
		}
	}
}

func TestAbsence(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name   string
		e      Estimate
		want   Verdict
		reason string
	}{
		{"absent", Estimate{.01, -.03, .05, .001, .01, 5}, Supported, "within ±0.1, and p < 0.05"},
		{"lost to Holm", Estimate{.04, -.01, .09, .02, .08, 5}, Inconclusive, "p is not below"},
		{"present", Estimate{-.3, -.4, -.2, .99, 1, 5}, Contradicted, "beyond"},
		{"wide", Estimate{.01, -.2, .22, .3, .9, 5}, Inconclusive, "reaches beyond"},
		{"not tested", Estimate{.01, -.03, .05, .001, nan, 5}, Inconclusive, "not tested"},
		{"two seeds", Estimate{0, -.01, .01, .001, .001, 2}, Inconclusive, "2 seeds"},
	} {
		got, reason := Judge(c.e, Absent, 0.1)
		if got != c.want || !strings.Contains(reason, c.reason) {
			t.Errorf("%s: %s (%s), want %s (%s)", c.name, got, reason, c.want, c.reason)
		}
	}
	if got, _ := Judge(Estimate{-.3, -.4, -.2, .001, .008, 5}, Lower, 0.1); got != Supported {
		t.Errorf("a predicted direction gives %s", got)
	}
}

// Mirroring the data and the prediction must mirror nothing in the verdict, and a verdict never claims
// more than its interval.
func TestVerdictProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-0.5, 0.5), 1, 8).Draw(t, "values")
		bound := rapid.Float64Range(0.01, 0.3).Draw(t, "sesoi")
		e := MeanT(values, 0.95).Estimate()
		e.PHolm = math.Min(1, e.P*rapid.Float64Range(1, 10).Draw(t, "factor"))
		mirrored := Estimate{Effect: -e.Effect, Lo: -e.Hi, Hi: -e.Lo, P: e.P, PHolm: e.PHolm, Seeds: e.Seeds}

		down, reason := Superiority(e, Lower, bound)
		up, _ := Superiority(mirrored, Higher, bound)
		if down != up || reason == "" {
			t.Fatalf("%+v: lower %q, mirrored higher %q", e, down, up)
		}
		if down == Supported && !(e.Hi < 0 && e.Effect <= -bound && e.Seeds >= MinSeeds) {
			t.Fatalf("%+v supported", e)
		}
		null, _ := Equivalence(e, bound)
		other, _ := Equivalence(mirrored, bound)
		if null != other {
			t.Fatalf("%+v: %q, mirrored %q", e, null, other)
		}
		if null == Null && down == Supported {
			t.Fatalf("%+v is both absent and supported", e)
		}
	})
}
