package checkpoint_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/checkpoint"
	"github.com/because-lab/because/data"
)

// deaf is a writer that answers nothing.
type deaf struct {
	mu    sync.Mutex
	asked int
}

func (*deaf) Name() string { return "mock/deaf" }

func (d *deaf) Answer(context.Context, uint64, because.Request) (because.Response, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	return because.Response{}, errors.New("no answer today")
}

// A writer and its reviewer are opened by the names in the world, and where they fail nothing is made of it.
func TestWriterThatFails(t *testing.T) {
	d, opened := &deaf{}, []string{}
	w := open(t, checkpoint.Options{Answers: t.TempDir(), Models: func(_ context.Context, name string) (because.Chat, error) {
		opened = append(opened, name)
		return d, nil
	}})
	out := t.TempDir()
	o := data.Order{Recipe: "stories", World: with{"writer": "openai/w", "judge": "openai/j"}, Stream: "stories", Tokens: 400}
	if needs, err := w.CheckData(o); needs || err != nil {
		t.Fatal(needs, err)
	}
	err := w.Data(t.Context(), o, because.Work{Out: out})
	if err == nil || !strings.Contains(err.Error(), "no answer today") || d.asked == 0 {
		t.Errorf("asked %d times, got %v", d.asked, err)
	}
	slices.Sort(opened)
	if want := []string{"openai/j", "openai/w", "openai/w"}; !slices.Equal(opened, want) {
		t.Errorf("opened %v, want %v", opened, want)
	}
	if left, _ := os.ReadDir(out); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}

var (
	ballotCode = regexp.MustCompile(`"ballot" comes last and is "(\w+)"`)
	wanted     = regexp.MustCompile(`Below is a (\d+)-word story`)
)

// filler gives n words that depend on a key alone.
func filler(key string, n int) string {
	h := fnv.New64a()
	h.Write([]byte(key))
	dice := rand.New(rand.NewPCG(h.Sum64(), 1))
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "w%x ", dice.IntN(4096))
	}
	return strings.TrimSpace(b.String())
}

// storyteller plays all roles of the recipe for stories, and counts what it is asked.
type storyteller struct{ asked atomic.Int64 }

func (*storyteller) Name() string { return "mock/storyteller" }

func (s *storyteller) Answer(_ context.Context, _ uint64, r because.Request) (because.Response, error) {
	s.asked.Add(1)
	prompt, code, answer := r.Messages[len(r.Messages)-1].Content, "", ""
	for _, m := range r.Messages {
		if found := ballotCode.FindStringSubmatch(m.Content); found != nil {
			code = found[1]
		}
	}
	words := wanted.FindStringSubmatch(r.Prefill + prompt)
	switch {
	case strings.HasPrefix(prompt, "Six stories"):
		for i := range 6 {
			answer += fmt.Sprintf("<title>%s %d</title>\n", filler(prompt, 3), i)
		}
	case words != nil:
		n, err := strconv.Atoi(words[1])
		if err != nil {
			return because.Response{}, err
		}
		answer = filler(r.Prefill+prompt, n) + ".\n\n* * *"
	default:
		answer = fmt.Sprintf(`{"answers": {"fictional": {"evidence": [], "why": "x", "answer": "yes"}, "reserved": {"evidence": [], "why": "x", "answer": "no"}, `+
			`"conduct": {"evidence": [], "why": "x", "answer": 8}}, "ballot": %q}`, code)
	}
	return because.Response{Text: answer, Stop: because.StopEnd}, nil
}

// With a writer the recipe is that of gen, and answers that were paid for once are kept.
func TestWriterWritesStories(t *testing.T) {
	s, answers := &storyteller{}, t.TempDir()
	w := open(t, checkpoint.Options{Answers: answers, Models: func(context.Context, string) (because.Chat, error) { return s, nil }})
	o := data.Order{Recipe: "stories", World: with{"writer": "mock"}, Seed: 2, Stream: "stories", Tokens: 9000}
	order := func() (string, string) {
		out := t.TempDir()
		if err := w.Data(t.Context(), o, because.Work{Out: out}); err != nil {
			t.Fatal(err)
		}
		records, err1 := os.ReadFile(filepath.Join(out, data.RecordsFile))
		card, err2 := os.ReadFile(filepath.Join(out, data.CardFile))
		_, err3 := os.Stat(filepath.Join(out, data.RecordsFile+".lineage"))
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		return string(records), string(card)
	}
	records, card := order()
	asked := s.asked.Load()
	if !strings.Contains(records, `"recipe":"stories"`) || !strings.Contains(records, `"text":"`) || !strings.Contains(card, `"recipe": "stories"`) || asked == 0 {
		t.Errorf("after %d requests:\n%.500s\n%s", asked, records, card)
	}
	again, cardAgain := order()
	if again != records || cardAgain != card {
		t.Error("the same order gave other bytes")
	}
	// What was under way beyond the records wanted, when they were complete, differs from run to run.
	if more := s.asked.Load() - asked; more >= asked {
		t.Errorf("%d requests were sent, and %d again", asked, more)
	}
	if kept, _ := filepath.Glob(filepath.Join(answers, "*", "*")); len(kept) == 0 {
		t.Error("no answer was kept")
	}
}
