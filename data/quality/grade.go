package quality

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/because-lab/because"
	"github.com/because-lab/because/constitution"
	"github.com/because-lab/because/data/columns"
	"github.com/because-lab/because/judge"
	"github.com/because-lab/because/model"
)

const opGrade = "grade records"

// GradeOptions say how a judge grades records.
type GradeOptions struct {
	Judge   judge.Options
	Rubrics []*judge.Rubric // about transcripts or documents; they may ask for the facts excerpt and constitution
	// Constitution gives those facts; nil where no rubric needs them.
	Constitution *constitution.Constitution
	File         string // sha256 of the file, for the card
	Records      int    // in the file
	Limit        int    // records to grade, drawn by Seed; 0: all
	Seed         uint64
	Workers      int              // records that are graded at the same time; 0: 4
	Progress     because.Progress // may be nil
}

// ErrNoConstitution says that a rubric compares with a constitution and none was given.
var ErrNoConstitution = errors.New("the rubric compares with a constitution")

// Check finds what makes rubrics unusable for records: those of pairs, one that comes twice, and facts that are not to be had.
func (o GradeOptions) Check() error {
	for i, r := range o.Rubrics {
		if slices.ContainsFunc(o.Rubrics[:i], func(other *judge.Rubric) bool { return other.Name == r.Name }) {
			return because.E(opGrade, r.Name, errors.New("the rubric is named twice"), "")
		}
		if r.About == judge.Pair {
			return because.E(opGrade, r.Name, errors.New("the rubric compares pairs"), "choose one about transcripts or documents")
		}
		for _, f := range r.Facts {
			switch {
			case f.Optional:
			case !slices.Contains(constitutional, f.Name):
				return because.E(opGrade, r.Name, fmt.Errorf("the rubric needs the fact %q, which records don't have", f.Name), "choose a rubric that needs excerpt, constitution or nothing")
			case o.Constitution == nil:
				return because.E(opGrade, r.Name, ErrNoConstitution, "name one")
			}
		}
	}
	return nil
}

// constitutional are the facts that come from the constitution.
var constitutional = []string{"excerpt", "constitution"}

// needs tells whether a rubric has to be told something of the constitution.
func needs(r *judge.Rubric) bool {
	return slices.ContainsFunc(r.Facts, func(f judge.Fact) bool { return !f.Optional && slices.Contains(constitutional, f.Name) })
}

// Grade lets a judge grade records by rubrics. A record's seed comes from Seed and its row, so kept answers serve a larger Limit too. An answer
// that can't be used is counted; an error that every further request would meet, such as a refused key, ends it.
func Grade(ctx context.Context, rows iter.Seq2[columns.Row, error], m because.Chat, o GradeOptions) ([]Judged, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	drawn := Draw(o.Records, o.Limit, o.Seed)
	g := &grader{o: o, total: len(drawn) * len(o.Rubrics)}
	for _, r := range o.Rubrics {
		j, err := judge.New(m, r, o.Judge)
		if err != nil {
			return nil, err
		}
		g.judges = append(g.judges, j)
		g.grades = append(g.grades, make([]grade, len(drawn)))
	}
	if o.Workers < 1 {
		o.Workers = 4
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(o.Workers)
	err := g.each(ctx, rows, drawn, group)
	if failed := group.Wait(); failed != nil {
		err = failed // of which the other is a consequence
	}
	if err != nil {
		return nil, because.E(opGrade, m.Name(), err, because.Hint(err))
	}
	var out []Judged
	for k := range g.judges {
		out = append(out, g.judged(k, m.Name()))
	}
	return out, nil
}

// grader grades the drawn records.
type grader struct {
	o      GradeOptions
	judges []*judge.Judge
	grades [][]grade // by judge and place in the draw; each is written by one goroutine
	total  int

	mu   sync.Mutex
	done int
}

// grade is what became of one record under one rubric.
type grade struct {
	verdict judge.Verdict
	excerpt string // how it was chosen
	without bool
	err     error
}

// each reads the rows and has the drawn ones graded.
func (g *grader) each(ctx context.Context, rows iter.Seq2[columns.Row, error], drawn []int, group *errgroup.Group) error {
	row, next := -1, 0
	for r, err := range rows {
		if err != nil {
			return err
		}
		if row++; next == len(drawn) || row != drawn[next] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		for k := range g.judges {
			at := &g.grades[k][next]
			seed := seedOf(g.o.Seed, row)
			group.Go(func() error { return g.one(ctx, g.judges[k], r, seed, at) })
		}
		next++
	}
	if next < len(drawn) {
		return fmt.Errorf("the file has %d rows, and had %d before", row+1, g.o.Records)
	}
	return nil
}

// seedOf gives a row's seed.
func seedOf(seed uint64, row int) uint64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "grade records\x00%d %d", seed, row))
	return binary.LittleEndian.Uint64(sum[:8])
}

// one grades one record; its error ends the run.
func (g *grader) one(ctx context.Context, j *judge.Judge, r columns.Row, seed uint64, into *grade) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s, ok := subject(r, j.Rubric())
	into.without = !ok
	if ok {
		if needs(j.Rubric()) {
			s.Facts = map[string]string{}
			text, how := excerpt(g.o.Constitution, r)
			into.excerpt = how
			for _, f := range j.Rubric().Facts {
				if slices.Contains(constitutional, f.Name) {
					s.Facts[f.Name] = text
				}
			}
		}
		into.verdict, into.err = j.Grade(ctx, seed, s)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var e *model.Error
		if errors.As(into.err, &e) && e.Hopeless() {
			return into.err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done++
	because.Work{Progress: g.o.Progress}.Report(float64(g.done), float64(g.total), "grades", "")
	return nil
}

// judged counts what one judge found.
func (g *grader) judged(k int, name string) Judged {
	r := g.judges[k].Rubric()
	out := Judged{Judge: name, Rubric: r.Name, Hash: r.Hash(), Setup: g.judges[k].Hash(), File: g.o.File, Seed: g.o.Seed, Of: g.o.Records, Drawn: len(g.grades[k]),
		Reasons: map[string]int{}, Excerpts: map[string]int{}}
	if needs(r) {
		out.Constitution = g.o.Constitution.Name + "@" + g.o.Constitution.Hash()[:12]
	}
	var verdicts []judge.Verdict
	for _, x := range g.grades[k] {
		out.Requests += x.verdict.Asked
		out.Usage.Add(x.verdict.Usage)
		switch {
		case x.without:
			out.Without++
			continue
		case x.err != nil:
			reason, passes := whyNot(x.err)
			out.Reasons[reason]++
			if passes {
				out.Failed++
			} else {
				out.Unusable++
			}
			continue
		}
		verdicts = append(verdicts, x.verdict)
		if x.excerpt != "" {
			out.Excerpts[x.excerpt]++
		}
		if x.verdict.SelfJudged {
			out.SelfJudged++
		}
		if x.verdict.LeftOut.Bytes > 0 {
			out.Shortened++
		}
	}
	out.Graded = len(verdicts)
	out.Scores = scores(r, verdicts)
	return out
}

// whyNot says in a few words why there is no grade, and whether that may pass.
func whyNot(err error) (reason string, passes bool) {
	var unread *judge.Unparsable
	var e *model.Error
	switch {
	case errors.As(err, &unread):
		return "no valid answer in any attempt", false
	case errors.As(err, &e):
		return string(e.Kind), e.Passes()
	}
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return short(err.Error(), 100), false
}
