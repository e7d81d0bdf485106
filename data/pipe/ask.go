package pipe

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/prompts"
	"github.com/because-lab/because/model"
)

// asker sends the requests of one stage (or of an Ask within a Do) to one model.
type asker struct {
	stage  string // path of names, for seeds
	ask    Ask
	prompt *prompts.Prompt
	chat   *model.Cached
	tries  int
	seed   func(item, stage string, n int) uint64
	flying *atomic.Int64
}

// result is what a stage made of an item.
type result struct {
	items []Item
	tries []Try
	count Count // of requests; In, Out and Dropped are the caller's
}

// run asks about one item until an answer is good. A *dropError drops the item.
func (a *asker) run(ctx context.Context, it Item) (result, error) {
	var res result
	base, err := a.request(it)
	if err != nil {
		return res, err
	}
	var last *Flaw
	for n := range a.tries {
		r := base
		if last != nil && !a.ask.Resample {
			r.Messages = remind(base.Messages, last)
		}
		answer, flaw, err := a.once(ctx, it, r, n, &res)
		if err != nil {
			return res, err
		}
		if flaw == nil {
			if flaw, err = a.read(it, answer, &res); err != nil {
				return res, err
			}
		}
		if flaw == nil {
			return res, nil
		}
		last = flaw
		res.count.Again = addCounts(res.count.Again, map[string]int{flaw.Kind: 1})
		res.tries = append(res.tries, Try{answer.Text, flaw.Kind, flaw.Detail})
	}
	return res, Drop(last.Kind)
}

// once sends one request; errors of the model that are about the request alone are flaws.
func (a *asker) once(ctx context.Context, it Item, r because.Request, n int, res *result) (because.Response, *Flaw, error) {
	a.flying.Add(1)
	answer, err := a.chat.Answer(ctx, a.seed(it.id, a.stage, n), r)
	a.flying.Add(-1)
	var e *model.Error
	if errors.As(err, &e) {
		switch e.Kind {
		case model.Filtered:
			res.count.Requests++
			return answer, &Flaw{FlawModerated, "The provider refused the request."}, nil
		case model.TooLong:
			return answer, nil, Drop("too long for the model")
		}
	}
	if err != nil {
		return answer, nil, err
	}
	res.count.Requests++
	res.count.Usage.Add(answer.Usage)
	return answer, Incomplete(answer), nil
}

// request makes the request for an item.
func (a *asker) request(it Item) (because.Request, error) {
	messages, err := a.prompt.Render(it.Lookup)
	if err != nil {
		return because.Request{}, fmt.Errorf("stage %s, item %s: %w", a.stage, it.id, err)
	}
	r := because.Request{Messages: messages, MaxTokens: a.prompt.MaxTokens, Temperature: a.prompt.Temperature, Effort: a.prompt.Effort}
	if a.ask.Request != nil {
		if err := a.ask.Request(it, &r); err != nil {
			return r, err
		}
	}
	return r, nil
}

// remind repeats a request with what was wrong about the last answer.
func remind(messages []because.Message, f *Flaw) []because.Message {
	out := append([]because.Message(nil), messages...)
	last := &out[len(out)-1]
	last.Content += fmt.Sprintf("\n\n[An earlier answer to this could not be used (%s): %s Answer again, in full and without speaking of this note.]", f.Kind, f.Detail)
	return out
}

// read turns an answer into items, or tells what is wrong with it.
func (a *asker) read(it Item, answer because.Response, res *result) (*Flaw, error) {
	for _, name := range a.ask.Injected {
		if span, found := Leaks(answer.Text, it.Get(name)); found {
			return &Flaw{FlawLeak, fmt.Sprintf("It repeats words of your instructions, %q, which the reader of your answer never sees.", span)}, nil
		}
	}
	items, err := a.items(it, answer)
	if err != nil {
		if Refused(answer.Text) && !a.ask.MayRefuse {
			return &Flaw{FlawRefused, "It refused the task."}, nil
		}
		return asFlaw(err, FlawShape)
	}
	if a.plain() && Refused(answer.Text) && !a.ask.MayRefuse {
		return &Flaw{FlawRefused, "It refused the task."}, nil
	}
	for _, out := range items {
		if a.ask.Check == nil {
			break
		}
		if err := a.ask.Check(it, out); err != nil {
			return asFlaw(err, FlawCheck)
		}
	}
	res.items = items
	return nil, nil
}

// plain tells whether the whole answer is the text, so that only its words tell a refusal.
func (a *asker) plain() bool { return a.ask.Read == nil && a.prompt.Answer.Text != "" }

// items reads the answer by the prompt's form or by the stage's own code.
func (a *asker) items(it Item, answer because.Response) ([]Item, error) {
	if a.ask.Read != nil {
		items, err := a.ask.Read(it, answer)
		if err == nil && len(items) == 0 {
			err = errors.New("nothing could be read from it")
		}
		return items, err
	}
	form := a.prompt.Answer
	texts, err := form.Read(answer.Text)
	if err != nil {
		return nil, err
	}
	var out []Item
	for i, t := range texts {
		pairs := make([]string, 0, 2*len(t))
		for name, text := range t {
			pairs = append(pairs, name, text)
		}
		if form.List != "" {
			out = append(out, it.Child(fmt.Sprintf("%02d", i+1), pairs...))
		} else {
			out = append(out, it.With(pairs...))
		}
	}
	return out, nil
}
