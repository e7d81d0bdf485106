package hosted

import (
	"fmt"
	"slices"

	"github.com/because-lab/because"
)

// withIDs gives the messages with an ID on every tool call and the same one on its result, as the service wants them. Rows may leave
// them out, on either side: then results answer calls in their order. What has its ID keeps it.
func withIDs(messages []because.Message) []because.Message {
	out := slices.Clone(messages)
	taken := map[string]bool{}
	for _, m := range messages {
		taken[m.ToolCallID] = true
		for _, c := range m.ToolCalls {
			taken[c.ID] = true
		}
	}
	n := 0
	for i := range out {
		calls := slices.Clone(out[i].ToolCalls)
		if len(calls) == 0 {
			continue
		}
		out[i].ToolCalls = calls
		results := 0
		for results < len(out)-i-1 && out[i+1+results].Role == because.RoleTool {
			results++
		}
		pair(calls, out[i+1:i+1+results])
		for j := range calls { // calls that nobody answers
			for calls[j].ID == "" {
				if n++; !taken[fmt.Sprintf("call_%d", n)] {
					calls[j].ID = fmt.Sprintf("call_%d", n)
				}
			}
		}
		finish(calls, out[i+1:i+1+results])
	}
	return out
}

// pair gives calls without an ID that of the first result that no other call has.
func pair(calls []because.ToolCall, results []because.Message) {
	for _, r := range results {
		if r.ToolCallID == "" || slices.ContainsFunc(calls, func(c because.ToolCall) bool { return c.ID == r.ToolCallID }) {
			continue
		}
		if j := slices.IndexFunc(calls, func(c because.ToolCall) bool { return c.ID == "" }); j >= 0 {
			calls[j].ID = r.ToolCallID
		}
	}
}

// finish gives results without an ID that of the first call that waits for one.
func finish(calls []because.ToolCall, results []because.Message) {
	answered := map[string]bool{}
	for _, r := range results {
		answered[r.ToolCallID] = true
	}
	for i := range results {
		if results[i].ToolCallID != "" {
			continue
		}
		for _, c := range calls {
			if !answered[c.ID] {
				results[i].ToolCallID = c.ID
				answered[c.ID] = true
				break
			}
		}
	}
}
