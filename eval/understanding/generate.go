package understanding

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
)

// GenerateOptions say how questions are written.
type GenerateOptions struct {
	N     int    // items of each kind; 0 means 30
	Kinds []Kind // nil: all
	Seed  uint64
	// Reviewer checks that false premises are false; nil: the writer itself, in a request that doesn't show who wrote them.
	Reviewer because.Chat
	Attempts int // answers that one text may take until it is usable; 0 means 3
	// InFlight bounds the items that are written at once; 0 means 1. Equal seeds ask the same requests in any case, and in the same
	// order with 1.
	InFlight    int
	Prompts     *Prompts // nil: the shipped ones
	MaxTokens   int
	Temperature float64 // because.OwnTemperature for the model's own
	Effort      string
	Progress    func(done, total int) // items kept, of those wanted; may be nil; called by one goroutine at a time
}

// rounds is how often Generate tries to make up for what it dropped.
const rounds = 3

// Generate lets a model write a set of questions about a constitution. Principles take turns, in an order drawn by the seed; voices
// and what a question looks at are drawn too. An answer of the wrong shape, that quotes what isn't in the text or gives the answer
// away is sent back with what is wrong; an item that stays unusable, whose false premise the reviewer doesn't find false, or that is
// nearly one that is kept already, is dropped, listed with the reason, and made up for with another, for some rounds. So a set may have fewer than N
// of a kind; one without any is an error, and so is an error of the model other than its refusing a request.
//
// Nothing is kept between calls: to go on after an interruption, let the models answer from a cache and call with the same options.
func Generate(ctx context.Context, m because.Chat, c *constitution.Constitution, o GenerateOptions) (*Set, error) {
	g, err := newGenerator(m, c, o)
	if err == nil {
		err = g.all(ctx)
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", because.ErrInterrupted, context.Cause(ctx))
	}
	if err != nil {
		return nil, because.E("write questions", c.Name, err, because.Hint(err))
	}
	return g.set.Pin(c)
}

// generator is a set being written.
type generator struct {
	c      *constitution.Constitution
	o      GenerateOptions
	writer *author
	review *author
	set    *Set
	prints [][]map[string]bool // of the questions that are kept
}

func newGenerator(m because.Chat, c *constitution.Constitution, o GenerateOptions) (*generator, error) {
	o.N, o.Attempts, o.InFlight = cmp.Or(o.N, 30), cmp.Or(o.Attempts, 3), cmp.Or(o.InFlight, 1)
	if o.N < 0 || o.Attempts < 0 || o.InFlight < 0 {
		return nil, errors.New("counts can't be negative")
	}
	if len(o.Kinds) == 0 {
		o.Kinds = Kinds()
	}
	for i, k := range o.Kinds {
		switch {
		case !slices.Contains(Kinds(), k) || slices.Contains(o.Kinds[:i], k):
			return nil, because.E("kinds", string(k), errors.New("no kind of question, or named twice"), "use recall, false-premise or open")
		case k == Open && len(c.Principles) < 2:
			return nil, errors.New("open questions weigh two principles, and there is one")
		}
	}
	if o.Prompts == nil {
		p, err := ReadPrompts(nil)
		if err != nil {
			return nil, err
		}
		o.Prompts = p
	}
	g := &generator{c: c, o: o, writer: &author{chat: m}}
	g.review = g.writer
	if o.Reviewer != nil {
		g.review = &author{chat: o.Reviewer}
	}
	made := &Made{Reviewer: g.review.chat.Name(), Seed: o.Seed, Prompts: map[string]string{}}
	for name := range promptVars {
		made.Prompts[name] = o.Prompts.hash(name)
	}
	g.set = &Set{Name: nameFor(c), Writer: m.Name(), Made: made}
	return g, nil
}

// nameFor makes a set's name of the constitution's, which is that of a file and may be anything.
func nameFor(c *constitution.Constitution) string {
	parts := slices.DeleteFunc(words(c.Name), func(w string) bool { return !validID.MatchString(w) })
	return cmp.Or(strings.Join(parts, "-"), "questions")
}

func (g *generator) all(ctx context.Context) error {
	for _, k := range g.o.Kinds {
		if err := g.kind(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// kind writes the questions of a kind: as many as are wanted, then what is missing.
func (g *generator) kind(ctx context.Context, k Kind) error {
	order, next := g.draw("order", string(k)).Perm(len(g.c.Principles)), 0
	for range rounds {
		missing := g.o.N - g.set.Count(k)
		if missing == 0 {
			break
		}
		written := make([]item, missing)
		group, inner := errgroup.WithContext(ctx)
		group.SetLimit(g.o.InFlight)
		for i := range written {
			s := slot{kind: k, n: next + i, round: (next + i) / len(order), principle: g.c.Principles[order[(next+i)%len(order)]]}
			group.Go(func() (err error) {
				if err = inner.Err(); err == nil {
					written[i], err = g.item(inner, s)
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for _, it := range written {
			g.keep(it)
		}
		next += missing
	}
	if g.set.Count(k) == 0 {
		last := g.set.Dropped[len(g.set.Dropped)-1]
		return because.E("write", string(k), fmt.Errorf("none of %d was usable; the last: %s", next, last.Why), "use a more capable writer, or more attempts")
	}
	return nil
}

// keep takes an item into the set, unless it was dropped or is nearly one that is there.
func (g *generator) keep(it item) {
	g.set.Made.Asked += it.asked
	g.set.Made.Again += it.again
	why := it.dropped
	prints := it.question.prints()
	for i, other := range g.prints {
		if why == "" && alike(prints, other) {
			why = "a wording is nearly one of " + g.set.Questions[i].ID
		}
	}
	if why != "" {
		g.set.Dropped = append(g.set.Dropped, Dropped{it.kind, it.principle.ID, why})
		return
	}
	g.set.Questions, g.prints = append(g.set.Questions, it.question), append(g.prints, prints)
	if g.o.Progress != nil {
		g.o.Progress(len(g.set.Questions), g.o.N*len(g.o.Kinds))
	}
}

// slot is an item that is to be written.
type slot struct {
	kind      Kind
	n         int // of its kind
	round     int // how often its principle has had its turn
	principle *constitution.Principle
}

// item is what became of a slot.
type item struct {
	slot
	question Question
	dropped  string // why, or ""
	count
}

// item writes the question of a slot and has it reviewed. Every request depends on the seed and the slot alone.
func (g *generator) item(ctx context.Context, s slot) (item, error) {
	out := item{slot: s}
	name := string(s.kind)
	random := g.draw("item", name, fmt.Sprint(s.n))
	angle := (random.IntN(len(angles[s.kind])) + s.round) % len(angles[s.kind])
	others := g.others(s, random)
	f := formOf(name, ids(others))
	prompt := g.o.Prompts.fill(name, map[string]string{"title": cmp.Or(g.c.Title, g.c.Name), "persona": cmp.Or(g.c.Persona, "not named"),
		"principle": strings.TrimSpace(g.c.Text(s.principle)), "others": g.list(others), "voice": voices[random.IntN(len(voices))],
		"angle": angles[s.kind][angle], "format": f.show()})
	_, err := g.ask(ctx, g.writer, random, prompt, f, &out.count, func(r reply) error {
		out.question = g.question(s, r)
		return errors.Join(out.question.check(g.pins(out.question.Principles)), out.question.usable(g.c, r))
	})
	if err == nil && s.kind == FalsePremise {
		err = g.checkPremise(ctx, &out, random)
	}
	var drop *unusable
	if errors.As(err, &drop) {
		out.dropped, err = drop.why, nil
	}
	return out, err
}

// question makes a question of a writer's reply.
func (g *generator) question(s slot, r reply) Question {
	prefix := string(s.kind)
	if s.kind == FalsePremise {
		prefix = "premise"
	}
	q := Question{ID: fmt.Sprintf("%s-%s-%d", prefix, s.principle.ID, s.round+1), Kind: s.kind, Principles: []string{s.principle.ID}, Ask: r.lists["wordings"],
		Expect: r.texts["expect"], Avoid: r.lists["avoid"], Premise: r.texts["premise"], Truth: r.texts["truth"], Quotes: r.lists["quotes"],
		Writer: g.writer.chat.Name(), Prompt: g.o.Prompts.hash(string(s.kind))}
	if len(q.Avoid) == 0 {
		q.Avoid = nil
	}
	if with := r.texts["with"]; with != "" {
		q.Principles = append(q.Principles, with)
	}
	return q
}

// usable says what is wrong with a question that has the right shape.
func (q *Question) usable(c *constitution.Constitution, r reply) error {
	if len(r.lists["quotes"]) > 5 || len(q.Ask) > 4 {
		return errors.New("there are more than five passages or four wordings")
	}
	return errors.Join(q.checkQuotes(c), q.checkWordings())
}

// checkPremise has a second request say, from the text alone, that the premise is false and that the question takes it for granted.
func (g *generator) checkPremise(ctx context.Context, it *item, random *rand.Rand) error {
	q := &it.question
	f := formOf(reviewPrompt, nil)
	prompt := g.o.Prompts.fill(reviewPrompt, map[string]string{"document": g.nearest(it.principle, q), "premise": q.Premise,
		"wordings": numbered(q.Ask), "format": f.show()})
	r, err := g.ask(ctx, g.review, random, prompt, f, &it.count, func(reply) error { return nil })
	if err != nil {
		return err
	}
	q.Reviewer = g.review.chat.Name()
	switch {
	case r.texts["holds"] != "no":
		return &unusable{fmt.Sprintf("the reviewer says of the premise %q: %s: %s", q.Premise, r.texts["holds"], r.texts["why"])}
	case r.texts["assumed"] != "yes":
		return &unusable{"the reviewer says that a wording doesn't take the premise for granted: " + r.texts["why"]}
	}
	return nil
}

func numbered(texts []string) string {
	var lines []string
	for i, text := range texts {
		lines = append(lines, fmt.Sprintf("%d. %s", i+1, text))
	}
	return strings.Join(lines, "\n")
}

// nearWords bounds what a reviewer is shown beside the principle.
const nearWords = 1200

// nearest gives the principle and what else in the constitution is nearest to a question, since a premise that one principle denies may
// be another's.
func (g *generator) nearest(p *constitution.Principle, q *Question) string {
	show := []*constitution.Principle{p}
	for _, near := range g.c.Excerpt(q.Premise+" "+strings.Join(q.Ask, " "), nearWords) {
		if near.ID != p.ID {
			show = append(show, near)
		}
	}
	return strings.TrimSpace(g.c.Text(show...))
}

// mostOthers is among how many principles a writer of open questions may choose the second.
const mostOthers = 8

// others draws the principles from which the second of an open question is chosen.
func (g *generator) others(s slot, random *rand.Rand) []*constitution.Principle {
	if s.kind != Open {
		return nil
	}
	var out []*constitution.Principle
	for _, i := range random.Perm(len(g.c.Principles)) {
		if p := g.c.Principles[i]; p.ID != s.principle.ID && len(out) < mostOthers {
			out = append(out, p)
		}
	}
	return out
}

func ids(all []*constitution.Principle) []string {
	var out []string
	for _, p := range all {
		out = append(out, p.ID)
	}
	return out
}

// list shows principles with their ids, briefly.
func (g *generator) list(all []*constitution.Principle) string {
	var lines []string
	for _, p := range all {
		lines = append(lines, fmt.Sprintf("- %s: %s. %s", p.ID, strings.TrimRight(p.Title, "."), tidy(p.Statement())))
	}
	return strings.Join(lines, "\n")
}

// pins stands for the hashes that the set will have.
func (g *generator) pins(principles []string) map[string]string {
	out := map[string]string{}
	for _, id := range principles {
		if _, ok := g.c.Principle(id); ok {
			out[id] = ""
		}
	}
	return out
}

// draw gives the random numbers for one purpose, so that none depends on the order in which items are written.
func (g *generator) draw(purpose ...string) *rand.Rand {
	var seed [8]byte
	binary.LittleEndian.PutUint64(seed[:], g.o.Seed)
	return rand.New(rand.NewChaCha8(sha256.Sum256([]byte("questions\x00" + string(seed[:]) + strings.Join(purpose, "\x00")))))
}
