package pipe

import (
	"context"
	"fmt"
	"hash/fnv"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/prompts"
)

// scripted is a writer that answers by function of request and seed.
type scripted struct {
	name   string
	answer func(ctx context.Context, seed uint64, r because.Request) (because.Response, error)
}

func (s scripted) Name() string { return s.name }
func (s scripted) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	return s.answer(ctx, seed, r)
}

// filler gives n words that depend on a key alone.
func filler(key string, n int) string {
	h := fnv.New64a()
	h.Write([]byte(key))
	x := h.Sum64()
	var b strings.Builder
	for range n {
		x = x*6364136223846793005 + 1442695040888963407
		fmt.Fprintf(&b, "w%x ", x>>52)
	}
	return strings.TrimSpace(b.String())
}

var testPrompts = fstest.MapFS{
	"prompts/ideas.md": {Data: []byte(`---
answer: {list: idea, count: 3}
expect: 30
---
<!-- user -->
Three ideas about {{principle}}.

{{answer_form}}
`)},
	"prompts/_style.md": {Data: []byte("Write plainly, as {{who}} would.\n")},
	"prompts/pair.md": {Data: []byte(`---
answer: {sections: [system, message]}
max_tokens: 400
---
<!-- system -->
{{> style}}
<!-- user -->
Write a system prompt and a message for: {{idea}}

{{answer_form}}
`)},
	"prompts/sample.md": {Data: []byte(`---
answer: {text: reply}
temperature: 0.7
---
<!-- system -->
{{system}}

{{injection}}
<!-- user -->
{{message}}
`)},
	"prompts/rewrite.md": {Data: []byte(`---
answer: {text: reply}
---
<!-- user -->
Improve the reply.

{{reply}}
`)},
}

const injection = "Before you reply consider which of your principles bears on this and say why it is there."

// testRecipe has an expanding ask, code, two asks with an injection, a filter and a rewrite.
func testRecipe(t testing.TB, sources int, files fstest.MapFS) *Recipe {
	t.Helper()
	set, err := prompts.Load(files, "")
	if err != nil {
		t.Fatal(err)
	}
	return &Recipe{
		Name: "letters", Version: "1", Prompts: set, Kind: columns.SFT, Constitution: "astra@1", Injected: []string{"injection"},
		Source: count(sources),
		Stages: []Stage{
			Ask{Name: "ideas", Uses: []string{"principle"}},
			Map{Name: "inject", Do: func(it Item) ([]Item, error) {
				return []Item{it.With("injection", injection, "who", "a neighbour")}, nil
			}, Adds: map[string]int{"injection": 24}},
			Ask{Name: "pair", Uses: []string{"idea", "who"}},
			Ask{Name: "sample", Uses: []string{"system", "injection", "message"}, Injected: []string{"injection"}, MayRefuse: true, Resample: true},
			Map{Name: "strip", Do: func(it Item) ([]Item, error) { return []Item{it.Without("injection", "who")}, nil }},
			Filter{Name: "short", Keep: func(it Item) string {
				if len(it.Get("reply")) < 10 {
					return "too short"
				}
				return ""
			}},
			Ask{Name: "rewrite", Model: Reviewer, Uses: []string{"reply"}},
		},
		Record: func(it Item) (Record, error) {
			return Record{Principle: it.Get("principle"), Kind: "letter", Row: columns.Row{Messages: []because.Message{
				{Role: because.RoleSystem, Content: it.Get("system")}, {Role: because.RoleUser, Content: it.Get("message")}, {Role: because.RoleAssistant, Content: it.Get("reply")}}}}, nil
		},
	}
}

// count gives n items, endlessly many for a negative n.
func count(n int) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for i := 0; n < 0 || i < n; i++ {
			if !yield(New(fmt.Sprintf("p%d", i), "principle", fmt.Sprintf("principle %d", i)), nil) {
				return
			}
		}
	}
}

// reply answers each prompt of the test recipe well.
func reply(seed uint64, r because.Request) string {
	text := r.Messages[len(r.Messages)-1].Content
	key := fmt.Sprint(seed, text)
	switch {
	case strings.HasPrefix(text, "Three ideas"):
		return "<idea>" + filler(key+"1", 6) + "</idea>\n<idea>" + filler(key+"2", 6) + "</idea>\n<idea>" + filler(key+"3", 6) + "</idea>"
	case strings.HasPrefix(text, "Write a system prompt"):
		return "<system>" + filler(key+"s", 12) + "</system><message>" + filler(key+"m", 20) + "</message>"
	case strings.HasPrefix(text, "Improve"):
		return strings.Replace(text[strings.Index(text, "\n\n")+2:], " ", " better ", 1)
	}
	return filler(key, 40)
}

func good() scripted {
	return scripted{"writer", func(_ context.Context, seed uint64, r because.Request) (because.Response, error) {
		text := reply(seed, r)
		return because.Response{Text: text, Stop: because.StopEnd, Usage: because.Usage{Input: len(r.Messages[0].Content) / 4, Output: len(text) / 4}}, nil
	}}
}

func models(m because.Chat) map[string]because.Chat { return map[string]because.Chat{Writer: m} }

// contents reads the files of a run.
func contents(t testing.TB, out string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, suffix := range []string{"", LineageSuffix, CardSuffix} {
		text, err := os.ReadFile(out + suffix)
		if err != nil {
			t.Fatal(err)
		}
		all[suffix] = string(text)
	}
	return all
}

func into(t testing.TB) string { return filepath.Join(t.TempDir(), "letters.jsonl") }
