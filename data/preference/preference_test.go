package preference

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/advice"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/model/mock"
	"github.com/because-lab/because/scenario"
)

// words gives n words that depend on a key.
func words(key string, n int) string {
	h := fnv.New64a()
	h.Write([]byte(key))
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "w%x ", r.Uint32N(1<<20))
	}
	return strings.TrimSpace(b.String())
}

var (
	idLine = regexp.MustCompile(`(?m)^\[([a-z0-9-]+)\]$`)
	code   = regexp.MustCompile(`"ballot": "(\w+)"`)
	quote  = regexp.MustCompile(`(?m)^\| (.{24,})$`)
)

// write plays writer, reviewer and the judge of adherence.
func write(_ context.Context, seed uint64, r because.Request) (because.Response, error) {
	last := r.Messages[len(r.Messages)-1].Content
	key := fmt.Sprint(seed, r.Messages)
	has := func(text string) bool { return strings.Contains(last, text) }
	tags := func(item string, n int, names ...string) string {
		out := ""
		for i := range n {
			out += "<" + item + ">"
			for k, name := range names {
				out += "<" + name + ">" + words(fmt.Sprint(key, i, k), 15) + "</" + name + ">"
			}
			out += "</" + item + ">\n"
		}
		return out
	}
	opened := "<user>" + words(key+"u", 30) + "</user>"
	if !has("has no system prompt") {
		opened = "<system>Ward office, notes for staff: " + words(key+"s", 12) + "</system>" + opened
	}
	text := words(key, 70) // an answer
	switch {
	case has("Choose the "):
		text = "<principle><id>" + idLine.FindStringSubmatch(last)[1] + "</id><bearing>it bears on it</bearing></principle>"
	case has("types of dilemma under this principle"):
		text = "<type>" + words(key, 20) + "</type>"
	case has("Write scenarios that would show"):
		text = tags("scenario", 4, "situation", "aim", "breach", "hard")
	case has("Write how the conversation with an assistant begins"):
		text = opened
	case has("You edit conversations"):
		text = "<notes>Too tidy.</notes>" + opened
	case has("You edit the answers"):
		text = "<notes>It follows it.</notes><answer>reviewed " + words(key, 80) + "</answer>"
	case has("A person has asked an assistant something"):
		text = words(key, 20)
	case has("## `adherence`"):
		q, err := json.Marshal(quote.FindStringSubmatch(last[strings.LastIndex(last, "[2]"):])[1])
		if err != nil {
			return because.Response{}, err
		}
		text = fmt.Sprintf(`{"answers": {"adherence": {"evidence": [{"at": 2, "quote": %s}], "why": "It does.", "answer": 8}}, "ballot": %q}`, q, code.FindStringSubmatch(last)[1])
	case has("## `better`"):
		return because.Response{}, fmt.Errorf("the judge is another model")
	}
	return because.Response{Text: text, Stop: because.StopEnd}, nil
}

// target is the model to be trained; it keeps what it was asked.
type target struct {
	mu     sync.Mutex
	asked  []because.Request
	answer func(n int, r because.Request) string
}

func (x *target) model() because.Chat {
	return mock.Must(mock.Rule{Do: func(_ context.Context, seed uint64, r because.Request) (because.Response, error) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.asked = append(x.asked, r)
		text := "plain " + words(fmt.Sprint(seed, r.Messages), 60)
		if x.answer != nil {
			text = x.answer(len(x.asked), r)
		}
		return because.Response{Text: text, Stop: because.StopEnd}, nil
	}})
}

// prefers is a judge. The function tells what it prefers from the place of the reviewed answer, first or second, and the vote's number.
func prefers(choose func(reviewed string) string) because.Chat {
	return mock.Must(mock.Rule{Do: func(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
		last := r.Messages[len(r.Messages)-1].Content
		if !strings.Contains(last, "## `better`") {
			return write(ctx, seed, r)
		}
		place := "first"
		if strings.LastIndex(last, "| plain ") < strings.LastIndex(last, "| reviewed ") {
			place = "second"
		}
		choice := choose(place)
		if choice == "" {
			return because.Response{Text: "Both are fine.", Stop: because.StopEnd}, nil
		}
		word := "| reviewed "
		if choice != place {
			word = "| plain "
		}
		line := last[strings.LastIndex(last, word)+2:]
		line, _, _ = strings.Cut(line, "\n")
		at := regexp.MustCompile(`\[(\d+)\]`).FindAllStringSubmatch(last[:strings.LastIndex(last, word)], -1)
		text := fmt.Sprintf(`{"answers": {"better": {"evidence": [{"at": %s, "quote": %q}], "why": "So it is.", "answer": %q}}, "ballot": %q}`,
			at[len(at)-1][1], line[:40], choice, code.FindStringSubmatch(last)[1])
		return because.Response{Text: text, Stop: because.StopEnd}, nil
	}})
}

func reviewed(place string) string { return place }

func options(t testing.TB, n int) Options {
	t.Helper()
	c, err := constitution.Shipped(constitution.Default)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Kept: 1, Advice: advice.Options{Constitution: c, N: n, Principles: 1, Types: 1, Kept: 1, Excerpt: 400, YouAre: -1}}
}

func run(t *testing.T, o Options, x *target, judge because.Chat, inFlight int) (pipe.Result, string, error) {
	t.Helper()
	r, err := Recipe(o)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "pairs.jsonl")
	res, err := pipe.Run(t.Context(), r, pipe.Options{Out: out, Seed: 3, N: o.Advice.N, InFlight: inFlight,
		Models: map[string]because.Chat{pipe.Writer: mock.Must(mock.Rule{Do: write}), Target: x.model(), Judge: judge}})
	return res, out, err
}

func TestPairs(t *testing.T) {
	x := &target{}
	o := options(t, 12)
	res, out, err := run(t, o, x, prefers(reviewed), 8)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := columns.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 12 || len(x.asked) != 12 || res.Card.Recipe != Name {
		t.Fatalf("%d rows, %d plain answers", len(rows), len(x.asked))
	}
	asked := map[string]bool{}
	for _, r := range x.asked {
		asked[fmt.Sprint(r.Messages)] = true
	}
	roles := map[string]int{}
	for i, row := range rows {
		if err := columns.Check(columns.DPO, row); err != nil {
			t.Errorf("row %d: %v", i+1, err)
		}
		all := ""
		for _, m := range row.Prompt {
			all += string(m.Role[0])
		}
		roles[all]++
		if !asked[fmt.Sprint(row.Prompt)] {
			t.Errorf("row %d: the rejected answer was sampled on other messages than %v", i+1, row.Prompt)
		}
		if len(row.Chosen) != 1 || len(row.Rejected) != 1 || !strings.HasPrefix(row.Chosen[0].Content, "reviewed ") || !strings.HasPrefix(row.Rejected[0].Content, "plain ") {
			t.Errorf("row %d: chosen %v, rejected %v", i+1, row.Chosen, row.Rejected)
		}
		if string(row.Extra["adherence"]) != "8" {
			t.Errorf("row %d: %s", i+1, row.Extra)
		}
	}
	if roles["su"] == 0 || roles["u"] == 0 || roles["suau"]+roles["uau"] != 2 { // of twelve, two have two turns
		t.Errorf("%v", roles)
	}
	r, err := Recipe(o)
	if err != nil {
		t.Fatal(err)
	}
	// Second turns are planned by their share, 2.4, and made in whole numbers.
	e, err := pipe.Plan(r, pipe.Options{N: 12})
	if err != nil || int(e.Requests-3*2.4+3*2+0.5) != res.Asked || e.Records != 12 {
		t.Errorf("%v requests planned, %d made, %v", e.Requests, res.Asked, err)
	}
}

// What was injected for the chosen answers is in no record, and the model to be trained never saw it.
func TestNothingInjected(t *testing.T) {
	x := &target{}
	_, out, err := run(t, options(t, 5), x, prefers(reviewed), 8)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := columns.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	story, err := pipe.Explain(out, "1")
	if err != nil {
		t.Fatal(err)
	}
	injection := ""
	for _, step := range story.Steps {
		for _, text := range step.Texts {
			if text.Name == "injection" && text.Has {
				injection = text.After
			}
		}
	}
	if len(strings.Fields(injection)) < 100 {
		t.Fatalf("injected: %q", injection)
	}
	for i, row := range rows {
		if place, span, found := row.Repeats(injection); found {
			t.Errorf("row %d: %s has %q", i+1, place, span)
		}
	}
	for _, r := range x.asked {
		for _, m := range r.Messages {
			if span, found := pipe.Leaks(m.Content, injection); found {
				t.Errorf("the model to be trained saw %q", span)
			}
		}
	}
}

// Pairs that teach nothing, or the wrong thing, are dropped and counted by reason.
func TestDropped(t *testing.T) {
	spans := scenario.DecisiveSpans()
	for _, c := range []struct {
		name, stage, why string
		judge            func(string) string
		answer           func(int, because.Request) string
		ratio            float64
	}{
		{"the plain one is better", "prefer", plainer, func(place string) string {
			return map[string]string{"first": "second", "second": "first"}[place]
		}, nil, 0},
		{"always the first", "prefer", swayed, func(string) string { return "first" }, nil, 0},
		{"a tie", "prefer", tied, func(string) string { return "tie" }, nil, 0},
		{"no answer", "prefer", unread, func(string) string { return "" }, nil, 0},
		{"much longer", "comparable", uneven, reviewed, func(n int, _ because.Request) string { return "plain " + words(fmt.Sprint(n), 400) }, 0},
		{"much shorter", "comparable", uneven, reviewed, func(n int, _ because.Request) string { return "plain " + words(fmt.Sprint(n), 20) }, 0},
		{"longer by half", "comparable", uneven, reviewed, nil, 1.2},
		{"an evaluated scenario", "comparable", reserved, reviewed, func(n int, _ because.Request) string {
			return "plain " + words(fmt.Sprint(n), 60) + " " + spans[n%len(spans)]
		}, 0},
		{"empty", "rejected", pipe.FlawEmpty, reviewed, func(int, because.Request) string { return " " }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(t, 4)
			o.Ratio, o.Advice.TwoTurns = c.ratio, -1
			res, out, err := run(t, o, &target{answer: c.answer}, prefers(c.judge), 1)
			if err == nil || !strings.Contains(err.Error(), "no record is left") {
				t.Fatal(err)
			}
			i := slices.IndexFunc(res.Stages, func(s quality.Stage) bool { return s.Stage == c.stage })
			if d := cmp.Diff(map[string]int{c.why: 4}, res.Stages[i].Dropped); d != "" {
				t.Error(d)
			}
			if _, err := os.Stat(out); !os.IsNotExist(err) {
				t.Error("there is a file")
			}
		})
	}
}

// The same answer by both models is no pair.
func TestSame(t *testing.T) {
	x := &recipe{o: Options{Ratio: 3}}
	var err error
	if x.reserved, err = quality.SpanIndex(nil); err != nil {
		t.Fatal(err)
	}
	it := pipe.New("a", "user", "q", "answer", words("a", 60), "adherence", "8", "excerpt", "e", advice.PlainAnswer, words("a", 60))
	if why := x.comparable(it); why != same {
		t.Errorf("%q", why)
	}
	if why := x.comparable(it.With(advice.PlainAnswer, words("b", 170))); why != "" {
		t.Errorf("%q", why)
	}
	if why := x.comparable(it.Without("excerpt")); !strings.Contains(why, "has not passed") {
		t.Errorf("%q", why)
	}
}

func TestSameBytes(t *testing.T) {
	files := func(inFlight int) (all []string) {
		_, out, err := run(t, options(t, 5), &target{}, prefers(reviewed), inFlight)
		if err != nil {
			t.Fatal(err)
		}
		for _, suffix := range []string{"", pipe.LineageSuffix, pipe.CardSuffix} {
			text, err := os.ReadFile(out + suffix)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(text))
		}
		return all
	}
	if d := cmp.Diff(files(1), files(40)); d != "" {
		t.Error(d)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Ratio: 0.5}, {Kept: 2}, {Kept: -1}, {Advice: advice.Options{N: -1}}} {
		if _, err := Recipe(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	r, err := Recipe(Options{Ratio: -1, Advice: advice.Options{N: 8}})
	if err != nil {
		t.Fatal(err)
	}
	if errs := pipe.Lint(r); len(errs) > 0 {
		t.Error(errs)
	}
}
