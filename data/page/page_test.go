package page

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
)

// nasty are texts that would do harm where a page took them for markup, script, or a marker of its own.
var nasty = []string{
	`</script><script>document.title='hacked'</script>`, `<img src=x onerror="document.title='hacked'">`, `<!--<script>`, `-->`, `]]>`, `</textarea></title>`,
	`{{script}}`, `{{data}}`, "\u2028\u2029", `\u003c/script>`, `' onmouseover='alert(1)`, "&lt;b&gt; &amp;", `javascript:alert(1)`, "\u202eturned round", "\\", `"`, "",
}

func row(id, principle, prompt, answer string) columns.Row {
	lineage, err := json.Marshal(map[string]any{"recipe": "advice", "principle": principle, "kind": "k", "stages": []any{map[string]string{"stage": "one"}, map[string]string{"stage": "two"}}})
	if err != nil {
		panic(err)
	}
	name, err := json.Marshal(id)
	if err != nil {
		panic(err)
	}
	return columns.Row{Messages: []because.Message{{Role: because.RoleUser, Content: prompt}, {Role: because.RoleAssistant, Content: answer}},
		Extra: map[string]json.RawMessage{"id": name, "lineage": lineage}}
}

func corpus(path string, rows ...columns.Row) Corpus {
	return Corpus{Path: path, Sum: strings.Repeat(fmt.Sprintf("%02x", path[0]), 32), Rows: rows}
}

func readPage(t testing.TB, c Corpus, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := Read(&b, c, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func blindPage(t testing.TB, a, b Corpus, o Options) (string, Matching) {
	t.Helper()
	var out bytes.Buffer
	m, err := Blind(&out, a, b, o)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), m
}

var dataElement = regexp.MustCompile(`(?s)<script type="application/json" id="data">(.*?)</script>`)

// dataOf reads a page's data as a browser would: up to the first end of a script.
func dataOf(t testing.TB, page string, into any) {
	t.Helper()
	m := dataElement.FindStringSubmatch(page)
	if m == nil {
		t.Fatal("the page has no data")
	}
	if err := json.Unmarshal([]byte(m[1]), into); err != nil {
		t.Fatal(err)
	}
}

// TestHostileRecordsStayData puts harmful texts everywhere in a record. What they hold must come back from the data as it is, and nothing of them may
// stand anywhere else in the page.
func TestHostileRecordsStayData(t *testing.T) {
	plain := strings.Count(readPage(t, corpus("p.jsonl", row("i", "p", "q", "a")), Options{}), "<script")
	for _, bad := range nasty {
		raw, err := json.Marshal(map[string]string{bad + "k": bad})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(bad)
		if err != nil {
			t.Fatal(err)
		}
		r := columns.Row{
			Messages: []because.Message{{Role: because.RoleUser, Content: bad + "q", Name: bad}, {Role: because.RoleAssistant, Content: bad, Reasoning: bad,
				ToolCalls: []because.ToolCall{{Name: "n" + bad, Arguments: raw}}}},
			Tools: []because.Tool{{Name: "t" + bad, Description: bad, Parameters: raw}},
			Extra: map[string]json.RawMessage{"id": text, "lineage": raw, "x" + bad: text},
		}
		page := readPage(t, corpus("p"+strings.ReplaceAll(bad, "/", "")+".jsonl", r), Options{})
		var got reading
		dataOf(t, page, &got)
		if d := cmp.Diff(whole(1, r), got.Records[0]); d != "" {
			t.Errorf("%q (-want +got):\n%s", bad, d)
		}
		if n := strings.Count(page, "<script"); n != plain {
			t.Errorf("%q: the page has %d scripts, want %d", bad, n, plain)
		}
		rest := dataElement.ReplaceAllString(page, "")
		if strings.ContainsAny(bad, "<>") && strings.Contains(rest, bad) {
			t.Errorf("%q stands outside the data", bad)
		}
		blind, _ := blindPage(t, corpus("a"+bad, r, row("1", "2", "3", "4")), corpus("b"+bad, r), Options{Question: bad + "?"})
		if n := strings.Count(blind, "<script"); n != plain {
			t.Errorf("%q: the blind page has %d scripts, want %d", bad, n, plain)
		}
	}
}

// TestPolicy checks that a page loads nothing, and that its own script and style are the ones that it allows.
func TestPolicy(t *testing.T) {
	a := corpus("a.jsonl", row("1", "p", "q", "a"))
	blind, _ := blindPage(t, a, corpus("b.jsonl", row("1", "p", "q", "b")), Options{})
	for name, page := range map[string]string{"read": readPage(t, a, Options{}), "blind": blind} {
		for _, element := range []string{"script", "style"} {
			m := regexp.MustCompile(`(?s)<` + element + `>(.*?)</` + element + `>`).FindStringSubmatch(page)
			if m == nil || !strings.Contains(page, element+"-src '"+policyHash(m[1])+"'") {
				t.Errorf("%s: the policy does not allow the page's own %s", name, element)
			}
		}
		if strings.Contains(page, "{{") {
			t.Errorf("%s: a marker is left", name)
		}
		for _, loads := range []string{"http://", "https://", "//cdn", "import(", "fetch(", "XMLHttp", "innerHTML", "insertAdjacent", "document.write", "eval(", " src=", "url("} {
			if strings.Contains(page, loads) {
				t.Errorf("%s: it has %q", name, loads)
			}
		}
	}
}

// unseal does what the page's script does.
func unseal(t testing.TB, c comparing) secret {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(c.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	key := c.Key
	for i := range text {
		key = next(key)
		text[i] ^= byte(key >> 11)
	}
	var s secret
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// sides makes two files of n records; every answer says whose it is, so that a test can tell.
func sides(n int) (a, b Corpus) {
	a, b = corpus("first-name.jsonl"), corpus("second-name.jsonl")
	for i := range n {
		principle := fmt.Sprintf("p%d", i%7)
		a.Rows = append(a.Rows, row(fmt.Sprintf("a%d", i), principle, fmt.Sprintf("ask a%d", i), fmt.Sprintf("answer a%d", i)))
		b.Rows = append(b.Rows, row(fmt.Sprintf("b%d", i), principle, fmt.Sprintf("ask b%d", i), fmt.Sprintf("answer b%d", i)))
	}
	return a, b
}

func answerOf(r record) string {
	m := r.Parts[len(r.Parts)-1].Messages
	return m[len(m)-1].Text
}

func TestBlind(t *testing.T) {
	a, b := sides(120)
	page, m := blindPage(t, a, b, Options{Number: 100, Seed: 3})
	for _, name := range []string{"first-name", "second-name", a.Sum, b.Sum, `"lineage"`, `"row"`} {
		if strings.Contains(page, name) {
			t.Errorf("the page shows %q", name)
		}
	}
	var data comparing
	dataOf(t, page, &data)
	s := unseal(t, data)
	if len(data.Pairs) != 100 || len(s.Pairs) != 100 || s.Head.Pairs != 100 || m["principle"] != 100 || s.Head.A != (File{"first-name.jsonl", a.Sum}) {
		t.Fatalf("%d pairs shown, %d hidden, %v, %+v", len(data.Pairs), len(s.Pairs), m, s.Head)
	}
	left, usedA, usedB := 0, map[int]bool{}, map[int]bool{}
	for i, c := range data.Pairs {
		h := s.Pairs[i]
		wantA, wantB := fmt.Sprintf("answer a%d", h.A-1), fmt.Sprintf("answer b%d", h.B-1)
		if h.Left == "b" {
			wantA, wantB = wantB, wantA
		} else {
			left++
		}
		if answerOf(c.Left) != wantA || answerOf(c.Right) != wantB {
			t.Fatalf("pair %d shows %q and %q, want %q and %q", i+1, answerOf(c.Left), answerOf(c.Right), wantA, wantB)
		}
		if usedA[h.A] || usedB[h.B] {
			t.Errorf("pair %d uses a record again", i+1)
		}
		usedA[h.A], usedB[h.B] = true, true
		if p := textOf(lineageOf(a.Rows[h.A-1])["principle"]); c.By != "principle" || c.Value != p || p != textOf(lineageOf(b.Rows[h.B-1])["principle"]) {
			t.Errorf("pair %d: %s %q", i+1, c.By, c.Value)
		}
		if c.Left.ID != "" || c.Left.Lineage != "" || c.Left.Row != 0 || c.Left.Extra != nil || c.Right.ID != "" {
			t.Errorf("pair %d tells where a record comes from: %+v", i+1, c.Left)
		}
	}
	if left < 30 || left > 70 { // 4 standard deviations
		t.Errorf("the first file stands left in %d of 100", left)
	}
	if again, _ := blindPage(t, a, b, Options{Number: 100, Seed: 3}); again != page {
		t.Error("equal files and seed give another page")
	}
	other, _ := blindPage(t, a, b, Options{Number: 100, Seed: 4})
	turned, _ := blindPage(t, b, a, Options{Number: 100, Seed: 3})
	if other == page || turned == page {
		t.Error("seed or order of the files makes no difference")
	}
}

// TestSidesDifferBetweenPages makes sure that who has seen one page can't tell the sides of the next.
func TestSidesDifferBetweenPages(t *testing.T) {
	pattern := func(a, b Corpus) (out string) {
		page, _ := blindPage(t, a, b, Options{Seed: 1})
		var data comparing
		dataOf(t, page, &data)
		for _, p := range unseal(t, data).Pairs {
			out += p.Left
		}
		return out
	}
	a, b := sides(60)
	c := b
	c.Sum = strings.Repeat("cd", 32)
	if pattern(a, b) == pattern(a, c) {
		t.Error("other files have the same sides")
	}
}

func TestMatching(t *testing.T) {
	a := []columns.Row{row("1", "p", "same", "x"), row("2", "p", "q2", "x"), row("3", "q", "q3", "x"), row("4", "r", "q4", "x"), row("5", "z", "q5", "x")}
	b := []columns.Row{row("9", "w", "other", "y"), row("8", "w", "same", "y"), row("2", "w", "q9", "y"), row("7", "q", "q8", "y")}
	b[0].Extra["lineage"] = json.RawMessage(`{"kind":"else"}`)
	got := map[string]int{}
	list := pairs(a, b, 0, rand.New(rand.NewPCG(1, 1)))
	for _, p := range list {
		got[fmt.Sprintf("%s:%d-%d", p.by, p.a, p.b)]++
	}
	if len(list) != 4 || got["prompt:0-1"] != 1 || got["id:1-2"] != 1 || got["principle:2-3"] != 1 {
		t.Errorf("%v", got)
	}
	for _, p := range pairs(a, b, 3, rand.New(rand.NewPCG(5, 1))) {
		if p.by == "" {
			t.Error("a pair at random stands where matched ones are left")
		}
	}
}

// TestPairsUseEachRecordOnce holds for any files.
func TestPairsUseEachRecordOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (rows []columns.Row) {
			for range rapid.IntRange(0, 12).Draw(t, name) {
				few := rapid.SampledFrom([]string{"", "1", "2", "3"})
				rows = append(rows, row(few.Draw(t, "id"), few.Draw(t, "principle"), "q"+few.Draw(t, "prompt"), "a"))
			}
			return rows
		}
		a, b := draw("a"), draw("b")
		n := rapid.IntRange(0, 10).Draw(t, "n")
		list := pairs(a, b, n, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
		want := min(len(a), len(b))
		if n > 0 {
			want = min(want, n)
		}
		usedA, usedB := map[int]bool{}, map[int]bool{}
		for _, p := range list {
			usedA[p.a], usedB[p.b] = true, true
		}
		if len(list) != want || len(usedA) != want || len(usedB) != want {
			t.Fatalf("%d pairs of %d and %d records, want %d", len(list), len(usedA), len(usedB), want)
		}
	})
}

// TestLift takes out what both begin with, and leaves each side something.
func TestLift(t *testing.T) {
	same := row("1", "p", "ask", "answer")
	two := func(a, b columns.Row) choice {
		c, _ := lay(a, b, pair{}, true)
		return c
	}
	c := two(same, row("1", "p", "ask", "other"))
	if len(c.Both) != 1 || c.Both[0].Parts[0].Messages[0].Text != "ask" || len(c.Left.Parts[0].Messages) != 1 || len(c.Right.Parts[0].Messages) != 1 {
		t.Errorf("%+v", c)
	}
	if c = two(same, same); len(c.Left.Parts[0].Messages) != 1 || len(c.Right.Parts[0].Messages) != 1 {
		t.Errorf("equal records leave nothing: %+v", c)
	}
	if c = two(same, row("1", "p", "else", "answer")); c.Both != nil {
		t.Errorf("different prompts: %+v", c)
	}
	said := func(s string) []because.Message { return []because.Message{{Role: because.RoleAssistant, Content: s}} }
	dpo := func(chosen string) columns.Row {
		return columns.Row{Prompt: []because.Message{{Role: because.RoleUser, Content: "ask"}}, Chosen: said(chosen), Rejected: said("no")}
	}
	if c = two(dpo("x"), dpo("y")); len(c.Both) != 1 || len(c.Left.Parts) != 2 || c.Left.Parts[0].Name != "chosen" {
		t.Errorf("preferences: %+v", c)
	}
	if c = two(columns.Row{Text: "x"}, columns.Row{Text: "y"}); c.Both != nil || c.Left.Parts[0].Text != "x" {
		t.Errorf("documents: %+v", c)
	}
	prompt := columns.Row{Prompt: []because.Message{{Role: because.RoleUser, Content: "ask"}}}
	if c = two(prompt, prompt); len(c.Left.Parts) != 1 || len(c.Left.Parts[0].Messages) != 1 {
		t.Errorf("prompts: %+v", c)
	}
}

func TestBlindRefuses(t *testing.T) {
	a, b := sides(2)
	same := b
	same.Sum = a.Sum
	other := corpus("texts.jsonl", columns.Row{Text: "a document"})
	for want, two := range map[string][2]Corpus{"the same bytes": {a, same}, "of other kinds (sft and sdf)": {a, other}} {
		if _, err := Blind(&bytes.Buffer{}, two[0], two[1], Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestReading(t *testing.T) {
	a, _ := sides(40)
	var all, some reading
	dataOf(t, readPage(t, a, Options{}), &all)
	dataOf(t, readPage(t, a, Options{Number: 10, Seed: 2}), &some)
	if len(all.Records) != 40 || all.About != "40 records" || len(some.Records) != 10 || some.About != "10 of 40 records, drawn by seed 2" {
		t.Errorf("%d %q, %d %q", len(all.Records), all.About, len(some.Records), some.About)
	}
	r := all.Records[7]
	if r.Row != 8 || r.ID != "a7" || r.Label != "p0 · k" || r.Lineage != "recipe: advice · principle: p0 · kind: k · stages: one → two" {
		t.Errorf("%+v", r)
	}
	parquet := a.Rows[0]
	text, err := json.Marshal(string(parquet.Extra["lineage"]))
	if err != nil {
		t.Fatal(err)
	}
	parquet.Extra = map[string]json.RawMessage{"lineage": text}
	if got := whole(1, parquet).Lineage; !strings.HasPrefix(got, "recipe: advice") {
		t.Errorf("lineage as a string: %q", got)
	}
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	if err := os.WriteFile(path, []byte(`{"text":"t"}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := Open(path)
	if err != nil || len(c.Rows) != 1 || len(c.Sum) != 64 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := Open(path + "x"); err == nil {
		t.Error("a missing file is read")
	}
}
