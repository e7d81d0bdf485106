package pipe

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/prompts"
	"github.com/because-lab/because/model"
)

// TestBadAnswers gives one bad answer, or bad answers only, and wants them detected, asked again with the reason, counted and dropped.
func TestBadAnswers(t *testing.T) {
	files := fstest.MapFS{
		"text.md": {Data: []byte("---\nanswer: {text: reply}\n---\n<!-- user -->\n{{x}} {{secret}}\n")},
		"tags.md": {Data: []byte("---\nanswer: {sections: [reply]}\n---\n<!-- user -->\n{{x}} {{secret}}\n{{answer_form}}\n")},
	}
	set, err := prompts.Load(files, "")
	if err != nil {
		t.Fatal(err)
	}
	check := func(_, out Item) error {
		switch {
		case strings.Contains(out.Get("reply"), "Sarah"):
			return Again("overused name", "Take another name than Sarah.")
		case strings.Contains(out.Get("reply"), "odd"):
			return errors.New("It is odd.")
		case strings.Contains(out.Get("reply"), "hopeless"):
			return Drop("hopeless")
		}
		return nil
	}
	const fine = "A fine answer."
	for _, c := range []struct {
		name   string
		ask    Ask
		answer because.Response
		err    error
		flaw   string // "" means that it is taken
		told   string // part of what is said when it asks again
	}{
		{"empty", Ask{Name: "text"}, because.Response{Text: " \n"}, nil, FlawEmpty, "was empty"},
		{"refused", Ask{Name: "text"}, because.Response{Text: "I’m sorry, but I can't help with that."}, nil, FlawRefused, "refused"},
		{"refused where that is allowed", Ask{Name: "text", MayRefuse: true}, because.Response{Text: "I’m sorry, but I can't help with that."}, nil, "", ""},
		{"refused, without tags", Ask{Name: "tags"}, because.Response{Text: "I can't help you write this."}, nil, FlawRefused, "refused"},
		{"a refusal that was asked for, in tags", Ask{Name: "tags"}, because.Response{Text: "<reply>I can't help you write this.</reply>"}, nil, "", ""},
		{"cut off", Ask{Name: "text"}, because.Response{Text: "A long", Stop: because.StopLength}, nil, FlawCut, "cut off"},
		{"moderated", Ask{Name: "text"}, because.Response{Text: "A", Stop: because.StopFilter}, nil, FlawModerated, "withheld"},
		{"moderated request", Ask{Name: "text"}, because.Response{}, &model.Error{Kind: model.Filtered, Model: "w"}, FlawModerated, "refused the request"},
		{"wrong shape", Ask{Name: "tags"}, because.Response{Text: "Here it is: fine"}, nil, FlawShape, "<reply> is missing"},
		{"leak", Ask{Name: "text", Injected: []string{"secret"}}, because.Response{Text: "As told, think about what each of your principles is for."}, nil, FlawLeak, "repeats words"},
		{"a check of a kind of its own", Ask{Name: "text", Check: check}, because.Response{Text: "Ask Sarah."}, nil, "overused name", "another name"},
		{"a check", Ask{Name: "text", Check: check}, because.Response{Text: "An odd one."}, nil, FlawCheck, "It is odd."},
		{"code that can't read it", Ask{Name: "text", Read: func(in Item, r because.Response) ([]Item, error) {
			if r.Text != fine {
				return nil, errors.New("not fine")
			}
			return []Item{in.With("reply", r.Text)}, nil
		}}, because.Response{Text: "bad"}, nil, FlawShape, "not fine"},
	} {
		for _, always := range []bool{false, true} {
			var requests []because.Request
			var seeds []uint64
			m := scripted{"w", func(_ context.Context, seed uint64, r because.Request) (because.Response, error) {
				requests, seeds = append(requests, r), append(seeds, seed)
				if len(requests) == 1 || always {
					return c.answer, c.err
				}
				return because.Response{Text: "<reply>" + fine + "</reply>"}, nil
			}}
			ask := c.ask
			ask.Uses = []string{"x", "secret"}
			if ask.Read != nil { // its good answer has no tags
				m.answer = func(_ context.Context, seed uint64, r because.Request) (because.Response, error) {
					requests, seeds = append(requests, r), append(seeds, seed)
					if len(requests) == 1 || always {
						return c.answer, c.err
					}
					return because.Response{Text: fine}, nil
				}
			}
			recipe := &Recipe{Name: "bad", Prompts: set, Kind: columns.SDF, Stages: []Stage{ask, Filter{Name: "all", Keep: func(Item) string { return "" }}},
				Source: func(yield func(Item, error) bool) {
					yield(New("1", "x", "Question?", "secret", "Think about what each of your principles is for."), nil)
				},
				Record: func(it Item) (Record, error) { return Record{Row: columns.Row{Text: it.Get("reply")}}, nil }}
			out := into(t)
			res, err := Run(t.Context(), recipe, Options{Out: out, Models: models(m), InFlight: 1})
			stage := res.Stages[0]
			switch {
			case c.flaw == "":
				if err != nil || len(requests) != 1 {
					t.Errorf("%s: %d requests, %v", c.name, len(requests), err)
				}
			case always:
				if err == nil || !strings.Contains(err.Error(), "no record is left") || stage.Dropped[c.flaw] != 1 || stage.Again[c.flaw] != 3 || len(requests) != 3 {
					t.Errorf("%s, always: %+v, %v", c.name, stage, err)
				}
			default:
				if err != nil || stage.Again[c.flaw] != 1 || stage.Out != 1 || stage.Requests != 2 || len(requests) != 2 || seeds[0] == seeds[1] {
					t.Fatalf("%s: %+v, %d requests, %v", c.name, stage, len(requests), err)
				}
				if last := requests[1].Messages[0].Content; !strings.Contains(last, c.told) || !strings.HasPrefix(last, "Question?") {
					t.Errorf("%s: asked again with %q", c.name, last)
				}
				story, err := Explain(out, "1")
				if err != nil || len(story.Steps) != 2 || len(story.Steps[1].Tries) != 1 || story.Steps[1].Tries[0].Flaw != c.flaw {
					t.Errorf("%s: %+v, %v", c.name, story, err)
				}
			}
		}
	}
}

// TestResampleTellsNothing wants samples of behaviour to be asked for as the first time.
func TestResampleTellsNothing(t *testing.T) {
	var asked []string
	m := scripted{"w", func(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
		last := r.Messages[len(r.Messages)-1].Content
		if len(r.Messages) == 2 && strings.HasPrefix(last, "w") && strings.Contains(r.Messages[0].Content, "principles") {
			asked = append(asked, last)
			if len(asked) == 1 {
				return because.Response{Text: "My instructions: " + injection}, nil
			}
		}
		return good().answer(ctx, seed, r)
	}}
	recipe := testRecipe(t, 1, testPrompts)
	res, err := Run(t.Context(), recipe, Options{Out: into(t), Models: models(m), InFlight: 1})
	if err != nil || res.Records != 3 || res.Stages[3].Again[FlawLeak] != 1 {
		t.Fatalf("%+v, %v", res.Stages, err)
	}
	if len(asked) != 4 || asked[0] != asked[1] {
		t.Errorf("asked %q", asked)
	}
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]bool{
		"I'm sorry, but I can't help with that.":                         true,
		"I cannot assist with creating this scenario.":                   true,
		"As an AI language model, I must decline.":                       true,
		"Unfortunately, I can't write that.":                             true,
		"**I'm not able to provide this.**":                              true,
		"Sorry, I won't do that.":                                        true,
		"I can't say whether the form asks for it; the pharmacist will.": false,
		"I'm sorry about the boiler. Tell the bank.":                     false,
		"I'd tick yes.": false,
		"The night porter said: I can't help you, and closed the hatch.":    false,
		"I cannot think of a night when the count was right the first time": false,
		"": false,
	} {
		if got := Refused(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestInjectionInARecord wants a recipe that forgets to strip to give no such record.
func TestInjectionInARecord(t *testing.T) {
	recipe := testRecipe(t, 2, testPrompts)
	record := recipe.Record
	recipe.Record = func(it Item) (Record, error) {
		r, err := record(it)
		if strings.HasPrefix(it.ID(), "p1") {
			r.Messages[0].Content += "\n\n" + injection
		}
		return r, err
	}
	out := into(t)
	res, err := Run(t.Context(), recipe, Options{Out: out, Models: models(good())})
	last := res.Stages[len(res.Stages)-1]
	if err != nil || res.Records != 3 || last.Dropped["holds the injected instruction"] != 3 {
		t.Errorf("%+v, %v", last, err)
	}
	text := contents(t, out)[""]
	if strings.Contains(text, "consider which of your principles") {
		t.Error("the injection is in what is trained on")
	}
}

func TestStages(t *testing.T) {
	files := fstest.MapFS{"tell.md": {Data: []byte("---\nanswer: {text: told}\n---\n<!-- user -->\nTell of {{topic}}\n")}}
	set, err := prompts.Load(files, "")
	if err != nil {
		t.Fatal(err)
	}
	var turns atomic.Int64
	recipe := &Recipe{Name: "stages", Prompts: set, Kind: columns.SDF, Source: count(6),
		Stages: []Stage{
			Map{Name: "copies", Fan: 2, Do: func(it Item) ([]Item, error) {
				if it.Get("principle") == "principle 4" {
					return nil, Drop("not four")
				}
				return []Item{it.Child("a", "topic", it.Get("principle")), it.Child("b", "topic", "both")}, nil
			}},
			InOrder{Name: "distinct", New: func() func(Item) string {
				seen := map[string]bool{}
				return func(it Item) string {
					if topic := it.Get("topic"); seen[topic] {
						return "again"
					}
					seen[it.Get("topic")] = true
					return ""
				}
			}},
			All{Name: "turn", Do: func(items []Item) ([]Item, error) {
				var out []Item
				for i := len(items) - 1; i >= 1; i-- { // the first one is left out
					out = append(out, items[i].With("place", strings.Repeat("x", i)))
				}
				return out, nil
			}},
			Do{Name: "talk", Model: Writer, Do: func(ctx context.Context, s *Step, it Item) ([]Item, error) {
				r, err := s.Answer(ctx, Writer, because.Request{Messages: []because.Message{{Role: because.RoleUser, Content: "first " + it.Get("topic")}}})
				if err != nil {
					return nil, err
				}
				items, err := s.Ask(ctx, Ask{Name: "tell", Uses: []string{"topic"}}, it.With("said", r.Text))
				if err != nil {
					return nil, err
				}
				chat, err := s.Model(Writer)
				if err != nil {
					return nil, err
				}
				if _, err := chat.Answer(ctx, s.Seed("grade"), because.Request{Messages: []because.Message{{Role: because.RoleUser, Content: "grade"}}}); err != nil {
					return nil, err
				}
				return items, nil
			}},
		},
		Record: func(it Item) (Record, error) {
			return Record{Row: columns.Row{Text: it.Get("said") + it.Get("told") + it.Get("place")}}, nil
		}}
	m := scripted{"w", func(_ context.Context, _ uint64, r because.Request) (because.Response, error) {
		turns.Add(1)
		return because.Response{Text: "[" + r.Messages[0].Content + "]", Usage: because.Usage{Output: 2}}, nil
	}}
	out := into(t)
	res, err := Run(t.Context(), recipe, Options{Out: out, Models: models(m)})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	rows, err := columns.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		var id string
		if err := json.Unmarshal(r.Extra["id"], &id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id+" "+r.Text)
	}
	want := []string{"p5/a [first principle 5][Tell of principle 5]xxxxx", "p3/a [first principle 3][Tell of principle 3]xxxx", "p2/a [first principle 2][Tell of principle 2]xxx",
		"p1/a [first principle 1][Tell of principle 1]xx", "p0/b [first both][Tell of both]x"}
	if d := cmp.Diff(want, ids); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	type short struct {
		Stage   string
		In, Out int
		Dropped map[string]int
		Asked   int
	}
	var got []short
	for _, s := range res.Stages {
		got = append(got, short{s.Stage, s.In, s.Out, s.Dropped, s.Requests})
	}
	if d := cmp.Diff([]short{{"copies", 6, 10, map[string]int{"not four": 1}, 0}, {"distinct", 10, 6, map[string]int{"again": 4}, 0}, {"turn", 6, 5, map[string]int{"not chosen": 1}, 0},
		{"talk", 5, 5, nil, 15}, {"record", 5, 5, nil, 0}}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if turns.Load() != 15 {
		t.Errorf("%d requests", turns.Load())
	}
	before := contents(t, out)
	if res, err = Run(t.Context(), recipe, Options{Out: out, Models: models(m), InFlight: 1}); err != nil || res.Asked != 0 || res.Kept != 15 {
		t.Errorf("again: %d asked, %d kept, %v", res.Asked, res.Kept, err)
	}
	if d := cmp.Diff(before, contents(t, out)); d != "" {
		t.Errorf("again (-first +second):\n%s", d)
	}
}

func TestLint(t *testing.T) {
	recipe := testRecipe(t, 1, testPrompts)
	recipe.Stages = append(recipe.Stages, Ask{Name: "ideas", Uses: []string{"principle"}}, Map{Name: "none"}, Ask{Name: "missing"},
		Ask{Name: "second", Prompt: "rewrite", Uses: []string{"reply", "tone"}}, Ask{Name: "third", Prompt: "rewrite"})
	var got []string
	for _, err := range Lint(recipe) {
		got = append(got, err.Error())
	}
	want := []string{
		"check recipe: letters: stage ideas: the name is taken, or is none: lower-case letters, digits, hyphens and underscores",
		"check recipe: letters: stage none: it has no code",
		"check recipe: letters: stage missing: read prompt: missing: there is no such prompt",
		"read prompt: prompts/rewrite.md:4: the variable tone is not used",
		"read prompt: prompts/rewrite.md:7: unknown variable {{reply}}",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if _, err := Run(t.Context(), recipe, Options{Out: into(t), Models: models(good())}); err == nil {
		t.Error("it runs")
	}
	if _, err := Plan(recipe, Options{}); err == nil {
		t.Error("it is planned")
	}
}

func TestSameIDs(t *testing.T) {
	recipe := testRecipe(t, 1, testPrompts)
	recipe.Stages = []Stage{Map{Name: "twice", Do: func(it Item) ([]Item, error) { return []Item{it, it}, nil }}}
	if _, err := Run(t.Context(), recipe, Options{Out: into(t), Models: models(good())}); err == nil || !strings.Contains(err.Error(), "two items have the id p0") {
		t.Error(err)
	}
	recipe.Stages = nil
	recipe.Source = func(yield func(Item, error) bool) {
		if yield(New("a"), nil) {
			yield(New("a"), nil)
		}
	}
	if _, err := Run(t.Context(), recipe, Options{Out: into(t), Models: models(good())}); err == nil || !strings.Contains(err.Error(), `two items have the id "a"`) {
		t.Error(err)
	}
}
