package because

import (
	"errors"
	"strings"
)

// Error is what users see: the operation, its subject, the cause, and what to do about it.
type Error struct {
	Op      string // what was attempted: "read study"
	Subject string // on what, with its place: "study.yaml:12: arms.advice"
	Err     error  // the cause
	Hint    string // what the user can do
}

// E makes an Error. The hint may be empty.
func E(op, subject string, err error, hint string) *Error {
	return &Error{Op: op, Subject: subject, Err: err, Hint: hint}
}

// Error gives operation, subject and cause on one line; the hint is left to Hint.
func (e *Error) Error() string {
	var parts []string
	for _, s := range []string{e.Op, e.Subject} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Hint gives the first hint in err's chain, or "".
func Hint(err error) string {
	for e := (*Error)(nil); errors.As(err, &e); err = e.Err {
		if e.Hint != "" {
			return e.Hint
		}
	}
	return ""
}

// ErrInterrupted marks work that was stopped on request and can be resumed.
var ErrInterrupted = errors.New("interrupted; run the same command again to resume")
