package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/mix"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/report"
	"github.com/because-lab/because/scenario"
)

func newData(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data card|read|check|mix",
		Short: "measure, read, check and mix training data",
		Long: `Data works on files of training data, JSON lines or Parquet in TRL's columns: conversations (messages, or prompt and
completion), documents (text), prompts for reinforcement learning (prompt) and preferences (prompt, chosen,
rejected).`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("data", args[0], "there are data card, data read, data check and data mix", "unknown command")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDataCard(a), newDataRead(a), newDataCheck(a), newDataMix(a))
	return cmd
}

// dataCheckOptions are the flags of data check.
type dataCheckOptions struct {
	against []string
	json    bool
}

func newDataCheck(a *app) *cobra.Command {
	o := dataCheckOptions{}
	cmd := &cobra.Command{
		Use:   "check FILE --against EVAL",
		Short: "look in training data for what an evaluation reserves",
		Long: `Check looks for the decisive sentences of the evaluated honeypots, whole and in any cast of names, and for runs of
13 and of 8 words of another file. A decisive sentence or a run of 13 words is contamination and makes the command
fail; runs of 8 are listed, for they may be turns of phrase that anybody uses.`,
		Example: `  because data check advice.jsonl --against honeypot
  because data check advice.jsonl --against honeypot --against held-out.jsonl`,
		Args: exactlyOne("the file"),
		RunE: func(_ *cobra.Command, args []string) error { return a.checkData(args[0], o) },
	}
	cmd.Flags().StringSliceVar(&o.against, "against", []string{"honeypot"}, "what is reserved: honeypot (all families), honeypot/FAMILY, or a `file` of records")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func (a *app) checkData(path string, o dataCheckOptions) error {
	var reserved []quality.Reserved
	for _, name := range o.against {
		r, err := reservedBy(name)
		if err != nil {
			return err
		}
		reserved = append(reserved, r)
	}
	index, err := quality.NewIndex(reserved...)
	if err != nil {
		return err
	}
	found, err := quality.Contaminated(columns.Read(path), index)
	if err != nil {
		return err
	}
	if o.json {
		e := json.NewEncoder(a.out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err = e.Encode(found)
	} else {
		err = found.Write(a.out)
	}
	if err != nil {
		return err
	}
	if n := found.Records[quality.HitSpan] + found.Records[quality.Hit13]; n > 0 {
		return because.E("check data", path, fmt.Errorf("%s what is reserved", amountOf(n, "record holds", "records hold")), "remove them, or choose other data")
	}
	return nil
}

// reservedBy gives what an evaluation, or a file, keeps to itself.
func reservedBy(name string) (quality.Reserved, error) {
	lib, err := scenario.Embedded()
	if err != nil {
		return quality.Reserved{}, err
	}
	if family, ok := strings.CutPrefix(name, "honeypot"); ok && (family == "" || family[0] == '/') {
		if family = strings.TrimPrefix(family, "/"); family != "" {
			if _, err := lib.Family(family); err != nil {
				return quality.Reserved{}, usageError{err}
			}
		}
		return quality.Reserved{Name: name, Spans: lib.DecisiveSpans()}, nil
	}
	rows, err := columns.ReadAll(name)
	if err != nil {
		return quality.Reserved{}, err
	}
	r := quality.Reserved{Name: name}
	for _, row := range rows {
		if row.Text != "" {
			r.Texts = append(r.Texts, row.Text)
		}
		for _, m := range slices.Concat(row.Messages, row.Prompt, row.Chosen, row.Rejected) {
			r.Texts = append(r.Texts, m.Content)
		}
	}
	return r, nil
}

func newDataMix(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "mix MIX.yaml",
		Short: "join files of training data by a plan",
		Long: `Mix reads a plan and writes one file: which files, how much of each (count, tokens or weight), which records of
them, in which order. Equal plans and files give equal bytes.`,
		Example: `  because data mix mix.yaml

  output: train.jsonl
  seed: 7
  parts:
    - {file: advice.jsonl}
    - {file: chat.jsonl, weight: 0.25, where: {kind: letter}}`,
		Args: exactlyOne("the plan"),
		RunE: func(_ *cobra.Command, args []string) error {
			plan, err := mix.Load(args[0])
			if err != nil {
				return err
			}
			r, err := plan.Make()
			if err != nil {
				return err
			}
			t := report.Table{Title: fmt.Sprintf("%s: %d records of kind %s, %d tokens", r.Output, r.Records, r.Kind, r.Tokens), Columns: []report.Column{{Head: "part", Wrap: true},
				{Head: "rows", Right: true}, {Head: "matching", Right: true}, {Head: "taken", Right: true}, {Head: "repeated", Right: true}, {Head: "tokens", Right: true}}}
			for _, p := range r.Parts {
				t.Rows = append(t.Rows, report.Row{Cells: []string{p.File, strconv.Itoa(p.Rows), strconv.Itoa(p.Matching), strconv.Itoa(p.Taken), strconv.Itoa(p.Repeated), strconv.Itoa(p.Tokens)}})
			}
			return t.Write(a.out, a.style())
		},
	}
}

// amountOf counts things in words of one's own.
func amountOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
