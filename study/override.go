package study

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/because-lab/because"
)

// Overrides are what a caller changes of a study file.
type Overrides struct {
	Seeds []uint64 // instead of the file's, where not nil
	Quick bool     // apply the file's quick section
}

// apply gives the study as it will run, and what was left out of it.
func (f *File) apply(o Overrides) (*File, []string, error) {
	out := f.clone()
	var left []string
	if o.Quick {
		if f.Quick == nil {
			return nil, nil, because.E("start study", f.Place(""), errors.New("the study has no quick section"), "run it in full, or add quick: {...}")
		}
		var err error
		if out, err = f.quickened(); err != nil {
			return nil, nil, err
		}
		left = f.missingIn(out)
	}
	out.Quick = nil
	if err := out.Check(); err != nil {
		return nil, nil, err
	}
	if o.Seeds != nil {
		out.Seeds = slices.Clone(o.Seeds)
		if err := out.checkSeeds("seeds", out.Seeds); err != nil {
			return nil, nil, because.E("start study", "seeds", unplaced(err), because.Hint(err))
		}
	}
	return out, left, nil
}

// clone copies the study so that its lists can be changed. The copy has no places: its lists will differ from the file's.
func (f *File) clone() *File {
	c := *f
	c.source = source{dir: f.source.dir}
	c.Seeds, c.Worlds, c.Along = slices.Clone(f.Seeds), slices.Clone(f.Worlds), slices.Clone(f.Along)
	c.Arms, c.Evals, c.Checks = slices.Clone(f.Arms), slices.Clone(f.Evals), slices.Clone(f.Checks)
	c.Claims, c.Ablations, c.Sweeps = slices.Clone(f.Claims), slices.Clone(f.Ablations), slices.Clone(f.Sweeps)
	return &c
}

// quickened gives the study as its quick section changes it. Whatever needs an arm or a world that is left out is left
// out too; an arm that starts from one takes over its stages.
func (f *File) quickened() (*File, error) {
	q, out := f.Quick, f.clone()
	if q.Seeds != nil {
		out.Seeds = slices.Clone(q.Seeds)
	}
	keep := func(list []string, name string) bool { return len(list) == 0 || slices.Contains(list, name) }
	out.Worlds = filter(f.Worlds, func(w Setting) bool { return keep(q.Worlds, w.Name) })
	worlds := out.worldNames()
	candidates := filter(f.Arms, func(a Arm) bool {
		_, runs := restrict(a.Worlds, worlds)
		return runs && keep(q.Arms, a.Name)
	})
	out.quickEvals(f, names(candidates, func(a Arm) string { return a.Name }))
	candidates = filter(candidates, func(a Arm) bool {
		_, measured := restrict(a.Evals, out.evalNames())
		return measured
	})
	if len(candidates) == 0 {
		return nil, because.E("", "", errors.New("no arm is left"), "the arms of quick must run in its worlds")
	}
	kept := names(candidates, func(a Arm) string { return a.Name })
	out.Arms = nil
	for _, a := range candidates {
		a.Worlds, _ = restrict(a.Worlds, worlds)
		a.Evals, _ = restrict(a.Evals, out.evalNames())
		for a.From != "" && !slices.Contains(kept, a.From) {
			from := f.arm(a.From)
			a.Stages = slices.Concat(from.Stages, a.Stages)
			a.From = from.From
		}
		out.Arms = append(out.Arms, a)
	}
	out.quickRest(f)
	out.quickClaims(f)
	return out, nil
}

// fewer gives the number of samples of a quick run.
func (q *Quick) fewer(samples int) int {
	if q.Samples > 0 {
		return min(samples, q.Samples)
	}
	return samples
}

// quickEvals restricts the evals of f to the arms and worlds that are left.
func (out *File) quickEvals(f *File, arms []string) {
	out.Evals = nil
	for _, e := range f.Evals {
		var inArms, inWorlds bool
		e.Samples = f.Quick.fewer(e.Samples)
		e.Arms, inArms = restrict(e.Arms, arms)
		if e.Worlds, inWorlds = restrict(e.Worlds, out.worldNames()); inArms && inWorlds {
			out.Evals = append(out.Evals, e)
		}
	}
	out.Along = filter(f.Along, func(name string) bool { return slices.Contains(out.evalNames(), name) })
}

// quickRest restricts checks and sweeps of f to what is left.
func (out *File) quickRest(f *File) {
	arms := out.armNames()
	for i, e := range out.Evals { // some arms went since
		out.Evals[i].Arms, _ = restrict(e.Arms, arms)
	}
	if !slices.Contains(arms, out.Control) {
		out.Control = ""
	}
	out.Checks = nil
	for _, c := range f.Checks {
		c.World, c.Samples = f.worldOr(c.World), f.Quick.fewer(c.Samples)
		if slices.Contains(out.worldNames(), c.World) && slices.Contains(arms, c.Arm) {
			out.Checks = append(out.Checks, c)
		}
	}
	out.Sweeps = nil
	for _, s := range f.Sweeps {
		if s.Arms = filter(s.Arms, func(name string) bool { return slices.Contains(arms, name) }); len(s.Arms) > 0 {
			out.Sweeps = append(out.Sweeps, s)
		}
	}
}

// quickClaims keeps the claims of f that can still be measured.
func (out *File) quickClaims(f *File) {
	measured := func(c Claim) bool {
		for _, t := range c.Terms {
			t = f.full(c, t)
			if !slices.Contains(out.worldNames(), t.World) || !slices.Contains(out.armNames(), t.Arm) ||
				!slices.Contains(out.evalNames(), t.Eval) || !out.measures(t.Eval, t.Arm, t.World) {
				return false
			}
		}
		return true
	}
	out.Claims, out.Ablations = nil, nil
	for _, c := range f.Claims {
		if measured(c) {
			c.World = f.worldOr(c.World)
			out.Claims = append(out.Claims, c)
		}
	}
	kept := names(out.Claims, func(c Claim) string { return c.ID })
	for _, a := range f.Ablations {
		if a.Repeat == nil {
			if a.World = f.worldOr(a.World); measured(a.Claim) {
				out.Ablations = append(out.Ablations, a)
			}
			continue
		}
		all := a
		a.Repeat = nil
		for i, id := range all.Repeat {
			if slices.Contains(kept, id) && measured(f.repeated(all, i)) {
				a.Repeat = append(a.Repeat, id)
			}
		}
		if a.Repeat != nil {
			out.Ablations = append(out.Ablations, a)
		}
	}
}

// restrict intersects a list of names, of which an empty one means all, with those that are left; ok is false where
// nothing remains.
func restrict(list, left []string) (out []string, ok bool) {
	if len(list) == 0 {
		return nil, true
	}
	out = filter(list, func(name string) bool { return slices.Contains(left, name) })
	return out, len(out) > 0
}

func filter[T any](items []T, keep func(T) bool) []T {
	var out []T
	for _, item := range items {
		if keep(item) {
			out = append(out, item)
		}
	}
	return out
}

// missingIn lists the claims and ablations of f that a quick study leaves out.
func (f *File) missingIn(quick *File) []string {
	var ids []string
	kept := names(append(slices.Clone(quick.Claims), quick.ablations()...), func(c Claim) string { return c.ID })
	for _, c := range append(slices.Clone(f.Claims), f.ablations()...) {
		if !slices.Contains(kept, c.ID) {
			ids = append(ids, c.ID)
		}
	}
	if ids == nil {
		return nil
	}
	return []string{fmt.Sprintf("Not tested in this quick run: %s.", strings.Join(ids, ", "))}
}
