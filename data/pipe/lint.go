package pipe

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
)

var stageName = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)

// Lint finds what is wrong with a recipe before anything is asked: stages without names or code, prompts that are missing, and variables that
// are unknown or not used, with file and line.
func Lint(r *Recipe) []error {
	var errs []error
	bad := func(subject, format string, args ...any) {
		errs = append(errs, because.E("check recipe", r.Name+subject, fmt.Errorf(format, args...), ""))
	}
	if !stageName.MatchString(r.Name) {
		bad("", "%q is no name: lower-case letters, digits, hyphens and underscores", r.Name)
	}
	switch {
	case r.Source == nil:
		bad("", "it has no source")
	case r.Record == nil:
		bad("", "nothing makes records of its items (Record)")
	case r.Kind != columns.SFT && r.Kind != columns.SDF && r.Kind != columns.RL && r.Kind != columns.DPO:
		bad("", "no records are of kind %q", r.Kind)
	}
	seen := map[string]bool{"record": true}
	for _, s := range r.Stages {
		name := s.name()
		if !stageName.MatchString(name) || seen[name] {
			bad(": stage "+name, "the name is taken, or is none: lower-case letters, digits, hyphens and underscores")
		}
		seen[name] = true
		if err := hasCode(s); err != nil {
			bad(": stage "+name, "%w", err)
		}
		if a, ok := s.(Ask); ok {
			errs = append(errs, lintAsk(r, a)...)
		}
	}
	return errs
}

func hasCode(s Stage) error {
	has := true
	switch s := s.(type) {
	case Map:
		has = s.Do != nil
	case Filter:
		has = s.Keep != nil
	case InOrder:
		has = s.New != nil
	case All:
		has = s.Do != nil
	case Do:
		has = s.Do != nil
	}
	if !has {
		return errors.New("it has no code")
	}
	return nil
}

func lintAsk(r *Recipe, a Ask) []error {
	p, err := r.Prompts.Get(a.promptName())
	if err != nil {
		return []error{because.E("check recipe", r.Name+": stage "+a.Name, err, "")}
	}
	return p.Check(a.Uses...)
}
