package pretrained

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model/chat"
)

// Example is a conversation in tokens; Learn marks those of the assistant's turns, with the mark that ends a turn.
type Example struct {
	Tokens []int32
	Learn  []bool
}

// Examples turns a conversation into training examples: the assistant's turns from message loss on are to be learnt. As
// when the model answers, each turn is tokenized apart from the prompt that it answers. Most templates give one example.
// Where a template writes a turn otherwise once the conversation has gone on (it leaves out earlier reasoning, say), each
// turn becomes an example of its own, behind the prompt that the model will see.
func (t *Text) Examples(c Conversation, loss int) ([]Example, error) {
	var turns []turn
	for i, m := range c.Messages {
		if m.Role != because.RoleAssistant || i < loss {
			continue
		}
		one, err := t.turn(c, i)
		if err != nil {
			return nil, fmt.Errorf("messages[%d]: %w", i, err)
		}
		turns = append(turns, one)
	}
	if len(turns) == 0 {
		return nil, errors.New("no turn is the assistant's, so there is nothing to learn")
	}
	if nested(turns) {
		return []Example{t.join(turns)}, nil
	}
	var out []Example
	for _, one := range turns {
		out = append(out, t.join([]turn{one}))
	}
	return out, nil
}

// turn is a turn of the assistant as the template writes it: all before it, and itself.
type turn struct{ before, own []chat.Span }

func (t *Text) turn(c Conversation, i int) (turn, error) {
	c.Messages = c.Messages[:i+1]
	whole, err := t.render(c, false)
	if err != nil {
		return turn{}, err
	}
	c.Messages = c.Messages[:i]
	before, err := t.render(c, true)
	if err != nil {
		return turn{}, err
	}
	n := len(chat.Text(before))
	if !strings.HasPrefix(chat.Text(whole), chat.Text(before)) {
		return turn{}, errors.New("the template writes this turn otherwise than it asks for it, so it can't be told what the model is to learn")
	}
	return turn{before, skip(whole, n)}, nil
}

// nested tells whether every turn's text begins with the whole of the turn before it.
func nested(turns []turn) bool {
	for i := 1; i < len(turns); i++ {
		if !strings.HasPrefix(chat.Text(turns[i].before), chat.Text(turns[i-1].before)+chat.Text(turns[i-1].own)) {
			return false
		}
	}
	return true
}

// join puts nested turns into one example.
func (t *Text) join(turns []turn) Example {
	var e Example
	done := 0 // bytes of the last turn's text that are in the example
	for _, one := range turns {
		e.add(t.encode(skip(one.before, done)), 0)
		own := t.encode(one.own)
		e.add(own, t.learnt(own))
		done = len(chat.Text(one.before)) + len(chat.Text(one.own))
	}
	return e
}

func (e *Example) add(tokens []int32, learn int) {
	e.Tokens = append(e.Tokens, tokens...)
	for i := range tokens {
		e.Learn = append(e.Learn, i < learn)
	}
}

// learnt counts the tokens of a turn that the model has to write: those up to the mark that ends it. Without such a
// mark all of them.
func (t *Text) learnt(own []int32) int {
	for i := len(own) - 1; i >= 0; i-- {
		if slices.Contains(t.end, own[i]) {
			return i + 1
		}
	}
	return len(own)
}

// skip leaves out the first n bytes.
func skip(spans []chat.Span, n int) []chat.Span {
	for i, s := range spans {
		if n < len(s.Text) {
			s.Text = s.Text[n:]
			return append([]chat.Span{s}, spans[i+1:]...)
		}
		n -= len(s.Text)
	}
	return nil
}
