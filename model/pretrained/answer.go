package pretrained

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/bpe"
	"github.com/because-lab/because/engine/infer"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/model/chat"
)

// ask renders a request with the given start of its answer.
func (m *Model) ask(r because.Request) ([]int32, chat.Format, error) {
	if r.As != "" {
		return nil, chat.Format{}, because.E("render conversation", r.As, errors.New("the checkpoint's template has one assistant and no other speakers"),
			"name the speaker in the system prompt")
	}
	prompt, format, err := m.Prompt(Conversation{Messages: r.Messages, Tools: r.Tools})
	if err != nil {
		return nil, format, err
	}
	return append(prompt, m.continued(r.Prefill)...), format, nil
}

// continued gives the tokens of text within an answer; none of it becomes a special token but the tags of the answer's
// syntax.
func (m *Model) continued(text string) []int32 {
	if text == "" {
		return nil
	}
	return m.tok.EncodeSpans([]bpe.Span{{Text: text}})
}

// ending is the token that ends an answer: the end of a turn where the checkpoint has one beside the end of a text.
func (m *Model) ending() int32 {
	eos, _ := m.tok.ID(m.eos)
	if m.eos != "" && slices.Contains(m.end, eos) {
		return eos
	}
	return m.end[len(m.end)-1]
}

// Answer answers one request with its own seed.
func (m *Model) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	return m.Tell(ctx, seed, r, nil)
}

// Tell is Answer that gives the text to emit as it comes: content alone, without reasoning and calls. What was emitted may go on
// past the request's stop strings.
func (m *Model) Tell(ctx context.Context, seed uint64, r because.Request, emit func(text string) error) (because.Response, error) {
	if err := can(r); err != nil {
		return because.Response{}, err
	}
	prompt, format, err := m.ask(r)
	if err != nil {
		return because.Response{}, err
	}
	if r.Temperature < 0 {
		r.Temperature = 1
	}
	a := &answer{decoder: m.decoder(), stream: chat.NewStream(format), emit: emit, stop: r.Stop}
	if err := a.take(a.stream.Push(r.Prefill)); err != nil {
		return because.Response{}, err
	}
	result, err := m.engine.Generate(ctx, infer.Request{Prompt: prompt, MaxNew: m.room(prompt, r.MaxTokens), Temperature: r.Temperature, TopP: r.TopP,
		Seed: seed, Stop: m.end}, a.token)
	if errors.Is(err, infer.ErrTooLong) {
		err = &model.Error{Kind: model.TooLong, Model: "local", Err: err}
	}
	if err != nil {
		return because.Response{}, err
	}
	if err := a.end(); err != nil {
		return because.Response{}, err
	}
	a.out.Usage, a.out.Stop = because.Usage{Input: len(prompt), Output: len(result.Tokens)}, because.StopEnd
	switch {
	case len(a.out.Calls) > 0:
		a.out.Stop = because.StopCalls
	case result.Stop == infer.StopLength:
		a.out.Stop = because.StopLength
	}
	return a.out, nil
}

// can refuses what a checkpoint in this process is not able to promise.
func can(r because.Request) error {
	switch {
	case r.Format != nil:
		return because.E("generate", "", &model.Error{Kind: model.Rejected, Model: "local", Err: errors.New("a checkpoint can't be held to a JSON schema")},
			"ask for JSON in the prompt, and check what comes")
	case r.Choice == "none" && len(r.Tools) > 0, r.Choice != "" && r.Choice != "auto" && r.Choice != "none":
		return because.E("generate", "tool choice "+r.Choice, &model.Error{Kind: model.Rejected, Model: "local", Err: errors.New("a checkpoint decides for itself whether to call a tool")},
			"leave the choice to it")
	}
	return nil
}

// room is how many tokens an answer may have: as many as asked for, or as fit behind the prompt. Where the prompt leaves
// none, the engine will say so.
func (m *Model) room(prompt []int32, asked int) int {
	left := m.engine.Limit() - len(prompt)
	if asked == 0 {
		return max(1, left)
	}
	if left > 0 {
		return min(asked, left)
	}
	return asked
}

// answer is an answer that is being generated.
type answer struct {
	decoder *decoder
	stream  *chat.Stream
	emit    func(string) error
	stop    []string
	stopped bool // at one of them
	out     because.Response
}

func (a *answer) token(t infer.Token) error {
	if err := a.take(a.stream.Push(a.decoder.next(t.ID))); err != nil {
		return err
	}
	for _, s := range a.stop {
		if at := strings.Index(a.out.Text, s); at >= 0 && s != "" {
			a.out.Text = a.out.Text[:at]
			a.stopped = true
			return infer.ErrStop
		}
	}
	return nil
}

func (a *answer) end() error {
	if a.stopped {
		return nil
	}
	if err := a.take(a.stream.Push(a.decoder.plain.Flush())); err != nil {
		return err
	}
	return a.take(a.stream.End())
}

// take adds what a piece of text turned out to be.
func (a *answer) take(d chat.Delta) error {
	a.out.Text += d.Content
	a.out.Reasoning += d.Reasoning
	for _, c := range d.Calls {
		if c.ID == "" {
			c.ID = fmt.Sprintf("call_%d", len(a.out.Calls)+1)
		}
		a.out.Calls = append(a.out.Calls, c)
	}
	if a.emit == nil || d.Content == "" {
		return nil
	}
	return a.emit(d.Content)
}
