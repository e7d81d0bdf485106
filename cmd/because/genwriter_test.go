package main

import (
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model/mock"
)

// Flags of the writer take the places of what prompt files say, and tell its kept answers apart; without them nothing changes.
func TestToldWriter(t *testing.T) {
	m := mock.Must()
	file := because.Request{Messages: []because.Message{{Role: because.RoleUser, Content: "q"}}, MaxTokens: 300, Temperature: 0.7, Effort: "low"}
	told := writerFlags{maxTokens: 9000, effort: "high"}
	if err := told.temperature.Set("0"); err != nil {
		t.Fatal(err)
	}
	for _, w := range []toldWriter{{m, writerFlags{}}, {m, told}} {
		if _, err := w.Answer(t.Context(), 1, file); err != nil {
			t.Fatal(err)
		}
	}
	log := m.Log()
	if r := log[0].Request; r.MaxTokens != 300 || r.Temperature != 0.7 || r.Effort != "low" {
		t.Errorf("without flags: %+v", r)
	}
	if r := log[1].Request; r.MaxTokens != 9000 || r.Temperature != 0 || r.Effort != "high" {
		t.Errorf("with flags: %+v", r)
	}
	if a, b := (toldWriter{m, writerFlags{}}).identity(), (toldWriter{m, told}).identity(); a != "" || b != "max-tokens 9000, temperature 0, effort high" {
		t.Errorf("%q, %q", a, b)
	}
	for _, text := range []string{"", "x", "-0.5", "2.1", "NaN"} {
		if err := (&temperatureFlag{}).Set(text); err == nil {
			t.Errorf("%q is a temperature", text)
		}
	}
}
