package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"
)

// The power of the z test that NewcombeClustered makes of independent outcomes, exactly: over all tables.
func exactPower(p1, p2 float64, n int, alpha float64) float64 {
	a, b := distuv.Binomial{N: float64(n), P: p1}, distuv.Binomial{N: float64(n), P: p2}
	power, other := 0.0, make([]float64, n+1)
	for j := range other {
		other[j] = b.Prob(float64(j))
	}
	for i := range n + 1 {
		p := a.Prob(float64(i))
		if p < 1e-12 {
			continue
		}
		for j, q := range other {
			if q > 1e-12 && pooledZ(float64(i)/float64(n), float64(n), float64(j)/float64(n), float64(n)) < alpha {
				power += p * q
			}
		}
	}
	return power
}

func TestPowerIsExact(t *testing.T) {
	for _, c := range []struct{ p1, p2, power, tolerance float64 }{
		{0.22, 0.15, 0.8, 0.01}, {0.22, 0.15, 0.9, 0.01}, {0.5, 0.35, 0.8, 0.015}, {0.97, 0.9, 0.8, 0.03},
	} {
		s, err := RatePlan{P1: c.p1, P2: c.p2, Alpha: 0.05}.Size(c.power)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "exact power", exactPower(c.p1, c.p2, s.N, 0.05), c.power, c.tolerance)
	}
}

// What a plan promises must come true in data with clusters, by the tests that this package makes of them.
func TestPowerBySimulation(t *testing.T) {
	const draws, goal = 1500, 0.8
	tolerance := 3.5*math.Sqrt(goal*(1-goal)/draws) + 0.01 // the last for the normal approximation
	rng := rand.New(rand.NewPCG(7, 11))

	grouped := RatePlan{P1: 0.35, P2: 0.2, Alpha: 0.05, ClusterSize: 4, ICC: 0.25}
	s, err := grouped.Size(goal)
	if err != nil {
		t.Fatal(err)
	}
	sizes := slices.Repeat([]int{4}, s.Clusters)
	shown := 0
	for range draws {
		a := drawRate(rng, sizes, grouped.P1, grouped.ICC)
		b := drawRate(rng, sizes, grouped.P2, grouped.ICC)
		if NewcombeClustered(a, b).P < grouped.Alpha {
			shown++
		}
	}
	t.Logf("%+v: %.3f", s, float64(shown)/draws)
	near(t, "power with clusters", float64(shown)/draws, goal, tolerance)

	paired := RatePlan{P1: 0.22, P2: 0.15, Alpha: 0.05, Paired: true, Correlation: 0.4}
	s, err = paired.Size(goal)
	if err != nil {
		t.Fatal(err)
	}
	shown = 0
	for range draws {
		differences := pairs(rng, s.N, paired)
		if Clustered(differences, alone(s.N), 0.95).P < paired.Alpha {
			shown++
		}
	}
	t.Logf("%+v: %.3f", s, float64(shown)/draws)
	near(t, "power of pairs", float64(shown)/draws, goal, tolerance)
}

func drawRate(rng *rand.Rand, sizes []int, rate, icc float64) ClusterRate {
	values, clusters := together(rng, sizes, rate, icc)
	return ClusteredRate(values, clusters, 0.95)
}

// pairs draws the differences of outcomes on n samples that have the plan's rates and correlation.
func pairs(rng *rand.Rand, n int, plan RatePlan) []float64 {
	both := plan.P1*plan.P2 + plan.Correlation*math.Sqrt(plan.P1*(1-plan.P1)*plan.P2*(1-plan.P2))
	differences := make([]float64, n)
	for i := range differences {
		switch u := rng.Float64(); {
		case u < plan.P1-both:
			differences[i] = 1
		case u < plan.P1-both+plan.P2-both:
			differences[i] = -1
		}
	}
	return differences
}

func TestRatePlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := RatePlan{
			P1: rapid.Float64Range(0.02, 0.98).Draw(t, "p1"), Alpha: rapid.SampledFrom([]float64{0.01, 0.05}).Draw(t, "alpha"),
			ClusterSize: rapid.Float64Range(1, 20).Draw(t, "size"), ICC: rapid.Float64Range(0, 1).Draw(t, "icc"),
			Paired: rapid.Bool().Draw(t, "paired"), Correlation: rapid.Float64Range(0, 0.8).Draw(t, "correlation"),
		}
		goal := rapid.SampledFrom([]float64{0.5, 0.8, 0.95}).Draw(t, "goal")
		n := rapid.IntRange(20, 5000).Draw(t, "n")
		lower, higher, err := plan.Detectable(n, goal)
		if err != nil {
			t.Fatal(err)
		}
		if lower > plan.P1 || higher < plan.P1 {
			t.Fatalf("%+v: %v and %v", plan, lower, higher)
		}
		for _, p2 := range []float64{lower, higher} {
			if math.IsNaN(p2) {
				continue
			}
			plan.P2 = p2
			if p, err := plan.Power(n); err != nil || math.Abs(p-goal) > 1e-6 && math.Abs(p2-plan.P1) > 1e-9 {
				t.Fatalf("%+v: power %v at the detectable rate, want %v (%v)", plan, p, goal, err)
			}
			s, err := plan.Size(goal)
			if err != nil || s.N > n || s.N < n-1 {
				t.Fatalf("%+v: %d samples for what %d detect (%v)", plan, s.N, n, err)
			}
			// One more cluster member costs, never helps.
			worse := plan
			worse.ClusterSize++
			if w, err := worse.Size(goal); err != nil || w.N < s.N {
				t.Fatalf("%+v: %d samples, in larger clusters %d (%v)", plan, s.N, w.N, err)
			}
		}
	})
}

func TestRatePlanKnown(t *testing.T) {
	plan := RatePlan{P1: 0.22, P2: 0.15, Alpha: 0.05}
	s, err := plan.Size(0.8)
	if err != nil || s.N != 482 || s.Clusters != 482 || s.Deff != 1 || len(s.Warnings) > 0 {
		t.Errorf("%+v, %v", s, err)
	}
	plan.ClusterSize, plan.ICC = 30, 1
	if s, err = plan.Size(0.8); err != nil || s.Clusters != 482 || s.Deff != 30 {
		t.Errorf("copies: %+v, %v", s, err)
	}
	plan.ICC = 0
	if s, err = plan.Size(0.8); err != nil || s.N != 482 || s.Clusters != 17 || len(s.Warnings) != 1 {
		t.Errorf("few clusters: %+v, %v", s, err)
	}
	if lower, higher, err := (RatePlan{P1: 0.05, Alpha: 0.05}).Detectable(20, 0.8); err != nil || !math.IsNaN(lower) || !(higher > 0.3 && higher < 0.5) {
		t.Errorf("detectable %v and %v, %v", lower, higher, err)
	}
	// The correlation allows no rate near 0, and yet the one that Size has from 290 pairs (or 0.15 and a little).
	paired := RatePlan{P1: 0.22, Alpha: 0.05, Paired: true, Correlation: 0.4}
	if lower, higher, err := paired.Detectable(290, 0.8); err != nil || !(lower > 0.15 && lower < 0.1502) || !(higher > 0.29 && higher < 0.31) {
		t.Errorf("detectable in pairs %v and %v, %v", lower, higher, err)
	}
	paired.Correlation = 0.99 // the nearest rates that can be seen are further than those that can be correlated so
	if lower, higher, err := paired.Detectable(5, 0.99); err != nil || !math.IsNaN(lower) || !math.IsNaN(higher) {
		t.Errorf("detectable beyond what the correlation allows: %v and %v, %v", lower, higher, err)
	}
	if s, err := (RatePlan{P1: 0, P2: 1, Alpha: 0.05}).Size(0.8); err != nil || s.N != 2 {
		t.Errorf("all or nothing: %+v, %v", s, err)
	}
	if p, err := (RatePlan{P1: 0.3, P2: 0.3, Alpha: 0.05}).Power(100); err != nil || math.Abs(p-0.05) > 1e-12 {
		t.Errorf("no difference: power %v, %v", p, err)
	}
}

func TestRatePlanImpossible(t *testing.T) {
	good := RatePlan{P1: 0.2, P2: 0.1, Alpha: 0.05}
	for message, change := range map[string]func(*RatePlan){
		"rate 1.2 outside":            func(r *RatePlan) { r.P1 = 1.2 },
		"rate NaN outside":            func(r *RatePlan) { r.P2 = math.NaN() },
		"alpha 0 outside":             func(r *RatePlan) { r.Alpha = 0 },
		"correlation -0.1 outside":    func(r *RatePlan) { r.ICC = -0.1 },
		"cluster size 0.5 is not":     func(r *RatePlan) { r.ClusterSize = 0.5 },
		"cannot have the correlation": func(r *RatePlan) { r.Paired, r.Correlation = true, 0.9 },
		"only -0.1667 to 0.6667":      func(r *RatePlan) { r.Paired, r.Correlation = true, -0.5 },
		"leaves nothing to correlate": func(r *RatePlan) { r.Paired, r.P2, r.Correlation = true, 0, 0.3 },
		"both rates are 0.2":          func(r *RatePlan) { r.P2 = 0.2 },
		"too near each other":         func(r *RatePlan) { r.P2 = 0.2 + 1e-7 },
	} {
		plan := good
		change(&plan)
		if _, err := plan.Size(0.8); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("error %v, want %q", err, message)
		}
	}
	if _, err := good.Size(0.05); err == nil || !strings.Contains(err.Error(), "power 0.05 is not between") {
		t.Errorf("error %v", err)
	}
	if _, _, err := good.Detectable(100, 1); err == nil || !strings.Contains(err.Error(), "power 1 is not between") {
		t.Errorf("error %v", err)
	}
	if _, err := good.Power(0); err == nil || !strings.Contains(err.Error(), "0 samples") {
		t.Errorf("error %v", err)
	}
}
