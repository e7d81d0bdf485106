// Package anthropic asks Claude models over Anthropic's Messages API (POST /v1/messages, version 2023-06-01).
package anthropic

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model/internal/wire"
)

// DefaultBaseURL is that of Anthropic.
const DefaultBaseURL = "https://api.anthropic.com/v1"

// version is the API's version that this package speaks.
const version = "2023-06-01"

// Cache says which requests mark their prompts for the provider's cache. Writing to it costs a quarter more than reading the
// prompt, and reading from it a tenth; prompts that are too short for it are not cached and cost nothing.
type Cache string

// The policies. Of a conversation that is cached, everything up to the end of the last user turn is.
const (
	CacheAuto   Cache = ""       // conversations that will go on: those with tools or with an earlier answer
	CacheAlways Cache = "always" // for long prompts that many samples share
	CacheNever  Cache = "never"
)

// Options say which model to ask, and how.
type Options struct {
	Name    string // of the model, as users name it; empty: anthropic/Model
	Model   string // as the provider names it, such as claude-sonnet-4-5
	BaseURL string // with or without the /v1 at its end; empty: DefaultBaseURL
	Key     string `json:"-"`

	HTTPClient *http.Client      `json:"-"` // nil: one with a pool of connections that all models share
	Headers    map[string]string `json:"-"` // that every request has, such as anthropic-beta; no error tells their values
	Timeout    time.Duration     // of one request; 0: ten minutes

	// Extra is fields of every request, such as thinking or metadata. They replace the model's own fields of the same name.
	Extra map[string]any
	Cache Cache
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

// Model is a because.Chat over the Messages API. Many goroutines may ask at once. It sends every request once.
type Model struct {
	name, id string
	client   *wire.Client
	extra    *wire.Extra
	ability  ability
	cache    Cache
	tools    wire.Tools
	marked   wire.Tools
	schemas  wire.Schemas
}

// structured is what structured answers ask of a schema; see https://docs.claude.com/en/docs/build-with-claude/structured-outputs.
var structured = wire.Rules{MaxMinItems: 1, Keywords: []string{
	"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "allOf", "$ref", "$defs", "description", "title", "minItems",
}}

// New checks the options. It sends nothing.
func New(o Options) (*Model, error) {
	m, err := open(o)
	if err != nil {
		return nil, because.E("open model", strings.TrimSpace(o.Name+" "+o.Model), err, "")
	}
	return m, nil
}

func open(o Options) (*Model, error) {
	if o.Model == "" {
		return nil, fmt.Errorf("it has no name at the provider")
	}
	if o.Name == "" {
		o.Name = "anthropic/" + o.Model
	}
	if o.BaseURL == "" {
		o.BaseURL = DefaultBaseURL
	}
	switch o.Cache {
	case CacheAuto, CacheAlways, CacheNever:
	default:
		return nil, fmt.Errorf("the cache policy %q is none of always and never", o.Cache)
	}
	extra, err := wire.NewExtra(o.Extra, "model", "messages", "system", "tools", "stream")
	if err != nil {
		return nil, err
	}
	header := http.Header{"User-Agent": {"because"}, "Anthropic-Version": {version}}
	var secrets []string
	if key := strings.TrimSpace(o.Key); key != "" {
		header.Set("X-Api-Key", key)
		secrets = append(secrets, key)
	}
	for name, value := range o.Headers {
		header.Set(name, value)
		secrets = append(secrets, value)
	}
	client, err := wire.New(wire.Options{Name: o.Name, BaseURL: withVersion(o.BaseURL), Header: header, Client: o.HTTPClient, Timeout: o.Timeout, Secrets: secrets})
	if err != nil {
		return nil, err
	}
	return &Model{name: o.Name, id: o.Model, client: client, extra: extra, ability: abilityOf(o.Model), cache: o.Cache, schemas: wire.Schemas{Rules: structured}}, nil
}

// withVersion adds the version to a base URL that lacks it, as the vendor's own clients want base URLs.
func withVersion(base string) string {
	u, err := url.Parse(strings.TrimSpace(base))
	if err != nil || u.Host == "" {
		return base // an error that wire.New tells
	}
	if u.Path = strings.TrimRight(u.Path, "/"); !strings.HasSuffix(u.Path, "/v1") {
		u.Path += "/v1"
	}
	return u.String()
}

// Name is the model as users name it.
func (m *Model) Name() string { return m.name }

// Identity tells apart what the name does not, for a cache of answers: where the model is asked and what every request adds. It
// holds no key.
func (m *Model) Identity() string {
	return fmt.Sprintf("anthropic %s %s %s", m.client.Base(), m.id, m.extra.JSON())
}

// String is Name.
func (m *Model) String() string { return m.name }

// Format writes the name for every verb, so that no way of printing shows the key.
func (m *Model) Format(s fmt.State, _ rune) { io.WriteString(s, m.name) }

// Answer asks once. The API takes no seed: the same request may get another answer. Temperatures above 1, which it does not know,
// count as 1. MaxTokens 0 asks for up to 16,384 tokens, or for what the model can give if that is less: longer answers may outlast
// a connection. Errors are a model.Error, in a because.Error where there is something that the user can do, or the context's.
//
// With an Effort the model thinks before it answers, at its own temperature; Temperature and TopP are then left out. What it thought
// is the answer's Reasoning, and signed in Native, which goes back with the turn.
//
// A Format that the API's structured answers can follow is asked for in that way; any other through a tool that the model must
// call with its answer as arguments, which then are the Text.
func (m *Model) Answer(ctx context.Context, _ uint64, r because.Request) (because.Response, error) {
	body, err := m.encode(r)
	if err != nil {
		return because.Response{}, err
	}
	answer, err := m.client.Post(ctx, "/messages", body)
	if err != nil {
		return because.Response{}, err
	}
	return m.decode(answer, r)
}
