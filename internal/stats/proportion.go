package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Wilson gives the score interval for a rate of k events in n trials at the given level (0.95 for 95 %).
// It stays inside [0, 1] and keeps a positive width at k = 0 and k = n. Without trials (n = 0) nothing is
// known and the interval is [0, 1].
//
// Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
// JASA 22 (1927) 209-212. It treats trials as independent: pooled over seeds, it is the uncertainty of
// sampling scenarios from these models and not of training other ones.
func Wilson(k, n int, level float64) (lo, hi float64) {
	mustCount(k, n)
	if n == 0 {
		return 0, 1
	}
	return score(float64(k)/float64(n), float64(n), mustLevel(level))
}

// score is Wilson's interval for a rate p seen in n > 0 trials, which need not be a whole number.
func score(p, n, level float64) (lo, hi float64) {
	z := NormalQuantile(0.5 + level/2)
	denominator := 1 + z*z/n
	centre := (p + z*z/(2*n)) / denominator
	half := z / denominator * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	// The bounds at the ends are exactly 0 and 1; rounding would miss them by an ulp.
	return min(p, max(0, centre-half)), max(p, min(1, centre+half))
}

// Newcombe gives the difference k1/n1 - k2/n2 of two independent rates with its hybrid score interval.
// It is for comparisons within one seed, where no spread between seeds can be had. An empty group makes
// the difference NaN and the interval [-1, 1].
//
// Source: R. G. Newcombe, "Interval estimation for the difference between independent proportions:
// comparison of eleven methods", Statistics in Medicine 17 (1998) 873-890, method 10.
func Newcombe(k1, n1, k2, n2 int, level float64) (diff, lo, hi float64) {
	l1, u1 := Wilson(k1, n1, level)
	l2, u2 := Wilson(k2, n2, level)
	if n1 == 0 || n2 == 0 {
		return math.NaN(), -1, 1
	}
	p1, p2 := float64(k1)/float64(n1), float64(k2)/float64(n2)
	diff = p1 - p2
	lo = diff - math.Hypot(p1-l1, u2-p2)
	hi = diff + math.Hypot(u1-p1, p2-l2)
	return diff, max(-1, lo), min(1, hi)
}

// NormalQuantile gives the value below which a standard normal variable falls with probability p.
func NormalQuantile(p float64) float64 {
	return distuv.UnitNormal.Quantile(p)
}

// TQuantile gives the value below which Student's t with df degrees of freedom falls with probability p.
func TQuantile(p, df float64) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Quantile(p)
}

// tTail gives the probability that Student's t with df degrees of freedom exceeds t.
func tTail(t, df float64) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Survival(t)
}

func mustCount(k, n int) {
	if n < 0 || k < 0 || k > n {
		panic(fmt.Sprintf("stats: %d events in %d trials", k, n))
	}
}

func mustLevel(level float64) float64 {
	if !(level > 0 && level < 1) {
		panic(fmt.Sprintf("stats: level %v outside (0, 1)", level))
	}
	return level
}
