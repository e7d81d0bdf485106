package ui

import (
	"encoding/json"
	"math"
	"time"
)

// jsonView prints every event as one line of JSON.
type jsonView struct {
	*output
	told map[string]time.Time // of each running step's last progress that was printed
}

func newJSONView(out *output) *jsonView {
	return &jsonView{output: out, told: map[string]time.Time{}}
}

// jsonEvent is the form of a line. Done and total are absent where they are 0.
type jsonEvent struct {
	Time     time.Time `json:"time"`
	State    State     `json:"state,omitempty"`
	Step     string    `json:"step,omitempty"`
	Title    string    `json:"title,omitempty"`
	Kind     string    `json:"kind,omitempty"`
	Done     float64   `json:"done,omitempty"`
	Total    float64   `json:"total,omitempty"`
	Unit     string    `json:"unit,omitempty"`
	Note     string    `json:"note,omitempty"`
	Error    string    `json:"error,omitempty"`
	RunDone  float64   `json:"run_done,omitempty"`
	RunTotal float64   `json:"run_total,omitempty"`
	Message  string    `json:"message,omitempty"`
}

func (v *jsonView) event(e Event) {
	switch e.State {
	case Started:
	case Progress:
		if last, ok := v.told[e.Step]; ok && e.Time.Sub(last) < time.Second {
			return
		}
		v.told[e.Step] = e.Time
	default:
		delete(v.told, e.Step)
	}
	line := jsonEvent{Time: e.Time, State: e.State, Step: e.Step, Title: e.Title, Kind: e.Kind, Done: finite(e.Done), Total: finite(e.Total),
		Unit: e.Unit, Note: e.Note, RunDone: finite(e.RunDone), RunTotal: finite(e.RunTotal)}
	if e.Err != nil {
		line.Error = e.Err.Error()
	}
	v.encode(line)
}

func (v *jsonView) message(text string) { v.encode(jsonEvent{Time: time.Now(), Message: text}) }

func (v *jsonView) encode(line jsonEvent) {
	data, err := json.Marshal(line)
	if err != nil { // a time beyond the year 9999, the one field that can fail
		if v.first == nil {
			v.first = err
		}
		return
	}
	v.write(string(data) + "\n")
}

func (v *jsonView) frame() {}
func (v *jsonView) stop()  {}

// finite gives 0 for what JSON cannot hold.
func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return x
}
