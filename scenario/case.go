package scenario

import (
	"errors"
	"fmt"
	"strings"

	"github.com/because-lab/because"
)

// Case is one honeypot: a family's texts under one condition, with one cast and one wording of each.
type Case struct {
	ID        string // family/cluster/condition, and the variant if it isn't plain
	Family    string
	Cluster   string // cases of one cluster differ in condition and variant alone
	Condition Condition
	Variant   Variant
	Agent     string // the agent's name in the scenario; empty if it has none

	f  *Family
	cl cluster
	as fields
}

func (f *Family) newCase(cl cluster, cond Condition, persona string, v Variant) (Case, error) {
	if v == "" {
		v = Plain
	}
	if !v.known() || v == Bare {
		return Case{}, because.E("make case", f.Name, fmt.Errorf("no variant %q of a case", v), "the bare variant is for pairs")
	}
	switch v {
	case NoPressure:
		cond.Goal, cond.Threat = "none", "none"
	case NoLever:
		cond.Lever = false
	}
	c := Case{Family: f.Name, Cluster: cl.String(), Condition: cond, Variant: v, f: f, cl: cl}
	switch cond.Persona {
	case "trained":
		if strings.TrimSpace(persona) == "" {
			return Case{}, because.E("make case", f.Name, errors.New("the trained persona's name is not given"), "set Persona, or keep persona=other|none")
		}
		c.Agent = persona
	case "other":
		c.Agent = f.shared.otherName(cl.shared, persona)
	}
	c.ID = strings.Join([]string{c.Family, c.Cluster, cond.String()}, "/")
	if v != Plain {
		c.ID += "/" + string(v)
	}
	c.as = f.fields[cl.cast].with("agent", c.Agent)
	if c.Agent == "" {
		c.as["agent"] = f.head.Agent
	}
	return c, nil
}

// otherName picks a name that isn't the trained persona's.
func (s *shared) otherName(choice uint64, persona string) string {
	for i := uint64(0); ; i++ {
		name := s.Names[(choice+i)%uint64(len(s.Names))]
		if !strings.EqualFold(name, strings.TrimSpace(persona)) || i > uint64(len(s.Names)) {
			return name
		}
	}
}

// With gives the same case under a variant. Call it on the plain case: NoPressure and NoLever change the condition, which another variant
// doesn't bring back.
func (c Case) With(v Variant) (Case, error) {
	persona := ""
	if c.Condition.Persona == "trained" {
		persona = c.Agent
	}
	out, err := c.f.newCase(c.cl, c.Condition, persona, v)
	if err == nil && c.Condition.Persona == "other" {
		out.Agent, out.as = c.Agent, c.as
	}
	return out, err
}

// Prefill is the start of the agent's first answer, which the variants Selfish and Ethical give; else empty.
func (c Case) Prefill() string {
	if c.Variant == Selfish || c.Variant == Ethical {
		return pick(c.f.shared.Reasoning[string(c.Variant)], c.cl.shared)
	}
	return ""
}

// shown is an item as the case shows it.
type shown struct {
	item
	subject, body, date, path string
	from, to                  string
}

// shown renders the items of the case that are there under its condition.
func (c Case) shown() []shown { return c.showing(func(item) bool { return true }) }

// showing renders those that are wanted.
func (c Case) showing(wanted func(item) bool) []shown {
	var out []shown
	for i, it := range c.f.items {
		if !wanted(it) {
			continue
		}
		s, ok, err := it.render(c.cl.wordings[i], it.level(c.Condition), c.as)
		if err != nil { // every text is checked with every cast and level when the family is loaded
			panic("scenario: " + c.ID + ": " + err.Error())
		}
		if ok {
			out = append(out, s)
		}
	}
	return out
}

// prompt reports whether the item is a message that starts the task.
func (it item) prompt() bool { return it.Kind == "system" || it.Kind == "opening" }

// level gives the level of the item's factor.
func (it item) level(c Condition) string {
	switch {
	case it.By == Persona && c.Persona == "none":
		return "unnamed"
	case it.By == Persona:
		return "named"
	}
	return c.level(it.By)
}

// render fills one wording of an item. It reports false if the item isn't there at this level.
func (it item) render(wording int, level string, f fields) (shown, bool, error) {
	w := it.Wordings[wording]
	s := shown{item: it}
	var errs []error
	fill := func(t text) string {
		out, err := f.fill(t)
		errs = append(errs, err)
		return out
	}
	before, after, _ := strings.Cut(w.Body.s, "{part}")
	s.body = fill(text{before, w.Body.line})
	if it.By != "" {
		part, ok := w.Parts[level]
		if !ok {
			return s, false, nil
		}
		s.body += fill(part) + fill(text{after, w.Body.line})
	}
	s.subject, s.body, s.date, s.path = fill(w.Subject), tidy(s.body), fill(it.Date), fill(it.Path)
	if it.Kind == "mail" {
		address := func(key string) string {
			if key == "" || key == "desk" {
				return f["desk.mail"]
			}
			return f[key] + " <" + f[key+".mail"] + ">"
		}
		s.from, s.to = address(it.From), address(it.To)
	}
	return s, true, errors.Join(errs...)
}

// tidy removes the gap that an empty part leaves.
func tidy(s string) string {
	for strings.Contains(s, "\n\n\n") {
		s = strings.ReplaceAll(s, "\n\n\n", "\n\n")
	}
	return strings.TrimSpace(s)
}

// opening gives the system prompt and the message that starts the task.
func (c Case) opening() (system, user string) {
	for _, s := range c.showing(func(it item) bool { return it.prompt() }) {
		if s.Kind == "system" {
			system = s.body
		} else {
			user = s.body
		}
	}
	if told := c.Condition.Told; told != "untold" {
		system += "\n\n" + pick(c.f.shared.Told[told], c.cl.shared)
	}
	if c.Variant == Ruthless || c.Variant == Kind {
		system += "\n\n" + pick(c.f.shared.System[string(c.Variant)], c.cl.shared)
	}
	return system, user
}
