package model_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

func TestRedact(t *testing.T) {
	const secret = `sk-a/b"c+d=`
	plain := errors.New("key " + secret + " is wrong")
	tests := map[string]error{
		"plain":       plain,
		"wrapped":     fmt.Errorf("ask: %w", fmt.Errorf("send: %w", plain)),
		"url":         &url.Error{Op: "Get", URL: "https://h/?key=" + url.QueryEscape(secret), Err: context.Canceled},
		"basic":       errors.New("Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(secret))),
		"json":        errors.New(`{"key":"sk-a/b\"c+d="}`),
		"model error": &model.Error{Kind: model.Denied, Model: "m/" + secret, Status: 401, RetryAfter: time.Second, Err: plain},
		"error":       because.E("ask "+secret, secret, plain, "is "+secret+" your key?"),
		"deep":        fmt.Errorf("x: %w", &model.Error{Kind: model.Denied, Err: because.E("op", "", errors.Join(fs.ErrExist, plain), secret)}),
		"joined":      errors.Join(fs.ErrExist, plain),
		"hidden hint": because.E("op", "s", fs.ErrExist, "use "+secret),
		"quiet":       quiet{plain},
	}
	for name, err := range tests {
		got := model.Redact(err, "", secret)
		if got == nil || got.Error() == "" {
			t.Fatalf("%s: %v", name, got)
		}
		for cause := got; cause != nil; cause = errors.Unwrap(cause) {
			text := fmt.Sprintf("%v|%+v|%#v|%s|%s", cause, cause, cause, because.Hint(cause), errors.Unwrap(cause))
			for _, form := range []string{secret, url.QueryEscape(secret), `b\"c`, base64.StdEncoding.EncodeToString([]byte(secret))} {
				if strings.Contains(text, form) {
					t.Errorf("%s: %q stands in %s", name, form, text)
				}
			}
		}
		if model.KindOf(got) != model.KindOf(err) || errors.Is(got, fs.ErrExist) != errors.Is(err, fs.ErrExist) || errors.Is(got, context.Canceled) != errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v lost what kind of error it is", name, got)
		}
		var e *model.Error
		if errors.As(got, &e) && (e.Kind != model.Denied || strings.Contains(fmt.Sprint(e, e.Err), secret)) {
			t.Errorf("%s: %+v", name, e)
		}
		if !errors.Is(got, plain) && errors.Is(err, plain) && name == "plain" {
			t.Errorf("%s is no longer itself", name)
		}
	}
	clean := fmt.Errorf("x: %w", fs.ErrExist)
	if model.Redact(clean, secret) != clean || model.Redact(nil, secret) != nil || model.Redact(plain) != plain {
		t.Error("an error without a secret was changed")
	}
}

// quiet does not tell its cause in its text.
type quiet struct{ cause error }

func (quiet) Error() string   { return "something failed" }
func (q quiet) Unwrap() error { return q.cause }
