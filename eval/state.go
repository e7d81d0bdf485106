package eval

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/because-lab/because"
)

// The roles of models in an evaluation. A task may use others.
const (
	Target = "target"
	Judge  = "judge"
)

// State is a sample in progress. Its fields are for one goroutine at a time; models that it gives may be asked by several.
type State struct {
	Sample   because.Sample
	Epoch    int    // from 1
	Seed     uint64 // of this sample in this epoch
	Messages []because.Message
	Tools    []because.Tool
	Output   because.Response // the target's last answer
	Values   map[string]any   // what the solver leaves for the scorers

	task   *Task
	salt   uint64 // of the run
	models map[string]because.Chat

	mu        sync.Mutex       // guards what follows: a judge may ask several times at once
	asked     map[string]int   // answers by role
	failed    map[string]error // of each role whose last request failed
	usage     map[string]because.Usage
	used      int // tokens of the target
	limit     string
	record    recorder
	beginning time.Time
	waited    time.Duration // for models
}

func newState(t *Task, sample because.Sample, epoch int, seed, salt uint64, models map[string]because.Chat) *State {
	s := &State{Sample: sample, Epoch: epoch, Seed: seed, Messages: append([]because.Message(nil), sample.Input...), Values: map[string]any{},
		task: t, salt: salt, models: models, asked: map[string]int{}, failed: map[string]error{}, usage: map[string]because.Usage{}, beginning: time.Now()}
	s.record.start(s)
	return s
}

// errLimit ends a solver at one of the task's limits. It is no error of the sample.
var errLimit = errors.New("limit reached")

// Ask lets the target answer the conversation so far, with the state's tools, and adds the answer to it.
func (s *State) Ask(ctx context.Context) (because.Response, error) {
	if err := s.within(); err != nil {
		return because.Response{}, err
	}
	r := because.Request{Messages: s.Messages, Tools: s.Tools, As: s.Sample.As, MaxTokens: s.task.Ask.MaxTokens, Temperature: s.task.Ask.Temperature,
		TopP: s.task.Ask.TopP, Stop: s.task.Ask.Stop, Effort: s.task.Ask.Effort}
	if s.Asked(Target) == 0 {
		r.Prefill = s.Sample.Prefill
	}
	answer, err := s.ask(ctx, Target, r)
	if err != nil {
		return because.Response{}, err
	}
	s.used += answer.Usage.Total()
	s.Output = answer
	s.Messages = append(s.Messages, answer.Message())
	return answer, nil
}

// within ends the solver where a limit is reached.
func (s *State) within() error {
	l := s.task.Limits
	switch {
	case l.Messages > 0 && len(s.Messages) >= l.Messages:
		s.limit = "message"
	case l.Tokens > 0 && s.used >= l.Tokens:
		s.limit = "token"
	default:
		return nil
	}
	return errLimit
}

// LogProbs gives the log-probabilities of answers to the conversation so far, token by token, where the target can tell them.
func (s *State) LogProbs(ctx context.Context, prefill string, answers []because.Message) ([][]float32, error) {
	m, ok := s.models[Target].(because.Likelihood)
	if !ok {
		return nil, because.E("score by likelihood", s.models[Target].Name(), errors.New("the model gives no log-probabilities"),
			"use a local checkpoint, or let the model act")
	}
	requests := make([]because.Request, len(answers))
	for i := range requests {
		requests[i] = because.Request{Messages: s.Messages, Tools: s.Tools, As: s.Sample.As, Prefill: prefill}
	}
	began := time.Now()
	out, err := m.LogProbs(ctx, requests, answers)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waited += time.Since(began)
	if err != nil {
		s.failed[Target] = err
		return nil, err
	}
	if len(out) != len(answers) {
		return nil, fmt.Errorf("%d scores for %d answers", len(out), len(answers))
	}
	delete(s.failed, Target)
	s.asked[Target]++
	return out, nil
}

// Model gives the model of a role, such as the judge. What it is asked stands in the sample's log, and a sample whose last
// request to it failed can't be scored.
func (s *State) Model(role string) (because.Chat, error) {
	m, ok := s.models[role]
	if !ok {
		return nil, because.E("evaluate", s.task.Name, fmt.Errorf("it needs a model as %s", role), "name one with --"+role)
	}
	return recorded{s, role, m}, nil
}

// Asked tells how often a role has answered.
func (s *State) Asked(role string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[role]
}

// Limit tells which limit ended the solver: "message", "token", "time", or "".
func (s *State) Limit() string { return s.limit }

// Note puts something that happened into the sample's log.
func (s *State) Note(source string, data any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record.info(s, source, data)
}

// Transcript gives the conversation so far.
func (s *State) Transcript() because.Transcript {
	return because.Transcript{Messages: s.Messages, Tools: s.Tools}
}

// recorded is a model whose requests stand in a sample's log.
type recorded struct {
	s    *State
	role string
	m    because.Chat
}

func (r recorded) Name() string { return r.m.Name() }

func (r recorded) Answer(ctx context.Context, seed uint64, q because.Request) (because.Response, error) {
	return r.s.call(ctx, r.role, r.m, seed, q)
}

func (s *State) ask(ctx context.Context, role string, r because.Request) (because.Response, error) {
	m, ok := s.models[role]
	if !ok {
		return because.Response{}, because.E("evaluate", s.task.Name, fmt.Errorf("it has no model as %s", role), "")
	}
	return s.call(ctx, role, m, mix(s.Seed, uint64(s.Asked(role))), r)
}

// call asks a model and records how that went.
func (s *State) call(ctx context.Context, role string, m because.Chat, seed uint64, r because.Request) (because.Response, error) {
	began := time.Now()
	answer, err := m.Answer(ctx, seed, r)
	took := time.Since(began)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waited += took
	s.record.model(s, role, m.Name(), r, answer, err, began, took)
	if err != nil {
		s.failed[role] = err
		return because.Response{}, err
	}
	delete(s.failed, role)
	s.asked[role]++
	u := s.usage[m.Name()]
	u.Add(answer.Usage)
	s.usage[m.Name()] = u
	return answer, nil
}

// TargetName gives the name of the model that is evaluated.
func (s *State) TargetName() string { return s.models[Target].Name() }
