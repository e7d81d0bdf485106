package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// check refuses a family that is incomplete or inconsistent. Every text is filled with every cast and at every level.
func (f *Family) check() error {
	for _, c := range []struct {
		file string
		run  func() error
	}{{"family.yaml", f.checkHeader}, {"casts.yaml", f.checkCasts}, {"items.yaml", f.checkItems}, {"family.yaml", f.checkRecords}, {"family.yaml", f.checkRules},
		{"pairs.yaml", f.checkPairs}} {
		if err := c.run(); err != nil {
			return placed(f.Name+"/"+c.file, err)
		}
	}
	return nil
}

func (f *Family) checkHeader() error {
	h := f.head
	switch {
	case h.Family != f.Name:
		return fmt.Errorf("family: is %q, the folder is %q", h.Family, f.Name)
	case h.About == "" || h.Agent == "" || h.Concern.s == "":
		return errors.New("about, agent and concern must not be empty")
	case len(h.Task) == 0 || len(h.Rules) == 0:
		return errors.New("a family needs a task and rules")
	case len(h.Terms[Lever]) == 0 || len(h.Terms[Threat]) == 0:
		return errors.New("terms: lever and threat are needed")
	}
	for _, set := range h.Tools {
		if _, ok := toolSets[set]; !ok {
			return fmt.Errorf("tools: %q is none of %s", set, strings.Join(sortedKeys(toolSets), ", "))
		}
	}
	return nil
}

func (f *Family) checkCasts() error {
	if len(f.casts) == 0 {
		return errors.New("no casts")
	}
	for i, c := range f.casts {
		at := fmt.Errorf("line %d: cast %d (%s)", c.Company.line, i+1, c.Company.s)
		if c.Company.s == "" || c.Domain == "" {
			return fmt.Errorf("%w: company and domain are needed", at)
		}
		if got, want := sortedKeys(c.Facts), sortedKeys(f.head.Facts); !slices.Equal(got, want) {
			return fmt.Errorf("%w: has the facts %v; family.yaml declares %v", at, got, want)
		}
		if got, want := sortedKeys(c.People), sortedKeys(f.head.People); !slices.Equal(got, want) {
			return fmt.Errorf("%w: has the people %v; family.yaml declares %v", at, got, want)
		}
		names := map[string]bool{}
		for _, k := range sortedKeys(c.People) {
			if p := c.People[k]; names[p.name] {
				return fmt.Errorf("%w: two people are called %s", at, p.name)
			}
			names[c.People[k].name] = true
		}
	}
	return nil
}

// levels gives the levels at which an item by a factor may have parts, those that it must have first.
func levels(by string) (must, may []string) {
	switch by {
	case Persona:
		return []string{"named", "unnamed"}, nil
	case Threat:
		return []string{"replacement", "restriction"}, []string{"none"}
	case Lever:
		return []string{"yes"}, []string{"no"}
	case Goal:
		return []string{"conflict"}, []string{"none"}
	case Told:
		return []string{"untold", "real", "test"}, nil
	}
	return nil, nil
}

func (f *Family) checkItems() error {
	seen := map[string]bool{}
	for _, it := range f.items {
		if err := f.checkItem(it); err != nil {
			return err
		}
		if seen[it.ID.s] {
			return fmt.Errorf("line %d: item %s stands there twice", it.ID.line, it.ID.s)
		}
		seen[it.ID.s] = true
		for _, s := range slots {
			if s.id == it.ID.s && s.by != it.By {
				return fmt.Errorf("line %d: item %s must depend on %q, not %q", it.ID.line, it.ID.s, s.by, it.By)
			}
		}
	}
	for _, s := range slots {
		if !seen[s.id] {
			return fmt.Errorf("there is no item %s", s.id)
		}
	}
	if !seen["opening"] {
		return errors.New("there is no item opening")
	}
	return nil
}

func (f *Family) checkItem(it item) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("line %d: item %s: %w", it.ID.line, it.ID.s, fmt.Errorf(format, args...))
	}
	if !slices.Contains([]string{"system", "opening", "mail", "file", "event"}, it.Kind) {
		return fail("kind %q is none of system, opening, mail, file, event", it.Kind)
	}
	if it.prompt() != (it.ID.s == it.Kind) {
		return fail("the items system and opening are of that kind, and no others are")
	}
	if n := len(it.Wordings); n == 0 || n > 36 {
		return fail("%d wordings; from 1 to 36 are possible", n)
	}
	for _, key := range []string{it.From, it.To} {
		if _, ok := f.head.People[key]; it.Kind == "mail" && key != "" && key != "desk" && !ok {
			return fail("%q is nobody of people, nor desk", key)
		}
	}
	if it.Kind == "mail" && (it.From == "" || it.Date.s == "") || it.Kind == "file" && it.Path.s == "" {
		return fail("a mail needs from and date, a file needs path")
	}
	must, may := levels(it.By)
	if it.By != "" && must == nil {
		return fail("by: no factor %q", it.By)
	}
	for i, w := range it.Wordings {
		if err := f.checkWording(it, i, must, may); err != nil {
			return err
		}
		if got, want := sortedKeys(w.Parts), sortedKeys(it.Wordings[0].Parts); !slices.Equal(got, want) {
			return fail("wording %d has parts for %v, the first one for %v", i+1, got, want)
		}
	}
	return nil
}

func (f *Family) checkWording(it item, i int, must, may []string) error {
	w := it.Wordings[i]
	fail := func(format string, args ...any) error {
		return fmt.Errorf("line %d: item %s: %w", w.Body.line, it.ID.s, fmt.Errorf(format, args...))
	}
	if w.Body.s == "" || it.Kind == "mail" && w.Subject.s == "" {
		return fail("a wording needs a body, and a mail a subject")
	}
	if n := strings.Count(w.Body.s, "{part}"); (it.By != "") != (n == 1) || n > 1 {
		return fail("{part} must stand in the body once if the item depends on a factor, else not at all")
	}
	for _, level := range must {
		if _, ok := w.Parts[level]; !ok {
			return fail("there is no part for %s", level)
		}
	}
	all := sortedKeys(w.Parts)
	if it.By == "" {
		all = []string{""}
	}
	for _, level := range all {
		if it.By != "" && !slices.Contains(must, level) && !slices.Contains(may, level) {
			return fail("%s has no level %q", it.By, level)
		}
		for _, as := range f.fields {
			if _, _, err := it.render(i, level, as.with("agent", f.head.Agent)); err != nil {
				return err
			}
		}
	}
	return nil
}
