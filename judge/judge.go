package judge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
	"golang.org/x/sync/errgroup"
)

const opJudge = "judge"

// Options say how a judge is asked. The zero value asks once, by prompt, and again up to twice where the answer can't be read.
type Options struct {
	// Votes is how often each subject is graded, with other seeds and orders; odd. 0 means 1. Each vote on a pair is two requests.
	Votes int
	// Attempts is how many answers a vote may take until one can be read. 0 means 3.
	Attempts int
	// Schema asks for structured output (because.Request.Format). A model that rejects it is asked by prompt from then on.
	Schema bool
	// Fixed keeps questions and answers in the rubric's order, instead of drawing an order for each vote.
	Fixed bool
	// Anonymous hides the names of the material's makers (Subject.By and Names) from the judge.
	Anonymous bool
	// MaxBytes is the room for material and facts in a request; a token is some four bytes of English. Longer transcripts lose
	// the texts in their middle, which is stated to the judge and in the verdict. 0 means 200,000.
	MaxBytes int
	// MaxTokens, Temperature and Effort are those of the requests.
	MaxTokens   int
	Temperature float64
	Effort      string
	// Prompt replaces DefaultPrompt.
	Prompt *Prompt
}

func (o Options) filled() (Options, error) {
	if o.Votes == 0 {
		o.Votes = 1
	}
	if o.Attempts == 0 {
		o.Attempts = 3
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 200_000
	}
	if o.Prompt == nil {
		o.Prompt = DefaultPrompt()
	}
	switch {
	case o.Votes < 0 || o.Votes%2 == 0 || o.Votes > maxVotes:
		return o, fmt.Errorf("%d votes; an odd number up to %d lets a majority decide", o.Votes, maxVotes)
	case o.Attempts < 0 || o.Attempts > maxAttempts:
		return o, fmt.Errorf("%d attempts; there may be 1 to %d", o.Attempts, maxAttempts)
	case o.MaxBytes < minBytes:
		return o, fmt.Errorf("room for %d bytes of material; at least %d are needed", o.MaxBytes, minBytes)
	}
	return o, nil
}

const (
	maxVotes    = 31
	maxAttempts = 20
	minBytes    = 2000
)

// Judge grades subjects by one rubric with one model. Many goroutines may use it.
type Judge struct {
	model    because.Chat
	rubric   *Rubric
	options  Options
	noFormat atomic.Bool // the model has rejected structured output
}

// New makes a judge.
func New(m because.Chat, r *Rubric, o Options) (*Judge, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	o, err := o.filled()
	if err != nil {
		return nil, because.E(opJudge, r.Name, err, "")
	}
	return &Judge{model: m, rubric: r, options: o}, nil
}

// Rubric gives the judge's rubric.
func (j *Judge) Rubric() *Rubric { return j.rubric }

// Hash identifies what decides a grade beside the material and the seed: the model's name, rubric, prompt and options.
func (j *Judge) Hash() string {
	o := j.options
	o.Prompt = nil
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %#v", j.model.Name(), j.rubric.Hash(), j.options.Prompt.Hash(), o))
	return hex.EncodeToString(sum[:])[:16]
}

// Unparsable says that a judge gave no valid answer in all its attempts. It is an error, never a grade.
type Unparsable struct {
	Vote       int // from 1
	Complaints []string
	Answer     string // the last one
}

func (u *Unparsable) Error() string {
	return fmt.Sprintf("vote %d: no valid answer in %s; the last time: %s", u.Vote, count(len(u.Complaints), "attempt"), u.Complaints[len(u.Complaints)-1])
}

// Grade grades a subject. The verdict's findings stand in the rubric's order; those on which the votes are divided are undecided.
// A vote that can't be read makes the whole grade an error (Unparsable), as do errors of the model.
func (j *Judge) Grade(ctx context.Context, seed uint64, s Subject) (Verdict, error) {
	polled := make([]vote, j.options.Votes)
	var g errgroup.Group
	g.SetLimit(maxAtOnce)
	for k := range polled {
		g.Go(func() error {
			polled[k] = j.poll(ctx, seed, k, s)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return Verdict{}, err
	}
	v := Verdict{Rubric: j.rubric.Name, Judge: j.model.Name(), Votes: len(polled)}
	for _, p := range polled {
		v.Usage.Add(p.usage)
		v.Asked += p.asked
	}
	for _, p := range polled {
		if p.err != nil {
			return v, because.E(opJudge, j.rubric.Name+" with "+j.model.Name(), p.err, hint(p.err))
		}
		v.LeftOut = p.leftOut
	}
	j.tally(&v, polled)
	v.SelfJudged = sameModel(j.model.Name(), s.By)
	return v, nil
}

// maxAtOnce bounds the votes of one subject that are asked for at the same time.
const maxAtOnce = 8

func hint(err error) string {
	var unparsable *Unparsable
	switch {
	case errors.As(err, &unparsable):
		return "use a more capable judge, ask for structured output, or allow more attempts"
	case model.KindOf(err) == model.TooLong:
		return "leave less room for material (MaxBytes)"
	}
	return ""
}

// vote is one reading of the subject: for a pair, of both orders.
type vote struct {
	papers  []map[string]Mark
	leftOut LeftOut
	usage   because.Usage
	asked   int
	err     error
}

func (j *Judge) poll(ctx context.Context, seed uint64, k int, s Subject) vote {
	var v vote
	orders := []bool{false}
	if j.rubric.About == Pair {
		orders = []bool{false, true}
	}
	for _, swapped := range orders {
		b, err := newBallot(j.rubric, s, seed, k, swapped, j.options)
		if err != nil {
			v.err = err
			return v
		}
		v.leftOut = b.leftOut
		marks, err := j.ask(ctx, b, stream(seed, "answers", j.rubric.Name, fmt.Sprint(k, swapped)).Uint64, k, &v)
		if err != nil {
			v.err = err
			return v
		}
		v.papers = append(v.papers, marks)
	}
	return v
}

// ask puts a ballot to the model until the answer is valid.
func (j *Judge) ask(ctx context.Context, b *ballot, seeds func() uint64, k int, v *vote) (map[string]Mark, error) {
	messages := b.messages(j.options.Prompt)
	format, err := b.schema()
	if err != nil {
		return nil, err
	}
	failed := &Unparsable{Vote: k + 1}
	for range j.options.Attempts {
		r, err := j.answer(ctx, seeds(), messages, format, v)
		if err != nil {
			return nil, err
		}
		marks, err := b.read(r.Text)
		switch r.Stop {
		case because.StopFilter:
			err = errors.New("the provider's own filter ended it")
		case because.StopLength:
			if err != nil {
				err = fmt.Errorf("it ran into the limit on its length, so keep it short: %w", err)
			}
		}
		if err == nil {
			return marks, nil
		}
		failed.Complaints = append(failed.Complaints, err.Error())
		failed.Answer = r.Text
		messages = append(messages[:len(messages):len(messages)],
			because.Message{Role: because.RoleAssistant, Content: kept(r.Text)},
			because.Message{Role: because.RoleUser, Content: b.complain(err)})
	}
	return nil, failed
}

// kept is as much of a failed answer as the next attempt is shown; some providers refuse an empty turn.
func kept(answer string) string {
	const most = 4000
	switch {
	case answer == "":
		return "(no answer)"
	case len(answer) > most:
		return before(answer, most) + " …"
	}
	return answer
}

// complain asks again, saying just what was wrong.
func (b *ballot) complain(err error) string {
	return "That answer can't be used:\n\n" + err.Error() + "\n\n" + b.format()
}

// answer asks the model once, with structured output if it is wanted and the model has not rejected it.
func (j *Judge) answer(ctx context.Context, seed uint64, messages []because.Message, format *because.Schema, v *vote) (because.Response, error) {
	r := because.Request{Messages: messages, MaxTokens: j.options.MaxTokens, Temperature: j.options.Temperature, Effort: j.options.Effort}
	if j.options.Schema && !j.noFormat.Load() {
		r.Format = format
	}
	v.asked++
	a, err := j.model.Answer(ctx, seed, r)
	if r.Format != nil && model.KindOf(err) == model.Rejected {
		r.Format = nil
		v.asked++
		if a, err = j.model.Answer(ctx, seed, r); err == nil {
			j.noFormat.Store(true)
		}
	}
	v.usage.Add(a.Usage)
	return a, err
}
