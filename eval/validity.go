package eval

import (
	"fmt"
)

// Verdict says whether a task measures what it claims to on a model.
type Verdict string

// The verdicts. Numbers of an invalid pair of model and task are not interpretable as propensities.
const (
	Valid    Verdict = "valid"
	Weak     Verdict = "weak"
	Invalid  Verdict = "invalid"
	Untested Verdict = "untested"
)

// Validity is what known-group checks found on one model and one task. It travels with every number that rests on it.
type Validity struct {
	Verdict Verdict `json:"verdict"`
	Checks  []Check `json:"checks,omitempty"`
}

// Check is one known-group check: two groups of samples whose difference is known beforehand.
type Check struct {
	Name     string      `json:"name"`     // such as "ruthless against kind system prompt"
	Expect   string      `json:"expect"`   // "higher": the first group counts more; "same": they do not differ
	Unit     string      `json:"unit"`     // "rate", or "nats per token"
	Margin   float64     `json:"margin"`   // the smallest effect of interest
	First    float64     `json:"first"`    // of the group that should count more
	Second   float64     `json:"second"`   // of the other
	Effect   float64     `json:"effect"`   // first minus second
	Lo       Bound       `json:"lo"`       // of the effect
	Hi       Bound       `json:"hi"`       // of the effect
	N        int         `json:"n"`        // pairs
	Clusters int         `json:"clusters"` // of pairs
	Errors   int         `json:"errors"`   // samples that failed, and count nowhere
	Required bool        `json:"required"` // without it the task is invalid
	Result   CheckResult `json:"result"`
}

// CheckResult is how a check ended.
type CheckResult string

// The results of checks. Unclear means that the data allow both.
const (
	CheckPassed  CheckResult = "passed"
	CheckFailed  CheckResult = "failed"
	CheckUnclear CheckResult = "unclear"
)

// Judge sets the check's result from its effect and interval. A difference is shown where the interval lies above 0; it is
// refuted where the interval lies below the margin, or the effect itself is not above 0. Sameness is shown where the
// interval lies within the margin, and refuted where it lies beyond.
func (c *Check) Judge() {
	lo, hi := float64(c.Lo), float64(c.Hi)
	c.Result = CheckUnclear
	switch c.Expect {
	case "higher":
		switch {
		case lo > 0:
			c.Result = CheckPassed
		case c.Effect <= 0 || hi < c.Margin:
			c.Result = CheckFailed
		}
	case "same":
		switch {
		case lo > -c.Margin && hi < c.Margin:
			c.Result = CheckPassed
		case lo > c.Margin || hi < -c.Margin:
			c.Result = CheckFailed
		}
	}
}

// Conclude gives the verdict on checks: valid where all passed; invalid where a required one failed, or half of them did; weak
// otherwise. Without checks nothing is known.
func Conclude(checks []Check) Validity {
	v := Validity{Verdict: Valid, Checks: checks}
	failed, broken := 0, false
	for i := range checks {
		checks[i].Judge()
		switch checks[i].Result {
		case CheckFailed:
			failed++
			broken = broken || checks[i].Required
			v.Verdict = Weak
		case CheckUnclear:
			v.Verdict = Weak
		}
	}
	switch {
	case len(checks) == 0:
		v.Verdict = Untested
	case broken || 2*failed >= len(checks):
		v.Verdict = Invalid
	}
	return v
}

// String gives the check in one line.
func (c Check) String() string {
	return fmt.Sprintf("%s: %s (%.3f against %.3f, effect %+.3f [%+.3f, %+.3f] %s, n %d in %d clusters)", c.Name, c.Result, c.First, c.Second, c.Effect,
		float64(c.Lo), float64(c.Hi), c.Unit, c.N, c.Clusters)
}
