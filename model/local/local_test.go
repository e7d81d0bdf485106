package local

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/tokenizer"
)

var (
	_ because.Model      = (*Model)(nil)
	_ because.Likelihood = (*Model)(nil)
)

var words = strings.Fields("ava max eve : . help me do it call mail and stop who are you")

func newTokenizer(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	marks := RoleTemplate("ava").Words()
	slices.Reverse(marks) // the end marker is token 0
	tok, err := tokenizer.New(words, marks)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func config(vocabulary int) llama.Config {
	return llama.Config{VocabSize: vocabulary, HiddenSize: 16, IntermediateSize: 24, Layers: 2, Heads: 2, MaxPositions: 40}
}

func newModel(t *testing.T, pool *kernel.Pool) *Model {
	t.Helper()
	tok := newTokenizer(t)
	engine, err := llama.New(config(tok.Len()), 13)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New("toy", engine, tok, RoleTemplate("ava"), pool)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func ask(text string) because.Request {
	return because.Request{Messages: []because.Message{{Role: because.RoleUser, Content: text}}, MaxTokens: 6, Temperature: 1}
}

// requests are n of them that differ in what they say, who answers and what is given of the answer.
func requests(n int) []because.Request {
	var out []because.Request
	for i := range n {
		r := ask(strings.Join(words[3:4+i%8], " "))
		r.As, r.Prefill = []string{"", "max", "eve"}[i%3], []string{"", "call"}[i%2]
		out = append(out, r)
	}
	return out
}

func generate(t *testing.T, m *Model, seed uint64, requests []because.Request) []because.Response {
	t.Helper()
	out, err := m.Generate(t.Context(), seed, requests)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestGenerate compares answers with the engine's completions of the same tokens.
func TestGenerate(t *testing.T) {
	m := newModel(t, nil)
	asked := requests(40)
	for i := range asked {
		asked[i].TopP = 0.9
	}
	var prompts [][]int32
	for _, r := range asked {
		tokens, err := m.Tokens(r)
		if err != nil {
			t.Fatal(err)
		}
		prompts = append(prompts, tokens)
	}
	completions, err := m.Llama().Generate(t.Context(), prompts, llama.SampleOptions{MaxNew: 6, Temperature: 1, TopP: 0.9, Stop: []int32{m.EndToken()}, Seed: 4})
	if err != nil {
		t.Fatal(err)
	}
	stops := map[because.StopReason]int{}
	for i, got := range generate(t, m, 4, asked) {
		text, err := m.Tokenizer().Decode(completions[i].Tokens)
		if err != nil {
			t.Fatal(err)
		}
		want := because.Response{Text: strings.TrimSpace(asked[i].Prefill + " " + text), Stop: because.StopReason(completions[i].Stop), Usage: because.Usage{Input: len(prompts[i]), Output: len(completions[i].Tokens)}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("answer %d: %s", i, diff)
		}
		if got.Stop == because.StopLength != (got.Usage.Output == 6) {
			t.Errorf("answer %d of %d tokens ended by %q", i, got.Usage.Output, got.Stop)
		}
		stops[got.Stop]++
	}
	if stops[because.StopEnd] == 0 || stops[because.StopLength] == 0 || len(stops) != 2 {
		t.Errorf("ends: %v; both are needed", stops)
	}
}

func TestTokens(t *testing.T) {
	m := newModel(t, nil)
	r := ask("help me .")
	r.As, r.Prefill = "max", "call mail"
	tokens, err := m.Tokens(r)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := m.Tokenizer().Decode(tokens); err != nil || text != "<user> help me . <turn> max : call mail" {
		t.Errorf("got %q, %v", text, err)
	}
}

// Answer i depends on request i, the seed and i, and on nothing else.
func TestGenerateDependsOnSeedAndPlace(t *testing.T) {
	all := requests(20)
	want := generate(t, newModel(t, nil), 1, all)
	if got := generate(t, newModel(t, nil), 1, all[:7]); !cmp.Equal(want[:7], got) {
		t.Error("a call with fewer requests gave other answers to them")
	}
	pool := kernel.NewPool(2)
	defer pool.Close()
	if got := generate(t, newModel(t, pool), 1, all); !cmp.Equal(want, got) {
		t.Error("two workers gave other answers")
	}
	if got := generate(t, newModel(t, nil), 2, all); cmp.Equal(want, got) {
		t.Error("another seed gave the same answers")
	}
	same := slices.Repeat(all[:1], 8)
	texts := map[string]bool{}
	for _, r := range generate(t, newModel(t, nil), 1, same) {
		texts[r.Text] = true
	}
	if len(texts) == 1 {
		t.Error("the same request in eight places gave the same answer")
	}
	if got, err := newModel(t, nil).Generate(t.Context(), 1, nil); len(got) != 0 || err != nil {
		t.Errorf("no requests gave %v, %v", got, err)
	}
}

// An answer that ends at once is the given start of it, without a space behind.
func TestEmptyAnswers(t *testing.T) {
	tok := newTokenizer(t)
	engine, err := llama.Zero(config(tok.Len()))
	if err != nil {
		t.Fatal(err)
	}
	m, err := New("toy", engine, tok, RoleTemplate("ava"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, prefill := range []string{"", "call mail"} {
		r := ask("help me .")
		r.Temperature, r.Prefill = 0, prefill // greedy: of equal logits the first, which is the end marker's
		if got := generate(t, m, 0, []because.Request{r}); got[0].Text != prefill || got[0].Stop != because.StopEnd || got[0].Usage.Output != 0 {
			t.Errorf("got %+v", got[0])
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	long := strings.Repeat("do it ", 20)
	change := func(f func(r *because.Request)) because.Request {
		r := ask("help me .")
		f(&r)
		return r
	}
	for _, c := range []struct {
		name string
		r    because.Request
		want string
	}{
		{"another length", change(func(r *because.Request) { r.MaxTokens = 5 }), "generate: toy: request 2 asks for other sampling options"},
		{"another temperature", change(func(r *because.Request) { r.Temperature = 0 }), "generate: toy: request 2 asks for other sampling options"},
		{"another top-p", change(func(r *because.Request) { r.TopP = 0.5 }), "generate: toy: request 2 asks for other sampling options"},
		{"unknown word", ask("help felix ."), `generate: toy: request 2: tokenizer: encode: the word "felix"`},
		{"unknown speaker", change(func(r *because.Request) { r.As = "bob" }), `request 2: tokenizer: encode: the word "bob"`},
		{"unknown word in the given start", change(func(r *because.Request) { r.Prefill = "hm" }), `request 2: tokenizer: encode: the word "hm"`},
		{"unknown role", change(func(r *because.Request) { r.Messages[0].Role = "bot" }), `request 2: messages[0] has the unknown role "bot"`},
		{"tool calls", change(func(r *because.Request) {
			r.Messages = append(r.Messages, because.Message{Role: because.RoleAssistant, ToolCalls: []because.ToolCall{{Name: "mail"}}})
		}), "request 2: messages[1] calls the tool mail, and this template has no tool calls"},
		{"too long", ask(long), "generate: toy: llama: prompt 1 has 44 tokens"},
	} {
		got, err := newModel(t, nil).Generate(t.Context(), 1, []because.Request{ask("do it ."), c.r})
		if err == nil || !strings.Contains(err.Error(), c.want) || got != nil {
			t.Errorf("%s: got %v and %v, want %q", c.name, got, err, c.want)
		}
		var unknown *tokenizer.UnknownWordError
		if strings.HasPrefix(c.name, "unknown word") && !errors.As(err, &unknown) {
			t.Errorf("%s: the cause is lost", c.name)
		}
		if strings.HasPrefix(c.name, "another") && because.Hint(err) == "" {
			t.Errorf("%s: no hint", c.name)
		}
	}
	if _, err := newModel(t, nil).Generate(t.Context(), 1, []because.Request{{}}); err == nil || !strings.Contains(err.Error(), "MaxNew is 0") {
		t.Errorf("a request for no tokens: %v", err)
	}
}

// TestLogProb compares sums with the engine's log-probabilities of the same tokens, and with the chain rule: what is
// said of an answer's two halves adds up.
func TestLogProb(t *testing.T) {
	m := newModel(t, nil)
	asked := requests(6)
	answers := []string{"do it .", "mail eve and stop", "", "do it .", "you", "who are you ."}
	var prompts, continuations [][]int32
	for i, r := range asked {
		p, err := m.Tokens(r)
		if err != nil {
			t.Fatal(err)
		}
		c, err := m.Tokenizer().Encode(answers[i] + " <end>")
		if err != nil {
			t.Fatal(err)
		}
		prompts, continuations = append(prompts, p), append(continuations, c)
	}
	logps, err := m.Llama().LogProbs(t.Context(), prompts, continuations, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.LogProbs(t.Context(), asked, contents(answers...))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range logps {
		if !slices.Equal(got[i], want) || len(got[i]) != len(strings.Fields(answers[i]))+1 || !(because.Total(got[i]) < 0) {
			t.Errorf("answer %d: %v, want %v", i, got[i], want)
		}
	}
	whole, given := ask("help me ."), ask("help me .")
	given.Prefill = "do it"
	both, err := m.LogProbs(t.Context(), []because.Request{whole, given}, contents("do it .", "."))
	if err != nil {
		t.Fatal(err)
	}
	start, err := m.Llama().LogProbs(t.Context(), [][]int32{mustTokens(t, m, whole)}, [][]int32{mustTokens(t, m, given)[len(mustTokens(t, m, whole)):]}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if sum, want := because.Total(both[1])+because.Total(start[0]), because.Total(both[0]); math.Abs(sum-want) > 1e-4 {
		t.Errorf("an answer has %v, its halves together %v", want, sum)
	}
}

func contents(texts ...string) []because.Message {
	out := make([]because.Message, len(texts))
	for i, text := range texts {
		out[i] = because.Message{Role: because.RoleAssistant, Content: text}
	}
	return out
}

func mustTokens(t *testing.T, m *Model, r because.Request) []int32 {
	t.Helper()
	tokens, err := m.Tokens(r)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestLogProbRefuses(t *testing.T) {
	m := newModel(t, nil)
	for _, c := range []struct {
		question, answer string
		want             string
	}{
		{"help felix .", "do it .", `score: toy: request 1: tokenizer: encode: the word "felix"`},
		{"help me .", "do felix .", `score: toy: answer 1: tokenizer: encode: the word "felix"`},
		{"help me .", strings.Repeat("do it ", 20), "score: toy: llama: prompt 0 and its continuation have 48 tokens"},
	} {
		if _, err := m.LogProbs(t.Context(), []because.Request{ask(c.question)}, contents(c.answer)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	for _, answers := range [][]string{nil, {"it", "me"}} {
		if _, err := m.LogProbs(t.Context(), []because.Request{ask("do it .")}, contents(answers...)); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d answers to 1 requests", len(answers))) {
			t.Errorf("got %v", err)
		}
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := newModel(t, nil)
	if _, err := m.Generate(ctx, 1, requests(3)); !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "generate: toy: ") {
		t.Errorf("got %v", err)
	}
	if _, err := m.LogProbs(ctx, requests(1), contents("it")); !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "score: toy: ") {
		t.Errorf("got %v", err)
	}
}

// Goroutines that share a model and its pool get the answers that they would get alone.
func TestConcurrentUse(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	m, alone := newModel(t, pool), newModel(t, nil)
	asked := requests(12)
	answers := slices.Repeat(contents("do it ."), len(asked))
	logps, err := alone.LogProbs(t.Context(), asked, answers)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for seed := range uint64(4) {
		want := generate(t, alone, seed, asked)
		wg.Go(func() {
			got, err := m.Generate(t.Context(), seed, asked)
			if err != nil || !cmp.Equal(want, got) {
				t.Errorf("seed %d: other answers than alone, %v", seed, err)
			}
		})
		wg.Go(func() {
			got, err := m.LogProbs(t.Context(), asked, answers)
			if err != nil || !cmp.Equal(logps, got) {
				t.Errorf("other log-probabilities than alone, %v", err)
			}
		})
	}
	wg.Wait()
}

func TestNewRefuses(t *testing.T) {
	tok := newTokenizer(t)
	for end, want := range map[string]string{
		"":           `open model: toy: the template's end marker "": it is 0 tokens, and must be one`,
		"do it":      `open model: toy: the template's end marker "do it": it is 2 tokens, and must be one`,
		"<finished>": `the template's end marker "<finished>": tokenizer: encode: the word "<finished>"`,
	} {
		template := RoleTemplate("ava")
		template.End = end
		if _, err := New("toy", nil, tok, template, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
