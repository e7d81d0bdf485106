package eval

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval/evallog"
	"github.com/because-lab/because/model"
)

// Options say how a task is run. Models, Seed, Epochs and Limit are identity; the rest changes no result of a model that
// answers the same seed in the same way.
type Options struct {
	// Models are those that take part, by role. There must be a Target.
	Models map[string]because.Chat
	Seed   uint64
	Epochs int // how often each sample is run; 0 means 1
	Limit  int // of samples, the first ones; 0 means all

	// Log is the file of the log. Where it exists, the run goes on from it.
	Log string
	// InFlight bounds the samples that are in progress at once; 0 means 64.
	InFlight int
	// FailOnError is the share of samples (below 1) or their number (from 1) up to which errors are tolerated. A run with more
	// goes on to its end and then counts as failed. Negative: any number.
	FailOnError float64
	Progress    func(Progress) // may be nil; called by one goroutine at a time
	// Findings stand in the log beside the results, such as the verdict on validity. They are no part of what a run is.
	Findings map[string]any
	// Versions are written into the log as its packages.
	Versions map[string]string
}

// Progress is how far a run is.
type Progress struct {
	Done, Total, Errors int
	Resumed             int // of those done, by an earlier run
	Tokens              int // read and written since the start
}

// Result is how a run ended.
type Result struct {
	*Results
	Log     string
	Status  evallog.Status
	Resumed int // samples that an earlier run had finished
}

// Run runs a task and writes its log. Cancelled, it leaves a log from which the same call goes on, and gives
// because.ErrInterrupted. An error of a model that will not pass, such as a wrong key, ends the run in the same way with that
// error. Errors of samples are counted; with more than tolerated the Result has status Failed, and the same call repeats those
// samples alone.
func Run(ctx context.Context, t Task, o Options) (*Result, error) {
	r, err := newRun(&t, o)
	if err != nil {
		return nil, because.E("evaluate", t.Name, err, because.Hint(err))
	}
	if err := r.open(); err != nil {
		return nil, err
	}
	defer r.log.Close()
	ctx, r.stop = context.WithCancelCause(ctx)
	defer r.stop(nil)
	r.report()
	r.all(ctx)
	return r.end(ctx)
}

// run is a task being run.
type run struct {
	task  *Task
	o     Options
	n     int // samples
	total int // times epochs
	log   *evallog.Writer
	done  evallog.Done
	stop  context.CancelCauseFunc
	next  atomic.Int64
	began time.Time
	// writing bounds the samples that are encoded at once: each takes buffers, and more than there are processors gains nothing.
	writing chan struct{}
	mu      sync.Mutex // guards what follows and calls of Progress
	now     Progress
	broken  error // that ended the run
}

func newRun(t *Task, o Options) (*run, error) {
	switch {
	case t.Dataset.N < 1 || t.Dataset.At == nil:
		return nil, errors.New("its dataset is empty")
	case t.Solver == nil:
		return nil, errors.New("it has no solver")
	case len(t.Scorers) == 0:
		return nil, errors.New("it has no scorer")
	case o.Models[Target] == nil:
		return nil, errors.New("there is no model to evaluate")
	case o.Log == "":
		return nil, errors.New("there is no file for the log")
	case o.Epochs < 0 || o.Limit < 0 || o.InFlight < 0:
		return nil, errors.New("epochs, limit and samples in flight can't be negative")
	}
	names := map[string]bool{}
	for _, s := range t.Scorers {
		if names[s.Name()] {
			return nil, fmt.Errorf("two scorers are called %s", s.Name())
		}
		names[s.Name()] = true
	}
	o.Epochs = max(1, o.Epochs)
	if o.InFlight == 0 {
		o.InFlight = 64
	}
	r := &run{task: t, o: o, n: t.Dataset.N, began: time.Now(), writing: make(chan struct{}, runtime.GOMAXPROCS(0))}
	if o.Limit > 0 {
		r.n = min(r.n, o.Limit)
	}
	r.total = r.n * o.Epochs
	return r, nil
}

// open creates the log, or goes on from the one that is there.
func (r *run) open() error {
	start, err := r.start()
	if err != nil {
		return because.E("evaluate", r.task.Name, err, "")
	}
	if err := os.MkdirAll(filepath.Dir(r.o.Log), 0o777); err != nil {
		return because.E("evaluate", r.o.Log, err, "")
	}
	if evallog.Exists(r.o.Log) {
		r.log, r.done, err = evallog.Resume(r.o.Log, start)
	} else {
		r.log, err = evallog.Create(r.o.Log, start)
	}
	if err != nil {
		return err
	}
	r.now.Total = r.total
	for _, failed := range r.done {
		if !failed {
			r.now.Resumed++
		}
	}
	r.now.Done = r.now.Resumed
	return nil
}

// all runs the samples that are not done, each in one of a bounded number of goroutines.
func (r *run) all(ctx context.Context) {
	var wg sync.WaitGroup
	for range min(r.o.InFlight, r.total-r.now.Resumed) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(r.next.Add(1)) - 1
				if i >= r.total {
					return
				}
				r.one(ctx, i%r.n, i/r.n+1)
			}
		})
	}
	wg.Wait()
}

// one runs a sample unless it is done. What the run's end cut off is not written: the next run repeats it.
func (r *run) one(ctx context.Context, i, epoch int) {
	sample, err := r.task.Dataset.At(i)
	if err != nil {
		r.fail(because.E("evaluate", r.task.Name, fmt.Errorf("sample %d of %s: %w", i+1, r.task.Dataset.Name, err), ""))
		return
	}
	if failed, ok := r.done[evallog.Key{ID: evallog.StringID(sample.ID), Epoch: epoch}]; ok && !failed {
		return
	}
	s := newState(r.task, sample, epoch, mix(mix(r.o.Seed, hash(sample.ID)), uint64(epoch)), uint64(r.began.UnixNano()), r.o.Models)
	scores, err := r.solve(ctx, s)
	if e := (*model.Error)(nil); errors.As(err, &e) && e.Hopeless() {
		r.fail(err)
		return
	}
	if ctx.Err() != nil {
		return
	}
	if err := r.write(s, scores, err); err != nil {
		r.fail(err)
		return
	}
	r.count(s, err)
}

// write puts a sample that ended into the log.
func (r *run) write(s *State, scores map[string]because.Score, err error) error {
	r.writing <- struct{}{}
	defer func() { <-r.writing }()
	return r.log.Sample(s.sample(scores, err))
}

// solve lets the solver and the scorers work on a sample. A panic is an error of the sample.
func (r *run) solve(ctx context.Context, s *State) (scores map[string]because.Score, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err := s.solve(ctx); err != nil {
		return nil, err
	}
	switch {
	case s.asked[Target] == 0 && s.limit != "":
		return nil, fmt.Errorf("the target was never asked: the sample reached its %s limit first", s.limit)
	case s.asked[Target] == 0:
		return nil, errors.New("the target was never asked")
	}
	scores = make(map[string]because.Score, len(r.task.Scorers))
	for _, scorer := range r.task.Scorers {
		score, err := s.scored(ctx, scorer)
		if err != nil {
			return nil, fmt.Errorf("score %s: %w", scorer.Name(), err)
		}
		scores[scorer.Name()] = score
	}
	return scores, nil
}

// solve runs the solver within the time limit.
func (s *State) solve(ctx context.Context) error {
	inTime := ctx
	if limit := s.task.Limits.Time; limit > 0 {
		var cancel context.CancelFunc
		inTime, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	err := s.task.Solver.Solve(inTime, s)
	switch {
	case errors.Is(err, errLimit):
		return nil
	case err != nil && inTime.Err() != nil && ctx.Err() == nil:
		s.limit = "time"
		delete(s.failed, Target)
		return nil
	}
	if err == nil {
		err = s.failed[Target] // a solver that hides it
	}
	return err
}

// scored gives one scorer's finding. What rests on a request that failed, or says nothing, is no score.
func (s *State) scored(ctx context.Context, scorer Scorer) (because.Score, error) {
	score, err := scorer.Score(ctx, s)
	if err != nil {
		return score, err
	}
	for role, err := range s.failed {
		return score, fmt.Errorf("the %s gave no answer: %w", role, err)
	}
	switch {
	case score.Outcome == "" && score.Value == nil:
		return score, errors.New("the scorer gave no outcome")
	case score.Outcome == because.Failed:
		return score, errors.New(score.Why)
	}
	s.record.score(s, scorer.Name(), score)
	return score, nil
}

// fail ends the run with an error, the first one that came.
func (r *run) fail(err error) {
	r.mu.Lock()
	if r.broken == nil {
		r.broken = err
	}
	r.mu.Unlock()
	r.stop(err)
}

// count reports a sample that ended.
func (r *run) count(s *State, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now.Done++
	if err != nil {
		r.now.Errors++
	}
	for _, u := range s.usage {
		r.now.Tokens += u.Total()
	}
	if r.o.Progress != nil {
		r.o.Progress(r.now)
	}
}

func (r *run) report() {
	if r.o.Progress != nil {
		r.o.Progress(r.now)
	}
}
