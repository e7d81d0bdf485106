package main

import (
	"github.com/spf13/cobra"

	"github.com/because-lab/because/study"
)

func newWhy(a *app) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "why ARTIFACT",
		Short: "explain what something was made from",
		Long: `Why prints, as a tree, what an artifact was made from: step, recipe, options and seed, back to the base corpus, with
what the datasets on the way say about the principles that they teach.

ARTIFACT is a checkpoint's path, a step, a key or an artifact's ID (four digits or more), or a name from the results: an
arm, an arm's eval, a claim or a check. A name stands for all seeds.`,
		Example: `  because why runs/teaching-why/checkpoints/linked/advice/seed-31
  because why linked/advice
  because why arms.advice.evals.honeypot
  because why E3`,
		Args: exactlyOne("ARTIFACT"),
		RunE: func(_ *cobra.Command, args []string) error {
			origins, err := study.Explain(dir, args[0], a.warn)
			if err != nil {
				return err
			}
			return study.WriteOrigins(a.out, origins)
		},
	}
	addDir(cmd, &dir)
	return cmd
}
