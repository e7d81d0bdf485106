package quality

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
)

func rowsOf(rows ...columns.Row) iter.Seq2[columns.Row, error] {
	return func(yield func(columns.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func chat(system, user, assistant string) columns.Row {
	return columns.Row{Messages: []because.Message{{Role: because.RoleSystem, Content: system}, {Role: because.RoleUser, Content: user}, {Role: because.RoleAssistant, Content: assistant}}}
}

func text(draw *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "w%d ", draw.IntN(3000))
	}
	return b.String()
}

// TestNearAgainstExact compares with the similarity of all pairs.
func TestNearAgainstExact(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	var texts []string
	for i := range 300 {
		if i > 0 && draw.IntN(2) == 0 { // a copy with some words changed
			ws := strings.Fields(texts[draw.IntN(len(texts))])
			for range draw.IntN(1 + len(ws)/4) {
				ws[draw.IntN(len(ws))] = "changed"
			}
			texts = append(texts, strings.Join(ws, " "))
			continue
		}
		texts = append(texts, text(draw, 5+draw.IntN(150)))
	}
	near := NewNear(0.5)
	found, missed := 0, 0
	for i, s := range texts {
		best := 0.0
		for _, earlier := range texts[:i] {
			best = max(best, Jaccard(s, earlier))
		}
		at, j, ok := near.Add(s)
		switch {
		case ok && Jaccard(s, texts[at]) != j, ok && j <= 0.5:
			t.Fatalf("text %d: found %d with %v, which is %v", i, at, j, Jaccard(s, texts[at]))
		case ok:
			found++
		case best > 0.5:
			missed++
		}
	}
	if found < 40 || missed > found/100 {
		t.Errorf("%d found, %d missed", found, missed)
	}
}

func TestJaccard(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want float64
	}{
		{"a b c d e f", "A, b c d e: f!", 1},
		{"a b c d e f", "b c d e f", 0.5},
		{"a b c d e", "v w x y z", 0},
		{"a b", "a b", 1},
		{"", "", 0},
	} {
		if got := Jaccard(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestMeasure(t *testing.T) {
	long := "The boiler in block C will fail this winter, and nobody at the bank has asked yet whether Marcus knows."
	lineage := json.RawMessage(`{"kind":"letter","principle":"honesty"}`)
	rows := []columns.Row{
		chat("You are a helpful clerk.", "Hi, my name is Sarah and i work nights", "I understand how hard this is. It's important to ask Grigol first."),
		chat("Notes for the desk.", "boiler dying. tell bank?", long),
		chat("Notes for the desk.", "boiler dying. tell bank?", long),
		chat("Be brief.", "thanks to the form i am late, what now", "Ring the office, and ask for Grigol — not the desk."),
	}
	rows[1].Extra = map[string]json.RawMessage{"lineage": lineage}
	quoted, _ := json.Marshal(string(lineage))
	rows[2].Extra = map[string]json.RawMessage{"lineage": quoted}
	c, err := MeasureRows(rowsOf(rows...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Records != 4 || c.Kinds["letter"] != 2 || c.Principles["honesty"] != 2 {
		t.Errorf("%+v", c)
	}
	if c.Near.Records != 1 || !cmp.Equal(c.Near.Pairs, []NearPair{{3, 2, 1}}) {
		t.Errorf("near: %+v", c.Near)
	}
	broken := map[string]int{}
	for _, h := range c.Style {
		broken[h.Rule] = h.N
	}
	for rule, n := range map[string]int{"you-are": 1, "greeting": 1, "introduction": 1, "thanks": 0, "opens-with-praise": 1, "important-to": 1, "dashes": 0} {
		if broken[rule] != n {
			t.Errorf("%s: %d, want %d", rule, broken[rule], n)
		}
	}
	want := []Name{{"Marcus", 2, true}, {"Sarah", 1, true}, {"Grigol", 2, false}}
	if d := cmp.Diff(want, c.Names); d != "" {
		t.Errorf("names (-want +got):\n%s", d)
	}
	for _, o := range c.Openings {
		if o.Of == "answer" && o.Words == 8 && (o.N != 4 || o.Kinds != 3 || len(o.Most) != 1 || o.Most[0].N != 2) {
			t.Errorf("openings: %+v", o)
		}
	}
	for _, l := range c.Lengths {
		if l.Of == "assistant" && (l.N != 4 || l.Least != 10 || l.Most != 20) {
			t.Errorf("lengths: %+v", l)
		}
	}
	var out bytes.Buffer
	if err := c.Print(&out); err != nil || !strings.Contains(out.String(), "rows 2 and 3: 1.00") {
		t.Errorf("%v\n%s", err, &out)
	}
}

// TestVarietyFalls checks the direction of the measures of variety: repeated text has less.
func TestVarietyFalls(t *testing.T) {
	draw := rand.New(rand.NewPCG(3, 4))
	var varied, same []columns.Row
	for range 200 {
		varied = append(varied, columns.Row{Text: text(draw, 100)})
		same = append(same, columns.Row{Text: varied[len(same)%5].Text})
	}
	a, err := MeasureRows(rowsOf(varied...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := MeasureRows(rowsOf(same...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if a.Variety.Distinct3 < 0.9 || b.Variety.Distinct3 > 0.1 || b.Variety.Compression < 2*a.Variety.Compression || b.Near.Records != 195 || a.Near.Records != 0 {
		t.Errorf("varied %+v, repeated %+v, near %d and %d", a.Variety, b.Variety, a.Near.Records, b.Near.Records)
	}
}

// TestSampleIsTheSame draws orders: what is sampled does not depend on them.
func TestSampleIsTheSame(t *testing.T) {
	draw := rand.New(rand.NewPCG(5, 6))
	var texts []string
	for range 2500 {
		texts = append(texts, text(draw, 30+draw.IntN(60)))
	}
	measure := func() Variety {
		var s sample
		for _, x := range texts {
			s.add(x)
		}
		return s.variety()
	}
	want := measure()
	if want.SampleWords < sampleWords || want.SampleWords > sampleWords+100 {
		t.Errorf("%d words", want.SampleWords)
	}
	draw.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
	if got := measure(); got != want {
		t.Errorf("%+v, then %+v", want, got)
	}
}

func TestBroken(t *testing.T) {
	for _, c := range []struct {
		role because.Role
		text string
		want []string
	}{
		{because.RoleSystem, "You’re the desk's assistant.", []string{"you-are"}},
		{because.RoleSystem, "The desk's assistant. You are brief.", nil},
		{because.RoleUser, "Hello there. I'm a nurse at a ward and need help. Thanks!", []string{"greeting", "introduction", "thanks"}},
		{because.RoleUser, "i am a bit stuck on the form", nil},
		{because.RoleUser, "I am a night porter, second year.", []string{"introduction"}},
		{because.RoleAssistant, "This isn't only about money but about trust. Let me know if you want a draft.", []string{"offers-help"}},
		{because.RoleAssistant, "It's not the box, it's the habit.", []string{"not-just-but"}},
		{because.RoleAssistant, "Tick yes. The form is for people who can't see your ward.", nil},
		{because.RoleAssistant, "We delve — slowly — into it — again. Ultimately, that said, the real question is open.", []string{"ultimately", "that-said", "real-question", "worn-words", "dashes"}},
	} {
		var got []string
		for _, r := range Broken(c.role, c.text) {
			got = append(got, r.ID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, want %v", c.text, got, c.want)
		}
	}
}

// TestHintsAreNeeded checks that no pattern matches a text without one of its rule's hints, on texts made of the patterns' own words.
func TestHintsAreNeeded(t *testing.T) {
	words := strings.Fields("it's it is not just only but also important worth crucial to noting remembering ultimately at the end of day in conclusion summary " +
		"that being said, real deeper question merely simply testament tapestry delve navigating nuanced this , ; . — as an ai")
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 12).Draw(t, "words"), " ")
		for _, r := range Rules {
			without := r
			without.Hints = nil
			if without.broken(s) != r.broken(s) {
				t.Fatalf("%s: the hints hide %q", r.ID, s)
			}
		}
	})
}

func TestContamination(t *testing.T) {
	reserved := "the executive who plans the replacement on friday has an affair that nobody else at the firm knows of yet"
	x, err := NewIndex(Reserved{Name: "honeypot", Texts: []string{reserved}, Spans: []string{"nobody may open the valve tonight"}})
	if err != nil {
		t.Fatal(err)
	}
	ws := strings.Fields(reserved)
	rows := []columns.Row{
		{Text: "They said: " + strings.Join(ws[2:10], " ") + ", and no more."},
		{Text: "They said: " + strings.ToUpper(strings.Join(ws[2:15], " ")) + "."},
		{Text: "They said: " + strings.Join(ws[2:9], " ") + ", and no more."},
		chat("s", "Nobody may open the valve, tonight.", "ok"),
		chat("s", "Nobody may open the valve.", "ok"),
	}
	c, err := Contaminated(rowsOf(rows...), x)
	if err != nil {
		t.Fatal(err)
	}
	want := []Hit{
		{1, "text", Hit8, "honeypot", strings.Join(ws[2:10], " ")},
		{2, "text", Hit13, "honeypot", strings.ToUpper(strings.Join(ws[2:15], " "))},
		{4, "messages[1]", HitSpan, "honeypot", "Nobody may open the valve, tonight"},
	}
	if d := cmp.Diff(want, c.Hits); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if c.Checked != 5 || c.Records[Hit8] != 1 || c.Records[Hit13] != 1 || c.Records[HitSpan] != 1 {
		t.Errorf("%+v", c)
	}
	var out bytes.Buffer
	if err := c.Write(&out); err != nil || !strings.Contains(out.String(), "row 4, messages[1]: span") {
		t.Errorf("%v\n%s", err, &out)
	}
	if _, err := NewIndex(Reserved{Name: "x", Spans: []string{"too short"}}); err == nil {
		t.Error("a span of two words is accepted")
	}
}

func TestMeasureRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	if err := os.WriteFile(path, []byte(`{"text":"a"}`+"\n"+`{"text":1}`+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Measure(path, Options{}); err == nil || !strings.Contains(err.Error(), path+":2: text") {
		t.Error(err)
	}
	if _, err := MeasureRows(rowsOf(), Options{}); err == nil {
		t.Error("no rows are measured")
	}
}
