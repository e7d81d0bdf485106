package serve

import (
	"context"
	"errors"

	"github.com/because-lab/because"
)

// Backend is a model that the server offers. Many goroutines call it at once.
type Backend interface {
	// Info describes the model. It does not change.
	Info() Info
	// Chat applies the model's chat template, with the start of an answer at its end. A conversation that the
	// template refuses is a *BadRequest.
	Chat(ctx context.Context, in ChatInput) (Prompt, error)
	// Encode gives the tokens of a plain text, with those that the model wants before any text. No part of the
	// text becomes a special token.
	Encode(text string) ([]int32, error)
	// Bytes gives what a token adds to a text: nothing for control tokens, and part of a character where a character
	// spans tokens. The caller does not change it.
	Bytes(token int32) []byte
	// Generate continues a prompt of at least one token by at most o.MaxTokens tokens, and gives them to emit as they
	// come, one call at a time; the tokens that end an answer are not emitted. An error of emit ends the generation
	// and is returned, except that ErrStop ends it as a stop. A cancelled context ends it soon, with the context's error, and frees
	// what it held. Emit may block while a client is slow; that must not hold up other calls.
	//
	// What is emitted depends on the prompt and o alone, not on what else runs.
	Generate(ctx context.Context, prompt []int32, o Generation, emit func(Token) error) (because.StopReason, error)
	// Score gives the log-probability of every token given those before it, with the top most probable ones at its
	// place. The first token has nothing before it: its LogProb is 0 and it has no Top.
	Score(ctx context.Context, tokens []int32, top int) ([]Token, error)
	// Parser returns a new parser for one answer to a conversation with or without tools. With reasoningOpen
	// the prompt has already opened the answer's reasoning.
	Parser(tools, reasoningOpen bool) AnswerParser
}

// Info describes a model to clients.
type Info struct {
	ID            string // the name that clients ask for
	OwnedBy       string
	Created       int64 // Unix seconds
	ContextLength int   // tokens of prompt and answer together
	Vocab         int   // number of token ids; 0: not checked
	// Fingerprint names weights and code: equal fingerprints, requests and seeds give equal answers. It
	// is the API's system_fingerprint; "" is null there.
	Fingerprint string
}

// ChatInput is a conversation to be answered.
type ChatInput struct {
	Messages []because.Message
	Tools    []because.Tool
	Vars     map[string]any // the template's own variables: string, bool, int64, float64, nil, []any, map[string]any
}

// Prompt is a rendered conversation.
type Prompt struct {
	Tokens        []int32
	ReasoningOpen bool // the prompt ends inside the answer's reasoning
}

// Generation says how to continue a prompt.
type Generation struct {
	MaxTokens   int     // at least 1; prompt and answer fit into the context
	Temperature float64 // 0 is greedy
	TopP        float64 // in (0, 1]; 1 means all
	TopK        int     // 0 means all
	Seed        uint64
	// LogProbs asks for Token.LogProb, TopLogProbs for that many alternatives in Token.Top.
	LogProbs    bool
	TopLogProbs int
}

// Token is a token of an answer. LogProb is the natural logarithm of its probability under the model itself,
// before temperature and truncation.
type Token struct {
	ID      int32
	LogProb float32
	Top     []TopToken // most probable first
}

// TopToken is a token that could have stood in another's place.
type TopToken struct {
	ID      int32
	LogProb float32
}

// AnswerParser splits the text of one answer into content, reasoning and tool calls, as it comes. Text that cannot
// be parsed as a call is content.
type AnswerParser interface {
	Push(text string) (Delta, error)
	// End gives what was held back because it might have begun a tag.
	End() (Delta, error)
}

// Delta is what a piece of text adds to an answer. A call whose ID is empty gets one from the server.
type Delta struct {
	Content   string
	Reasoning string
	Calls     []because.ToolCall
}

// plain is the parser of a text that is all content.
type plain struct{}

func (plain) Push(text string) (Delta, error) { return Delta{Content: text}, nil }
func (plain) End() (Delta, error)             { return Delta{}, nil }

// ErrStop is what emit returns to Backend.Generate when the answer is complete.
var ErrStop = errors.New("the answer is complete")

// BadRequest is an error that the client can mend. The server answers it with status 400.
type BadRequest struct {
	Param string // the field at fault, such as "messages[2].content"; may be empty
	Code  string // a word for programs, such as "context_length_exceeded"; may be empty
	Err   error
}

// Error gives the field and the cause.
func (e *BadRequest) Error() string {
	if e.Param == "" {
		return e.Err.Error()
	}
	return e.Param + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *BadRequest) Unwrap() error { return e.Err }
