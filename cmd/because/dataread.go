package main

import (
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/because-lab/because"
	datapage "github.com/because-lab/because/data/page"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/eval"
	"github.com/because-lab/because/internal/whole"
	"github.com/because-lab/because/report"
)

// dataReadOptions are the flags of data read.
type dataReadOptions struct {
	datapage.Options
	out       string
	judgments []string
}

func newDataRead(a *app) *cobra.Command {
	var o dataReadOptions
	cmd := &cobra.Command{
		Use:   "read FILE [OTHER]",
		Short: "make a page to read training data, or to compare two files blind",
		Long: `Read writes one HTML file that works offline. With one file it is for reading: records page by page, with their
messages, tools and lineage, and a search.

With two files it is for comparing them blind. Records are put in pairs that share what they can: the prompt, the id,
the principle, or the kind; the rest at random. The page says which. Sides are drawn, the files' names stay hidden. The
reader chooses left, right or equal (keys 1, 2, 3) and then sees how often each file was chosen, with Wilson's 95 %
interval, and can download the judgments. --judgments prints the same table from such files, one row for each reader.`,
		Example: `  because data read advice.jsonl
  because data read old.jsonl new.jsonl -o compare.html --question "Which answer gives better reasons?"
  because data read old.jsonl new.jsonl --judgments judgments-0f3c.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(name(cmd), "", helpHint(cmd), "the file is missing")
			}
			return atMost(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.readData(args, o) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.out, "out", "o", "", "`file` to write (default: FILE.html, or blind.html for two)")
	f.IntVarP(&o.Number, "number", "n", 0, "`number` of records or pairs on the page, drawn by the seed (default: all records; 50 pairs)")
	f.Uint64Var(&o.Seed, "seed", 1, "seed `number` of the draw, the pairs and the sides")
	f.StringVar(&o.Question, "question", datapage.DefaultQuestion, "`text` that a reader of two files judges by")
	f.StringArrayVar(&o.judgments, "judgments", nil, "`file` that a blind page gave; print what it says instead of making a page; may be repeated")
	return cmd
}

func (a *app) readData(args []string, o dataReadOptions) error {
	switch {
	case o.Number < 0:
		return usage("data read", "--number", "", "%d is not a number of records", o.Number)
	case len(o.judgments) > 0 && (len(args) != 2 || o.out != ""):
		return usage("data read", "--judgments", "because data read FILE OTHER --judgments JUDGMENTS", "it needs the two files that were compared, and no --out")
	case len(o.judgments) > 0:
		return a.tabulate(args[0], args[1], o.judgments)
	}
	var corpora []datapage.Corpus
	for _, path := range args {
		c, err := datapage.Open(path)
		if err != nil {
			return err
		}
		corpora = append(corpora, c)
	}
	if len(corpora) == 1 {
		out := orElse(o.out, args[0]+".html")
		if err := writePage(out, func(w io.Writer) error { return datapage.Read(w, corpora[0], o.Options) }); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.out, "%s: %s to read; open it in a browser\n", out, amount(shownOf(len(corpora[0].Rows), o.Number), "record"))
		return err
	}
	out := orElse(o.out, "blind.html")
	var m datapage.Matching
	err := writePage(out, func(w io.Writer) (err error) {
		m, err = datapage.Blind(w, corpora[0], corpora[1], o.Options)
		return err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s: pairs to judge: %s; open it in a browser\n", out, m)
	return err
}

// shownOf is how many of n records a page has.
func shownOf(n, number int) int {
	if number > 0 {
		return min(n, number)
	}
	return n
}

// writePage writes a file whole or not at all.
func writePage(path string, write func(io.Writer) error) error {
	f, err := whole.Create(path)
	if err != nil {
		return because.E("write page", path, err, "")
	}
	defer f.Abort()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Commit(); err != nil {
		return because.E("write page", path, err, "")
	}
	return nil
}

// tabulate prints what readers of a blind page chose, one row for each file of judgments.
func (a *app) tabulate(first, second string, files []string) error {
	var sums [2]string
	for i, path := range []string{first, second} {
		var err error
		if sums[i], err = quality.Sum(path); err != nil {
			return err
		}
	}
	t := report.Table{Title: fmt.Sprintf("A: %s, B: %s", first, second), Columns: []report.Column{{Head: "judgments", Wrap: true}, {Head: "pairs", Right: true},
		{Head: "judged", Right: true}, {Head: "A", Right: true}, {Head: "B", Right: true}, {Head: "equal", Right: true}, {Head: "A of decided", Right: true}, {Head: "95 %"}, {Head: "n", Right: true}, {Head: "left chosen", Right: true}},
		Notes: []string{"A of decided: the share of the pairs that were no ties in which A was chosen, with Wilson's interval; pairs are the unit, so it is about that reader"}}
	for _, path := range files {
		j, err := datapage.ReadJudgments(path)
		if err != nil {
			return err
		}
		if err := j.About(path, sums[0], sums[1]); err != nil {
			return err
		}
		n := j.Tally()
		share, lo, hi := n.Share, n.Lo, n.Hi
		if n.Decided == 0 {
			share, lo, hi = math.NaN(), math.NaN(), math.NaN()
		}
		t.Rows = append(t.Rows, report.Row{Cells: []string{path, strconv.Itoa(n.Pairs), strconv.Itoa(n.Judged), strconv.Itoa(n.A), strconv.Itoa(n.B), strconv.Itoa(n.Ties),
			percent(share), interval(eval.Bound(100*lo), eval.Bound(100*hi)), strconv.Itoa(n.Decided), fmt.Sprintf("%d of %d", n.LeftChosen, n.Decided)}})
		t.Notes = append(t.Notes, fmt.Sprintf("%s: %s", path, j.Question))
	}
	return t.Write(a.out, a.style())
}
