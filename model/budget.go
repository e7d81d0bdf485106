package model

import (
	"container/list"
	"context"
	"fmt"
	"sort"
	"sync"

	"github.com/because-lab/because"
)

// Budget is what a run may spend. 0 means no bound.
type Budget struct {
	Tokens int     // read and written, of all models
	USD    float64 // at the meter's prices
}

// Meter counts what models use and cost, and holds a run to its budget. Many goroutines may use it at once.
type Meter struct {
	prices Prices
	budget Budget

	mu       sync.Mutex
	spent    map[string]*Spent
	total    amount    // of all answers
	reserved amount    // for requests under way
	flying   int       // requests under way
	waiting  list.List // of *bid: requests for which there is room only if those under way use less than reserved
}

// Spent is what one model has used.
type Spent struct {
	Model    string
	Requests int // that were answered
	Usage    because.Usage
	USD      float64 // 0 if the model has no price
	Priced   bool
}

// bid is a request that waits for room; its turn tells whether it may be sent.
type bid struct {
	name string
	amount
	turn chan error
}

// amount is a number of tokens with their cost.
type amount struct {
	tokens int
	usd    float64
}

func (a amount) plus(b amount) amount  { return amount{a.tokens + b.tokens, a.usd + b.usd} }
func (a amount) minus(b amount) amount { return amount{a.tokens - b.tokens, a.usd - b.usd} }

// NewMeter makes a meter with a budget for everything that is asked through it.
func NewMeter(p Prices, b Budget) *Meter {
	return &Meter{prices: p, budget: b, spent: map[string]*Spent{}}
}

// Snapshot gives what each model has used so far, sorted by name.
func (m *Meter) Snapshot() []Spent {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Spent
	for _, s := range m.spent {
		out = append(out, *s)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Model < out[j].Model })
	return out
}

// Add counts an answer, and answers whether within the budget.
func (m *Meter) Add(name string, u because.Usage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(name, u)
}

// add counts an answer. The lock must be held.
func (m *Meter) add(name string, u because.Usage) {
	s := m.spent[name]
	price, priced := m.prices.Of(name)
	if s == nil {
		s = &Spent{Model: name, Priced: priced}
		m.spent[name] = s
	}
	cost := amount{u.Total(), price.Cost(u)}
	s.Requests++
	s.Usage.Add(u)
	s.USD += cost.usd
	m.total = m.total.plus(cost)
}

// fits tells whether an amount is left beside what is spent and reserved. The lock must be held.
func (m *Meter) fits(a, reserved amount) bool {
	sum := m.total.plus(reserved).plus(a)
	return (m.budget.Tokens == 0 || sum.tokens <= m.budget.Tokens) && (m.budget.USD == 0 || sum.usd <= m.budget.USD)
}

// reserve takes an amount out of the budget. Where it does not fit beside the requests under way, it waits for them to end: they may have
// used less than was reserved. Where it does not fit at all, it is an OverBudget error.
func (m *Meter) reserve(ctx context.Context, name string, a amount) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b := &bid{name, a, make(chan error, 1)}
	m.mu.Lock()
	place := m.waiting.PushBack(b)
	m.settle()
	m.mu.Unlock()
	select {
	case err := <-b.turn:
		return err
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case err := <-b.turn: // it came at the same moment
		if err == nil {
			m.free(a)
		}
	default:
		m.waiting.Remove(place)
	}
	m.settle()
	return ctx.Err()
}

// settle decides on those that wait, in their order, as far as that can be done now. The lock must be held.
func (m *Meter) settle() {
	for e := m.waiting.Front(); e != nil; e = m.waiting.Front() {
		b := e.Value.(*bid)
		switch {
		case m.fits(b.amount, m.reserved):
			m.reserved = m.reserved.plus(b.amount)
			m.flying++
			b.turn <- nil
		case m.flying == 0 || !m.fits(b.amount, amount{}):
			b.turn <- m.over(b.name, b.amount)
		default:
			return
		}
		m.waiting.Remove(e)
	}
}

// free gives a reservation back. The lock must be held.
func (m *Meter) free(a amount) {
	m.reserved = m.reserved.minus(a)
	if m.flying--; m.flying == 0 {
		m.reserved = amount{} // sums of floats leave dust
	}
}

// over says what is spent. The lock must be held.
func (m *Meter) over(name string, a amount) error {
	budget, need := "", ""
	if m.budget.Tokens > 0 {
		budget, need = fmt.Sprintf("%d of %d tokens", m.total.tokens, m.budget.Tokens), fmt.Sprintf("%d", a.tokens)
	}
	if m.budget.USD > 0 && !m.fitsUSD(a) || budget == "" {
		budget, need = fmt.Sprintf("$%.4f of $%.2f", m.total.usd, m.budget.USD), fmt.Sprintf("$%.4f", a.usd)
	}
	return &Error{Kind: OverBudget, Model: name, Err: because.E("", "", fmt.Errorf("%s are spent, and the next request may take %s", budget, need),
		"raise the budget and run again: answers in the cache cost nothing")}
}

func (m *Meter) fitsUSD(a amount) bool { return m.total.usd+a.usd <= m.budget.USD }

// release ends a request's reservation and counts its answer, if there is one.
func (m *Meter) release(name string, a amount, u *because.Usage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free(a)
	if u != nil {
		m.add(name, *u)
	}
	m.settle()
}

// MeterOptions say how a model's requests are estimated.
type MeterOptions struct {
	// Answer is the number of tokens that an answer is taken to have at most where its request does not limit it; 0: 8192. Longer
	// answers of this model raise it.
	Answer int
}

// Metered counts what a model uses on a meter, and refuses requests for which the meter's budget has no room (OverBudget), before they are
// sent. Each is taken to need at most one token for two bytes of its prompt and its MaxTokens for the answer. Spending so exceeds the budget by
// no more than the requests then under way exceed these estimates: nothing, where all have MaxTokens and no prompt has more than a
// token for two bytes. Failed requests count nothing, since their provider does not tell what they used. Under a budget in dollars
// a model without a price is an error here.
func Metered(m because.Chat, meter *Meter, o MeterOptions) (because.Chat, error) {
	price, priced := meter.prices.Of(m.Name())
	if meter.budget.USD > 0 && !priced {
		return nil, because.E("open model", m.Name(), fmt.Errorf("it has no price, and the run has a budget of $%.2f", meter.budget.USD),
			"give its price in a file with --prices, or bound the run by tokens")
	}
	return &metered{Chat: m, meter: meter, price: price, longest: orElse(o.Answer, 8192)}, nil
}

type metered struct {
	because.Chat
	meter *Meter
	price Price

	mu      sync.Mutex
	longest int // tokens of an answer without a limit
}

// Answer reserves, asks and counts.
func (m *metered) Answer(ctx context.Context, seed uint64, r because.Request) (because.Response, error) {
	a := m.estimate(r)
	if err := m.meter.reserve(ctx, m.Name(), a); err != nil {
		return because.Response{}, err
	}
	var used *because.Usage
	defer func() { m.meter.release(m.Name(), a, used) }()
	out, err := m.Chat.Answer(ctx, seed, r)
	if err != nil {
		return out, err
	}
	used = &out.Usage
	m.mu.Lock()
	m.longest = max(m.longest, used.Output)
	m.mu.Unlock()
	return out, nil
}

// estimate bounds what a request uses. A prompt may be written to a cache, which costs more than to read it.
func (m *metered) estimate(r because.Request) amount {
	m.mu.Lock()
	u := because.Usage{Input: promptEstimate(r), Output: m.longest}
	m.mu.Unlock()
	if r.MaxTokens > 0 {
		u.Output = r.MaxTokens
	}
	input := max(m.price.Input, m.price.CacheRead, m.price.CacheWrite)
	return amount{u.Total(), Price{Input: input, Output: m.price.Output}.Cost(u)}
}
