package checkpoint

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/optim"
	"github.com/because-lab/because/model/pretrained"
	"github.com/because-lab/because/train"
	"github.com/because-lab/because/train/finetune"
)

// CheckTrain checks what a job says about the world.
func (t *Target) CheckTrain(j train.Job) error {
	s, err := t.switches(j.World)
	if err != nil {
		return err
	}
	switch {
	case j.Method == train.RL:
		_, _, err := t.environment(j, s)
		return err
	case j.Method == train.SFT && !t.text.Chats():
		return because.E("train", string(j.Method), errors.New("the checkpoint has no chat template, so it can't be trained on conversations"),
			"train it on documents with sdf, or take a checkpoint that was trained to chat")
	}
	return nil
}

// Train trains a model and writes its checkpoint.
func (t *Target) Train(ctx context.Context, j train.Job, w because.Work) error {
	if j.Method == train.Pretrain {
		if j.Recipe != startRecipe {
			return because.E("train", j.Recipe, errors.New("a checkpoint is not pretrained"), "")
		}
		return t.provide(ctx, j, w)
	}
	if err := t.CheckTrain(j); err != nil {
		return err
	}
	s, err := t.switches(j.World)
	if err != nil {
		return err
	}
	if j.Method == train.RL {
		return t.reinforce(ctx, j, s, w)
	}
	rows, err := t.mixed(j, w)
	if err != nil {
		return err
	}
	if t.o.Engine != nil {
		return t.trainElsewhere(ctx, j, s, rows, w)
	}
	return t.finetune(ctx, j, s, rows, w)
}

// row is a record to train on with its place, for errors.
type row struct {
	because.Record
	place string
}

// mixed gives the records in the order in which they are trained on: the dataset's, repeated or cut, and the replayed ones among them.
func (t *Target) mixed(j train.Job, w because.Work) ([]row, error) {
	own, err := data.ReadRecords(w.In["data"])
	if err != nil {
		return nil, err
	}
	for i, r := range own {
		if isText := r.Text != ""; isText != (j.Method == train.SDF) {
			what := map[bool]string{true: "a text: train on it by sdf", false: "a conversation: train on it by sft"}[isText]
			return nil, because.E("train", fmt.Sprintf("record %d", i+1), fmt.Errorf("it is %s", what), "")
		}
	}
	var rows []row
	add := func(records []because.Record, n int, what string) {
		for i := range n {
			at := i % len(records)
			rows = append(rows, row{records[at], fmt.Sprintf("%s record %d", what, at+1)})
		}
	}
	add(own, j.Records, "data")
	if j.Replay > 0 {
		replay, err := data.ReadRecords(w.In["replay"])
		if err != nil {
			return nil, err
		}
		add(replay, int(math.Round(j.Replay*float64(j.Records))), "replay")
	}
	stream(j.Seed, "order/"+j.Stream).Shuffle(len(rows), func(a, b int) { rows[a], rows[b] = rows[b], rows[a] })
	return rows, nil
}

// batchTokens is how many tokens go through the model together. A step's rows take as many such batches as they need.
const batchTokens = 4096

// finetune trains in this process.
func (t *Target) finetune(ctx context.Context, j train.Job, s Switches, rows []row, w because.Work) error {
	m, err := pretrained.OpenTrainable(w.In["model"])
	if err != nil {
		return err
	}
	sequences, err := t.sequences(rows)
	if err != nil {
		return err
	}
	pool := kernel.NewPool(max(1, w.Workers))
	defer pool.Close()
	work := filepath.Join(w.Out, ".run")
	o := finetune.Options{Out: work, Batch: max(1, batchTokens/t.seqLen(s)), SeqLen: t.seqLen(s), Long: longOf(s, j.Method), Rows: j.Batch, Ordered: true,
		Seed: seedOf(j.Seed, "adapter/"+j.Stream), LR: j.LR, Schedule: optim.Shape(j.Schedule), Floor: j.Floor, Warmup: j.Warmup, Decay: j.Decay, Clip: j.Clip,
		Save: m.Save, Pool: pool}
	o.Save.BF16 = s.DType == bfloat16Type
	if s.LoRA > 0 {
		o.LoRA, o.Merge = &finetune.LoRA{Rank: s.LoRA, Alpha: s.Alpha, Targets: s.Targets}, true
	}
	result, err := finetune.Run(ctx, m.Model, sequences, o, w.Progress)
	if err != nil {
		return err
	}
	losses, err := readLosses(filepath.Join(work, "metrics.jsonl"))
	if err != nil {
		return err
	}
	if err := lifted(w.Out, func(dir string) error {
		return errors.Join(os.Rename(filepath.Join(work, result.Model), dir), os.RemoveAll(work))
	}); err != nil {
		return because.E("train", w.Out, err, "")
	}
	return writeRun(w.Out, train.Run{Method: j.Method, Steps: result.Steps, Records: len(rows), Tokens: result.Tokens, Loss: tenths(losses)})
}

// longOf says what becomes of rows that are too long.
func longOf(s Switches, m train.Method) finetune.Long {
	switch {
	case s.Long != "":
		return finetune.Long(s.Long)
	case m == train.SDF:
		return finetune.LongSplit
	}
	return finetune.LongError
}

// sequences turns records into tokens.
func (t *Target) sequences(rows []row) (finetune.Sequences, error) {
	var out finetune.Sequences
	known := map[string]finetune.Sequences{} // most records come several times
	for _, r := range rows {
		made, ok := known[r.place]
		if !ok {
			examples, err := t.examples(r.Record)
			if err != nil {
				return nil, because.E("train", r.place, err, because.Hint(err))
			}
			for _, e := range examples {
				weights := make([]float32, len(e.Learn))
				for i, learn := range e.Learn {
					if learn {
						weights[i] = 1
					}
				}
				made = append(made, finetune.Sequence{Tokens: e.Tokens, Weights: weights, Name: r.place})
			}
			known[r.place] = made
		}
		out = append(out, made...)
	}
	return out, nil
}

// readLosses reads the loss of each step.
func readLosses(path string) ([]float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, because.E("read metrics", path, err, "")
	}
	defer f.Close()
	var out []float64
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var m struct {
			Loss float64 `json:"loss"`
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return nil, because.E("read metrics", path, err, "")
		}
		out = append(out, m.Loss)
	}
	if err := lines.Err(); err != nil {
		return nil, because.E("read metrics", path, err, "")
	}
	return out, nil
}

// tenths gives the mean loss of each tenth of a run, of fewer parts where there are fewer steps.
func tenths(losses []float64) []float64 {
	parts := min(10, len(losses))
	out := make([]float64, parts)
	for i := range out {
		from, to := i*len(losses)/parts, (i+1)*len(losses)/parts
		for _, x := range losses[from:to] {
			out[i] += x / float64(to-from)
		}
	}
	return out
}
