package evallog

import (
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"
)

// maxSummary is the length in bytes up to which texts and metadata go into a summary, as in Inspect.
const maxSummary = 1024

// Summarize makes the summary of a sample: its texts cut to a thousand bytes, large metadata and images left out.
func Summarize(s *Sample) Summary {
	out := Summary{
		ID: s.ID, Epoch: s.Epoch, Input: summaryInput(s.Input), Choices: s.Choices, Target: s.Target, Description: s.Description,
		Metadata: thin(s.Metadata), Scores: make(map[string]Score, len(s.Scores)), ModelUsage: s.ModelUsage, RoleUsage: s.RoleUsage,
		StartedAt: s.StartedAt, CompletedAt: s.CompletedAt, TotalTime: s.TotalTime, WorkingTime: s.WorkingTime, UUID: s.UUID,
		Retries: len(s.ErrorRetries), Completed: true, MessageCount: len(s.Messages), TurnCount: s.TurnCount,
	}
	out.Target.One = cut(out.Target.One)
	for i, text := range out.Target.Many {
		if len(text) > maxSummary {
			out.Target.Many = slices.Clone(out.Target.Many)
			out.Target.Many[i] = cut(text)
		}
	}
	for name, score := range s.Scores {
		score.Answer, score.Explanation = cut(score.Answer), cut(score.Explanation)
		score.Metadata, score.History = thin(score.Metadata), nil
		out.Scores[name] = score
	}
	if s.Error != nil {
		out.Error = s.Error.Message
		if out.Error == "" {
			out.Error = "error without a message" // must not look like a sample that went well
		}
	}
	if s.Limit != nil {
		out.Limit, out.LimitReason = s.Limit.Type, s.Limit.Reason
	}
	return out
}

// summaryInput keeps the text of an input.
func summaryInput(in Input) Input {
	if in.Messages == nil {
		return Input{Text: cut(in.Text)}
	}
	out := make([]Message, len(in.Messages))
	for i, m := range in.Messages {
		out[i] = Message{ID: m.ID, Role: m.Role, Content: Text(cut(m.Content.String())), Source: m.Source, Function: m.Function, ToolCallID: m.ToolCallID}
	}
	return Input{Messages: out}
}

// cut shortens a text at the border of a character.
func cut(s string) string {
	if len(s) <= maxSummary {
		return s
	}
	n := maxSummary
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

// thin takes what is large out of an object.
func thin(object json.RawMessage) json.RawMessage {
	if len(object) <= maxSummary {
		return object
	}
	var fields map[string]json.RawMessage
	if decode(object, &fields) != nil {
		return nil // Sample reports broken JSON
	}
	for name, value := range fields {
		if len(value) <= maxSummary {
			continue
		}
		delete(fields, name)
		if s := ""; value[0] == '"' && decode(value, &s) == nil {
			fields[name] = String(cut(s))
		}
	}
	text, err := encode(nil, &fields)
	if err != nil {
		return nil
	}
	return text
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
