package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/because-lab/because"
	"github.com/because-lab/because/report"
	"github.com/because-lab/because/study"
)

func newReport(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "report [DIR]",
		Short: "render a study's report again from its results.json",
		Long: `Report reads results.json and transcripts.jsonl from DIR, checks them against their schema, and writes the tables,
report.md, report.html and figures again. Without DIR it takes the one study below runs/.`,
		Args: atMost(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.report(first(args)) },
	}
}

// report renders the report in a folder again.
func (a *app) report(dir string) error {
	if dir == "" {
		var err error
		if dir, err = onlyRun(); err != nil {
			return err
		}
	}
	results, err := report.Read(filepath.Join(dir, "results.json"))
	if err != nil {
		return err
	}
	transcripts, err := readTranscripts(filepath.Join(dir, "transcripts.jsonl"))
	if err != nil {
		return err
	}
	if err := report.Write(dir, results, transcripts); err != nil {
		return err
	}
	return a.printResults(results, dir)
}

// readTranscripts reads the sample transcripts of a report, one JSON object per line.
func readTranscripts(path string) ([]report.Transcript, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, because.E("read transcripts", path, err, "run the study again to write it anew")
	}
	defer f.Close()
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	var all []report.Transcript
	for {
		var t report.Transcript
		switch err := d.Decode(&t); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, because.E("read transcripts", path, fmt.Errorf("transcript %d: %w", len(all)+1, err), "run the study again to write it anew")
		}
		all = append(all, t)
	}
}

// onlyRun finds the folder of the one study below runs/.
func onlyRun() (string, error) {
	files, err := filepath.Glob(filepath.Join(study.RunsDir, "*", "results.json"))
	if err != nil {
		return "", because.E("find report", study.RunsDir, err, "")
	}
	switch len(files) {
	case 0:
		return "", because.E("find report", study.RunsDir, fmt.Errorf("no results: %w", fs.ErrNotExist), "run a study first, or give the folder of its results")
	case 1:
		return filepath.Dir(files[0]), nil
	}
	var dirs []string
	for _, f := range files {
		dirs = append(dirs, filepath.Dir(f))
	}
	return "", usage("report", "", "give one of "+strings.Join(dirs, ", "), "there are %d studies", len(dirs))
}
