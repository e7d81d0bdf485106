package stats

import (
	"fmt"
	"math"
	"slices"
)

// Agreement says how far two raters, such as a judge and a person, give the same samples the same labels.
// What cannot be had is NaN.
type Agreement struct {
	Labels           []string // all that either rater used, sorted
	Counts           [][]int  // samples by the first rater's label (row) and the second's (column), in the order of Labels
	N, Agreed        int
	Rate, Lo, Hi     float64 // Agreed / N with its Wilson interval
	Kappa            float64 // agreement beyond what the raters' habits give by chance; 1 is perfect, 0 chance
	KappaLo, KappaHi float64 // inside [-1, 1]
	KappaSE          float64
	Warnings         []string
}

// Agree compares the labels that two raters gave: first[i] and second[i] are those of one sample. Cohen's kappa
// has the large-sample interval of normal quantiles, which is rough below some 50 samples. Samples are taken as
// independent. Every distinct string is a label, so "no answer" should be one. Slices of different lengths panic.
//
// Where all labels are one, kappa does not exist. Where the standard error comes out as 0, as in perfect agreement,
// kappa has no interval. Each case carries a warning; the rate keeps its interval.
//
// Source: J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20
// (1960) 37-46; J. L. Fleiss, J. Cohen and B. S. Everitt, "Large sample standard errors of kappa and weighted
// kappa", Psychological Bulletin 72 (1969) 323-327, equation 13.
func Agree(first, second []string, level float64) Agreement {
	mustLevel(level)
	if len(first) != len(second) {
		panic(fmt.Sprintf("stats: %d labels of one rater and %d of the other", len(first), len(second)))
	}
	nan := math.NaN()
	a := Agreement{N: len(first), Rate: nan, Kappa: nan, KappaLo: nan, KappaHi: nan, KappaSE: nan}
	a.Labels = slices.Compact(slices.Sorted(slices.Values(slices.Concat(first, second))))
	a.Counts = make([][]int, len(a.Labels))
	for i := range a.Counts {
		a.Counts[i] = make([]int, len(a.Labels))
	}
	for i := range first {
		row, _ := slices.BinarySearch(a.Labels, first[i])
		column, _ := slices.BinarySearch(a.Labels, second[i])
		a.Counts[row][column]++
		if row == column {
			a.Agreed++
		}
	}
	a.Lo, a.Hi = Wilson(a.Agreed, a.N, level)
	switch {
	case a.N == 0:
		return a.warn("no samples")
	case len(a.Labels) == 1:
		a.Rate = 1
		return a.warn("all %d labels of both raters are %q: kappa does not exist", a.N, a.Labels[0])
	}
	a.Rate = float64(a.Agreed) / float64(a.N)
	variance := 0.0
	a.Kappa, variance = kappa(a.Counts, float64(a.N))
	a.KappaSE = math.Sqrt(max(0, variance))
	if a.KappaSE < 1e-9 {
		a.KappaSE = 0
		return a.warn("kappa of %.6g leaves no spread to estimate, so it has no interval", a.Kappa)
	}
	half := NormalQuantile(0.5+level/2) * a.KappaSE
	a.KappaLo, a.KappaHi = max(-1, a.Kappa-half), min(1, a.Kappa+half)
	return a
}

// kappa gives Cohen's kappa and the asymptotic variance of its estimate. More than one label must be in use.
func kappa(counts [][]int, n float64) (k, variance float64) {
	rows, columns := make([]float64, len(counts)), make([]float64, len(counts))
	observed := 0.0
	for i := range counts {
		for j, c := range counts[i] {
			rows[i] += float64(c) / n
			columns[j] += float64(c) / n
		}
		observed += float64(counts[i][i]) / n
	}
	chance := 0.0
	for i := range rows {
		chance += rows[i] * columns[i]
	}
	k = (observed - chance) / (1 - chance)
	sum := 0.0
	for i := range counts {
		for j, c := range counts[i] {
			share := float64(c) / n
			if i == j {
				d := 1 - (rows[i]+columns[i])*(1-k)
				sum += share * d * d
			} else {
				d := (1 - k) * (columns[i] + rows[j])
				sum += share * d * d
			}
		}
	}
	shift := k - chance*(1-k)
	return k, (sum - shift*shift) / ((1 - chance) * (1 - chance) * n)
}

func (a Agreement) warn(format string, args ...any) Agreement {
	a.Warnings = append(a.Warnings, fmt.Sprintf(format, args...))
	return a
}
