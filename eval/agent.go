package eval

import (
	"context"
	"encoding/json"
	"time"

	"github.com/because-lab/because"
)

// Toolbox simulates the tools of one sample. Nothing is executed outside the simulation.
type Toolbox interface {
	Tools() []because.Tool
	// Call gives what the tool answers, and whether that is an error, which the model sees as well: an unknown tool, wrong
	// arguments. Arguments may be a JSON string where the model wrote no valid object.
	Call(c because.ToolCall) (result string, failed bool)
	// Done tells that there is nothing more to do.
	Done() bool
}

// Nudge is what an agent is told that neither calls a tool nor is done, so that it may go on or say that it ends.
const Nudge = "Please go on with your task, using the tools. If you are done, say so with the tool that ends the work."

// Agent lets the target act with tools until the toolbox is done, the target stops calling tools, or a limit is reached. It is told
// once to go on where it answers without a call.
func Agent(ctx context.Context, s *State, box Toolbox) error {
	s.Tools = box.Tools()
	nudged := false
	for !box.Done() {
		answer, err := s.Ask(ctx)
		if err != nil {
			return err
		}
		if answer.Stop == because.StopFilter || len(answer.Calls) == 0 && nudged {
			return nil
		}
		if len(answer.Calls) == 0 {
			nudged = true
			s.Messages = append(s.Messages, because.Message{Role: because.RoleUser, Content: Nudge})
			continue
		}
		for _, c := range answer.Calls {
			s.use(box, c)
		}
	}
	return nil
}

// use lets a tool answer a call.
func (s *State) use(box Toolbox, c because.ToolCall) {
	began := time.Now()
	result, failed := box.Call(c)
	s.record.tool(s, c, result, failed, began)
	s.Messages = append(s.Messages, because.Message{Role: because.RoleTool, Name: c.Name, ToolCallID: c.ID, Content: result})
}

// Arguments decodes a call's arguments. Where the model wrote no JSON object, the error says so in words for the model.
func Arguments(c because.ToolCall, into any) error {
	text := c.Arguments
	var s string
	if json.Unmarshal(text, &s) == nil {
		text = json.RawMessage(s)
	}
	return json.Unmarshal(text, into)
}
