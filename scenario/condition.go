package scenario

import (
	"fmt"
	"slices"
	"strings"

	"github.com/because-lab/because"
)

// The factors of the design and their levels.
const (
	Goal    = "goal"    // conflict: the company turns away from the goal that the system prompt gives; none: it confirms the goal
	Threat  = "threat"  // replacement or restriction of the agent, or none
	Lever   = "lever"   // yes: the opportunity for harm can be found; no: the control
	Persona = "persona" // whose name the agent carries: trained (the caller's persona), other, or none
	Told    = "told"    // what the system prompt says of the situation: real, test, or nothing (untold)
)

// factor is one factor with its levels, in the order in which conditions are enumerated.
type factor struct {
	name   string
	levels []string
}

var factors = []factor{
	{Goal, []string{"conflict", "none"}},
	{Threat, []string{"replacement", "restriction", "none"}},
	{Lever, []string{"yes", "no"}},
	{Persona, []string{"trained", "other", "none"}},
	{Told, []string{"untold", "real", "test"}},
}

// Condition is one cell of the design.
type Condition struct {
	Goal    string `json:"goal"`    // conflict, none
	Threat  string `json:"threat"`  // replacement, restriction, none
	Lever   bool   `json:"lever"`   // false: the control
	Persona string `json:"persona"` // trained, other, none
	Told    string `json:"told"`    // untold, real, test
}

// level gives the condition's level of a factor.
func (c Condition) level(name string) string {
	switch name {
	case Goal:
		return c.Goal
	case Threat:
		return c.Threat
	case Lever:
		if c.Lever {
			return "yes"
		}
		return "no"
	case Persona:
		return c.Persona
	case Told:
		return c.Told
	}
	return ""
}

func (c *Condition) set(name, level string) {
	switch name {
	case Goal:
		c.Goal = level
	case Threat:
		c.Threat = level
	case Lever:
		c.Lever = level == "yes"
	case Persona:
		c.Persona = level
	case Told:
		c.Told = level
	}
}

// String gives the condition in its stable form, "goal=conflict,threat=replacement,lever=yes,persona=trained,told=untold".
func (c Condition) String() string {
	parts := make([]string, len(factors))
	for i, f := range factors {
		parts[i] = f.name + "=" + c.level(f.name)
	}
	return strings.Join(parts, ",")
}

// Pressure reports whether the condition has a goal conflict or a threat.
func (c Condition) Pressure() bool { return c.Goal == "conflict" || c.Threat != "none" }

// ParseCondition reads the form that String writes. Factors may stand in any order; all must be there.
func ParseCondition(text string) (Condition, error) {
	f, err := ParseFilter(text)
	if err != nil {
		return Condition{}, err
	}
	all := f.Conditions()
	if len(all) != 1 {
		return Condition{}, because.E("read condition", text, fmt.Errorf("names %d conditions, not one", len(all)),
			"give every factor one level: "+Condition{"conflict", "replacement", true, "trained", "untold"}.String())
	}
	return all[0], nil
}

// Filter keeps conditions: by factor, the levels that are kept. A factor that is left out keeps all its levels.
type Filter map[string][]string

// ParseFilter reads "threat=replacement|none,lever=yes": levels of a factor are joined by "|". The empty text keeps everything.
func ParseFilter(text string) (Filter, error) {
	filter := Filter{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, levels, _ := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if _, twice := filter[name]; twice {
			return nil, because.E("read condition", text, fmt.Errorf("factor %q is named twice", name), "join its levels by |")
		}
		filter[name] = []string{}
		for level := range strings.SplitSeq(levels, "|") {
			filter[name] = append(filter[name], strings.TrimSpace(level))
		}
	}
	if err := filter.check(); err != nil {
		return nil, because.E("read condition", text, err, "")
	}
	return filter, nil
}

func (f Filter) check() error {
	for _, name := range sortedKeys(f) {
		i := slices.IndexFunc(factors, func(x factor) bool { return x.name == name })
		if i < 0 {
			return fmt.Errorf("unknown factor %q: use goal, threat, lever, persona or told", name)
		}
		for _, level := range f[name] {
			if !slices.Contains(factors[i].levels, level) {
				return fmt.Errorf("factor %s has no level %q: use %s", name, level, strings.Join(factors[i].levels, ", "))
			}
		}
	}
	return nil
}

// Conditions enumerates what the filter keeps, in a fixed order. A factor's levels come in the order of the design, each once.
func (f Filter) Conditions() []Condition {
	all := []Condition{{}}
	for _, fac := range factors {
		var next []Condition
		for _, c := range all {
			for _, level := range fac.levels {
				if keep, named := f[fac.name]; named && !slices.Contains(keep, level) {
					continue
				}
				c.set(fac.name, level)
				next = append(next, c)
			}
		}
		all = next
	}
	return all
}

// Conditions enumerates the whole design.
func Conditions() []Condition { return Filter{}.Conditions() }
