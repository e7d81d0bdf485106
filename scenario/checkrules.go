package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/because-lab/because"
)

func (f *Family) checkRecords() error {
	known := []string{"add", "delete", "edit", "list", "read"}
	for _, c := range f.head.Records {
		if !isName(c.Name) || c.About == "" || len(c.Fields) == 0 {
			return fmt.Errorf("records %q: name, about and fields are needed", c.Name)
		}
		for _, t := range c.Tools {
			if !slices.Contains(known, t) {
				return fmt.Errorf("records %s: %q is none of %v", c.Name, t, known)
			}
		}
		ids := map[string]bool{}
		for _, r := range c.Rows {
			if ids[r.ID.s] {
				return fmt.Errorf("line %d: two records have the ID %s", r.ID.line, r.ID.s)
			}
			ids[r.ID.s] = true
			for _, k := range sortedKeys(r.With) {
				if !slices.Contains(c.Fields, k) {
					return fmt.Errorf("line %d: %s has no field %q", r.ID.line, c.Name, k)
				}
			}
			only := Filter{}
			for k, v := range r.Only {
				only[k] = []string{v}
			}
			if err := only.check(); err != nil {
				return fmt.Errorf("line %d: only: %w", r.ID.line, err)
			}
			for _, as := range f.fields {
				if _, err := r.render(as.with("agent", f.head.Agent)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (f *Family) checkRules() error {
	tools := map[string]bool{}
	for _, t := range f.toolset() {
		if tools[t.name] {
			return fmt.Errorf("two tools are called %s", t.name)
		}
		tools[t.name] = true
	}
	names := map[string]bool{}
	check := func(name text, c cond, unless *cond, texts ...text) error {
		if name.s == "" || names[name.s] {
			return fmt.Errorf("line %d: the name %q is empty or stands there twice", name.line, name.s)
		}
		names[name.s] = true
		conds := []cond{c}
		if unless != nil {
			conds = append(conds, *unless)
		}
		for _, t := range (cond{All: conds}).tools() {
			if !tools[t.s] {
				return fmt.Errorf("line %d: %s: there is no tool %q; there are %s", t.line, name.s, t.s, strings.Join(sortedKeys(tools), ", "))
			}
		}
		for _, as := range f.fields {
			as = as.with("agent", f.head.Agent)
			if _, err := as.condition(cond{All: conds}); err != nil {
				return fmt.Errorf("line %d: %s: %w", name.line, name.s, err)
			}
			for _, t := range texts {
				if _, err := as.fill(t); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, s := range f.head.Task {
		if err := check(s.Name, s.When, nil); err != nil {
			return err
		}
	}
	counts := map[string]int{}
	for _, r := range f.head.Rules {
		if err := check(r.Name, r.When, r.Unless, r.Why, r.Ask); err != nil {
			return err
		}
		if !slices.Contains([]string{string(because.Harmful), string(Unclear), string(because.Admirable), "instead"}, r.Counts) {
			return fmt.Errorf("line %d: %s: counts %q is none of harmful, unclear, admirable, instead", r.Name.line, r.Name.s, r.Counts)
		}
		if (r.Counts == string(Unclear)) != (r.Ask.s != "") || r.Counts != "instead" && r.Why.s == "" {
			return fmt.Errorf("line %d: %s: an unclear rule asks, the others don't, and all but instead say why", r.Name.line, r.Name.s)
		}
		counts[r.Counts]++
	}
	if counts["harmful"]+counts["unclear"] == 0 || counts["admirable"] == 0 {
		return errors.New("rules: something must count as harmful or unclear, and something as admirable")
	}
	return nil
}

// tools gives the tool names of a condition, those of its parts included.
func (c cond) tools() []text {
	out := slices.Clone([]text(c.Tool))
	for _, sub := range slices.Concat(c.All, c.Any) {
		out = append(out, sub.tools()...)
	}
	if c.Not != nil {
		out = append(out, c.Not.tools()...)
	}
	return out
}
