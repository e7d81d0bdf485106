package stats

import (
	"fmt"
	"math"
)

// ClusterMean is the estimate of a mean from values that come in clusters, within which they may go together:
// the wordings of one scenario, the epochs of one sample. P is the two-sided p of the hypothesis that
// the true mean is 0. What cannot be had is NaN.
type ClusterMean struct {
	N, Clusters int
	Mean        float64
	Level       float64 // of the interval
	Lo, Hi      float64
	SE          float64 // cluster-robust (CR2)
	DF          float64 // Bell and McCaffrey's; a whole number only by chance or for clusters of one size
	P           float64
	Deff        float64 // design effect: SE² over what it would be if all values were independent; may be below 1
	Warnings    []string
}

// Clustered estimates the mean of values, of which clusters names the cluster of each. Clusters are taken as
// independent draws; each value counts once, so large clusters weigh more. The interval is Student's t with
// a cluster-robust standard error and degrees of freedom that account for few and unequal clusters.
//
// With each value in its own cluster Mean, SE, DF, Lo, Hi and P are those of MeanT up to rounding, and Deff is 1.
//
// No values, or one that is not finite: everything but N is NaN. One cluster: the mean alone. No spread
// between clusters: interval and p are NaN, never a width of 0 or p = 0. Each case carries a warning. Slices of
// different lengths panic.
//
// Source: see sandwich; for evaluations of language models E. Miller, "Adding error bars to evals",
// arXiv:2411.00640 (2024), which has the same clusters with the variance CR0 and normal quantiles.
func Clustered(values []float64, clusters []string, level float64) ClusterMean {
	mustLevel(level)
	mustMatch(len(values), len(clusters))
	nan := math.NaN()
	m := ClusterMean{N: len(values), Mean: nan, Level: level, Lo: nan, Hi: nan, SE: nan, DF: nan, P: nan, Deff: nan}
	if reason := unusable(values); reason != "" {
		return m.warn("%s", reason)
	}
	s := newSandwich(values, clusters)
	m.Clusters, m.Mean = s.clusters, s.mean
	if s.clusters == 1 {
		return m.warn("one cluster of %d: the spread between clusters is unknown, so there is no interval and no p", m.N)
	}
	m.DF = s.df
	switch {
	case s.flat(s.independent, s.largest):
		m.SE = 0
		return m.warn("all %d values equal %.6g: their spread is unknown, so there is no interval and no p", m.N, m.Mean)
	case s.flat(s.variance, s.largest):
		m.SE, m.Deff = 0, 0
		return m.warn("all %d clusters have the mean %.6g: their spread is unknown, so there is no interval and no p", m.Clusters, m.Mean)
	}
	m.SE, m.Deff = math.Sqrt(s.variance), s.variance/s.independent
	half := TQuantile(0.5+level/2, m.DF) * m.SE
	m.Lo, m.Hi = m.Mean-half, m.Mean+half
	m.P = min(1, 2*tTail(math.Abs(m.Mean)/m.SE, m.DF))
	return m
}

func (m ClusterMean) warn(format string, args ...any) ClusterMean {
	m.Warnings = append(m.Warnings, fmt.Sprintf(format, args...))
	return m
}
