package pipe

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestExplain(t *testing.T) {
	out := into(t)
	recipe := testRecipe(t, 3, testPrompts)
	recipe.Stages[5] = Filter{Name: "short", Keep: func(it Item) string {
		if it.ID() == "p1/02" {
			return "too short"
		}
		return ""
	}}
	recipe.Stages[1] = Map{Name: "inject", Do: func(it Item) ([]Item, error) {
		return []Item{it.With("injection", injection, "who", "a neighbour "+strings.Repeat("of ours ", 100))}, nil
	}}
	if _, err := Run(t.Context(), recipe, Options{Out: out, Seed: 5, Models: models(good())}); err != nil {
		t.Fatal(err)
	}
	s, err := Explain(out, "p2/03")
	if err != nil {
		t.Fatal(err)
	}
	var stages []string
	for _, step := range s.Steps {
		stages = append(stages, step.Stage)
	}
	if got := strings.Join(stages, " "); got != " ideas inject pair sample strip rewrite" || s.Row != 8 || s.Principle != "principle 2" || s.Constitution != "astra@1" || s.Seed != 5 {
		t.Errorf("%q, %+v", got, s)
	}
	if byRow, err := Explain(out, "8"); err != nil || byRow.ID != "p2/03" {
		t.Errorf("row 8: %s, %v", byRow.ID, err)
	}
	pair := s.Steps[3]
	if pair.Prompt != "pair" || !strings.HasPrefix(pair.Request[0].Content, "Write plainly, as a neighbour of ours") || !strings.Contains(pair.Request[1].Content, s.Steps[1].Texts[0].After) {
		t.Errorf("the prompt is told as %+v", pair.Request)
	}
	var text bytes.Buffer
	if err := s.Write(&text, Style{Prompts: true}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"principle: principle 2", "4. pair  (p2/03)", "injection: taken away", "{+better+} ", "system >", "prompt rewrite@"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the story lacks %q:\n%s", want, &text)
		}
	}
	if n := strings.Count(contents(t, out)[LineageSuffix], "of ours of ours"); n != strings.Count("of ours of ours"+strings.Repeat(" of ours of ours", 49), "of ours of ours") {
		t.Errorf("a long text that all items share is there %d times", n)
	}
	dropped, err := Explain(out, "p1/02")
	if err != nil || dropped.Dropped != "too short" || dropped.DroppedIn != "short" || len(dropped.Steps) != 6 {
		t.Errorf("%+v, %v", dropped, err)
	}
	if _, err := Explain(out, "p1/09"); err == nil {
		t.Error("a record that is not there has a story")
	}
	if _, err := Explain(out+"x", "p1/01"); err == nil {
		t.Error("a file that is not there has a story")
	}
	if err := os.WriteFile(out+LineageSuffix, []byte(`{"line":"record","item":"a","from":"gone"}`+"\n{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Explain(out, "a"); err == nil || !strings.Contains(err.Error(), LineageSuffix+":2") {
		t.Errorf("a damaged file: %v", err)
	}
}

// TestDiff draws pairs of texts: both can be read from their difference, and it is no longer than it need be.
func TestDiff(t *testing.T) {
	words := rapid.SliceOfN(rapid.SampledFrom([]string{"a ", "b ", "c\n", "d", " e", ""}), 0, 40)
	rapid.Check(t, func(t *rapid.T) {
		a, b := strings.Join(words.Draw(t, "a"), ""), strings.Join(words.Draw(t, "b"), "")
		var was, is strings.Builder
		edits := 0
		for _, c := range Diff(a, b) {
			if c.Op != '+' {
				was.WriteString(c.Text)
			}
			if c.Op != '-' {
				is.WriteString(c.Text)
			}
			if c.Op != ' ' {
				edits += len(tokens(c.Text))
			}
		}
		if was.String() != a || is.String() != b {
			t.Fatalf("%q and %q became %q and %q", a, b, was.String(), is.String())
		}
		if least := distance(tokens(a), tokens(b)); edits > least {
			t.Fatalf("%q and %q: %d edits, %d are enough", a, b, edits, least)
		}
	})
}

// distance is the least number of words to take out and put in.
func distance(a, b []string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			above := row[j+1]
			row[j+1] = 1 + min(above, row[j])
			if a[i] == b[j] {
				row[j+1] = diagonal
			}
			diagonal = above
		}
	}
	return row[len(b)]
}

func TestDiffOfLongTexts(t *testing.T) {
	a, b := filler("a", 4000), filler("b", 4000)
	if d := Diff(a, b); len(d) < 2 {
		t.Errorf("%d changes", len(d))
	}
}

func FuzzExplain(f *testing.F) {
	f.Add([]byte(`{"line":"run","recipe":"r"}` + "\n" + `{"line":"step","hash":"h","item":"a","set":{"x":{"t":"y"}}}` + "\n" + `{"line":"record","item":"a","from":"h"}`))
	f.Add([]byte(`{"line":"step","hash":"h","from":"h"}{"line":"record","item":"a","from":"h"}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		path := dir + "/a"
		if err := os.WriteFile(path+LineageSuffix, text, 0o666); err != nil {
			t.Fatal(err)
		}
		s, err := Explain(path, "a")
		if err == nil && s.ID != "a" {
			t.Errorf("the story of %q", s.ID)
		}
	})
}
