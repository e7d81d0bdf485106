// Package finetune trains a checkpoint of real size on sequences with loss masks: supervised fine-tuning and training
// on documents, of all parameters or of a low-rank adapter. Run writes a folder:
//
//	run.json              what the run is: settings, data and start model by hash
//	metrics.jsonl         a line per step: loss, rate, gradient norm, tokens
//	checkpoint-STEP/      model or adapter, optimizer.safetensors, state.json: the last few
//	model/                at the end: the trained or merged model, a Hugging Face folder
//	adapter/              at the end, for LoRA: PEFT's files
//	result.json           written last: the run is finished
//
// The bytes of all of them follow from model, data and settings, but for the tokens per second in metrics.jsonl and a
// checkpoint made on interruption. A run that was killed at any moment goes on from its last checkpoint when it is
// started again, and ends with the bytes of an uninterrupted one.
package finetune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/llama"
	"github.com/because-lab/because/engine/optim"
	"github.com/because-lab/because/engine/weights"
)

// Options says how to train. Zero values stand for the defaults named.
type Options struct {
	Out string // the folder to write: absent, empty, or that of the same run interrupted

	Batch      int  // sequences of SeqLen tokens that are packed together; 0: 8
	SeqLen     int  // longest sequence in tokens; 0: what the model takes
	Long       Long // what becomes of longer ones; "": LongError
	Accumulate int  // packed batches whose gradients make one step; 0: 1
	Rows       int  // sequences that make one step, in as many packed batches as they take, instead of Accumulate; 0: as many as fit
	Epochs     int  // 0: 1; not with Steps
	Steps      int  // updates, going round the data as often as needed; 0: by Epochs
	Ordered    bool // take the data in order, not shuffled
	Seed       uint64

	LR                float64     // peak learning rate
	Schedule          optim.Shape // "": optim.Cosine
	Floor             float64     // final rate as a share of the peak
	Warmup            int         // steps
	Beta1, Beta2, Eps float64     // 0: 0.9, 0.999, 1e-8, as in PyTorch
	Decay             float64     // decoupled weight decay, of every trained parameter
	Clip              float64     // limit of the gradient's norm; 0: none

	LoRA *LoRA // nil: all parameters

	CheckpointEvery int // steps; 0: only on interruption
	Keep            int // checkpoints to keep; 0: 2

	// Save says how the final model is written, and what beside it. A merged model is written only with Merge.
	Save  weights.SaveOptions
	Merge bool

	Recompute bool         // recompute activations even if there is room; results do not depend on it
	Pool      *kernel.Pool // workers; results do not depend on it
}

// LoRA asks for a low-rank adapter instead of changed parameters (arXiv:2106.09685).
type LoRA struct {
	Rank    int      `json:"rank"`
	Alpha   float64  `json:"alpha"`             // 0: 2*Rank
	Targets []string `json:"targets,omitempty"` // none: all projections, see llama.LoRATargets
	Base    string   `json:"base"`              // name or path of the model, for the adapter's config
}

// Result is what a finished run says of itself, in result.json.
type Result struct {
	Steps   int     `json:"steps"`
	Rows    int     `json:"rows"`    // sequences of the data
	Dropped int     `json:"dropped"` // those of which cutting left nothing that carries loss
	Tokens  int     `json:"tokens"`  // tokens processed, in all epochs
	Trained int     `json:"trained"` // parameters trained
	First   float64 `json:"first_loss"`
	Loss    float64 `json:"loss"` // mean over the last tenth of the steps
	Model   string  `json:"model,omitempty"`
	Adapter string  `json:"adapter,omitempty"` // folders below Out
	Resumed int     `json:"-"`                 // step that this call went on from
}

func (o Options) withDefaults(c llama.Config) Options {
	def := func(x *int, v int) {
		if *x == 0 {
			*x = v
		}
	}
	def(&o.Batch, 8)
	def(&o.SeqLen, c.MaxPositions)
	def(&o.Accumulate, 1)
	def(&o.Keep, 2)
	if o.Steps == 0 {
		def(&o.Epochs, 1)
	}
	if o.Long == "" {
		o.Long = LongError
	}
	if o.Schedule == "" {
		o.Schedule = optim.Cosine
	}
	for _, f := range []struct {
		to *float64
		v  float64
	}{{&o.Beta1, 0.9}, {&o.Beta2, 0.999}, {&o.Eps, 1e-8}} {
		if *f.to == 0 {
			*f.to = f.v
		}
	}
	if o.LoRA != nil && o.LoRA.Alpha == 0 {
		l := *o.LoRA
		l.Alpha = 2 * float64(l.Rank)
		o.LoRA = &l
	}
	return o
}

func (o *Options) validate(c llama.Config) error {
	for _, f := range []struct {
		name       string
		value, min int
	}{
		{"batch", o.Batch, 1}, {"sequence length", o.SeqLen, 2}, {"accumulation", o.Accumulate, 1}, {"rows in a step", o.Rows, 0}, {"epochs", o.Epochs, 0}, {"steps", o.Steps, 0},
		{"checkpoint interval", o.CheckpointEvery, 0}, {"checkpoints to keep", o.Keep, 1}, {"warm-up", o.Warmup, 0},
	} {
		if f.value < f.min {
			return fmt.Errorf("%s is %d; it must be at least %d", f.name, f.value, f.min)
		}
	}
	switch {
	case o.SeqLen > c.MaxPositions:
		return fmt.Errorf("sequence length is %d; the model takes at most %d tokens", o.SeqLen, c.MaxPositions)
	case o.Batch > math.MaxInt32/o.SeqLen:
		return fmt.Errorf("a batch of %d x %d tokens is too large", o.Batch, o.SeqLen)
	case o.Rows > 0 && o.Accumulate > 1:
		return errors.New("both the rows and the batches of a step are given; choose one")
	case o.Steps > 0 && o.Epochs > 0:
		return errors.New("both epochs and steps are given; choose one")
	case o.Long != LongError && o.Long != LongCut && o.Long != LongSplit:
		return fmt.Errorf("unknown way %q with long sequences; want %q, %q or %q", o.Long, LongError, LongCut, LongSplit)
	case !(o.Clip >= 0) || math.IsInf(o.Clip, 0):
		return fmt.Errorf("gradient limit is %v; want 0 or a positive number", o.Clip)
	case o.Out == "":
		return errors.New("no output folder is given")
	}
	return nil
}

// Run trains m on the data; with LoRA m stays as it is, else it is trained in place. It checks ctx before each packed
// batch: when ctx ends it writes a checkpoint and returns an error that wraps because.ErrInterrupted.
func Run(ctx context.Context, m *llama.Model, data Data, o Options, report because.Progress) (Result, error) {
	o = o.withDefaults(m.Config())
	if err := o.validate(m.Config()); err != nil {
		return Result{}, because.E("fine-tune", "options", err, "")
	}
	if err := o.fits(m); err != nil {
		return Result{}, because.E("fine-tune", "", err, "use LoRA, shorter sequences or a machine with more memory")
	}
	set, err := prepare(data, m.Config().VocabSize, &o)
	if err != nil {
		return Result{}, err
	}
	p := newPlanner(set, &o)
	learner, err := newLearner(m, &o, p.steps)
	if err != nil {
		return Result{}, because.E("fine-tune", "", err, "")
	}
	id, err := identity(m, set, &o)
	if err != nil {
		return Result{}, because.E("fine-tune", "", err, "")
	}
	f, err := openFolder(o.Out, id)
	if err != nil {
		return Result{}, err
	}
	defer f.close()
	if done, ok, err := f.finished(); ok || err != nil {
		return done, err
	}
	r := &runner{o: &o, set: set, plan: p, learner: learner, folder: f, report: report}
	if err := r.resume(); err != nil {
		return Result{}, err
	}
	if err := r.train(ctx); err != nil {
		return Result{}, err
	}
	return r.finish(m)
}

// fits fails if parameters, gradients, moments and activations need more memory than there is. The parameters
// themselves are there already.
func (o *Options) fits(m *llama.Model) error {
	trained := int64(len(m.Params()))
	if o.LoRA != nil {
		trained = int64(o.LoRA.Rank) * int64(m.Config().Layers) * 16 * int64(m.Config().HiddenSize+m.Config().IntermediateSize)
		if o.Merge {
			trained += int64(len(m.Params())) / 3
		}
	}
	logits := int64(m.Config().VocabSize) * 4 * 512
	return weights.Fits(3*4*trained + llama.ActivationBytes(m.Config(), o.SeqLen, o.recompute(m.Config())) + logits)
}

// roomyActivations is the size up to which activations are kept rather than recomputed, in bytes.
const roomyActivations = 2 << 30

func (o *Options) recompute(c llama.Config) bool {
	return o.Recompute || llama.ActivationBytes(c, o.SeqLen, false) > roomyActivations
}

// runner is one call of Run under way.
type runner struct {
	o       *Options
	set     *dataset
	plan    *planner
	learner *learner
	folder  *folder
	report  because.Progress

	done    int // steps
	saved   int // steps of the last checkpoint
	resumed int
	metrics []metric // of the steps done
}

// resume goes to the last checkpoint, if there is one.
func (r *runner) resume() error {
	step, err := r.folder.restore(r.learner)
	if err != nil {
		return err
	}
	r.done, r.saved, r.resumed = step, step, step
	r.metrics, err = r.folder.openMetrics(step)
	return err
}

func (r *runner) train(ctx context.Context) error {
	for r.done < r.plan.steps {
		err := r.step(ctx)
		if errors.Is(err, because.ErrInterrupted) {
			return errors.Join(err, r.checkpoint())
		}
		if err != nil {
			return err
		}
		if every := r.o.CheckpointEvery; every > 0 && r.done%every == 0 && r.done < r.plan.steps {
			if err := r.checkpoint(); err != nil {
				return err
			}
		}
	}
	return nil
}

// step makes one update and records it.
func (r *runner) step(ctx context.Context) error {
	began := time.Now()
	batches := r.plan.step(r.done)
	up, err := r.learner.update(ctx, r.set, batches, r.done)
	if err != nil {
		return because.E("fine-tune", fmt.Sprintf("step %d of %d", r.done+1, r.plan.steps), err, hintFor(err))
	}
	r.done++
	up.Step = r.done
	up.Rate = float64(up.Tokens) / max(time.Since(began).Seconds(), 1e-6)
	if n := len(r.metrics); n > 0 {
		up.Total = r.metrics[n-1].Total
	}
	up.Total += up.Tokens
	r.metrics = append(r.metrics, up)
	if err := r.folder.append(up); err != nil {
		return err
	}
	if r.report != nil {
		r.report(float64(r.done), float64(r.plan.steps), "steps", fmt.Sprintf("loss %.4f, %.0f tokens/s", up.Loss, up.Rate))
	}
	return nil
}

func hintFor(err error) string {
	if errors.Is(err, errNotFinite) {
		return "lower the learning rate, or look at the rows named"
	}
	return ""
}

// checkpoint saves the state after r.done steps, unless it is that of the last one.
func (r *runner) checkpoint() error {
	if r.done == r.saved {
		return nil
	}
	if err := r.folder.checkpoint(r.done, r.learner, r.o.Keep); err != nil {
		return err
	}
	r.saved = r.done
	return nil
}

// finish writes the trained model or adapter and the result.
func (r *runner) finish(m *llama.Model) (Result, error) {
	res := Result{Steps: r.done, Rows: r.set.rows, Dropped: r.set.dropped, Trained: r.learner.trained(), Resumed: r.resumed}
	if n := len(r.metrics); n > 0 {
		last := r.metrics[n-max(1, n/10):]
		for _, x := range last {
			res.Loss += x.Loss / float64(len(last))
		}
		res.First, res.Tokens = r.metrics[0].Loss, r.metrics[n-1].Total
	}
	if l := r.learner.adapter; l != nil {
		if err := r.folder.adapter(l, r.o.LoRA.Base); err != nil {
			return Result{}, err
		}
		res.Adapter = adapterDir
		if !r.o.Merge {
			return res, r.folder.finish(res)
		}
		m = l.Merge()
	}
	if err := r.folder.model(m, r.o.Save); err != nil {
		return Result{}, err
	}
	res.Model = modelDir
	return res, r.folder.finish(res)
}
