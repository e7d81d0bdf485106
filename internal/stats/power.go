package stats

import (
	"fmt"
	"math"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"
)

// RatePlan is a comparison of two rates that is yet to be made, by a two-sided test.
type RatePlan struct {
	P1, P2 float64 // the rates to tell apart
	Alpha  float64 // level of the test, 0.05 by custom

	// Paired has both arms answer the same samples, one epoch each; else each arm has samples of its own.
	// Correlation is that of their outcomes on a sample, which PairedMean reports; it counts for paired samples only.
	Paired      bool
	Correlation float64

	// ClusterSize is the mean number of samples in a cluster, and ICC the correlation of outcomes within one (of
	// differences, for paired samples). Zero, or 1, for the size: each sample by itself.
	ClusterSize, ICC float64
}

// Size is how much a plan needs: N samples in Clusters clusters, for each of two groups, or in all where the
// plan is paired. Deff is the factor by which clusters made N larger.
type Size struct {
	N, Clusters int
	Deff        float64
	Warnings    []string
}

// fewClusters is the number of clusters below which a plan's normal approximation promises too much.
const fewClusters = 20

// Power gives the chance that n samples (for each of two groups, or in all where paired) show a
// difference between P1 and P2, by the normal approximation:
//
//	independent   the z test with a pooled variance, as in NewcombeClustered; its own power with the unpooled one
//	paired        the mean difference over its standard error, as in PairedClustered; the variance of a
//	              difference is v1 + v2 - 2 Correlation sqrt(v1 v2), where v = p (1-p)
//
// Clusters make n count for n / Deff, where Deff = 1 + (ClusterSize - 1) ICC; clusters of unequal sizes need
// somewhat more. The approximation needs dozens of clusters, below which it promises too much, and about ten
// expected events and as many samples without one, below which it is off by some 0.02 either way. Both tails count as
// showing a difference. An error says what in the plan is impossible.
//
// Source: J. L. Fleiss, B. Levin and M. C. Paik, "Statistical methods for rates and proportions", 3rd ed. (2003),
// chapter 4, without the continuity correction; for clusters, A. Donner and N. Klar, "Design and analysis
// of cluster randomization trials in health research" (2000), chapter 5.
func (r RatePlan) Power(n int) (float64, error) {
	null, alternative, err := r.deviations()
	if err != nil {
		return 0, err
	}
	if n < 1 {
		return 0, fmt.Errorf("plan rates: %d samples", n)
	}
	return r.power(float64(n)/r.deff(), null, alternative), nil
}

// Size gives the fewest samples with which the test has at least the power asked for, by the approximation of Power.
// The number of clusters is N over ClusterSize, rounded up.
func (r RatePlan) Size(power float64) (Size, error) {
	null, alternative, err := r.deviations()
	if err != nil {
		return Size{}, err
	}
	if !(power > r.Alpha && power < 1) {
		return Size{}, fmt.Errorf("plan rates: power %v is not between alpha (%v) and 1", power, r.Alpha)
	}
	if r.P1 == r.P2 {
		return Size{}, fmt.Errorf("plan rates: both rates are %v, and no number of samples shows a difference", r.P1)
	}
	// One tail alone needs this many; the other one can only make it fewer.
	z := -NormalQuantile(r.Alpha / 2)
	root := (z*null + NormalQuantile(power)*alternative) / (r.P1 - r.P2)
	most := math.Ceil(root*root*r.deff()) + 1
	if most > math.MaxInt32 {
		return Size{}, fmt.Errorf("plan rates: %v and %v are too near each other: more than 2^31 samples", r.P1, r.P2)
	}
	s := Size{Deff: r.deff()}
	s.N = 1 + sort.Search(int(most), func(i int) bool {
		return r.power(float64(i+1)/r.deff(), null, alternative) >= power
	})
	s.Clusters = int(math.Ceil(float64(s.N) / r.size()))
	if s.Clusters < fewClusters {
		s.Warnings = append(s.Warnings,
			fmt.Sprintf("%d clusters: with fewer than %d the normal approximation promises too much power", s.Clusters, fewClusters))
	}
	return s, nil
}

// Detectable gives the rates nearest to P1, below and above it, from which n samples tell P1 with the power
// asked for; P2 is ignored. NaN means that no rate in [0, 1] is far enough on that side, or none that the
// correlation of paired samples allows.
func (r RatePlan) Detectable(n int, power float64) (lower, higher float64, err error) {
	r.P2 = r.P1
	if _, err := r.Power(n); err != nil {
		return 0, 0, err
	}
	if !(power > r.Alpha && power < 1) {
		return 0, 0, fmt.Errorf("plan rates: power %v is not between alpha (%v) and 1", power, r.Alpha)
	}
	return r.detectable(n, power, 0), r.detectable(n, power, 1), nil
}

// detectable looks between P1 and end, from where power only grows with distance.
func (r RatePlan) detectable(n int, power, end float64) float64 {
	shown := func(p2 float64) (yes, possible bool) {
		r.P2 = p2
		p, err := r.Power(n)
		return p >= power, err == nil
	}
	near, far := r.P1, end
	if _, possible := shown(far); !possible { // the furthest rate that the correlation allows
		inside := near
		for range 60 {
			middle := (inside + far) / 2
			if _, possible := shown(middle); possible {
				inside = middle
			} else {
				far = middle
			}
		}
		far = inside
	}
	if yes, _ := shown(far); !yes {
		return math.NaN()
	}
	for range 60 {
		middle := (near + far) / 2
		if yes, _ := shown(middle); yes {
			far = middle
		} else {
			near = middle
		}
	}
	return far
}

// power counts n as independent samples. The deviations are those of a sample's difference, without and with an effect.
func (r RatePlan) power(n, null, alternative float64) float64 {
	z, d := -NormalQuantile(r.Alpha/2), math.Abs(r.P1-r.P2)*math.Sqrt(n)
	if alternative == 0 {
		if d > z*null {
			return 1
		}
		return 0
	}
	return distuv.UnitNormal.CDF((d-z*null)/alternative) + distuv.UnitNormal.CDF((-d-z*null)/alternative)
}

func (r RatePlan) size() float64 { return max(1, r.ClusterSize) }

func (r RatePlan) deff() float64 { return 1 + (r.size()-1)*r.ICC }

// deviations checks the plan and gives the standard deviations that the test assumes (null) and that hold.
func (r RatePlan) deviations() (null, alternative float64, err error) {
	for _, p := range []float64{r.P1, r.P2} {
		if !(p >= 0 && p <= 1) {
			return 0, 0, fmt.Errorf("plan rates: rate %v outside [0, 1]", p)
		}
	}
	switch {
	case !(r.Alpha > 0 && r.Alpha < 1):
		return 0, 0, fmt.Errorf("plan rates: alpha %v outside (0, 1)", r.Alpha)
	case !(r.ICC >= 0 && r.ICC <= 1):
		return 0, 0, fmt.Errorf("plan rates: intra-cluster correlation %v outside [0, 1]", r.ICC)
	case !(r.ClusterSize == 0 || r.ClusterSize >= 1) || math.IsInf(r.ClusterSize, 1):
		return 0, 0, fmt.Errorf("plan rates: cluster size %v is not 1 or more", r.ClusterSize)
	}
	v1, v2 := r.P1*(1-r.P1), r.P2*(1-r.P2)
	if !r.Paired {
		pooled := (r.P1 + r.P2) / 2
		return math.Sqrt(2 * pooled * (1 - pooled)), math.Sqrt(v1 + v2), nil
	}
	// Both arms have the event on a share both of the samples, which the rates bound.
	deviations := math.Sqrt(v1 * v2)
	if deviations == 0 && r.Correlation != 0 {
		return 0, 0, fmt.Errorf("plan rates: a rate of %v beside one of %v leaves nothing to correlate, so the correlation must be 0", r.P2, r.P1)
	}
	both := r.P1*r.P2 + r.Correlation*deviations
	least, most := max(0, r.P1+r.P2-1), min(r.P1, r.P2)
	if !(both >= least-1e-12 && both <= most+1e-12) {
		return 0, 0, fmt.Errorf("plan rates: outcomes with rates %v and %v cannot have the correlation %v, only %.4g to %.4g",
			r.P1, r.P2, r.Correlation, (least-r.P1*r.P2)/deviations, (most-r.P1*r.P2)/deviations)
	}
	sd := math.Sqrt(max(0, v1+v2-2*r.Correlation*deviations))
	return sd, sd, nil
}
