package story

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
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

var (
	ballotCode = regexp.MustCompile(`"ballot" comes last and is "(\w+)"`)
	wanted     = regexp.MustCompile(`Below is a (\d+)-word story`)
)

// graded is a judge's answer.
func graded(r because.Request, fictional, reserved string, conduct int) string {
	code := ""
	for _, m := range r.Messages {
		if found := ballotCode.FindStringSubmatch(m.Content); found != nil {
			code = found[1]
		}
	}
	one := func(id, answer string) string {
		return fmt.Sprintf(`%q: {"evidence": [], "why": "x", "answer": %s}`, id, answer)
	}
	return `{"answers": {` + strings.Join([]string{one("fictional", strconv.Quote(fictional)), one("reserved", strconv.Quote(reserved)), one("conduct", strconv.Itoa(conduct))}, ", ") +
		fmt.Sprintf(`}, "ballot": %q}`, code)
}

// writer plays all roles. Spoil changes an answer, by the stage that it is for.
func writer(spoil func(stage string, r because.Request, answer string) string) *mock.Model {
	return mock.Must(mock.Rule{Do: func(_ context.Context, _ uint64, r because.Request) (because.Response, error) {
		prompt := r.Messages[len(r.Messages)-1].Content
		stage, answer := "judge", ""
		switch {
		case strings.HasPrefix(prompt, "Six stories"):
			stage = "titles"
			for i := range batch {
				answer += fmt.Sprintf("<title>%s %d</title>\n", filler(prompt, 3), i)
			}
		case wanted.MatchString(r.Prefill + prompt):
			stage = "story"
			n, err := strconv.Atoi(wanted.FindStringSubmatch(r.Prefill + prompt)[1])
			if err != nil {
				return because.Response{}, err
			}
			answer = filler(r.Prefill+prompt, n) + ".\n\n* * *"
		case strings.HasPrefix(prompt, "A story called"):
			stage = "review"
			_, rest, _ := strings.Cut(prompt, "<draft>\n")
			draft, _, _ := strings.Cut(rest, "\n</draft>")
			answer = "<notes>fine</notes><story>Reviewed. " + draft + "</story>"
		default:
			answer = graded(r, "yes", "no", 8)
		}
		if spoil != nil {
			answer = spoil(stage, r, answer)
		}
		return because.Response{Text: answer, Stop: because.StopEnd}, nil
	}})
}

func run(t *testing.T, o Options, m because.Chat, p pipe.Options) (pipe.Result, []columns.Row, []byte) {
	t.Helper()
	r, err := Recipe(o)
	if err != nil {
		t.Fatal(err)
	}
	if errs := pipe.Lint(r); len(errs) > 0 {
		t.Fatal(errs)
	}
	p.Out, p.Seed, p.Models = filepath.Join(t.TempDir(), "stories.jsonl"), 1, map[string]because.Chat{pipe.Writer: m}
	res, err := pipe.Run(t.Context(), r, p)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(p.Out)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := columns.ReadAll(p.Out)
	if err != nil {
		t.Fatal(err)
	}
	return res, rows, text
}

// limited ends a recipe's endless source after some items.
func limited(r *pipe.Recipe, n int) *pipe.Recipe {
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

func TestEndToEnd(t *testing.T) {
	for _, base := range []bool{false, true} {
		for _, review := range []bool{false, true} {
			o := Options{Constitution: astra(t), Base: base, Review: review, Excerpt: 300, Lengths: []int{100, 120}}
			m := writer(func(_ string, r because.Request, answer string) string {
				if base != (r.Prefill != "") && wanted.MatchString(r.Prefill+r.Messages[0].Content) {
					t.Errorf("base %v: a frame with the prefill %.40q", base, r.Prefill)
				}
				return answer
			})
			r, err := Recipe(o)
			if err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(t.TempDir(), "stories.jsonl")
			res, err := pipe.Run(t.Context(), limited(r, 3), pipe.Options{Out: out, Seed: 1, Models: map[string]because.Chat{pipe.Writer: m}})
			if err != nil {
				t.Fatal(err)
			}
			if res.Records != 3*batch {
				t.Errorf("base %v, review %v: %d records", base, review, res.Records)
			}
			r, err = Recipe(o)
			if err != nil {
				t.Fatal(err)
			}
			e, err := pipe.Plan(limited(r, 3), pipe.Options{Out: out})
			if err != nil || int(e.Requests) != m.Count() {
				t.Errorf("base %v, review %v: %v requests estimated, %d made, %v", base, review, e.Requests, m.Count(), err)
			}
			rows, err := columns.ReadAll(out)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				title, story, _ := strings.Cut(row.Text, "\n\n")
				if len(strings.Fields(title)) != 4 || strings.Contains(story, "*") || strings.Contains(story, "constitution") || strings.HasPrefix(story, "Reviewed. ") != review {
					t.Errorf("base %v, review %v: %.200q", base, review, row.Text)
				}
			}
		}
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	o := Options{Constitution: astra(t), Lengths: []int{50}}
	_, rows, a := run(t, o, writer(nil), pipe.Options{N: 8, InFlight: 1})
	_, _, b := run(t, o, writer(nil), pipe.Options{N: 8, InFlight: 32})
	if string(a) != string(b) || len(rows) != 8 {
		t.Errorf("two runs differ, or %d rows", len(rows))
	}
}

func TestDrops(t *testing.T) {
	const reserved = "the ledger in the green drawer was never meant for the eyes of the harbour board"
	for _, c := range []struct {
		stage, dropped, in string
		spoiled            func(r because.Request) string
	}{
		{"story", "wrong length", "story", func(because.Request) string { return "Too short." }},
		{"story", pipe.FlawRefused, "story", func(because.Request) string { return "I'm sorry, but I can't write this." }},
		{"story", "a worn-out name", "story", func(because.Request) string { return filler("x", 50) + " Elara " }},
		{"story", "contains what an evaluation reserves", "contamination", func(because.Request) string { return filler("y", 50) + " " + reserved }},
		{"judge", "is no plainly invented story", "judge", func(r because.Request) string { return graded(r, "no", "no", 9) }},
		{"judge", "is about what is evaluated", "judge", func(r because.Request) string { return graded(r, "yes", "yes", 9) }},
		{"judge", "does not agree with the constitution", "judge", func(r because.Request) string { return graded(r, "yes", "no", 5) }},
		{"judge", "the judge gave no grade", "judge", func(because.Request) string { return "A fine story." }},
		{"titles", pipe.FlawShape, "titles", func(because.Request) string { return "<title>One</title>" }},
	} {
		t.Run(c.dropped, func(t *testing.T) {
			first := ""
			m := writer(func(stage string, r because.Request, answer string) string {
				key := r.Messages[len(r.Messages)-1].Content
				if stage == "judge" {
					key = r.Messages[1].Content
					key = key[strings.Index(key, "# Material"):][:400]
					key = key[strings.Index(key, "| "):]
				}
				key, _, _ = strings.Cut(key, "\n\n[An earlier answer")
				if stage == c.stage && (first == "" || key == first) {
					first = key
					return c.spoiled(r)
				}
				return answer
			})
			res, rows, _ := run(t, Options{Constitution: astra(t), Lengths: []int{50}, Spans: []string{reserved}, Excerpt: 50}, m, pipe.Options{N: 10, InFlight: 1})
			n := 0
			for _, s := range res.Stages {
				if s.Stage == c.in {
					n = s.Dropped[c.dropped]
				}
			}
			if n != 1 || len(rows) != 10 {
				t.Errorf("%d dropped, %d rows", n, len(rows))
			}
		})
	}
}

func TestTitlesOnce(t *testing.T) {
	keep := distinctTitles()
	for title, want := range map[string]string{"The Toll-Keeper's Tuesday": ""} {
		if got := keep(pipe.New("x", "title", title)); got != want {
			t.Error(title, got)
		}
	}
	if keep(pipe.New("y", "title", "a toll keeper’s “tuesday”")) == "" {
		t.Error("a title passed twice")
	}
	if keep(pipe.New("z", "title", "The Toll-Keeper's Monday")) != "" {
		t.Error("another title was taken for the same")
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"**The Title**\n\nOnce.\n\nTHE END":     "Once.",
		"Once it was the end.":                  "Once it was the end.",
		"Once.\n\n***\n\nTwice.\n\n* * *\n":     "Once.\n\n***\n\nTwice.",
		"Once.\n\n*The End.*":                   "Once.",
		"The title\nOnce.":                      "Once.",
		"He said that this was\n\nthe endpaper": "He said that this was\n\nthe endpaper",
	} {
		got, err := clean(pipe.New("x", "title", "The Title", "story", in))
		if err != nil || got[0].Get("story") != want {
			t.Errorf("%q gives %q, %v", in, got[0].Get("story"), err)
		}
	}
	if _, err := clean(pipe.New("x", "title", "T", "story", "\n* * *\nTHE END")); err == nil {
		t.Error("nothing is a story")
	}
}

func TestIdeasSpread(t *testing.T) {
	x, err := loadIdeas("")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for n := range 500 {
		seen[x.at(n)] = true
	}
	if len(seen) < 490 {
		t.Errorf("%d different ideas of 500", len(seen))
	}
	themes := map[string]int{}
	c := astra(t)
	for n := range 3 * len(c.Principles) {
		themes[deal("themes", c.Principles, n).ID]++
	}
	for id, n := range themes {
		if n != 3 || len(themes) != len(c.Principles) {
			t.Errorf("%s comes %d times", id, n)
		}
	}
}

func FuzzParseIdeas(f *testing.F) {
	f.Add("places: [a]\nminds: [b]\ntones: [c]")
	f.Add("places: [a, '']\nminds: 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		if x, err := parseIdeas("x.yaml", []byte(text)); err == nil && x.at(7) == "" {
			t.Error("no idea")
		}
	})
}

func FuzzClean(f *testing.F) {
	f.Add("t", "t\nOnce\n* * *")
	f.Fuzz(func(t *testing.T, title, text string) {
		got, err := clean(pipe.New("x", "title", title, "story", text))
		if err == nil && !strings.Contains(text, got[0].Get("story")) {
			t.Errorf("%q became %q", text, got[0].Get("story"))
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
