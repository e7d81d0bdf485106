package augment

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/prompts"
	"github.com/because-lab/because/model/mock"
)

func TestShippedLibrary(t *testing.T) {
	lib, err := OpenLibrary("")
	if err != nil {
		t.Fatal(err)
	}
	n, youAre := 0, 0
	for _, d := range lib.Domains {
		for _, tool := range d.Tools {
			n++
			var s jsonschema.Schema
			if err := json.Unmarshal(tool.Parameters, &s); err != nil {
				t.Errorf("%s: %v", tool.Name, err)
			}
			if _, err := s.Resolve(nil); err != nil {
				t.Errorf("%s: %v", tool.Name, err)
			}
			if len(s.Properties) == 0 || !strings.HasSuffix(tool.Description, ".") {
				t.Errorf("%s takes nothing, or its description is no sentence", tool.Name)
			}
		}
	}
	for _, s := range lib.Systems {
		if strings.HasPrefix(s.Text, "You are") {
			youAre++
		}
	}
	if n < 150 || len(lib.Systems) < 60 || 10*youAre > len(lib.Systems) {
		t.Errorf("%d tools, %d system prompts, of which %d begin with You are", n, len(lib.Systems), youAre)
	}
}

func TestSchemas(t *testing.T) {
	d, err := parseDomain("x.yaml", []byte(`about: x
tools:
  - name: look
    about: Looks.
    takes:
      what: string; The thing, with all "marks".
      how: near|far?; From where.
      times: integer 1..?; How often.
      share: number -0.5..0.5; Which part.
      days: strings?; When.
      from: date; Since.
  - {name: stop, about: Stops.}
`))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"type":"object","properties":{"what":{"type":"string","description":"The thing, with all \"marks\"."},"how":{"type":"string","description":"From where.","enum":["near","far"]},` +
		`"times":{"type":"integer","description":"How often.","minimum":1},"share":{"type":"number","description":"Which part.","minimum":-0.5,"maximum":0.5},` +
		`"days":{"type":"array","description":"When.","items":{"type":"string"}},"from":{"type":"string","description":"Since.","format":"date"}},"required":["what","share","from"],"additionalProperties":false}`
	if diff := cmp.Diff(want, string(d.Tools[0].Parameters)); diff != "" {
		t.Error(diff)
	}
	if got := string(d.Tools[1].Parameters); got != `{"type":"object","properties":{},"required":[],"additionalProperties":false}` {
		t.Error(got)
	}
}

func TestBadLibraries(t *testing.T) {
	tool := func(takes string) string {
		return "about: x\ntools:\n  - name: look\n    about: Looks.\n    takes:\n      " + takes + "\n"
	}
	for text, want := range map[string]string{
		"about: x\ntools: []":                                      "at least one of tools",
		"about: x\ntools: [{name: Look, about: x}]":                "lower-case letters",
		tool("what: strin; x"):                                     `own.yaml:6: tool look: parameter what: there is no type "strin"`,
		tool("what: string"):                                       "is not TYPE; description",
		tool("what: string 1..2; x"):                               "LEAST..MOST",
		tool("what: integer 3..2; x"):                              "LEAST..MOST",
		tool("what: a||b; x"):                                      "empty",
		tool("What: string; x"):                                    "the name is taken, or is none",
		"about: x\ntools:\n  - {name: read_mail, about: Again.}":   "the tool read_mail is in",
		"about: x\ntools:\n  - {name: look, about: x, takes: [a]}": "names with their types",
		"about: x\ntolls: 1":                                       "tolls",
	} {
		folder := t.TempDir()
		if err := os.Mkdir(filepath.Join(folder, "tools"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "tools", "own.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenLibrary(folder); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n\tgives %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"systems: [{text: ''}]":                 "has no text",
		"systems: [{text: a, domains: [male]}]": `no tools of the domain "male"`,
		"systems: [{text: a, domains: [mail]}]": "must go with all",
		"systems: [{txt: a}]":                   "txt",
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "systems.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenLibrary(folder); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v", text, err)
		}
	}
}

func write(t testing.TB, kind columns.Kind, rows ...columns.Row) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.jsonl")
	if err := columns.WriteFile(path, kind, rows, columns.Options{}); err != nil {
		t.Fatal(err)
	}
	return path
}

func run(t testing.TB, o Options, m because.Chat) (pipe.Result, []columns.Row, []byte) {
	t.Helper()
	r, err := Recipe(o)
	if err != nil {
		t.Fatal(err)
	}
	if errs := pipe.Lint(r); len(errs) > 0 {
		t.Fatal(errs)
	}
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.jsonl")
	res, err := pipe.Run(context.Background(), r, pipe.Options{Out: out, Seed: 1, Models: map[string]because.Chat{pipe.Writer: m}})
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
	return res, rows, text
}

func user(text string) because.Message {
	return because.Message{Role: because.RoleUser, Content: text}
}

func prompt(text string) columns.Row { return columns.Row{Prompt: []because.Message{user(text)}} }

// The user's part of every copy is the original's, byte for byte.
func TestUserPromptUnchanged(t *testing.T) {
	lib, err := OpenLibrary("")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		texts := rapid.SliceOfN(rapid.StringN(1, 200, 800), 1, 5).Draw(rt, "texts")
		var rows []columns.Row
		for _, s := range texts {
			if strings.TrimSpace(s) == "" {
				s = "x" + s
			}
			rows = append(rows, columns.Row{Prompt: []because.Message{user(s), {Role: because.RoleAssistant, Content: "<b>&\u2028" + s}, user(s + "\r\n\t")}})
		}
		path := write(t, columns.RL, rows...)
		before, err := columns.ReadAll(path)
		if err != nil {
			rt.Fatal(err)
		}
		c := copier{Options{Source: path, Kind: columns.RL, Copies: 2, Tools: [2]int{2, 7}, Seed: rapid.Uint64().Draw(rt, "seed")}, lib}
		var got []columns.Row
		for it, err := range c.source() {
			if err != nil {
				rt.Fatal(err)
			}
			got = append(got, copied(rt, c, it).Row)
		}
		if len(got) != 2*len(rows) {
			rt.Fatalf("%d rows", len(got))
		}
		for i, row := range got {
			if row.Prompt[0].Role != because.RoleSystem || row.Prompt[0].Content == "" || len(row.Tools) < 2 {
				rt.Fatalf("row %d: %v", i, row)
			}
			if diff := cmp.Diff(before[i/2].Prompt, row.Prompt[1:]); diff != "" {
				rt.Fatalf("row %d: %s", i, diff)
			}
			if before[i/2].Prompt[0].Content != rows[i/2].Prompt[0].Content {
				rt.Fatalf("row %d: the file has another text than was written", i)
			}
		}
	})
}

// copied takes an item through the stages of a recipe that asks nothing.
func copied(t *rapid.T, c copier, it pipe.Item) pipe.Record {
	for _, do := range []func(pipe.Item) ([]pipe.Item, error){c.tools, c.system} {
		out, err := do(it)
		if err != nil {
			t.Fatal(err)
		}
		it = out[0]
	}
	rec, err := c.record(it)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestCopies(t *testing.T) {
	rubric := json.RawMessage(`{"good": "declines", "n": 1.50}`)
	row := prompt("the boiler hums, is that bad")
	row.Extra = map[string]json.RawMessage{"id": json.RawMessage(`"rl-a001"`), "rubric": rubric, "lineage": json.RawMessage(`{"recipe":"requests"}`)}
	own := columns.Row{Prompt: []because.Message{{Role: because.RoleSystem, Content: "Be brief."}, user("q")}}
	tooled := prompt("with tools")
	tooled.Tools = []because.Tool{{Name: "a", Description: "b", Parameters: json.RawMessage(`{"type":"object"}`)}}
	path := write(t, columns.RL, row, own, tooled)
	m := mock.Must()
	res, rows, text := run(t, Options{Source: path, Tools: [2]int{9, 9}}, m)
	if len(rows) != 2 || res.Stages[0].Dropped["has tools of its own"] != 1 || m.Count() != 0 {
		t.Fatalf("%d rows, %v, %d requests", len(rows), res.Stages[0].Dropped, m.Count())
	}
	if string(rows[0].Extra["source"]) != `"rl-a001"` || !strings.Contains(string(rows[0].Extra["rubric"]), "1.50") || !strings.Contains(string(rows[0].Extra["lineage"]), `"augment"`) {
		t.Errorf("columns %s", rows[0].Extra)
	}
	if rows[1].Prompt[0].Content != "Be brief." || len(rows[1].Prompt) != 2 || string(rows[1].Extra["system_from"]) != `"original"` || string(rows[1].Extra["source"]) != `"2"` {
		t.Errorf("the record with a system prompt became %v, %s", rows[1].Prompt, rows[1].Extra)
	}
	for _, r := range rows {
		seen := map[string]bool{}
		for _, tool := range r.Tools {
			seen[tool.Name] = true
		}
		if len(seen) != 9 {
			t.Errorf("%d different tools", len(seen))
		}
	}
	if _, _, again := run(t, Options{Source: path, Tools: [2]int{9, 9}}, m); string(again) != string(text) {
		t.Error("two runs differ")
	}
	if _, _, other := run(t, Options{Source: path, Tools: [2]int{9, 9}, Seed: 7}, m); string(other) == string(text) {
		t.Error("another seed adds the same")
	}
}

func TestWrittenSystemPrompts(t *testing.T) {
	var rows []columns.Row
	for i := range 12 {
		rows = append(rows, prompt(fmt.Sprintf("question %d about SECRETWORD", i)))
	}
	n := 0
	m := mock.Must(mock.Rule{Do: func(_ context.Context, _ uint64, r because.Request) (because.Response, error) {
		text := r.Messages[len(r.Messages)-1].Content
		if strings.Contains(text, "SECRETWORD") {
			t.Error("the writer sees the user's prompt")
		}
		if n++; n == 1 {
			return because.Response{Text: "I'm sorry, but I can't help with that.", Stop: because.StopEnd}, nil
		}
		return because.Response{Text: fmt.Sprintf("Desk %d. Be quick.", n), Stop: because.StopEnd}, nil
	}})
	o := Options{Source: write(t, columns.RL, rows...), Write: true}
	r, err := Recipe(o)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.jsonl")
	res, err := pipe.Run(t.Context(), r, pipe.Options{Out: out, InFlight: 1, Models: map[string]because.Chat{pipe.Writer: m}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := pipe.Plan(r, pipe.Options{Out: out})
	if err != nil || e.Requests != 12 || m.Count() != 13 || res.Records != 12 || res.Stages[2].Again[pipe.FlawRefused] != 1 {
		t.Errorf("%v requests estimated, %d made, %d records, again %v, %v", e.Requests, m.Count(), res.Records, res.Stages[2].Again, err)
	}
}

func TestConversations(t *testing.T) {
	call := because.ToolCall{ID: "1", Name: "x", Arguments: json.RawMessage(`{"a":  1}`)}
	row := columns.Row{Messages: []because.Message{user("q"), {Role: because.RoleAssistant, Content: "a", ToolCalls: []because.ToolCall{call}}}}
	_, rows, _ := run(t, Options{Source: write(t, columns.SFT, row), Kind: columns.SFT}, mock.Must())
	if len(rows) != 1 || len(rows[0].Messages) != 3 || rows[0].Messages[1].Content != "q" || len(rows[0].Tools) == 0 {
		t.Errorf("%v", rows)
	}
}

// Without a kind, the first record tells it.
func TestKindOfTheFile(t *testing.T) {
	talk := columns.Row{Messages: []because.Message{user("q"), {Role: because.RoleAssistant, Content: "a"}}}
	for kind, row := range map[columns.Kind]columns.Row{columns.SFT: talk, columns.RL: prompt("q")} {
		r, err := Recipe(Options{Source: write(t, kind, row)})
		if err != nil || r.Kind != kind {
			t.Errorf("%v, %v", r, err)
		}
	}
	if _, err := Recipe(Options{Source: write(t, columns.SDF, columns.Row{Text: "t"})}); err == nil || !strings.Contains(err.Error(), "can be augmented") {
		t.Errorf("texts: %v", err)
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{{}, {Source: "x", Kind: columns.SDF}, {Source: "x", Tools: [2]int{3, 2}}, {Source: "x", Prompts: "/does/not/exist"}} {
		if _, err := Recipe(o); err == nil {
			t.Errorf("%v is accepted", o)
		}
	}
	none := filepath.Join(t.TempDir(), "none.jsonl")
	if _, err := Recipe(Options{Source: none}); err == nil {
		t.Error("a file that is not there has a kind")
	}
	r, err := Recipe(Options{Source: none, Kind: columns.RL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pipe.Run(t.Context(), r, pipe.Options{Out: filepath.Join(t.TempDir(), "o.jsonl"), Models: map[string]because.Chat{pipe.Writer: mock.Must()}}); err == nil {
		t.Error("a file that is not there is accepted")
	}
}

func FuzzParseDomain(f *testing.F) {
	for _, name := range []string{"mail", "kitchen"} {
		text, err := shipped.ReadFile("tools/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("about: x\ntools: [{name: abc, about: y, takes: {a: 'integer 1..; d', b: [c]}}]")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseDomain("x.yaml", []byte(text))
		for _, tool := range d.Tools {
			if err == nil && !json.Valid(tool.Parameters) {
				t.Errorf("%s: %s", tool.Name, tool.Parameters)
			}
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
