package eval

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval/evallog"
)

// recorder keeps what happens in a sample in the form of its log. Messages are pooled, since each request of an agent repeats the
// conversation before it.
type recorder struct {
	events []evallog.Event
	pool   []evallog.Message
	// conversation holds, for each place of the target's conversation, what stood there and where it is in the pool.
	conversation []pooled
	tools        []evallog.Tool
	toolsOf      []because.Tool
}

type pooled struct {
	message because.Message
	at      int
}

func (r *recorder) add(s *State, began time.Time, body evallog.Body) {
	working := began.Sub(s.beginning) - s.waited
	r.events = append(r.events, evallog.Event{UUID: s.id("event", len(r.events)), Timestamp: evallog.Time(began), WorkingStart: max(0, working.Seconds()), Body: body})
}

// id names something of a sample for the log, so that it is found again in the sample's messages and events. Other runs of the same
// sample have other ids: Inspect's data frames take equal ones for one message.
func (s *State) id(what string, n int) string {
	return strconv.FormatUint(mix(mix(s.Seed, s.salt), hash(what)+uint64(n)), 36)
}

func (r *recorder) start(s *State) {
	r.add(s, s.beginning, &evallog.SampleInit{Sample: evallog.InitSample{ID: evallog.StringID(s.Sample.ID), Input: input(s.Sample.Input), Target: evallog.One(s.Sample.Target),
		Metadata: metadata(s.Sample)}})
}

func (r *recorder) model(s *State, role, name string, q because.Request, a because.Response, err error, began time.Time, took time.Duration) {
	e := &evallog.ModelEvent{Model: name, Role: role, InputRefs: r.refs(s, role, q.Messages), Tools: r.declared(q.Tools), Config: config(q), WorkingTime: took.Seconds(),
		Completed: evallog.Time(began.Add(took)), Output: evallog.Output{Model: name}}
	if q.Choice != "" {
		e.ToolChoice = toolChoice(q.Choice)
	}
	if err != nil {
		e.Error = err.Error()
	} else {
		e.Output = output(name, a, s.id(role, s.asked[role]))
		e.Output.Time = took.Seconds()
	}
	r.add(s, began, e)
}

// refs puts messages into the pool, those of the target's conversation once, and gives the ranges where they stand.
func (r *recorder) refs(s *State, role string, messages []because.Message) [][2]int {
	var out [][2]int
	for i, m := range messages {
		at := len(r.pool)
		switch {
		case role != Target:
			r.pool = append(r.pool, message(m, s.id("message", at)))
		case i < len(r.conversation) && same(r.conversation[i].message, m):
			at = r.conversation[i].at
		default:
			r.pool = append(r.pool, message(m, s.id("message", at)))
			r.conversation = append(r.conversation[:i], pooled{m, at})
		}
		if n := len(out); n > 0 && out[n-1][1] == at {
			out[n-1][1]++
		} else {
			out = append(out, [2]int{at, at + 1})
		}
	}
	return out
}

func same(a, b because.Message) bool {
	return a.Role == b.Role && a.Content == b.Content && a.Name == b.Name && a.ToolCallID == b.ToolCallID && a.Reasoning == b.Reasoning &&
		string(a.Native) == string(b.Native) && slices.EqualFunc(a.ToolCalls, b.ToolCalls, func(x, y because.ToolCall) bool {
		return x.ID == y.ID && x.Name == y.Name && string(x.Arguments) == string(y.Arguments)
	})
}

// declared converts tools, which seldom change within a sample.
func (r *recorder) declared(tools []because.Tool) []evallog.Tool {
	if len(tools) == 0 {
		return nil
	}
	if len(tools) == len(r.toolsOf) && &tools[0] == &r.toolsOf[0] {
		return r.tools
	}
	out := make([]evallog.Tool, len(tools))
	for i, t := range tools {
		out[i] = evallog.Tool{Name: t.Name, Description: t.Description, Parameters: t.Parameters}
	}
	r.tools, r.toolsOf = out, tools
	return out
}

func (r *recorder) tool(s *State, c because.ToolCall, result string, failed bool, began time.Time) {
	call := toolCall(c)
	e := &evallog.ToolEvent{Type: "function", ID: c.ID, Function: c.Name, Arguments: call.Arguments, Result: evallog.String(result), Completed: evallog.Time(time.Now())}
	if failed {
		e.Error, e.Failed = &evallog.ToolError{Type: "unknown", Message: result}, true
	}
	r.add(s, began, e)
}

func (r *recorder) info(s *State, source string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		text = evallog.String(fmt.Sprint(data))
	}
	r.add(s, time.Now(), &evallog.InfoEvent{Source: source, Data: text})
}

func (r *recorder) score(s *State, scorer string, score because.Score) {
	target := evallog.One(s.Sample.Target)
	r.add(s, time.Now(), &evallog.ScoreEvent{Scorer: scorer, Score: logScore(score), Target: &target})
}

// sample gives the whole sample for the log.
func (s *State) sample(scores map[string]because.Score, err error) *evallog.Sample {
	now := time.Now()
	out := &evallog.Sample{ID: evallog.StringID(s.Sample.ID), Epoch: s.Epoch, Input: input(s.Sample.Input), Target: evallog.One(s.Sample.Target),
		Metadata: metadata(s.Sample), Output: output(s.models[Target].Name(), s.Output, s.id(Target, 0)), UUID: s.id("sample", 0),
		StartedAt: evallog.Time(s.beginning), CompletedAt: evallog.Time(now), TotalTime: now.Sub(s.beginning).Seconds(),
		WorkingTime: max(0, (now.Sub(s.beginning) - s.waited).Seconds()), TurnCount: s.asked[Target], ModelUsage: map[string]evallog.Usage{}}
	for name, u := range s.usage {
		out.ModelUsage[name] = usage(u)
	}
	s.record.refs(s, Target, s.Messages)
	for _, p := range s.record.conversation[:len(s.Messages)] {
		out.Messages = append(out.Messages, s.record.pool[p.at])
	}
	if s.limit != "" {
		limit := s.bound()
		out.Limit = &evallog.Limit{Type: s.limit, Limit: limit}
		s.record.add(s, now, &evallog.SampleLimitEvent{Type: s.limit, Message: "the sample reached its " + s.limit + " limit", Limit: &limit})
	}
	if err != nil {
		out.Error = &evallog.Error{Message: err.Error()}
		s.record.add(s, now, &evallog.ErrorEvent{Error: *out.Error})
	} else {
		out.Scores = make(map[string]evallog.Score, len(scores))
		for name, score := range scores {
			out.Scores[name] = logScore(score)
		}
	}
	out.Events = s.record.events
	out.EventsData = &evallog.EventsData{Messages: s.record.pool}
	return out
}

// bound is the value of the limit that was reached.
func (s *State) bound() float64 {
	switch l := s.task.Limits; s.limit {
	case "message":
		return float64(l.Messages)
	case "token":
		return float64(l.Tokens)
	default:
		return l.Time.Seconds()
	}
}
