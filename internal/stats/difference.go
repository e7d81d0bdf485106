package stats

import (
	"fmt"
	"math"
)

// Difference is the estimate of how two groups of clusters differ. P is the two-sided p of the hypothesis that
// they do not. What cannot be had is NaN.
type Difference struct {
	Diff     float64
	Lo, Hi   float64
	SE       float64
	DF       float64 // NaN for rates, whose interval and p are not Student's
	P        float64
	Warnings []string
}

// WelchClustered estimates the mean of a minus that of b, from clusters that are independent between the two: other
// scenarios, not the same ones answered by two models, for which PairedClustered sees more. It is Welch's t
// with cluster-robust variances, at the level that both were estimated at; other levels panic. With each value
// in its own cluster it is Welch's t test up to rounding.
//
// A group without a standard error leaves the difference alone, with its warning; so does one whose clusters
// show no spread, since its variance is unknown rather than 0.
//
// Source: B. L. Welch, "The generalization of 'Student's' problem when several different population variances are
// involved", Biometrika 34 (1947) 28-35; the variances are those of Clustered.
func WelchClustered(a, b ClusterMean) Difference {
	mustSameLevel(a.Level, b.Level)
	nan := math.NaN()
	d := Difference{Diff: a.Mean - b.Mean, Lo: nan, Hi: nan, SE: nan, DF: nan, P: nan}
	d = d.inherit("first", a.Warnings).inherit("second", b.Warnings)
	if !(a.SE > 0 && b.SE > 0) {
		return d
	}
	va, vb := a.SE*a.SE, b.SE*b.SE
	d.SE = math.Sqrt(va + vb)
	d.DF = (va + vb) * (va + vb) / (va*va/a.DF + vb*vb/b.DF)
	half := TQuantile(0.5+a.Level/2, d.DF) * d.SE
	d.Lo, d.Hi = d.Diff-half, d.Diff+half
	d.P = min(1, 2*tTail(math.Abs(d.Diff)/d.SE, d.DF))
	return d
}

// NewcombeClustered estimates the rate of a minus that of b, from clusters that are independent between the two.
// The interval is Newcombe's hybrid of the two intervals, so it stays inside [-1, 1] and has a width where a
// rate is 0 or 1. P is that of the z test with a pooled variance. Both take the effective numbers of trials for
// the numbers; other than that they are the methods for independent outcomes, to which they come down when each
// outcome is in its own cluster. Rates of different levels panic.
//
// SE is that of Welch's method, for information: it can be 0, and neither interval nor p rests on it.
// Interval and p may disagree near the level, as their methods differ. Two rates of 0, or of 1, have p = 1.
// A group without an interval leaves the difference alone, with its warning.
//
// Source: J. N. K. Rao and A. J. Scott, "A simple method for the analysis of clustered binary data", Biometrics 48
// (1992) 577-585, for the effective numbers in tests of independent groups; Newcombe's method: see Newcombe.
func NewcombeClustered(a, b ClusterRate) Difference {
	mustSameLevel(a.Level, b.Level)
	nan := math.NaN()
	d := Difference{Diff: a.Rate - b.Rate, Lo: nan, Hi: nan, SE: nan, DF: nan, P: nan}
	d = d.inherit("first", a.Warnings).inherit("second", b.Warnings)
	if math.IsNaN(a.Lo) || math.IsNaN(b.Lo) {
		return d
	}
	d.SE = math.Hypot(a.SE, b.SE)
	d.Lo = max(-1, d.Diff-math.Hypot(a.Rate-a.Lo, b.Hi-b.Rate))
	d.Hi = min(1, d.Diff+math.Hypot(a.Hi-a.Rate, b.Rate-b.Lo))
	d.P = pooledZ(a.Rate, a.EffectiveN, b.Rate, b.EffectiveN)
	return d
}

// pooledZ gives the two-sided p of the z test that two rates, of n1 and n2 trials, are one.
func pooledZ(p1, n1, p2, n2 float64) float64 {
	if p1 == p2 {
		return 1
	}
	pooled := (p1*n1 + p2*n2) / (n1 + n2)
	z := math.Abs(p1-p2) / math.Sqrt(pooled*(1-pooled)*(1/n1+1/n2))
	return math.Erfc(z / math.Sqrt2)
}

func (d Difference) inherit(group string, warnings []string) Difference {
	for _, w := range warnings {
		d.Warnings = append(d.Warnings, fmt.Sprintf("%s group: %s", group, w))
	}
	return d
}

func mustSameLevel(a, b float64) {
	if mustLevel(a) != mustLevel(b) {
		panic(fmt.Sprintf("stats: a difference of estimates at levels %v and %v", a, b))
	}
}
