package evallog

import (
	"testing"
	"time"
)

// TestFilled checks that a message has one id wherever it stands, that equal ones are told apart, and that nothing shared is changed.
func TestFilled(t *testing.T) {
	hi := Message{Role: "user", Content: Text("hi")}
	yes := Message{Role: "assistant", Content: Text("yes")}
	talk := []Message{hi, yes, hi, yes}
	s := &Sample{
		ID: IntID(1), Epoch: 1, Messages: talk,
		Events: []Event{{Body: &ModelEvent{Input: talk[:1], Output: Output{Choices: []Choice{{Message: yes}}}}}, {Body: &ModelEvent{Input: talk[:3], Output: Output{Choices: []Choice{{Message: yes}}}}}},
	}
	out := s.filled("e")
	m := out.Messages
	seen := map[string]bool{"": true}
	for i := range m {
		if seen[m[i].ID] {
			t.Error("message", i, "has no id of its own", m[i].ID)
		}
		seen[m[i].ID] = true
	}
	first, second := out.Events[0].Body.(*ModelEvent), out.Events[1].Body.(*ModelEvent)
	if first.Input[0].ID != m[0].ID || second.Input[2].ID != m[2].ID || first.Output.Choices[0].Message.ID != m[1].ID || second.Output.Choices[0].Message.ID != m[3].ID {
		t.Error("a message has two ids")
	}
	other := *s
	other.Epoch = 2
	if talk[0].ID != "" || s.UUID != "" || s.Events[0].UUID != "" || first == s.Events[0].Body || other.filled("e").Messages[0].ID == m[0].ID {
		t.Error("what is shared was changed, or two epochs share an id")
	}
	var start Start
	start.fill(time.Unix(0, 0))
	if start.Eval.RunID == "" || start.Eval.RunID == start.Eval.EvalID || start.Eval.Created != "1970-01-01T00:00:00.000000+00:00" {
		t.Error(start)
	}
}
