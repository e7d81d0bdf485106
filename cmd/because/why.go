package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/study"
)

func newWhy(a *app) *cobra.Command {
	var dir string
	var prompts bool
	var lines int
	cmd := &cobra.Command{
		Use:   "why ARTIFACT",
		Short: "explain what something was made from",
		Long: `Of a record of gen's, FILE:ID or FILE:ROW, why tells the story: from the principle through every stage, with each
prompt and what each rewrite changed, to the final text; of an item that was dropped, why it was.

Of what a study made it prints, as a tree, what an artifact was made from: step, recipe, options and seed, back to the
base corpus, with what the datasets on the way say about the principles that they teach.

ARTIFACT is a checkpoint's path, a step, a key or an artifact's ID (four digits or more), or a name from the results: an
arm, an arm's eval, a claim or a check. A name stands for all seeds.`,
		Example: `  because why advice.jsonl:17
  because why runs/teaching-why/checkpoints/linked/advice/seed-31
  because why linked/advice
  because why arms.advice.evals.honeypot
  because why E3`,
		Args: exactlyOne("ARTIFACT"),
		RunE: func(_ *cobra.Command, args []string) error {
			if file, id, ok := recordOf(args[0]); ok {
				story, err := pipe.Explain(file, id)
				if err != nil {
					return err
				}
				return story.Write(a.out, pipe.Style{Color: a.style().Color, Prompts: prompts, Lines: lines})
			}
			origins, err := study.Explain(dir, args[0], a.warn)
			if err != nil {
				return err
			}
			return study.WriteOrigins(a.out, origins)
		},
	}
	addDir(cmd, &dir)
	cmd.Flags().BoolVar(&prompts, "prompts", false, "of a record: print the prompts too, as they were sent")
	cmd.Flags().IntVar(&lines, "lines", 0, "of a record: `lines` of each text, at most; 0 for all")
	return cmd
}

// recordOf takes FILE:ID apart, where FILE is a file of records with a lineage beside it.
func recordOf(artifact string) (file, id string, ok bool) {
	for at := len(artifact); ; {
		if at = strings.LastIndexByte(artifact[:at], ':'); at <= 0 {
			return "", "", false
		}
		file, id = artifact[:at], artifact[at+1:]
		if _, err := os.Stat(file + ".lineage"); err == nil {
			return file, id, true
		}
	}
}
