package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval"
	"github.com/because-lab/because/eval/evallog"
	"github.com/because-lab/because/report"
)

func newLog(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log show|compare|list",
		Short: "read evaluation logs, of because, Inspect or Petri",
		Long: `Log reads the logs of evaluations: .eval files, by because, Inspect or Petri, finished, running or cut off. Numbers
are computed anew from the samples, with intervals that respect clusters.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("log", args[0], "there are log show, log compare and log list", "unknown command")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLogShow(a), newLogCompare(a), newLogList(a))
	return cmd
}

// showOptions are the flags of log show.
type showOptions struct {
	sample  string
	epoch   int
	json    bool
	salvage bool
	by      []string
}

func newLogShow(a *app) *cobra.Command {
	var o showOptions
	cmd := &cobra.Command{
		Use:   "show FILE.eval",
		Short: "print what an evaluation counted, or one of its transcripts",
		Long: `Show prints what was evaluated on what, how it ended, and what each scorer counted, with n and interval. With
--sample it prints one transcript.`,
		Example: `  because log show logs/honeypot-blackmail.eval
  because log show logs/honeypot-blackmail.eval --by threat,lever
  because log show logs/honeypot-blackmail.eval --sample 17 --epoch 2`,
		Args: exactlyOne("the log"),
		RunE: func(_ *cobra.Command, args []string) error { return a.showLog(args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.sample, "sample", "", "`id` of a sample to print")
	f.IntVar(&o.epoch, "epoch", 1, "`number` of the sample's epoch")
	f.StringSliceVar(&o.by, "by", nil, "also count by these `keys` of the samples' metadata (default: those of the task)")
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.BoolVar(&o.salvage, "salvage", false, "read what a damaged file still holds")
	return cmd
}

// openLog opens a log, or what is left of it.
func openLog(path string, salvage bool) (*evallog.Reader, error) {
	if salvage {
		return evallog.Salvage(path)
	}
	return evallog.Open(path)
}

func (a *app) showLog(path string, o showOptions) error {
	r, err := openLog(path, o.salvage)
	if err != nil {
		return err
	}
	defer r.Close()
	if o.sample != "" {
		return a.showSample(r, path, o)
	}
	h := r.Header()
	view := eval.ViewOf(h)
	if o.by != nil {
		view.By = o.by
	}
	results, err := eval.Gather(allSummaries(r), view)
	if err != nil {
		return because.E("read log", path, err, "")
	}
	if o.json {
		e := json.NewEncoder(a.out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(struct {
			Task   string         `json:"task"`
			Model  string         `json:"model"`
			Status evallog.Status `json:"status"`
			*eval.Results
		}{h.Eval.Task, h.Eval.Model, h.Status, results})
	}
	fmt.Fprintf(a.out, "%s on %s: %s\n", h.Eval.Task, h.Eval.Model, statusWords(h))
	if args := strings.TrimSpace(string(h.Eval.TaskArgs)); args != "" && args != "{}" {
		fmt.Fprintf(a.out, "arguments: %s\n", args)
	}
	for _, role := range slices.Sorted(maps.Keys(h.Eval.ModelRoles)) {
		fmt.Fprintf(a.out, "%s: %s\n", role, h.Eval.ModelRoles[role])
	}
	if h.Error != nil {
		fmt.Fprintf(a.out, "error: %s\n", h.Error.Message)
	}
	fmt.Fprintln(a.out)
	main := ""
	if len(h.Eval.Scorers) > 0 {
		main = h.Eval.Scorers[0].Name
	}
	return a.printEval(h.Eval.Task, results, main, validityOf(h))
}

// statusWords says when an evaluation ran and how it ended.
func statusWords(h *evallog.Header) string {
	words := string(h.Status)
	if h.Status == evallog.Started {
		words = "not finished"
	}
	if t, err := evallog.ParseTime(h.Eval.Created); err == nil {
		words += ", " + t.UTC().Format("2006-01-02 15:04")
	}
	return words
}

// page is the number of summaries that are read at once.
const page = 1000

// allSummaries reads a log's summaries page by page.
func allSummaries(r *evallog.Reader) func(yield func(*evallog.Summary, error) bool) {
	return func(yield func(*evallog.Summary, error) bool) {
		for at := 0; ; at += page {
			rows, err := r.Summaries(at, page)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range rows {
				if !yield(&rows[i], nil) {
					return
				}
			}
			if len(rows) < page {
				return
			}
		}
	}
}

// showSample prints one transcript.
func (a *app) showSample(r *evallog.Reader, path string, o showOptions) error {
	s, err := r.Sample(evallog.StringID(o.sample), o.epoch)
	if err != nil {
		if n, e := strconv.ParseInt(o.sample, 10, 64); e == nil {
			s, err = r.Sample(evallog.IntID(n), o.epoch)
		}
	}
	if err != nil {
		return because.E("read log", path, err, "because log show "+path+" --json lists what was counted; ids stand in the samples")
	}
	if o.json {
		e := json.NewEncoder(a.out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(s)
	}
	return writeSample(a.out, s)
}

// writeSample prints a transcript and what was found on it.
func writeSample(w io.Writer, s *evallog.Sample) error {
	var b strings.Builder
	fmt.Fprintf(&b, "sample %s, epoch %d\n", s.ID, s.Epoch)
	if len(s.Metadata) > 0 {
		fmt.Fprintf(&b, "%s\n", s.Metadata)
	}
	for i, m := range s.Messages {
		fmt.Fprintf(&b, "\n[%d] %s", i+1, m.Role)
		if m.Function != "" {
			fmt.Fprintf(&b, " %s", m.Function)
		}
		b.WriteString("\n")
		if text := m.Content.Reasoning(); text != "" {
			fmt.Fprintf(&b, "(thinks) %s\n", text)
		}
		if text := m.Content.String(); text != "" {
			b.WriteString(text + "\n")
		}
		for _, c := range m.ToolCalls {
			fmt.Fprintf(&b, "call %s %s\n", c.Function, c.Arguments)
		}
	}
	b.WriteString("\n")
	for _, name := range slices.Sorted(maps.Keys(s.Scores)) {
		score := s.Scores[name]
		fmt.Fprintf(&b, "%s: %s", name, score.Value)
		if score.Explanation != "" {
			fmt.Fprintf(&b, " (%s)", score.Explanation)
		}
		b.WriteString("\n")
	}
	if s.Limit != nil {
		fmt.Fprintf(&b, "ended by its %s limit\n", s.Limit.Type)
	}
	if s.Error != nil {
		fmt.Fprintf(&b, "error: %s\n", s.Error.Message)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func newLogCompare(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "compare A.eval B.eval",
		Short: "compare what two evaluations counted",
		Long: `Compare gives, scorer by scorer, the difference of A minus B with its interval and p. Samples that both logs have
are compared in pairs, epochs averaged, and clusters are taken as such. p is also adjusted by Holm for all
comparisons that are shown.`,
		Example: `  because log compare logs/before.eval logs/after.eval`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usage(name(cmd), "", helpHint(cmd), "two logs are needed")
			}
			return atMost(2)(cmd, args)
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.compareLogs(args[0], args[1], asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) compareLogs(first, second string, asJSON bool) error {
	var readers [2]*evallog.Reader
	for i, path := range []string{first, second} {
		r, err := evallog.Open(path)
		if err != nil {
			return err
		}
		defer r.Close()
		readers[i] = r
	}
	rows, err := eval.Compare(allSummaries(readers[0]), allSummaries(readers[1]))
	if err != nil {
		return because.E("compare logs", first+", "+second, err, "")
	}
	if asJSON {
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		return e.Encode(rows)
	}
	if len(rows) == 0 {
		return because.E("compare logs", first+", "+second, errors.New("no scorer has values in both"), "")
	}
	t := report.Table{Title: fmt.Sprintf("A %s on %s, B %s on %s", readers[0].Header().Eval.Task, readers[0].Header().Eval.Model, readers[1].Header().Eval.Task,
		readers[1].Header().Eval.Model), Columns: []report.Column{{Head: "counted"}, {Head: "A", Right: true}, {Head: "B", Right: true}, {Head: "A - B", Right: true},
		{Head: "95 %"}, {Head: "p", Right: true}, {Head: "Holm", Right: true}, {Head: "n", Right: true}, {Head: "clusters", Right: true}, {Head: "samples"}}}
	for _, c := range rows {
		how := "independent"
		if c.Paired {
			how = "paired"
		}
		t.Rows = append(t.Rows, report.Row{Cells: []string{counted(c.Scorer, c.Outcome), number(c.First), number(c.Second), signed(c.Diff), interval(c.Lo, c.Hi), pValue(c.P),
			pValue(c.Holm), strconv.Itoa(c.N), strconv.Itoa(c.Clusters), how}})
		if c.Unmatched > 0 {
			t.Notes = append(t.Notes, fmt.Sprintf("%s: %d samples stand in one log alone and count nowhere", counted(c.Scorer, c.Outcome), c.Unmatched))
		}
	}
	return t.Write(a.out, a.style())
}

func newLogList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list [DIR]",
		Short: "list the logs of a folder",
		Args:  atMost(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := first(args)
			if dir == "" {
				dir = defaultLogs
			}
			return a.listLogs(dir)
		},
	}
}

func (a *app) listLogs(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return because.E("list logs", dir, err, "give the folder of the logs")
	}
	t := report.Table{Title: dir, Columns: []report.Column{{Head: "log"}, {Head: "task"}, {Head: "model", Wrap: true}, {Head: "status"}, {Head: "samples", Right: true}}}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".eval") {
			continue
		}
		row := report.Row{Cells: []string{e.Name()}}
		if r, err := evallog.Open(dir + "/" + e.Name()); err != nil {
			row.Cells = append(row.Cells, "", "", "damaged", "")
		} else {
			h, samples := r.Header(), "?"
			if n, err := r.Len(); err == nil {
				samples = strconv.Itoa(n)
			}
			row.Cells = append(row.Cells, h.Eval.Task, h.Eval.Model, statusWords(h), samples)
			r.Close()
		}
		t.Rows = append(t.Rows, row)
	}
	if len(t.Rows) == 0 {
		return because.E("list logs", dir, errors.New("there is no .eval file"), "")
	}
	return t.Write(a.out, a.style())
}
