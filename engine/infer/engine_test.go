package infer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/because-lab/because/engine/llama"
)

// asks are requests of every kind; many share the beginning of a prompt.
func asks(r *rand.Rand, n int) []Request {
	long := text(r, small, 170)
	out := make([]Request, n)
	for i := range out {
		q := &out[i]
		switch r.IntN(4) {
		case 0:
			q.Prompt = long[:1+r.IntN(len(long))]
		case 1:
			q.Prompt = slices.Concat(long[:r.IntN(len(long))], text(r, small, 1+r.IntN(20)))
		case 2:
			q.Prompt = long
		default:
			q.Prompt = text(r, small, 1+r.IntN(100))
		}
		q.MaxNew, q.Seed = 1+r.IntN(60), r.Uint64()
		if r.IntN(3) > 0 {
			q.Temperature = 0.5 + r.Float64()
		}
		if r.IntN(2) > 0 {
			q.TopP = 0.5 + r.Float64()/2
		}
		if r.IntN(2) > 0 {
			q.TopK = 1 + r.IntN(30)
		}
		if r.IntN(2) > 0 {
			q.Stop = text(r, small, 3)
		}
		q.LogProbs, q.TopLogProbs = r.IntN(2) > 0, r.IntN(2)*r.IntN(5)
	}
	return out
}

// TestResultsDependOnRequestsAlone runs the same requests, and scores, one by
// one without any sharing, and then together in random order on engines with
// other batches, chunks, cores and so little memory that sequences are preempted
// and pages evicted: everything must be the same to the bit.
func TestResultsDependOnRequestsAlone(t *testing.T) {
	src := random(small, 4)
	requests := asks(rand.New(rand.NewPCG(8, 8)), 24)
	prompts, continuations := scoreCases(rand.New(rand.NewPCG(9, 9)), small)
	ctx := context.Background()

	alone := start(t, src, Options{MaxBatch: 1, MinPrefix: -1, Chunk: 1000, Workers: 1})
	want := make([]Result, len(requests))
	var wantScores [][]float32
	for i, q := range requests {
		want[i] = generate(t, alone, q)
	}
	for i := range prompts {
		s, err := alone.Score(ctx, prompts[i:i+1], continuations[i:i+1])
		if err != nil {
			t.Fatal(err)
		}
		wantScores = append(wantScores, s...)
	}
	for i, o := range []Options{
		{Workers: 2}, {MaxBatch: 3, Chunk: 7, Workers: 3}, {KVTokens: 300, Workers: 2}, {KVTokens: 256, Chunk: 33, MinPrefix: 1, Workers: 1},
	} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			e := start(t, src, o)
			var wg sync.WaitGroup
			wg.Go(func() {
				got, err := e.Score(ctx, prompts, continuations)
				if err != nil || !reflect.DeepEqual(got, wantScores) {
					t.Errorf("score: %v (%v), want %v", got, err, wantScores)
				}
			})
			for _, k := range rand.New(rand.NewPCG(uint64(i), 1)).Perm(len(requests)) {
				wg.Go(func() {
					got := generate(t, e, requests[k])
					got.Cached = 0
					if !reflect.DeepEqual(got, want[k]) {
						t.Errorf("request %d gave %+v, want %+v", k, got, want[k])
					}
				})
			}
			wg.Wait()
			s := e.Stats()
			if s.Shared == 0 || o.KVTokens > 0 && s.Preempted == 0 {
				t.Errorf("%+v: the test did not exercise what it is for", s)
			}
			checkTree(t, e)
		})
	}
}

func generate(t *testing.T, e *Engine, q Request) Result {
	t.Helper()
	got, err := e.Generate(context.Background(), q, nil)
	if err != nil {
		t.Error(err)
	}
	return got
}

// checkTree looks at the pages of an engine that is closed for it: nothing is held, and every page is in the tree once.
func checkTree(t *testing.T, e *Engine) {
	t.Helper()
	e.Close()
	tree := e.sched.tree
	if tree.idle != len(tree.pages) || len(tree.pages)+len(tree.spare) > tree.limit {
		t.Errorf("%d of %d pages idle, %d spare, limit %d", tree.idle, len(tree.pages), len(tree.spare), tree.limit)
	}
	count := 0
	var walk func(p *page)
	walk = func(p *page) {
		for _, c := range p.children {
			count++
			if c.parent != p || c.refs != 0 || c.filled == 0 || len(c.children) > 0 && c.filled < len(c.tokens) {
				t.Errorf("page with %d references, %d positions, %d children", c.refs, c.filled, len(c.children))
			}
			walk(c)
		}
	}
	walk(&tree.root)
	if count != len(tree.pages) {
		t.Errorf("%d pages in the tree, %d in the list", count, len(tree.pages))
	}
}

// TestAnswersShareTheirPrompt demands that a prompt is read once for many answers.
func TestAnswersShareTheirPrompt(t *testing.T) {
	e := start(t, random(small, 4), Options{})
	prompt := text(rand.New(rand.NewPCG(1, 1)), small, 200)
	var wg sync.WaitGroup
	const n = 10
	for i := range n {
		wg.Go(func() { generate(t, e, Request{Prompt: prompt, MaxNew: 5, Temperature: 1, Seed: uint64(i)}) })
	}
	wg.Wait()
	s := e.Stats()
	if most := int64(200 + n*5); s.Computed > most {
		t.Errorf("%d tokens were computed for %d answers to one prompt, want at most %d", s.Computed, n, most)
	}
	if got := generate(t, e, Request{Prompt: prompt, MaxNew: 1}); got.Cached != 199 {
		t.Errorf("%d tokens of a known prompt of 200 were cached, want all but the last", got.Cached)
	}
}

func TestEmitOnTheCallersTerms(t *testing.T) {
	e := start(t, random(small, 4), Options{})
	q := Request{Prompt: []int32{1, 2, 3}, MaxNew: 100}
	whole := generate(t, e, q)
	if len(whole.Tokens) != 100 || whole.Stop != StopLength {
		t.Fatalf("%d tokens, stop %q", len(whole.Tokens), whole.Stop)
	}
	var seen []Token
	until := func(n int, err error) func(Token) error {
		seen = nil
		return func(tok Token) error {
			if seen = append(seen, tok); len(seen) == n {
				return err
			}
			return nil
		}
	}
	got, err := e.Generate(context.Background(), q, until(7, fmt.Errorf("found it: %w", ErrStop)))
	if err != nil || got.Stop != StopCaller || !reflect.DeepEqual(got.Tokens, whole.Tokens[:7]) || len(seen) != 7 {
		t.Errorf("stopped after 7: %+v, %v", got, err)
	}
	broken := errors.New("pipe broken")
	if _, err := e.Generate(context.Background(), q, until(3, broken)); !errors.Is(err, broken) {
		t.Errorf("error %v, want that of emit", err)
	}
	q.Stop = []int32{whole.Tokens[20].ID}
	first := slices.Index(ids(whole.Tokens), q.Stop[0])
	got = generate(t, e, q)
	if got.Stop != StopToken || got.StopToken != q.Stop[0] || !reflect.DeepEqual(got.Tokens, whole.Tokens[:first]) {
		t.Errorf("stopped by token %d: %+v", q.Stop[0], got)
	}
}

// endless starts an engine whose answers take longer than any test.
func endless(t *testing.T, o Options) *Engine {
	c := small
	c.MaxPositions = 1 << 15
	o.KVTokens = c.MaxPositions
	return start(t, random(c, 4), o)
}

// waitFor waits until the engine's numbers are as wanted.
func waitFor(t *testing.T, e *Engine, what string, ok func(Stats) bool) {
	t.Helper()
	for range 20000 {
		if ok(e.Stats()) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%s: never so; now %+v", what, e.Stats())
}

func idle(s Stats) bool { return s.Running+s.Waiting+s.KVInUse == 0 }

// TestCancelFreesTheSlot cancels requests that are being answered and read, and
// ones that wait.
func TestCancelFreesTheSlot(t *testing.T) {
	e := endless(t, Options{MaxBatch: 2, Chunk: 1})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	cancelled := func(what string, err error) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v", what, err)
		}
	}
	wg.Go(func() {
		var seen int
		res, err := e.Generate(ctx, Request{Prompt: []int32{1}}, func(Token) error { seen++; return nil })
		if cancelled("being answered", err); len(res.Tokens) == 0 || len(res.Tokens) != seen {
			t.Errorf("%d tokens came back, %d were emitted", len(res.Tokens), seen)
		}
	})
	waitFor(t, e, "an answer goes on", func(s Stats) bool { return s.Drawn > 3 })
	wg.Go(func() {
		_, err := e.Generate(ctx, Request{Prompt: make([]int32, 30000)}, nil)
		cancelled("being read", err)
	})
	waitFor(t, e, "two run", func(s Stats) bool { return s.Running == 2 })
	for range 3 {
		wg.Go(func() {
			_, err := e.Generate(ctx, Request{Prompt: []int32{1}}, nil)
			cancelled("waiting", err)
		})
		wg.Go(func() {
			_, err := e.Score(ctx, [][]int32{{1}, {2}}, [][]int32{{3}, {4}})
			cancelled("score, waiting", err)
		})
	}
	waitFor(t, e, "the others wait", func(s Stats) bool { return s.Waiting == 9 })
	cancel()
	wg.Wait()
	waitFor(t, e, "all are let go", idle)
	generate(t, e, Request{Prompt: []int32{5}, MaxNew: 3}) // there is a place
	_, err := e.Generate(ctx, Request{Prompt: []int32{5}}, nil)
	cancelled("begun too late", err)
	_, err = e.Score(ctx, [][]int32{{5}}, [][]int32{{5}})
	cancelled("score, begun too late", err)
}

func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	e := endless(t, Options{MaxBatch: 2, Workers: 3})
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			if _, err := e.Generate(context.Background(), Request{Prompt: []int32{int32(i)}}, nil); !errors.Is(err, ErrClosed) {
				t.Errorf("a request got %v", err)
			}
		})
	}
	waitFor(t, e, "some run, some wait", func(s Stats) bool { return s.Running == 2 && s.Waiting == 4 && s.Drawn > 0 })
	e.Close()
	e.Close()
	wg.Wait()
	if _, err := e.Generate(context.Background(), Request{Prompt: []int32{1}}, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("a request to a closed engine got %v", err)
	}
	if _, err := e.Logits(context.Background(), []int32{1}); !errors.Is(err, ErrClosed) {
		t.Errorf("logits of a closed engine: %v", err)
	}
	waitFor(t, e, "no goroutine is left", func(Stats) bool { return runtime.NumGoroutine() <= before })
}

func TestQueueIsBounded(t *testing.T) {
	e := endless(t, Options{MaxBatch: 1, MaxQueue: 2})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() { e.Generate(ctx, Request{Prompt: []int32{1}}, nil) })
		waitFor(t, e, "one runs, the others wait", func(s Stats) bool { return s.Running == 1 && s.Waiting == i })
	}
	if _, err := e.Generate(ctx, Request{Prompt: []int32{1}}, nil); !errors.Is(err, ErrBusy) {
		t.Errorf("a request to a full engine got %v", err)
	}
	cancel()
	wg.Wait()
	waitFor(t, e, "all are let go", idle)
	generate(t, e, Request{Prompt: []int32{1}, MaxNew: 1})
}

func TestBadRequests(t *testing.T) {
	e := start(t, random(small, 4), Options{KVTokens: 128})
	for want, q := range map[string]Request{
		"prompt is empty":                         {},
		"token 211 at position 1 is outside":      {Prompt: []int32{0, 211}},
		"token -1 at position 0 is outside":       {Prompt: []int32{-1}},
		"100 tokens and 29 to come make more":     {Prompt: make([]int32, 100), MaxNew: 29},
		"129 tokens and 0 to come make more":      {Prompt: make([]int32, 129)},
		"128 tokens leaves no room for an answer": {Prompt: make([]int32, 128)},
		"MaxNew is -1":                            {Prompt: []int32{1}, MaxNew: -1},
		"temperature is NaN":                      {Prompt: []int32{1}, Temperature: math.NaN()},
		"temperature is +Inf":                     {Prompt: []int32{1}, Temperature: math.Inf(1)},
		"temperature is -1":                       {Prompt: []int32{1}, Temperature: -1},
		"top-p is 1.5":                            {Prompt: []int32{1}, TopP: 1.5},
		"top-k is -3":                             {Prompt: []int32{1}, TopK: -3},
		"TopLogProbs is 212":                      {Prompt: []int32{1}, TopLogProbs: 212},
	} {
		_, err := e.Generate(context.Background(), q, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if long := strings.Contains(want, "make more") || strings.Contains(want, "no room"); errors.Is(err, ErrTooLong) != long {
			t.Errorf("%q: errors.Is(err, ErrTooLong) = %v", want, !long)
		}
	}
	ctx := context.Background()
	for want, c := range map[string][2][][]int32{
		"1 prompts and 0 continuations":                   {{{1}}, {}},
		"pair 1: the prompt is empty":                     {{{1}, {}}, {{1}, {2}}},
		"pair 0: token 300 at position 2 is outside":      {{{1, 2}}, {{300}}},
		"pair 0: 100 tokens and 40 to come make more tha": {{make([]int32, 100)}, {make([]int32, 40)}},
	} {
		if _, err := e.Score(ctx, c[0], c[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("score: %v, want %q", err, want)
		}
	}
	if _, err := e.LogProbs(ctx, nil, 0); err == nil {
		t.Error("log-probabilities of no tokens")
	}
	if _, err := e.LogProbs(ctx, []int32{1}, -1); err == nil {
		t.Error("-1 likeliest tokens")
	}
	if _, err := e.Logits(ctx, make([]int32, 129)); !errors.Is(err, ErrTooLong) {
		t.Errorf("logits of too many tokens: %v", err)
	}
	if got := generate(t, e, Request{Prompt: make([]int32, 100), MaxNew: 28}); len(got.Tokens) != 28 {
		t.Errorf("%d tokens of the 28 that just fit", len(got.Tokens))
	}
	if got := generate(t, e, Request{Prompt: make([]int32, 100)}); len(got.Tokens) != 28 || got.Stop != StopLength {
		t.Errorf("%d tokens, stop %q without a limit, want the 28 that fit", len(got.Tokens), got.Stop)
	}
}

func TestBadSources(t *testing.T) {
	missing := func(name string) *memory {
		m := random(small, 1)
		delete(m.shapes, name)
		return m
	}
	spoilt := func(name string, at int, v float32) *memory {
		m := random(small, 1)
		m.tensors[name][at] = v
		return m
	}
	short := random(small, 1)
	short.tensors["model.layers.1.mlp.down_proj.weight"] = make([]float32, 10)
	other := random(small, 1)
	other.shapes["model.norm.weight"] = []int{47}
	odd := random(small, 1)
	odd.c.HeadDim = 15
	yarn := random(small, 1)
	yarn.c.Rope.Kind = "yarn"
	for want, src := range map[string]llama.Source{
		"model.layers.2.self_attn.k_proj.weight is missing":               missing("model.layers.2.self_attn.k_proj.weight"),
		"model.norm.weight has shape [47], the config makes it [48]":      other,
		"model.layers.0.mlp.up_proj.weight: element 49 is NaN":            spoilt("model.layers.0.mlp.up_proj.weight", 49, float32(math.NaN())),
		"model.layers.0.input_layernorm.weight: element 3 is -Inf":        spoilt("model.layers.0.input_layernorm.weight", 3, float32(math.Inf(-1))),
		"tensor model.layers.1.mlp.down_proj.weight: no elements 0..3840": short,
		"head_dim 15 is odd": odd,
		"yarn":               yarn,
	} {
		_, err := New(src, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	for _, o := range []Options{{Precision: "f16"}, {MaxBatch: -1}, {KVTokens: -5}, {Workers: -1}, {Chunk: -1}, {MaxQueue: -1}} {
		if _, err := New(random(small, 1), o); err == nil {
			t.Errorf("options %+v were accepted", o)
		}
	}
}

// TestInfiniteLogits gives weights that overflow: an error, not a token.
func TestInfiniteLogits(t *testing.T) {
	src := random(small, 1)
	for i := range src.tensors["model.norm.weight"] {
		src.tensors["model.norm.weight"][i] = 3e38
	}
	e := start(t, src, Options{Precision: F32})
	if _, err := e.Generate(context.Background(), Request{Prompt: []int32{1, 2}, MaxNew: 3}, nil); err == nil || !strings.Contains(err.Error(), "position 1 are not finite") {
		t.Errorf("error %v", err)
	}
	if _, err := e.Score(context.Background(), [][]int32{{1, 2}}, [][]int32{{3, 4}}); err == nil || !strings.Contains(err.Error(), "not finite") {
		t.Errorf("score: %v", err)
	}
	waitFor(t, e, "failed requests are let go", idle)
}

func TestEstimate(t *testing.T) {
	n, err := Estimate(smol, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n.Weights < 268e6 || n.Weights > 271e6 { // 134.5 million parameters
		t.Errorf("weights take %d bytes", n.Weights)
	}
	if n.KV > 1<<30 || n.KV < 1<<29 || n.Total() != n.Weights+n.KV+n.Work {
		t.Errorf("%+v", n)
	}
	if _, err := Estimate(llama.Config{}, Options{}); err == nil {
		t.Error("an empty config was accepted")
	}
}
