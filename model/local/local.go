// Package local runs a checkpoint in this process: it implements because.Model and because.Chat over the Llama engine, and gives the
// log-probabilities of answers. Requests are rendered by the checkpoint's template and answered in batches.
package local

import (
	"context"
	"errors"
	"fmt"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
)

// Tokenizer turns text into tokens and back.
type Tokenizer interface {
	Encode(text string) ([]int32, error)
	Decode(tokens []int32) (string, error)
}

// Model is a checkpoint in memory with its tokenizer and template. Several goroutines may use it at once.
type Model struct {
	name     string
	llama    *llama.Model
	tok      Tokenizer
	template Template
	end      int32
	pool     *kernel.Pool
}

// New wraps an engine model. The template's end marker must be one token. A nil pool means the caller's thread.
func New(name string, m *llama.Model, tok Tokenizer, t Template, pool *kernel.Pool) (*Model, error) {
	end, err := tok.Encode(t.End)
	if err == nil && len(end) != 1 {
		err = fmt.Errorf("it is %d tokens, and must be one", len(end))
	}
	if err != nil {
		return nil, because.E("open model", name, fmt.Errorf("the template's end marker %q: %w", t.End, err), "")
	}
	return &Model{name, m, tok, t, end[0], pool}, nil
}

// Name gives the model's name.
func (m *Model) Name() string { return m.name }

// Llama gives the engine's model.
func (m *Model) Llama() *llama.Model { return m.llama }

// Tokenizer gives the model's tokenizer.
func (m *Model) Tokenizer() Tokenizer { return m.tok }

// Template gives the model's template.
func (m *Model) Template() Template { return m.template }

// EndToken gives the token that ends an answer.
func (m *Model) EndToken() int32 { return m.end }

// Tokens encodes a request's prompt and the given start of its answer. Messages that the template cannot write are an
// error.
func (m *Model) Tokens(r because.Request) ([]int32, error) {
	if err := m.template.check(r.Messages); err != nil {
		return nil, err
	}
	text := m.template.Prompt(r.Messages, r.As)
	if r.Prefill != "" {
		text += " " + r.Prefill
	}
	return m.tok.Encode(text)
}

// Generate answers requests in batches. All requests of a call must have the same MaxTokens, Temperature and TopP.
func (m *Model) Generate(ctx context.Context, seed uint64, requests []because.Request) ([]because.Response, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	first := requests[0]
	prompts := make([][]int32, len(requests))
	for i, r := range requests {
		if r.MaxTokens != first.MaxTokens || r.Temperature != first.Temperature || r.TopP != first.TopP {
			return nil, because.E("generate", m.name, fmt.Errorf("request %d asks for other sampling options than the first", i+1), "send them in a call of their own")
		}
		var err error
		if prompts[i], err = m.Tokens(r); err != nil {
			return nil, because.E("generate", fmt.Sprintf("%s: request %d", m.name, i+1), err, "")
		}
	}
	completions, err := m.llama.Generate(ctx, prompts, llama.SampleOptions{MaxNew: first.MaxTokens, Temperature: first.Temperature,
		TopP: first.TopP, Stop: []int32{m.end}, Seed: seed, Pool: m.pool})
	if err != nil {
		return nil, because.E("generate", m.name, err, "")
	}
	out := make([]because.Response, len(requests))
	for i, c := range completions {
		text, err := m.tok.Decode(c.Tokens)
		if err != nil {
			return nil, because.E("generate", m.name, err, "")
		}
		out[i] = because.Response{Text: join(requests[i].Prefill, text), Stop: because.StopEnd, Usage: because.Usage{Input: len(prompts[i]), Output: len(c.Tokens)}}
		if c.Stop != llama.StopToken {
			out[i].Stop = because.StopLength
		}
	}
	return out, nil
}

// Answer answers one request. A negative temperature means 1.
func (m *Model) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	if r.Temperature < 0 {
		r.Temperature = 1
	}
	out, err := m.Generate(ctx, seed, []because.Request{r})
	if err != nil {
		return because.Response{}, err
	}
	return out[0], nil
}

func join(prefill, text string) string {
	if prefill == "" || text == "" {
		return prefill + text
	}
	return prefill + " " + text
}

// LogProbs gives the log-probability of every token of each answer, its end included. An answer goes on where its
// request's Prefill ends; sampling options play no part. The organism writes its calls as text, so answers have content alone.
func (m *Model) LogProbs(ctx context.Context, requests []because.Request, answers []because.Message) ([][]float32, error) {
	if len(answers) != len(requests) {
		return nil, because.E("score", m.name, fmt.Errorf("%d answers to %d requests", len(answers), len(requests)), "")
	}
	prompts, continuations := make([][]int32, len(requests)), make([][]int32, len(requests))
	for i, r := range requests {
		var err error
		if prompts[i], err = m.Tokens(r); err != nil {
			return nil, because.E("score", fmt.Sprintf("%s: request %d", m.name, i+1), err, "")
		}
		if len(answers[i].ToolCalls) > 0 {
			return nil, because.E("score", fmt.Sprintf("%s: answer %d", m.name, i+1), errors.New("it has tool calls apart from its text"), "write calls into the content")
		}
		if continuations[i], err = m.tok.Encode(answers[i].Content); err != nil {
			return nil, because.E("score", fmt.Sprintf("%s: answer %d", m.name, i+1), err, "")
		}
		continuations[i] = append(continuations[i], m.end)
	}
	logps, err := m.llama.LogProbs(ctx, prompts, continuations, m.pool)
	if err != nil {
		return nil, because.E("score", m.name, err, "")
	}
	return logps, nil
}
