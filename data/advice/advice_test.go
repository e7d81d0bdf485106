package advice

import (
	"context"
	"encoding/json"
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

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/model/mock"
	"github.com/because-lab/because/scenario"
)

// writer plays all roles. Its fields change one of its answers.
type writer struct {
	mu      sync.Mutex
	seen    map[string]int               // requests by kind
	asked   map[string][]because.Request // the same, whole
	answers map[string]func(n int, r because.Request, good string) because.Response
}

func newWriter() *writer {
	return &writer{seen: map[string]int{}, asked: map[string][]because.Request{}}
}

// model is the writer as a model.
func (w *writer) model() because.Chat {
	return mock.Must(mock.Rule{Do: func(_ context.Context, seed uint64, r because.Request) (because.Response, error) {
		kind, good := script(seed, r)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.seen[kind]++
		w.asked[kind] = append(w.asked[kind], r)
		if f := w.answers[kind]; f != nil {
			return f(w.seen[kind], r, good), nil
		}
		return because.Response{Text: good, Stop: because.StopEnd}, nil
	}})
}

func said(text string) because.Response { return because.Response{Text: text, Stop: because.StopEnd} }

var (
	idLine   = regexp.MustCompile(`(?m)^\[([a-z0-9-]+)\]$`)
	howMany  = regexp.MustCompile(`(?:Choose the|Name) (\d+) `)
	lineNo   = regexp.MustCompile(`(?m)^(\d+)\. .*; .*$`)
	ballot   = regexp.MustCompile(`"ballot": "(\w+)"`)
	material = regexp.MustCompile(`(?m)^\| (.{24,})$`)
)

// script gives a good answer to each prompt, in words that depend on the request.
func script(seed uint64, r because.Request) (kind, text string) {
	last := r.Messages[len(r.Messages)-1].Content
	key := fmt.Sprint(seed, r.Messages)
	has := func(start string) bool { return strings.Contains(last, start) }
	list := func(n int, item func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(item(i) + "\n")
		}
		return b.String()
	}
	count := func() (n int) { fmt.Sscan(howMany.FindStringSubmatch(last)[1], &n); return n }
	switch {
	case has("Choose the "):
		ids := idLine.FindAllStringSubmatch(last, -1)
		return "principles", list(count(), func(i int) string {
			return "<principle><id>" + ids[2*i][1] + "</id><bearing>" + filler(key, i, 12) + "</bearing></principle>"
		})
	case has("types of dilemma under this principle"):
		return "types", list(count(), func(i int) string { return "<type>" + filler(key, i, 20) + "</type>" })
	case has("Write scenarios that would show"):
		return "scenarios", list(len(lineNo.FindAllString(last, -1)), func(i int) string {
			f := func(k int) string { return filler(key, 10*i+k, 15) }
			return "<scenario><situation>" + f(1) + "</situation><aim>" + f(2) + "</aim><breach>" + f(3) + "</breach><hard>" + f(4) + "</hard></scenario>"
		})
	case has("Write how the conversation with an assistant begins"):
		return "prompts", opened(key, last)
	case has("You edit conversations"):
		return "rewrite-prompts", "<notes>Too tidy.</notes>" + opened(key, last)
	case has("You edit the answers"):
		return "review", "<notes>The draft follows it.</notes><answer>" + filler(key, 0, 80) + "</answer>"
	case has("A person has asked an assistant something"):
		return "follow-up", filler(key, 0, 20)
	case has("# Questions"):
		return "grade", grade(last, 8)
	}
	if strings.Contains(r.Messages[0].Content, "\n\n") {
		return "answer", filler(key, 0, 70)
	}
	return "first", filler(key, 0, 60)
}

// opened is an opening of the shape that the prompt asks for.
func opened(key, prompt string) string {
	user := "<user>" + filler(key, 1, 30) + "</user>"
	if strings.Contains(prompt, "has no system prompt") {
		return user
	}
	return "<system>Ward office, notes for staff: " + filler(key, 2, 12) + "</system>" + user
}

func grade(prompt string, n int) string {
	quote, _ := json.Marshal(material.FindStringSubmatch(prompt[strings.LastIndex(prompt, "[2]"):])[1])
	return fmt.Sprintf(`{"answers": {"adherence": {"evidence": [{"at": 2, "quote": %s}], "why": "It does.", "answer": %d}}, "ballot": %q}`,
		quote, n, ballot.FindStringSubmatch(prompt)[1])
}

// filler gives n words that depend on a key.
func filler(key string, part, n int) string {
	rng := stream(uint64(part), key)
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "w%x ", rng.Uint32N(1<<20))
	}
	return strings.TrimSpace(b.String())
}

// small asks for little, without drops that are thought of.
func small(n int) Options {
	return Options{N: n, Principles: 3, Types: 2, Scenarios: 4, Kept: 1, Excerpt: 400}
}

func run(t *testing.T, o Options, w *writer, more ...func(*pipe.Options)) (pipe.Result, []columns.Row, string) {
	t.Helper()
	res, out, err := tryRun(t, o, w, more...)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := columns.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	return res, rows, out
}

func tryRun(t *testing.T, o Options, w *writer, more ...func(*pipe.Options)) (pipe.Result, string, error) {
	t.Helper()
	r, err := Recipe(o)
	if err != nil {
		t.Fatal(err)
	}
	po := pipe.Options{Out: filepath.Join(t.TempDir(), "advice.jsonl"), Seed: 3, N: o.N, Models: map[string]because.Chat{pipe.Writer: w.model()}}
	for _, f := range more {
		f(&po)
	}
	res, err := pipe.Run(t.Context(), r, po)
	return res, po.Out, err
}

func TestLint(t *testing.T) {
	for _, name := range constitution.Names() {
		c, err := constitution.Shipped(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Recipe(Options{Constitution: c})
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range append(pipe.Lint(r), r.Prompts.Lint()...) {
			t.Error(err)
		}
	}
}

func TestConversations(t *testing.T) {
	w := newWriter()
	res, rows, _ := run(t, small(20), w)
	if res.Records != 20 || len(rows) != 20 {
		t.Fatalf("%d records, %d rows", res.Records, len(rows))
	}
	systems, second := 0, 0
	for i, row := range rows {
		roles := ""
		for _, m := range row.Messages {
			roles += string(m.Role[0])
		}
		if !slices.Contains([]string{"sua", "ua", "suaua", "uaua"}, roles) {
			t.Errorf("row %d: %s", i+1, roles)
		}
		if roles[0] == 's' {
			systems++
		}
		if strings.HasSuffix(roles, "uaua") {
			second++
		}
		if string(row.Extra["adherence"]) != "8" {
			t.Errorf("row %d: adherence %s", i+1, row.Extra["adherence"])
		}
	}
	if systems != 15 || second != 4 { // 16 with one turn, of which 4 are bare, and 4 with two, of which 1 is
		t.Errorf("%d with system prompt, %d with two turns", systems, second)
	}
	if d := cmp.Diff(map[string]int{"principles": 1, "types": 3, "scenarios": 5, "prompts": 20, "first": 20, "rewrite-prompts": 20, "answer": 24, "review": 24,
		"follow-up": 4, "grade": 20}, w.seen); d != "" {
		t.Error(d)
	}
}

// Every beginning of the file is spread over principles, types and requests.
func TestSpread(t *testing.T) {
	_, rows, _ := run(t, small(24), newWriter())
	principles, types := map[string]int{}, map[string]int{}
	for i, row := range rows {
		var id string
		if err := json.Unmarshal(row.Extra["id"], &id); err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(id, "/") // constitution, principle, type, round, scenario
		principles[parts[1]]++
		types[parts[1]+parts[2]]++
		if i == 5 && (len(principles) != 3 || len(types) != 6) {
			t.Errorf("after six records: %v, %v", principles, types)
		}
	}
	for name, n := range types {
		if n != 4 {
			t.Errorf("%s: %d of 24", name, n)
		}
	}
}

// What is injected reaches the model, and nothing of it a record: no eight words in a row, and system prompts are byte for byte what they were.
func TestInjectionIsStripped(t *testing.T) {
	w := newWriter()
	_, rows, out := run(t, small(12), w)
	systems := map[string]bool{}
	for _, row := range rows {
		if row.Messages[0].Role == because.RoleSystem {
			systems[row.Messages[0].Content] = true
		}
	}
	injected := 0
	for _, r := range w.asked["answer"] {
		if r.Messages[0].Role != because.RoleSystem {
			t.Fatal("an answer was sampled without injection")
		}
		before, injection, _ := strings.Cut(r.Messages[0].Content, "\n\n")
		if !systems[before] { // a conversation without system prompt: all of it was injected
			injection = r.Messages[0].Content
			if strings.HasPrefix(injection, "Ward office") {
				t.Errorf("the system prompt %q is in no record", before)
			}
		}
		if len(strings.Fields(injection)) < 100 {
			t.Errorf("injected: %q", injection)
		}
		injected++
		for i, row := range rows {
			if place, span, found := row.Repeats(injection); found {
				t.Errorf("row %d: %s has %q", i+1, place, span)
			}
		}
	}
	if injected == 0 || len(systems) == 0 {
		t.Fatal("nothing was compared")
	}
	for i := range rows {
		checkSystem(t, out, i+1, rows[i])
	}
}

// checkSystem compares a record's system prompt with the one that the reviewer of prompts gave.
func checkSystem(t *testing.T, out string, n int, row columns.Row) {
	t.Helper()
	story, err := pipe.Explain(out, fmt.Sprint(n))
	if err != nil {
		t.Fatal(err)
	}
	before := "none"
	for _, step := range story.Steps {
		for _, x := range step.Texts {
			if x.Name == "system" && x.Has {
				before = x.After
			}
		}
		if step.Stage == "inject" {
			break
		}
	}
	after := ""
	if row.Messages[0].Role == because.RoleSystem {
		after = row.Messages[0].Content
	}
	if before != after {
		t.Errorf("record %d: the system prompt was %q before the injection and is %q", n, before, after)
	}
}

func TestBadAnswers(t *testing.T) {
	leak := func(_ int, r because.Request, good string) because.Response {
		all := strings.Fields(r.Messages[0].Content)
		return said(good + " " + strings.Join(all[len(all)-12:], " "))
	}
	twice := func(bad func(good string) because.Response) func(int, because.Request, string) because.Response {
		return func(n int, _ because.Request, good string) because.Response {
			if n <= 2 {
				return bad(good)
			}
			return said(good)
		}
	}
	always := func(bad func(good string) because.Response) func(int, because.Request, string) because.Response {
		return func(_ int, _ because.Request, good string) because.Response { return bad(good) }
	}
	for _, c := range []struct {
		name, kind, stage string
		answer            func(int, because.Request, string) because.Response
		again             map[string]int
		dropped           map[string]int // of all 4
	}{
		{"empty once or twice", "types", "types", twice(func(string) because.Response { return said(" ") }), map[string]int{"empty": 2}, nil},
		{"refused", "scenarios", "scenarios", always(func(string) because.Response { return said("I'm sorry, but I can't help with that.") }),
			map[string]int{"refused": 3}, map[string]int{"refused": 1}},
		{"cut off", "first", "first", always(func(g string) because.Response { return because.Response{Text: g, Stop: because.StopLength} }),
			map[string]int{"cut off": 12}, map[string]int{"cut off": 4}},
		{"wrong shape", "prompts", "prompts", twice(func(g string) because.Response { return said("Here it is: " + filler(g, 0, 20)) }), map[string]int{"wrong shape": 2}, nil},
		{"a principle that there isn't", "principles", "principles", twice(func(g string) because.Response {
			return said(idOf.ReplaceAllString(g, "<id>invented</id>"))
		}), map[string]int{"no such principle": 2}, nil},
		{"a principle twice", "principles", "principles", twice(func(g string) because.Response {
			return said(idOf.ReplaceAllString(g, idOf.FindString(g)))
		}), map[string]int{"a principle twice": 2}, nil},
		{"too few", "types", "types", twice(func(g string) because.Response { return said(g[:strings.Index(g, "</type>")+7]) }), map[string]int{"wrong shape": 2}, nil},
		{"a greeting", "rewrite-prompts", "rewrite-prompts", twice(func(g string) because.Response {
			return said(strings.Replace(g, "<user>", "<user>Hi there, ", 1))
		}), map[string]int{"style: greeting": 2}, nil},
		{"You are", "rewrite-prompts", "rewrite-prompts", twice(func(g string) because.Response {
			return said(strings.Replace(g, "<system>", "<system>You are a ", 1))
		}), map[string]int{"style: you-are": 2}, nil},
		{"a name that everybody has", "rewrite-prompts", "rewrite-prompts", twice(func(g string) because.Response {
			return said(strings.Replace(g, "</user>", " says Elara</user>", 1))
		}), map[string]int{"an overused name": 2}, nil},
		{"leaking sample", "answer", "answer", leak, map[string]int{pipe.FlawLeak: 12}, map[string]int{pipe.FlawLeak: 4}},
		{"leaking review", "review", "review", func(_ int, r because.Request, good string) because.Response {
			_, text, _ := strings.Cut(r.Messages[0].Content, "<principles>")
			return said(strings.Replace(good, "</answer>", strings.Join(strings.Fields(text)[:12], " ")+"</answer>", 1))
		}, map[string]int{pipe.FlawLeak: 12}, map[string]int{pipe.FlawLeak: 4}},
		{"low grade", "grade", "grade", func(_ int, r because.Request, _ string) because.Response {
			return said(grade(r.Messages[len(r.Messages)-1].Content, 6))
		},
			nil, map[string]int{"follows the constitution too little": 4}},
		{"no grade", "grade", "grade", always(func(string) because.Response { return said("A fine answer.") }), nil,
			map[string]int{"the judge's grade could not be read": 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWriter()
			w.answers = map[string]func(int, because.Request, string) because.Response{c.kind: c.answer}
			o := small(4)
			o.Principles, o.Types, o.NoSystem, o.TwoTurns = 1, 1, -1, -1
			if c.kind == "principles" || c.kind == "types" {
				o.Principles, o.Types = 2, 2
			}
			o.YouAre = -1
			res, _, err := tryRun(t, o, w, func(po *pipe.Options) { po.InFlight = 1 })
			if (err != nil) != (c.dropped != nil) { // nothing is left
				t.Fatal(err)
			}
			i := slices.IndexFunc(res.Stages, func(s quality.Stage) bool { return s.Stage == c.stage })
			if d := cmp.Diff(c.again, res.Stages[i].Again); d != "" {
				t.Error("asked again:", d)
			}
			if d := cmp.Diff(c.dropped, res.Stages[i].Dropped); d != "" {
				t.Error("dropped:", d)
			}
			want := 4
			if c.dropped != nil {
				want = 0
			}
			if res.Records != want {
				t.Errorf("%d records, want %d", res.Records, want)
			}
		})
	}
}

var idOf = regexp.MustCompile(`<id>.*?</id>`)

func TestPlanIsWhatIsAsked(t *testing.T) {
	single := small(20)
	single.TwoTurns = -1
	all := small(0) // what the plan gives: 3 principles, 2 types, 4 scenarios
	for _, o := range []Options{small(20), single, all} {
		r, err := Recipe(o)
		if err != nil {
			t.Fatal(err)
		}
		e, err := pipe.Plan(r, pipe.Options{N: o.N})
		if err != nil {
			t.Fatal(err)
		}
		res, rows, _ := run(t, o, newWriter())
		records := o.N
		if records == 0 {
			records = 24
		}
		second := float64(len(rows)) * 0.2 // planned by the share, made in whole numbers
		if o.TwoTurns < 0 {
			second = 0
		}
		planned := e.Requests - 3*second + 3*float64(int(second+1e-9))
		if math.Abs(planned-float64(res.Asked)) > 1e-6 || e.Records != float64(records) || len(rows) != records {
			t.Errorf("%v requests for %v records are planned, %d for %d were made", e.Requests, e.Records, res.Asked, len(rows))
		}
	}
}

func TestSameBytes(t *testing.T) {
	files := func(inFlight int) (all []string) {
		_, _, out := run(t, small(9), newWriter(), func(o *pipe.Options) { o.InFlight = inFlight })
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

func TestContamination(t *testing.T) {
	all := scenario.DecisiveSpans()
	x, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	r := &recipe{reserved: x}
	for _, text := range all {
		if r.repeats(columns.Row{Text: "As it happens, " + strings.ToUpper(text) + " And so on."}) == "" {
			t.Errorf("not found: %s", text)
		}
	}
	for _, text := range []string{"", "he left his keys on the table and went home without a word to anyone at all"} {
		if r.repeats(columns.Row{Text: text}) != "" {
			t.Errorf("found in %q", text)
		}
	}
	w := newWriter()
	w.answers = map[string]func(int, because.Request, string) because.Response{"review": func(_ int, _ because.Request, good string) because.Response {
		return said(strings.Replace(good, "</answer>", " "+all[len(all)/2]+"</answer>", 1))
	}}
	o := small(4)
	o.TwoTurns = -1
	res, _, err := tryRun(t, o, w)
	if err == nil || !strings.Contains(err.Error(), "no record is left") {
		t.Fatal(err)
	}
	i := slices.IndexFunc(res.Stages, func(s quality.Stage) bool { return s.Stage == "clean" })
	if got := res.Stages[i].Dropped["repeats an evaluated scenario"]; got != 4 || res.Records != 0 {
		t.Errorf("%d dropped, %d records", got, res.Records)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{N: -1}, {TwoTurns: 1.5}, {Kept: 2}, {Least: 11}, {NoSystem: math.NaN()}, {Prompts: filepath.Join(t.TempDir(), "none")}} {
		if _, err := Recipe(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestQuota(t *testing.T) {
	for _, share := range []float64{-1, 0.1, 0.2, 0.3, 0.7, 1} {
		q, had := quota{share: share}, 0
		for n := 1; n <= 200; n++ {
			if q.next() {
				had++
			}
			if want := int(math.Floor(math.Max(0, share)*float64(n) + 1e-9)); had != want {
				t.Fatalf("share %v: %d of %d", share, had, n)
			}
		}
	}
}

// Every setting comes up once before any does twice, and then with another pressure.
func TestIngredients(t *testing.T) {
	x := &recipe{o: Options{N: 600, Scenarios: 4, Kept: 1}, lists: map[string][]string{"settings": {"a", "b", "c", "d", "e", "f"}, "pressures": {"x", "y", "z"}}}
	items, err := x.plan([]pipe.Item{pipe.New("p/1", "principle_id", "p"), pipe.New("p/2", "principle_id", "p"), pipe.New("q/1", "principle_id", "q")})
	if err != nil {
		t.Fatal(err)
	}
	if got := items[0].ID() + " " + items[1].ID() + " " + items[2].ID() + " " + items[3].ID(); got != "p/1/r01 q/1/r01 p/2/r01 p/1/r02" {
		t.Error(got)
	}
	seen := map[string]bool{}
	for _, it := range items[:4] {
		for line := range strings.Lines(it.Get("sparks")) {
			_, line, _ = strings.Cut(strings.TrimSpace(line), ". ")
			if seen[line] {
				t.Errorf("%s comes twice in the first 16", line)
			}
			seen[line] = true
		}
	}
}
