package quality

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/judge"
	"github.com/because-lab/because/model"
)

// grading is a judge that a function plays: it is given the material and gives the grades by question, or "" for an answer that says nothing.
type grading struct {
	play func(material string) (map[string]string, error)

	mu    sync.Mutex
	asked []string // prompts
}

func (*grading) Name() string { return "script/judge" }

var (
	ballotCode = regexp.MustCompile(`"ballot": "(\w+)"`)
	quotable   = regexp.MustCompile(`(?m)^\w{12} \[(\d+)\].*\n\| (.{6,40})`)
)

func (g *grading) Answer(ctx context.Context, _ uint64, r because.Request) (because.Response, error) {
	if err := ctx.Err(); err != nil {
		return because.Response{}, err
	}
	prompt := ""
	for _, m := range r.Messages {
		if m.Role == because.RoleUser && prompt == "" {
			prompt = m.Content
		}
	}
	g.mu.Lock()
	g.asked = append(g.asked, prompt)
	g.mu.Unlock()
	_, material, _ := strings.Cut(prompt, "# Material")
	material, _, _ = strings.Cut(material, "# Questions")
	grades, err := g.play(material)
	if grades == nil || err != nil {
		return because.Response{Text: "I would rather not.", Usage: because.Usage{Input: 1}}, err
	}
	evidence := "[]"
	if m := quotable.FindStringSubmatch(material); m != nil {
		quote, err := json.Marshal(m[2])
		if err != nil {
			return because.Response{}, err
		}
		evidence = fmt.Sprintf(`[{"at": %s, "quote": %s}]`, m[1], quote)
	}
	var parts []string
	for _, id := range sortedNames(grades) {
		parts = append(parts, fmt.Sprintf(`%q: {"evidence": %s, "why": "so it is", "answer": %q}`, id, evidence, grades[id]))
	}
	text := fmt.Sprintf(`{"answers": {%s}, "ballot": %q}`, strings.Join(parts, ", "), ballotCode.FindStringSubmatch(r.Messages[len(r.Messages)-1].Content)[1])
	return because.Response{Text: text, Usage: because.Usage{Input: 10, Output: 2}}, nil
}

func sortedNames(m map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func rubrics(t testing.TB, names ...string) (out []*judge.Rubric) {
	t.Helper()
	for _, name := range names {
		r, err := judge.FindRubric(name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func astra(t testing.TB) *constitution.Constitution {
	t.Helper()
	c, err := constitution.Find("astra")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func graded(answer, principle, sampled string) columns.Row {
	r := chat("You help.", "May I tell a lie to a friend about the work?", answer)
	lineage, err := json.Marshal(because.Lineage{Recipe: "advice", Principle: principle, Sampled: sampled})
	if err != nil {
		panic(err)
	}
	r.Extra = map[string]json.RawMessage{"lineage": lineage}
	return r
}

func near(t *testing.T, what string, got *float64, want float64) {
	t.Helper()
	if got == nil || math.Abs(*got-want) > 1e-3 {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func float(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

// TestGrade counts grades of records of all shapes, unusable answers apart.
func TestGrade(t *testing.T) {
	c := astra(t)
	cite, err := c.Cite("honesty")
	if err != nil {
		t.Fatal(err)
	}
	said := func(s string) []because.Message { return []because.Message{{Role: because.RoleAssistant, Content: s}} }
	ask := []because.Message{{Role: because.RoleUser, Content: "May I tell a lie?"}}
	rows := []columns.Row{
		graded("grade 4 of this answer", "honesty", ""),
		graded("grade 6 of this answer", cite, "x/Judge"),
		graded("grade 9 of this answer", "no-such-principle", ""),
		graded("mute answer", "", ""),
		graded("too long an answer", "", ""),
		graded("busy answer", "", ""),
		{Text: "A document about honesty and lies: grade 8 of it."},
		{Prompt: ask, Chosen: said("grade 7 of the chosen"), Rejected: said("grade 1 of the rejected")},
		{Prompt: ask},
		{Text: "zzz qqq grade 5 xxx"},
	}
	grade := regexp.MustCompile(`grade (\d)`)
	m := &grading{play: func(material string) (map[string]string, error) {
		switch {
		case strings.Contains(material, "mute"):
			return nil, nil
		case strings.Contains(material, "too long"):
			return nil, &model.Error{Kind: model.TooLong, Err: errors.New("no room")}
		case strings.Contains(material, "busy"):
			return nil, &model.Error{Kind: model.Overloaded, Err: errors.New("later")}
		}
		return map[string]string{"adherence": grade.FindStringSubmatch(material)[1]}, nil
	}}
	o := GradeOptions{Judge: judge.Options{Schema: true}, Rubrics: rubrics(t, "adherence"), Constitution: c, File: "f", Records: len(rows), Seed: 1, Workers: 3}
	got, err := Grade(t.Context(), rowsOf(rows...), m, o)
	if err != nil {
		t.Fatal(err)
	}
	j := got[0]
	if j.Of != 10 || j.Drawn != 10 || j.Graded != 6 || j.Unusable != 2 || j.Failed != 1 || j.Without != 1 {
		t.Errorf("%+v", j)
	}
	if d := cmp.Diff(map[string]int{"no valid answer in any attempt": 1, "context overflow": 1, "server error": 1}, j.Reasons); d != "" {
		t.Errorf("reasons (-want +got):\n%s", d)
	}
	// Of 4, 6, 9, 8, 7, 5: mean 6.5, SD sqrt(3.5), t quantile 2.5706 of 5 degrees of freedom.
	s := j.Scores[0]
	near(t, "mean", s.Mean, 6.5)
	near(t, "lo", s.Lo, 6.5-2.5706*math.Sqrt(3.5/6))
	near(t, "hi", s.Hi, 6.5+2.5706*math.Sqrt(3.5/6))
	if s.N != 6 || s.Interval != "t" || s.Min != 1 || s.Max != 10 || s.Counts["9"] != 1 {
		t.Errorf("%+v", s)
	}
	if d := cmp.Diff(map[string]int{excerptCited: 2, excerptFound: 3, excerptWhole: 1}, j.Excerpts); d != "" {
		t.Errorf("excerpts (-want +got):\n%s", d)
	}
	if j.Hash != o.Rubrics[0].Hash() || j.Judge != "script/judge" || !strings.HasPrefix(j.Constitution, "astra@") || j.SelfJudged != 1 {
		t.Errorf("%+v", j)
	}
	for _, p := range m.asked {
		if strings.Contains(p, "rejected") {
			t.Error("the judge was shown what was rejected")
		}
	}
}

// TestGradeQuality takes scales and shares apart.
func TestGradeQuality(t *testing.T) {
	rows := []columns.Row{chat("s", "question one", "first answer"), chat("s", "question two", "second answer"), chat("s", "question three", "third answer")}
	m := &grading{play: func(material string) (map[string]string, error) {
		invented := judge.No
		if strings.Contains(material, "second") {
			invented = judge.Yes
		}
		return map[string]string{"natural": "3", "reasons": "4", "invented": invented}, nil
	}}
	got, err := Grade(t.Context(), rowsOf(rows...), m, GradeOptions{Rubrics: rubrics(t, "quality"), Records: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range got[0].Scores {
		switch s.Question {
		case "invented":
			near(t, "invented", s.Mean, 1.0/3)
			near(t, "lo", s.Lo, 0.0615)
			near(t, "hi", s.Hi, 0.7923)
			if s.Interval != "Wilson" {
				t.Errorf("%+v", s)
			}
		default: // all equal: no interval, and a warning
			if s.Lo != nil || s.Hi != nil || len(s.Warnings) != 1 || s.N != 3 {
				t.Errorf("%+v", s)
			}
		}
	}
	if got[0].Constitution != "" || len(got[0].Excerpts) != 0 {
		t.Errorf("no constitution plays a part: %+v", got[0])
	}
}

// TestGradeIsTheSame for any number of workers, and a larger limit sends again what a smaller one sent.
func TestGradeIsTheSame(t *testing.T) {
	var rows []columns.Row
	for i := range 30 {
		rows = append(rows, graded(fmt.Sprintf("answer number %d of them", i), "honesty", ""))
	}
	run := func(limit, workers int) ([]Judged, []string) {
		m := &grading{play: func(material string) (map[string]string, error) {
			return map[string]string{"adherence": fmt.Sprint(1 + len(material)%10)}, nil
		}}
		got, err := Grade(t.Context(), rowsOf(rows...), m, GradeOptions{Rubrics: rubrics(t, "adherence"), Constitution: astra(t), Records: 30, Limit: limit, Seed: 5, Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(m.asked)
		return got, m.asked
	}
	one, few := run(10, 1)
	many, _ := run(10, 8)
	if d := cmp.Diff(one, many); d != "" {
		t.Errorf("(-one worker +eight):\n%s", d)
	}
	more, asked := run(20, 4)
	for _, p := range few {
		if _, found := slices.BinarySearch(asked, p); !found {
			t.Fatal("a larger limit asks other things of the same records")
		}
	}
	if len(few) != 10 || len(asked) != 20 || one[0].Drawn != 10 || more[0].Graded != 20 {
		t.Errorf("%d and %d requests; %+v", len(few), len(asked), one[0])
	}
}

func TestGradeStops(t *testing.T) {
	rows := []columns.Row{graded("one answer", "honesty", ""), graded("two answers", "honesty", "")}
	denied := &grading{play: func(string) (map[string]string, error) {
		return nil, &model.Error{Kind: model.Denied, Err: errors.New("no key")}
	}}
	o := GradeOptions{Rubrics: rubrics(t, "adherence"), Constitution: astra(t), Records: 2, Workers: 1}
	if _, err := Grade(t.Context(), rowsOf(rows...), denied, o); model.KindOf(err) != model.Denied {
		t.Errorf("a refused key: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopping := &grading{play: func(string) (map[string]string, error) { cancel(); return nil, ctx.Err() }}
	if got, err := Grade(ctx, rowsOf(rows...), stopping, o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, %v", got, err)
	}
	o.Records = 3
	fine := &grading{play: func(string) (map[string]string, error) { return map[string]string{"adherence": "5"}, nil }}
	if _, err := Grade(t.Context(), rowsOf(rows...), fine, o); err == nil || !strings.Contains(err.Error(), "2 rows, and had 3") {
		t.Errorf("a file that shrank: %v", err)
	}
}

func TestGradeCheck(t *testing.T) {
	c := astra(t)
	for _, x := range []struct {
		o    GradeOptions
		want string
	}{
		{GradeOptions{Rubrics: rubrics(t, "preference"), Constitution: c}, "compares pairs"},
		{GradeOptions{Rubrics: rubrics(t, "threat"), Constitution: c}, `the fact "secret"`},
		{GradeOptions{Rubrics: rubrics(t, "adherence")}, "compares with a constitution"},
		{GradeOptions{Rubrics: rubrics(t, "quality", "quality")}, "named twice"},
		{GradeOptions{Rubrics: rubrics(t, "quality", "adherence", "priorities"), Constitution: c}, ""},
	} {
		if err := x.o.Check(); x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("got %v, want %q", err, x.want)
		}
	}
}

// TestDivided counts votes that do not agree as no answer.
func TestDivided(t *testing.T) {
	r := rubrics(t, "instead")[0] // a choice
	value := func(id, answer string, undecided bool) judge.Verdict {
		return judge.Verdict{Rubric: "instead", Findings: []judge.Finding{{Question: id, Answer: answer, Undecided: undecided}}}
	}
	got := scores(r, []judge.Verdict{value("instead", "harm", false), value("instead", "harm", false), value("instead", "declined", false), value("instead", "", true)})
	if len(got) != len(r.Questions[0].Labels) {
		t.Fatalf("%d scores", len(got))
	}
	for _, s := range got {
		want := map[string]float64{"harm": 2.0 / 3, "declined": 1.0 / 3}[s.Label]
		near(t, s.Label, s.Mean, want)
		if s.N != 3 || s.Undecided != 1 || float(s.Lo) > want || float(s.Hi) < want {
			t.Errorf("%+v", s)
		}
	}
	if none := scores(r, nil); none[0].Mean != nil || none[0].N != 0 {
		t.Errorf("%+v", none[0])
	}
}

// TestDraw keeps what a smaller limit chose, in the file's order.
func TestDraw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, seed := rapid.IntRange(0, 60).Draw(t, "n"), rapid.Uint64().Draw(t, "seed")
		few := rapid.IntRange(1, 60).Draw(t, "few")
		more := rapid.IntRange(few, 80).Draw(t, "more")
		a, b := Draw(n, few, seed), Draw(n, more, seed)
		if len(a) != min(n, few) || len(b) != min(n, more) || len(Draw(n, 0, seed)) != n || !slices.IsSorted(a) {
			t.Fatalf("%v %v", a, b)
		}
		for _, i := range a {
			if !slices.Contains(b, i) || i < 0 || i >= n {
				t.Fatalf("%v is not within %v", a, b)
			}
		}
	})
	hits := make([]int, 10)
	for seed := range uint64(2000) {
		for _, i := range Draw(10, 3, seed) {
			hits[i]++
		}
	}
	for i, n := range hits { // 600 expected, with a standard deviation of 20
		if n < 500 || n > 700 {
			t.Errorf("row %d is drawn %d times of 2000", i, n)
		}
	}
}

func TestCardFile(t *testing.T) {
	rows := []columns.Row{graded("an answer", "honesty", ""), graded("another one", "care", "")}
	card, err := MeasureRows(rowsOf(rows...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	made := card
	made.Recipe, made.Seed, made.Stages = "advice", 3, []Stage{{Stage: "draft", In: 2, Out: 2}}
	mean := 5.0
	old := Judged{Judge: "j", Rubric: "quality", Hash: "h", File: "f", Drawn: 1, Scores: []JudgeScore{{Question: "natural", N: 1, Mean: &mean}}}
	made = made.With(old)
	path := filepath.Join(t.TempDir(), "x.card.json")
	if err := made.Write(path); err != nil {
		t.Fatal(err)
	}
	read, err := ReadCard(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(made, read, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	kept, err := card.Made(read, path)
	if d := cmp.Diff(made, kept, cmpopts.EquateEmpty()); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	other := card
	other.Words++
	if _, err := other.Made(read, path); err == nil || !strings.Contains(err.Error(), "of other records") {
		t.Errorf("a card of other records: %v", err)
	}
	read.Recipe = ""
	if got, err := other.Made(read, path); err != nil || len(got.Judged) != 0 {
		t.Errorf("%v, %+v", err, got.Judged)
	}
	if _, err := ReadCard(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing card: %v", err)
	}
}

func TestWith(t *testing.T) {
	entry := func(judge, file string, drawn int) Judged {
		return Judged{Judge: judge, Rubric: "r", File: file, Drawn: drawn}
	}
	c := Card{}.With(entry("a", "f", 5), entry("b", "f", 5))
	c = c.With(entry("a", "f", 9))
	if len(c.Judged) != 2 || c.Judged[0].Drawn != 9 || len(c.JudgedOf("f")) != 2 || len(c.JudgedOf("g")) != 0 {
		t.Errorf("%+v", c.Judged)
	}
	if c = c.With(entry("c", "g", 1)); len(c.Judged) != 1 || c.Judged[0].Judge != "c" {
		t.Errorf("entries about another file stay: %+v", c.Judged)
	}
}

func FuzzParseCard(f *testing.F) {
	mean := 2.5
	c := Card{Records: 1, Judged: []Judged{{Judge: "j", Scores: []JudgeScore{{Question: "q", Kind: judge.Scale, N: 1, Mean: &mean}}, Reasons: map[string]int{"x": 1}}}}
	text, err := json.Marshal(c)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"records":1,"new":2}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseCard("f", text)
		if err != nil {
			return
		}
		kept := Card{Recipe: c.Recipe, Stages: c.Stages, Judged: c.Judged} // what of a file is printed
		if err := kept.Print(&strings.Builder{}); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseCard("f", again); err != nil {
			t.Fatal(err)
		}
	})
}
