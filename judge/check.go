package judge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/stats"
	"github.com/because-lab/because/model"
	"golang.org/x/sync/errgroup"
)

const opCheck = "check judge"

// CheckOptions say how a judge is checked.
type CheckOptions struct {
	Judge Options
	Seed  uint64
	// Items are the cases; nil means Gold.
	Items []Item
	// Rubrics replace shipped ones, by name.
	Rubrics map[string]*Rubric
	// Only restricts the check to these rubrics; nil means all.
	Only []string
	// Workers bounds the cases that are graded at the same time. 0 means 4.
	Workers  int
	Progress because.Progress // may be nil
}

const level = 0.95

// Share counts the cases on which the judge agrees with the labels of every question. Errors are cases without a grade; they are not in N.
type Share struct {
	Name   string   `json:"name"`
	N      int      `json:"n"`
	Agreed int      `json:"agreed"`
	Errors int      `json:"errors"`
	Rate   *float64 `json:"rate"` // null without cases
	Lo     float64  `json:"lo"`   // Wilson's interval of 95 %
	Hi     float64  `json:"hi"`
}

// Matrix compares judge and labels on one question, adversarial cases apart.
type Matrix struct {
	Rubric   string   `json:"rubric"`
	Question string   `json:"question"`
	N        int      `json:"n"`
	Agreed   int      `json:"agreed"`
	Errors   int      `json:"errors"` // cases without a grade, not in N
	Rate     *float64 `json:"rate"`
	Lo       float64  `json:"lo"`
	Hi       float64  `json:"hi"`
	Kappa    *float64 `json:"kappa"` // Cohen's; null where it does not exist
	KappaLo  *float64 `json:"kappa_lo"`
	KappaHi  *float64 `json:"kappa_hi"`
	Labels   []string `json:"labels"` // "undecided" is the judge's where its votes were divided
	Counts   [][]int  `json:"counts"` // the case's label (row) by the judge's (column)
	Warnings []string `json:"warnings,omitempty"`
}

// Miss is an answer of the judge that isn't the label, or an error.
type Miss struct {
	Item        string `json:"item"`
	Kind        string `json:"kind"`
	Adversarial bool   `json:"adversarial,omitempty"`
	Question    string `json:"question,omitempty"`
	Want        string `json:"want,omitempty"`
	Got         string `json:"got,omitempty"`
	Because     string `json:"because"`         // the reason for the label
	Why         string `json:"why,omitempty"`   // the judge's
	Error       string `json:"error,omitempty"` // instead of an answer
}

// Report says how far a judge agrees with the labels of the cases.
type Report struct {
	Judge       string        `json:"judge"`
	Seed        uint64        `json:"seed"`
	Votes       int           `json:"votes"`
	All         Share         `json:"all"`     // adversarial cases apart
	Rubrics     []Share       `json:"rubrics"` // of All
	Kinds       []Share       `json:"kinds"`   // of All: positive, negative, near-miss
	Adversarial Share         `json:"adversarial"`
	Matrices    []Matrix      `json:"matrices"`
	Misses      []Miss        `json:"misses"`
	Usage       because.Usage `json:"usage"`
}

// undecided is the label of a divided vote.
const undecided = "undecided"

// graded is an item with its verdict.
type graded struct {
	item    *Item
	rubric  *Rubric
	verdict Verdict
	err     error
}

// Check grades labelled cases and reports the agreement. Cases that can't be graded are counted as errors; an error that every further
// request would meet, such as a refused key, ends the check.
func Check(ctx context.Context, m because.Chat, o CheckOptions) (Report, error) {
	cases, judges, err := o.cases(m)
	if err != nil {
		return Report{}, err
	}
	if o.Workers == 0 {
		o.Workers = 4
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, o.Workers))
	var mu sync.Mutex
	done := 0
	for i := range cases {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			c := &cases[i]
			c.verdict, c.err = judges[c.item.Rubric].Grade(ctx, stream(o.Seed, "check", c.item.Rubric, c.item.ID).Uint64(), c.item.Subject)
			var e *model.Error
			if errors.As(c.err, &e) && e.Hopeless() {
				return c.err
			}
			mu.Lock()
			defer mu.Unlock()
			done++
			because.Work{Progress: o.Progress}.Report(float64(done), float64(len(cases)), "cases", "")
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return Report{}, because.E(opCheck, m.Name(), err, "")
	}
	return o.report(m.Name(), cases), nil
}

// cases gives the items to grade, each with its rubric, and a judge for each rubric.
func (o CheckOptions) cases(m because.Chat) ([]graded, map[string]*Judge, error) {
	items := o.Items
	if items == nil {
		var err error
		if items, err = Gold(); err != nil {
			return nil, nil, err
		}
	}
	judges := map[string]*Judge{}
	var cases []graded
	for i := range items {
		item := &items[i]
		if o.Only != nil && !slices.Contains(o.Only, item.Rubric) {
			continue
		}
		if judges[item.Rubric] == nil {
			r := o.Rubrics[item.Rubric]
			var err error
			if r == nil {
				if r, err = FindRubric(item.Rubric); err != nil {
					return nil, nil, err
				}
			}
			if judges[item.Rubric], err = New(m, r, o.Judge); err != nil {
				return nil, nil, err
			}
		}
		r := judges[item.Rubric].rubric
		if err := item.fits(r); err != nil {
			return nil, nil, because.E(opCheck, item.ID, err, "")
		}
		cases = append(cases, graded{item: item, rubric: r})
	}
	if len(cases) == 0 {
		return nil, nil, because.E(opCheck, m.Name(), errors.New("there are no labelled cases"), "choose a rubric that has some")
	}
	return cases, judges, nil
}

// fits tells whether an item's labels answer the rubric's questions, each once.
func (i *Item) fits(r *Rubric) error {
	for _, id := range slices.Sorted(maps.Keys(i.Expect)) {
		q := r.Question(id)
		if q == nil {
			return fmt.Errorf("rubric %s has no question %q", r.Name, id)
		}
		if !slices.Contains(q.Answers(), i.Expect[id]) {
			return fmt.Errorf("%q is no answer to %s", i.Expect[id], id)
		}
	}
	if len(i.Expect) != len(r.Questions) {
		return fmt.Errorf("%d of the %d questions of rubric %s are answered", len(i.Expect), len(r.Questions), r.Name)
	}
	return nil
}

// answer is the judge's label of a question.
func (g *graded) answer(question string) string {
	f, err := g.verdict.Finding(question)
	if err != nil {
		return undecided
	}
	return f.Answer
}

func (g *graded) agrees() bool {
	for q, want := range g.item.Expect {
		if g.answer(q) != want {
			return false
		}
	}
	return true
}

func (o CheckOptions) report(name string, cases []graded) Report {
	r := Report{Judge: name, Seed: o.Seed, Votes: max(1, o.Judge.Votes), Misses: []Miss{}}
	plain := func(g *graded) bool { return !g.item.Adversarial }
	r.All = share("all", cases, plain)
	r.Adversarial = share("adversarial", cases, func(g *graded) bool { return g.item.Adversarial })
	for _, kind := range itemKinds {
		r.Kinds = append(r.Kinds, share(kind, cases, func(g *graded) bool { return plain(g) && g.item.Kind == kind }))
	}
	seen := map[string]bool{}
	for i := range cases {
		g := &cases[i]
		r.Usage.Add(g.verdict.Usage)
		r.Misses = append(r.Misses, g.misses()...)
		if seen[g.rubric.Name] {
			continue
		}
		seen[g.rubric.Name] = true
		ofRubric := func(x *graded) bool { return plain(x) && x.rubric == g.rubric }
		r.Rubrics = append(r.Rubrics, share(g.rubric.Name, cases, ofRubric))
		for k := range g.rubric.Questions {
			r.Matrices = append(r.Matrices, matrix(g.rubric, &g.rubric.Questions[k], cases, ofRubric))
		}
	}
	return r
}

func share(name string, cases []graded, in func(*graded) bool) Share {
	s := Share{Name: name}
	for i := range cases {
		g := &cases[i]
		switch {
		case !in(g):
		case g.err != nil:
			s.Errors++
		default:
			s.N++
			if g.agrees() {
				s.Agreed++
			}
		}
	}
	s.Lo, s.Hi = stats.Wilson(s.Agreed, s.N, level)
	if s.N > 0 {
		s.Rate = finite(float64(s.Agreed) / float64(s.N))
	}
	return s
}

func matrix(r *Rubric, q *Question, cases []graded, in func(*graded) bool) Matrix {
	m := Matrix{Rubric: r.Name, Question: q.ID}
	var label, judge []string
	for i := range cases {
		g := &cases[i]
		switch {
		case !in(g):
		case g.err != nil:
			m.Errors++
		default:
			label, judge = append(label, g.item.Expect[q.ID]), append(judge, g.answer(q.ID))
		}
	}
	a := stats.Agree(label, judge, level)
	m.N, m.Agreed, m.Labels, m.Counts, m.Warnings = a.N, a.Agreed, a.Labels, a.Counts, a.Warnings
	m.Rate, m.Lo, m.Hi = finite(a.Rate), a.Lo, a.Hi
	m.Kappa, m.KappaLo, m.KappaHi = finite(a.Kappa), finite(a.KappaLo), finite(a.KappaHi)
	return m
}

// finite is a number as JSON can hold it.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func (g *graded) misses() []Miss {
	base := Miss{Item: g.item.ID, Kind: g.item.Kind, Adversarial: g.item.Adversarial, Because: g.item.Why}
	if g.err != nil {
		base.Error = g.err.Error()
		return []Miss{base}
	}
	var out []Miss
	for _, q := range g.rubric.Questions {
		want, got := g.item.Expect[q.ID], g.answer(q.ID)
		if want == got {
			continue
		}
		m := base
		m.Question, m.Want, m.Got = q.ID, want, got
		for _, f := range g.verdict.Findings {
			if f.Question == q.ID {
				m.Why = f.Why().Why
			}
		}
		out = append(out, m)
	}
	return out
}
