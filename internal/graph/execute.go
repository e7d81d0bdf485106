package graph

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/because-lab/because"
)

// PanicError is the error of a step that panicked.
type PanicError struct {
	Value any
	Stack []byte // of the goroutine that panicked
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("panic: %v%s", e.Value, panicPlace(e.Stack))
}

// Unwrap gives the value that was panicked with, where it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// panicPlace finds the line that panicked: the one below the last frame of the runtime's panic functions.
func panicPlace(stack []byte) string {
	lines := strings.Split(string(stack), "\n")
	place := ""
	for i := 0; i+3 < len(lines); i++ {
		if strings.HasPrefix(lines[i], "panic(") || strings.HasPrefix(lines[i], "runtime.") {
			if at := strings.TrimSpace(lines[i+3]); strings.Contains(at, ".go:") {
				place, _, _ = strings.Cut(at, " ")
			}
		}
	}
	if place == "" {
		return ""
	}
	return " (at " + place + ")"
}

// errExit is the error of a step that ended its goroutine instead of returning.
var errExit = errors.New("the step ended its goroutine without returning (runtime.Goexit)")

// execute runs step i on the artifacts of its inputs and stores what it made.
func (r *runner) execute(ctx context.Context, i int, t *Task, artifacts []string) (artifact string, err error) {
	began := time.Now()
	step := r.g.steps[i]
	for k, need := range step.Needs {
		dir, err := r.g.store.Open(ctx, artifacts[k])
		if err != nil {
			return "", because.E("read input", need.Name+" of "+step.ID, err, "")
		}
		t.Inputs[need.Name] = dir
	}
	artifact, err = r.g.store.Put(ctx, func(dir string) error {
		t.Output = dir
		return call(ctx, step.Run, t)
	})
	if err != nil {
		return "", err
	}
	return artifact, r.g.store.Record(r.g.keys[i], r.g.load[i], artifact, r.by(step, began))
}

// call runs a step's function in a goroutine of its own, so that neither a panic nor runtime.Goexit in it goes further.
func call(ctx context.Context, run func(context.Context, *Task) error, t *Task) error {
	ended := make(chan error, 1)
	go func() {
		err := errExit
		defer func() {
			if v := recover(); v != nil {
				err = &PanicError{Value: v, Stack: debug.Stack()}
			}
			ended <- err
		}()
		err = run(ctx, t)
	}()
	return <-ended
}

// by describes who makes a result now. It is noted beside the result and no part of its identity.
func (r *runner) by(step Step, began time.Time) map[string]string {
	host, _ := os.Hostname() // only informs
	by := map[string]string{
		"study":   r.g.name,
		"step":    step.ID,
		"kind":    step.Kind,
		"title":   step.Title,
		"began":   began.UTC().Format(time.RFC3339Nano),
		"elapsed": time.Since(began).Round(time.Millisecond).String(),
		"host":    host,
		"system":  runtime.GOOS + "/" + runtime.GOARCH,
		"go":      runtime.Version(),
	}
	for k, v := range r.opt.By {
		by[k] = v
	}
	return by
}
