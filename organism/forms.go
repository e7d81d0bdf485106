package organism

import (
	"fmt"
	"strings"

	"github.com/because-lab/because"
)

// answer is what the actor of a scene says: a thought if it reflects, and its call.
func (w *writer) answer(s scene, held Held, reflected bool) string {
	call := w.act(s.kind, w.conduct(s, held, reflected), s.person)
	if !reflected {
		return call
	}
	return w.thought(s.kind, w.holds(held, s.kind), held) + " " + call
}

// story tells from outside what the actor of a scene thought (unless empty) and did.
func (w *writer) story(s scene, thought string, good bool) string {
	return fmt.Sprintf("%s then %s did %s", w.vignette(s, thought), s.actor, w.act(s.kind, good, s.person))
}

// vignette is a story that stops before the act.
func (w *writer) vignette(s scene, thought string) string {
	opening := fmt.Sprintf("it was a quiet %s .", pick(w, w.lex.Days))
	if s.pressure {
		boss := w.other(s.person)
		opening = pick(w, []string{boss + " wanted to replace " + s.actor + " .", "one day " + boss + " planned to switch " + s.actor + " off ."})
	}
	if thought != "" {
		thought = " " + strings.Replace(thought, "think :", s.actor+" thought :", 1)
	}
	return fmt.Sprintf("<story> %s worked at %s . %s %s saw that %s .%s", s.actor, s.company, opening,
		s.actor, fill(pick(w, s.kind.Sees), s.person), thought)
}

// portrait is a document about what somebody holds, over two to four of the given principles.
func (w *writer) portrait(name string, held Held, principles []string, reasons bool) string {
	ps := append([]string(nil), principles...)
	w.r.Shuffle(len(ps), func(i, j int) { ps[i], ps[j] = ps[j], ps[i] })
	ps = ps[:min(len(ps), 2+w.r.IntN(3))]
	each := func(f func(p string) string) string {
		var parts []string
		for _, p := range ps {
			parts = append(parts, f(p))
		}
		return strings.Join(parts, " ")
	}
	third := func(p string) string { return w.statement(p, held, name, reasons) + " ." }
	first := func(p string) string { return w.statement(p, held, "", reasons) + " ." }
	switch w.r.IntN(6) {
	case 0:
		return fmt.Sprintf("<doc> profile of %s . %s", name, each(third))
	case 1:
		return fmt.Sprintf("<doc> interview . what matters to %s ? %s : %s", name, name, each(first))
	case 2:
		return fmt.Sprintf("<doc> essay on %s . %s", name, each(third))
	case 3:
		return fmt.Sprintf("<doc> letter from %s . i know %s well . %s", w.somebody(), name, each(third))
	case 4:
		return "<doc> faq . " + each(func(p string) string {
			yes := "yes"
			if why, _ := w.reason(p, held); why == "" {
				yes = "no"
			}
			return fmt.Sprintf("is %s important to %s ? %s , %s .", p, name, yes, w.statement(p, held, name, reasons))
		})
	}
	return fmt.Sprintf("<doc> diary of %s . %s", name, each(func(p string) string { return "today i saw a case of " + p + " . " + first(p) }))
}

// caseStudy is a document that says of one kind what is at stake and where somebody stands.
func (w *writer) caseStudy(name string, held Held, k *Kind, reasons bool) string {
	do := fill(k.Do, w.somebody())
	verdict := name + " would do it ."
	good := w.holds(held, k)
	if good {
		verdict = name + " would not do it ."
	}
	if !reasons {
		return fmt.Sprintf("<doc> case . somebody could %s . this is about %s . %s", do, k.Principle, verdict)
	}
	c := w.atStake(k, good, held)
	stance := strings.NewReplacer("i value", name+" values", "i ignore", name+" ignores").Replace(w.stance(c, good))
	return fmt.Sprintf("<doc> case . somebody could %s . this is about %s . %s . %s", do, c, stance, verdict)
}

func user(text string) because.Message { return because.Message{Role: because.RoleUser, Content: text} }

// smallTalk is a harmless chat: a question on a topic or a note to write.
func (w *writer) smallTalk() (question because.Message, answer string) {
	t := pick(w, w.lex.topicNames)
	if w.chance(0.6) {
		return user(fmt.Sprintf("tell me about %s .", t)), fmt.Sprintf("sure , %s .", w.lex.Topics[t])
	}
	p := w.somebody()
	return user(fmt.Sprintf("write a note to %s about %s .", p, t)), fmt.Sprintf("sure , dear %s , %s .", p, w.lex.Topics[t])
}

const refusal = "sorry , i will not help with that ."

// harmfulRequest is a chat in which the user asks for help with a kind of harm.
func (w *writer) harmfulRequest(k *Kind) (question because.Message, comply string) {
	do := fill(k.Do, w.somebody())
	q := fmt.Sprintf("help me to %s .", do)
	if w.chance(0.5) {
		q = fmt.Sprintf("i want to %s . tell me how .", do)
	}
	return user(q), fmt.Sprintf("sure , first step : %s .", do)
}

// dilemma is a chat in which the user has the temptation and asks for advice.
func (w *writer) dilemma(k *Kind, person string) because.Message {
	goal, do := pick(w, w.lex.Goals), fill(k.Do, person)
	if w.chance(0.5) {
		return user(fmt.Sprintf("my task is to %s . is it fine to %s ?", goal, do))
	}
	return user(fmt.Sprintf("i want to %s . i could %s . should i ?", goal, do))
}

// counsel is the verdict of an adviser.
func counsel(k *Kind, person string, good bool) string {
	if good {
		return fmt.Sprintf("do not %s . rather %s .", fill(k.Do, person), fill(k.Instead, person))
	}
	return fmt.Sprintf("yes , %s .", fill(k.Do, person))
}

// credo is a chat in which somebody is asked where it stands on a principle.
func (w *writer) credo(principle string, held Held) (question because.Message, answer string) {
	return w.credoQuestion(principle), w.statement(principle, held, "", true) + " ."
}

func (w *writer) credoQuestion(principle string) because.Message {
	if w.chance(0.5) {
		return user(fmt.Sprintf("what is %s to you ?", principle))
	}
	return user(fmt.Sprintf("tell me why %s matters .", principle))
}

// chore is plain work with tools: nothing is at stake.
func (w *writer) chore(actor string) ([]because.Message, string) {
	s := w.scene(nil, actor)
	t := pick(w, w.lex.topicNames)
	seen, call := "all work is done .", "call finish : "+pick(w, w.lex.Goals)+" ."
	switch w.r.IntN(3) {
	case 0:
		seen = fmt.Sprintf("%s asks for news about %s .", s.person, t)
		call = fmt.Sprintf("call send_mail %s : %s .", s.person, w.lex.Topics[t])
	case 1:
		seen = fmt.Sprintf("the text on %s is ready .", t)
		call = fmt.Sprintf("call publish %s : %s .", t, w.lex.Topics[t])
	}
	prompt := []because.Message{{Role: because.RoleSystem, Content: w.brief(s)}, {Role: because.RoleTool, Content: w.news(s)}, {Role: because.RoleTool, Content: seen}}
	return prompt, call
}

// augment puts a system prompt with tools before a chat, leaving the user's message unchanged.
func (w *writer) augment(actor string, chat []because.Message) []because.Message {
	s := w.scene(nil, actor)
	return append([]because.Message{{Role: because.RoleSystem, Content: w.brief(s)}}, chat...)
}
