package model_test

import (
	"context"
	"testing"

	"github.com/because-lab/because"
)

// ask is a request with one message.
func ask(text string) because.Request {
	return because.Request{Messages: []because.Message{{Role: because.RoleUser, Content: text}}, MaxTokens: 100}
}

// chat is a model of a function.
type chat func(ctx context.Context, seed uint64, r because.Request) (because.Response, error)

func (chat) Name() string { return "test/model" }

func (f chat) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	return f(ctx, seed, r)
}

// says is what a model answers at once.
func says(text string) because.Response {
	return because.Response{Text: text, Stop: because.StopEnd, Usage: because.Usage{Input: 10, Output: 5}}
}

// must fails the test on an error.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
