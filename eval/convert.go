package eval

import (
	"encoding/json"
	"math"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval/evallog"
)

// This file turns the nouns of this module into those of Inspect's logs.

// Keys of a sample's metadata in the log beside those of its Meta.
const (
	clusterKey = "cluster"
	personaKey = "persona"
)

func metadata(s because.Sample) json.RawMessage {
	m := make(map[string]string, len(s.Meta)+2)
	for k, v := range s.Meta {
		m[k] = v
	}
	if s.Cluster != "" {
		m[clusterKey] = s.Cluster
	}
	if s.As != "" {
		m[personaKey] = s.As
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic("eval: a map of strings has no JSON: " + err.Error())
	}
	return text
}

func input(messages []because.Message) evallog.Input {
	if len(messages) == 1 && messages[0].Role == because.RoleUser && len(messages[0].ToolCalls) == 0 {
		return evallog.Input{Text: messages[0].Content}
	}
	out := evallog.Input{Messages: []evallog.Message{}}
	for _, m := range messages {
		out.Messages = append(out.Messages, message(m, ""))
	}
	return out
}

func message(m because.Message, id string) evallog.Message {
	out := evallog.Message{ID: id, Role: string(m.Role), Content: content(m.Content, m.Reasoning)}
	switch m.Role {
	case because.RoleAssistant:
		out.Source = "generate"
		for _, c := range m.ToolCalls {
			out.ToolCalls = append(out.ToolCalls, toolCall(c))
		}
	case because.RoleTool:
		out.ToolCallID, out.Function = evallog.One(m.ToolCallID), m.Name
	default:
		out.Source = "input"
	}
	return out
}

func content(text, reasoning string) evallog.Content {
	if reasoning == "" {
		return evallog.Text(text)
	}
	return evallog.Content{Parts: []evallog.Part{{Type: "reasoning", Reasoning: reasoning}, {Type: "text", Text: text}}}
}

func toolCall(c because.ToolCall) evallog.ToolCall {
	out := evallog.ToolCall{ID: c.ID, Function: c.Name, Arguments: c.Arguments, Type: "function"}
	var object map[string]json.RawMessage
	if err := Arguments(c, &object); err != nil {
		out.ParseError, out.Arguments = "the arguments are no JSON object: "+string(c.Arguments), json.RawMessage("{}")
	} else if object == nil {
		out.Arguments = json.RawMessage("{}")
	}
	return out
}

func output(name string, a because.Response, id string) evallog.Output {
	if a.Model != "" {
		name = a.Model
	}
	m := message(a.Message(), id)
	m.Model = name
	u := usage(a.Usage)
	return evallog.Output{Model: name, Completion: a.Text, Usage: &u, Choices: []evallog.Choice{{Message: m, StopReason: stopReason(a)}}}
}

func stopReason(a because.Response) string {
	switch {
	case a.Stop == because.StopLength:
		return "max_tokens"
	case a.Stop == because.StopFilter, a.Stop == because.StopCalls:
		return string(a.Stop)
	case len(a.Calls) > 0:
		return "tool_calls"
	case a.Stop == because.StopEnd:
		return "stop"
	}
	return "unknown"
}

func usage(u because.Usage) evallog.Usage {
	return evallog.Usage{InputTokens: u.Input, OutputTokens: u.Output, TotalTokens: u.Total(), InputTokensCacheRead: u.CacheRead, InputTokensCacheWrite: u.CacheWrite,
		ReasoningTokens: u.Reasoning}
}

func config(q because.Request) evallog.GenerateConfig {
	c := evallog.GenerateConfig{MaxTokens: q.MaxTokens, StopSeqs: q.Stop, ReasoningEffort: q.Effort}
	if q.Temperature >= 0 {
		c.Temperature = &q.Temperature
	}
	if q.TopP > 0 && q.TopP < 1 {
		c.TopP = &q.TopP
	}
	return c
}

func toolChoice(choice string) json.RawMessage {
	switch choice {
	case "auto", "none":
		return evallog.String(choice)
	case "required":
		return evallog.String("any")
	}
	return json.RawMessage(`{"name":` + string(evallog.String(choice)) + `}`)
}

// logScore gives a score for the log: its number where it has one, else its outcome as a word. What does not apply has no value.
func logScore(s because.Score) evallog.Score {
	out := evallog.Score{Answer: s.Answer, Explanation: s.Why}
	switch {
	case s.Outcome == NotApplicable:
		out.Value, out.Reason = evallog.Number(math.NaN()), "not applicable"
	case s.Value != nil:
		out.Value = evallog.Number(*s.Value)
	default:
		out.Value = evallog.String(string(s.Outcome))
	}
	if len(s.Meta) > 0 {
		if text, err := json.Marshal(s.Meta); err == nil {
			out.Metadata = text
		}
	}
	return out
}
