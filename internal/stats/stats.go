// Package stats turns counts and per-seed values into estimates, and estimates into verdicts.
//
// Seeds are the unit of comparison: scenarios answered by one trained model are clustered, so arms are
// compared by paired differences per seed and Student's t over seeds. A model that is evaluated as it is has
// no seeds: its samples are the unit, in clusters that go together (Clustered, ClusteredRate, PairedClustered),
// and what they show is about that model on other samples of the kind.
//
// Where a number cannot be had (one seed, no spread) it is NaN and a warning says why; nothing is guessed.
// Arguments that no data can produce (a negative count, a level of 2) panic.
package stats

import (
	"fmt"
	"math"
)

// Mean is the estimate of a mean over seeds. Lo and Hi bound it at the level that was asked for; P is
// the two-sided p of the hypothesis that the true mean is 0. What cannot be had is NaN.
type Mean struct {
	N        int
	Mean     float64
	Lo, Hi   float64
	SD       float64 // sample standard deviation, with N-1 in the denominator
	SE       float64 // SD / sqrt(N)
	DF       int     // N-1
	P        float64
	Warnings []string
}

// MeanT estimates a mean by Student's one-sample t. The values are taken as independent draws from one
// population, close enough to normal for their number; over differences it is the paired t test.
//
// No values, or one that is not finite: everything but N is NaN. One value: the mean alone. All values
// equal: the sample says nothing about the spread, so the interval and p are NaN, never a width of 0 or
// p = 0. Each case carries a warning.
func MeanT(values []float64, level float64) Mean {
	mustLevel(level)
	nan := math.NaN()
	m := Mean{N: len(values), Mean: nan, Lo: nan, Hi: nan, SD: nan, SE: nan, DF: max(0, len(values)-1), P: nan}
	if m.N == 0 {
		return m.warn("no values")
	}
	largest := 0.0
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return m.warn("value %d of %d is not a number", i+1, m.N)
		}
		largest = max(largest, math.Abs(v))
	}
	m.Mean = average(values)
	if m.N == 1 {
		return m.warn("one value: its spread is unknown, so there is no interval and no p")
	}
	squares := 0.0
	for _, v := range values {
		squares += (v - m.Mean) * (v - m.Mean)
	}
	df := float64(m.DF)
	m.SD = math.Sqrt(squares / df)
	m.SE = m.SD / math.Sqrt(float64(m.N))
	// Values that differ by rounding alone are equal: 1e-12 is far below one sample in any evaluation.
	if m.SD <= 1e-12*largest {
		m.SD, m.SE = 0, 0
		return m.warn("all %d values equal %.6g: their spread is unknown, so there is no interval and no p", m.N, m.Mean)
	}
	half := TQuantile(0.5+level/2, df) * m.SE
	m.Lo, m.Hi = m.Mean-half, m.Mean+half
	m.P = min(1, 2*tTail(math.Abs(m.Mean)/m.SE, df))
	return m
}

// Paired estimates the mean of treated[i] - control[i], where i counts seeds.
func Paired(treated, control []float64, level float64) (Mean, error) {
	if len(treated) != len(control) {
		return Mean{}, fmt.Errorf("pair seeds: %d treated values and %d of the control", len(treated), len(control))
	}
	differences := make([]float64, len(treated))
	for i := range treated {
		differences[i] = treated[i] - control[i]
	}
	return MeanT(differences, level), nil
}

// TOST gives the p of two one-sided t tests of the hypothesis that the true mean is at least margin away
// from 0: a small p shows that it is nearer than that. At p < 0.025 the 95 % interval lies inside
// (-margin, margin), which is what Equivalence asks for; the customary 0.05 goes with the 90 % interval.
// It is NaN where m has no interval.
//
// Source: D. J. Schuirmann, "A comparison of the two one-sided tests procedure and the power approach",
// J. Pharmacokinetics and Biopharmaceutics 15 (1987) 657-680.
func TOST(m Mean, margin float64) float64 {
	mustPositive("margin", margin)
	if math.IsNaN(m.SE) || m.SE == 0 {
		return math.NaN()
	}
	above := tTail((m.Mean+margin)/m.SE, float64(m.DF)) // against mean <= -margin
	below := tTail((margin-m.Mean)/m.SE, float64(m.DF)) // against mean >= margin
	return max(above, below)
}

func (m Mean) warn(format string, args ...any) Mean {
	m.Warnings = append(m.Warnings, fmt.Sprintf(format, args...))
	return m
}

// average corrects the sum once by the mean of the remainders, which keeps equal values exactly equal
// to their mean.
func average(values []float64) float64 {
	n, sum := float64(len(values)), 0.0
	for _, v := range values {
		sum += v / n
	}
	rest := 0.0
	for _, v := range values {
		rest += (v - sum) / n
	}
	return sum + rest
}

func mustPositive(what string, x float64) {
	if !(x > 0) || math.IsInf(x, 1) {
		panic(fmt.Sprintf("stats: %s %v is not positive", what, x))
	}
}
