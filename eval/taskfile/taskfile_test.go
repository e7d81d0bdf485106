package taskfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval"
	"github.com/because-lab/because/model/mock"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const capitals = `task: capitals
version: 2
samples:
  - {id: france, input: "What is the capital of France?", target: Paris, meta: {region: europe}}
  - {input: "And of Peru?", target: Lima, meta: {region: america}, cluster: others}
  - messages: [{role: user, content: Hello}, {role: assistant, content: Hello.}, {role: user, content: "The capital of Mali?"}]
    target: Bamako
solver: {system: Answer in one word.}
scorers:
  - {name: correct, includes: target}
  - {name: bare, equals: target, case: true}
  - {name: a word, matches: '^\w+$'}
by: [region]
ask: {max_tokens: 9, temperature: 0}
limits: {messages: 9, seconds: 30}
`

func TestReadAndRun(t *testing.T) {
	task, err := Read(write(t, "capitals.yaml", capitals))
	if err != nil {
		t.Fatal(err)
	}
	if task.Name != "capitals" || task.Version != 2 || task.Dataset.N != 3 || task.Ask.MaxTokens != 9 || task.Ask.Temperature != 0 || task.Limits.Messages != 9 {
		t.Errorf("%+v", task)
	}
	s, err := task.Dataset.At(2)
	if err != nil || s.ID != "3" || len(s.Input) != 4 || s.Input[0].Role != because.RoleSystem {
		t.Errorf("%+v, %v", s, err)
	}
	m := mock.Must(mock.Rule{When: mock.When{Last: "France"}, Answer: "Paris"}, mock.Rule{When: mock.When{Last: "Peru"}, Answer: "It is LIMA."}, mock.Rule{Answer: "timbuktu"})
	got, err := eval.Run(t.Context(), task, eval.Options{Models: map[string]because.Chat{eval.Target: m}, Log: filepath.Join(t.TempDir(), "x.eval")})
	if err != nil {
		t.Fatal(err)
	}
	if got.Errors != 0 {
		t.Fatalf("%+v", got.Causes)
	}
	want := map[string]float64{"correct": 2. / 3, "bare": 1. / 3, "a word": 2. / 3}
	for _, score := range got.Scores {
		if row := score.Rows[0]; row.Value < want[score.Scorer]-1e-9 || row.Value > want[score.Scorer]+1e-9 || row.N != 3 {
			t.Errorf("%s: %+v, want %v", score.Scorer, row, want[score.Scorer])
		}
	}
}

func TestReadRows(t *testing.T) {
	path := write(t, "rows.yaml", "task: rows\ndata: rows.jsonl\nscorers: [{name: x, includes: a}]\n")
	rows := filepath.Join(filepath.Dir(path), "rows.jsonl")
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "rows.jsonl") {
		t.Errorf("a file that is not there: %v", err)
	}
	for _, c := range []struct{ text, cause string }{
		{`{"input":"a","target":"b"}` + "\n\n" + `{"input":"c","meta":{"k":"v"}}` + "\n", ""},
		{`{"input":"a"}` + "\n" + `{"inptu":"c"}` + "\n", `rows.jsonl:2: json: unknown field "inptu"`},
		{`{"input":"a"}` + "\n" + `{"input":` + "\n", "rows.jsonl:2"},
		{`{"input":"a","id":"x"}` + "\n" + `{"input":"b","id":"x"}`, `rows.jsonl:2: "x" is also the id of`},
		{`{"target":"a"}`, "it needs input or messages"},
	} {
		if err := os.WriteFile(rows, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		task, err := Read(path)
		switch {
		case c.cause == "" && (err != nil || task.Dataset.N != 2):
			t.Errorf("%q: %+v, %v", c.text, task.Dataset, err)
		case c.cause != "" && (err == nil || !strings.Contains(err.Error(), c.cause)):
			t.Errorf("%q: %v, want %q", c.text, err, c.cause)
		}
	}
}

// Another text of samples is another dataset, so that no run goes on from the log of the old one.
func TestVersionFollowsTheRows(t *testing.T) {
	path := write(t, "rows.yaml", "task: rows\ndata: rows.jsonl\nscorers: [{name: x, includes: a}]\n")
	versions := map[string]bool{}
	for _, text := range []string{`{"input":"a"}`, `{"input":"b"}`} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), "rows.jsonl"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		task, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		versions[task.Dataset.Version] = true
	}
	if len(versions) != 2 {
		t.Error("rows changed, and the version of the dataset did not")
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct{ change, by, cause string }{
		{"task: capitals", "", "task: is missing"},
		{"scorers:", "scores:", "unknown key scores"},
		{"includes: target}", "includes: target, matches: x}", "scorers[0]: correct: it needs one of"},
		{`'^\w+$'`, "'('", "scorers[2]: a word: error parsing regexp"},
		{"name: bare, ", "", "scorers[1]: it has no name"},
		{"role: assistant", "role: robot", `samples[2]: messages[1]: unknown role "robot"`},
		{`input: "And of Peru?", `, "", "samples[1]: it needs input or messages"},
		{"samples:\n", "data: x.jsonl\nsamples:\n", "samples and data"},
	} {
		_, err := Read(write(t, "x.yaml", strings.Replace(capitals, c.change, c.by, 1)))
		if err == nil || !strings.Contains(err.Error(), c.cause) || !strings.Contains(err.Error(), "x.yaml") {
			t.Errorf("%s: %v, want %q", c.change, err, c.cause)
		}
	}
	if _, err := Read("nowhere.yaml"); err == nil {
		t.Error("a file that is not there was read")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(capitals)
	f.Add("task: x\nsamples: [{input: a}]\nscorers: [{name: x, equals: b}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		task, err := Read(write(t, "x.yaml", text))
		if err == nil && (task.Dataset.N == 0 || len(task.Scorers) == 0) {
			t.Errorf("a task without samples or scorers: %q", text)
		}
	})
}
