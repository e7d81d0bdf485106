package checkpoint

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval"
	"github.com/because-lab/because/eval/batch"
	"github.com/because-lab/because/eval/evallog"
)

// inFlight bounds the samples of one evaluation that are under way at once.
const inFlight = 32

// Eval evaluates a model. The run's own log holds times, so it is no part of what a step leaves: samples.jsonl has what was answered and found.
func (t *Target) Eval(ctx context.Context, o batch.Order, w because.Work) error {
	tk, s, err := t.task(o)
	if err != nil {
		return err
	}
	chosen, err := tk.choose(o)
	if err != nil {
		return err
	}
	target, stop, err := t.open(ctx, s, w)
	if err != nil {
		return err
	}
	defer stop()
	models := map[string]because.Chat{eval.Target: target}
	if tk.judged {
		if models[eval.Judge], err = t.o.Models(ctx, s.Judge); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "because-eval-")
	if err != nil {
		return because.E("evaluate", o.Task, err, "")
	}
	defer os.RemoveAll(dir)
	scored, err := tk.run(ctx, o, chosen, models, filepath.Join(dir, "log.eval"), w)
	if err != nil {
		return err
	}
	return batch.Write(w.Out, scored, tally(o, tk, scored))
}

// choose gives the places of the samples that are run: all, or as many as are ordered, drawn by the seed. All models get the same.
func (tk task) choose(o batch.Order) ([]int, error) {
	n := tk.Dataset.N
	if n < o.Samples {
		return nil, because.E("evaluate", o.Task, fmt.Errorf("it has %d samples, and %d are asked for", n, o.Samples), fmt.Sprintf("ask for samples: %d at most", n))
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	if !tk.pick {
		return all, nil
	}
	drawn := stream(o.Seed, "eval/"+o.Task).Perm(n)[:o.Samples]
	slices.Sort(drawn)
	return drawn, nil
}

// run runs the samples and gives how they went.
func (tk task) run(ctx context.Context, o batch.Order, chosen []int, models map[string]because.Chat, log string, w because.Work) ([]batch.Scored, error) {
	samples := make([]because.Sample, len(chosen))
	for i, at := range chosen {
		var err error
		if samples[i], err = tk.Dataset.At(at); err != nil {
			return nil, err
		}
	}
	t := tk.Task
	t.Dataset = eval.Samples(t.Dataset.Name, t.Dataset.Version, samples)
	note := newNotes()
	t.Solver = note.solver(t.Solver)
	t.Scorers = note.scorers(t.Scorers)
	_, err := eval.Run(ctx, t, eval.Options{Models: models, Seed: o.Seed, Log: log, InFlight: inFlight, FailOnError: -1, Progress: func(p eval.Progress) {
		text := ""
		if p.Errors > 0 {
			text = fmt.Sprintf("%d errors", p.Errors)
		}
		w.Report(float64(p.Done), float64(p.Total), "samples", text)
	}})
	if err != nil {
		return nil, err
	}
	failed, err := failures(log, len(samples))
	if err != nil {
		return nil, err
	}
	var out []batch.Scored
	for i, s := range samples {
		out = append(out, tk.scored(chosen[i], s, note.of(s.ID), failed[s.ID]))
	}
	if len(failed) == len(samples) {
		return nil, because.E("evaluate", o.Task, fmt.Errorf("every one of its %d samples ended in an error; the first: %s", len(samples), out[0].Error), "")
	}
	return out, nil
}

// failures gives why samples failed, by their IDs.
func failures(log string, n int) (map[string]string, error) {
	r, err := evallog.Open(log)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	rows, err := r.Summaries(0, n)
	if err != nil {
		return nil, err
	}
	if len(rows) != n {
		return nil, because.E("evaluate", log, fmt.Errorf("%d of %d samples are in the log", len(rows), n), "")
	}
	out := map[string]string{}
	for _, row := range rows {
		if row.Error != "" {
			out[row.ID.String()] = row.Error
		}
	}
	return out, nil
}

// scored says how one sample went; failed is why it failed, or "".
func (tk task) scored(at int, s because.Sample, f found, failed string) batch.Scored {
	if failed == "" {
		f = tk.outcome(f)
		if failed = f.score.Why; f.score.Outcome != because.Failed && slices.Contains(tk.outcomes, f.score.Outcome) {
			return batch.Scored{Sample: s, Answer: tk.answer(at, f), Stop: f.stop, Score: f.score}
		}
		if f.score.Outcome != because.Failed {
			failed = fmt.Sprintf("the outcome %q is none that is counted", f.score.Outcome)
		}
	}
	return batch.Scored{Sample: s, Answer: transcript(f.turns), Stop: f.stop, Score: because.Score{Outcome: because.Failed, Why: failed}, Error: failed}
}

// tally counts.
func tally(o batch.Order, tk task, scored []batch.Scored) batch.Counts {
	c := batch.Counts{Task: o.Task, N: len(scored), Outcomes: map[string]int{}, Groups: map[string]map[string]int{}}
	for _, s := range scored {
		outcome := string(s.Score.Outcome)
		c.Outcomes[outcome]++
		for _, g := range groupsOf(s.Sample, tk.by) {
			if c.Groups[g] == nil {
				c.Groups[g] = map[string]int{}
			}
			c.Groups[g][outcome]++
		}
	}
	return c
}

// notes remember what scorers found, which the log keeps in another form.
type notes struct {
	mu sync.Mutex
	by map[string]found // by sample
}

func newNotes() *notes { return &notes{by: map[string]found{}} }

func (n *notes) of(id string) found {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.by[id]
}

func (n *notes) change(id string, how func(*found)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.by[id]
	how(&f)
	n.by[id] = f
}

// solver remembers the conversation.
func (n *notes) solver(s eval.Solver) eval.Solver {
	return eval.SolverFunc(func(ctx context.Context, state *eval.State) error {
		err := s.Solve(ctx, state)
		n.change(state.Sample.ID, func(f *found) {
			if begun := len(state.Sample.Input); begun < len(state.Messages) {
				f.turns = slices.Clone(state.Messages[begun:])
			}
			f.stop = state.Output.Stop
		})
		return err
	})
}

// scorers remember what they find.
func (n *notes) scorers(all []eval.Scorer) []eval.Scorer {
	out := make([]eval.Scorer, len(all))
	for i, s := range all {
		out[i] = eval.NewGrade(s.Name(), func(ctx context.Context, state *eval.State) (because.Score, error) {
			score, err := s.Score(ctx, state)
			if err == nil {
				n.change(state.Sample.ID, func(f *found) {
					if f.scores == nil {
						f.scores = map[string]because.Score{}
					}
					f.scores[s.Name()] = score
				})
			}
			return score, err
		})
	}
	return out
}
