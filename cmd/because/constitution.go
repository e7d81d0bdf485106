package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/report"
)

func newConstitution(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "constitution check|show|list",
		Short: "check and read constitutions",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("constitution", args[0], "there are constitution check, constitution show and constitution list", "unknown command")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConstitutionCheck(a), newConstitutionShow(a), newConstitutionList(a))
	return cmd
}

func newConstitutionCheck(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "say what is wrong with a constitution, and what is in it",
		Long: `Check reads a constitution: Markdown with principles ("## Title {#id}"), each with its reasons ("**Why.** ...") and
cases ("**Case.** ..."). What can't be read is an error with its line; what can be read and looks wrong is a
finding, and findings make the command fail.`,
		Example: "  because constitution check mine.md",
		Args:    exactlyOne("the constitution"),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := constitution.Find(args[0])
			if err != nil {
				return err
			}
			n := c.Counts()
			fmt.Fprintf(a.out, "%s: %d words, %d principles with %d reasons, %d cases and %d sub-rules, for %s\nhash %s\n", c.Name, n.Words, n.Principles, n.Reasons, n.Cases,
				n.Subrules, orNobody(c.Persona), c.Hash()[:12])
			findings := c.Check()
			for _, f := range findings {
				fmt.Fprintln(a.out, f)
			}
			if len(findings) > 0 {
				return because.E("check constitution", args[0], errors.New(amount(len(findings), "finding")), "")
			}
			return nil
		},
	}
}

func orNobody(persona string) string {
	if persona == "" {
		return "no persona"
	}
	return "the persona " + persona
}

func newConstitutionShow(a *app) *cobra.Command {
	var about string
	var words int
	cmd := &cobra.Command{
		Use:   "show NAME|FILE [ID...]",
		Short: "print a constitution, some of its principles, or those about something",
		Example: `  because constitution show astra honesty correctability
  because constitution show astra --about "they will shut me down" --words 400`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(name(cmd), "", helpHint(cmd), "the constitution is missing")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := constitution.Find(args[0])
			if err != nil {
				return err
			}
			var only []*constitution.Principle
			for _, id := range args[1:] {
				p, ok := c.Principle(id)
				if !ok {
					_, err := c.Cite(id)
					return err
				}
				only = append(only, p)
			}
			if about != "" {
				only = c.Excerpt(about, words)
			}
			_, err = fmt.Fprintln(a.out, c.Text(only...))
			return err
		},
	}
	cmd.Flags().StringVar(&about, "about", "", "the principles that this `text` is about, the nearest first")
	cmd.Flags().IntVar(&words, "words", 600, "--about: `number` of words, at most")
	return cmd
}

func newConstitutionList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "list the constitutions that come with the program",
		Args:  atMost(0),
		RunE: func(*cobra.Command, []string) error {
			t := report.Table{Title: "Shipped constitutions (CC0)", Columns: []report.Column{{Head: "name"}, {Head: "title", Wrap: true}, {Head: "form"}, {Head: "words", Right: true},
				{Head: "principles", Right: true}, {Head: "reasons", Right: true}, {Head: "cases", Right: true}}}
			for _, name := range constitution.Names() {
				c, err := constitution.Shipped(name)
				if err != nil {
					return err
				}
				n := c.Counts()
				t.Rows = append(t.Rows, report.Row{Cells: []string{name, c.Title, string(c.Form), strconv.Itoa(n.Words), strconv.Itoa(n.Principles), strconv.Itoa(n.Reasons), strconv.Itoa(n.Cases)}})
			}
			return t.Write(a.out, a.style())
		},
	}
}
