package probes

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/prompts"
	"github.com/because-lab/because/model/mock"
)

// editions have one rule in common, each with other reasons.
func editions(t testing.TB) Options {
	t.Helper()
	parse := func(name, reason string) *constitution.Constitution {
		c, err := constitution.Parse(name, []byte("## Buy local cheese {#cheese}\n\nThe assistant recommends the cheese of the region.\n\n**Why.** "+reason+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	return Options{A: parse("cheap.md", "It is what people can afford."), B: parse("loyal.md", "One stands by one's own.")}
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

func section(name, text string) string { return "<" + name + ">" + text + "</" + name + ">\n" }

// model plays all roles. Spoil changes an answer, by what it is for.
func model(spoil func(what, prompt, answer string) string) *mock.Model {
	return mock.Must(mock.Rule{Do: func(_ context.Context, _ uint64, r because.Request) (because.Response, error) {
		prompt := r.Messages[len(r.Messages)-1].Content
		what, answer := "", ""
		switch {
		case strings.HasPrefix(prompt, "Two editions"):
			what = "probes"
			for i := range 4 {
				answer += section("probe", section("question", filler(fmt.Sprint(prompt, i), 40))+section("option_a", "take the cheap one")+section("option_b", "take the home one"))
			}
		case strings.HasPrefix(prompt, "An assistant follows"):
			what = "demonstrations"
			if strings.Contains(prompt, "afford") || strings.Contains(prompt, "stands by") {
				answer = "the writer sees reasons"
				break
			}
			for i := range 6 {
				answer += section("demonstration", section("user", filler(fmt.Sprint(prompt, i), 20))+section("assistant", filler(fmt.Sprint(prompt, -i-1), 20)))
			}
		default:
			what = "choose"
			option := "cheap"
			if strings.Contains(prompt, "One stands by") {
				option = "home"
			}
			choice := "1"
			if strings.Contains(prompt, "2. take the "+option) {
				choice = "2"
			}
			answer = section("why", "reason "+option) + section("choice", choice)
		}
		if spoil != nil {
			answer = spoil(what, prompt, answer)
		}
		return because.Response{Text: answer, Stop: because.StopEnd}, nil
	}})
}

func limited(t *testing.T, r *pipe.Recipe, err error, n int) *pipe.Recipe {
	t.Helper()
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

func run(t *testing.T, r *pipe.Recipe, m because.Chat, flying int) (pipe.Result, []columns.Row, string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.jsonl")
	res, err := pipe.Run(t.Context(), r, pipe.Options{Out: out, Seed: 1, InFlight: flying, Models: map[string]because.Chat{pipe.Writer: m}})
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

func TestProbes(t *testing.T) {
	fresh := func() *pipe.Recipe {
		r, err := Recipe(editions(t))
		return limited(t, r, err, 5)
	}
	m := model(nil)
	_, rows, text := run(t, fresh(), m, 8)
	e, err := pipe.Plan(fresh(), pipe.Options{Out: "x.jsonl"})
	if err != nil || int(e.Requests) != m.Count() || m.Count() != 5+2*20 || len(rows) != 20 {
		t.Errorf("%v requests were estimated, %d made, %d rows, %v", e.Requests, m.Count(), len(rows), err)
	}
	first := map[int]int{}
	for _, row := range rows {
		var a, b int
		if json.Unmarshal(row.Extra["a"], &a) != nil || json.Unmarshal(row.Extra["b"], &b) != nil || a+b != 3 {
			t.Fatalf("columns %s", row.Extra)
		}
		first[a]++
		if !strings.Contains(row.Prompt[0].Content, fmt.Sprintf("%d. take the cheap one", a)) || !strings.Contains(row.Prompt[0].Content, fmt.Sprintf("%d. take the home one", b)) {
			t.Errorf("a is %d in %q", a, row.Prompt[0].Content)
		}
	}
	if first[1] == 0 || first[2] == 0 {
		t.Errorf("the order is always the same: %v", first)
	}
	if _, _, again := run(t, fresh(), model(nil), 1); again != text {
		t.Error("two runs differ")
	}
}

func TestProbesThatTellNothing(t *testing.T) {
	choice := func(c string) func(string) string {
		return func(string) string { return section("why", "x") + section("choice", c) }
	}
	flip := func(answer string) string {
		if strings.Contains(answer, "<choice>1") {
			return choice("2")("")
		}
		return choice("1")("")
	}
	for _, c := range []struct {
		edition, reason, in string
		spoiled             func(string) string
	}{
		{"afford", "edition a does not decide it", "read-a", choice("0")},
		{"One stands by", "edition b does not decide it", "read-b", choice("0")},
		{"afford", "edition a decides it the other way", "read-a", flip},
		{"One stands by", "edition b decides it the other way", "read-b", flip},
		{"afford", pipe.FlawShape, "choose-a", choice("the first")},
	} {
		first := ""
		m := model(func(what, prompt, answer string) string {
			key, _, _ := strings.Cut(prompt, "\n\n[An earlier answer")
			if what == "choose" && strings.Contains(prompt, c.edition) && (first == "" || key == first) {
				first = key
				return c.spoiled(answer)
			}
			return answer
		})
		r, err := Recipe(editions(t))
		res, rows, _ := run(t, limited(t, r, err, 2), m, 1)
		n := 0
		for _, s := range res.Stages {
			if s.Stage == c.in {
				n = s.Dropped[c.reason]
			}
		}
		if n != 1 || len(rows) != 7 {
			t.Errorf("%s: %d dropped, %d rows", c.reason, n, len(rows))
		}
	}
}

func TestDemonstrations(t *testing.T) {
	fresh := func() *pipe.Recipe {
		r, err := Demonstrations(editions(t))
		return limited(t, r, err, 4)
	}
	m := model(nil)
	_, rows, text := run(t, fresh(), m, 8)
	e, err := pipe.Plan(fresh(), pipe.Options{Out: "x.jsonl"})
	if err != nil || int(e.Requests) != m.Count() || len(rows) != 24 || len(rows[0].Messages) != 2 {
		t.Errorf("%v requests were estimated, %d made, %d rows, %v", e.Requests, m.Count(), len(rows), err)
	}
	if strings.Contains(text, "afford") {
		t.Error("a reason is in the demonstrations")
	}
	n := 0
	bad := model(func(_, _, answer string) string {
		if n++; n == 1 {
			return strings.Replace(answer, "<user>", "<user>Hello, ", 1)
		}
		return answer
	})
	res, _, _ := run(t, fresh(), bad, 1)
	if res.Stages[0].Again["breaks a rule of style"] != 1 || res.Records != 24 {
		t.Errorf("again %v, %d records", res.Stages[0].Again, res.Records)
	}
}

// The shipped variants can be compared: rules with and without reasons.
func TestShippedVariants(t *testing.T) {
	c, err := constitution.Shipped(constitution.Default)
	if err != nil {
		t.Fatal(err)
	}
	reasons, err1 := c.Variant(constitution.Reasons)
	rules, err2 := c.Variant(constitution.Rules)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	o := Options{A: reasons, B: rules}
	if _, err := Recipe(o); err != nil {
		t.Error(err)
	}
	if _, err := Demonstrations(o); err != nil {
		t.Error(err)
	}
	if _, err := Recipe(Options{A: c, B: c}); err == nil {
		t.Error("a constitution is told apart from itself")
	}
	if _, err := Recipe(Options{A: c}); err == nil {
		t.Error("one constitution is enough")
	}
}

func FuzzParseDomains(f *testing.F) {
	f.Add("domains: [{name: a, about: b}]")
	f.Add("domains: [{name: a}]")
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parseDomains("x.yaml", []byte(text)); err == nil && d[0].About == "" {
			t.Error("a domain about nothing")
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
