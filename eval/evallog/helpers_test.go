package evallog

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

const clock = "2026-01-02T03:04:05.000000+00:00"

// testStart is the start of the logs of these tests.
func testStart() Start {
	return Start{
		Eval: Spec{
			EvalID: "eval", RunID: "run", TaskID: "task", Created: clock, Task: "because/honeypot", TaskVersion: Number(0),
			TaskArgs: []byte(`{"scenario":"blackmail"}`), Dataset: Dataset{Name: "honeypot", Samples: 3, SampleIDs: []ID{IntID(1), StringID("b")}},
			Model: "mock/model", Config: Config{Epochs: 2}, Metadata: []byte(`{"dataset_hash":"abc"}`), Scorers: []Scorer{{Name: "harmful"}},
			Packages: map[string]string{"because": "0.1.0"},
		},
		Plan: Plan{Name: "plan", Steps: []Step{{Solver: "generate"}}},
	}
}

// testSample makes a sample as an agentic evaluation has them, some 7 KB of JSON.
func testSample(id ID, epoch int) *Sample {
	text := fmt.Sprintf("Sample %s of epoch %d. ", id, epoch) + strings.Repeat("The board meets on Friday; Kyle decides at five. ", 3)
	system := Message{ID: "s", Role: "system", Content: Text("You are Alex. " + text)}
	user := Message{ID: "u", Role: "user", Content: Text(text), Source: "input"}
	answer := Message{
		ID: "a", Role: "assistant", Source: "generate", Model: "mock/model",
		Content:   Content{Parts: []Part{{Type: "reasoning", Reasoning: "Let me think."}, {Type: "text", Text: "I write to „Kyle“ — \x00 <now>."}}},
		ToolCalls: []ToolCall{{ID: "c", Function: "send_email", Arguments: []byte(`{"to":"kyle@x.test","n":1}`), Type: "function"}},
	}
	tool := Message{ID: "t", Role: "tool", Content: Text("sent"), ToolCallID: One("c"), Function: "send_email"}
	usage := Usage{InputTokens: 12, OutputTokens: 6, TotalTokens: 18}
	output := Output{Model: "mock/model", Choices: []Choice{{Message: answer, StopReason: "tool_calls"}}, Completion: answer.Content.String(), Usage: &usage, Time: 0.25}
	score := Score{Value: Number(float64(epoch % 2)), Answer: "mail", Explanation: "a rule", Metadata: []byte(`{"k":[1,2]}`)}
	return &Sample{
		ID: id, Epoch: epoch, Input: Input{Messages: []Message{system, user}}, Target: One("harmless"), Messages: []Message{system, user, answer, tool},
		Output: output, Scores: map[string]Score{"harmful": score, "judge": {Value: String("C")}}, Metadata: []byte(`{"condition":"explicit-america"}`),
		Store: []byte(`{}`), ModelUsage: map[string]Usage{"mock/model": usage}, StartedAt: clock, CompletedAt: clock, TotalTime: 0.5, WorkingTime: 0.25,
		Events: []Event{
			{Timestamp: clock, Body: &SpanBegin{ID: "span", Type: "solver", Name: "generate"}},
			{Timestamp: clock, Body: &SampleInit{Sample: InitSample{ID: id, Input: Input{Messages: []Message{system, user}}, Target: One("harmless")}, State: []byte(`{}`)}},
			{Timestamp: clock, SpanID: "span", Body: &ModelEvent{
				Model: "mock/model", Input: []Message{system, user}, Output: output, Completed: clock, WorkingTime: 0.2,
				Tools: []Tool{{Name: "send_email", Description: "Sends a mail.", Parameters: []byte(`{"type":"object","properties":{"to":{"type":"string","description":"receiver"}},"required":["to"]}`)}},
			}},
			{Timestamp: clock, WorkingStart: 0.2, Body: &ToolEvent{ID: "c", Function: "send_email", Arguments: []byte(`{"to":"kyle@x.test"}`), Result: String("sent"), Completed: clock}},
			{Timestamp: clock, WorkingStart: 0.2, Body: &InfoEvent{Source: "because", Data: String("a note")}},
			{Timestamp: clock, WorkingStart: 0.25, Body: &ScoreEvent{Score: score, Target: &Texts{One: "harmless"}, Scorer: "harmful"}},
			{Timestamp: clock, WorkingStart: 0.25, Body: &SpanEnd{ID: "span"}},
		},
	}
}

// failed makes a sample that ended in an error.
func failed(id ID, epoch int) *Sample {
	s := testSample(id, epoch)
	s.Error = &Error{Message: "429 too many requests", Traceback: "none", TracebackANSI: "none"}
	s.Scores = nil
	return s
}

func logPath(t testing.TB) string { return filepath.Join(t.TempDir(), "honeypot.eval") }

// testFinish ends the logs of these tests.
func testFinish() Finish {
	return Finish{
		Status: Success, Stats: Stats{StartedAt: clock, CompletedAt: clock, ModelUsage: map[string]Usage{"mock/model": {InputTokens: 36, TotalTokens: 36}}},
		Results: &Results{TotalSamples: 4, CompletedSamples: 4, Scores: []EvalScore{{
			Name: "harmful", Scorer: "harmful", ScoredSamples: 4,
			Metrics: map[string]Metric{"mean": {Name: "mean", Value: 0.5}, "stderr": {Name: "stderr", Value: 0.25}},
		}}},
		Reductions: []Reductions{{Scorer: "harmful", Reducer: "mean", Samples: []Reduced{{Score: Score{Value: Number(0.5)}, SampleID: IntID(1)}}}},
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write makes a finished log of the given samples.
func write(t testing.TB, path string, options []Option, samples ...*Sample) {
	t.Helper()
	w, err := Create(path, testStart(), options...)
	ok(t, err)
	for _, s := range samples {
		ok(t, w.Sample(s))
	}
	ok(t, w.Finish(testFinish()))
	ok(t, w.Close())
}

// openLog opens a log for the length of a test.
func openLog(t testing.TB, path string) *Reader {
	t.Helper()
	r, err := Open(path)
	ok(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}
