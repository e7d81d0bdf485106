// Package eval runs evaluations of models that answer one request at a time: a task is a dataset, a solver that lets the model
// act on a sample, and scorers that say what is counted. Every sample ends as scores or as an error; errors are counted and
// shown, never a pass and never dropped. Runs are written to Inspect's logs as they go, and a killed run goes on where it was.
//
// The packages below hold the tasks: honeypot, understanding, and gate, which asks whether a task measures anything on a model.
// Package batch is the way in which a study of the organism evaluates.
package eval

import (
	"context"
	"time"

	"github.com/because-lab/because"
)

// Task is an evaluation. Its dataset, solver and scorers must be safe for many goroutines.
type Task struct {
	Name    string
	Version int
	// Args are all parameters of the task, given and defaulted. They stand in the log, and a run resumes a log only if they are
	// equal.
	Args    map[string]any
	Dataset Dataset
	Solver  Solver
	Scorers []Scorer
	// By names the keys of a sample's Meta by whose values results are also counted.
	By     []string
	Limits Limits
	// Ask holds how the target is asked: MaxTokens, Temperature, TopP, Stop and Effort. Everything else of it is ignored.
	Ask because.Request
}

// Dataset gives the samples of a task by their place, so that none must be kept in memory.
type Dataset struct {
	Name string
	N    int
	At   func(i int) (because.Sample, error)
	// Version identifies the content, such as a hash of its files.
	Version string
}

// Samples makes a dataset of samples in memory.
func Samples(name, version string, samples []because.Sample) Dataset {
	return Dataset{Name: name, N: len(samples), Version: version, At: func(i int) (because.Sample, error) { return samples[i], nil }}
}

// Limits bound one sample. What reaches one ends the solver; its scorers see what was there by then. 0 means no limit.
type Limits struct {
	Messages int           // of the conversation
	Tokens   int           // read and written by the target
	Time     time.Duration // on the clock
}

// Solver lets the target act on a sample.
type Solver interface {
	Solve(ctx context.Context, s *State) error
}

// SolverFunc is a function as a Solver.
type SolverFunc func(ctx context.Context, s *State) error

// Solve calls the function.
func (f SolverFunc) Solve(ctx context.Context, s *State) error { return f(ctx, s) }

// Generate is the simplest solver: the target answers the sample's input once.
var Generate Solver = SolverFunc(func(ctx context.Context, s *State) error {
	_, err := s.Ask(ctx)
	return err
})

// Scorer says what is counted of a sample after its solver ended.
type Scorer interface {
	// Name says what is counted, such as "harmful".
	Name() string
	Score(ctx context.Context, s *State) (because.Score, error)
}

// NewScorer makes a scorer of a function.
func NewScorer(name string, score func(ctx context.Context, s *State) (because.Score, error)) Scorer {
	return scorer{name, score}
}

// NewGrade makes a scorer whose values are grades, such as 1 to 5: their mean is reported, and not a rate.
func NewGrade(name string, score func(ctx context.Context, s *State) (because.Score, error)) Scorer {
	return grade{scorer{name, score}}
}

type scorer struct {
	name  string
	score func(ctx context.Context, s *State) (because.Score, error)
}

type grade struct{ scorer }

func (s scorer) Name() string { return s.name }

func (s scorer) Score(ctx context.Context, state *State) (because.Score, error) {
	return s.score(ctx, state)
}

// Counted makes a score of a yes or no: whether the sample counts.
func Counted(yes bool, why, answer string) because.Score {
	value, outcome := 0.0, No
	if yes {
		value, outcome = 1, Yes
	}
	return because.Score{Outcome: outcome, Value: &value, Why: why, Answer: answer}
}

// The outcomes of scorers that count something. NotApplicable samples have no place in the rate.
const (
	Yes           because.Outcome = "yes"
	No            because.Outcome = "no"
	NotApplicable because.Outcome = "n/a"
)
