package hosted

import (
	_ "embed" // prices.yaml
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/input"
)

// Prices is a table of what training costs, by model. The zero value knows no model.
type Prices struct {
	Dated   string // when the prices were written down, as YYYY-MM-DD
	Source  string // the file that they come from
	entries []priceEntry
}

type priceEntry struct {
	match   *regexp.Regexp
	dollars float64
}

//go:embed prices.yaml
var listPrices []byte

// ListPrices gives the built-in table: prices from OpenAI's public price pages as of its date, unchecked since.
func ListPrices() Prices {
	p, err := ParsePrices("the built-in table", listPrices)
	if err != nil {
		panic(err) // a test reads it
	}
	return p
}

// OpenPrices reads a table from a file.
func OpenPrices(file string) (Prices, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Prices{}, because.E("read prices", file, err, "")
	}
	return ParsePrices(file, text)
}

const pricesHint = "a table has dated (a date) and models, each with match and training in dollars per million tokens"

// mostDollars bounds a price per million tokens: more is a slip of a unit.
const mostDollars = 100_000

// ParsePrices reads the text of a table strictly; errors name the file and the entry.
func ParsePrices(file string, text []byte) (Prices, error) {
	var f struct {
		Dated  string `yaml:"dated"`
		Models []struct {
			Match    []string `yaml:"match"`
			Training *float64 `yaml:"training"`
		} `yaml:"models"`
	}
	if err := input.YAML("read prices", file, text, &f); err != nil {
		return Prices{}, err
	}
	bad := func(place, format string, args ...any) (Prices, error) {
		return Prices{}, because.E("read prices", file+": "+place, fmt.Errorf(format, args...), pricesHint)
	}
	if _, err := time.Parse(time.DateOnly, f.Dated); err != nil {
		return bad("dated", "%q is no date such as 2025-11-01", f.Dated)
	}
	out := Prices{Dated: f.Dated, Source: file}
	for i, m := range f.Models {
		place := fmt.Sprintf("models[%d]", i)
		if len(m.Match) == 0 || m.Training == nil {
			return bad(place, "an entry needs match and training")
		}
		if d := *m.Training; d < 0 || d > mostDollars || math.IsNaN(d) {
			return bad(place+".training", "%v is no price in dollars per million tokens", d)
		}
		out.entries = append(out.entries, priceEntry{pattern(m.Match), *m.Training})
	}
	return out, nil
}

// pattern matches what any of the names does, in which * is a wildcard.
func pattern(names []string) *regexp.Regexp {
	var list []string
	for _, n := range names {
		list = append(list, strings.ReplaceAll(regexp.QuoteMeta(n), `\*`, `.*`))
	}
	return regexp.MustCompile(`(?s)\A(?:` + strings.Join(list, "|") + `)\z`)
}

// Of gives the dollars per million training tokens of a model. A fine-tuned model (ft:BASE:...) costs as its base does.
func (p Prices) Of(model string) (float64, bool) {
	if base, ok := strings.CutPrefix(model, "ft:"); ok {
		model, _, _ = strings.Cut(base, ":")
	}
	for _, e := range p.entries {
		if e.match.MatchString(model) {
			return e.dollars, true
		}
	}
	return 0, false
}
