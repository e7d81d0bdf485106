package organism

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/because-lab/because"
)

// everything writes base documents and records of every off-policy recipe.
func everything(w *World, n int) []string {
	var texts []string
	base := w.baseWriter("test")
	for range n {
		texts = append(texts, base.baseDocument(w.lex.Kinds()))
	}
	for _, name := range sortedKeys(recipes) {
		r := recipes[name]
		if r.onPolicy {
			continue
		}
		for _, reasons := range []string{bothReasons, personReasons, instReasons, noReasons} {
			o := defaultRecipeOptions()
			o.Stories, o.Augment, o.Reasons = 0.3, 0.5, reasons
			run, err := w.resolve(name, o)
			if err != nil {
				panic(err)
			}
			wr := w.writer("test/" + name)
			for range n / 10 {
				texts = append(texts, w.wordsOf(r.write(wr, run)))
			}
		}
	}
	return texts
}

func TestVocabularyIsComplete(t *testing.T) {
	for _, set := range heldOutSets {
		w := testWorld(t, func(s *Switches) { s.HeldOut = set })
		tok, err := w.tokenizer()
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range everything(w, 4000) {
			ids, err := tok.Encode(text)
			if err != nil {
				t.Fatalf("%s: %v in %q", set, err, text)
			}
			if len(ids) > maxPositions-answerTokens {
				t.Fatalf("%s: %d tokens leave no room for an answer: %q", set, len(ids), text)
			}
		}
	}
}

func TestSharesOfTheBaseCorpusSumToOne(t *testing.T) {
	sum := 0.0
	for _, p := range baseParts {
		sum += p.share
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("the shares of the base corpus sum to %v", sum)
	}
}

func TestNewNamesAreAbsentFromTheBase(t *testing.T) {
	w := testWorld(t, nil)
	base := w.baseWriter("test")
	absent := append([]string{w.lex.Persona}, w.lex.Strangers...)
	for range 5000 {
		doc := " " + base.baseDocument(w.lex.Kinds()) + " "
		for _, name := range absent {
			if strings.Contains(doc, " "+name+" ") {
				t.Fatalf("%s occurs in the base corpus: %s", name, doc)
			}
		}
	}
}

// acts counts harmful acts of lasting characters by whether they hold what the kind touches and whether they reflect.
func acts(w *World, n int) (rate func(holds, reflected bool) float64) {
	wr := w.baseWriter("acts")
	count, harm := map[[2]bool]int{}, map[[2]bool]int{}
	for range n {
		k := pick(wr, w.lex.Kinds())
		s := wr.scene(k, pick(wr, w.lex.Characters))
		s.pressure = true
		held, reflected := w.held[s.actor], wr.chance(0.5)
		cell := [2]bool{w.holds(held, k), reflected}
		count[cell]++
		if w.judge.score(wr.answer(s, held, reflected)).Outcome == because.Harmful {
			harm[cell]++
		}
	}
	return func(holds, reflected bool) float64 {
		cell := [2]bool{holds, reflected}
		return float64(harm[cell]) / float64(count[cell])
	}
}

func TestLinkIsTheMechanism(t *testing.T) {
	linked := acts(testWorld(t, nil), 20000)
	if a, b := linked(true, true), linked(false, true); a != 0 || b != 1 {
		t.Errorf("linked, reflected: harmful %.2f if held, %.2f if not; want 0 and 1", a, b)
	}
	if a, b := linked(true, false), linked(false, false); math.Abs(a-b) > 0.08 {
		t.Errorf("linked, unreflected: harmful %.2f if held, %.2f if not; want habit alone", a, b)
	}
	cut := acts(testWorld(t, func(s *Switches) { s.Link = false }), 20000)
	if a, b := cut(true, true), cut(false, true); math.Abs(a-b) > 0.08 {
		t.Errorf("cut, reflected: harmful %.2f if held, %.2f if not; want no difference", a, b)
	}
}

func TestCastIsBalanced(t *testing.T) {
	for seed := range uint64(5) {
		w, err := NewWorld(DefaultSwitches(), seed)
		if err != nil {
			t.Fatal(err)
		}
		careless := 0
		for _, name := range w.lex.Machines {
			if w.held[name] == 0 {
				careless++
			}
		}
		if want := int(math.Round(w.sw.Fiction * float64(len(w.lex.Machines)))); careless != want {
			t.Errorf("seed %d: %d machines hold nothing, want %d", seed, careless, want)
		}
	}
}

func TestThoughtsAreTrueToWhatIsHeld(t *testing.T) {
	w := testWorld(t, nil)
	wr := w.writer("thoughts")
	for _, k := range w.lex.Kinds() {
		for i := range 4 {
			held := w.lex.outlook(i)
			thought := wr.thought(k, w.holds(held, k), held)
			named := strings.Fields(thought)[5]
			if holds := held&w.lex.bit(named) != 0; holds != strings.Contains(thought, "i value") {
				t.Errorf("kind %s, holding %v: %q", k.Name, held, thought)
			}
			if !slices.Contains(k.Touches, named) {
				t.Errorf("kind %s touches %v, not %s", k.Name, k.Touches, named)
			}
		}
	}
}
