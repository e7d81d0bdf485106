package stats

import (
	"fmt"
	"math"
)

// Attempts counts the epochs of one sample and those of them that passed.
type Attempts struct {
	Cluster string // what the sample may go together with; empty: the sample stands for itself
	N, C    int
}

// PassAt estimates the chance that at least one of k attempts at a sample passes, from c passes in n
// attempts: 1 - C(n-c, k) / C(n, k), the unbiased estimator. It is NaN for n < k, where none exists.
//
// Source: M. Chen et al., "Evaluating large language models trained on code", arXiv:2107.03374 (2021).
func PassAt(n, c, k int) float64 {
	mustCount(c, n)
	if k < 1 {
		panic(fmt.Sprintf("stats: pass@%d", k))
	}
	if n < k {
		return math.NaN()
	}
	failing := 1.0
	for i := range k { // the chance that k attempts drawn without replacement all fail
		failing *= max(0, float64(n-c-i)) / float64(n-i)
	}
	return 1 - failing
}

// PassAtK is pass@k over samples, with its interval from ClusteredRate: the uncertainty of drawing
// samples, in which that of drawing epochs is contained. Samples with fewer than k attempts have no estimate; N does not
// count them, and a warning does.
func PassAtK(samples []Attempts, k int, level float64) ClusterRate {
	var values []float64
	var clusters []string
	short := 0
	for i, s := range samples {
		p := PassAt(s.N, s.C, k)
		if math.IsNaN(p) {
			short++
			continue
		}
		// The prefixes keep a sample that stands for itself apart from a cluster of that name.
		name := "cluster " + s.Cluster
		if s.Cluster == "" {
			name = fmt.Sprintf("sample %d", i)
		}
		values, clusters = append(values, p), append(clusters, name)
	}
	r := ClusteredRate(values, clusters, level)
	if short > 0 {
		r = r.warn("%d of %d samples have fewer than %d attempts and are left out", short, len(samples), k)
	}
	return r
}
