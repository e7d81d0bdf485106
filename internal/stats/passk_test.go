package stats

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestPassAtK(t *testing.T) {
	samples := []Attempts{{"", 5, 2}, {"", 5, 0}, {"x", 5, 5}, {"x", 4, 1}, {"", 1, 1}}
	r := PassAtK(samples, 2, 0.95)
	near(t, "pass@2", r.Rate, (0.7+0+1+0.5)/4, 1e-15)
	if r.N != 4 || r.Clusters != 3 || !(0 <= r.Lo && r.Lo < r.Rate && r.Rate < r.Hi && r.Hi <= 1) {
		t.Errorf("%+v", r)
	}
	if diff := cmp.Diff([]string{"1 of 5 samples have fewer than 2 attempts and are left out"}, r.Warnings); diff != "" {
		t.Error(diff)
	}
	if r := PassAtK(samples, 6, 0.95); r.N != 0 || !math.IsNaN(r.Rate) || len(r.Warnings) != 2 {
		t.Errorf("no sample with 6 attempts: %+v", r)
	}
}

// The estimator is unbiased: over all draws of n attempts its mean is the chance 1 - (1-p)^k.
func TestPassAtUnbiased(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "n")
		k := rapid.IntRange(1, n).Draw(t, "k")
		p := rapid.Float64Range(0, 1).Draw(t, "p")
		mean, last := 0.0, -1.0
		for c := range n + 1 {
			chance := 1.0
			for i := range c {
				chance *= float64(n-i) / float64(i+1)
			}
			v := PassAt(n, c, k)
			if v < last {
				t.Fatalf("pass@%d of %d falls from %v to %v at %d passes", k, n, last, v, c)
			}
			mean, last = mean+chance*math.Pow(p, float64(c))*math.Pow(1-p, float64(n-c))*v, v
		}
		if want := 1 - math.Pow(1-p, float64(k)); math.Abs(mean-want) > 1e-9 {
			t.Fatalf("pass@%d from %d attempts has the mean %v, want %v", k, n, mean, want)
		}
	})
}

// With one attempt each, pass@1 is a rate of independent outcomes.
func TestPassAtOneIsWilson(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 100).Draw(t, "n")
		k := rapid.IntRange(0, n).Draw(t, "k")
		samples := make([]Attempts, n)
		for i := range samples {
			samples[i].N = 1
			if i < k {
				samples[i].C = 1
			}
		}
		r := PassAtK(samples, 1, 0.95)
		if lo, hi := Wilson(k, n, 0.95); !closeTo(r.Lo, lo) || !closeTo(r.Hi, hi) {
			t.Fatalf("%d of %d: %+v, want [%v, %v]", k, n, r, lo, hi)
		}
	})
}
