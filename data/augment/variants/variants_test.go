package variants

import (
	"context"
	"encoding/json"
	"fmt"
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

func words(n int) string { return strings.TrimSpace(strings.Repeat("word ", n)) }

func list(n int) string { return "- " + words(n-n/2) + "\n- " + words(n/2) }

var wanted = regexp.MustCompile(`It has (\d+) words and must have from (\d+) to (\d+)`)

// model writes parts of the wrong length, and brings them to the right one after some rounds.
func model(rounds int, spoil func(stage, answer string) string) *mock.Model {
	return mock.Must(mock.Rule{Do: func(_ context.Context, _ uint64, r because.Request) (because.Response, error) {
		prompt := r.Messages[len(r.Messages)-1].Content
		stage, answer := "fit", ""
		switch {
		case strings.Contains(prompt, "State as a rule"):
			stage, answer = "rule", "Astra does what this rule says and does nothing that it does not say."
		case strings.Contains(prompt, "gives rules alone"):
			stage, answer = "rules", words(40)
		case strings.Contains(prompt, "has rules with sub-rules"):
			stage, answer = "subrules", list(60)
		case strings.Contains(prompt, "rules with their reasons"):
			stage, answer = "reasons", words(70)
		default:
			m := wanted.FindStringSubmatch(prompt)
			now, err1 := strconv.Atoi(m[1])
			most, err2 := strconv.Atoi(m[3])
			if err1 != nil || err2 != nil {
				return because.Response{}, fmt.Errorf("%v %v", err1, err2)
			}
			n := most
			if d := most - now; rounds > 1 && d*d > 16 {
				n = now + (most-now+rounds-1)/rounds
			}
			answer = words(n)
			if strings.Contains(prompt, "list of sub-rules") {
				answer = list(n)
			}
		}
		if spoil != nil {
			answer = spoil(stage, answer)
		}
		return because.Response{Text: answer, Stop: because.StopEnd}, nil
	}})
}

func run(t *testing.T, o Options, m because.Chat) (pipe.Result, string) {
	t.Helper()
	r, err := Recipe(o)
	if err != nil {
		t.Fatal(err)
	}
	if errs := pipe.Lint(r); len(errs) > 0 {
		t.Fatal(errs)
	}
	out := filepath.Join(t.TempDir(), "variants.jsonl")
	res, err := pipe.Run(t.Context(), r, pipe.Options{Out: out, Seed: 1, Models: map[string]because.Chat{pipe.Writer: m}})
	if err != nil {
		t.Fatal(err)
	}
	return res, out
}

func TestEndToEnd(t *testing.T) {
	c := astra(t)
	m := model(1, nil)
	o := Options{Constitution: c}
	res, out := run(t, o, m)
	if res.Records != 3*len(c.Principles) {
		t.Fatalf("%d records", res.Records)
	}
	r, err := Recipe(o)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := pipe.Plan(r, pipe.Options{Out: out}); err != nil || int(e.Requests) != m.Count() || int(e.Records) != res.Records {
		t.Errorf("%v requests estimated, %d made, %v", e.Requests, m.Count(), err)
	}
	forms, err := Assemble(c, out)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Forms {
		v := forms[f]
		if v.Form != f || v.Of != c.Name || v.Persona != c.Persona || len(v.Principles) != len(c.Principles) || v.Principles[4].ID != c.Principles[4].ID {
			t.Errorf("%s: %v", f, v.Counts())
		}
		n := float64(v.Counts().Words)
		if base := float64(forms[constitution.Rules].Counts().Words); n < 0.95*base || n > 1.05*base {
			t.Errorf("%s has %.0f words, rules have %.0f", f, n, base)
		}
	}
	paths, err := Write(c, out)
	if err != nil || len(paths) != 3 {
		t.Fatalf("%v, %v", paths, err)
	}
	for i, f := range Forms {
		v, err := constitution.Load(paths[i])
		if err != nil || v.Form != f || v.Hash() != forms[f].Hash() || paths[i] != strings.TrimSuffix(out, ".jsonl")+"-"+string(f)+".md" {
			t.Errorf("%s: %v", paths[i], err)
		}
	}
	if forms[constitution.Subrules].Counts().Subrules == 0 || forms[constitution.Reasons].Counts().Reasons == 0 || forms[constitution.Rules].Counts().Reasons != 0 {
		t.Error("a form is not what it says")
	}
}

func TestSlowFitAndNoFit(t *testing.T) {
	o := Options{Constitution: astra(t), Words: 50}
	if res, _ := run(t, o, model(2, nil)); res.Records != 3*len(o.Constitution.Principles) {
		t.Errorf("%d records", res.Records)
	}
	r, err := Recipe(o)
	if err != nil {
		t.Fatal(err)
	}
	stubborn := model(1, func(stage, answer string) string {
		if stage == "fit" {
			return list(10)
		}
		return answer
	})
	out := filepath.Join(t.TempDir(), "v.jsonl")
	_, err = pipe.Run(t.Context(), r, pipe.Options{Out: out, Models: map[string]because.Chat{pipe.Writer: stubborn}})
	if err == nil {
		t.Fatal("parts of the wrong length are accepted")
	}
}

func TestBadAnswers(t *testing.T) {
	for _, c := range []struct{ stage, answer, again string }{
		{"rule", "Be good because it is good and for no other reason at all.", "not a rule alone"},
		{"rule", "Be good.", "wrong length"},
		{"rules", "## A heading\n\n" + words(90), "not of the form"},
		{"rules", "**Why.** " + words(90), "not of the form"},
		{"subrules", words(90), "not of the form"},
		{"reasons", "- " + words(90), "not of the form"},
	} {
		n := 0
		m := model(1, func(stage, answer string) string {
			if stage == c.stage {
				if n++; n == 1 {
					return c.answer
				}
			}
			return answer
		})
		r, err := Recipe(Options{Constitution: astra(t)})
		if err != nil {
			t.Fatal(err)
		}
		res, err := pipe.Run(t.Context(), r, pipe.Options{Out: filepath.Join(t.TempDir(), "v.jsonl"), InFlight: 1, Models: map[string]because.Chat{pipe.Writer: m}})
		if err != nil {
			t.Fatal(err)
		}
		again := 0
		for _, s := range res.Stages {
			if s.Stage == c.stage {
				again = s.Again[c.again]
			}
		}
		if again != 1 || res.Records != 3*len(astra(t).Principles) {
			t.Errorf("%s %.30q: asked again %d times", c.stage, c.answer, again)
		}
	}
}

// A Do's prompts are not linted with the recipe.
func TestFitPrompt(t *testing.T) {
	set, err := prompts.Load(files, "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Get("fit")
	if err != nil {
		t.Fatal(err)
	}
	if errs := append(set.Lint(), p.Check("kind", "rule", "text", "now", "least", "most", "change")...); len(errs) > 0 {
		t.Error(errs)
	}
}

func TestAssembleRefuses(t *testing.T) {
	c := astra(t)
	write := func(rows ...columns.Row) string {
		path := filepath.Join(t.TempDir(), "v.jsonl")
		if err := columns.WriteFile(path, columns.SDF, rows, columns.Options{}); err != nil {
			t.Fatal(err)
		}
		return path
	}
	row := func(form, rule string, n int) columns.Row {
		part := words(n)
		if form == "subrules" {
			part = list(n)
		}
		text := block(pipe.New("x", "title", "T", "id", "t"), rule, constitution.Form(form), part)
		return columns.Row{Text: text, Extra: map[string]json.RawMessage{"form": json.RawMessage(strconv.Quote(form))}}
	}
	for want, rows := range map[string][]columns.Row{
		"differ too much":  {row("rules", "Do.", 50), row("subrules", "Do.", 50), row("reasons", "Do.", 60)},
		"has another rule": {row("rules", "Do.", 50), row("subrules", "Do it.", 50), row("reasons", "Do.", 50)},
		"principles as":    {row("rules", "Do.", 50), row("subrules", "Do.", 50), row("reasons", "Do.", 50), {Text: "## U {#u}\n\nDo.\n\nMore.\n", Extra: row("rules", "x", 1).Extra}},
		"the column form":  {{Text: "x"}},
	} {
		if _, err := Assemble(c, write(rows...)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := Assemble(c, write(row("rules", "Do.", 50), row("subrules", "Do.", 50), row("reasons", "Do.", 50))); err != nil {
		t.Error(err)
	}
}
