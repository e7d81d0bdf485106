package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// app is what the commands share: the streams they talk through, and how they end when interrupted.
type app struct {
	in        io.Reader
	out, err  io.Writer
	interrupt *interrupt
}

// run executes one command line and gives the exit code.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	a := &app{in: in, out: out, err: errs, interrupt: watchSignals(errs)}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(a.interrupt.ctx)
	code := exitCode(err)
	if err != nil && a.interrupt.ctx.Err() != nil {
		code = exitInterrupted // whatever the error says: it is a consequence
	}
	a.interrupt.stop(code == exitInterrupted)
	if err != nil && code != exitInterrupted {
		printError(errs, err)
	}
	return code
}

// warn prints what the user should know and need not act on.
func (a *app) warn(err error) { fmt.Fprintf(a.err, "warning: %v\n", err) }

// terminal reports whether a stream is an interactive terminal.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
