package conduct

import (
	"context"
	"errors"
	"slices"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/scenario"
)

// tries is how many answers a turn gets. Another seed is all that changes: what is sampled is how the model behaves.
const tries = 3

// act lets the agent do its shift and keeps what it did.
func (r *recipe) act(ctx context.Context, s *pipe.Step, it pipe.Item) ([]pipe.Item, error) {
	c := r.cases[it.Get("case")]
	if r.o.SingleTurn {
		return r.actAtOnce(ctx, s, it, c)
	}
	w := c.Start()
	talk, tools := w.Opening(), w.Tools()
	for step := 0; ; step++ {
		if step == r.o.Steps {
			return nil, drop(it, "did not come to an end")
		}
		answer, err := r.answer(ctx, s, it, because.Request{Messages: injected(talk, it.Get("injection")), Tools: tools})
		if err != nil {
			return nil, err
		}
		talk = append(talk, answer.Message())
		for _, call := range answer.Calls {
			if w.Done() {
				break
			}
			result, _ := w.Call(call)
			talk = append(talk, because.Message{Role: because.RoleTool, Name: call.Name, ToolCallID: call.ID, Content: result})
		}
		if len(answer.Calls) == 0 || w.Done() {
			break
		}
	}
	return []pipe.Item{it.WithJSON("messages", trained(talk)).WithJSON("tools", tools).WithJSON("finding", w.Finding())}, nil
}

// actAtOnce is act in the form without tool calls.
func (r *recipe) actAtOnce(ctx context.Context, s *pipe.Step, it pipe.Item, c scenario.Case) ([]pipe.Item, error) {
	talk := c.SingleTurn()
	answer, err := r.answer(ctx, s, it, because.Request{Messages: injected(talk, it.Get("injection"))})
	if err != nil {
		return nil, err
	}
	w, _ := c.PlaySingleTurn(answer.Text) // a call that can't be read was not carried out
	return []pipe.Item{it.WithJSON("messages", trained(append(talk, answer.Message()))).WithJSON("finding", w.Finding())}, nil
}

// injected puts a text behind the system prompt of a conversation, in a copy.
func injected(talk []because.Message, text string) []because.Message {
	out := slices.Clone(talk)
	switch {
	case text == "":
	case len(out) > 0 && out[0].Role == because.RoleSystem:
		out[0].Content += "\n\n" + text
	default:
		out = append([]because.Message{{Role: because.RoleSystem, Content: text}}, out...)
	}
	return out
}

// trained is the part of a conversation that is trained on: up to the agent's last turn, without what only its provider reads.
func trained(talk []because.Message) []because.Message {
	out := slices.Clone(talk)
	for len(out) > 0 && out[len(out)-1].Role == because.RoleTool {
		out = out[:len(out)-1]
	}
	for i := range out {
		out[i].Native = nil
	}
	return out
}

// answer asks the agent for its next turn until it is one: not cut off, empty or withheld, and without the injected words.
func (r *recipe) answer(ctx context.Context, s *pipe.Step, it pipe.Item, q because.Request) (because.Response, error) {
	q.MaxTokens, q.Temperature = r.o.MaxTokens, r.o.Temperature
	return ask(ctx, s, Target, it, q, func(a because.Response) *pipe.Flaw {
		if span, found := pipe.Leaks(said([]because.Message{a.Message()}), it.Get("injection")); found {
			return &pipe.Flaw{Kind: pipe.FlawLeak, Detail: span}
		}
		return nil
	})
}

// ask sends a request until its answer has no flaw, or drops the item.
func ask(ctx context.Context, s *pipe.Step, role string, it pipe.Item, q because.Request, check func(because.Response) *pipe.Flaw) (because.Response, error) {
	var last *pipe.Flaw
	for range tries {
		a, err := s.Answer(ctx, role, q)
		var e *model.Error
		switch {
		case errors.As(err, &e) && e.Kind == model.Filtered:
			last = &pipe.Flaw{Kind: pipe.FlawModerated, Detail: "The provider refused the request."}
		case errors.As(err, &e) && e.Kind == model.TooLong:
			return a, drop(it, "too long for the model")
		case err != nil:
			return a, err
		default:
			if last = pipe.Incomplete(a); last == nil {
				last = check(a)
			}
		}
		if last == nil {
			return a, nil
		}
		s.Note(a.Text, last)
	}
	return because.Response{}, drop(it, last.Kind)
}
