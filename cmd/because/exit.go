package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/because-lab/because"
)

// The exit codes.
const (
	exitFine        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 3
)

// exitCodes documents them, for help and docs/cli.md.
var exitCodes = []struct {
	code    int
	meaning string
}{
	{exitFine, "fine"},
	{exitFailed, "failed"},
	{exitUsage, "usage: the command line or the study file is wrong; nothing was started"},
	{exitInterrupted, "interrupted; the same command resumes"},
}

// usageError marks an error that the user mends by typing something else.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usage makes a usageError with a hint.
func usage(op, subject, hint, format string, args ...any) error {
	return usageError{because.E(op, subject, fmt.Errorf(format, args...), hint)}
}

// exitCode gives the code that an error ends the program with.
func exitCode(err error) int {
	var u usageError
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &u):
		return exitUsage
	case errors.Is(err, because.ErrInterrupted):
		return exitInterrupted
	}
	return exitFailed
}

// printError writes an error as one line, and below it what to do about it. Joined errors get a line each.
func printError(w io.Writer, err error) {
	for _, e := range split(err) {
		fmt.Fprintf(w, "because: %s\n", strings.ReplaceAll(strings.TrimSpace(e.Error()), "\n", "; "))
		if hint := because.Hint(e); hint != "" {
			fmt.Fprintf(w, "hint: %s\n", hint)
		}
	}
}

// split takes apart errors that were joined and not given a common message since.
func split(err error) []error {
	var u usageError
	if errors.As(err, &u) && u.Error() == err.Error() {
		err = u.error
	}
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var texts []string
	for _, e := range many.Unwrap() {
		texts = append(texts, e.Error())
	}
	if err.Error() != strings.Join(texts, "\n") {
		return []error{err} // says more than its parts
	}
	var all []error
	for _, e := range many.Unwrap() {
		all = append(all, split(e)...)
	}
	return all
}
