package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/infer"
	"github.com/because-lab/because/internal/input"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/model/anthropic"
	"github.com/because-lab/because/model/local"
	"github.com/because-lab/because/model/mock"
	"github.com/because-lab/because/model/openai"
	"github.com/because-lab/because/model/pretrained"
)

// The variables that hold keys. Nothing else is looked at, and no key is ever written anywhere.
const (
	openaiKey     = "OPENAI_API_KEY"
	anthropicKey  = "ANTHROPIC_API_KEY"
	compatibleKey = "BECAUSE_API_KEY" // of servers that speak OpenAI's API; those of OpenAI's own are not sent elsewhere
)

const chatModelHelp = "`model`: openai/NAME, anthropic/NAME, openai-api:URL/NAME (vLLM, Ollama, because serve ...), local:PATH or hf:OWNER/NAME (in this process), mock or mock:RULES.yaml"

// modelOptions say how models are asked.
type modelOptions struct {
	connections  int
	rpm, tpm     int
	retries      int
	timeout      time.Duration
	cache        string
	cacheDir     string
	budgetUSD    float64
	budgetTokens int
	prices       string
	batch        string
	precision    string
	awaitServer  bool
}

func (o *modelOptions) addTo(f *pflag.FlagSet) {
	f.IntVar(&o.connections, "connections", 64, "`number` of requests to a model at once, at most; fewer while it limits the rate")
	f.IntVar(&o.rpm, "rpm", 0, "requests per `minute` to a model, at most")
	f.IntVar(&o.tpm, "tpm", 0, "tokens per `minute` of a model, at most")
	f.IntVar(&o.retries, "retries", 10, "`number` of attempts at a request whose error may pass")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "`time` that one attempt may take")
	f.StringVar(&o.cache, "cache", "off", "answers kept on disk: off, read, write or read-write")
	f.StringVar(&o.cacheDir, "cache-dir", filepath.Join(".because", "answers"), "`folder` of kept answers")
	f.Float64Var(&o.budgetUSD, "budget", 0, "stop when answers have cost this many US `dollars`; the same command goes on with a larger one")
	f.IntVar(&o.budgetTokens, "budget-tokens", 0, "stop when answers have taken this many `tokens`")
	f.StringVar(&o.prices, "prices", "", "`file` of prices to use instead of the built-in ones")
	f.StringVar(&o.batch, "batch", "", "send requests through the vendor's batch API, at half the price and within a day; `folder` to remember batches in")
	f.StringVar(&o.precision, "precision", "bf16", "local models: how weights are kept, bf16 or f32")
	f.BoolVar(&o.awaitServer, "await-server", false, "keep trying a server that does not answer yet")
}

// chats opens models by their names, each once, and accounts for what they cost.
type chats struct {
	a     *app
	o     modelOptions
	meter *model.Meter
	open  map[string]because.Chat
	close []io.Closer
	notes func(model.Retried)
}

func (a *app) newChats(o modelOptions, notes func(model.Retried)) (*chats, error) {
	prices := model.ListPrices()
	if o.prices != "" {
		own, err := model.OpenPrices(o.prices)
		if err != nil {
			return nil, usageError{err}
		}
		prices = own.Before(prices)
	}
	meter := model.NewMeter(prices, model.Budget{USD: o.budgetUSD, Tokens: o.budgetTokens})
	return &chats{a: a, o: o, meter: meter, open: map[string]because.Chat{}, notes: notes}, nil
}

// Close closes what was opened.
func (c *chats) Close() error {
	var errs []error
	for _, x := range c.close {
		errs = append(errs, x.Close())
	}
	return errors.Join(errs...)
}

// get opens a model.
func (c *chats) get(ctx context.Context, name string) (because.Chat, error) {
	if m, ok := c.open[name]; ok {
		return m, nil
	}
	m, identity, served, err := c.provider(ctx, name)
	if err != nil {
		return nil, err
	}
	if served {
		if m, err = c.wrap(m, identity); err != nil {
			return nil, err
		}
	}
	c.open[name] = m
	return m, nil
}

// wrap puts around a served model what makes it safe to ask thousands of times: retries around a limit, a budget, kept answers.
// Requests of a batch wait for it together, as long as it takes.
func (c *chats) wrap(m because.Chat, identity string) (because.Chat, error) {
	limit := model.LimitOptions{Start: c.o.connections, Max: c.o.connections, Requests: c.o.rpm, Tokens: c.o.tpm}
	attempt := c.o.timeout
	if c.o.batch != "" {
		limit, attempt = model.LimitOptions{Start: batchSize, Max: batchSize}, 48*time.Hour
	}
	wrapped, err := model.Wrap(m, model.WrapOptions{
		Limit: limit,
		Retry: model.RetryOptions{Attempts: c.o.retries, Attempt: attempt, Unreachable: c.o.awaitServer, Report: c.notes},
		Cache: model.CacheOptions{Dir: c.o.cacheDir, Mode: model.CacheMode(c.o.cache), Identity: identity, Warn: c.a.warn},
		Meter: c.meter,
	})
	if err != nil {
		return nil, usageError{err}
	}
	return wrapped, nil
}

// batchSize is the number of requests in a batch.
const batchSize = 10_000

// provider opens the model itself. Served models are reached over a network; the identity of one is where it is.
func (c *chats) provider(ctx context.Context, name string) (m because.Chat, identity string, served bool, err error) {
	kind, rest, _ := strings.Cut(name, "/")
	scheme, target, _ := strings.Cut(name, ":")
	switch {
	case name == "mock":
		return mock.Must(), "mock", true, nil
	case scheme == "mock":
		m, err := mock.Open(target)
		return m, "mock", true, err
	case scheme == "openai-api":
		return c.compatible(name, target)
	case kind == "openai" && rest != "":
		return c.openai(name, rest)
	case kind == "anthropic" && rest != "":
		return c.anthropic(name, rest)
	case scheme == "local" || scheme == "hf":
		m, err := c.inProcess(ctx, name)
		return m, "", false, err
	}
	if _, err := os.Stat(name); err == nil {
		m, err := c.inProcess(ctx, "local:"+name)
		return m, "", false, err
	}
	return nil, "", false, unknownModel(name)
}

func (c *chats) openai(name, id string) (because.Chat, string, bool, error) {
	key, err := needKey(name, openaiKey)
	if err != nil {
		return nil, "", false, err
	}
	m, err := openai.New(openai.Options{Name: name, Model: id, Key: key, BaseURL: os.Getenv("OPENAI_BASE_URL"), Timeout: c.o.timeout})
	if err != nil {
		return nil, "", false, err
	}
	if c.o.batch == "" {
		return m, m.Identity(), true, nil
	}
	b, err := openai.Batch(m, openai.BatchOptions{Dir: c.o.batch, MaxSize: batchSize})
	return b, m.Identity(), true, err
}

func (c *chats) anthropic(name, id string) (because.Chat, string, bool, error) {
	key, err := needKey(name, anthropicKey)
	if err != nil {
		return nil, "", false, err
	}
	m, err := anthropic.New(anthropic.Options{Name: name, Model: id, Key: key, BaseURL: os.Getenv("ANTHROPIC_BASE_URL"), Timeout: c.o.timeout})
	if err != nil {
		return nil, "", false, err
	}
	if c.o.batch == "" {
		return m, m.Identity(), true, nil
	}
	b, err := anthropic.Batch(m, anthropic.BatchOptions{Dir: c.o.batch, MaxSize: batchSize})
	return b, m.Identity(), true, err
}

// unknownModel is the error for a name of no provider.
func unknownModel(name string) error {
	hint := "there are openai/NAME, anthropic/NAME, openai-api:URL/NAME, local:PATH, hf:OWNER/NAME and mock"
	provider, _, _ := strings.Cut(name, "/")
	provider, _, _ = strings.Cut(provider, ":")
	if near := input.DidYouMean(provider, []string{"openai", "anthropic", "openai-api", "local", "hf", "mock"}); strings.HasPrefix(near, "did you mean") {
		hint = near + " " + hint
	}
	return usage("open model", name, hint, "unknown provider, and no such folder or file")
}

// needKey reads a provider's key.
func needKey(name, variable string) (string, error) {
	if key := os.Getenv(variable); key != "" {
		return key, nil
	}
	return "", usage("open model", name, "set it: export "+variable+"=...", "the variable %s, which holds the key, is not set", variable)
}

// compatible opens a model of a server that speaks OpenAI's API. The model's name follows the path's /v1/, or its last slash.
func (c *chats) compatible(name, target string) (because.Chat, string, bool, error) {
	at := strings.Index(target, "/v1/")
	if at >= 0 {
		at += len("/v1")
	} else {
		at = strings.LastIndexByte(target, '/')
	}
	if at <= 0 || at+1 >= len(target) || !strings.Contains(target[:at], "//") || strings.HasSuffix(target[:at], "/") {
		return nil, "", false, usage("open model", name, "such as openai-api:http://127.0.0.1:8080/v1/NAME", "it is no URL with a model's name behind it")
	}
	m, err := openai.New(openai.Options{Name: name, Model: target[at+1:], BaseURL: target[:at], Key: os.Getenv(compatibleKey), Timeout: c.o.timeout})
	if err != nil {
		return nil, "", false, err
	}
	return m, m.Identity(), true, nil
}

// inProcess opens a checkpoint in this process.
func (c *chats) inProcess(ctx context.Context, name string) (because.Chat, error) {
	path, err := c.a.modelPath(ctx, name)
	if err != nil {
		return nil, err
	}
	if isOrganism(path) {
		m, err := local.Open(path, nil)
		if err != nil {
			return nil, err
		}
		return organismChat{m, name}, nil
	}
	m, err := pretrained.Open(path, pretrained.Options{Precision: infer.Precision(c.o.precision), MaxBatch: min(c.o.connections, 64), MaxQueue: 1 << 20})
	if err != nil {
		return nil, err
	}
	c.close = append(c.close, m)
	return pretrainedChat{m, name}, nil
}

// organismChat and pretrainedChat go by the name under which the user knows them.
type organismChat struct {
	*local.Model
	name string
}

func (m organismChat) Name() string { return m.name }

type pretrainedChat struct {
	*pretrained.Model
	name string
}

func (m pretrainedChat) Name() string { return m.name }

// cost says what was used, and what it cost where prices are known.
func (c *chats) cost() string {
	tokens, usd := 0, 0.0
	for _, s := range c.meter.Snapshot() {
		tokens += s.Usage.Total()
		usd += s.USD
	}
	text := count(float64(tokens)) + " tokens"
	if usd > 0 {
		text += fmt.Sprintf(", $%.2f", usd)
	}
	return text
}
