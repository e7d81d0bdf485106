package understanding

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// author is a model that writes or reviews.
type author struct {
	chat     because.Chat
	noFormat atomic.Bool // it has rejected structured output
}

// unusable is why an item is given up. Every other error ends the whole.
type unusable struct{ why string }

func (u *unusable) Error() string { return u.why }

// count says what an item took.
type count struct{ asked, again int }

// ask puts a prompt to a model until the answer is of the form and passes the check. After the last attempt, or where the model's provider
// won't answer such a request, it gives an unusable error.
func (g *generator) ask(ctx context.Context, a *author, seeds *rand.Rand, prompt string, f form, n *count, check func(reply) error) (reply, error) {
	messages := []because.Message{{Role: because.RoleUser, Content: prompt}}
	var last error
	for try := range g.o.Attempts {
		answer, err := a.answer(ctx, seeds.Uint64(), because.Request{Messages: messages, MaxTokens: g.o.MaxTokens, Temperature: g.o.Temperature, Effort: g.o.Effort}, f)
		switch model.KindOf(err) {
		case model.Filtered, model.TooLong, model.Rejected:
			return reply{}, &unusable{err.Error()}
		}
		if err != nil {
			return reply{}, err
		}
		n.asked++
		if try > 0 {
			n.again++
		}
		r, err := f.take(answer)
		if err == nil {
			err = check(r)
		}
		if err == nil {
			return r, nil
		}
		last = err
		messages = append(messages[:1:1],
			because.Message{Role: because.RoleAssistant, Content: shown(answer.Text)},
			because.Message{Role: because.RoleUser, Content: "That answer can't be used:\n\n" + err.Error() + "\n\nGive the whole again as one JSON object: " + f.show()})
	}
	return reply{}, &unusable{fmt.Sprintf("no usable answer in %d attempts; the last time: %v", g.o.Attempts, last)}
}

// take reads an answer that has come to its end.
func (f form) take(a because.Response) (reply, error) {
	if a.Stop == because.StopFilter {
		return reply{}, errors.New("the provider's own filter ended it")
	}
	r, err := f.read(a.Text)
	if err != nil && a.Stop == because.StopLength {
		err = fmt.Errorf("it ran into the limit on its length, so keep it short: %w", err)
	}
	return r, err
}

// mostShown is how much of an unusable answer the next attempt is shown; some providers refuse an empty turn.
const mostShown = 4000

func shown(answer string) string {
	if answer == "" {
		return "(no answer)"
	}
	return cutTo(answer, mostShown)
}

// answer asks once, with structured output if the model has not rejected it.
func (a *author) answer(ctx context.Context, seed uint64, r because.Request, f form) (because.Response, error) {
	if !a.noFormat.Load() {
		r.Format = f.schema()
	}
	answer, err := a.chat.Answer(ctx, seed, r)
	if r.Format != nil && model.KindOf(err) == model.Rejected {
		r.Format = nil
		if answer, err = a.chat.Answer(ctx, seed, r); err == nil {
			a.noFormat.Store(true)
		}
	}
	return answer, err
}
