package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/infer"
	"github.com/because-lab/because/internal/serve"
	"github.com/because-lab/because/model/pretrained"
	"github.com/because-lab/because/train/reward"
)

// tokenVariable holds the token of serve where --token should not stand in a list of processes.
const tokenVariable = "BECAUSE_TOKEN"

// serveOptions are the flags of serve.
type serveOptions struct {
	model     string
	addr      string
	token     string
	name      string
	precision string
	parallel  int
	queue     int
	kvTokens  int
	verbose   bool
	reward    rewardOptions
	engine    string
	cluster   serveRayOptions
	stop      string
}

func newServe(a *app) *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve --model MODEL",
		Short: "offer a checkpoint to other programs, as OpenAI's API does",
		Long: `Serve answers /v1/chat/completions, /v1/completions and /v1/models as OpenAI's API does, so that its clients, Inspect
(openai-api/local/NAME), curl and most tools of the field can use a local checkpoint. Requests that come together are
answered together, and prompts that begin alike are read once. /health and /metrics (Prometheus) are for machines.

An answer depends on the model, the request and its seed alone, not on what else is asked for at the time.

Without a token only programs of this machine can connect: the address must be a loopback one. With --token, or the
variable ` + tokenVariable + `, clients send it as "Authorization: Bearer TOKEN" and any address may be used.

With --engine ray a cluster serves MODEL (a folder of results or a checkpoint by URI, a repository of the hub, or a
local folder) until this program ends: by vLLM where it has GPUs, else by transformers.

With --reward it gives rewards instead, to the RL jobs that ask for them (docs/scale.md): the grades of --judge by a
rubric, from 0 to 1. A grade that can't be had is an error, never a reward. Its token is also looked for in
` + rewardToken + `.

Ctrl-C lets answers in progress finish for ten seconds; a second one ends at once.`,
		Example: `  because serve --model local:SmolLM2-135M-Instruct
  because serve --model hf:Qwen/Qwen2.5-0.5B-Instruct --addr 127.0.0.1:9000 --name qwen
  because serve --engine ray --ray http://head:8265 --model s3://bucket/run
  because serve --reward --judge openai/gpt-5-mini --addr 0.0.0.0:8090 --token SECRET
  curl http://127.0.0.1:8080/v1/chat/completions -d '{"messages":[{"role":"user","content":"hello"}]}'`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", modelHelp)
	f.StringVar(&o.addr, "addr", "127.0.0.1:8080", "`address` to listen on")
	f.StringVar(&o.token, "token", "", "`secret` that clients must send (default: $"+tokenVariable+")")
	f.StringVar(&o.name, "name", "", "`name` of the model for clients (default: that of its folder or file)")
	f.StringVar(&o.precision, "precision", string(infer.BF16), "how weights are kept: bf16 or f32")
	f.IntVar(&o.parallel, "parallel", 32, "`number` of answers generated at a time")
	f.IntVar(&o.queue, "queue", 256, "`number` of further requests that may wait; others are told to come back")
	f.IntVar(&o.kvTokens, "kv-tokens", 0, "`number` of tokens whose keys and values are kept (default: what 1 GiB holds)")
	f.BoolVar(&o.verbose, "verbose", false, "log every request on standard error")
	f.StringVar(&o.engine, "engine", engineLocal, "what serves: local (this process) or ray (a Ray cluster)")
	o.cluster.addTo(f)
	f.StringVar(&o.stop, "stop", "", "ray: take the application of this `name` away")
	f.StringVar(&o.reward.rubric, "reward", "", "give rewards by this `rubric`, a built-in one or a file, instead of answers")
	f.Lookup("reward").NoOptDefVal = reward.Rubric
	f.StringVar(&o.reward.judge, "judge", "", "with --reward: the "+chatModelHelp)
	f.IntVar(&o.reward.connections, "connections", 64, "with --reward: `number` of requests to the judge at once, at most")
	f.StringVar(&o.reward.cache, "cache", "off", "with --reward: grades kept on disk: off, read, write or read-write")
	f.Float64Var(&o.reward.budgetUSD, "budget", 0, "with --reward: stop when grades have cost this many US `dollars`")
	o.reward.retries, o.reward.timeout, o.reward.cacheDir, o.reward.precision = 10, 10*time.Minute, filepath.Join(".because", "answers"), string(infer.BF16)
	return cmd
}

// check refuses values that mean nothing.
func (o serveOptions) check() error {
	const hint = "see because serve --help"
	bad := func(flag, format string, args ...any) error { return usage("serve", "--"+flag, hint, format, args...) }
	switch {
	case o.model == "":
		return bad("model", "is missing")
	case o.precision != string(infer.BF16) && o.precision != string(infer.F32):
		return bad("precision", "%q is neither bf16 nor f32", o.precision)
	case o.parallel < 1:
		return bad("parallel", "%d is not a number of answers", o.parallel)
	case o.queue < 0:
		return bad("queue", "%d is not a number of requests", o.queue)
	case o.kvTokens < 0:
		return bad("kv-tokens", "%d is not a number of tokens", o.kvTokens)
	}
	return nil
}

func (a *app) serve(ctx context.Context, o serveOptions) error {
	switch {
	case o.reward.rubric != "":
		return a.serveReward(ctx, o)
	case o.stop != "":
		return a.stopServing(ctx, o)
	case o.engine == engineRay:
		return a.serveRay(ctx, o)
	case o.engine != engineLocal:
		return usage("serve", "--engine", "see because serve --help", "%q is neither local nor ray", o.engine)
	}
	if err := o.check(); err != nil {
		return err
	}
	if o.token == "" {
		o.token = os.Getenv(tokenVariable)
	}
	path, err := a.modelPath(ctx, o.model)
	if err != nil {
		return err
	}
	if isOrganism(path) {
		return usage("serve", path, "talk to it with because chat", "it is an organism, which speaks a language of its own with roles that no API has")
	}
	// The address comes first: a busy port should not cost the time to load a model.
	listener, err := serve.Listen(ctx, o.addr, o.token)
	if err != nil {
		return err
	}
	defer listener.Close()
	m, err := pretrained.Open(path, pretrained.Options{Precision: infer.Precision(o.precision), MaxBatch: o.parallel, KVTokens: o.kvTokens,
		MaxQueue: 2*o.parallel + o.queue})
	if err != nil {
		return err
	}
	defer m.Close()
	m.Now = time.Now()
	if o.name == "" {
		o.name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	options := serve.Options{Token: o.token, Concurrent: o.parallel, Queue: o.queue, Log: o.logger(a)}
	if o.queue == 0 {
		options.Queue = -1
	}
	server, err := serve.New(backend{m, o.name, time.Now().Unix()}, options)
	if err != nil {
		return err
	}
	a.interrupt.allow(12 * time.Second)
	fmt.Fprintf(a.err, "%s is at http://%s/v1 (context of %d tokens); end with Ctrl-C\n", o.name, listener.Addr(), m.Engine().Limit())
	return server.Run(ctx, listener)
}

func (o serveOptions) logger(a *app) *slog.Logger {
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
}

// backend offers a model to the server.
type backend struct {
	*pretrained.Model
	name    string
	created int64
}

func (b backend) Info() serve.Info {
	return serve.Info{ID: b.name, OwnedBy: "because", Created: b.created, ContextLength: b.Engine().Limit(), Vocab: b.Engine().Config().VocabSize,
		Fingerprint: b.Name()}
}

func (b backend) Chat(_ context.Context, in serve.ChatInput) (serve.Prompt, error) {
	tokens, format, err := b.Prompt(pretrained.Conversation{Messages: in.Messages, Tools: in.Tools, Vars: in.Vars})
	if err != nil {
		return serve.Prompt{}, &serve.BadRequest{Param: "messages", Err: err}
	}
	return serve.Prompt{Tokens: tokens, ReasoningOpen: format.Opened}, nil
}

func (b backend) Encode(text string) ([]int32, error) { return b.Text.Encode(text), nil }

func (b backend) Generate(ctx context.Context, prompt []int32, o serve.Generation, emit func(serve.Token) error) (because.StopReason, error) {
	result, err := b.Engine().Generate(ctx, infer.Request{Prompt: prompt, MaxNew: o.MaxTokens, Temperature: o.Temperature, TopP: o.TopP, TopK: o.TopK,
		Seed: o.Seed, Stop: b.Ends(), LogProbs: o.LogProbs, TopLogProbs: o.TopLogProbs}, func(t infer.Token) error {
		if err := emit(serveToken(t)); err != serve.ErrStop { //nolint:errorlint // emit returns it as it is
			return err
		}
		return infer.ErrStop
	})
	if err != nil {
		return "", err
	}
	if result.Stop == infer.StopLength {
		return because.StopLength, nil
	}
	return because.StopEnd, nil
}

func serveToken(t infer.Token) serve.Token {
	out := serve.Token{ID: t.ID, LogProb: t.LogProb}
	for _, top := range t.Top {
		out.Top = append(out.Top, serve.TopToken(top))
	}
	return out
}

func (b backend) Score(ctx context.Context, tokens []int32, top int) ([]serve.Token, error) {
	judged, err := b.Engine().LogProbs(ctx, tokens, top)
	if err != nil {
		return nil, err
	}
	out := make([]serve.Token, len(judged))
	for i, t := range judged {
		out[i] = serveToken(t)
	}
	return out, nil
}

func (b backend) Parser(tools, reasoningOpen bool) serve.AnswerParser {
	return parser{b.Stream(tools, reasoningOpen)}
}

// parser takes an answer apart in the model's own syntax.
type parser struct{ stream *pretrained.Stream }

func (p parser) Push(text string) (serve.Delta, error) {
	d := p.stream.Push(text)
	return serve.Delta{Content: d.Content, Reasoning: d.Reasoning, Calls: d.Calls}, nil
}

func (p parser) End() (serve.Delta, error) {
	d := p.stream.End()
	return serve.Delta{Content: d.Content, Reasoning: d.Reasoning, Calls: d.Calls}, nil
}
