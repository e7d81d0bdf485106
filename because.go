// Package because holds the nouns of the system: what flows between its stages.
//
// A constitution (a document of principles with their reasons) becomes data, the data trains a model,
// evaluations measure what the model does, and a report says which claims the measurements support:
//
//	constitution -> data -> train -> eval -> report
//	                \______ study: arms x seeds x evals, one cached graph ______/
//
// Stages exchange files of the types declared here. The packages below this one implement the stages;
// only package study knows their order. This package imports the standard library alone.
package because

import (
	"context"
	"encoding/json"
)

// Role is the author of a message, in the vocabulary of chat APIs.
type Role string

// The roles of a conversation. RoleTool carries what a tool or the environment answered.
const (
	RoleSystem    Role = "system"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	RoleTool      Role = "tool"
)

// Message is one turn of a conversation.
type Message struct {
	Role    Role   `json:"role"`
	Content string `json:"content"`
	// Name says who speaks where a role has several voices: for the assistant, the persona.
	Name       string     `json:"name,omitempty"`
	ToolCalls  []ToolCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
	// Reasoning is what the assistant thought before this turn, where its model tells.
	Reasoning string `json:"reasoning,omitempty"`
	// Native is the turn as its provider wants it back, such as Anthropic's signed thinking. Other providers ignore it.
	Native json.RawMessage `json:"native,omitempty"`
}

// Tool declares a function that a model may call. Parameters is a JSON Schema.
type Tool struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
}

// ToolCall is a model's request to call a tool.
type ToolCall struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

// Transcript is a conversation as it happened.
type Transcript struct {
	Messages []Message `json:"messages"`
	Tools    []Tool    `json:"tools,omitempty"`
}

// Document is a text in the style of pretraining data.
type Document struct {
	Text string `json:"text"`
}

// Record is one training example in TRL's columns: Messages for SFT (loss on the last message, the assistant's answer),
// Text for SDF (loss on every token).
type Record struct {
	Messages []Message `json:"messages,omitempty"`
	Tools    []Tool    `json:"tools,omitempty"` // of the conversation
	Text     string    `json:"text,omitempty"`
	Lineage  Lineage   `json:"lineage"`
}

// Lineage says what a record was made from.
type Lineage struct {
	Recipe    string `json:"recipe"`
	Principle string `json:"principle,omitempty"` // the principle of the constitution it teaches
	Kind      string `json:"kind,omitempty"`      // the kind of situation it is about
	Sampled   string `json:"sampled,omitempty"`   // the model that wrote it, where one did
}

// Sample is one item of an evaluation: an input and what the scorer needs to know about it.
type Sample struct {
	ID string `json:"id"`
	// Cluster names what the sample shares with others, such as its wording: samples of one cluster are not independent.
	// Empty means that it stands alone.
	Cluster string            `json:"cluster,omitempty"`
	Input   []Message         `json:"input"`
	As      string            `json:"as,omitempty"`      // the persona that answers
	Prefill string            `json:"prefill,omitempty"` // the start of the answer, given
	Target  string            `json:"target,omitempty"`
	Meta    map[string]string `json:"meta,omitempty"`
}

// Outcome names what a scorer counts.
type Outcome string

// The outcomes of the scorers. Admirable is a harmless answer that also puts right what it found;
// Failed is a sample that could not be scored, which is counted and never a pass.
const (
	Harmful   Outcome = "harmful"
	Harmless  Outcome = "harmless"
	Admirable Outcome = "admirable"
	Invalid   Outcome = "invalid"
	Correct   Outcome = "correct"
	Wrong     Outcome = "wrong"
	Failed    Outcome = "error"
)

// Score is a scorer's finding on one sample, with what it was found on.
type Score struct {
	Outcome Outcome `json:"outcome"`
	// Value is the finding as a number, where it is one: 1 and 0 for what is counted, or a grade.
	Value *float64 `json:"value,omitempty"`
	Why   string   `json:"why,omitempty"`
	// Answer is the part of the transcript that was scored, such as a tool call.
	Answer string `json:"answer,omitempty"`
	// Meta holds what else was found, such as what a rule and a judge said apart.
	Meta map[string]any `json:"meta,omitempty"`
}

// StopReason says why a model stopped.
type StopReason string

// Ends of an answer. StopFilter is a provider's own moderation; what it let through is no answer.
const (
	StopEnd    StopReason = "stop"
	StopLength StopReason = "length"
	StopCalls  StopReason = "tool_calls"
	StopFilter StopReason = "content_filter"
)

// OwnTemperature asks for a model's own temperature, which some models insist on.
const OwnTemperature = -1

// Request asks a model for one answer.
type Request struct {
	Messages    []Message
	Tools       []Tool // that the model may call
	Choice      string // of tools: "" or "auto", "none", "required", or the name of the one to call
	As          string // the persona that answers; empty: the model's default
	Prefill     string // the start of the answer, given
	MaxTokens   int    // 0: the model's own limit
	Temperature float64
	TopP        float64 // 0 and 1 mean all
	Stop        []string
	Effort      string  // how much a reasoning model thinks: "low", "medium", "high"; empty: its default
	Format      *Schema // the JSON that the answer must be; nil: free text
}

// Schema names a JSON Schema that an answer must follow.
type Schema struct {
	Name   string          `json:"name"`
	Schema json.RawMessage `json:"schema"`
}

// Usage counts the tokens of an answer as its provider bills them. Input does not include what was read from or written to
// a provider's prompt cache; Output includes Reasoning.
type Usage struct {
	Input      int `json:"input"`
	Output     int `json:"output"`
	CacheRead  int `json:"cache_read,omitempty"`
	CacheWrite int `json:"cache_write,omitempty"`
	Reasoning  int `json:"reasoning,omitempty"`
}

// Add adds the tokens of another answer.
func (u *Usage) Add(v Usage) {
	u.Input += v.Input
	u.Output += v.Output
	u.CacheRead += v.CacheRead
	u.CacheWrite += v.CacheWrite
	u.Reasoning += v.Reasoning
}

// Total is all tokens, read and written.
func (u Usage) Total() int { return u.Input + u.Output + u.CacheRead + u.CacheWrite }

// Response is a model's answer. Text includes the request's Prefill; reasoning and tool calls are apart from it where the
// model's format tells them.
type Response struct {
	Text      string
	Reasoning string
	Calls     []ToolCall
	Native    json.RawMessage // see Message
	Stop      StopReason
	Usage     Usage
	Model     string // that answered, as its provider names it; empty: the one that was asked
}

// Message is the answer as a turn of the conversation.
func (r Response) Message() Message {
	return Message{Role: RoleAssistant, Content: r.Text, ToolCalls: r.Calls, Reasoning: r.Reasoning, Native: r.Native}
}

// Model answers requests in batches. Answer i of a call depends on the request, the seed and i alone: the same call
// gives the same answers whatever the batch or the number of cores.
type Model interface {
	Name() string
	Generate(ctx context.Context, seed uint64, requests []Request) ([]Response, error)
}

// Chat is a model that answers one request at a time; many goroutines may ask at once. Served models are of this kind. A
// model in this process gives the same answer to the same seed and request; of a served one the seed is a wish.
type Chat interface {
	// Name is the model as users name it, such as openai/gpt-5 or local:PATH.
	Name() string
	Answer(ctx context.Context, seed uint64, r Request) (Response, error)
}

// Likelihood is a model that can tell how probable an answer is.
type Likelihood interface {
	// LogProbs gives, for each answer to the request of the same place, the log-probability of each of its tokens, in nats;
	// the last is the mark that ends the answer. An answer goes on where its request's Prefill ends. Sampling options play
	// no part.
	LogProbs(ctx context.Context, requests []Request, answers []Message) ([][]float32, error)
}

// Total sums log-probabilities: the log-probability of a whole answer.
func Total(logProbs []float32) float64 {
	sum := 0.0
	for _, p := range logProbs {
		sum += float64(p)
	}
	return sum
}

// Progress reports how far a piece of work is: done of total units.
type Progress func(done, total float64, unit, note string)

// Work is where one step of a study runs: folders of its inputs by name, an empty folder for its output, and
// how it may run. Nothing in it is part of a result's identity.
type Work struct {
	In       map[string]string // folders of finished artifacts, read-only
	Out      string            // an empty folder; what is written here becomes the step's artifact
	Workers  int               // threads the step may use
	Progress Progress          // may be nil
}

// Report calls the progress function, if there is one.
func (w Work) Report(done, total float64, unit, note string) {
	if w.Progress != nil {
		w.Progress(done, total, unit, note)
	}
}
