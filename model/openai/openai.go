// Package openai asks models over OpenAI's chat completions API (POST /v1/chat/completions), which vLLM, SGLang, llama.cpp, Ollama,
// OpenRouter, Together and "because serve" speak too. What only OpenAI's own servers want is sent only to them.
package openai

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model/internal/wire"
)

// DefaultBaseURL is that of OpenAI.
const DefaultBaseURL = "https://api.openai.com/v1"

// Options say which model to ask, and how.
type Options struct {
	Name    string // of the model, as users name it; empty: openai/Model
	Model   string // as the server names it
	BaseURL string // with /v1; empty: DefaultBaseURL
	Key     string `json:"-"` // empty: none is sent, as servers on one's own machine want it

	HTTPClient *http.Client      `json:"-"` // nil: one with a pool of connections that all models share
	Headers    map[string]string `json:"-"` // that every request has, such as OpenAI-Organization; no error tells their values
	Timeout    time.Duration     // of one request; 0: ten minutes

	// Extra is fields of every request, such as top_k or chat_template_kwargs. They replace the model's own fields of the same name.
	Extra map[string]any

	// Continue marks a request with a Prefill as one that continues its last message (continue_final_message, and
	// add_generation_prompt false), as vLLM and SGLang want it. Other servers do so unasked.
	Continue bool
	// ReasoningField names the field in which an earlier turn's Reasoning goes back to the server, such as reasoning_content for
	// models that go on thinking between their calls of tools. Empty: reasoning is not sent back.
	ReasoningField string
	// NoSeed leaves the seed out, for servers that refuse it.
	NoSeed bool
}

// String gives the model and where it is, without secrets.
func (o Options) String() string {
	at := o.BaseURL
	if c, err := wire.New(wire.Options{BaseURL: at}); err == nil {
		at = c.Base()
	} else if at != "" {
		at = "(no URL)"
	}
	return fmt.Sprintf("{Name:%s Model:%s BaseURL:%s}", o.Name, o.Model, at)
}

// Format writes String for every verb, so that no way of printing shows the key.
func (o Options) Format(s fmt.State, _ rune) { io.WriteString(s, o.String()) }

// Model is a because.Chat over a server's API. Many goroutines may ask at once. It sends every request once.
type Model struct {
	name, id string
	client   *wire.Client
	extra    *wire.Extra
	official bool // it is OpenAI's own
	limit    string
	options  struct {
		proceed, noSeed bool
		reasoning       string
	}
	tools   wire.Tools
	schemas wire.Schemas
}

// strict is what OpenAI's structured answers ask of a schema; see https://platform.openai.com/docs/guides/structured-outputs.
var strict = wire.Rules{AllRequired: true, MaxMinItems: 1 << 30, Keywords: []string{
	"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs", "definitions", "description", "title",
	"pattern", "format", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems",
}}

// New checks the options. It sends nothing.
func New(o Options) (*Model, error) {
	m, err := open(o)
	if err != nil {
		return nil, because.E("open model", o.Name+" "+o.Model, err, "")
	}
	return m, nil
}

func open(o Options) (*Model, error) {
	if o.Model == "" {
		return nil, fmt.Errorf("it has no name on the server")
	}
	if o.Name == "" {
		o.Name = "openai/" + o.Model
	}
	if o.BaseURL == "" {
		o.BaseURL = DefaultBaseURL
	}
	extra, err := wire.NewExtra(o.Extra, "model", "messages", "tools", "n", "stream")
	if err != nil {
		return nil, err
	}
	header := http.Header{"User-Agent": {"because"}}
	var secrets []string
	if key := strings.TrimSpace(o.Key); key != "" {
		header.Set("Authorization", "Bearer "+key)
		secrets = append(secrets, key)
	}
	for name, value := range o.Headers {
		header.Set(name, value)
		secrets = append(secrets, value)
	}
	client, err := wire.New(wire.Options{Name: o.Name, BaseURL: o.BaseURL, Header: header, Client: o.HTTPClient, Timeout: o.Timeout, Secrets: secrets})
	if err != nil {
		return nil, err
	}
	m := &Model{name: o.Name, id: o.Model, client: client, extra: extra, official: isOpenAI(client.Host()), schemas: wire.Schemas{Rules: strict}}
	m.options.proceed, m.options.noSeed, m.options.reasoning = o.Continue, o.NoSeed, o.ReasoningField
	m.limit = "max_tokens"
	if m.official || reasons(o.Model) {
		m.limit = "max_completion_tokens"
	}
	return m, nil
}

// isOpenAI tells whether a host is OpenAI's own, or one of Azure's with its models.
func isOpenAI(host string) bool {
	return host == "api.openai.com" || strings.HasSuffix(host, ".api.openai.com") || strings.HasSuffix(host, ".openai.azure.com")
}

// reasons tells whether a name without a vendor before it is one of OpenAI's reasoning models, which take the limit of tokens under
// its new name alone. A proxy may offer them.
func reasons(id string) bool {
	for _, family := range []string{"o1", "o3", "o4", "gpt-5", "gpt-6"} {
		if rest, ok := strings.CutPrefix(id, family); ok && (rest == "" || rest[0] == '-' || rest[0] == '.') {
			return true
		}
	}
	return false
}

// Name is the model as users name it.
func (m *Model) Name() string { return m.name }

// Identity tells apart what the name does not, for a cache of answers: where the model is asked and what every request adds. It
// holds no key.
func (m *Model) Identity() string {
	return fmt.Sprintf("openai %s %s %s %t %t %q", m.client.Base(), m.id, m.extra.JSON(), m.options.proceed, m.options.noSeed, m.options.reasoning)
}

// String is Name.
func (m *Model) String() string { return m.name }

// Format writes the name for every verb, so that no way of printing shows the key.
func (m *Model) Format(s fmt.State, _ rune) { io.WriteString(s, m.name) }

// Answer asks once. The seed is sent as 31 bits, since servers differ in how large a seed they take. Errors are a model.Error, in
// a because.Error where there is something that the user can do, or the context's.
//
// A call's Arguments that are no JSON come as a JSON string that holds what the model wrote, as do those that are a JSON string:
// a tool that takes an object finds a string in its place and can say so to the model.
//
// What OpenAI tells as the model's refusal is its Text, since a refusal is an answer; Stop is StopFilter only where the provider
// cut the answer off.
func (m *Model) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	body, err := m.encode(seed, r)
	if err != nil {
		return because.Response{}, err
	}
	answer, err := m.client.Post(ctx, "/chat/completions", body)
	if err != nil {
		return because.Response{}, err
	}
	return m.decode(answer, r)
}
