package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// McNemar gives the exact two-sided p that two arms differ, from the samples on which one arm alone had the
// event: first counts those of the one, second those of the other; and the mid-p, which counts tables as
// extreme as the one seen by half and is less conservative. Without such samples both are 1.
//
// Samples are taken as independent: it does not know clusters.
//
// Source: M. W. Fagerland, S. Lydersen and P. Laake, "The McNemar test for binary matched-pairs data: mid-p and
// asymptotic are better than exact conditional", BMC Medical Research Methodology 13 (2013) 91.
func McNemar(first, second int) (exact, mid float64) {
	if first < 0 || second < 0 {
		panic(fmt.Sprintf("stats: %d and %d discordant samples", first, second))
	}
	n := first + second
	if n == 0 {
		return 1, 1
	}
	fair := distuv.Binomial{N: float64(n), P: 0.5}
	fewer := float64(min(first, second))
	seen := math.Exp(fair.LogProb(fewer))
	if first == second {
		return 1, 1 - seen/2
	}
	exact = min(1, 2*fair.CDF(fewer))
	return exact, exact - seen
}
