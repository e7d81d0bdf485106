package stats

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// sandwich is what clustered values say about their mean. With x_j for a cluster's mean, x for the mean of all
// values and w_j for the share of all values that cluster j holds:
//
//	variance = sum of w_j² (x_j - x)² / (1 - w_j)
//	1 / df   = sum of w_j² + 2 sum over i < j of a_i a_j,  where a_j = w_j² / (1 - w_j)
//
// The first is the cluster-robust variance CR2 of a regression on a constant, unbiased when the values are in
// truth uncorrelated and equally spread. The second is Satterthwaite's approximation under the same
// assumption. For clusters of one size they are the variance CR1 and G-1; a cluster that outweighs the others
// costs degrees of freedom, which G-1 would hide.
//
// Source: R. M. Bell and D. F. McCaffrey, "Bias reduction in standard errors for linear regression with
// multi-stage samples", Survey Methodology 28 (2002) 169-181.
type sandwich struct {
	n, clusters  int
	mean         float64
	variance, df float64 // of the mean; NaN with one cluster
	independent  float64 // variance of the mean if all values were independent: s² / n
	whole        float64 // effective number of values if those of a cluster were copies: 1 / sum of w_j²
	largest      float64 // largest absolute value
}

// newSandwich panics when the slices differ in length; the values must be finite. What it gives does not depend on the order
// of the values, to the last bit: they are added by cluster and size.
func newSandwich(values []float64, clusters []string) sandwich {
	groups := make(map[string][]float64)
	for i, v := range values {
		groups[clusters[i]] = append(groups[clusters[i]], v)
	}
	s := sandwich{n: len(values), clusters: len(groups)}
	n := float64(s.n)
	var all, means, shares []float64
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		group := groups[key]
		slices.Sort(group)
		all = append(all, group...)
		means = append(means, average(group))
		shares = append(shares, float64(len(group))/n)
	}
	s.mean = average(all)
	for _, v := range all {
		s.independent += (v - s.mean) * (v - s.mean) / (n * (n - 1))
		s.largest = max(s.largest, math.Abs(v))
	}
	inverse, earlier, squares := 0.0, 0.0, 0.0
	for j, w := range shares {
		a := w * w / (1 - w)
		s.variance += a * (means[j] - s.mean) * (means[j] - s.mean)
		inverse += w*w + 2*earlier*a
		earlier += a
		squares += w * w
	}
	s.df, s.whole = 1/inverse, 1/squares
	if s.clusters < 2 {
		s.variance, s.df = math.NaN(), math.NaN()
	}
	return s
}

// flat says that a variance of the mean is 0 but for rounding, for values of a scale; the bound is MeanT's.
func (s sandwich) flat(variance, scale float64) bool {
	return math.Sqrt(variance*float64(s.n)) <= 1e-12*scale
}

// unusable names the first value that is not a number, or says that there are none; "" means that all is well.
func unusable(values []float64) string {
	if len(values) == 0 {
		return "no values"
	}
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprintf("value %d of %d is not a number", i+1, len(values))
		}
	}
	return ""
}

func mustMatch(values, clusters int) {
	if values != clusters {
		panic(fmt.Sprintf("stats: %d values with %d clusters", values, clusters))
	}
}
