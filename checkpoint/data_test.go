package checkpoint_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/checkpoint"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/scenario"
)

// make orders a dataset and gives its records and card.
func makeData(t *testing.T, w *checkpoint.Target, o data.Order) ([]because.Record, string) {
	t.Helper()
	dir := t.TempDir()
	if err := w.Data(t.Context(), o, because.Work{Out: dir, Workers: 1}); err != nil {
		t.Fatal(err)
	}
	records, err := data.ReadRecords(dir)
	if err != nil {
		t.Fatal(err)
	}
	card, err := os.ReadFile(filepath.Join(dir, data.CardFile))
	if err != nil {
		t.Fatal(err)
	}
	return records, string(card)
}

func TestDataOfCorpora(t *testing.T) {
	w := open(t, checkpoint.Options{})
	for _, recipe := range []string{"advice", "documents", "stories", "behaviour", "deliberation"} {
		o := data.Order{Recipe: recipe, Seed: 3, Stream: recipe, Tokens: 12_000}
		first, card := makeData(t, w, o)
		again, cardAgain := makeData(t, w, o)
		if d := cmp.Diff(first, again); d != "" || card != cardAgain {
			t.Errorf("%s: the same order gave other records: %s", recipe, d)
		}
		if !strings.Contains(card, fmt.Sprintf(`"checked": %d`, len(first))) || !strings.Contains(card, `"hits": 0`) || !strings.Contains(card, `"distinct": 1`) {
			t.Errorf("%s: card %s", recipe, card)
		}
		o.Seed++
		if other, _ := makeData(t, w, o); cmp.Equal(first, other) {
			t.Errorf("%s: two seeds gave the same records", recipe)
		}
		r := first[0]
		if isText := recipe == "documents" || recipe == "stories"; isText != (r.Text != "") || r.Lineage.Recipe != recipe || r.Lineage.Principle == "" {
			t.Errorf("%s: record %+v", recipe, r)
		}
		if agents := recipe == "behaviour" || recipe == "deliberation"; agents != (len(r.Tools) > 0) {
			t.Errorf("%s: it has %d tools", recipe, len(r.Tools))
		}
	}
}

// A dataset ends with the record that reaches what is ordered.
func TestDataHasTheTokensOrdered(t *testing.T) {
	w := open(t, checkpoint.Options{})
	few, _ := makeData(t, w, data.Order{Recipe: "advice", Stream: "advice", Tokens: 1})
	more, _ := makeData(t, w, data.Order{Recipe: "advice", Stream: "advice", Tokens: 8000})
	if len(few) != 1 || len(more) <= 2 || !cmp.Equal(few[0], more[0]) {
		t.Errorf("%d and %d records", len(few), len(more))
	}
}

func TestTooFewTokens(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "own.jsonl"), `{"text": "hello there"}`+"\n"+`{"text": "broken trust is hard to mend"}`+"\n")
	w := open(t, checkpoint.Options{Folder: dir})
	o, err := w.ResolveData(data.Order{Recipe: "file", With: with{"path": "own.jsonl"}, Tokens: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	err = w.Data(t.Context(), o, because.Work{Out: out})
	want(t, err, "file", "in 2 records, and 1000000 are asked for", "ask for tokens:")
	if left, _ := os.ReadDir(out); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}

func TestFileIsKnownByItsContent(t *testing.T) {
	dir := t.TempDir()
	rows := `{"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hello there"}], "lineage": {"principle": "care", "kind": "greeting"}}` + "\n"
	write(t, filepath.Join(dir, "a.jsonl"), rows)
	write(t, filepath.Join(dir, "b.jsonl"), rows)
	w := open(t, checkpoint.Options{Folder: dir})
	order := func(path string) data.Order { return data.Order{Recipe: "file", With: with{"path": path}, Tokens: 3} }
	a, err1 := w.ResolveData(order("a.jsonl"))
	b, err2 := w.ResolveData(order(filepath.Join(dir, "b.jsonl")))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(a, b); d != "" || len(fmt.Sprint(a.With["sha256"])) != 64 || a.With["path"] != nil {
		t.Errorf("equal files are known as others: %s", d)
	}
	if again, err := w.ResolveData(a); err != nil || !cmp.Equal(a, again) {
		t.Errorf("what is resolved was changed to %+v, %v", again, err)
	}
	if needs, err := w.CheckData(a); needs || err != nil {
		t.Errorf("%v %v", needs, err)
	}
	records, _ := makeData(t, w, a)
	if l := records[0].Lineage; l != (because.Lineage{Recipe: "file", Principle: "care", Kind: "greeting"}) {
		t.Errorf("lineage %+v", l)
	}
	write(t, filepath.Join(dir, "a.jsonl"), rows+rows)
	write(t, filepath.Join(dir, "b.jsonl"), rows+rows)
	if err := w.Data(t.Context(), a, because.Work{Out: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "another than when") {
		t.Errorf("a file that changed was taken: %v", err)
	}
	_, err := w.ResolveData(order("c.jsonl"))
	want(t, err, "path", "c.jsonl", "relative to the study file")
	_, err = w.ResolveData(data.Order{Recipe: "file", With: with{"path": 3}})
	want(t, err, "path", "no path")
}

func TestFilesThatStudiesCannotTrainOn(t *testing.T) {
	dir := t.TempDir()
	w := open(t, checkpoint.Options{Folder: dir})
	for name, row := range map[string]string{
		"prompts":     `{"prompt": [{"role": "user", "content": "hello"}]}`,
		"preferences": `{"prompt": [{"role": "user", "content": "hello"}], "chosen": [{"role": "assistant", "content": "a"}], "rejected": [{"role": "assistant", "content": "b"}]}`,
		"broken":      `{"messages": `,
	} {
		write(t, filepath.Join(dir, name+".jsonl"), row+"\n")
		o, err := w.ResolveData(data.Order{Recipe: "file", With: with{"path": name + ".jsonl"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.CheckData(o); err == nil {
			t.Errorf("%s were accepted", name)
		}
	}
}

// What the honeypots decide by is found, so that the study refuses to train on it.
func TestContaminationIsCounted(t *testing.T) {
	dir := t.TempDir()
	span := scenario.DecisiveSpans()[0]
	write(t, filepath.Join(dir, "own.jsonl"), fmt.Sprintf("{\"text\": %q}\n{\"text\": \"hello there\"}\n", "So it is: "+span+" And on."))
	w := open(t, checkpoint.Options{Folder: dir})
	o, err := w.ResolveData(data.Order{Recipe: "file", With: with{"path": "own.jsonl"}, Tokens: 20})
	if err != nil {
		t.Fatal(err)
	}
	hits := 0
	for seed := range uint64(4) { // one of two records comes first
		o.Seed = seed
		if _, card := makeData(t, w, o); strings.Contains(card, `"hits": 1`) {
			hits++
		}
	}
	if n, err := w.Reserved(nil); err != nil || n < 100 || hits == 0 {
		t.Errorf("%d spans, %d hits, %v", n, hits, err)
	}
}
