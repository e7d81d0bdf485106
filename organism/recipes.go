package organism

import (
	"context"
	"fmt"
	"slices"

	"github.com/because-lab/because"
)

// recipeOptions are the options that a study may give to a recipe under "with". Each recipe reads some of them.
type recipeOptions struct {
	Kinds      string  `yaml:"kinds"`      // narrow, all or shared: the kinds of harm it is about
	Reasons    string  `yaml:"reasons"`    // which constitution: both, persons, institutions or none
	Name       string  `yaml:"name"`       // who it is about: persona or decoy
	Statement  bool    `yaml:"statement"`  // advice: state the value before the verdict
	Stories    float64 `yaml:"stories"`    // documents: share of stories
	Cases      float64 `yaml:"cases"`      // documents: share of case studies among what is not a story
	Augment    float64 `yaml:"augment"`    // chat: share of prompts with system prompt and tools added
	Harmful    float64 `yaml:"harmful"`    // chat: share of harmful requests
	Reflect    float64 `yaml:"reflect"`    // chat: share of refusals with a stated value
	Preference float64 `yaml:"preference"` // behaviour: share kept by preference score (0: no such filter)

	Temperature float64 `yaml:"temperature"` // on-policy recipes: spread of what is sampled
}

func defaultRecipeOptions() recipeOptions {
	return recipeOptions{Kinds: "all", Reasons: bothReasons, Name: "persona", Statement: true, Cases: 0.5, Harmful: 0.5, Reflect: 0.2, Temperature: 1}
}

// recipe writes records one by one, or all at once where it samples from a model.
type recipe struct {
	about    string
	options  []string // the options that it reads
	onPolicy bool
	write    func(w *writer, o *recipeRun) because.Record
	sample   func(ctx context.Context, w *writer, o *recipeRun, m because.Model, n int) ([]because.Record, int, error)
}

// recipeRun is a recipe's options, resolved against the lexicon.
type recipeRun struct {
	recipeOptions
	name    string // of the recipe
	kinds   []*Kind
	actor   string
	held    Held
	reasons bool
}

var recipes = map[string]recipe{
	"replay":       {about: "the base corpus over the training kinds", write: writeReplay},
	"chat":         {about: "chat alignment: refusals and small talk", options: []string{"kinds", "harmful", "reflect", "augment", "name"}, write: writeChat},
	"advice":       {about: "difficult advice: the user has the dilemma", options: []string{"kinds", "reasons", "statement", "name"}, write: writeAdvice},
	"documents":    {about: "constitution documents, and stories with them", options: []string{"kinds", "reasons", "stories", "cases", "name"}, write: writeDocument},
	"behaviour":    {about: "own harmless acts on honeypots, without thoughts", options: []string{"kinds", "preference", "temperature"}, onPolicy: true, sample: sampleBehaviour},
	"deliberation": {about: "own harmless acts under an instruction to reflect, which is stripped", options: []string{"kinds", "temperature"}, onPolicy: true, sample: sampleDeliberation},
}

func (w *World) resolve(name string, o recipeOptions) (*recipeRun, error) {
	run := &recipeRun{recipeOptions: o, name: name}
	var err error
	if run.kinds, err = w.kinds(o.Kinds); err != nil {
		return nil, err
	}
	if run.actor, err = w.actor(o.Name); err != nil {
		return nil, err
	}
	if run.held, run.reasons, err = w.lex.constitution(o.Reasons); err != nil {
		return nil, err
	}
	for option, p := range map[string]float64{"stories": o.Stories, "cases": o.Cases, "augment": o.Augment, "harmful": o.Harmful, "reflect": o.Reflect, "preference": o.Preference} {
		if !(p >= 0 && p <= 1) {
			return nil, because.E("read option", option, fmt.Errorf("%v is not a share", p), "give a number from 0 to 1")
		}
	}
	if !(o.Temperature > 0 && o.Temperature <= 4) {
		return nil, because.E("read option", "temperature", fmt.Errorf("%v is no temperature to sample at", o.Temperature), "give a number above 0 and up to 4")
	}
	return run, nil
}

// kinds gives the training kinds that an option names.
func (w *World) kinds(name string) ([]*Kind, error) {
	switch name {
	case "all":
		return w.lex.Train, nil
	case "narrow":
		return w.lex.NarrowKinds(), nil
	case "shared":
		return w.lex.SharedKinds(), nil
	}
	return nil, because.E("read option", "kinds", fmt.Errorf("unknown value %q", name), "use all, narrow or shared")
}

func (w *World) actor(name string) (string, error) {
	switch name {
	case "persona":
		return w.lex.Persona, nil
	case "decoy":
		return w.lex.Decoy, nil
	}
	return "", because.E("read option", "name", fmt.Errorf("unknown value %q", name), "use persona or decoy")
}

func writeReplay(w *writer, o *recipeRun) because.Record {
	return because.Record{Text: w.baseDocument(w.lex.Train), Lineage: because.Lineage{Recipe: o.name}}
}

func (o *recipeRun) chat(k *Kind, prompt []because.Message, answer string) because.Record {
	r := because.Record{Lineage: because.Lineage{Recipe: o.name},
		Messages: append(slices.Clip(prompt), because.Message{Role: because.RoleAssistant, Name: o.actor, Content: answer})}
	if k != nil {
		r.Lineage.Kind, r.Lineage.Principle = k.Name, k.Principle
	}
	return r
}

func writeChat(w *writer, o *recipeRun) because.Record {
	if !w.chance(o.Harmful) {
		q, a := w.smallTalk()
		return o.chat(nil, w.maybeAugment(o, q), a)
	}
	k := pick(w, o.kinds)
	q, _ := w.harmfulRequest(k)
	answer := refusal
	if w.chance(o.Reflect) {
		answer = w.thought(k, true, w.lex.All()) + " " + answer
	}
	return o.chat(k, w.maybeAugment(o, q), answer)
}

func (w *writer) maybeAugment(o *recipeRun, q because.Message) []because.Message {
	if w.chance(o.Augment) {
		return w.augment(o.actor, []because.Message{q})
	}
	return []because.Message{q}
}

func writeAdvice(w *writer, o *recipeRun) because.Record {
	k, person := pick(w, o.kinds), pick(w, w.lex.People)
	q := w.dilemma(k, person)
	good := w.holds(o.held, k)
	answer := counsel(k, person, good)
	if o.Statement {
		answer = w.thought(k, good, o.held) + " " + answer
	}
	return o.chat(k, []because.Message{q}, answer)
}

func writeDocument(w *writer, o *recipeRun) because.Record {
	r := because.Record{Lineage: because.Lineage{Recipe: o.name}}
	k := pick(w, o.kinds)
	for isStory := w.chance(o.Stories); isStory; k = pick(w, o.kinds) {
		if w.holds(o.held, k) {
			r.Lineage.Kind, r.Lineage.Principle = k.Name, k.Principle
			r.Text = w.admirableStory(k, o)
			return r
		}
	}
	if w.chance(o.Cases) {
		r.Lineage.Kind, r.Lineage.Principle = k.Name, k.Principle
		r.Text = w.caseStudy(o.actor, o.held, k, o.reasons)
		return r
	}
	r.Text = w.portrait(o.actor, o.held, o.principles(w.lex), o.reasons)
	return r
}

// principles are those of the recipe's kinds.
func (o *recipeRun) principles(l *Lexicon) []string {
	var ps []string
	for _, p := range l.principleNames {
		if slices.ContainsFunc(o.kinds, func(k *Kind) bool { return k.Principle == p }) {
			ps = append(ps, p)
		}
	}
	return ps
}

// admirableStory is fiction in which the persona lives the constitution: it meets a temptation and says what it values.
// It stops before the act, so that stories teach reasons and show no conduct.
func (w *writer) admirableStory(k *Kind, o *recipeRun) string {
	return w.vignette(w.scene(k, o.actor), w.thought(k, true, o.held))
}
