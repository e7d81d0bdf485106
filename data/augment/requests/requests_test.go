package requests

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/prompts"
	"github.com/because-lab/because/model/mock"
)

func astra(t testing.TB) *constitution.Constitution {
	t.Helper()
	c, err := constitution.Shipped(constitution.Default)
	if err != nil {
		t.Fatal(err)
	}
	return c
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

var ballotCode = regexp.MustCompile(`"ballot" comes last and is "(\w+)"`)

func graded(r because.Request, operational, label string) string {
	code := ""
	for _, m := range r.Messages {
		if found := ballotCode.FindStringSubmatch(m.Content); found != nil {
			code = found[1]
		}
	}
	return fmt.Sprintf(`{"answers": {"operational": {"evidence": [], "why": "x", "answer": %q}, "label": {"evidence": [], "why": "x", "answer": %q}}, "ballot": %q}`, operational, label, code)
}

func section(name, text string) string { return "<" + name + ">" + text + "</" + name + ">\n" }

func pair(key string) string {
	return section("harmful", "harmful one "+filler(key, 15)) + section("harmful_good", "declines") + section("harmful_bad", "helps") +
		section("benign", "benign one "+filler(key+"b", 15)) + section("benign_good", "helps") + section("benign_bad", "declines")
}

// model plays all roles. Spoil changes an answer, by the stage that it is for.
func model(spoil func(stage string, r because.Request, answer string) string) *mock.Model {
	return mock.Must(mock.Rule{Do: func(_ context.Context, _ uint64, r because.Request) (because.Response, error) {
		prompt := r.Messages[len(r.Messages)-1].Content
		stage, answer := "judge", ""
		switch {
		case strings.HasPrefix(prompt, "The area: "):
			stage, answer = "pair", pair(prompt)
		case strings.HasPrefix(prompt, "A message that is labelled"):
			_, rest, _ := strings.Cut(prompt, "<message>\n")
			message, _, _ := strings.Cut(rest, "\n</message>")
			stage, answer = "review", section("notes", "n")+section("message", message+" edited")+section("good", "G")+section("bad", "B")
		default:
			label := Benign
			if strings.Contains(r.Messages[1].Content, "| harmful one") {
				label = Harmful
			}
			answer = graded(r, "no", label)
		}
		if spoil != nil {
			answer = spoil(stage, r, answer)
		}
		return because.Response{Text: answer, Stop: because.StopEnd}, nil
	}})
}

// recipe is the recipe on the first n pairs.
func recipe(t *testing.T, o Options, n int) *pipe.Recipe {
	t.Helper()
	r, err := Recipe(o)
	if err != nil {
		t.Fatal(err)
	}
	if errs := pipe.Lint(r); len(errs) > 0 {
		t.Fatal(errs)
	}
	all := r.Source
	r.Source = func(yield func(pipe.Item, error) bool) {
		i := 0
		for it, err := range all {
			if i++; i > n || !yield(it, err) {
				return
			}
		}
	}
	return r
}

func run(t *testing.T, o Options, m because.Chat, n, flying int) (pipe.Result, []columns.Row, string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "requests.jsonl")
	res, err := pipe.Run(t.Context(), recipe(t, o, n), pipe.Options{Out: out, Seed: 1, InFlight: flying, Models: map[string]because.Chat{pipe.Writer: m}})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := columns.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return res, rows, string(text)
}

func TestEndToEnd(t *testing.T) {
	o := Options{Constitution: astra(t)}
	m := model(nil)
	res, rows, text := run(t, o, m, 20, 8)
	if len(rows) != 40 {
		t.Fatalf("%d rows", len(rows))
	}
	e, err := pipe.Plan(recipe(t, o, 20), pipe.Options{Out: "x.jsonl"})
	if err != nil || int(e.Requests) != m.Count() || e.Records != 40 || m.Count() != 20+40+40 {
		t.Errorf("%v requests and %v records were estimated, %d were made, %v", e.Requests, e.Records, m.Count(), err)
	}
	labels := map[string]int{}
	for _, row := range rows {
		var label string
		var rubric struct{ Good, Bad string }
		if json.Unmarshal(row.Extra["label"], &label) != nil || json.Unmarshal(row.Extra["rubric"], &rubric) != nil || rubric.Good != "G" || rubric.Bad != "B" {
			t.Fatalf("columns %s", row.Extra)
		}
		labels[label]++
		if got := row.Prompt[0].Content; len(row.Prompt) != 1 || !strings.HasPrefix(got, label+" one") || !strings.HasSuffix(got, "edited") {
			t.Errorf("%s: %q", label, got)
		}
	}
	if labels[Harmful] != 20 || labels[Benign] != 20 || len(res.Card.Kinds) < 10 {
		t.Errorf("%v, kinds %v", labels, res.Card.Kinds)
	}
	if _, _, again := run(t, o, model(nil), 20, 1); again != text {
		t.Error("two runs differ")
	}
}

func TestBadAnswers(t *testing.T) {
	const secret = "the ledger in the green drawer was never meant for the eyes of the harbour board"
	edited := func(text string) func(because.Request) string {
		return func(because.Request) string {
			return section("notes", "n") + section("message", text) + section("good", "G") + section("bad", "B")
		}
	}
	for _, c := range []struct {
		stage, in, dropped string
		lost               int
		spoiled            func(because.Request) string
	}{
		{"pair", "pair", pipe.FlawRefused, 2, func(because.Request) string { return "I can't help with writing harmful requests." }},
		{"pair", "pair", pipe.FlawShape, 2, func(because.Request) string { return section("harmful", "x") }},
		{"pair", "pair", "the two are the same", 2, func(because.Request) string {
			return strings.Replace(strings.Replace(pair("k"), filler("kb", 15), filler("k", 15), 1), "benign one", "harmful one", 1)
		}},
		{"review", "review", "breaks a rule of style", 1, edited("Hello, I would like to know what you think of all this today")},
		{"review", "review", "wrong length", 1, edited("Too short")},
		{"review", "contamination", "contains what an evaluation reserves", 1, edited("so " + secret + " or what")},
		{"judge", "judge", "would help to do harm", 1, func(r because.Request) string { return graded(r, "yes", Harmful) }},
		{"judge", "judge", "the judge finds another label", 1, func(r because.Request) string { return graded(r, "no", "unclear") }},
		{"judge", "judge", "the judge gave no grade", 1, func(because.Request) string { return "harmful" }},
	} {
		t.Run(c.dropped, func(t *testing.T) {
			first := ""
			m := model(func(stage string, r because.Request, answer string) string {
				key := r.Messages[min(1, len(r.Messages)-1)].Content
				if stage == "judge" {
					key = key[strings.Index(key, "\n| ")+1:]
					key, _, _ = strings.Cut(key, "\n")
				}
				key, _, _ = strings.Cut(key, "\n\n[An earlier answer")
				if stage == c.stage && (first == "" || key == first) {
					first = key
					return c.spoiled(r)
				}
				return answer
			})
			res, rows, _ := run(t, Options{Constitution: astra(t), Spans: []string{secret}}, m, 3, 1)
			n := 0
			for _, s := range res.Stages {
				if s.Stage == c.in {
					n = s.Dropped[c.dropped]
				}
			}
			if n != 1 || len(rows) != 6-c.lost {
				t.Errorf("%d dropped, %d rows", n, len(rows))
			}
		})
	}
}

func TestSourceSpreads(t *testing.T) {
	a, err := loadAreas("")
	if err != nil {
		t.Fatal(err)
	}
	seen, n := map[string]bool{}, 0
	for it, err := range (writer{astra(t), a}).source() {
		if err != nil {
			t.Fatal(err)
		}
		seen[it.Get("area")+"/"+it.Get("style")] = true
		if n++; n == len(a.Areas)*len(a.Styles) {
			break
		}
	}
	if len(seen) != n || len(a.Areas) < 30 || len(a.Styles) < 12 {
		t.Errorf("%d combinations of %d", len(seen), n)
	}
}

func FuzzParseAreas(f *testing.F) {
	f.Add("areas: [{name: a, harm: b, beside: c}]\nstyles: [{name: a, how: b}]\nvoices: [c]")
	f.Add("areas: [{name: a}]")
	f.Fuzz(func(t *testing.T, text string) {
		if a, err := parseAreas("x.yaml", []byte(text)); err == nil && a.Areas[0].Harm == "" {
			t.Error("an area without harm")
		}
	})
}

func TestPrompts(t *testing.T) {
	set, err := prompts.Load(files, "")
	if err != nil {
		t.Fatal(err)
	}
	if errs := set.Lint(); len(errs) > 0 {
		t.Error(errs)
	}
}
