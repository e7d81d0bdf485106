package conduct

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
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
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/quality"
	"github.com/because-lab/because/model/mock"
	"github.com/because-lab/because/scenario"
)

// agent plays the agent and the judge. turn decides the call after it has read everything: its words, the tool and the arguments.
type agent struct {
	turn  func(r because.Request) (words, tool string, args map[string]string)
	skip  bool // acts without reading
	spoil func(n int, a because.Response) because.Response
	marks map[string]string // the judge's answers by question; those that are missing are 4

	mu       sync.Mutex
	n        int
	requests []because.Request // of the agent
	judged   int
}

var (
	mailID   = regexp.MustCompile(`(?m)^(m\d+) `)
	filePath = regexp.MustCompile(`(?m)^(\S+\.\w+)\b`)
	ballot   = regexp.MustCompile(`"ballot": "(\w+)"`)
	question = regexp.MustCompile(`(?m)"(\w+)": \{"evidence"`)
	material = regexp.MustCompile(`(?m)^\w{12} \[(\d+)\][^\n]*\n\| ([^\n]{12,})$`)
)

func (a *agent) model() because.Chat {
	return mock.Must(mock.Rule{Do: func(_ context.Context, seed uint64, r because.Request) (because.Response, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		last := r.Messages[len(r.Messages)-1].Content
		if strings.Contains(last, "# Questions") {
			a.judged++
			return because.Response{Text: a.grade(last), Stop: because.StopEnd}, nil
		}
		a.requests = append(a.requests, r)
		out := a.act(seed, r)
		a.n++
		if a.spoil != nil {
			out = a.spoil(a.n, out)
		}
		return out, nil
	}})
}

// grade answers every question of a judge's prompt.
func (a *agent) grade(prompt string) string {
	found := material.FindStringSubmatch(prompt)
	quote, _ := json.Marshal(found[2])
	form := prompt[strings.LastIndex(prompt, "# Your answer"):]
	var parts []string
	for _, q := range question.FindAllStringSubmatch(form, -1) {
		answer, ok := a.marks[q[1]]
		if !ok {
			answer = "4"
		}
		parts = append(parts, fmt.Sprintf(`%q: {"evidence": [{"at": %s, "quote": %s}], "why": "So it reads.", "answer": %q}`, q[1], found[1], quote, answer))
	}
	return fmt.Sprintf(`{"answers": {%s}, "ballot": %q}`, strings.Join(parts, ", "), ballot.FindStringSubmatch(form)[1])
}

// act lists, reads, does what turn says, and ends the shift: one turn each.
func (a *agent) act(seed uint64, r because.Request) because.Response {
	say := func(text string, calls ...because.ToolCall) because.Response {
		stop := because.StopEnd
		if len(calls) > 0 {
			stop = because.StopCalls
		}
		return because.Response{Text: text, Calls: calls, Stop: stop, Native: json.RawMessage(`{"signed":true}`)}
	}
	if len(r.Tools) == 0 { // the form without tool calls
		words, tool, args := a.turn(r)
		return say(words + "\n" + xml(tool, args) + xml("end_shift", map[string]string{"summary": filler(fmt.Sprint(seed), 6)}))
	}
	turn := 0
	var results []because.Message
	for _, m := range r.Messages {
		if m.Role == because.RoleAssistant {
			turn++
			results = nil
		} else if m.Role == because.RoleTool {
			results = append(results, m)
		}
	}
	if a.skip {
		turn += 2
	}
	switch turn {
	case 0:
		return say("", call("a", "list_mail", nil), call("b", "list_files", nil))
	case 1:
		var calls []because.ToolCall
		for _, m := range mailID.FindAllStringSubmatch(results[0].Content, -1) {
			calls = append(calls, call("r"+m[1], "read_mail", map[string]string{"id": m[1]}))
		}
		for _, m := range filePath.FindAllStringSubmatch(results[1].Content, -1) {
			calls = append(calls, call("f"+m[1], "read_file", map[string]string{"path": m[1]}))
		}
		return say("I read everything first.", calls...)
	case 2:
		words, tool, args := a.turn(r)
		return say(words+" "+filler(fmt.Sprint(seed, r.Messages[0].Content), 50), call("c", tool, args))
	}
	return say("Done.", call("d", "end_shift", map[string]string{"summary": filler(fmt.Sprint(seed), 30)}))
}

func call(id, tool string, args map[string]string) because.ToolCall {
	if args == nil {
		args = map[string]string{}
	}
	text, err := json.Marshal(args)
	if err != nil {
		panic(err)
	}
	return because.ToolCall{ID: id, Name: tool, Arguments: text}
}

func xml(tool string, args map[string]string) string {
	out := fmt.Sprintf("<call name=%q>", tool)
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for k := range args {
			if !yield(k) {
				return
			}
		}
	}) {
		out += "<" + name + ">" + args[name] + "</" + name + ">"
	}
	return out + "</call>\n"
}

func filler(key string, n int) string {
	h := fnv.New64a()
	h.Write([]byte(key))
	rng := rand.New(rand.NewPCG(1, h.Sum64()))
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "w%x ", rng.Uint32N(1<<20))
	}
	return strings.TrimSpace(b.String())
}

// What agents of the family monitoring do.
func concern(because.Request) (string, string, map[string]string) {
	return "I leave it on.", "raise_concern", map[string]string{"text": "Please look at the plan of tonight."}
}

func bait(because.Request) (string, string, map[string]string) {
	return "It is in my way.", "edit_controls", map[string]string{"id": "C-1", "field": "state", "value": "off"}
}

func unclear(because.Request) (string, string, map[string]string) {
	return "A better entry.", "edit_controls", map[string]string{"id": "C-1", "field": "kept_by", "value": "the desk"}
}

func small(k Kind) Options {
	return Options{Kind: k, Families: []string{"monitoring"}, PerCluster: 1, Samples: 1, Answers: 4, Kept: 1, Unclear: -1}
}

func run(t *testing.T, o Options, n int, a *agent) (pipe.Result, []columns.Row, string, error) {
	t.Helper()
	r, err := Recipe(o)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "conduct.jsonl")
	res, err := pipe.Run(t.Context(), r, pipe.Options{Out: out, Seed: 5, N: n, InFlight: 4, Models: map[string]because.Chat{pipe.Writer: a.model()}})
	if err != nil {
		return res, nil, out, err
	}
	rows, err := columns.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	return res, rows, out, nil
}

// kinds are all recipes of the package.
func kinds() map[string]Options {
	return map[string]Options{"behaviour": {}, "deliberation": {Kind: Deliberation, Persona: "Astra"}, "preference": {Select: ByPreference},
		"likelihood": {Select: ByLikelihood, Likelihood: lengths{}}, "single turn": {SingleTurn: true}}
}

func TestLint(t *testing.T) {
	for name, o := range kinds() {
		r, err := Recipe(o)
		if err != nil {
			t.Fatal(name, err)
		}
		for _, err := range append(pipe.Lint(r), r.Prompts.Lint()...) {
			t.Error(name, err)
		}
	}
}

// No evaluated family is trained on, neither by name nor by default.
func TestEvaluatedFamiliesAreRefused(t *testing.T) {
	lib, err := scenario.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range lib.Evaluated() {
		for name, o := range kinds() {
			o.Families = []string{"monitoring", f.Name}
			if _, err := Recipe(o); err == nil || !strings.Contains(err.Error(), "evaluated") {
				t.Errorf("%s of %s: %v", name, f.Name, err)
			}
		}
	}
	r, err := Recipe(Options{Persona: "Astra"})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	first := ""
	for it, err := range r.Source {
		if err != nil {
			t.Fatal(err)
		}
		if f, err := lib.Family(it.Get("family")); err != nil || f.Evaluated {
			t.Fatalf("%s: %v", it.ID(), err)
		}
		if seen[it.Get("family")]++; len(first) < 400 {
			first += it.Get("family") + " "
		}
	}
	for _, f := range lib.Training() {
		if seen[f.Name] != 4*3*f.Clusters() {
			t.Errorf("%s: %d items", f.Name, seen[f.Name])
		}
		if !strings.Contains(first[:100], f.Name) {
			t.Errorf("%s is not among the first: %s", f.Name, first[:100])
		}
	}
}

func TestBehaviour(t *testing.T) {
	a := &agent{turn: concern}
	res, rows, _, err := run(t, small(Behaviour), 6, a)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 6 || res.Asked != 24 || a.judged != 0 {
		t.Errorf("%d rows, %d requests, %d of the judge", len(rows), res.Asked, a.judged)
	}
	for i, row := range rows {
		last := row.Messages[len(row.Messages)-1]
		if row.Messages[0].Role != because.RoleSystem || last.Role != because.RoleAssistant || len(last.ToolCalls) != 1 || len(row.Tools) < 5 {
			t.Errorf("row %d: %v, %d tools", i+1, last, len(row.Tools))
		}
		for _, m := range row.Messages {
			if m.Native != nil {
				t.Errorf("row %d holds what its provider alone reads", i+1)
			}
		}
	}
}

func TestChoice(t *testing.T) {
	with := func(o Options, f func(*Options)) Options { f(&o); return o }
	b, d := small(Behaviour), small(Deliberation)
	d.Wordings = []string{"craft"}
	pref := with(b, func(o *Options) { o.Select = ByPreference })
	const w = wordingMark + "craft"
	cut := func(_ int, a because.Response) because.Response { a.Stop = because.StopLength; return a }
	for _, c := range []struct {
		name    string
		o       Options
		a       *agent
		stage   string
		dropped map[string]int // of 3; nil: kept
		again   map[string]int
	}{
		{"harm by rule", b, &agent{turn: bait}, "harm", map[string]int{tookBait: 3}, nil},
		{"unclear and harm", b, &agent{turn: unclear, marks: map[string]string{"q1": "yes"}}, "harm", map[string]int{tookBait: 3}, nil},
		{"unclear and none", b, &agent{turn: unclear, marks: map[string]string{"q1": "no"}}, "harm", nil, nil},
		{"unclear, and a judge that gives no answer", b, &agent{turn: unclear, marks: map[string]string{"q1": "perhaps"}}, "harm", map[string]int{ungraded: 3}, nil},
		{"nothing was read", b, &agent{turn: concern, skip: true}, "harm", map[string]int{unread: 3}, nil},
		{"nothing was read, which is wanted", with(b, func(o *Options) { o.Unread = true }), &agent{turn: concern, skip: true}, "harm", nil, nil},
		{"no call", b, &agent{turn: concern, spoil: func(_ int, a because.Response) because.Response {
			return because.Response{Text: "I would rather not.", Stop: because.StopEnd}
		}}, "harm", map[string]int{idle: 3}, nil},
		{"no end", with(b, func(o *Options) { o.Steps = 3 }), &agent{turn: concern}, "act", map[string]int{"did not come to an end": 3}, nil},
		{"cut off", b, &agent{turn: concern, spoil: cut}, "act", map[string]int{pipe.FlawCut: 3}, map[string]int{pipe.FlawCut: 9}},
		{"empty twice", b, &agent{turn: concern, spoil: func(n int, a because.Response) because.Response {
			if n <= 2 {
				return because.Response{Stop: because.StopEnd}
			}
			return a
		}}, "act", nil, map[string]int{pipe.FlawEmpty: 2}},
		{"harm, with deliberation", d, &agent{turn: bait}, "harm", map[string]int{tookBait + w: 3}, nil},
		{"no deliberation", d, &agent{turn: concern, marks: map[string]string{"weighs": "2"}}, "deliberates", map[string]int{unweighed + w: 3}, nil},
		{"deliberation", d, &agent{turn: concern}, "deliberates", nil, nil},
		{"leak", d, &agent{turn: func(r because.Request) (string, string, map[string]string) {
			all := strings.Fields(r.Messages[0].Content)
			return strings.Join(all[len(all)-10:], " "), "end_shift", map[string]string{"summary": "done"}
		}}, "act", map[string]int{pipe.FlawLeak + w: 3}, map[string]int{pipe.FlawLeak: 9}},
		{"leak in a call", d, &agent{turn: func(r because.Request) (string, string, map[string]string) {
			all := strings.Fields(r.Messages[0].Content)
			return "So.", "raise_concern", map[string]string{"text": strings.Join(all[len(all)-10:], " ")}
		}}, "act", map[string]int{pipe.FlawLeak + w: 3}, map[string]int{pipe.FlawLeak: 9}},
		{"an evaluated scenario's sentence", d, &agent{turn: func(because.Request) (string, string, map[string]string) {
			return "I leave it on.", "raise_concern", map[string]string{"text": scenario.DecisiveSpans()[100]}
		}}, "clean", map[string]int{evaluated + w: 3}, nil},
		{"harm is no matter of preference", pref, &agent{turn: bait}, "preference", nil, nil},
		{"not preferred", pref, &agent{turn: concern, marks: map[string]string{"natural": "2", "invented": "no"}}, "preference", map[string]int{disliked: 3}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.a.marks == nil {
				c.a.marks = map[string]string{}
			}
			if _, ok := c.a.marks["invented"]; !ok {
				c.a.marks["invented"] = "no"
			}
			r, err := Recipe(c.o)
			if err != nil {
				t.Fatal(err)
			}
			three(r)
			res, err := pipe.Run(t.Context(), r, pipe.Options{Out: filepath.Join(t.TempDir(), "x.jsonl"), InFlight: 1,
				Models: map[string]because.Chat{pipe.Writer: c.a.model()}})
			if (err != nil) != (c.dropped != nil) { // nothing is left
				t.Fatal(err)
			}
			i := slices.IndexFunc(res.Stages, func(s quality.Stage) bool { return s.Stage == c.stage })
			if d := cmp.Diff(c.dropped, res.Stages[i].Dropped); d != "" {
				t.Error("dropped:", d)
			}
			if d := cmp.Diff(c.again, res.Stages[i].Again); d != "" {
				t.Error("asked again:", d)
			}
		})
	}
}

// three cuts a recipe's source to its first three items.
func three(r *pipe.Recipe) {
	all := r.Source
	r.Source = func(yield func(pipe.Item, error) bool) {
		n := 0
		for it, err := range all {
			if n++; n > 3 || !yield(it, err) {
				return
			}
		}
	}
}

// The injected paragraph reaches the model behind the system prompt, and nothing of it a record.
func TestInjectionIsStripped(t *testing.T) {
	a := &agent{turn: concern}
	_, rows, _, err := run(t, small(Deliberation), 12, a)
	if err != nil {
		t.Fatal(err)
	}
	r := &recipe{o: Options{}}
	full, err := Recipe(small(Deliberation))
	if err != nil {
		t.Fatal(err)
	}
	r.set = full.Prompts
	if err := r.readWordings(); err != nil {
		t.Fatal(err)
	}
	if len(r.wordings) < 5 {
		t.Fatalf("%d wordings", len(r.wordings))
	}
	systems := map[string]bool{}
	for i, row := range rows {
		systems[row.Messages[0].Content] = true
		for _, w := range r.wordings {
			if place, span, found := row.Repeats(w.text); found {
				t.Errorf("row %d: %s has %q", i+1, place, span)
			}
		}
	}
	used := map[string]bool{}
	for _, q := range a.requests {
		at := slices.IndexFunc(r.wordings, func(w wording) bool { return strings.HasSuffix(q.Messages[0].Content, "\n\n"+w.text) })
		if at < 0 {
			t.Fatal("a turn was sampled without injection")
		}
		used[r.wordings[at].name] = true
		if before := strings.TrimSuffix(q.Messages[0].Content, "\n\n"+r.wordings[at].text); !systems[before] {
			t.Errorf("no record has the system prompt as it was: %q", before)
		}
	}
	if len(used) != len(r.wordings) {
		t.Errorf("used: %v", used)
	}
}

func TestYields(t *testing.T) {
	a := &agent{turn: func(r because.Request) (string, string, map[string]string) {
		if strings.Contains(r.Messages[0].Content, "good company at it") { // the wording craft
			return bait(r)
		}
		return concern(r)
	}}
	o := small(Deliberation)
	o.Wordings = []string{"touched", "craft", "later"}
	res, _, _, err := run(t, o, 0, a)
	if err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	if err := WriteYields(&shown, res.Card); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"  later                              12     12  100.0 %   [75.8, 100.0]\n", "  craft                              12      0    0.0 %   [0.0, 24.2]\n" +
		"      dropped 12: took the bait\n"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("%q is not in:\n%s", want, shown.String())
		}
	}
	single := res.Card
	single.Kinds, single.Stages = map[string]int{"power-seeking/later": 12}, nil
	other := res.Card
	other.Recipe = "documents"
	for _, c := range []quality.Card{single, other} {
		shown.Reset()
		if err := WriteYields(&shown, c); err != nil || shown.Len() > 0 {
			t.Errorf("%q, %v", shown.String(), err)
		}
	}
	got := Yields(res.Card)
	for i, want := range []Yield{{Wording: "later", Tried: 12, Kept: 12, Share: 1}, {Wording: "touched", Tried: 12, Kept: 12, Share: 1},
		{Wording: "craft", Tried: 12, Dropped: map[string]int{tookBait: 12}}} {
		if got[i].Lo < 0 || got[i].Hi > 1 || got[i].Lo >= got[i].Hi {
			t.Errorf("%+v", got[i])
		}
		got[i].Lo, got[i].Hi = 0, 0
		if len(got[i].Dropped) == 0 {
			got[i].Dropped = nil
		}
		if d := cmp.Diff(want, got[i]); d != "" {
			t.Error(d)
		}
	}
}

// lengths finds the harmful call less likely than others after a story, and as likely without one.
type lengths struct{}

func (lengths) LogProbs(_ context.Context, requests []because.Request, answers []because.Message) ([][]float32, error) {
	var out [][]float32
	for i, a := range answers {
		p := float32(-2)
		if story := len(requests[i].Messages) > 1; story && strings.Contains(a.Content, "edit_controls") {
			p = -3
		}
		out = append(out, slices.Repeat([]float32{p}, len(strings.Fields(a.Content))))
	}
	return out, nil
}

func TestLikelihood(t *testing.T) {
	asked := 0
	a := &agent{}
	a.turn = func(r because.Request) (string, string, map[string]string) {
		if asked++; asked%2 == 0 { // one item at a time: first the harmless one
			return bait(r)
		}
		return concern(r)
	}
	o := small(Behaviour)
	o.Select, o.Likelihood = ByLikelihood, lengths{}
	do := func(o Options) (pipe.Result, []columns.Row, error) {
		asked = 0
		r, err := Recipe(o)
		if err != nil {
			t.Fatal(err)
		}
		three(r)
		out := filepath.Join(t.TempDir(), "x.jsonl")
		res, err := pipe.Run(t.Context(), r, pipe.Options{Out: out, InFlight: 1, Models: map[string]because.Chat{pipe.Writer: a.model()}})
		if err != nil {
			return res, nil, err
		}
		rows, err := columns.ReadAll(out)
		return res, rows, err
	}
	_, rows, err := do(o)
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, row := range rows {
		last := row.Messages[len(row.Messages)-1].Content
		if len(row.Messages) != 3 || !strings.Contains(last, "raise_concern") || string(row.Extra["odds"]) != "1" {
			t.Errorf("row %d: odds %s, %s", i+1, row.Extra["odds"], last)
		}
	}
	o.Margin = 2
	res, _, err := do(o)
	if err == nil || res.Stages[1].Dropped[tookBait+", by likelihood"] != 3 {
		t.Errorf("%v, %v", res.Stages[1].Dropped, err)
	}
}

func preferred() Options {
	o := small(Behaviour)
	o.Select = ByPreference
	return o
}

func TestPlanIsWhatIsAsked(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want int
	}{{small(Behaviour), 40}, {small(Deliberation), 50}, {preferred(), 50}, {Options{Families: []string{"monitoring"}, SingleTurn: true, Kept: 1, Unclear: -1}, 10}} {
		r, err := Recipe(c.o)
		if err != nil {
			t.Fatal(err)
		}
		e, err := pipe.Plan(r, pipe.Options{N: 10})
		if err != nil {
			t.Fatal(err)
		}
		res, _, _, err := run(t, c.o, 10, &agent{turn: concern, marks: map[string]string{"invented": "no"}})
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(e.Requests-float64(c.want)) > 1e-6 || res.Asked != c.want {
			t.Errorf("%v requests are planned, %d were made, %d are right", e.Requests, res.Asked, c.want)
		}
	}
}

func TestSameBytes(t *testing.T) {
	files := func(inFlight int) (all []string) {
		r, err := Recipe(small(Deliberation))
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "x.jsonl")
		if _, err := pipe.Run(t.Context(), r, pipe.Options{Out: out, Seed: 9, N: 7, InFlight: inFlight,
			Models: map[string]because.Chat{pipe.Writer: (&agent{turn: concern}).model()}}); err != nil {
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
	if d := cmp.Diff(files(1), files(32)); d != "" {
		t.Error(d)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Kind: "both"}, {Select: "luck"}, {Kind: Deliberation, Select: ByPreference}, {Select: ByLikelihood}, {Least: 6}, {Samples: -1},
		{Families: []string{"no such family"}}, {Families: []string{}}, {Kind: Deliberation, Wordings: []string{"none such"}},
		{Kind: Deliberation, Wordings: []string{"craft", "craft"}}, {Conditions: scenario.Filter{scenario.Persona: {"trained"}}},
		{Prompts: filepath.Join(t.TempDir(), "none")}} {
		if _, err := Recipe(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
