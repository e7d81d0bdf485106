package pipe

import (
	"context"
	"fmt"

	"github.com/because-lab/because"
)

// Step is what the code of a Do stage asks models through, for one item. Its methods are called one after the other: the place of a
// request among them is part of its seed.
type Step struct {
	run   *run
	stage int
	name  string
	item  string
	asked int
	res   result
	model string // last asked
}

// Answer sends one request to the model of a role and gives its answer as it is; see Incomplete, Refused and Leaks. The answer is kept.
func (s *Step) Answer(ctx context.Context, role string, r because.Request) (because.Response, error) {
	chat, err := s.chat(role)
	if err != nil {
		return because.Response{}, err
	}
	return chat.Answer(ctx, s.next(), r)
}

// Model gives the model of a role, for code that asks by itself, such as a judge. Its answers are kept and counted; seeds are the caller's (Seed).
func (s *Step) Model(role string) (because.Chat, error) { return s.chat(role) }

// Ask does as a stage of its own would: it asks about an item until an answer is good. What is in Name, Prompt and Uses is checked when it is
// called. The items have no step of their own in the lineage.
func (s *Step) Ask(ctx context.Context, a Ask, it Item) ([]Item, error) {
	asker, err := s.run.asker(s.stage, s.name+"."+a.Name, a)
	if err != nil {
		return nil, err
	}
	res, err := asker.run(ctx, it)
	addCount(&s.res.count, res.count)
	s.res.tries = append(s.res.tries, res.tries...)
	s.model = asker.chat.Name()
	return res.items, err
}

// Note counts an answer that could not be used, with what was wrong, and keeps it in the lineage.
func (s *Step) Note(answer string, f *Flaw) {
	s.res.count.Again = addCounts(s.res.count.Again, map[string]int{f.Kind: 1})
	s.res.tries = append(s.res.tries, Try{answer, f.Kind, f.Detail})
}

// Seed gives a number drawn from the run's seed, the stage, the item and a purpose.
func (s *Step) Seed(purpose string) uint64 { return s.run.seedOf(s.item, s.name+" "+purpose, 0) }

func (s *Step) next() uint64 {
	s.asked++
	return s.run.seedOf(s.item, s.name, s.asked)
}

func (s *Step) chat(role string) (because.Chat, error) {
	chat, err := s.run.chat(s.stage, s.name, "", 0, role)
	if err != nil {
		return nil, fmt.Errorf("stage %s: %w", s.name, err)
	}
	s.model = chat.Name()
	return &countedChat{chat, s}, nil
}

// countedChat counts what a Do stage asks.
type countedChat struct {
	because.Chat
	s *Step
}

// Answer asks and counts.
func (c *countedChat) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	flying := &c.s.run.states[c.s.stage].flying
	flying.Add(1)
	out, err := c.Chat.Answer(ctx, seed, r)
	flying.Add(-1)
	if err == nil {
		c.s.run.mu.Lock() // a judge may ask several times at once
		c.s.res.count.Requests++
		c.s.res.count.Usage.Add(out.Usage)
		c.s.run.mu.Unlock()
	}
	return out, err
}
