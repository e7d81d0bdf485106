package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// tests runs all tests and removes what they share.
type tests struct{ *testing.M }

func (t tests) Run() int {
	defer os.RemoveAll(shared.dir)
	return t.M.Run()
}

// TestMain lets the test binary stand in for the program: "because" in PATH is this binary.
func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"because": main})
}

// shared is a folder in which the tiny study was run, made when a test first asks for it.
var shared struct {
	once sync.Once
	dir  string
	err  error
}

// finishedStudy gives a folder with the finished tiny study and its file, tiny.yaml. It is shared: copy it to change it.
func finishedStudy() (string, error) {
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "because-cli-*"); shared.err != nil {
			return
		}
		if shared.err = copyFile("testdata/tiny.yaml", filepath.Join(shared.dir, "tiny.yaml")); shared.err != nil {
			return
		}
		cmd := exec.Command("because", "study", "tiny.yaml")
		cmd.Dir = shared.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			shared.err = errors.Join(err, errors.New(string(out)))
		}
	})
	return shared.dir, shared.err
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

// outcome is how a command ended.
type outcome struct {
	code        int
	out, errors string
}

// runBecause runs the program in a folder to its end.
func runBecause(t *testing.T, dir string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "because", args...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	return outcome{exitCodeOf(cmd.Run()), out.String(), errs.String()}
}

// exitCodeOf gives the exit code behind the error of a command that was run, -1 where it didn't run or was killed.
func exitCodeOf(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}
