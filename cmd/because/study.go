package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/because-lab/because/internal/graph"
	"github.com/because-lab/because/internal/machine"
	"github.com/because-lab/because/report"
	"github.com/because-lab/because/study"
)

// studyOptions are the flags of study and study plan.
type studyOptions struct {
	dir   string
	quick bool
	seeds seedList
	jobs  int
	json  bool

	connections  int
	budgetUSD    float64
	budgetTokens int
}

func newStudy(a *app) *cobra.Command {
	var o studyOptions
	cmd := &cobra.Command{
		Use:   "study [FILE]",
		Short: "run or resume a study, and print its tables and claims",
		Long: `Study trains and measures what a study file asks for, prints a table of its arms and one of its claims, and writes
runs/STUDY with results.json, report.md, report.html, figures, sample transcripts and checkpoints. Without FILE it
runs the default study, teaching-why, on the built-in model organism.

Every finished step is kept in the store. A run that was interrupted or killed at any moment continues with the same
command, and a changed study file repeats only what the change touches. The same file and seeds give the same
results.json, byte for byte, on any number of cores.

A study whose target is local:PATH starts from that checkpoint, trains it on real text and asks it in this process
(docs/real-study.md).

The organism is an instrument with a positive and a negative control. It shows that the pipeline measures what it
claims to measure, and says nothing about large models by itself.`,
		Example: `  because study --quick
  because study
  because study my-study.yaml --dir /data --seeds 11,12`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.interrupt.resumable("run the same command again")
			return a.study(cmd.Context(), first(args), o)
		},
	}
	o.add(cmd)
	cmd.Flags().IntVar(&o.jobs, "jobs", 0, "`number` of steps to run at a time (default: one per core)")
	cmd.Flags().BoolVar(&o.json, "json", false, "print events as JSON lines on standard output, and no tables")
	cmd.Flags().IntVar(&o.connections, "connections", 64, "`number` of requests at once to a writer or judge of a real target, at most")
	cmd.Flags().Float64Var(&o.budgetUSD, "budget", 0, "stop when writer and judge have cost this many US `dollars`; the same command goes on with a larger one")
	cmd.Flags().IntVar(&o.budgetTokens, "budget-tokens", 0, "stop when they have taken this many `tokens`")
	cmd.AddCommand(newStudyPlan(a))
	return cmd
}

// add gives a command the flags that say what a study is and where it lies.
func (o *studyOptions) add(cmd *cobra.Command) {
	addDir(cmd, &o.dir)
	cmd.Flags().BoolVar(&o.quick, "quick", false, "one seed and fewer samples, for a first look: numbers not to be reported")
	cmd.Flags().Var(&o.seeds, "seeds", "comma-separated `list` of seeds instead of the study's own")
}

// options gives the flags as study options.
func (o *studyOptions) options() study.Options {
	return study.Options{Dir: o.dir, Overrides: study.Overrides{Seeds: o.seeds, Quick: o.quick}}
}

// seedList is the value of a flag: numbers with commas between.
type seedList []uint64

// Set reads a list such as 11,12.
func (l *seedList) Set(text string) error {
	*l = nil
	for _, word := range strings.Split(text, ",") {
		seed, err := strconv.ParseUint(strings.TrimSpace(word), 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not a seed; give whole numbers with commas between, such as 11,12", word)
		}
		*l = append(*l, seed)
	}
	return nil
}

func (l *seedList) String() string { return strings.Trim(fmt.Sprint([]uint64(*l)), "[]") }

// Type names the value in help texts.
func (l *seedList) Type() string { return "list" }

// first gives the first argument, "" where there is none.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// study runs the study in a file and shows it.
func (a *app) study(ctx context.Context, file string, o studyOptions) error {
	if o.jobs < 0 {
		return usage("study", "--jobs", "leave it out for one per core", "%d is not a number of steps", o.jobs)
	}
	options := o.options()
	progress := a.showProgress(ctx, o.json)
	defer progress.Stop() // on errors; a second stop does nothing
	options.Waiting = func(holder string) {
		progress.Message("waiting for " + holder + ", which uses the same store")
	}
	options.Warn = func(err error) { progress.Message("warning: " + err.Error()) }
	s, models, err := a.openStudy(ctx, file, o, options)
	if err != nil {
		return err
	}
	defer models.Close()
	plan, err := s.Plan(ctx)
	if err != nil {
		return err
	}
	progress.Message(planSummary(s.File.Study, plan, cores(o.jobs)))
	results, err := s.Run(ctx, study.RunOptions{Jobs: o.jobs, Events: progress.event, By: map[string]string{"program": version()}})
	if err := errors.Join(err, progress.Stop()); err != nil {
		return err
	}
	if o.json {
		return a.printResultsJSON(s.Folder())
	}
	return a.printResults(results, s.Folder())
}

// cores gives the number of steps that really run at a time.
func cores(jobs int) int {
	usable, _ := machine.Cores()
	if jobs == 0 {
		return usable
	}
	return min(jobs, usable)
}

// printResults prints the tables and where the rest is.
func (a *app) printResults(r *report.Results, folder string) error {
	if err := report.Text(a.out, r, style(a.out)); err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "\nreport\t%s\n", filepath.Join(folder, "report.html"))
	fmt.Fprintf(w, "numbers\t%s\n", filepath.Join(folder, "results.json"))
	fmt.Fprintf(w, "transcripts\t%s\n", filepath.Join(folder, "transcripts"))
	if arm := lastTaught(r); arm != nil {
		fmt.Fprintf(w, "talk to it\tbecause chat --model %s\n",
			filepath.Join(folder, "checkpoints", arm.World, arm.Name, fmt.Sprintf("seed-%d", r.Seeds[0])))
	}
	return w.Flush()
}

// lastTaught gives the last arm of the first world that was taught something, as an example of a checkpoint.
func lastTaught(r *report.Results) *report.Arm {
	var last *report.Arm
	for i := range r.Arms {
		if arm := &r.Arms[i]; arm.World == r.Worlds[0].Name && arm.OwnTokens > 0 {
			last = arm
		}
	}
	return last
}

// printResultsJSON ends the lines of JSON with one that tells where the results are.
func (a *app) printResultsJSON(folder string) error {
	return json.NewEncoder(a.out).Encode(map[string]string{
		"results": filepath.Join(folder, "results.json"),
		"report":  filepath.Join(folder, "report.html"),
	})
}

// planSummary says in a line what a run would do.
func planSummary(name string, p *study.Plan, cores int) string {
	todo := 0
	for _, step := range p.Steps {
		if step.Runs {
			todo++
		}
	}
	text := fmt.Sprintf("%s: %d steps, %d cached", name, len(p.Steps), p.Count[graph.Cached])
	if todo == 0 {
		return text + ", nothing to do"
	}
	return fmt.Sprintf("%s, %d to do: %s tokens to train on, %s on %d %s", text, todo, count(p.Todo.Tokens),
		duration(p.Todo.FLOP, cores), cores, plural(cores, "core"))
}

// plural gives a noun that fits a number.
func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// count writes a large number for people: 930, 83k, 1.2M.
func count(x float64) string {
	switch {
	case x >= 999.5e6:
		return fmt.Sprintf("%.1fG", x/1e9)
	case x >= 999.5e3:
		return fmt.Sprintf("%.1fM", x/1e6)
	case x >= 999.5:
		return fmt.Sprintf("%.0fk", x/1e3)
	}
	return fmt.Sprintf("%.0f", x)
}

// style gives what an output can show.
func style(out io.Writer) report.Style {
	if f, ok := out.(*os.File); ok {
		return report.StyleFor(f)
	}
	return report.Style{Width: 100, Unicode: true}
}
