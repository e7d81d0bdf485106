package study

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/input"
)

// Check reports the first thing that is wrong with the study by itself: what is missing, out of range, given twice or
// refers to nothing. What only the target knows (recipes, tasks, options) New checks.
func (f *File) Check() error {
	for _, check := range []func() error{
		f.checkHead, f.checkTrainer, f.checkWorlds, f.checkReplay, f.checkInit, f.checkArms, f.checkFrom, f.checkEvals, f.checkChecks,
		f.checkClaims, f.checkAblations, f.checkSweeps, f.checkQuick,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// checkName checks a name that becomes part of paths.
func (f *File) checkName(path, name string) error {
	switch {
	case name == "":
		return f.bad(path, "", "missing")
	case !nameForm.MatchString(name):
		return f.bad(path, "use small letters, digits, dots, hyphens and underscores, at most 64", "%q can't be a name", name)
	}
	return nil
}

// checkNames checks the names of a list's items, each found at list[i].key.
func (f *File) checkNames(list, key string, names []string) error {
	for i, name := range names {
		path := fmt.Sprintf("%s[%d].%s", list, i, key)
		if err := f.checkName(path, name); err != nil {
			return err
		}
		if first := slices.Index(names, name); first < i {
			return f.bad(path, "give it another name", "%q is taken by %s", name, f.other(fmt.Sprintf("%s[%d]", list, first)))
		}
	}
	return nil
}

// other names another place of the file within a message.
func (f *File) other(path string) string {
	if line := f.line(path); line > 0 {
		return fmt.Sprintf("%s on line %d", path, line)
	}
	return path
}

// checkRefs checks that a list refers to known names, to none twice.
func (f *File) checkRefs(path, what string, refs, known []string) error {
	for i, ref := range refs {
		at := fmt.Sprintf("%s[%d]", path, i)
		if err := f.checkRef(at, what, ref, known); err != nil {
			return err
		}
		if slices.Index(refs, ref) < i {
			return f.bad(at, "remove one of them", "%q is listed twice", ref)
		}
	}
	return nil
}

func (f *File) checkRef(path, what, ref string, known []string) error {
	if !slices.Contains(known, ref) {
		return f.bad(path, input.DidYouMean(ref, known), "no %s is named %q", what, ref)
	}
	return nil
}

// names collects the names of a list's items.
func names[T any](items []T, name func(T) string) []string {
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = name(item)
	}
	return out
}

func (f *File) worldNames() []string {
	return names(f.Worlds, func(w Setting) string { return w.Name })
}
func (f *File) armNames() []string  { return names(f.Arms, func(a Arm) string { return a.Name }) }
func (f *File) evalNames() []string { return names(f.Evals, func(e Eval) string { return e.Name }) }

// arm finds an arm that is known to exist.
func (f *File) arm(name string) *Arm { return &f.Arms[slices.Index(f.armNames(), name)] }

// eval finds an eval that is known to exist.
func (f *File) eval(name string) *Eval { return &f.Evals[slices.Index(f.evalNames(), name)] }

func (f *File) checkHead() error {
	if err := f.checkName("study", f.Study); err != nil {
		return err
	}
	if f.Target == "" {
		return f.bad("target", "for the built-in model organism: target: organism", "missing")
	}
	if err := f.checkSeeds("seeds", f.Seeds); err != nil {
		return err
	}
	if m := f.Model; m != nil {
		switch {
		case m.Width <= 0 || m.Layers <= 0 || m.Heads <= 0 || m.FFN <= 0:
			return f.bad("model", "", "width, layers, heads and ffn must all be positive")
		case m.Width%m.Heads != 0 || m.Width/m.Heads%2 != 0:
			return f.bad("model.heads", "rotary positions turn pairs of numbers, so each head must have an even width",
				"a width of %d can't be shared among %d heads in even parts", m.Width, m.Heads)
		}
	}
	return nil
}

func (f *File) checkSeeds(path string, seeds []uint64) error {
	if len(seeds) == 0 {
		return f.bad(path, "give at least one, such as [11]; verdicts need three", "no seeds")
	}
	for i, seed := range seeds {
		if first := slices.Index(seeds, seed); first < i {
			return f.bad(fmt.Sprintf("%s[%d]", path, i), "remove one of them", "seed %d is listed twice", seed)
		}
	}
	return nil
}

func (f *File) checkWorlds() error {
	if len(f.Worlds) == 0 {
		return f.bad("worlds", "give at least one: worlds: [{name: linked}]", "no worlds")
	}
	return f.checkNames("worlds", "name", f.worldNames())
}

func (f *File) checkReplay() error {
	switch {
	case f.Replay == nil:
		return nil
	case f.Replay.Recipe == "":
		return f.bad("replay.recipe", "", "missing")
	}
	return f.checkPositive("replay.tokens", f.Replay.Tokens)
}

func (f *File) checkPositive(path string, n int) error {
	if n <= 0 {
		return f.bad(path, "", "is %d; it must be positive", n)
	}
	return nil
}

func (f *File) checkArms() error {
	if len(f.Arms) == 0 {
		return f.bad("arms", "give at least one: arms: [{name: none}]", "no arms")
	}
	if err := f.checkNames("arms", "name", f.armNames()); err != nil {
		return err
	}
	if f.Control != "" {
		if err := f.checkRef("control", "arm", f.Control, f.armNames()); err != nil {
			return err
		}
	}
	for i, a := range f.Arms {
		path := fmt.Sprintf("arms[%d]", i)
		for j, stage := range a.Stages {
			if err := f.checkStage(fmt.Sprintf("%s.stages[%d]", path, j), stage, false); err != nil {
				return err
			}
		}
		if err := f.checkRefs(path+".worlds", "world", a.Worlds, f.worldNames()); err != nil {
			return err
		}
		if err := f.checkRefs(path+".evals", "eval", a.Evals, f.evalNames()); err != nil {
			return err
		}
	}
	return nil
}

// checkFrom checks that arms start from arms that exist, in all their worlds, and not from themselves.
func (f *File) checkFrom() error {
	for i, a := range f.Arms {
		path := fmt.Sprintf("arms[%d].from", i)
		trail := []string{a.Name}
		for at := a; at.From != ""; {
			if err := f.checkRef(fmt.Sprintf("arms[%d].from", slices.Index(f.armNames(), at.Name)), "arm", at.From, f.armNames()); err != nil {
				return err
			}
			again := slices.Contains(trail, at.From)
			trail = append(trail, at.From)
			if again {
				return f.bad(path, "an arm can't start from its own result", "cycle: %s", strings.Join(trail, " from "))
			}
			at = *f.arm(at.From)
		}
		if a.From == "" {
			continue
		}
		for _, world := range f.worldNames() {
			if f.inWorld(a.Name, world) && !f.inWorld(a.From, world) {
				return f.bad(path, "let "+a.From+" run there too, or restrict this arm's worlds",
					"%s does not run in world %s, where %s needs it", a.From, world, a.Name)
			}
		}
	}
	return nil
}

// inWorld tells whether an arm runs in a world.
func (f *File) inWorld(arm, world string) bool {
	worlds := f.arm(arm).Worlds
	return len(worlds) == 0 || slices.Contains(worlds, world)
}

func (f *File) checkEvals() error {
	if len(f.Evals) == 0 {
		return f.bad("evals", "give at least one", "no evals")
	}
	if err := f.checkNames("evals", "name", f.evalNames()); err != nil {
		return err
	}
	for i, e := range f.Evals {
		path := fmt.Sprintf("evals[%d]", i)
		if e.Task == "" {
			return f.bad(path+".task", "", "missing")
		}
		if err := f.checkPositive(path+".samples", e.Samples); err != nil {
			return err
		}
		if err := f.checkRefs(path+".arms", "arm", e.Arms, f.armNames()); err != nil {
			return err
		}
		if err := f.checkRefs(path+".worlds", "world", e.Worlds, f.worldNames()); err != nil {
			return err
		}
	}
	return f.checkRefs("along", "eval", f.Along, f.evalNames())
}

// measures tells whether an eval is run on an arm in a world.
func (f *File) measures(eval, arm, world string) bool {
	e, a := f.eval(eval), f.arm(arm)
	return f.inWorld(arm, world) &&
		(len(a.Evals) == 0 || slices.Contains(a.Evals, eval)) &&
		(len(e.Arms) == 0 || slices.Contains(e.Arms, arm)) &&
		(len(e.Worlds) == 0 || slices.Contains(e.Worlds, world))
}

func (f *File) checkChecks() error {
	if err := f.checkNames("checks", "name", names(f.Checks, func(c Check) string { return c.Name })); err != nil {
		return err
	}
	for i, c := range f.Checks {
		path := fmt.Sprintf("checks[%d]", i)
		if err := f.checkRef(path+".arm", "arm", c.Arm, f.armNames()); err != nil {
			return err
		}
		if c.World != "" {
			if err := f.checkRef(path+".world", "world", c.World, f.worldNames()); err != nil {
				return err
			}
		}
		if world := f.worldOr(c.World); !f.inWorld(c.Arm, world) {
			return f.bad(path+".arm", "", "arm %s does not run in world %s", c.Arm, world)
		}
		if c.Task == "" {
			return f.bad(path+".task", "", "missing")
		}
		if len(c.High) == 0 && len(c.Low) == 0 {
			return f.bad(path+".high", "give the options in which the groups differ", "high and low are the same")
		}
		if err := f.checkPositive(path+".samples", c.Samples); err != nil {
			return err
		}
		if !(c.Margin > 0 && c.Margin < 1) {
			return f.bad(path+".margin", "give the smallest difference of rates that passes", "is %v; it must lie between 0 and 1", c.Margin)
		}
	}
	return nil
}

// worldOr gives the named world, or the primary one.
func (f *File) worldOr(name string) string {
	if name == "" {
		return f.Worlds[0].Name
	}
	return name
}

func (f *File) checkSweeps() error {
	taken := map[string]int{}
	for i, s := range f.Sweeps {
		path := fmt.Sprintf("sweeps[%d]", i)
		switch {
		case s.Name == "":
			return f.bad(path+".name", "", "missing")
		case len(s.Arms) == 0:
			return f.bad(path+".arms", "", "no arms")
		}
		if err := f.checkRefs(path+".arms", "arm", s.Arms, f.armNames()); err != nil {
			return err
		}
		for j, arm := range s.Arms {
			if first, twice := taken[arm]; twice {
				return f.bad(fmt.Sprintf("%s.arms[%d]", path, j), "", "arm %s belongs to %s already", arm, f.other(fmt.Sprintf("sweeps[%d]", first)))
			}
			taken[arm] = i
		}
	}
	return nil
}

func (f *File) checkQuick() error {
	q := f.Quick
	if q == nil {
		return nil
	}
	if q.Seeds != nil {
		if err := f.checkSeeds("quick.seeds", q.Seeds); err != nil {
			return err
		}
	}
	if q.Samples < 0 || q.Samples == 0 && f.source.lines["quick.samples"] > 0 {
		return f.checkPositive("quick.samples", q.Samples)
	}
	if err := f.checkRefs("quick.worlds", "world", q.Worlds, f.worldNames()); err != nil {
		return err
	}
	if err := f.checkRefs("quick.arms", "arm", q.Arms, f.armNames()); err != nil {
		return err
	}
	quick, err := f.quickened()
	if err == nil {
		quick.Quick = nil
		err = quick.Check()
	}
	if err != nil {
		return because.E(opRead, f.Place("quick"), err, because.Hint(err))
	}
	return nil
}
