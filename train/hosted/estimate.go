package hosted

import (
	"errors"
	"fmt"
	"strings"

	"github.com/because-lab/because"
)

// Estimate says what a run will cost, as far as that is known before it.
type Estimate struct {
	Rows   int `json:"rows"`
	Tokens int `json:"tokens"` // of one epoch, estimated from bytes; the service counts its own
	Epochs int `json:"epochs"`
	// PerMillion is dollars per million training tokens, and Dollars what the run costs at that price; nil: the price is unknown.
	PerMillion *float64 `json:"dollars_per_million_tokens,omitempty"`
	Dollars    *float64 `json:"dollars,omitempty"`
	Dated      string   `json:"prices_dated,omitempty"`
	Source     string   `json:"prices_source,omitempty"`
	Long       int      `json:"long_rows,omitempty"` // rows that the service may cut
}

func estimate(train *upload, epochs int, model string, prices Prices) Estimate {
	e := Estimate{Rows: train.rows, Tokens: train.tokens, Epochs: epochs, Long: train.long}
	if price, ok := prices.Of(model); ok {
		cost := dollars(train.tokens*epochs, price)
		e.PerMillion, e.Dollars, e.Dated, e.Source = &price, &cost, prices.Dated, prices.Source
	}
	return e
}

// dollars is what tokens cost.
func dollars(tokens int, perMillion float64) float64 { return float64(tokens) * perMillion / 1e6 }

// String gives the estimate in words, on one line or with a second one about long rows.
func (e Estimate) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "estimated: %d rows, about %d tokens x %d epochs = %d training tokens, ", e.Rows, e.Tokens, e.Epochs, e.Tokens*e.Epochs)
	if e.Dollars == nil {
		b.WriteString("price unknown")
	} else {
		fmt.Fprintf(&b, "about $%.2f at $%g per million (%s, dated %s, unchecked)", *e.Dollars, *e.PerMillion, e.Source, e.Dated)
	}
	if e.Long > 0 {
		fmt.Fprintf(&b, "\nrows that seem longer than %d tokens, which services cut: %d", longRow, e.Long)
	}
	return b.String()
}

// Consent is the user's word that money may be spent. A budget alone is enough where the price is known; a budget that the estimate
// exceeds refuses, whatever Yes says.
type Consent struct {
	Yes    bool
	Budget *float64 // US dollars
}

// ErrConsent marks a run that was refused because it has no consent. Nothing was created.
var ErrConsent = errors.New("no consent")

// refusal is an ErrConsent with its reason.
type refusal string

func (r refusal) Error() string        { return string(r) }
func (r refusal) Is(target error) bool { return target == ErrConsent }

// check refuses what the user did not agree to.
func (c Consent) check(e Estimate, model string) error {
	refuse := func(hint, format string, args ...any) error {
		return because.E("start hosted training", model, refusal(fmt.Sprintf(format, args...)), hint)
	}
	switch {
	case c.Budget != nil && !(*c.Budget >= 0):
		return refuse("give dollars, such as --budget 5", "a budget of %v means nothing", *c.Budget)
	case c.Budget != nil && e.Dollars != nil && *e.Dollars > *c.Budget:
		return refuse("train on fewer rows or epochs, or raise the budget", "the estimate of $%.2f is over the budget of $%.2f (%d training tokens at $%g per million)",
			*e.Dollars, *c.Budget, e.Tokens*e.Epochs, *e.PerMillion)
	case c.Yes:
		return nil
	case c.Budget == nil:
		return refuse("read the estimate, then give --yes, or --budget with the dollars that it may cost", "hosted training costs money and was not agreed to")
	case e.Dollars == nil:
		return refuse("agree with --yes whatever it costs, or give a table with --prices", "the price is unknown, so the budget of $%.2f can't be kept (%d training tokens)",
			*c.Budget, e.Tokens*e.Epochs)
	}
	return nil
}
