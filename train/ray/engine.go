package ray

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/internal/storage"
	"github.com/because-lab/because/train"
)

// EngineName stands in the versions of the steps that a cluster runs: change its number when the engine trains otherwise than before.
const EngineName = "ray/1"

// Engine trains and serves the checkpoints of a study on a cluster: a train.Engine. Models, data too large to be sent along and results are in Storage,
// named after their contents, so that a study that is started again finds its jobs and what they made.
type Engine struct {
	Client  *Client
	Storage string // URI that this machine and the cluster reach
	Files   fs.FS  // the Python package: engines/ray
	Run     Run    // how jobs run; Out is set for each
	DType   string // of the weights while training
	Micro   int    // rows that a worker takes through the model at once; 0: 8
	Env     map[string]string
	Pip     []string
	Python  string
	Offer   func(ctx context.Context) (*Rewards, error) // opens the place where jobs get their rewards, when the first job of RL wants it; nil: there is none
	Replica Replica                                     // how models are served
	Warn    func(message string)                        // told what a job warns of, such as a lost node; nil: nobody is
	Owner   string                                      // ends the names of applications: one process at a time serves under it, and takes up what the last has left; empty: none

	served served
	linger time.Duration // of an application without users; 0: lingering

	opening sync.Mutex
	rewards *Rewards
}

var _ train.Engine = (*Engine)(nil)

// Name tells this engine's arithmetic from others'.
func (e *Engine) Name() string { return EngineName + "/" + e.DType }

// Finetune trains on the cluster. When ctx ends the job goes on, and the same order finds it again.
func (e *Engine) Finetune(ctx context.Context, o train.Order) (train.Run, error) {
	if err := e.makeRoom(ctx); err != nil {
		return train.Run{}, err
	}
	job, err := e.job(ctx, &o)
	if err != nil {
		return train.Run{}, err
	}
	if o.Method == train.RL {
		rewards, err := e.place(ctx)
		if err != nil {
			return train.Run{}, err
		}
		done, err := rewards.offer(o.Reward, &job)
		if err != nil {
			return train.Run{}, err
		}
		defer done()
	}
	job.Run = e.Run
	job.Run.Out = e.Storage + "/runs/" + Key(job)[:16]
	order := Order{Job: job, Engine: e.Files, Data: o.Rows, Env: e.Env, Pip: e.Pip, Python: e.Python}
	run, err := e.see(ctx, o, order)
	if errors.Is(err, storage.ErrNotFound) { // the cluster remembers the job, and what it made is gone
		order.Fresh = true
		run, err = e.see(ctx, o, order)
	}
	return run, err
}

// place gives the place of rewards, which it opens the first time.
func (e *Engine) place(ctx context.Context) (*Rewards, error) {
	e.opening.Lock()
	defer e.opening.Unlock()
	if e.rewards == nil {
		r, err := e.Offer(context.WithoutCancel(ctx))
		if err != nil {
			return nil, err
		}
		e.rewards = r
	}
	return e.rewards, nil
}

// job says what to train on, and how.
func (e *Engine) job(ctx context.Context, o *train.Order) (Job, error) {
	j := Job{Version: JobVersion, Method: o.Method, DType: e.DType, Seed: o.Seed, Ordered: true, Rows: o.Batch, Micro: e.Micro, SeqLen: o.SeqLen, Long: o.Long,
		LR: o.LR, Schedule: o.Schedule, Floor: o.Floor, Warmup: o.Warmup, Beta1: 0.9, Beta2: o.Beta2, Eps: 1e-8, Decay: o.Decay, Clip: o.Clip, Epochs: 1}
	if j.Micro == 0 {
		j.Micro = 8
	}
	if j.Beta2 == 0 {
		j.Beta2 = 0.999
	}
	if o.Rank > 0 {
		j.LoRA = &LoRA{Rank: o.Rank, Alpha: 2 * float64(o.Rank), Targets: llama.LoRATargets(), Merge: true}
	}
	if o.Method == train.RL {
		if e.Offer == nil || o.Reward == nil {
			return j, because.E("train", EngineName, errors.New("RL has no reward"), "give the address at which the cluster reaches this machine: train: {reward: http://me:8090}")
		}
		j.Rows, j.Epochs, j.Steps, j.Snapshots = o.Prompts*o.Group, 0, o.Steps, o.Snapshots
		j.GRPO = &GRPO{Group: o.Group, MaxTokens: o.MaxTokens, Temperature: 1}
	}
	var err error
	if j.Model, err = PutModel(ctx, o.Model, e.Storage, o.Report); err != nil {
		return j, err
	}
	j.Data, j.SHA256, err = PutData(ctx, o.Rows, e.Storage)
	return j, err
}

// see starts a job or finds it, follows it to its end, and fetches what it made.
func (e *Engine) see(ctx context.Context, o train.Order, order Order) (train.Run, error) {
	started, err := e.Client.Start(ctx, order)
	if err != nil {
		return train.Run{}, err
	}
	losses := map[int]float64{} // by step; a job that goes on from a checkpoint says some again
	show := Show(func(done, total float64, unit, note string) {
		if o.Report != nil {
			o.Report(done, total, unit, note)
		}
	}, func(message string) {
		if e.Warn != nil {
			e.Warn(started.ID + ": " + message)
		}
	})
	result, err := e.Client.Follow(ctx, started.ID, func(events []Event) error {
		for _, x := range events {
			if x.Kind == EventStep && x.Metric != nil {
				losses[x.Metric.Step] = x.Metric.Loss
			}
		}
		return show(events)
	})
	if err != nil {
		return train.Run{}, err
	}
	run := train.Run{Method: o.Method, Steps: result.Steps, Records: result.Rows, Tokens: result.Tokens, Rewards: result.Rewards}
	if o.Method != train.RL {
		run.Loss = tenths(losses, result.Steps)
	}
	return run, e.fetch(ctx, started.Out, o)
}

// fetch brings the trained model here, and the snapshots of RL.
func (e *Engine) fetch(ctx context.Context, out string, o train.Order) error {
	root, err := storage.Open(ctx, out)
	if err != nil {
		return err
	}
	folders := map[string]string{"model": o.Out}
	for _, step := range o.Snapshots {
		if step < o.Steps {
			name := fmt.Sprintf("step-%d", step)
			folders[name] = filepath.Join(o.Out, name)
		}
	}
	for name, to := range folders {
		store, err := root.Join(name)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(to, 0o777); err != nil {
			return because.E("fetch model", to, err, "")
		}
		if _, err := store.GetDir(ctx, to, o.Report); err != nil {
			return err
		}
	}
	return nil
}

// tenths are the mean losses of each tenth of a run, as training in this process gives them.
func tenths(losses map[int]float64, steps int) []float64 {
	var sum [10]float64
	var n [10]int
	for step := 1; step <= steps; step++ {
		if x, ok := losses[step]; ok {
			at := (step - 1) * 10 / steps
			sum[at] += x
			n[at]++
		}
	}
	var out []float64
	for i := range sum {
		if n[i] > 0 {
			out = append(out, sum[i]/float64(n[i]))
		}
	}
	return out
}
