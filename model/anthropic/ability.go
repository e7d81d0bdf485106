package anthropic

import (
	"strconv"
	"strings"
)

// usualTokens is how many tokens an answer may have where the request does not say.
const usualTokens = 16384

// ability is what differs between the models of the API.
type ability struct {
	maxTokens  int  // that an answer may have where the request does not say
	adaptive   bool // it decides itself how long to think, by the effort it is told; else it gets a number of tokens
	structured bool // it can follow a JSON schema
}

// abilityOf reads a model's generation from its name: claude-3-5-haiku-20241022, claude-sonnet-4-5, and with the prefixes and suffixes of
// clouds, such as us.anthropic.claude-opus-4-6-v1. Names that it can't read count as new.
func abilityOf(id string) ability {
	major, minor, known := generation(id)
	at := func(x, y int) bool { return !known || major > x || major == x && minor >= y }
	a := ability{maxTokens: usualTokens, adaptive: at(4, 6), structured: at(4, 5)}
	switch {
	case at(3, 7):
	case at(3, 5):
		a.maxTokens = 8192
	default:
		a.maxTokens = 4096
	}
	return a
}

// generation finds the first one or two small numbers among the words of a name.
func generation(id string) (major, minor int, known bool) {
	_, rest, found := strings.Cut(id, "claude-")
	if !found {
		return 0, 0, false
	}
	words := strings.FieldsFunc(rest, func(r rune) bool { return r == '-' || r == '@' || r == '.' || r == ':' })
	for i, w := range words {
		n, err := strconv.Atoi(w)
		if err != nil || n > 99 {
			continue
		}
		if i+1 < len(words) {
			if next, err := strconv.Atoi(words[i+1]); err == nil && next <= 99 {
				minor = next
			}
		}
		return n, minor, true
	}
	return 0, 0, false
}

// budgets are the tokens of thinking of models that are told a number.
var budgets = map[string]int{"minimal": 1024, "low": 2048, "medium": 8192, "high": 24576}

// leastBudget is the API's smallest number of tokens of thinking.
const leastBudget = 1024
