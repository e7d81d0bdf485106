package model

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"github.com/because-lab/because"
)

// hidden stands for a secret in a text.
const hidden = "[secret]"

// Redact gives err with every secret replaced in its text, in the texts of its causes and in its hints, also where they stand escaped as in
// a URL, in JSON or in base64. Kinds, operations and errors.Is stay; an error whose text had to change can no longer be had by errors.As
// unless it is an Error or a because.Error. Without a secret in it, err itself is returned.
func Redact(err error, secrets ...string) error {
	var pairs []string
	for _, s := range secrets {
		if s == "" {
			continue
		}
		quoted, _ := json.Marshal(s) // a string always marshals
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s), string(quoted[1 : len(quoted)-1]),
			base64.StdEncoding.EncodeToString([]byte(s)), base64.URLEncoding.EncodeToString([]byte(s))} {
			pairs = append(pairs, form, hidden)
		}
	}
	if err == nil || len(pairs) == 0 {
		return err
	}
	return redact(err, strings.NewReplacer(pairs...).Replace)
}

// redacted is an error with another text. It does not unwrap: its cause tells what must not be told.
type redacted struct {
	text  string
	cause error
	hide  func(string) string
}

func (e *redacted) Error() string        { return e.text }
func (e *redacted) Is(target error) bool { return errors.Is(e.cause, target) }

// GoString keeps the cause out of %#v.
func (e *redacted) GoString() string { return e.text }

// As finds the two types of which a redacted copy can be made.
func (e *redacted) As(target any) bool {
	switch target := target.(type) {
	case **Error:
		return errors.As(e.cause, target) && assign(target, redact(*target, e.hide))
	case **because.Error:
		return errors.As(e.cause, target) && assign(target, redact(*target, e.hide))
	}
	return false
}

func assign[T error](to *T, err error) bool {
	v, ok := err.(T)
	if ok {
		*to = v
	}
	return ok
}

func redact(err error, hide func(string) string) error {
	if !tells(err, hide) {
		return err
	}
	switch e := err.(type) {
	case *Error:
		copied := *e
		copied.Model = hide(e.Model)
		if e.Err != nil {
			copied.Err = redact(e.Err, hide)
		}
		return &copied
	case *because.Error:
		copied := because.Error{Op: hide(e.Op), Subject: hide(e.Subject), Hint: hide(e.Hint)}
		if e.Err != nil {
			copied.Err = redact(e.Err, hide)
		}
		return &copied
	}
	return &redacted{hide(err.Error()), err, hide}
}

// tells reports whether the text or the hint of an error, or of any of its causes, holds a secret.
func tells(err error, hide func(string) string) bool {
	if err == nil {
		return false
	}
	text := err.Error()
	if e, ok := err.(*because.Error); ok {
		text += "\x00" + e.Hint + "\x00" + e.Subject + "\x00" + e.Op
	}
	if hide(text) != text {
		return true
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return tells(e.Unwrap(), hide)
	case interface{ Unwrap() []error }:
		for _, cause := range e.Unwrap() {
			if tells(cause, hide) {
				return true
			}
		}
	}
	return false
}
