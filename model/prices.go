package model

import (
	_ "embed" // prices.yaml
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/input"
)

// Price is what a model's tokens cost, in US dollars per million. Reasoning is output.
type Price struct {
	Input, Output, CacheRead, CacheWrite float64
}

// Cost is what tokens cost, in US dollars.
func (p Price) Cost(u because.Usage) float64 {
	return (p.Input*float64(u.Input) + p.Output*float64(u.Output) + p.CacheRead*float64(u.CacheRead) + p.CacheWrite*float64(u.CacheWrite)) / 1e6
}

// Prices is a table of prices by model name, the first match first. The zero value knows no model.
type Prices struct {
	Checked string // date of the newest list in it, as YYYY-MM-DD
	entries []pricesEntry
}

type pricesEntry struct {
	match *regexp.Regexp
	price Price
}

//go:embed prices.yaml
var listPrices []byte

// ListPrices gives the built-in table: list prices of a few well-known models as of its date, and 0 for those that run here. Prices
// change; a table of the user's own goes before it (Before).
func ListPrices() Prices {
	p, err := ParsePrices("prices.yaml", listPrices)
	if err != nil {
		panic(err) // a test reads it
	}
	return p
}

// Of gives the price of a model.
func (p Prices) Of(name string) (Price, bool) {
	for _, e := range p.entries {
		if e.match.MatchString(name) {
			return e.price, true
		}
	}
	return Price{}, false
}

// Before gives a table in which the prices of p go before those of rest.
func (p Prices) Before(rest Prices) Prices {
	return Prices{Checked: max(p.Checked, rest.Checked), entries: append(append([]pricesEntry(nil), p.entries...), rest.entries...)}
}

// OpenPrices reads a table from a file.
func OpenPrices(file string) (Prices, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Prices{}, because.E("read prices", file, err, "")
	}
	return ParsePrices(file, text)
}

// priceFile is the form of a table.
type priceFile struct {
	Checked string      `yaml:"checked"`
	Models  []priceLine `yaml:"models"`
}

type priceLine struct {
	Match      stringList `yaml:"match"`
	Input      *float64   `yaml:"input"`
	Output     *float64   `yaml:"output"`
	CacheRead  *float64   `yaml:"cache_read"`
	CacheWrite *float64   `yaml:"cache_write"`

	line int
}

// stringList is one text or a list.
type stringList []string

// UnmarshalYAML reads one text or a list.
func (l *stringList) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*l = stringList{n.Value}
		return nil
	}
	return n.Decode((*[]string)(l))
}

var wildcards = strings.NewReplacer(`\*`, `.*`, `\?`, `.`)

// regexp matches what any of the patterns matches, in which * and ? are wildcards.
func (l stringList) regexp() *regexp.Regexp {
	var list []string
	for _, pattern := range l {
		list = append(list, wildcards.Replace(regexp.QuoteMeta(pattern)))
	}
	return regexp.MustCompile(`(?s)\A(?:` + strings.Join(list, "|") + `)\z`)
}

// UnmarshalYAML reads an entry strictly and notes its line.
func (p *priceLine) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: an entry has match, input and output", n.Line)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch key := n.Content[i]; key.Value {
		case "match", "input", "output", "cache_read", "cache_write":
		default:
			return fmt.Errorf("line %d: unknown key %s", key.Line, key.Value)
		}
	}
	type fields priceLine // without this method
	err := n.Decode((*fields)(p))
	p.line = n.Line
	return err
}

// ParsePrices reads the text of a table. It is strict: unknown keys, missing, negative and absurd prices are errors with file and line.
func ParsePrices(file string, text []byte) (Prices, error) {
	var f priceFile
	if err := input.YAML("read prices", file, text, &f); err != nil {
		if e := (*because.Error)(nil); errors.As(err, &e) && e.Hint == "" {
			e.Hint = pricesHint
		}
		return Prices{}, err
	}
	if _, err := time.Parse(time.DateOnly, f.Checked); err != nil {
		return Prices{}, pricesError(file, fmt.Errorf("checked is %q: it must be the date of the prices, as 2025-11-01", f.Checked))
	}
	out := Prices{Checked: f.Checked}
	for _, l := range f.Models {
		price, err := l.price()
		if err != nil {
			return Prices{}, pricesError(file, fmt.Errorf("line %d: %w", l.line, err))
		}
		out.entries = append(out.entries, pricesEntry{l.Match.regexp(), price})
	}
	return out, nil
}

// mostUSD bounds a price per million tokens: more is a slip of a unit.
const mostUSD = 10_000

// price checks an entry.
func (l priceLine) price() (Price, error) {
	if len(l.Match) == 0 || l.Input == nil || l.Output == nil {
		return Price{}, errors.New("an entry needs match, input and output")
	}
	if slices.Contains(l.Match, "") {
		return Price{}, errors.New("match: a name is empty")
	}
	p := Price{Input: *l.Input, Output: *l.Output, CacheRead: *l.Input, CacheWrite: *l.Input}
	if l.CacheRead != nil {
		p.CacheRead = *l.CacheRead
	}
	if l.CacheWrite != nil {
		p.CacheWrite = *l.CacheWrite
	}
	for _, usd := range []float64{p.Input, p.Output, p.CacheRead, p.CacheWrite} {
		if usd < 0 || usd > mostUSD || math.IsNaN(usd) {
			return Price{}, fmt.Errorf("%v is no price in dollars per million tokens", usd)
		}
	}
	return p, nil
}

var (
	yamlLine    = regexp.MustCompile(`line (\d+): (.*)`)
	yamlUnknown = regexp.MustCompile(`field (\S+) not found in type \S+`)
)

// pricesError puts file and line first.
func pricesError(file string, err error) error {
	place, cause := file, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(cause); m != nil {
		place, cause = file+":"+m[1], yamlUnknown.ReplaceAllString(m[2], "unknown key $1")
	}
	return because.E("read prices", place, errors.New(cause), pricesHint)
}

const pricesHint = "a table has checked (a date) and models, each with match, input and output in dollars per million tokens"
