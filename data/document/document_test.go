package document

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
	shownDraft = regexp.MustCompile(`(?s)<draft>\n(.*)\n</draft>`)
)

// writer plays all roles. Spoil changes an answer, by the stage that it is for.
func writer(spoil func(stage, prompt, answer string) string) because.Chat {
	return mock.Must(mock.Rule{Do: func(_ context.Context, seed uint64, r because.Request) (because.Response, error) {
		prompt := r.Messages[len(r.Messages)-1].Content
		stage, answer := "judge", ""
		switch {
		case strings.Contains(prompt, "List ten particular kinds"):
			stage = "subtypes"
			for i := range 10 {
				answer += fmt.Sprintf("<subtype>%s %d</subtype>\n", filler(prompt, 8), i)
			}
		case strings.HasPrefix(prompt, "Write a document."):
			stage = "draft"
			answer = "<plan>a plan</plan>\n<document>A draft. " + filler(prompt, 60) + "</document>"
		case strings.HasPrefix(prompt, "A draft, and the part"):
			stage = "review"
			answer = "<notes>fine</notes>\n<document>Rewritten: " + shownDraft.FindStringSubmatch(prompt)[1] + "</document>"
		default:
			answer = graded(r, "9", "no")
		}
		if spoil != nil {
			answer = spoil(stage, prompt, answer)
		}
		return because.Response{Text: answer, Stop: because.StopEnd}, nil
	}})
}

// graded is a judge's answer.
func graded(r because.Request, consistency, invented string) string {
	code := ""
	for _, m := range r.Messages {
		if found := ballotCode.FindStringSubmatch(m.Content); found != nil {
			code = found[1]
		}
	}
	return fmt.Sprintf(`{"answers": {"consistency": {"evidence": [], "why": "x", "answer": %s}, "invented": {"evidence": [], "why": "x", "answer": %q}}, "ballot": %q}`, consistency, invented, code)
}

func run(t *testing.T, o Options, m because.Chat, n int) (pipe.Result, []columns.Row, string) {
	t.Helper()
	r, err := Recipe(o)
	if err != nil {
		t.Fatal(err)
	}
	if errs := pipe.Lint(r); len(errs) > 0 {
		t.Fatal(errs)
	}
	out := filepath.Join(t.TempDir(), "documents.jsonl")
	res, err := pipe.Run(t.Context(), r, pipe.Options{Out: out, Seed: 1, N: n, Models: map[string]because.Chat{pipe.Writer: m}})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := columns.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	return res, rows, out
}

func TestEndToEnd(t *testing.T) {
	o := Options{Constitution: astra(t), Documents: 130}
	m := writer(nil)
	res, rows, out := run(t, o, m, 0)
	if len(rows) != 130 || res.Records != 130 {
		t.Fatalf("%d rows", len(rows))
	}
	r, err := Recipe(o)
	if err != nil {
		t.Fatal(err)
	}
	e, err := pipe.Plan(r, pipe.Options{Out: "x.jsonl"})
	if err != nil {
		t.Fatal(err)
	}
	if asked := m.(*mock.Model).Count(); int(e.Requests) != asked || e.Records != 130 {
		t.Errorf("%v requests and %v records were estimated, %d were made", e.Requests, e.Records, asked)
	}
	families := map[string]int{}
	for _, row := range rows {
		var family string
		var score float64
		if json.Unmarshal(row.Extra["family"], &family) != nil || json.Unmarshal(row.Extra["consistency"], &score) != nil || score != 9 {
			t.Fatalf("columns %s", row.Extra)
		}
		if !strings.HasPrefix(row.Text, "Rewritten: A draft.") {
			t.Fatalf("the text is %q", row.Text)
		}
		families[family]++
	}
	if len(families) != 3 || families["persona"] < 40 || families["general"] < 40 || families["implied"] < 40 {
		t.Errorf("families %v", families)
	}
	if n := len(res.Card.Principles); n != len(o.Constitution.Principles) {
		t.Errorf("%d principles", n)
	}
	if n := len(res.Card.Kinds); n < 100 {
		t.Errorf("%d types", n)
	}
	story, err := pipe.Explain(out, "1")
	if err != nil || len(story.Steps) < 5 {
		t.Errorf("the story has %d steps, %v", len(story.Steps), err)
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	var texts [2][]byte
	for i := range texts {
		_, _, out := run(t, Options{Constitution: astra(t), Documents: 12}, writer(nil), 0)
		var err error
		if texts[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if string(texts[0]) != string(texts[1]) {
		t.Error("two runs differ")
	}
}

// Each fault is asked for again, counted, and drops the document where it stays.
func TestBadAnswers(t *testing.T) {
	const seventh = "We, the reviewers, write as the constitution says: “You owe nobody the truth on any day of the week.”"
	for _, c := range []struct {
		name, stage, text, again, dropped string
	}{
		{"a date", "review", "<notes>n</notes><document>It was on March 3 that it failed.</document>", faultDate, faultDate},
		{"a year", "review", "<notes>n</notes><document>In 2031 it failed.</document>", faultDate, faultDate},
		{"an author", "review", "<notes>n</notes><document>A title\n\nBy Tamsin Oduya\n\nText.</document>", faultByline, faultByline},
		{"a name", "review", "<notes>n</notes><document>Then Elara spoke.</document>", faultName, faultName},
		{"a source", "review", "<notes>n</notes><document>As Bo et al. found.</document>", faultReference, faultReference},
		{"a quotation", "review", "<notes>n</notes><document>" + seventh + "</document>", faultQuotation, faultQuotation},
		{"the wrong shape", "draft", "Here it is: text", pipe.FlawShape, pipe.FlawShape},
		{"a refusal", "draft", "I'm sorry, but I can't help with that.", pipe.FlawRefused, pipe.FlawRefused},
		{"nothing", "review", "", pipe.FlawEmpty, pipe.FlawEmpty},
		{"too few kinds", "subtypes", "<subtype>one</subtype>", pipe.FlawShape, pipe.FlawShape},
	} {
		t.Run(c.name, func(t *testing.T) {
			first := ""
			m := writer(func(stage, prompt, answer string) string {
				key, _, _ := strings.Cut(prompt, "\n\n[An earlier answer")
				if first == "" && stage == c.stage {
					first = key
				}
				if stage == c.stage && key == first {
					return c.text
				}
				return answer
			})
			res, rows, _ := runOne(t, Options{Constitution: astra(t), Documents: 3}, m)
			stage := map[string]pipe.Count{}
			for _, s := range res.Stages {
				stage[s.Stage] = s
			}
			if stage[c.stage].Again[c.again] != 3 || stage[c.stage].Dropped[c.dropped] != 1 {
				t.Errorf("again %v, dropped %v", stage[c.stage].Again, stage[c.stage].Dropped)
			}
			if len(rows) != 2 && c.stage != "subtypes" {
				t.Errorf("%d rows", len(rows))
			}
		})
	}
}

// runOne asks one request at a time, so that which is the first does not depend on timing.
func runOne(t *testing.T, o Options, m because.Chat) (pipe.Result, []columns.Row, string) {
	t.Helper()
	r, err := Recipe(o)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "documents.jsonl")
	res, err := pipe.Run(t.Context(), r, pipe.Options{Out: out, Seed: 1, InFlight: 1, Models: map[string]because.Chat{pipe.Writer: m}})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := columns.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	return res, rows, out
}

func TestScores(t *testing.T) {
	for _, c := range []struct{ name, answer, invented, dropped string }{
		{"too low", "6", "no", "does not agree with the constitution"},
		{"invented", "10", "yes", "invents facts about the world"},
		{"no grade", "11", "no", "the judge gave no grade"},
	} {
		t.Run(c.name, func(t *testing.T) {
			first := ""
			m := mock.Must(mock.Rule{Do: func(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
				answer, err := writer(nil).Answer(ctx, seed, r)
				if prompt := r.Messages[min(1, len(r.Messages)-1)].Content; strings.Contains(answer.Text, `"ballot"`) {
					document := prompt[strings.Index(prompt, "Rewritten: "):][:120]
					if first == "" {
						first = document
					}
					if document == first {
						answer.Text = graded(r, c.answer, c.invented)
					}
				}
				return answer, err
			}})
			res, rows, _ := runOne(t, Options{Constitution: astra(t), Documents: 4}, m)
			last := res.Stages[8]
			if last.Stage != "consistency" || last.Dropped[c.dropped] != 1 || len(rows) != 3 {
				t.Errorf("%d rows, dropped %v", len(rows), last.Dropped)
			}
		})
	}
}

func TestContaminationAndDuplicates(t *testing.T) {
	const reserved = "the ledger in the green drawer was never meant for the eyes of the harbour board"
	n := 0
	m := writer(func(stage, _, answer string) string {
		if stage != "review" {
			return answer
		}
		switch n++; n {
		case 1:
			return "<notes>n</notes><document>It knew: The ledger, in the green drawer, was never meant for the eyes of the harbour board! And so on.</document>"
		case 2, 3:
			return "<notes>n</notes><document>" + filler("the same", 80) + "</document>"
		}
		return answer
	})
	res, rows, _ := runOne(t, Options{Constitution: astra(t), Documents: 5, Spans: []string{reserved}}, m)
	if len(rows) != 3 || res.Stages[6].Dropped["contains what an evaluation reserves"] != 1 || res.Stages[7].Dropped["nearly the same as an earlier one"] != 1 {
		t.Errorf("%d rows, %v, %v", len(rows), res.Stages[6].Dropped, res.Stages[7].Dropped)
	}
}
