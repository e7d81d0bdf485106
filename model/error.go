package model

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what went wrong with a request to a served model.
type Kind string

// The kinds of errors. Those of the first group may pass: the same request can be sent again.
const (
	RateLimited Kind = "rate limited"
	Overloaded  Kind = "server error"
	TimedOut    Kind = "timed out"
	Cut         Kind = "connection lost"
	Garbled     Kind = "garbled answer" // such as broken JSON under status 200

	Unreachable Kind = "unreachable" // no such host, connection refused: passes only if the server is just starting
	BadTLS      Kind = "TLS failure"
	Denied      Kind = "access denied" // a missing, wrong or powerless key
	NotFound    Kind = "not found"     // no such model, or a base URL that is no API
	NoTools     Kind = "no tool support"
	TooLong     Kind = "context overflow"
	Filtered    Kind = "moderated" // the provider refused the request by its own policy
	Rejected    Kind = "rejected"  // any other request that the server does not take
	OverBudget  Kind = "budget spent"
)

// Error is a failed request to a model.
type Error struct {
	Kind   Kind
	Model  string // that was asked, as users name it
	Status int    // of HTTP; 0 where there was none
	// RetryAfter is how long the server asks to be left alone; 0: it does not say.
	RetryAfter time.Duration
	Err        error // what the server or the network said; never holds a key
}

// Error gives model, kind, status and cause on one line.
func (e *Error) Error() string {
	text := e.Model + ": " + string(e.Kind)
	if e.Status != 0 {
		text += fmt.Sprintf(" (%d)", e.Status)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Passes tells whether the same request may succeed a little later.
func (e *Error) Passes() bool {
	switch e.Kind {
	case RateLimited, Overloaded, TimedOut, Cut, Garbled:
		return true
	}
	return false
}

// Hopeless tells whether every further request to this model, or with tools, will fail in the same way, so that a run had better stop.
func (e *Error) Hopeless() bool {
	switch e.Kind {
	case Unreachable, BadTLS, Denied, NotFound, NoTools, OverBudget:
		return true
	}
	return false
}

// KindOf gives the kind of the first Error in err's chain, or "".
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}
