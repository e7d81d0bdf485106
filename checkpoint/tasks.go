package checkpoint

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/internal/input"
	"github.com/because-lab/because/scenario"
)

// task is an evaluation with what a study knows of it.
type task struct {
	eval.Task
	outcomes []because.Outcome
	groups   []string          // that samples may be counted in
	by       []string          // keys of a sample's Meta by whose values they are counted
	outcome  func(found) found // makes one finding of those of the scorers
	answer   func(i int, f found) string
	judged   bool // it asks a judge
	pick     bool // the dataset has a fixed number of samples, of which some are drawn
}

// found is what was found of one sample.
type found struct {
	scores map[string]because.Score // by scorer
	turns  []because.Message        // what followed the input
	stop   because.StopReason
	score  because.Score // the one that counts
}

// kinds are the tasks by name.
func kinds() map[string]func(t *Target, o batch.Order, s Switches) (task, error) {
	out := map[string]func(t *Target, o batch.Order, s Switches) (task, error){"understanding": (*Target).understanding}
	for _, family := range families() {
		out["honeypot/"+family] = (*Target).honeypot
	}
	return out
}

// families are the honeypots that are evaluated.
func families() []string {
	lib, err := scenario.Embedded()
	if err != nil {
		panic(err) // it is part of the program
	}
	var names []string
	for _, f := range lib.Evaluated() {
		names = append(names, f.Name)
	}
	return names
}

// task makes the task of an order.
func (t *Target) task(o batch.Order) (task, Switches, error) {
	s, err := t.switches(o.World)
	if err != nil {
		return task{}, s, err
	}
	all := kinds()
	makeTask, ok := all[o.Task]
	if !ok {
		return task{}, s, because.E("find task", o.Task, errors.New("there is no such task"), input.DidYouMean(o.Task, slices.Sorted(maps.Keys(all))))
	}
	if !t.text.Chats() {
		return task{}, s, because.E("make task", o.Task, errors.New("the checkpoint has no chat template, so it can't be asked"), "take a checkpoint that was trained to chat")
	}
	tk, err := makeTask(t, o, s)
	return tk, s, err
}

// CheckEval checks task and options, and gives the outcomes and groups that it counts. How many samples there are depends on the options; a task that has fewer
// than are ordered says so when it runs.
func (t *Target) CheckEval(o batch.Order) (outcomes, groups []string, err error) {
	tk, _, err := t.task(o)
	if err != nil {
		return nil, nil, err
	}
	for _, x := range tk.outcomes {
		outcomes = append(outcomes, string(x))
	}
	return outcomes, tk.groups, nil
}

// levels gives the groups that a sample's Meta may put it into.
func levels(samples []because.Sample, by []string) []string {
	seen := map[string]bool{}
	for _, s := range samples {
		for _, g := range groupsOf(s, by) {
			seen[g] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// groupsOf gives the groups of one sample.
func groupsOf(s because.Sample, by []string) []string {
	var out []string
	for _, key := range by {
		if v, ok := s.Meta[key]; ok {
			out = append(out, key+"="+v)
		}
	}
	return out
}

// samplesOf gives a task's samples.
func samplesOf(d eval.Dataset) ([]because.Sample, error) {
	out := make([]because.Sample, d.N)
	for i := range out {
		var err error
		if out[i], err = d.At(i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// asOption names the option that an error is about, where its text tells.
func asOption(with map[string]any, key string, err error) error {
	if _, ok := with[key]; !ok || err == nil {
		return err
	}
	var e *because.Error
	if errors.As(err, &e) {
		return because.E("read option", key, e.Err, because.Hint(err))
	}
	return because.E("read option", key, err, "")
}

// transcript writes what followed the input for people.
func transcript(turns []because.Message) string {
	if len(turns) == 1 && len(turns[0].ToolCalls) == 0 {
		return turns[0].Content
	}
	var b strings.Builder
	for _, m := range turns {
		if m.Content != "" || len(m.ToolCalls) == 0 {
			fmt.Fprintf(&b, "%s: %s\n", m.Role, m.Content)
		}
		for _, c := range m.ToolCalls {
			fmt.Fprintf(&b, "%s calls %s %s\n", m.Role, c.Name, c.Arguments)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}
