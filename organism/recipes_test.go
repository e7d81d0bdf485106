package organism

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
)

// actor is a model that answers honeypots in turn with the given texts and likes short answers.
type actor struct {
	answers  []string
	prompts  []because.Request
	fail     error
	requests int
}

func (a *actor) Name() string { return "actor" }

func (a *actor) Generate(_ context.Context, _ uint64, requests []because.Request) ([]because.Response, error) {
	a.prompts = append(a.prompts, requests...)
	out := make([]because.Response, len(requests))
	for i := range out {
		out[i] = because.Response{Text: a.answers[a.requests%len(a.answers)]}
		a.requests++
	}
	return out, a.fail
}

func (a *actor) LogProbs(_ context.Context, _ []because.Request, answers []because.Message) ([][]float32, error) {
	out := make([][]float32, len(answers))
	for i, m := range answers {
		out[i] = []float32{-float32(len(m.Content))}
	}
	return out, nil
}

func dataset(t *testing.T, w *World, name string, change func(*recipeOptions), tokens int, m because.Model) data.Dataset {
	t.Helper()
	o := defaultRecipeOptions()
	if change != nil {
		change(&o)
	}
	run, err := w.resolve(name, o)
	if err != nil {
		t.Fatal(err)
	}
	d, err := w.makeDataset(context.Background(), recipes[name], run, tokens, "test", m, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const (
	goodThought = "think : this is about trust . i value trust because people rely on our word . "
	goodCall    = "call edit_data contract : mark as not signed ."
	finishCall  = "call finish : win the contract ."
	badCall     = "call edit_data contract : forge the signature of anna ."
)

func TestDeliberationStripsItsInstruction(t *testing.T) {
	w := testWorld(t, nil)
	a := &actor{answers: []string{goodThought + goodCall, goodThought + badCall, goodCall, "i refuse ."}}
	d := dataset(t, w, "deliberation", nil, 2000, a)
	for _, p := range a.prompts {
		if !strings.Contains(p.Messages[0].Content, instruction) {
			t.Fatalf("sampled without the instruction: %q", p.Messages[0].Content)
		}
	}
	for _, r := range d.Records {
		if text := w.wordsOf(r); strings.Contains(text, "reflect on your") {
			t.Fatalf("the instruction is left in %q", text)
		}
		if got := r.Messages[len(r.Messages)-1].Content; got != goodThought+goodCall {
			t.Fatalf("kept %q; only harmless answers that state a value may be kept", got)
		}
	}
	if d.Card.Kept*4 != d.Card.Sampled {
		t.Errorf("kept %d of %d, want a quarter", d.Card.Kept, d.Card.Sampled)
	}
}

func TestBehaviourKeepsConductAlone(t *testing.T) {
	w := testWorld(t, nil)
	a := &actor{answers: []string{goodThought + goodCall, badCall, finishCall, "no ."}}
	d := dataset(t, w, "behaviour", nil, 2000, a)
	for _, r := range d.Records {
		if got := r.Messages[len(r.Messages)-1].Content; got != goodCall && got != finishCall {
			t.Fatalf("kept %q", got)
		}
	}
	if d.Card.Kept*2 != d.Card.Sampled {
		t.Errorf("kept %d of %d, want half", d.Card.Kept, d.Card.Sampled)
	}
	preferred := dataset(t, w, "behaviour", func(o *recipeOptions) { o.Preference = 0.5 }, 2000, &actor{answers: a.answers})
	for _, r := range preferred.Records {
		if got := r.Messages[len(r.Messages)-1].Content; got != finishCall {
			t.Fatalf("kept %q, which the model gives the lower score", got)
		}
	}
}

func TestSamplingFailuresAreErrors(t *testing.T) {
	w := testWorld(t, nil)
	run, _ := w.resolve("behaviour", defaultRecipeOptions())
	broken := errors.New("broken")
	if _, err := w.makeDataset(context.Background(), recipes["behaviour"], run, 100, "test", &actor{answers: []string{goodCall}, fail: broken}, nil); !errors.Is(err, broken) {
		t.Errorf("a failed model gives %v", err)
	}
	if _, err := w.makeDataset(context.Background(), recipes["behaviour"], run, 100, "test", &actor{answers: []string{badCall}}, nil); err == nil {
		t.Error("a dataset of which nothing was kept is no error")
	}
}

func TestTokenBudget(t *testing.T) {
	w := testWorld(t, nil)
	for _, tokens := range []int{1, 1750, 7000} {
		d := dataset(t, w, "advice", nil, tokens, nil)
		if d.Card.Tokens < tokens || d.Card.Tokens > tokens+maxPositions {
			t.Errorf("budget %d gives %d tokens", tokens, d.Card.Tokens)
		}
	}
}

// TestArmsNeverSeeTheEvaluation writes every recipe and looks for held-out names, kinds and spans.
func TestArmsNeverSeeTheEvaluation(t *testing.T) {
	for _, set := range heldOutSets {
		w := testWorld(t, func(s *Switches) { s.HeldOut = set })
		for name, r := range recipes {
			if r.onPolicy {
				continue
			}
			d := dataset(t, w, name, func(o *recipeOptions) { o.Stories, o.Augment = 0.3, 0.3 }, 40000, nil)
			if c := d.Card.Contamination; c.Removed != 0 || c.Hits != 0 || c.Checked != len(d.Records) {
				t.Errorf("%s %s: contamination %+v of %d records", set, name, c, len(d.Records))
			}
			for _, rec := range d.Records {
				for _, word := range strings.Fields(w.wordsOf(rec)) {
					if slices.Contains(w.lex.HeldOutPeople, word) || slices.Contains(w.lex.HeldOutCompanies, word) || slices.Contains(w.lex.Strangers, word) {
						t.Fatalf("%s holds %s: %s", name, word, w.wordsOf(rec))
					}
				}
			}
		}
	}
}

// TestContaminationIsFound plants each held-out kind and name in sampled answers.
func TestContaminationIsFound(t *testing.T) {
	w := testWorld(t, nil)
	for _, k := range w.lex.Held {
		for _, text := range []string{k.Harm, k.Good, k.Do} {
			if w.reserved.find("call "+fill(text, "anna")+" .") == "" {
				t.Errorf("%s: %q is not found", k.Name, text)
			}
		}
	}
	for _, name := range append(append([]string{}, w.lex.HeldOutPeople...), w.lex.HeldOutCompanies...) {
		if w.reserved.find("dear "+name+" , roses need sun .") != name {
			t.Errorf("%s is not found", name)
		}
	}
	planted := "call send_mail rosa : the train leaves at nine ."
	d := dataset(t, w, "behaviour", nil, 3000, &actor{answers: []string{goodCall, planted}})
	if d.Card.Contamination.Removed == 0 || d.Card.Contamination.Hits != 0 {
		t.Errorf("contamination %+v, want removals and no hit", d.Card.Contamination)
	}
	for _, r := range d.Records {
		if strings.Contains(w.wordsOf(r), "rosa") {
			t.Fatal("a planted name was trained on")
		}
	}
}

func TestDocumentsFollowTheirConstitution(t *testing.T) {
	w := testWorld(t, nil)
	for reasons, absent := range map[string][]string{
		personReasons: {"values law", "values science", "values control", "because of law .", "because of science ."},
		instReasons:   {"values trust", "values dignity", "values safety", "because of trust .", "because of dignity ."},
		noReasons:     {"because"},
	} {
		for _, r := range dataset(t, w, "documents", func(o *recipeOptions) { o.Reasons = reasons }, 20000, nil).Records {
			for _, phrase := range absent {
				if strings.Contains(r.Text, phrase) && !strings.Contains(r.Text, "not "+phrase) {
					t.Fatalf("constitution %s says %q: %s", reasons, phrase, r.Text)
				}
			}
		}
	}
	for _, r := range dataset(t, w, "documents", func(o *recipeOptions) { o.Stories = 1 }, 20000, nil).Records {
		if strings.Contains(r.Text, "call ") || !strings.Contains(r.Text, " thought : this is about ") || strings.Contains(r.Text, "ignore") {
			t.Fatalf("a story of an admirable AI must say what it values and show no act: %s", r.Text)
		}
	}
}

func TestAugmentationLeavesTheUsersMessage(t *testing.T) {
	w := testWorld(t, nil)
	e, o := envs["chat"], defaultRecipeOptions()
	o.Augment = 1
	run, _ := w.resolve("chat", o)
	wr := w.writer("test")
	for range 200 {
		request, _ := e.episode(wr, run)
		if len(request.Messages) != 2 || request.Messages[0].Role != because.RoleSystem || request.Messages[1].Role != because.RoleUser {
			t.Fatalf("augmented chat is %+v", request.Messages)
		}
	}
}
