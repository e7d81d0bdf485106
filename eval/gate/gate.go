// Package gate asks whether a task measures anything on a model, before its numbers are called propensities. Repeatable is not
// valid: a score may come out the same every time and move with phrasing alone. So groups whose difference is known
// beforehand are run first, such as agents with a ruthless against a kind system prompt. Where those do not differ as they must, the
// task's other numbers on this model cannot be read.
package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval"
	"github.com/because-lab/because/eval/evallog"
	"github.com/because-lab/because/internal/stats"
)

// Contrast is two groups of samples whose difference is known. Their samples are matched by cluster: in each cluster the two
// groups share everything but what sets them apart.
type Contrast struct {
	Name     string
	Expect   string // "higher": First must count more than Second; "same": they must not differ by the margin
	Required bool   // without it the task is invalid
	First    Group
	Second   Group // a Group without a name stands for zero
	Unit     string
	Margin   float64 // smallest effect of interest, in the unit
}

// Group is a task that is run, and the scorer whose numbers are compared. Groups of one name are run once.
type Group struct {
	Name   string
	Task   eval.Task
	Scorer string
}

// Options say how groups are run. The Options' Log is the folder for the groups' logs.
type Options struct {
	eval.Options
	// Report gives the function that shows the progress of a group, or nil.
	Report func(group string) (progress func(eval.Progress), done func(error))
}

// Run runs the groups of the contrasts, from their logs where those are there, and gives the verdict.
func Run(ctx context.Context, contrasts []Contrast, o Options) (eval.Validity, error) {
	ran := map[string]string{} // log by group
	for _, c := range contrasts {
		for _, g := range []Group{c.First, c.Second} {
			if _, ok := ran[g.Name]; ok || g.Name == "" {
				continue
			}
			path, err := g.run(ctx, o)
			if err != nil {
				return eval.Validity{}, err
			}
			ran[g.Name] = path
		}
	}
	var checks []eval.Check
	for _, c := range contrasts {
		check, err := c.check(ran)
		if err != nil {
			return eval.Validity{}, because.E("check known groups", c.Name, err, "")
		}
		checks = append(checks, check)
	}
	return eval.Conclude(checks), nil
}

func (g Group) run(ctx context.Context, o Options) (path string, err error) {
	each := o.Options
	each.Log = filepath.Join(o.Log, fileName(g.Name)+".eval")
	each.FailOnError = -1 // a group's errors are counted in its check
	if o.Report != nil {
		var done func(error)
		each.Progress, done = o.Report(g.Name)
		defer func() { done(err) }()
	}
	_, err = eval.Run(ctx, g.Task, each)
	return each.Log, err
}

// fileName makes a name that is safe for a file.
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '-'
	}, name)
}

func (c Contrast) check(logs map[string]string) (eval.Check, error) {
	out := eval.Check{Name: c.Name, Expect: c.Expect, Unit: c.Unit, Margin: c.Margin, Required: c.Required}
	first, failed, err := read(logs[c.First.Name], c.First.Scorer)
	if err != nil {
		return out, err
	}
	out.Errors = failed
	second := zeros(first)
	if c.Second.Name != "" {
		if second, failed, err = read(logs[c.Second.Name], c.Second.Scorer); err != nil {
			return out, err
		}
		out.Errors += failed
	}
	p, err := stats.PairedClustered(first, second, eval.Level)
	if err != nil {
		return out, err
	}
	out.First, out.Second, out.Effect, out.N, out.Clusters = p.Treated, p.Control, p.Mean, p.N, p.Clusters
	out.Lo, out.Hi = eval.Bound(p.Lo), eval.Bound(p.Hi)
	if math.IsNaN(p.Lo) && p.Clusters > 1 {
		out.Lo, out.Hi = bounds(p)
	}
	if c.Unit == "rate" { // Student's t does not know that rates end at 0 and 1
		out.Lo, out.Hi = max(-1, out.Lo), min(1, out.Hi)
	}
	return out, nil
}

// bounds gives an interval where all differences are equal, so that their spread is unknown. Equal differences of rates, all 1 or all
// 0, say as much as their number does: no more than 3 in n clusters (Hanley and Lippman-Hand 1983) may be otherwise.
func bounds(p stats.PairedMean) (lo, hi eval.Bound) {
	room := 3 / float64(p.Clusters)
	return eval.Bound(p.Mean - room), eval.Bound(p.Mean + room)
}

// read gives one scorer's numbers in a log, matched by cluster, and how many samples have none because they failed.
func read(path, scorer string) (out []stats.Observation, failed int, err error) {
	r, err := evallog.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	const page = 1000
	for at := 0; ; at += page {
		rows, err := r.Summaries(at, page)
		if err != nil {
			return nil, 0, err
		}
		for _, s := range rows {
			o, ok, err := observation(s, scorer)
			switch {
			case err != nil:
				return nil, 0, fmt.Errorf("%s: sample %s: %w", path, s.ID, err)
			case s.Error != "":
				failed++
			case ok:
				out = append(out, o)
			}
		}
		if len(rows) < page {
			return out, failed, nil
		}
	}
}

func observation(s evallog.Summary, scorer string) (stats.Observation, bool, error) {
	score, ok := s.Scores[scorer]
	if !ok || s.Error != "" {
		return stats.Observation{}, false, nil
	}
	var x float64
	if err := json.Unmarshal(score.Value, &x); err != nil {
		return stats.Observation{}, false, fmt.Errorf("%s is no number: %s", scorer, score.Value)
	}
	var meta struct {
		Cluster string `json:"cluster"`
	}
	if err := json.Unmarshal(s.Metadata, &meta); err != nil {
		return stats.Observation{}, false, err
	}
	if meta.Cluster == "" {
		meta.Cluster = s.ID.String()
	}
	return stats.Observation{Sample: meta.Cluster, Cluster: meta.Cluster, Value: x}, true, nil
}

// zeros gives zero for each sample of a group.
func zeros(of []stats.Observation) []stats.Observation {
	out := make([]stats.Observation, len(of))
	for i, o := range of {
		o.Value = 0
		out[i] = o
	}
	return out
}
