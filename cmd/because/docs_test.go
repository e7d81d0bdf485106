package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/cli.md instead of comparing it")

// TestDocs fails when docs/cli.md is not what the commands say.
func TestDocs(t *testing.T) {
	const file = "../../docs/cli.md"
	want := markdown(newRoot(&app{}))
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/cli.md is stale; run: go generate ./cmd/because\n%s", diff)
	}
}

// TestCommandsAreDocumented holds the texts of every command to a common form.
func TestCommandsAreDocumented(t *testing.T) {
	eachCommand(newRoot(&app{}), func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || strings.ToLower(cmd.Short[:1]) != cmd.Short[:1] {
			t.Errorf("%s: short text %q should be a phrase without capital and full stop", path, cmd.Short)
		}
		if cmd.Args == nil && cmd.Name() != "help" {
			t.Errorf("%s: says nothing on its arguments", path)
		}
		for _, line := range strings.Split(cmd.Long, "\n") {
			if len(line) > 120 {
				t.Errorf("%s: a line of its text has %d characters: %s", path, len(line), line)
			}
		}
	})
}

// TestStudyFileExample keeps the study in docs/study-file.md one that can be run.
func TestStudyFileExample(t *testing.T) {
	text, err := os.ReadFile("../../docs/study-file.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```yaml\n")
	example, _, closed := strings.Cut(rest, "```\n")
	if !ok || !closed {
		t.Fatal("there is no example")
	}
	file := filepath.Join(t.TempDir(), "example.yaml")
	if err := os.WriteFile(file, []byte(example), 0o644); err != nil {
		t.Fatal(err)
	}
	if o := runBecause(t, t.TempDir(), "study", "plan", file); o.code != exitFine {
		t.Errorf("exit code %d:\n%s", o.code, o.errors)
	}
}
