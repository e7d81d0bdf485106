package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the stories in testdata/script. Each starts in a folder of its own with the file tiny.yaml.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") == "1",
		Setup: func(e *testscript.Env) error {
			return copyFile("testdata/tiny.yaml", filepath.Join(e.WorkDir, "tiny.yaml"))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":     runForCode,
			"finished": copyFinished,
			"edit":     editFile,
			"bad":      runBadStudy,
			"cut":      cutFile,
			"alter":    alterFile,
			"find":     findFile,
			"tinychat": makeTinyChat,
			"serving":  startServing,
			"ask":      askServer,
		},
	})
}

// runForCode is "code N because ARGS...": it runs a command and requires that exit code. Its output is left for the
// commands stdout and stderr.
func runForCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitCodeOf(ts.Exec(args[1], args[2:]...)); got != want {
		ts.Fatalf("%v: exit code %d, want %d", args[1:], got, want)
	}
}

// copyFinished is "finished [DIR]": it copies the finished tiny study, runs/tiny and store, into a folder, by default the
// story's own.
func copyFinished(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: finished [dir]")
	}
	to := ts.MkAbs(first(append(args, ".")))
	from, err := finishedStudy()
	ts.Check(err)
	for _, name := range []string{".because", "runs"} {
		ts.Check(os.CopyFS(filepath.Join(to, name), os.DirFS(filepath.Join(from, name))))
	}
}

// editFile is "edit FILE OLD NEW": it replaces the one place where OLD stands.
func editFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: edit file old new")
	}
	text := ts.ReadFile(args[0])
	if n := strings.Count(text, args[1]); n != 1 {
		ts.Fatalf("%q stands %d times in %s", args[1], n, args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], args[2], 1)), 0o644))
}

// runBadStudy is "bad OLD NEW": it runs the tiny study with one change and requires that this is refused as wrong usage,
// before anything is made.
func runBadStudy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bad old new")
	}
	ts.Check(copyFile(ts.MkAbs("tiny.yaml"), ts.MkAbs("bad.yaml")))
	editFile(ts, false, []string{"bad.yaml", args[0], args[1]})
	runForCode(ts, false, []string{"2", "because", "study", "bad.yaml"})
	for _, name := range []string{"runs", ".because"} {
		if _, err := os.Stat(ts.MkAbs(name)); err == nil {
			ts.Fatalf("%s was made", name)
		}
	}
}

// cutFile is "cut FILE": it cuts a file in half.
func cutFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: cut file")
	}
	rewrite(ts, args[0], func(text []byte) []byte { return text[:len(text)/2] })
}

// alterFile is "alter FILE": it flips a bit in the middle of a file.
func alterFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: alter file")
	}
	rewrite(ts, args[0], func(text []byte) []byte { text[len(text)/2] ^= 1; return text })
}

// rewrite changes a file in place of its name, so that other links to the same bytes stay as they are.
func rewrite(ts *testscript.TestScript, name string, change func([]byte) []byte) {
	path, err := filepath.EvalSymlinks(ts.MkAbs(name))
	ts.Check(err)
	text, err := os.ReadFile(path)
	ts.Check(err)
	ts.Check(os.Remove(path))
	ts.Check(os.WriteFile(path, change(text), 0o644))
}

// findFile is "find VARIABLE PATTERN": it sets a variable to the first file that fits.
func findFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: find variable pattern")
	}
	found, err := filepath.Glob(ts.MkAbs(args[1]))
	ts.Check(err)
	if len(found) == 0 {
		ts.Fatalf("no file fits %s", args[1])
	}
	ts.Setenv(args[0], found[0])
}
