package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/because-lab/because"
)

// temperatureFlag is a temperature that may be left to others.
type temperatureFlag struct {
	given bool
	value float64
}

// Set reads a temperature.
func (f *temperatureFlag) Set(text string) error {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || !(x >= 0 && x <= 2) && x != because.OwnTemperature {
		return errors.New("a temperature goes from 0 to 2, or is -1")
	}
	f.given, f.value = true, x
	return nil
}

// String gives what was set.
func (f *temperatureFlag) String() string {
	if !f.given {
		return ""
	}
	return strconv.FormatFloat(f.value, 'g', -1, 64)
}

// Type names the value in help.
func (f *temperatureFlag) Type() string { return "temperature" }

// writerFlags say how the writer is asked, where prompt files don't.
type writerFlags struct {
	maxTokens   int
	temperature temperatureFlag
	effort      string
}

// toldWriter is a writer that is asked as flags say instead of prompt files.
type toldWriter struct {
	because.Chat
	ask writerFlags
}

// identity tells a writer that is asked otherwise from the one whose answers may have been kept before; "" where nothing is said.
func (w toldWriter) identity() string {
	var parts []string
	if w.ask.maxTokens > 0 {
		parts = append(parts, fmt.Sprint("max-tokens ", w.ask.maxTokens))
	}
	if w.ask.temperature.given {
		parts = append(parts, "temperature "+w.ask.temperature.String())
	}
	if w.ask.effort != "" {
		parts = append(parts, "effort "+w.ask.effort)
	}
	return strings.Join(parts, ", ")
}

// Answer asks as the flags say.
func (w toldWriter) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	if w.ask.maxTokens > 0 {
		r.MaxTokens = w.ask.maxTokens
	}
	if w.ask.temperature.given {
		r.Temperature = w.ask.temperature.value
	}
	if w.ask.effort != "" {
		r.Effort = w.ask.effort
	}
	return w.Chat.Answer(ctx, seed, r)
}

// nobody is the writer of a recipe that asks none.
type nobody struct{}

// Name is what a card would say.
func (nobody) Name() string { return "nobody" }

// Answer fails.
func (nobody) Answer(context.Context, uint64, because.Request) (because.Response, error) {
	return because.Response{}, errors.New("the recipe was said to ask no model")
}

// wrapAt breaks a text into lines.
func wrapAt(text string, width int) string {
	var b strings.Builder
	at := 0
	for _, w := range strings.Fields(text) {
		switch {
		case at == 0:
		case at+1+len(w) > width:
			b.WriteByte('\n')
			at = 0
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(w)
		at += len(w)
	}
	return b.String()
}
