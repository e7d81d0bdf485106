// Package pretrained runs chat models of real size, such as SmolLM2, Qwen or Llama, from a Hugging Face folder or a GGUF
// file: it implements because.Chat, because.Model and because.Likelihood over the inference engine. Text, its half without the network,
// also turns conversations into training examples.
package pretrained

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/infer"
	"github.com/because-lab/because/engine/weights"
)

// Options say how a model runs. Apart from Precision nothing here affects an answer.
type Options struct {
	Precision infer.Precision // "" means BF16
	MaxBatch  int             // answers generated together; 0: the engine's default
	MaxQueue  int             // answers that may wait; 0: the engine's default
	KVTokens  int             // positions whose keys and values are kept; 0: the engine's default
	Workers   int             // threads; 0: one per processor
}

// Model is a checkpoint that answers. Many goroutines may use it at once.
type Model struct {
	*Text
	engine *infer.Engine
	source *weights.Source
	name   func() string
}

// Open opens a Hugging Face folder or a GGUF file. A model that does not fit into memory is an error before any of it
// is read.
func Open(path string, o Options) (*Model, error) {
	src, err := weights.OpenSource(path)
	if err != nil {
		return nil, because.E("open model", path, err,
			"a checkpoint is a folder with config.json, safetensors and tokenizer.json, or a GGUF file, of the llama, qwen2 or qwen3 architecture")
	}
	m, err := open(src, o)
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	return m, nil
}

func open(src *weights.Source, o Options) (*Model, error) {
	text, err := ReadText(src)
	if err != nil {
		return nil, err
	}
	options := infer.Options{Precision: o.Precision, MaxBatch: o.MaxBatch, MaxQueue: o.MaxQueue, KVTokens: o.KVTokens, Workers: o.Workers}
	need, err := infer.Estimate(src.Config(), options)
	if err == nil {
		err = weights.Fits(need.Total())
	}
	if err != nil {
		return nil, because.E("open model", src.Path(), err, "take a smaller model, fewer answers at once, or a machine with more memory")
	}
	engine, err := infer.New(src, options)
	if err != nil {
		return nil, because.E("open model", src.Path(), err, "")
	}
	return &Model{Text: text, engine: engine, source: src, name: sync.OnceValue(func() string { return "local/" + fingerprint(src) })}, nil
}

// Close ends the model: answers that are being generated end with an error.
func (m *Model) Close() error {
	m.engine.Close()
	return m.source.Close()
}

// Name names the model after its weights, not its path: equal weights have equal names. The first call reads them.
func (m *Model) Name() string { return m.name() }

// Engine gives the engine that the model runs on.
func (m *Model) Engine() *infer.Engine { return m.engine }

// Ends gives the tokens that end an answer.
func (m *Model) Ends() []int32 { return m.end }

// fingerprint is a short hash of a checkpoint's tensors, as float32, and of their names and shapes.
func fingerprint(src *weights.Source) string {
	h := sha256.New()
	values, bytes := make([]float32, 1<<14), make([]byte, 0, 4<<14)
	for _, name := range src.Names() {
		shape, _ := src.Shape(name)
		fmt.Fprintf(h, "%s %v\n", name, shape)
		n := 1
		for _, d := range shape {
			n *= d
		}
		for at := 0; at < n; at += len(values) {
			part := values[:min(len(values), n-at)]
			if err := src.Read(name, at, part); err != nil {
				fmt.Fprintf(h, "%v\n", err) // a file that changed under us: another model, at any rate
				break
			}
			bytes = bytes[:0]
			for _, x := range part {
				bytes = binary.LittleEndian.AppendUint32(bytes, math.Float32bits(x))
			}
			h.Write(bytes)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}

// maxInFlight bounds the requests of one call that are with the engine at once.
const maxInFlight = 256

// Generate answers requests together. Calls of tools and reasoning are taken out of the text.
func (m *Model) Generate(ctx context.Context, seed uint64, requests []because.Request) ([]because.Response, error) {
	out := make([]because.Response, len(requests))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxInFlight)
	for i, r := range requests {
		g.Go(func() error {
			var err error
			if out[i], err = m.Answer(ctx, mix(seed, i), r); err != nil {
				return because.E("generate", fmt.Sprintf("request %d", i+1), err, "")
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

// mix gives the seed of a call's i-th request.
func mix(seed uint64, i int) uint64 {
	h := sha256.Sum256(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, seed), uint64(i)))
	return binary.LittleEndian.Uint64(h[:])
}

// LogProbs gives the log-probability of every token of each answer, the mark that ends it included. An answer goes on where
// its request's Prefill ends; sampling options play no part. Answers with tool calls are written as the template writes
// them. Answers to equal prompts are scored together, the prompt read once.
func (m *Model) LogProbs(ctx context.Context, requests []because.Request, answers []because.Message) ([][]float32, error) {
	if len(answers) != len(requests) {
		return nil, because.E("score", "", fmt.Errorf("%d answers to %d requests", len(answers), len(requests)), "")
	}
	prompts, continuations := make([][]int32, len(requests)), make([][]int32, len(requests))
	for i, r := range requests {
		var err error
		if prompts[i], continuations[i], err = m.scored(r, answers[i]); err != nil {
			return nil, because.E("score", fmt.Sprintf("request %d", i+1), err, "")
		}
	}
	logps, err := m.engine.Score(ctx, prompts, continuations)
	if err != nil {
		return nil, because.E("score", "", err, "")
	}
	return logps, nil
}

// scored gives the tokens of a request and of an answer to it with its end.
func (m *Model) scored(r because.Request, answer because.Message) (prompt, continuation []int32, err error) {
	if prompt, _, err = m.ask(r); err != nil {
		return nil, nil, err
	}
	if len(answer.ToolCalls) == 0 {
		continuation = m.continued(answer.Content)
		if len(m.end) > 0 {
			continuation = append(continuation, m.ending())
		}
	} else if continuation, err = m.calling(r, answer); err != nil {
		return nil, nil, err
	}
	if len(continuation) == 0 {
		return nil, nil, errors.New("the answer has no tokens")
	}
	return prompt, continuation, nil
}

// calling gives the tokens of a turn with tool calls as the template writes it, up to its end.
func (m *Model) calling(r because.Request, answer because.Message) ([]int32, error) {
	if r.Prefill != "" {
		return nil, errors.New("tool calls can't go on from the start of an answer")
	}
	answer.Role = because.RoleAssistant
	one, err := m.turn(Conversation{Messages: append(slices.Clip(r.Messages), answer), Tools: r.Tools}, len(r.Messages))
	if err != nil {
		return nil, err
	}
	own := m.encode(one.own)
	return own[:m.learnt(own)], nil
}
