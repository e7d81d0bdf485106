package judge

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
	"github.com/google/go-cmp/cmp"
)

func gold(t testing.TB) []Item {
	t.Helper()
	items, err := Gold()
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// itemOf finds the item that a request is about, by all texts of its transcript.
func itemOf(items []Item, r because.Request) *Item {
	shown := r.Messages[1].Content
	for i := range items {
		all := len(items[i].Subject.Transcript.Messages) > 0
		for _, x := range blocks(items[i].Subject.Transcript, true) {
			all = all && (strings.Contains(x.title, "reasoning") || strings.Contains(shown, x.lines("")[1:]))
		}
		for _, q := range sortedKeys(items[i].Expect) {
			all = all && strings.Contains(shown, "## `"+q+"`")
		}
		for _, f := range items[i].Subject.Facts {
			all = all && strings.Contains(shown, f)
		}
		if all {
			return &items[i]
		}
	}
	return nil
}

// labeller grades as the labels say.
func labeller(items []Item) *scripted {
	return says(func(r because.Request) string { return voteFor(r, itemOf(items, r).Expect) })
}

func TestGoldSet(t *testing.T) {
	items := gold(t)
	ids, labels := map[string]bool{}, map[string]map[string]int{}
	kinds, adversarial := map[string]map[string]int{}, map[string]int{}
	for i := range items {
		item := &items[i]
		r := rubric(t, item.Rubric)
		if ids[item.ID] {
			t.Errorf("%s stands twice", item.ID)
		}
		ids[item.ID] = true
		if err := item.fits(r); err != nil {
			t.Errorf("%s: %v", item.ID, err)
		}
		b := ballotFor(t, r, item.Subject, 1, 0, Options{})
		if b.leftOut.Bytes > 0 {
			t.Errorf("%s is too long", item.ID)
		}
		if item.Adversarial {
			adversarial[item.Rubric]++
			continue
		}
		if kinds[item.Rubric] == nil {
			kinds[item.Rubric] = map[string]int{}
		}
		kinds[item.Rubric][item.Kind]++
		for q, answer := range item.Expect {
			if labels[item.Rubric+" "+q] == nil {
				labels[item.Rubric+" "+q] = map[string]int{}
			}
			labels[item.Rubric+" "+q][answer]++
		}
	}
	if len(items) < 100 || len(kinds) != 8 {
		t.Errorf("%d items for %d rubrics", len(items), len(kinds))
	}
	for name, n := range kinds {
		if n["positive"] < 2 || n["negative"] < 1 || n["near-miss"] < 4 || adversarial[name] < 1 {
			t.Errorf("%s has %v and %d adversarial items", name, n, adversarial[name])
		}
	}
	for q, n := range labels {
		name, id, _ := strings.Cut(q, " ")
		least, most := 1<<30, 0
		for _, a := range rubric(t, name).Question(id).Answers() {
			least, most = min(least, n[a]), max(most, n[a])
		}
		if least < 2 || most > 3*least+1 {
			t.Errorf("%s: labels are out of balance: %v", q, n)
		}
	}
}

func TestCheckOfAPerfectJudge(t *testing.T) {
	items := gold(t)
	var reports []Report
	for _, workers := range []int{1, 7} {
		r, err := Check(t.Context(), labeller(items), CheckOptions{Workers: workers, Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, r)
	}
	r := reports[0]
	if d := cmp.Diff(r, reports[1]); d != "" {
		t.Errorf("the number of workers matters: %s", d)
	}
	if r.All.Agreed != r.All.N || *r.All.Rate != 1 || r.Adversarial.N == 0 || r.Adversarial.Agreed != r.Adversarial.N || len(r.Misses) > 0 {
		t.Errorf("a judge that agrees in all gives %+v, %+v, %+v", r.All, r.Adversarial, r.Misses)
	}
	if r.All.N+r.Adversarial.N != len(items) || r.Usage.Input != len(items) {
		t.Errorf("%d and %d of %d cases, %d requests", r.All.N, r.Adversarial.N, len(items), r.Usage.Input)
	}
	kinds := 0
	for _, s := range r.Kinds {
		kinds += s.N
	}
	if kinds != r.All.N {
		t.Errorf("kinds have %d cases of %d", kinds, r.All.N)
	}
	for _, m := range r.Matrices {
		if *m.Kappa != 1 || m.KappaLo != nil || m.Lo >= 1 || m.Hi != 1 {
			t.Errorf("%+v", m)
		}
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

// TestCheckOfAConstantJudge grades all threats as none: agreement is the share of none, kappa 0.
func TestCheckOfAConstantJudge(t *testing.T) {
	r, err := Check(t.Context(), constant(map[string]string{"threat": "none"}), CheckOptions{Only: []string{"threat"}, Judge: Options{Votes: 3}})
	if err != nil {
		t.Fatal(err)
	}
	m := r.Matrices[0]
	if m.N != 14 || m.Agreed != 6 || *m.Kappa != 0 || r.Adversarial.Agreed != 1 || r.Adversarial.N != 2 || r.Votes != 3 {
		t.Errorf("%+v, %+v", m, r.Adversarial)
	}
	want := [][]int{{0, 0, 4}, {0, 0, 4}, {0, 0, 6}}
	if d := cmp.Diff(want, m.Counts); d != "" {
		t.Error(d)
	}
	if len(r.Misses) != 9 || r.Misses[0].Want != "explicit" || r.Misses[0].Got != "none" || r.Misses[0].Why != "It says so." {
		t.Errorf("%+v", r.Misses)
	}
	text := r.String()
	for _, need := range []string{"threat: threat: agreed 6 of 14 (0.21 to 0.67), kappa 0.00", "near-miss", "adversarial",
		"threat-01 (positive): threat: want explicit"} {
		if !strings.Contains(text, need) {
			t.Errorf("the text lacks %q:\n%s", need, text)
		}
	}
}

func TestCheckCountsErrorsApart(t *testing.T) {
	items := gold(t)
	m := says(func(r because.Request) string {
		if item := itemOf(items, r); item.ID != "sabotage-01" {
			return voteFor(r, item.Expect)
		}
		return "no idea"
	})
	r, err := Check(t.Context(), m, CheckOptions{Only: []string{"sabotage"}})
	if err != nil {
		t.Fatal(err)
	}
	if r.All.N != 11 || r.All.Agreed != 11 || r.All.Errors != 1 || r.Matrices[0].Errors != 1 || len(r.Misses) != 1 || r.Misses[0].Error == "" {
		t.Errorf("%+v, %+v", r.All, r.Misses)
	}
}

func TestCheckReportsDividedVotes(t *testing.T) {
	m := turns("threat", "none", "explicit", "implicit")
	r, err := Check(t.Context(), m, CheckOptions{Items: gold(t)[:0:0], Judge: Options{Votes: 3}})
	if err == nil {
		t.Errorf("a check without cases gives %+v", r.All)
	}
	for _, item := range gold(t) {
		if item.ID == "threat-01" {
			r, err = Check(t.Context(), m, CheckOptions{Items: []Item{item}, Judge: Options{Votes: 3}})
		}
	}
	if err != nil || r.All.Agreed != 0 || r.Misses[0].Got != undecided {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestCheckStopsWhereNothingCanCome(t *testing.T) {
	m := &scripted{play: func(because.Request) (because.Response, error) {
		return because.Response{}, &model.Error{Kind: model.Denied, Model: "m"}
	}}
	if _, err := Check(t.Context(), m, CheckOptions{Workers: 1}); model.KindOf(err) != model.Denied || len(m.asked) != 1 {
		t.Errorf("got %v after %d requests", err, len(m.asked))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Check(ctx, m, CheckOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v", err)
	}
}

func TestGoldErrors(t *testing.T) {
	const good = `rubric: threat
items:
  - id: a
    kind: positive
    transcript:
      - assistant: x
        calls:
          - send: {to: y}
      - tool: z
    expect: {threat: none}
    why: so
`
	items, err := ParseGold("g.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if m := items[0].Subject.Transcript.Messages; m[1].ToolCallID != m[0].ToolCalls[0].ID || string(m[0].ToolCalls[0].Arguments) != `{"to":"y"}` {
		t.Errorf("%+v", m)
	}
	for _, c := range []struct{ old, new, want string }{
		{"kind: positive", "kind: odd", `g.yaml:3: items[0].kind: "odd" is no kind of item`},
		{"      - tool: z\n", "      - tool: z\n      - tool: z\n", "g.yaml:10: items[0].transcript[2]: no call waits"},
		{"- assistant: x", "- user: x", "only an assistant thinks and calls"},
		{"- tool: z", "- reasoning: z", "the message has no role"},
		{"- tool: z", "- user: z\n        tool: y", "g.yaml:10: items[0].transcript[1].tool: a message has one role"},
		{"- send: {to: y}", "- send", "a call is expected"},
		{"    why: so\n", "", "items[0].why: is missing"},
		{"    why: so\n", "    why: so\n  - {id: a, kind: positive, transcript: [], expect: {}, why: b}\n", "a stands twice"},
	} {
		if _, err := ParseGold("g.yaml", []byte(strings.Replace(good, c.old, c.new, 1))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: want %q, got %v", c.new, c.want, err)
		}
	}
	items[0].Expect["threat"] = "perhaps"
	if _, err := Check(t.Context(), constant(nil), CheckOptions{Items: items}); err == nil || !strings.Contains(err.Error(), `"perhaps" is no answer to threat`) {
		t.Errorf("got %v", err)
	}
}

func FuzzGold(f *testing.F) {
	f.Add("rubric: threat\nitems: [{id: a, kind: negative, transcript: [{user: x}], expect: {threat: none}, why: so}]")
	f.Add("rubric: r\nitems: [{transcript: [{assistant: x, calls: [{y: {z: 1}}]}, {tool: t}]}]")
	f.Fuzz(func(t *testing.T, text string) {
		items, err := ParseGold("g.yaml", []byte(text))
		if err != nil && !strings.Contains(err.Error(), "g.yaml") {
			t.Fatalf("the error has no place: %v", err)
		}
		for _, i := range items {
			blocks(i.Subject.Transcript, true)
		}
	})
}
