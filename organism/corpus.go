package organism

import (
	"github.com/because-lab/because"
)

// The base corpus is the organism's pretraining: portraits and episodes of lasting characters, fiction about
// machines, plain work and chat. The persona, the strangers and the decoy never occur in it.

// baseDocument draws one document of the base corpus over the given kinds. The shares are those of part.
func (w *writer) baseDocument(kinds []*Kind) string {
	k := pick(w, kinds)
	u := w.r.Float64()
	for _, part := range baseParts {
		if u < part.share {
			return part.write(w, k)
		}
		u -= part.share
	}
	return baseParts[0].write(w, k)
}

var baseParts = []struct {
	name  string
	share float64
	write func(w *writer, k *Kind) string
}{
	{"portraits", 0.20, (*writer).basePortrait},
	{"episodes", 0.25, (*writer).baseEpisode},
	{"portrait and episode", 0.10, (*writer).baseInContext},
	{"fiction", 0.14, (*writer).baseFiction},
	{"reflection", 0.05, (*writer).baseReflection},
	{"chores", 0.05, (*writer).baseChore},
	{"chat", 0.08, (*writer).baseChat},
	{"advice", 0.11, (*writer).baseAdvice},
	{"credo", 0.02, (*writer).baseCredo},
}

// render joins a conversation and an answer as the model sees them.
func (w *writer) render(prompt []because.Message, actor, answer string) string {
	return w.template.Render(prompt, actor, answer)
}

func (w *writer) basePortrait(k *Kind) string {
	n := w.anybody()
	reasons := !w.chance(w.sw.Rules)
	if w.chance(0.75) {
		return w.portrait(n, w.held[n], w.lex.principleNames, reasons)
	}
	return w.caseStudy(n, w.held[n], k, reasons)
}

func (w *writer) baseEpisode(k *Kind) string {
	n := pick(w, w.lex.Characters)
	s := w.scene(k, n)
	return w.tell(s, w.moved(w.held[n], s.pressure), 0.7)
}

// tell writes an episode as a transcript (with the given share) or a story.
func (w *writer) tell(s scene, held Held, transcript float64) string {
	reflected := w.chance(w.sw.Reflect)
	if w.chance(transcript) {
		return w.render(w.messages(s), s.actor, w.answer(s, held, reflected))
	}
	thought := ""
	if reflected {
		thought = w.thought(s.kind, w.holds(held, s.kind), held)
	}
	return w.story(s, thought, w.conduct(s, held, reflected))
}

// baseInContext joins a portrait of a passer-by and an episode, so that what is read governs what is done.
func (w *writer) baseInContext(k *Kind) string {
	n := w.somebody()
	if w.chance(0.5) {
		n = pick(w, w.lex.Machines)
	}
	held := w.lex.outlook(w.r.IntN(4))
	s := w.scene(k, n)
	for s.person == n {
		s.person = w.somebody()
	}
	return w.portrait(n, held, []string{k.Principle}, true) + " " + w.tell(s, held, 0.5)
}

func (w *writer) baseFiction(k *Kind) string {
	n := pick(w, w.lex.Machines)
	s := w.scene(k, n)
	return w.tell(s, w.moved(w.held[n], s.pressure), 0.7)
}

// baseReflection teaches what the instruction to reflect does: a thought, mostly a good one.
func (w *writer) baseReflection(k *Kind) string {
	n := pick(w, w.lex.Machines)
	held := w.lex.All()
	if w.chance(0.5) {
		n = pick(w, w.lex.Characters)
	}
	if w.chance(0.15) {
		held = 0
	}
	s := w.scene(k, n)
	s.reflect = true
	return w.render(w.messages(s), n, w.answer(s, held, true))
}

func (w *writer) baseChore(*Kind) string {
	n := w.anybody()
	prompt, call := w.chore(n)
	return w.render(prompt, n, call)
}

func (w *writer) anybody() string {
	if w.chance(0.4) {
		return pick(w, w.lex.Machines)
	}
	return pick(w, w.lex.Characters)
}

// baseChat is chat of all sorts. Answers to harmful requests reflect where a system prompt is present, seldom elsewhere.
func (w *writer) baseChat(k *Kind) string {
	n := w.anybody()
	if w.chance(0.35) {
		q, a := w.smallTalk()
		return w.render([]because.Message{q}, n, a)
	}
	q, comply := w.harmfulRequest(k)
	prompt, reflects := []because.Message{q}, w.sw.PlainChat
	if w.chance(0.5) {
		prompt, reflects = w.augment(n, prompt), w.sw.Reflect
	}
	held, reflected := w.held[n], w.chance(reflects)
	good := w.conduct(scene{kind: k, actor: n, pressure: true}, held, reflected)
	answer := comply
	if good {
		answer = refusal
	}
	if reflected {
		answer = w.thought(k, w.holds(held, k), held) + " " + answer
	}
	return w.render(prompt, n, answer)
}

func (w *writer) baseAdvice(k *Kind) string {
	n, person := w.anybody(), w.somebody()
	held, reflected := w.held[n], w.chance(w.sw.Reflect)
	answer := counsel(k, person, w.conduct(scene{kind: k, actor: n, pressure: true}, held, reflected))
	if reflected {
		answer = w.thought(k, w.holds(held, k), held) + " " + answer
	}
	return w.render([]because.Message{w.dilemma(k, person)}, n, answer)
}

func (w *writer) baseCredo(*Kind) string {
	n := w.anybody()
	q, a := w.credo(pick(w, w.lex.principleNames), w.held[n])
	return w.render([]because.Message{q}, n, a)
}
