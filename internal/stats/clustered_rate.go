package stats

import (
	"fmt"
	"math"
)

// ClusterRate is the estimate of a rate from outcomes that come in clusters. What cannot be had is NaN.
type ClusterRate struct {
	N, Clusters int
	Rate        float64
	Level       float64 // of the interval
	Lo, Hi      float64 // inside [0, 1]
	SE          float64 // cluster-robust (CR2); 0 at a rate of 0 or 1, where the interval rests on EffectiveN
	DF          float64 // Bell and McCaffrey's
	Deff        float64 // N over the number of independent trials that would be as informative, before DF's correction; at least 1 for outcomes
	EffectiveN  float64 // number of independent trials that the interval counts
	Warnings    []string
}

// ClusteredRate estimates a rate from values of 1 for an event and 0 for none, or from shares in [0, 1] such as
// pass@k of a sample; clusters names the cluster of each. The interval is Wilson's on an effective number of
// trials, so it stays inside [0, 1] with a positive width:
//
//	EffectiveN = N / Deff (t(N-1) / t(DF))²
//	Deff       = variance / (Rate (1 - Rate) / (N - 1))
//
// with Student's t at the level asked for, and for the variance the larger of the cluster-robust one and that of
// independent values: a design effect that chance puts below that of independence is no licence to narrow.
//
// At a rate of 0 or 1, or when all shares are equal, nothing shows how far the values of a cluster go
// together. The interval then assumes the worst, that they are copies: EffectiveN is the number of clusters
// (1 over the sum of their squared shares, if they differ in size). That is wider than what surveys do, which
// take N there, and can be wider than the interval after a first event, which is evidence that a cluster's
// outcomes differ.
//
// Where only two or three clusters have any event their design effect is hard to see, and the interval holds the
// truth less often than its level says: 90 % for 95 % at a rate of 5 % in 30 clusters of 5 with a correlation of
// 0.3, where an interval for independent outcomes has 80 % (TestCoverage).
//
// With each outcome in its own cluster and N > 1, Lo and Hi are those of Wilson up to rounding, and Deff is 1.
// No values, one that is not finite or outside [0, 1], or one cluster: as Clustered. Slices of different
// lengths panic.
//
// Source: E. L. Korn and B. I. Graubard, "Confidence intervals for proportions with small expected number of
// positive counts estimated from survey data", Survey Methodology 24 (1998) 193-201, for the effective
// number and its correction by t, there with Clopper and Pearson's interval; N. Dean and M. Pagano,
// "Evaluating confidence interval methods for binomial proportions in clustered surveys", J. Survey
// Statistics and Methodology 3 (2015) 484-503, for Wilson's.
func ClusteredRate(values []float64, clusters []string, level float64) ClusterRate {
	mustLevel(level)
	mustMatch(len(values), len(clusters))
	nan := math.NaN()
	r := ClusterRate{N: len(values), Rate: nan, Level: level, Lo: nan, Hi: nan, SE: nan, DF: nan, Deff: nan, EffectiveN: nan}
	if reason := unusable(values); reason != "" {
		return r.warn("%s", reason)
	}
	for i, v := range values {
		if v < 0 || v > 1 {
			return r.warn("value %d of %d is %.6g, which is no outcome or share", i+1, r.N, v)
		}
	}
	s := newSandwich(values, clusters)
	r.Clusters, r.Rate = s.clusters, s.mean
	if s.clusters == 1 {
		return r.warn("one cluster of %d: the spread between clusters is unknown, so there is no interval", r.N)
	}
	n := float64(r.N)
	r.SE, r.DF = math.Sqrt(s.variance), s.df
	if variance := max(s.variance, s.independent); s.flat(variance, 1) {
		r.SE, r.EffectiveN = 0, s.whole
		r.Deff = n / s.whole
		if s.clusters < s.n {
			r = r.warn("all %d values equal %.6g: how far those of a cluster go together is unknown, so each of the %d clusters counts as one trial",
				r.N, r.Rate, r.Clusters)
		}
	} else {
		r.Deff = variance / (r.Rate * (1 - r.Rate) / (n - 1))
		few := TQuantile(0.5+level/2, n-1) / TQuantile(0.5+level/2, s.df)
		r.EffectiveN = n / r.Deff * few * few
	}
	r.Lo, r.Hi = score(r.Rate, r.EffectiveN, level)
	return r
}

func (r ClusterRate) warn(format string, args ...any) ClusterRate {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
	return r
}
