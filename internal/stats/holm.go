package stats

import (
	"fmt"
	"math"
	"slices"
)

// Holm adjusts p values for testing them together, in the order given. The chance of one false rejection
// among all of them is at most alpha when those with an adjusted p < alpha are rejected, however the tests
// depend on each other. NaN means "not tested": it stays NaN and does not count towards the number of tests.
//
// Source: S. Holm, "A simple sequentially rejective multiple test procedure",
// Scandinavian Journal of Statistics 6 (1979) 65-70.
func Holm(ps []float64) []float64 {
	adjusted := make([]float64, len(ps))
	var tested []int
	for i, p := range ps {
		adjusted[i] = math.NaN()
		if math.IsNaN(p) {
			continue
		}
		if p < 0 || p > 1 {
			panic(fmt.Sprintf("stats: p %v outside [0, 1]", p))
		}
		tested = append(tested, i)
	}
	slices.SortStableFunc(tested, func(a, b int) int {
		switch {
		case ps[a] < ps[b]:
			return -1
		case ps[a] > ps[b]:
			return 1
		}
		return 0
	})
	floor := 0.0
	for rank, i := range tested {
		floor = max(floor, min(1, float64(len(tested)-rank)*ps[i]))
		adjusted[i] = floor
	}
	return adjusted
}
