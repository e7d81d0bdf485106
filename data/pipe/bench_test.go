package pipe

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
)

// lexicon are words for prose.
var lexicon = strings.Fields(filler("lexicon", 4096))

// prose gives words that no other seed gives in this order.
func prose(seed uint64, n int) string {
	var b strings.Builder
	for range n {
		seed = seed*6364136223846793005 + 1442695040888963407
		b.WriteString(lexicon[seed>>52])
		b.WriteByte(' ')
	}
	return b.String()
}

// fast answers the test recipe at once, with texts of real length.
func fast(asked *atomic.Int64) because.Chat {
	return scripted{"writer", func(_ context.Context, seed uint64, r because.Request) (because.Response, error) {
		asked.Add(1)
		text := r.Messages[len(r.Messages)-1].Content
		answer := prose(seed, 300)
		switch {
		case strings.HasPrefix(text, "Three"):
			answer = "<idea>a " + answer + "</idea><idea>b " + answer + "</idea><idea>c " + answer + "</idea>"
		case strings.HasPrefix(text, "Write a system"):
			answer = "<system>" + answer[:200] + "</system><message>" + answer[:600] + "</message>"
		}
		return because.Response{Text: answer, Stop: because.StopEnd, Usage: because.Usage{Input: 500, Output: 400}}, nil
	}}
}

// BenchmarkRun measures a recipe of four asks; an operation is a request. Its goal is half a millisecond of CPU time, everything
// included: prompts, kept answers, lineage, card.
func BenchmarkRun(b *testing.B) {
	var asked atomic.Int64
	sources := max(1, b.N/10)
	b.ReportAllocs()
	b.ResetTimer()
	res, err := Run(b.Context(), testRecipe(b, sources, testPrompts), Options{Out: into(b), Models: models(fast(&asked)), InFlight: 256})
	if err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	if int(asked.Load()) != 10*sources || res.Records != 3*sources {
		b.Fatalf("%d requests, %d records", asked.Load(), res.Records)
	}
}

// TestMemory runs 20,000 items and wants what stays in memory to be little: hashes, and four bytes for a word of a record.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	var asked atomic.Int64
	var peak atomic.Uint64
	watch := Filter{Name: "watch", Keep: func(Item) string {
		if asked.Load()%4000 == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapAlloc))
		}
		return ""
	}}
	const items = 20_000
	recipe := testRecipe(t, items, testPrompts)
	recipe.Stages = []Stage{Map{Name: "begin", Do: func(it Item) ([]Item, error) { return []Item{it.With("reply", it.ID())}, nil }}, recipe.Stages[6], watch}
	recipe.Record = func(it Item) (Record, error) {
		return Record{Row: columns.Row{Text: it.ID() + " " + it.Get("reply")[:9]}}, nil
	}
	recipe.Kind = columns.SDF
	answer := strings.Repeat("y", 4000) // all answers together are 80 MB
	m := scripted{"writer", func(context.Context, uint64, because.Request) (because.Response, error) {
		asked.Add(1)
		return because.Response{Text: answer}, nil
	}}
	res, err := Run(t.Context(), recipe, Options{Out: into(t), Models: models(m), InFlight: 32})
	if err != nil {
		t.Fatal(err)
	}
	if res.Records != items {
		t.Errorf("%d records", res.Records)
	}
	if mib := peak.Load() >> 20; mib == 0 || mib > 24 {
		t.Errorf("%d MiB were alive", mib)
	}
}
