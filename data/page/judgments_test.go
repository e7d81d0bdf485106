package page

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/because-lab/because/internal/stats"
)

var (
	sumA = strings.Repeat("ab", 32)
	sumB = strings.Repeat("cd", 32)
)

func some(list ...Judgment) Judgments {
	return Judgments{Head{format, version, "0f3c", "Which?", File{"a.jsonl", sumA}, File{"b.jsonl", sumB}, 7, 50}, list}
}

func written(t testing.TB, j Judgments) string {
	t.Helper()
	if j.Judgments == nil {
		j.Judgments = []Judgment{}
	}
	text, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

var few = some(Judgment{1, 3, 4, "principle", "a", "left"}, Judgment{2, 1, 9, "random", "b", "left"}, Judgment{50, 2, 2, "prompt", "b", "right"}, Judgment{4, 5, 6, "id", "a", "equal"})

func TestJudgmentsRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.json")
	if err := os.WriteFile(path, []byte(written(t, few)), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := ReadJudgments(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(few, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if err := got.About(path, sumA, sumB); err != nil {
		t.Error(err)
	}
	for _, other := range [][2]string{{sumB, sumA}, {sumA, sumA}} {
		if got.About(path, other[0], other[1]) == nil {
			t.Error("judgments of other files are taken")
		}
	}
}

func TestTally(t *testing.T) {
	got := few.Tally()
	lo, hi := stats.Wilson(2, 3, 0.95)
	if d := cmp.Diff(Tally{Judged: 4, A: 2, B: 1, Ties: 1, Pairs: 50, Share: 2.0 / 3, Lo: lo, Hi: hi, Decided: 3, LeftChosen: 2}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if none := some().Tally(); none.Decided != 0 || none.Lo != 0 || none.Hi != 1 {
		t.Errorf("nothing judged: %+v", none)
	}
}

// TestTallyIsBlindToSides turns all sides round, which must change nothing but the count of left ones.
func TestTallyIsBlindToSides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		turn := map[string]string{"a": "b", "b": "a", "left": "right", "right": "left", "equal": "equal"}
		var list, turned []Judgment
		for i := range rapid.IntRange(0, 30).Draw(t, "n") {
			j := Judgment{i + 1, 1, 1, "random", rapid.SampledFrom([]string{"a", "b"}).Draw(t, "left"), rapid.SampledFrom([]string{"left", "right", "equal"}).Draw(t, "choice")}
			list = append(list, j)
			j.Left, j.Choice = turn[j.Left], turn[j.Choice]
			turned = append(turned, j)
		}
		x, y := some(list...).Tally(), some(turned...).Tally()
		if x.LeftChosen+y.LeftChosen != x.Decided || x.A+x.B+x.Ties != x.Judged || math.IsNaN(x.Share) {
			t.Fatalf("%+v, %+v", x, y)
		}
		if x.LeftChosen = y.LeftChosen; x != y {
			t.Fatalf("%+v, %+v", x, y)
		}
	})
}

func TestJudgmentsAreStrict(t *testing.T) {
	good := written(t, few)
	for _, c := range []struct{ old, new, want string }{
		{`"pair": 2,`, `"pair": 1,`, "judgments[1]: pair 1 is judged twice"},
		{`"pair": 2,`, `"pair": 51,`, "there is no pair 51 of 50"},
		{`"pair": 2,`, `"pair": 2.5,`, "judgments[1]: pair"},
		{`"pair": 2,`, `"pair": null,`, "pair: it is null"},
		{`"pair": 2,`, `"Pair": 2,`, `unknown key "Pair"`},
		{`"pair": 2,`, ``, `the key "pair" is missing`},
		{`"pair": 2,`, `"pair": 2, "pair": 2,`, `the key "pair" stands twice`},
		{`"choice": "right"`, `"choice": "Right"`, "none of left, right, equal"},
		{`"matched": "id"`, `"matched": "ids"`, "nothing by which records are matched"},
		{`"a": 5,`, `"a": 0,`, "rows count from 1"},
		{`"version": 1,`, `"version": 2,`, "version 2; "},
		{`"because judgments"`, `"judgments"`, "it is of the format"},
		{`"seed": 7,`, `"seed": -7,`, "seed"},
		{`"pairs": 50,`, `"pairs": 0,`, "no number of pairs"},
		{sumB, sumA, "the same file"},
		{sumB, sumB[1:], "no such hash"},
		{sumB, strings.ToUpper(sumB), "no such hash"},
		{`"a.jsonl"`, `""`, "name: it is empty"},
		{`"judgments": [`, `"extra": 1, "judgments": [`, `unknown key "extra"`},
	} {
		if strings.Count(good, c.old) != 1 {
			t.Fatalf("%q stands %d times", c.old, strings.Count(good, c.old))
		}
		_, err := ParseJudgments("j.json", []byte(strings.Replace(good, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "j.json") {
			t.Errorf("%s: got %v, want %q", c.new, err, c.want)
		}
	}
	for _, text := range []string{"", "[]", "null", good + "{}", good[:len(good)/2], "\xff", `{"format":"because judgments"}`} {
		if _, err := ParseJudgments("j.json", []byte(text)); err == nil {
			t.Errorf("%.20q is read", text)
		}
	}
}

func FuzzParseJudgments(f *testing.F) {
	f.Add([]byte(written(f, few)))
	f.Add([]byte(written(f, some())))
	f.Add([]byte(`{"format":"because judgments","version":1,"judgments":[{"pair":1}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		j, err := ParseJudgments("f", text)
		if err != nil {
			return
		}
		n := j.Tally()
		if n.A+n.B+n.Ties != len(j.Judgments) || n.Judged > n.Pairs || n.Lo < 0 || n.Hi > 1 || n.Share < n.Lo && n.Decided > 0 {
			t.Fatalf("%+v", n)
		}
		again, err := ParseJudgments("f", []byte(written(t, j)))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(j, again); d != "" {
			t.Fatal(d)
		}
	})
}

// FuzzSeal gives any text back.
func FuzzSeal(f *testing.F) {
	f.Add("a", uint32(1))
	f.Fuzz(func(t *testing.T, name string, key uint32) {
		head := Head{Question: fmt.Sprintf("%q", name)}
		text, err := json.Marshal(secret{Head: head})
		if err != nil {
			t.Fatal(err)
		}
		if got := unseal(t, comparing{Key: key | 1, Sealed: seal(text, key|1)}); got.Head.Question != head.Question {
			t.Fatalf("%q, want %q", got.Head.Question, head.Question)
		}
	})
}
