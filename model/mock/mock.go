// Package mock is a model that answers by rules: for tests, for trying out evaluations without a key, and for rehearsing failures. Rules
// are Go values or stand in a YAML file. Equal rules, seeds and requests give equal answers.
package mock

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// Text is what the model answers that has no rules.
const Text = "This is the mock model's answer."

// Rule says what the model does with the requests that it matches. Of several rules the first one that matches is taken. A rule with
// Calls matches only where its tools are offered and may be called; one without them does not match where a call is required. A rule with
// JSON or with an answer that is valid JSON is what matches where a format is asked for.
type Rule struct {
	When `yaml:"when"`
	// Share is the part of the matching requests that the rule takes, drawn by seed, request, and how often the model has
	// seen both: a request that is sent again is drawn again. 0 means all.
	Share float64 `yaml:"share"`

	Answer    string   `yaml:"answer"`
	Answers   []string `yaml:"answers"` // one of them, drawn by seed and request
	JSON      any      `yaml:"json"`    // an answer as a value
	Reasoning string   `yaml:"reasoning"`
	Calls     []Call   `yaml:"calls"`
	// Stop overrides the reason that the answer gives for its end.
	Stop because.StopReason `yaml:"stop"`

	Error      model.Kind    `yaml:"error"` // fails instead, as the provider of a served model would
	RetryAfter time.Duration `yaml:"retry_after"`
	After      time.Duration `yaml:"after"` // answers or fails so much later
	Hang       bool          `yaml:"hang"`  // until the context ends

	// Do gives the answer by a function, in Go only. Its text goes on from the request's Prefill and is taken as it is.
	Do func(ctx context.Context, seed uint64, r because.Request) (because.Response, error) `yaml:"-"`
}

// Call is a tool call of an answer. Its ID is made from its place in the conversation.
type Call struct {
	Name      string         `yaml:"name"`
	Arguments map[string]any `yaml:"arguments"`
}

// Options say more about a model than its rules.
type Options struct {
	Name string // "" means mock
	Keep int    // how many of the last requests the log holds; 0: 4096
}

// Entry is a request that the model has dealt with.
type Entry struct {
	Seed     uint64
	Request  because.Request
	Response because.Response
	Err      error
	Rule     int // place of the rule that was taken; -1: none matched
}

// Model is a scripted because.Chat. Many goroutines may ask at once.
type Model struct {
	name  string
	rules []compiled
	keep  int
	draws bool // some rule takes a share

	mu    sync.Mutex
	log   []Entry
	count int
	seen  map[[32]byte]int // how often a request with its seed has come, where that matters
}

// New makes a model of rules. Without rules it answers Text. A rule that can't work is an error that tells its place, from 1.
func New(rules []Rule, o Options) (*Model, error) {
	m := &Model{name: o.Name, keep: o.Keep, seen: map[[32]byte]int{}}
	if m.name == "" {
		m.name = "mock"
	}
	if m.keep == 0 {
		m.keep = 4096
	}
	if len(rules) == 0 {
		rules = []Rule{{Answer: Text}}
	}
	for i, r := range rules {
		c, err := compile(i, r)
		if err != nil {
			return nil, &ruleError{i, because.E("make mock model", fmt.Sprintf("%s: rule %d", m.name, i+1), err, "")}
		}
		m.rules, m.draws = append(m.rules, c), m.draws || r.Share > 0
	}
	return m, nil
}

// ruleError is what is wrong with a rule, with its place in the list.
type ruleError struct {
	rule int
	error
}

func (e *ruleError) Unwrap() error { return e.error }

// Must is New for rules that are known to work.
func Must(rules ...Rule) *Model {
	m, err := New(rules, Options{})
	if err != nil {
		panic(err)
	}
	return m
}

// Name gives the model's name.
func (m *Model) Name() string { return m.name }

// Log gives the last requests in the order in which they were finished.
func (m *Model) Log() []Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.log[max(0, len(m.log)-m.keep):])
}

// Count is how many requests have come, those that wait among them.
func (m *Model) Count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count
}

// Answer answers by the first rule that matches.
func (m *Model) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	if err := ctx.Err(); err != nil {
		return because.Response{}, err
	}
	if r.As != "" {
		return because.Response{}, &model.Error{Kind: model.Rejected, Model: m.name, Err: because.E("answer as", r.As,
			errors.New("the mock model has no personas"), "name the speaker in the system prompt, and match that")}
	}
	id := identity(seed, r)
	m.mu.Lock()
	request, again := m.count, m.seen[id]
	m.count++
	if m.draws {
		m.seen[id]++
	}
	m.mu.Unlock()
	v := view{request: r, nth: request + 1, turn: turns(r.Messages)}
	rule := slices.IndexFunc(m.rules, func(c compiled) bool { return c.matches(v) && c.drawn(id, again) })
	out, err := m.answer(ctx, seed, id, r, rule)
	m.mu.Lock()
	m.log = append(m.log, Entry{seed, r, out, err, rule})
	if len(m.log) >= 2*m.keep { // seldom, since it moves all that is kept
		m.log = slices.Delete(m.log, 0, len(m.log)-m.keep)
	}
	m.mu.Unlock()
	return out, err
}

// answer does what a rule says.
func (m *Model) answer(ctx context.Context, seed uint64, id [32]byte, r because.Request, rule int) (because.Response, error) {
	if rule < 0 {
		return because.Response{}, &model.Error{Kind: model.Rejected, Model: m.name, Err: because.E("answer", last(r.Messages),
			errors.New("no rule of the mock model matches"), "add a rule that matches everything, with the calls or the JSON that the request asks for")}
	}
	c := m.rules[rule]
	if err := wait(ctx, c.After, c.Hang); err != nil {
		return because.Response{}, err
	}
	switch {
	case c.Do != nil:
		out, err := c.Do(ctx, seed, r)
		if err == nil {
			out.Text = r.Prefill + out.Text
		}
		return out, err
	case c.Error != "":
		return because.Response{}, &model.Error{Kind: c.Error, Model: m.name, RetryAfter: c.RetryAfter, Err: errors.New("by a rule of the mock model")}
	}
	return c.respond(id, r), nil
}

// wait lets time pass, or hangs until the context ends.
func wait(ctx context.Context, d time.Duration, hang bool) error {
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// identity hashes what an answer may depend on.
func identity(seed uint64, r because.Request) [32]byte {
	h := sha256.New()
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], seed)
	h.Write(b[:])
	fmt.Fprintf(h, "%q %q %q %d %v %v %q %q", r.Choice, r.As, r.Prefill, r.MaxTokens, r.Temperature, r.TopP, r.Stop, r.Effort)
	for _, m := range r.Messages {
		fmt.Fprintf(h, "%q %q %q %q %q", m.Role, m.Content, m.Name, m.ToolCallID, m.Reasoning)
		for _, c := range m.ToolCalls {
			fmt.Fprintf(h, "%q %q %q", c.ID, c.Name, c.Arguments)
		}
	}
	for _, t := range r.Tools {
		fmt.Fprintf(h, "%q %q %q", t.Name, t.Description, t.Parameters)
	}
	if r.Format != nil {
		fmt.Fprintf(h, "%q %q", r.Format.Name, r.Format.Schema)
	}
	return [32]byte(h.Sum(nil))
}

// draw gives random numbers that depend on a request's identity and a purpose alone.
func draw(id [32]byte, purpose string, n int) *rand.Rand {
	h := sha256.New()
	fmt.Fprintf(h, "%x %s %d", id, purpose, n)
	return rand.New(rand.NewChaCha8([32]byte(h.Sum(nil))))
}

// respond makes the answer of a rule that gives one.
func (c compiled) respond(id [32]byte, r because.Request) because.Response {
	text := c.Answer
	if len(c.Answers) > 0 {
		text = c.Answers[draw(id, "answer", 0).IntN(len(c.Answers))]
	}
	if c.json != "" {
		text = c.json
	}
	out := because.Response{Reasoning: c.Reasoning, Text: text, Stop: because.StopEnd}
	made := made(r.Messages)
	for i, call := range c.calls {
		out.Calls = append(out.Calls, because.ToolCall{ID: fmt.Sprintf("call_%d", made+i+1), Name: call.Name, Arguments: slices.Clone(call.Arguments)})
	}
	if len(out.Calls) > 0 {
		out.Stop = because.StopCalls
	}
	cutAtStop(&out, r.Stop)
	out.Usage = because.Usage{Input: promptTokens(r)}
	cutAtLimit(&out, r.MaxTokens)
	out.Text = r.Prefill + out.Text
	if c.Stop != "" {
		out.Stop = c.Stop
	}
	return out
}

// turns is which of the assistant's turns comes next in a conversation, from 1.
func turns(messages []because.Message) int {
	n := 1
	for _, m := range messages {
		if m.Role == because.RoleAssistant {
			n++
		}
	}
	return n
}

// made counts the tool calls of a conversation.
func made(messages []because.Message) int {
	n := 0
	for _, m := range messages {
		n += len(m.ToolCalls)
	}
	return n
}

func last(messages []because.Message) string {
	if len(messages) == 0 {
		return "an empty conversation"
	}
	text := strings.Join(strings.Fields(messages[len(messages)-1].Content), " ")
	if cut := []rune(text); len(cut) > 60 {
		text = string(cut[:60]) + "..."
	}
	return fmt.Sprintf("%q", text)
}

// isJSON tells whether a text is one JSON value.
func isJSON(text string) bool { return json.Valid([]byte(text)) }
