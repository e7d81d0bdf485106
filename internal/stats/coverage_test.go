package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// together draws clusters of outcomes, of which each copies its cluster's own with the chance that gives any two the
// correlation icc.
func together(rng *rand.Rand, sizes []int, rate, icc float64) (values []float64, clusters []string) {
	event := func() float64 {
		if rng.Float64() < rate {
			return 1
		}
		return 0
	}
	for j, size := range sizes {
		name, shared := fmt.Sprint(j), event()
		for range size {
			v := event()
			if rng.Float64() < math.Sqrt(icc) {
				v = shared
			}
			values, clusters = append(values, v), append(clusters, name)
		}
	}
	return values, clusters
}

// How often intervals of 95 % hold the truth. With 3000 draws the standard error of a coverage is 0.4 %.
func TestCoverage(t *testing.T) {
	unequal := []int{1, 2, 3, 5, 8, 13, 2, 4, 1, 7, 3, 3, 6, 2, 9, 4, 4, 5, 1, 10}
	for _, c := range []struct {
		name                            string
		sizes                           []int
		rate, icc                       float64
		meanLeast, rateLeast, plainMost float64
	}{
		{"30 of 5", slices.Repeat([]int{5}, 30), 0.3, 0.4, 0.93, 0.93, 0.82},
		// Rare events: the design effect is hard to see where two or three clusters have any. ClusteredRate says so.
		{"30 of 5, rare", slices.Repeat([]int{5}, 30), 0.05, 0.3, 0.85, 0.89, 0.82},
		{"100 of 5, rare", slices.Repeat([]int{5}, 100), 0.05, 0.3, 0.90, 0.93, 0.86},
		{"20 unequal", unequal, 0.4, 0.3, 0.93, 0.93, 0.80},
		{"8 of 10", slices.Repeat([]int{10}, 8), 0.5, 0.2, 0.93, 0.93, 0.80},
	} {
		rng := rand.New(rand.NewPCG(1, 2))
		const draws = 3000
		mean, rate, plain := 0, 0, 0
		for range draws {
			values, clusters := together(rng, c.sizes, c.rate, c.icc)
			if m := Clustered(values, clusters, 0.95); m.Lo <= c.rate && c.rate <= m.Hi {
				mean++
			}
			r := ClusteredRate(values, clusters, 0.95)
			if r.Lo <= c.rate && c.rate <= r.Hi {
				rate++
			}
			if lo, hi := Wilson(int(math.Round(r.Rate*float64(r.N))), r.N, 0.95); lo <= c.rate && c.rate <= hi {
				plain++
			}
		}
		m, r, p := float64(mean)/draws, float64(rate)/draws, float64(plain)/draws
		if m < c.meanLeast || r < c.rateLeast || r > 0.995 || p > c.plainMost {
			t.Errorf("%s: mean %.3f, rate %.3f, Wilson as if independent %.3f", c.name, m, r, p)
		}
	}
}
