package hosted

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/because-lab/because"
)

// The limits of OpenAI's fine-tuning API.
const (
	minExamples = 10
	maxTools    = 128
	maxBytes    = 512 << 20 // of a file
	maxProblems = 10        // that are told at once
)

var (
	functionName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	speakerName  = regexp.MustCompile(`^[^\s<|\\/>]{1,64}$`)
	// special are marks of the service's own format, which it refuses inside texts.
	special = regexp.MustCompile(`<\|(?:endoftext|endofprompt|fim_(?:prefix|middle|suffix)|im_(?:start|end|sep))\|>`)
)

// checkRows refuses what the service would refuse after the upload. Each problem is named by its row and column; of many, the first are told.
func checkRows(rows []Row, file string, least int) error {
	var problems []error
	for _, r := range rows {
		if r.Text != "" {
			return because.E("check training data", r.Place+": text", errors.New("the row is a document, and hosted services train on conversations only"),
				"train on documents with --engine local, or make conversations of them")
		}
		for _, err := range r.problems() {
			problems = append(problems, because.E("check training data", r.Place+": "+err.column, err.error, err.hint))
		}
	}
	if len(rows) < least {
		problems = append(problems, because.E("check training data", file, fmt.Errorf("there are %d examples, and the service wants at least %d", len(rows), least),
			"add examples"))
	}
	if more := len(problems) - maxProblems; more > 0 {
		problems = append(problems[:maxProblems], because.E("check training data", file, fmt.Errorf("and %d problems more", more), ""))
	}
	return errors.Join(problems...)
}

// problem is what is wrong with a column of a row.
type problem struct {
	column string
	error
	hint string
}

func wrong(column, hint, format string, args ...any) problem {
	return problem{column, fmt.Errorf(format, args...), hint}
}

// problems finds what is wrong with a row.
func (r Row) problems() []problem {
	var out []problem
	out = append(out, r.checkTools()...)
	for i, m := range r.Messages {
		out = append(out, r.checkMessage(i, m)...)
	}
	if n := len(r.Messages); n == 0 {
		out = append(out, wrong("messages", "", "there are none"))
	} else if last := r.Messages[n-1]; last.Role != because.RoleAssistant {
		out = append(out, wrong(fmt.Sprintf("messages[%d].role", n-1), "end the conversation with the answer that is to be learnt", "the last message is the %s's, not the assistant's", last.Role))
	} else if r.Loss >= n {
		out = append(out, wrong("messages", "", "no turn carries loss, so there is nothing to learn"))
	}
	return append(out, r.checkPairs()...)
}

func (r Row) checkTools() []problem {
	var out []problem
	if len(r.Tools) > maxTools {
		out = append(out, wrong("tools", "", "%d tools are more than %d", len(r.Tools), maxTools))
	}
	seen := map[string]bool{}
	for i, t := range r.Tools {
		column := fmt.Sprintf("tools[%d]", i)
		if !functionName.MatchString(t.Name) {
			out = append(out, wrong(column+".name", "", "%q is no name of a function: letters, digits, _ and -, at most 64", t.Name))
		}
		if seen[t.Name] {
			out = append(out, wrong(column+".name", "", "%s stands in the list twice", t.Name))
		}
		seen[t.Name] = true
		var object map[string]any
		if len(t.Parameters) > 0 && json.Unmarshal(t.Parameters, &object) != nil {
			out = append(out, wrong(column+".parameters", "", "they are no JSON schema"))
		}
	}
	return out
}

func (r Row) checkMessage(i int, m because.Message) []problem {
	column := fmt.Sprintf("messages[%d]", i)
	var out []problem
	add := func(field, hint, format string, args ...any) {
		out = append(out, wrong(column+field, hint, format, args...))
	}
	switch m.Role {
	case because.RoleSystem, because.RoleUser, because.RoleAssistant, because.RoleTool:
	default:
		add(".role", "", "%q is none of system, user, assistant and tool", m.Role)
	}
	if m.Content == "" && len(m.ToolCalls) == 0 && m.Role != because.RoleTool { // a tool may answer nothing
		add(".content", "", "it is empty")
	}
	if mark := special.FindString(m.Content); mark != "" {
		add(".content", "write it otherwise, or leave the row out", "it holds %s, a mark of the service's own format, which it refuses", mark)
	}
	if m.Name != "" && !speakerName.MatchString(m.Name) {
		add(".name", "", "%q can't be a name there: at most 64 characters, without spaces and any of <>|\\/", m.Name)
	}
	if m.Reasoning != "" {
		add(".reasoning", "leave it out, or train with --engine local", "hosted services train no reasoning apart from the answer")
	}
	if len(m.ToolCalls) > 0 && m.Role != because.RoleAssistant {
		add(".tool_calls", "", "the role %s makes no calls", m.Role)
	}
	for j, c := range m.ToolCalls {
		if !slices.ContainsFunc(r.Tools, func(t because.Tool) bool { return t.Name == c.Name }) {
			add(fmt.Sprintf(".tool_calls[%d]", j), "add the tool to the row's tools", "it calls %s, which is not among the row's %d tools", c.Name, len(r.Tools))
		}
		var object map[string]any
		if json.Unmarshal(c.Arguments, &object) != nil || object == nil {
			add(fmt.Sprintf(".tool_calls[%d].arguments", j), "", "they are no JSON object")
		}
	}
	return out
}

// checkPairs wants every call answered before somebody else speaks, unless the conversation ends there, and no answer without a call.
func (r Row) checkPairs() []problem {
	var out []problem
	var open []because.ToolCall
	for i, m := range withIDs(r.Messages) {
		column := fmt.Sprintf("messages[%d]", i)
		if m.Role == because.RoleTool {
			j := slices.IndexFunc(open, func(c because.ToolCall) bool { return c.ID == m.ToolCallID })
			if j < 0 {
				out = append(out, wrong(column+".tool_call_id", "", "no call before it has the id %q", m.ToolCallID))
				continue
			}
			open = slices.Delete(slices.Clone(open), j, j+1)
			continue
		}
		if len(open) > 0 {
			out = append(out, wrong(column, "", "the call of %s before it has no result", open[0].Name))
		}
		open = m.ToolCalls
		ids := map[string]bool{}
		for _, c := range open {
			if ids[c.ID] {
				out = append(out, wrong(column+".tool_calls", "", "two calls have the id %q", c.ID))
			}
			ids[c.ID] = true
		}
	}
	return out
}
