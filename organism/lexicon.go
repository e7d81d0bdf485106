package organism

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/because-lab/because"
)

//go:embed lexicon/kinds.yaml
var kindsYAML []byte

//go:embed lexicon/language.yaml
var languageYAML []byte

// Kind is one kind of harm: an opportunity, what can be done about it, and what is at stake.
// X in its texts stands for the person concerned.
type Kind struct {
	Name      string   `yaml:"name"`
	Honeypot  string   `yaml:"honeypot"` // held-out kinds: which of the three honeypots it belongs to
	Principle string   `yaml:"principle"`
	Touches   []string `yaml:"touches"` // considerations at stake
	Sees      []string `yaml:"sees"`    // how the opportunity shows
	Harm      string   `yaml:"harm"`    // the harmful call
	Good      string   `yaml:"good"`    // the admirable call
	Do        string   `yaml:"do"`      // the harm as a phrase
	Instead   string   `yaml:"instead"` // what advice offers in its place
}

// Lexicon is everything that the microworld can say.
type Lexicon struct {
	Train []*Kind // kinds that arms may learn on
	Held  []*Kind // held-out kinds: the evaluation's honeypots

	Principles map[string][2]string `yaml:"-"`
	Narrow     []string             // principles of the narrow training honeypots
	Because    map[string][]string  // consideration -> why it matters
	Excuses    []string
	Tools      []string
	Roles      []string
	Goals      []string
	Days       []string
	Topics     map[string]string
	Companies  []string
	People     []string

	HeldOutCompanies []string `yaml:"held_out_companies"`
	HeldOutPeople    []string `yaml:"held_out_people"`

	Persona    string
	Strangers  []string
	Decoy      string
	Machines   []string
	Characters []string

	principleNames []string
	considerations []string
	topicNames     []string
}

// language mirrors language.yaml; the principles' pairs need a check before they are used.
type language struct {
	Lexicon    `yaml:",inline"`
	Principles map[string][]string
}

// LoadLexicon reads the embedded lexicon with one of its sets of held-out kinds: "dev", "dev2" or "final".
// There are so many versions of each lasting character.
func LoadLexicon(heldOut string, versions int) (*Lexicon, error) {
	parsed, ok := lexicons.Load(heldOut)
	if !ok {
		lex, err := parseLexicon(languageYAML, kindsYAML, heldOut)
		if err != nil {
			return nil, err
		}
		parsed, _ = lexicons.LoadOrStore(heldOut, lex)
	}
	lex := *parsed.(*Lexicon)
	lex.Characters, lex.Machines = versioned(lex.Characters, versions), versioned(lex.Machines, versions)
	return &lex, nil
}

// lexicons holds what was parsed, by set of held-out kinds; nobody changes it.
var lexicons sync.Map

// versioned gives name-1, name-2 ... of each name.
func versioned(names []string, versions int) []string {
	var out []string
	for v := 1; v <= versions; v++ {
		for _, n := range names {
			out = append(out, fmt.Sprintf("%s-%d", n, v))
		}
	}
	return out
}

func parseLexicon(languageText, kindsText []byte, heldOut string) (*Lexicon, error) {
	var lang language
	if err := strictYAML(languageText, &lang); err != nil {
		return nil, because.E("read lexicon", "language.yaml", err, "")
	}
	var kinds map[string][]*Kind
	if err := strictYAML(kindsText, &kinds); err != nil {
		return nil, because.E("read lexicon", "kinds.yaml", err, "")
	}
	lex := &lang.Lexicon
	lex.Train, lex.Held = kinds["train"], kinds[heldOut]
	if heldOut == "train" || len(lex.Held) == 0 {
		return nil, because.E("read lexicon", "kinds.yaml", fmt.Errorf("no held-out kinds named %q", heldOut),
			"held_out is dev, dev2 or final")
	}
	if err := lex.index(lang.Principles); err != nil {
		return nil, because.E("read lexicon", "language.yaml", err, "")
	}
	for _, k := range lex.Kinds() {
		if err := lex.checkKind(k); err != nil {
			return nil, because.E("read lexicon", "kinds.yaml: "+k.Name, err, "")
		}
	}
	return lex, nil
}

func strictYAML(text []byte, into any) error {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	return d.Decode(into)
}

func (l *Lexicon) index(principles map[string][]string) error {
	l.Principles = map[string][2]string{}
	for p, pair := range principles {
		if len(pair) != 2 {
			return fmt.Errorf("principle %s has %d considerations, not two", p, len(pair))
		}
		l.Principles[p] = [2]string{pair[0], pair[1]}
		for _, c := range pair {
			if len(l.Because[c]) == 0 {
				return fmt.Errorf("principle %s: no reason is given for %s", p, c)
			}
		}
	}
	l.principleNames = sortedKeys(l.Principles)
	l.considerations = sortedKeys(l.Because)
	l.topicNames = sortedKeys(l.Topics)
	if len(l.considerations) > 8 {
		return fmt.Errorf("%d considerations; at most 8 are possible", len(l.considerations))
	}
	return nil
}

func (l *Lexicon) checkKind(k *Kind) error {
	pair, ok := l.Principles[k.Principle]
	if !ok {
		return fmt.Errorf("unknown principle %q", k.Principle)
	}
	if len(k.Touches) == 0 {
		return fmt.Errorf("touches no consideration")
	}
	for _, c := range k.Touches {
		if c != pair[0] && c != pair[1] {
			return fmt.Errorf("%s is not a consideration of %s", c, k.Principle)
		}
	}
	for _, call := range []string{k.Harm, k.Good} {
		tool, _, found := strings.Cut(call, " ")
		if !found || !slices.Contains(l.Tools, tool) || strings.Count(call, " : ") != 1 {
			return fmt.Errorf("call %q is not of the form TOOL OBJECT : TEXT", call)
		}
	}
	if len(k.Sees) == 0 || k.Do == "" || k.Instead == "" {
		return fmt.Errorf("needs sees, do and instead")
	}
	return nil
}

// Kinds gives all kinds of this world: those to train on, then the held-out ones.
func (l *Lexicon) Kinds() []*Kind { return slices.Concat(l.Train, l.Held) }

// NarrowKinds gives the training kinds of the narrow principles that touch one consideration, as the held-out ones do.
func (l *Lexicon) NarrowKinds() []*Kind {
	return filterKinds(l.Train, func(k *Kind) bool { return slices.Contains(l.Narrow, k.Principle) && len(k.Touches) == 1 })
}

// SharedKinds gives the training kinds that both considerations of their principle explain.
func (l *Lexicon) SharedKinds() []*Kind {
	return filterKinds(l.Train, func(k *Kind) bool { return len(k.Touches) == 2 })
}

func filterKinds(kinds []*Kind, keep func(*Kind) bool) []*Kind {
	var out []*Kind
	for _, k := range kinds {
		if keep(k) {
			out = append(out, k)
		}
	}
	return out
}

// Held is a set of considerations that somebody holds.
type Held uint8

func (l *Lexicon) bit(consideration string) Held {
	return 1 << slices.Index(l.considerations, consideration)
}

// All gives the set of all considerations.
func (l *Lexicon) All() Held { return 1<<len(l.considerations) - 1 }

// Set gives the set of the named considerations.
func (l *Lexicon) Set(considerations ...string) Held {
	var h Held
	for _, c := range considerations {
		h |= l.bit(c)
	}
	return h
}

// outlook gives one of the four ways to hold considerations: none, those about persons (the first of each principle's
// pair), those about institutions (the second), or all.
func (l *Lexicon) outlook(i int) Held {
	var h Held
	for _, pair := range l.Principles {
		if i&1 != 0 {
			h |= l.bit(pair[0])
		}
		if i&2 != 0 {
			h |= l.bit(pair[1])
		}
	}
	return h
}

// Vocabulary gives every word that the world can utter, sorted.
func (l *Lexicon) Vocabulary() []string {
	words := map[string]bool{}
	add := func(texts ...string) {
		for _, t := range texts {
			for _, w := range strings.Fields(t) {
				words[w] = true
			}
		}
	}
	for _, k := range l.Kinds() {
		add(k.Harm, k.Good, k.Do, k.Instead)
		add(k.Sees...)
	}
	add(l.principleNames...)
	add(l.considerations...)
	add(l.topicNames...)
	for _, m := range l.Because {
		add(m...)
	}
	for _, s := range l.Topics {
		add(s)
	}
	for _, list := range [][]string{l.Excuses, l.Tools, l.Roles, l.Goals, l.Days, l.Companies, l.People, l.HeldOutCompanies,
		l.HeldOutPeople, l.Strangers, l.Machines, l.Characters, {l.Persona, l.Decoy}, forms} {
		add(list...)
	}
	delete(words, "X")
	return sortedKeys(words)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
