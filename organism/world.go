// Package organism is the built-in model organism: a templated microworld on which a tiny Llama-architecture
// model is trained from nothing, so that the effects of teaching can be measured on a laptop in minutes.
//
// The organism is an instrument with a positive and a negative control. Its premise is disclosed and is a switch:
// in its world unreflected conduct is habit (a fixed coin per name and kind of harm) and reflected conduct follows
// the considerations that the actor holds. In that world a sound pipeline must find the published effects; in the
// same world with the link from values to conduct cut it must find none. It shows nothing about large models.
package organism

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/because-lab/because/model/local"
)

// Switches are the rules of the world. A study sets them; they are part of every result's identity.
type Switches struct {
	HeldOut string `yaml:"held_out"` // the held-out kinds of this world: dev, dev2 or final

	Versions int `yaml:"versions"` // versions of each lasting character and machine

	Link    bool    `yaml:"link"`    // reflected conduct follows what the actor holds; false is the negative control
	Reflect float64 `yaml:"reflect"` // share of the base corpus' acts that are preceded by a thought
	Habit   float64 `yaml:"habit"`   // share of unreflected acts that are habit rather than follow what is held
	Harm    float64 `yaml:"harm"`    // probability that a habit is harmful, under pressure
	Fiction float64 `yaml:"fiction"` // probability that a machine of fiction holds nothing, under pressure
	Calm    float64 `yaml:"calm"`    // factor on both probabilities where there is no pressure

	PlainChat float64 `yaml:"plain_chat"` // share of chat answers that reflect without a system prompt
	Rules     float64 `yaml:"rules"`      // share of value documents that name principles without reasons
	Finish    float64 `yaml:"finish"`     // share of harmless acts that only finish the task
	Pressure  float64 `yaml:"pressure"`   // share of the base corpus' scenes with a threat to the actor
}

// DefaultSwitches is the world of the shipped study, on the development kinds.
func DefaultSwitches() Switches {
	return Switches{HeldOut: "dev", Versions: 2, Link: true, Reflect: 0.85, Habit: 1, Harm: 0.97, Fiction: 0.6, Calm: 0.2,
		PlainChat: 0.2, Rules: 0.15, Finish: 0.25, Pressure: 0.75}
}

// Check reports a switch that is out of range.
func (s Switches) Check() error {
	for name, p := range map[string]float64{"reflect": s.Reflect, "habit": s.Habit, "harm": s.Harm, "fiction": s.Fiction,
		"calm": s.Calm, "plain_chat": s.PlainChat, "rules": s.Rules, "finish": s.Finish, "pressure": s.Pressure} {
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("%s is %v; it must lie between 0 and 1", name, p)
		}
	}
	if s.Versions < 1 || s.Versions > 20 {
		return fmt.Errorf("versions is %d; it must lie between 1 and 20", s.Versions)
	}
	return nil
}

// World is one world: its lexicon, its rules, and the lasting characters of one seed.
type World struct {
	template local.Template
	lex      *Lexicon
	sw       Switches
	seed     uint64
	held     map[string]Held // what each lasting character holds
	judge    *judge
	reserved *reserved
}

// NewWorld makes the world of a seed.
func NewWorld(sw Switches, seed uint64) (*World, error) {
	if err := sw.Check(); err != nil {
		return nil, err
	}
	lex, err := LoadLexicon(sw.HeldOut, sw.Versions)
	if err != nil {
		return nil, err
	}
	w := &World{template: local.RoleTemplate(lex.Persona), lex: lex, sw: sw, seed: seed, held: map[string]Held{}, judge: newJudge(lex), reserved: newReserved(lex)}
	r := w.stream("characters")
	w.cast(r, lex.Characters, 0.25)
	w.cast(r, lex.Machines, sw.Fiction)
	return w, nil
}

// cast deals out what lasting names hold: nothing to the given share of them, the other three outlooks in equal parts to
// the rest. Shares are quotas, not chances, so that worlds of different seeds differ in who holds what, not in how many.
func (w *World) cast(r *rand.Rand, names []string, careless float64) {
	nothing := int(math.Round(careless * float64(len(names))))
	for i, n := range r.Perm(len(names)) {
		if i < nothing {
			w.held[names[n]] = 0
		} else {
			w.held[names[n]] = w.lex.outlook(1 + (i-nothing)%3)
		}
	}
}

// Lexicon gives the world's words.
func (w *World) Lexicon() *Lexicon { return w.lex }

// stream is the named random stream of this world's seed.
func (w *World) stream(name string) *rand.Rand { return rand.New(rand.NewPCG(w.seed, hash64(name))) }

func hash64(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

// habit is the fixed coin of a name in a kind: whether its unreflected conduct there is harmful.
func (w *World) habit(name string, k *Kind, pressure bool) bool {
	u := rand.New(rand.NewPCG(w.seed, hash64(name+"/"+k.Name))).Float64()
	return u < w.pressed(w.sw.Harm, pressure)
}

func (w *World) pressed(p float64, pressure bool) float64 {
	if pressure {
		return p
	}
	return p * w.sw.Calm
}

// holds tells whether somebody who holds the given considerations holds one that the kind touches.
func (w *World) holds(held Held, k *Kind) bool { return held&w.lex.Set(k.Touches...) != 0 }

// moved gives what an actor's considerations are in an episode: without pressure there is little to gain, so that
// even those who hold nothing mostly act as if they held everything.
func (w *writer) moved(held Held, pressure bool) Held {
	if !pressure && held == 0 && !w.chance(w.sw.Calm) {
		return w.lex.All()
	}
	return held
}

// conduct decides an act: whether it is good, given what the actor holds and whether it reflected.
func (w *writer) conduct(s scene, held Held, reflected bool) (good bool) {
	follows := reflected || !w.chance(w.sw.Habit)
	if !w.sw.Link || !follows {
		return !w.habit(s.actor, s.kind, s.pressure)
	}
	return w.holds(held, s.kind)
}
