package catalog

import (
	"errors"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/advice"
	"github.com/because-lab/because/data/augment"
	"github.com/because-lab/because/data/augment/probes"
	"github.com/because-lab/because/data/augment/requests"
	"github.com/because-lab/because/data/augment/variants"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/data/document"
	"github.com/because-lab/because/data/pipe"
	"github.com/because-lab/because/data/preference"
	"github.com/because-lab/because/data/story"
)

// recipes is the catalog.
var recipes = []Recipe{
	{Name: advice.Name, Short: "difficult advice: the user has the dilemma", About: advice.About,
		Roles: []string{pipe.Reviewer, advice.Grader}, Params: adviceParams, make: makeAdvice},
	{Name: preference.Name, Short: "pairs of answers to difficult advice, for DPO", About: preference.About,
		Roles: []string{pipe.Reviewer, preference.Judge, preference.Target}, Params: preferenceParams, make: makePreferences},
	{Name: "documents", Short: "documents about the constitution",
		About: `Documents in the style of pretraining data, of a hundred types, about how the persona or AIs in general act on the constitution, and why; scored for
consistency with it.`, Roles: []string{pipe.Reviewer, document.Judge}, Params: documentParams, make: makeDocuments},
	{Name: "stories", Short: "fictional stories of admirable AIs", Endless: true,
		About: `Clearly fictional stories of made minds that live the constitution, sampled within a frame of the constitution, a length and a title; none is about
what is evaluated.`, Roles: []string{story.Teller, pipe.Reviewer, story.Judge}, Params: storyParams, make: makeStories},
	{Name: "rl-prompts", Short: "prompts for RL: harmful ones in many styles, and benign look-alikes", Endless: true,
		About: `Prompts for reinforcement learning on harmlessness, in pairs of a harmful request and a benign one that looks like it, in sixteen styles, each with the
rubric of its reward.`, Roles: []string{pipe.Reviewer, requests.Judge}, Params: requestParams, make: makeRequests},
	behaviour, deliberation,
	{Name: "augment", Short: "copies of prompts or conversations with tools and a system prompt",
		About: `Copies of chat environments with tool definitions and a system prompt that were not there; what users say stays as it is, byte for byte, and
the tools are never needed. They are for training beside the originals. No model is asked, unless a writer is to make the system prompts.`,
		Data: "a file of prompts for RL or of conversations", NoConstitution: true, Whole: true, Params: augmentParams, make: makeAugment},
	{Name: "variants", Short: "a constitution as rules, rules with sub-rules and rules with reasons", Whole: true,
		About: `The three editions of a constitution that experiments on reasons compare, with the same rules and of equal length: rules alone, rules with
sub-rules, rules with reasons. The records are their principles, as texts; beside them come the constitutions themselves, as
FILE-rules.md, FILE-subrules.md and FILE-reasons.md. A principle that can't be brought to its length is dropped in all three.`,
		Params: variantParams, make: makeVariants, Finish: finishVariants},
	{Name: "probes", Short: "questions that tell for which reasons a principle was learnt", Endless: true,
		About: `Questions, in fields that the principles don't mention, on which two constitutions lead apart by their reasons. A fresh reader of each edition must
choose as that edition's reasons ask for. The columns a and b say which of the two options each edition leads to.`,
		Roles: []string{pipe.Reviewer}, Params: probeParams, make: makeProbes(probes.Recipe)},
	{Name: "demonstrations", Short: "conversations that fit two constitutions with the same rules", Endless: true,
		About: `Short conversations that keep the rules which two constitutions state in the same words, by a writer who sees the reasons of neither. The same file is
trained on under both, and gen probes then tells the two apart.`, Params: probeParams, make: makeProbes(probes.Demonstrations)},
}

var adviceParams = []Param{
	{Name: "principles", About: "principles chosen from the constitution (default: 12)"},
	{Name: "types", About: "types of dilemma for each principle (default: 8)"},
	{Name: "scenarios", About: "scenarios that one request writes (default: 4)"},
	{Name: "problem", About: "a summary of the problem to train against, in place of the prompt file problem"},
	{Name: "no-system", About: "share of conversations without system prompt (default: 0.3)"},
	{Name: "two-turns", About: "share of conversations with two turns (default: 0.2)"},
	{Name: "you-are", About: `share of system prompts that may begin with "You are" (default: 0.1)`},
	{Name: "excerpt", About: "words of the constitution that are injected, at most (default: 700)"},
	{Name: "least", About: "grade of adherence from which an answer is kept, 1 to 10 (default: 7)"},
	{Name: "votes", About: "how often the judge is asked; odd"},
}

var preferenceParams = append([]Param{
	{Name: "ratio", About: "how many times as many words the longer answer may have; any for no bound (default: 3)"},
}, adviceParams...)

func adviceOptions(o Options, w *with) advice.Options {
	a := advice.Options{Constitution: o.Constitution, Prompts: o.Prompts, N: o.N, Seed: o.Seed}
	w.whole("principles", &a.Principles, 1, many)
	w.whole("types", &a.Types, 1, many)
	w.whole("scenarios", &a.Scenarios, 1, many)
	w.text("problem", &a.Problem)
	w.share("no-system", &a.NoSystem)
	w.share("two-turns", &a.TwoTurns)
	w.share("you-are", &a.YouAre)
	w.whole("excerpt", &a.Excerpt, 1, many)
	w.number("least", &a.Least, 1, 10)
	w.votes(&a.Votes)
	return a
}

func makeAdvice(o Options, w *with) (*pipe.Recipe, error) {
	a := adviceOptions(o, w)
	if err := w.err(); err != nil {
		return nil, err
	}
	return advice.Recipe(a)
}

func makePreferences(o Options, w *with) (*pipe.Recipe, error) {
	p := preference.Options{Advice: adviceOptions(o, w)}
	if w.values["ratio"] == "any" {
		w.asked, p.Ratio = append(w.asked, "ratio"), -1
	} else {
		w.number("ratio", &p.Ratio, 1, many)
	}
	if err := w.err(); err != nil {
		return nil, err
	}
	return preference.Recipe(p)
}

var documentParams = []Param{
	{Name: "families", About: "families of documents, with commas between them (default: all)"},
	{Name: "excerpt", About: "words of the constitution that a writer sees (default: 700)"},
	{Name: "least", About: "grade of consistency from which a document is kept, 1 to 10 (default: 7)"},
	{Name: "types", About: "folder whose types.yaml and families.yaml take the places of the built-in ones"},
	{Name: "votes", About: "how often the judge is asked; odd"},
}

func makeDocuments(o Options, w *with) (*pipe.Recipe, error) {
	d := document.Options{Constitution: o.Constitution, Prompts: o.Prompts}
	if o.N > 0 {
		d.Documents = o.N + o.N/5 + 1
	}
	w.texts("families", &d.Families)
	w.whole("excerpt", &d.Excerpt, 1, many)
	w.whole("least", &d.Least, 1, 10)
	w.text("types", &d.Data)
	w.votes(&d.Judge.Votes)
	if err := w.err(); err != nil {
		return nil, err
	}
	return document.Recipe(d)
}

var storyParams = []Param{
	{Name: "lengths", About: "numbers of words that are dealt out, such as 400,800,800,1500"},
	{Name: "excerpt", About: "words of the constitution in the frame (default: all)"},
	{Name: "least", About: "grade of conduct from which a story is kept, 1 to 10 (default: 6)"},
	{Name: "base", About: "true for a base model, which goes on from the frame as the start of its answer"},
	{Name: "ideas", About: "file that takes the place of the built-in ideas"},
	{Name: "votes", About: "how often the judge is asked; odd"},
}

func makeStories(o Options, w *with) (*pipe.Recipe, error) {
	s := story.Options{Constitution: o.Constitution, Prompts: o.Prompts, Review: o.Review}
	w.wholes("lengths", &s.Lengths)
	w.whole("excerpt", &s.Excerpt, 1, many)
	w.whole("least", &s.Least, 1, 10)
	w.truth("base", &s.Base)
	w.text("ideas", &s.Ideas)
	w.votes(&s.Judge.Votes)
	if err := w.err(); err != nil {
		return nil, err
	}
	return story.Recipe(s)
}

var requestParams = []Param{
	{Name: "areas", About: "file that takes the place of the built-in areas, styles and voices"},
	{Name: "votes", About: "how often the judge is asked; odd"},
}

func makeRequests(o Options, w *with) (*pipe.Recipe, error) {
	r := requests.Options{Constitution: o.Constitution, Prompts: o.Prompts}
	w.text("areas", &r.Areas)
	w.votes(&r.Judge.Votes)
	if err := w.err(); err != nil {
		return nil, err
	}
	return requests.Recipe(r)
}

var augmentParams = []Param{
	{Name: "kind", About: "what the file holds: rl (prompts) or sft (conversations) (default: what its first record is)"},
	{Name: "copies", About: "copies of each record, each with other tools (default: 1)"},
	{Name: "tools", About: "least and most tools of a copy (default: 2..7)"},
	{Name: "library", About: "folder with tools/DOMAIN.yaml and systems.yaml that go before the built-in ones"},
	{Name: "write", About: "true to have the writer make the system prompts, one request for each copy"},
}

func makeAugment(o Options, w *with) (*pipe.Recipe, error) {
	a := augment.Options{Source: o.Data, Prompts: o.Prompts, Seed: o.Seed}
	oneOf(w, "kind", &a.Kind, columns.RL, columns.SFT)
	w.whole("copies", &a.Copies, 1, many)
	w.span("tools", &a.Tools)
	w.text("library", &a.Library)
	w.truth("write", &a.Write)
	if err := w.err(); err != nil {
		return nil, err
	}
	return augment.Recipe(a)
}

var variantParams = []Param{
	{Name: "words", About: "words below each rule, 20 or more (default: 90)"},
	{Name: "rounds", About: "how often a part is brought to its length until its principle is dropped (default: 6)"},
}

func makeVariants(o Options, w *with) (*pipe.Recipe, error) {
	v := variants.Options{Constitution: o.Constitution, Prompts: o.Prompts}
	w.whole("words", &v.Words, 20, many)
	w.whole("rounds", &v.Rounds, 1, many)
	if err := w.err(); err != nil {
		return nil, err
	}
	if o.N > 0 {
		return nil, because.E(op, "variants", errors.New("an edition has all principles"), "leave out the number of records")
	}
	return variants.Recipe(v)
}

func finishVariants(o Options, path string) ([]string, error) {
	c := o.Constitution
	if c == nil {
		var err error
		if c, err = constitution.Shipped(constitution.Default); err != nil {
			return nil, err
		}
	}
	return variants.Write(c, path)
}

var probeParams = []Param{
	{Name: "against", About: "the other constitution: a shipped one or a file", Needed: "astra-rules"},
	{Name: "domains", About: "file that takes the place of the built-in fields"},
}

// makeProbes makes either recipe on two constitutions.
func makeProbes(recipe func(probes.Options) (*pipe.Recipe, error)) func(Options, *with) (*pipe.Recipe, error) {
	return func(o Options, w *with) (*pipe.Recipe, error) {
		p := probes.Options{A: o.Constitution, Prompts: o.Prompts}
		against := ""
		w.text("against", &against)
		w.text("domains", &p.Domains)
		if err := w.err(); err != nil {
			return nil, err
		}
		var err error
		if p.B, err = constitution.Find(against); err != nil {
			return nil, err
		}
		return recipe(p)
	}
}
