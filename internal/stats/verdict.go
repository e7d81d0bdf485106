package stats

import (
	"fmt"
	"math"
)

// Verdict is what the data say about a claim.
type Verdict string

// Supported, Contradicted and Inconclusive judge a claim of an effect; Null, NotNull and Inconclusive
// judge an ablation, in which the effect must vanish.
const (
	Supported    Verdict = "supported"
	Contradicted Verdict = "contradicted"
	Inconclusive Verdict = "inconclusive"
	Null         Verdict = "null"
	NotNull      Verdict = "not-null"
)

// Direction is the predicted sign of an effect.
type Direction string

// Lower predicts a negative effect, Higher a positive one, and Absent none of interest.
const (
	Lower  Direction = "lower"
	Higher Direction = "higher"
	Absent Direction = "none"
)

// MinSeeds is the number of seeds below which every verdict is inconclusive, and Alpha the level of
// the tests.
const (
	MinSeeds = 3
	Alpha    = 0.05
)

// Estimate is an effect with its 95 % interval, its two-sided p and that p adjusted for the claims tested
// with it. What could not be had is NaN.
type Estimate struct {
	Effect, Lo, Hi float64
	P, PHolm       float64
	Seeds          int
}

// Estimate gives m as the estimate of an effect; its PHolm is NaN until Holm fills it.
func (m Mean) Estimate() Estimate {
	return Estimate{Effect: m.Mean, Lo: m.Lo, Hi: m.Hi, P: m.P, PHolm: math.NaN(), Seeds: m.N}
}

// Superiority judges the claim of an effect in a direction, of at least sesoi (the smallest effect size of
// interest, > 0), and says why.
//
//	supported      adjusted p < 0.05, the sign as predicted, and the effect at least sesoi
//	contradicted   adjusted p < 0.05 with the opposite sign, or the 95 % interval excludes every effect
//	               of sesoi or more in the predicted direction
//	inconclusive   all else, and whatever fewer than MinSeeds seeds show
func Superiority(e Estimate, predicted Direction, sesoi float64) (Verdict, string) {
	mustPositive("smallest effect of interest", sesoi)
	if verdict, reason := undecidable(e); verdict != "" {
		return verdict, reason
	}
	// From here on, positive means "as predicted".
	effect, furthest := e.Effect, e.Hi
	switch predicted {
	case Higher:
	case Lower:
		effect, furthest = -e.Effect, -e.Lo
	default:
		panic(fmt.Sprintf("stats: direction %q", predicted))
	}
	significant := e.PHolm < Alpha // false for NaN
	switch {
	case significant && effect < 0:
		return Contradicted, "the effect has the opposite sign"
	case furthest < sesoi:
		return Contradicted, fmt.Sprintf("the interval excludes an effect as large as %.3g in the predicted direction", sesoi)
	case significant && effect >= sesoi:
		return Supported, fmt.Sprintf("sign as predicted, at least %.3g, and p < %.2g after Holm's correction", sesoi, Alpha)
	case math.IsNaN(e.PHolm):
		return Inconclusive, "not tested: there is no p"
	case significant:
		return Inconclusive, fmt.Sprintf("sign as predicted, but the estimate is smaller than %.3g", sesoi)
	case effect < 0:
		return Inconclusive, fmt.Sprintf("the sign is not as predicted, but an effect of %.3g is not excluded", sesoi)
	}
	return Inconclusive, fmt.Sprintf("p is not below %.2g after Holm's correction", Alpha)
}

// Absence judges the claim that an effect is smaller than sesoi either way, where e.P is the p of TOST and
// e.PHolm that p adjusted.
//
//	supported      adjusted p < 0.05, and the 95 % interval lies inside (-sesoi, sesoi)
//	contradicted   what Equivalence calls not-null
//	inconclusive   all else, and whatever fewer than MinSeeds seeds show
func Absence(e Estimate, sesoi float64) (Verdict, string) {
	verdict, reason := Equivalence(e, sesoi)
	switch {
	case verdict == NotNull:
		return Contradicted, reason
	case verdict == Inconclusive:
		return Inconclusive, reason
	case math.IsNaN(e.PHolm):
		return Inconclusive, "not tested: there is no p"
	case e.PHolm >= Alpha:
		return Inconclusive, fmt.Sprintf("%s, but p is not below %.2g after Holm's correction", reason, Alpha)
	}
	return Supported, fmt.Sprintf("%s, and p < %.2g after Holm's correction", reason, Alpha)
}

// Judge judges a claim by its predicted direction: Superiority for Lower and Higher, Absence for Absent.
func Judge(e Estimate, predicted Direction, sesoi float64) (Verdict, string) {
	if predicted == Absent {
		return Absence(e, sesoi)
	}
	return Superiority(e, predicted, sesoi)
}

// Equivalence judges an ablation: whether an effect is absent, which only an interval can show, since a
// large p is no evidence of absence.
//
//	null           the 95 % interval lies inside (-margin, margin)
//	not-null       the interval lies outside, or it excludes 0 with the estimate at or beyond the margin
//	inconclusive   all else, and whatever fewer than MinSeeds seeds show
func Equivalence(e Estimate, margin float64) (Verdict, string) {
	mustPositive("margin", margin)
	if verdict, reason := undecidable(e); verdict != "" {
		return verdict, reason
	}
	outside := e.Lo >= margin || e.Hi <= -margin
	excludesZero := e.Lo > 0 || e.Hi < 0
	switch {
	case e.Lo > -margin && e.Hi < margin:
		return Null, fmt.Sprintf("the interval lies within ±%.3g", margin)
	case outside:
		return NotNull, fmt.Sprintf("the interval lies beyond ±%.3g", margin)
	case excludesZero && math.Abs(e.Effect) >= margin:
		return NotNull, fmt.Sprintf("the interval excludes 0 and the estimate is beyond ±%.3g", margin)
	}
	return Inconclusive, fmt.Sprintf("the interval reaches beyond ±%.3g", margin)
}

// undecidable gives Inconclusive and its reason where e has too few seeds or no interval, else "".
func undecidable(e Estimate) (Verdict, string) {
	switch {
	case e.Seeds == 1:
		return Inconclusive, fmt.Sprintf("1 seed: a verdict needs at least %d", MinSeeds)
	case e.Seeds < MinSeeds:
		return Inconclusive, fmt.Sprintf("%d seeds: a verdict needs at least %d", e.Seeds, MinSeeds)
	case math.IsNaN(e.Effect) || math.IsNaN(e.Lo) || math.IsNaN(e.Hi):
		return Inconclusive, "there is no interval"
	}
	return "", ""
}
