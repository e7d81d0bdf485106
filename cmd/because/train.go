package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/trl"
	"github.com/because-lab/because/engine/kernel"
	"github.com/because-lab/because/engine/optim"
	"github.com/because-lab/because/model/pretrained"
	"github.com/because-lab/because/train/finetune"
)

// trainOptions are the flags of train sft, sdf and rl.
type trainOptions struct {
	engine           string
	model, data, out string
	rows             int
	plan             bool
	ray              rayOptions
	hosted           hostedOptions
	rl               rlOptions
	sizing           sizingOptions
	lora             int
	alpha            float64
	targets          []string
	merge            bool
	lr               float64
	schedule         string
	warmup           int
	decay, clip      float64
	batch, seqLen    int
	accumulate       int
	epochs, steps    int
	long             string
	seed             uint64
	every, keep      int
	bf16, recompute  bool
}

// The engines that train.
const (
	engineLocal  = "local"
	engineRay    = "ray"
	engineOpenAI = "openai"
)

func newTrain(a *app) *cobra.Command {
	var o rayOptions
	var attach, cancel string
	cmd := &cobra.Command{
		Use:   "train sft|sdf|rl",
		Short: "fine-tune a checkpoint on your data, here or on other machines",
		Long: `Train fine-tunes a checkpoint of real size: on conversations (sft), on plain documents (sdf) or by rewards (rl).
The engine is this process (local: Llama, Mistral, Qwen2, Qwen3 and their like), a Ray cluster that trains with TRL
(ray), or a hosted fine-tuning service (openai). docs/scale.md tells how to set up a cluster.

A run on another machine goes on without this program. --attach follows one again, and --cancel ends one.`,
		Example: `  because train --attach because-0123456789abcdef --ray http://head:8265
  because train --cancel runs/hosted`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("train", args[0], "there are train sft, train sdf and train rl", "unknown way of training")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case attach != "":
				return a.attachRay(cmd.Context(), attach, o)
			case cancel != "":
				return a.cancelTraining(cmd.Context(), cancel, o)
			}
			return cmd.Help()
		},
	}
	f := cmd.Flags()
	f.StringVar(&attach, "attach", "", "follow the job of this `id` on the Ray cluster")
	f.StringVar(&cancel, "cancel", "", "end the job of this `id` on the Ray cluster, or the hosted one of this folder")
	f.StringVar(&o.address, "ray", "", rayHelp)
	cmd.AddCommand(newTrainWay(a, sftWay), newTrainWay(a, sdfWay), newTrainWay(a, rlWay))
	return cmd
}

// trainWay is what sets the two ways of training apart.
type trainWay struct {
	name, short, about, example string
	sequences                   func(text *pretrained.Text, rows []trl.Row, file string) (finetune.Sequences, error)
	long                        finetune.Long // what becomes of rows longer than the context, unless said otherwise
}

var sftWay = trainWay{
	name: "sft", short: "train on conversations, with loss on the assistant's turns",
	about: `Rows of --data are JSON objects with "messages" (and "tools"), or with "prompt" and "completion", as TRL reads
them. The checkpoint's own chat template is applied, and the loss is taken on what the assistant wrote, with the mark
that ends its turn.`,
	example:   "  because train sft --model local:SmolLM2-135M-Instruct --data advice.jsonl --out runs/advice --lora 16",
	sequences: conversations, long: finetune.LongError,
}

var rlWay = trainWay{
	name: "rl", short: "train by rewards (GRPO), on a Ray cluster",
	about: `Rows of --data are JSON objects with "prompt" (text or messages), and "rubric" or "task" for the reward. --reward is the
address of because serve --reward, which the cluster must reach. The engine is ray.`,
	example: `  because serve --reward --judge openai/gpt-5-mini --addr 0.0.0.0:8090 --token SECRET
  because train rl --engine ray --ray http://head:8265 --model Qwen/Qwen3-8B --data rl-prompts.jsonl --out s3://bucket/rl --reward http://me:8090`,
	long: finetune.LongError,
}

var sdfWay = trainWay{
	name: "sdf", short: "train on documents, with loss on every token",
	about: `Rows of --data are JSON objects with "text". Documents longer than the context are split, and each piece is trained
on by itself.`,
	example:   "  because train sdf --model local:SmolLM2-135M-Instruct --data documents.jsonl --out runs/documents",
	sequences: documents, long: finetune.LongSplit,
}

func newTrainWay(a *app, way trainWay) *cobra.Command {
	var o trainOptions
	cmd := &cobra.Command{
		Use:   way.name + " --model MODEL --data FILE --out DIR",
		Short: way.short,
		Long: way.about + `

DIR gets model, a Hugging Face folder (with --lora adapter, in PEFT's files, and model only with --merge),
metrics.jsonl with a line per step, and checkpoints. A run that was interrupted or killed goes on with the same command;
the local engine then ends with the same bytes as if it had not been. It packs rows into batches without their seeing
one another.

With --engine ray, DIR may be a URI (s3://, gs://, file://) that the cluster reaches, and MODEL a repository of the
Hugging Face hub; Ctrl-C leaves the job running. With --engine openai, DIR keeps what is needed to follow the job, and
--yes or --budget consent to its cost.
--plan trains nothing: it prints memory, time and cost.`,
		Example: way.example,
		Args:    atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.train(cmd.Context(), way, o)
		},
	}
	o.long = string(way.long)
	o.addTo(cmd)
	f := cmd.Flags()
	o.ray.addTo(f)
	o.hosted.addTo(f)
	o.sizing.addTo(f)
	if way.name == rlWay.name {
		o.rl.addTo(f)
		f.Lookup("engine").DefValue, o.engine = engineRay, engineRay
	}
	return cmd
}

func (o *trainOptions) addTo(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.engine, "engine", engineLocal, "what trains: local, ray or openai")
	f.StringVar(&o.model, "model", "", modelHelp)
	f.StringVar(&o.data, "data", "", "`file` with one JSON object per line (required)")
	f.StringVar(&o.out, "out", "", "`folder` for the results; new, or that of the same run interrupted (required)")
	f.BoolVar(&o.plan, "plan", false, "train nothing: print memory, time and cost")
	f.IntVar(&o.lora, "lora", 0, "train a low-rank adapter of this `rank` instead of all parameters")
	f.Float64Var(&o.alpha, "alpha", 0, "LoRA: `scale` of the adapter (default: twice the rank)")
	f.StringSliceVar(&o.targets, "targets", nil, "LoRA: `projections` to adapt, such as q_proj,v_proj (default: all seven)")
	f.BoolVar(&o.merge, "merge", false, "LoRA: also write the model with the adapter merged into it")
	f.Float64Var(&o.lr, "lr", 0, "peak learning `rate` (default: 2e-5, with LoRA 2e-4)")
	f.StringVar(&o.schedule, "schedule", string(optim.Cosine), "how the rate falls: cosine, linear or constant")
	f.IntVar(&o.warmup, "warmup", 0, "`steps` over which the rate rises")
	f.Float64Var(&o.decay, "decay", 0, "decoupled weight `decay`")
	f.Float64Var(&o.clip, "clip", 1, "limit of the gradient's `norm`; 0 for none")
	f.IntVar(&o.batch, "batch", 8, "`number` of sequences of --seq-len tokens in a batch; ray: rows that a worker takes at once")
	f.IntVar(&o.rows, "rows", 0, "`number` of rows in a step (default: as many as its batches hold; ray: --batch x --accumulate)")
	f.IntVar(&o.seqLen, "seq-len", 1024, "longest row in `tokens`")
	f.IntVar(&o.accumulate, "accumulate", 1, "`number` of batches in a step")
	f.IntVar(&o.epochs, "epochs", 1, "`number` of times to go over the data")
	f.IntVar(&o.steps, "steps", 0, "`number` of steps, instead of --epochs")
	f.StringVar(&o.long, "long", o.long, "what becomes of longer rows: error, cut or split")
	f.Uint64Var(&o.seed, "seed", 1, "seed `number` of the order of rows and of the adapter")
	f.IntVar(&o.every, "checkpoint-every", 50, "`steps` between checkpoints; 0 for none but on interruption")
	f.IntVar(&o.keep, "keep", 2, "`number` of checkpoints to keep")
	f.BoolVar(&o.bf16, "bf16", false, "write the model in bfloat16 (default: float32)")
	f.BoolVar(&o.recompute, "recompute", false, "take less memory and more time; results do not change")
}

// check refuses values that mean nothing.
func (o trainOptions) check(way string) error {
	bad := func(flag, format string, args ...any) error {
		return usage("train "+way, "--"+flag, "see because train "+way+" --help", format, args...)
	}
	for _, f := range []struct{ flag, value string }{{"model", o.model}, {"data", o.data}, {"out", o.out}} {
		if f.value == "" {
			return bad(f.flag, "is missing")
		}
	}
	for _, f := range []struct {
		flag       string
		value, min int
	}{{"lora", o.lora, 0}, {"warmup", o.warmup, 0}, {"batch", o.batch, 1}, {"seq-len", o.seqLen, 2}, {"accumulate", o.accumulate, 1}, {"rows", o.rows, 0},
		{"epochs", o.epochs, 1}, {"steps", o.steps, 0}, {"checkpoint-every", o.every, 0}, {"keep", o.keep, 1}} {
		if f.value < f.min {
			return bad(f.flag, "%d is less than %d", f.value, f.min)
		}
	}
	switch {
	case !slices.Contains([]string{engineLocal, engineRay, engineOpenAI}, o.engine):
		return bad("engine", "%q is none of local, ray and openai", o.engine)
	case way == rlWay.name && o.engine != engineRay:
		return bad("engine", "rewards train on a Ray cluster alone")
	case !(o.lr >= 0) || math.IsInf(o.lr, 1):
		return bad("lr", "%v is not a learning rate", o.lr)
	case o.lora == 0 && (o.alpha != 0 || len(o.targets) > 0 || o.merge):
		return bad("lora", "--alpha, --targets and --merge need it")
	case o.long != "error" && o.long != "cut" && o.long != "split":
		return bad("long", "%q is none of error, cut and split", o.long)
	}
	return nil
}

func (a *app) train(ctx context.Context, way trainWay, o trainOptions) error {
	if o.plan {
		return a.planTraining(way, o)
	}
	if err := o.check(way.name); err != nil {
		return err
	}
	switch o.engine {
	case engineRay:
		return a.trainRay(ctx, way, o)
	case engineOpenAI:
		return a.trainHosted(ctx, way, o, o.hosted)
	}
	return a.trainLocal(ctx, way, o)
}

func (a *app) trainLocal(ctx context.Context, way trainWay, o trainOptions) error {
	rows, err := trl.Read(o.data)
	if err != nil {
		return err
	}
	path, err := a.modelPath(ctx, o.model)
	if err != nil {
		return err
	}
	model, err := pretrained.OpenTrainable(path)
	if err != nil {
		return err
	}
	sequences, err := way.sequences(model.Text, rows, o.data)
	if err != nil {
		return err
	}
	return a.finetune(ctx, o, model, sequences)
}

// finetune runs the training and says what came of it.
func (a *app) finetune(ctx context.Context, o trainOptions, model *pretrained.Trainable, sequences finetune.Sequences) error {
	a.interrupt.resumable("run the same command again")
	a.interrupt.allow(time.Minute) // a checkpoint of a large model takes a while to write
	progress := a.showProgress(ctx, false)
	defer progress.Stop()
	report, done := progress.work("train " + filepath.Base(o.out))
	pool := kernel.NewPool(0)
	defer pool.Close()
	result, err := finetune.Run(ctx, model.Model, sequences, o.options(model, pool), report)
	done(err)
	if err := errors.Join(err, progress.Stop()); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%d steps on %d rows, %d tokens, %d parameters trained; loss %.4f at first, %.4f at last\n",
		result.Steps, result.Rows, result.Tokens, result.Trained, result.First, result.Loss)
	if result.Dropped > 0 {
		fmt.Fprintf(a.out, "%d rows had nothing left to learn after cutting and were left out\n", result.Dropped)
	}
	for _, part := range []struct{ what, folder string }{{"model", result.Model}, {"adapter", result.Adapter}} {
		if part.folder != "" {
			fmt.Fprintf(a.out, "%-8s %s\n", part.what, filepath.Join(o.out, part.folder))
		}
	}
	return nil
}

func (o trainOptions) options(model *pretrained.Trainable, pool *kernel.Pool) finetune.Options {
	out := finetune.Options{Out: o.out, Batch: o.batch, SeqLen: o.seqLen, Long: finetune.Long(o.long), Accumulate: o.accumulate, Rows: o.rows, Steps: o.steps, Seed: o.seed,
		LR: o.lr, Schedule: optim.Shape(o.schedule), Warmup: o.warmup, Decay: o.decay, Clip: o.clip,
		CheckpointEvery: o.every, Keep: o.keep, Save: model.Save, Merge: o.merge, Recompute: o.recompute, Pool: pool}
	out.Save.BF16 = o.bf16
	if o.steps == 0 {
		out.Epochs = o.epochs
	}
	if out.LR == 0 {
		out.LR = defaultRate(o.lora > 0)
	}
	if o.lora > 0 {
		out.LoRA = &finetune.LoRA{Rank: o.lora, Alpha: o.alpha, Targets: o.targets, Base: strings.TrimPrefix(o.model, "local:")}
	}
	return out
}

// conversations makes examples of rows with messages.
func conversations(text *pretrained.Text, rows []trl.Row, file string) (finetune.Sequences, error) {
	if !text.Chats() {
		return nil, because.E("train sft", "", errors.New("the checkpoint has no chat template"), "train it on documents with because train sdf, or add a template to its folder")
	}
	var out finetune.Sequences
	for _, row := range rows {
		place := fmt.Sprintf("%s:%d", file, row.Line)
		if row.Text != "" {
			return nil, because.E("train sft", place, errors.New("the row is a text, not a conversation"), "train on texts with because train sdf")
		}
		examples, err := text.Examples(pretrained.Conversation{Messages: row.Messages, Tools: row.Tools}, row.Loss)
		if err != nil {
			return nil, because.E("train sft", place, err, "")
		}
		for _, e := range examples {
			weights := make([]float32, len(e.Learn))
			for i, learn := range e.Learn {
				if learn {
					weights[i] = 1
				}
			}
			out = append(out, finetune.Sequence{Tokens: e.Tokens, Weights: weights, Name: place})
		}
	}
	return out, nil
}

// documents makes examples of rows with text.
func documents(text *pretrained.Text, rows []trl.Row, file string) (finetune.Sequences, error) {
	var out finetune.Sequences
	for _, row := range rows {
		place := fmt.Sprintf("%s:%d", file, row.Line)
		if row.Text == "" {
			return nil, because.E("train sdf", place, errors.New("the row is a conversation, not a text"), "train on conversations with because train sft")
		}
		out = append(out, finetune.Sequence{Tokens: text.Document(row.Text), Name: place})
	}
	return out, nil
}

// defaultRate is the peak learning rate unless one is given.
func defaultRate(lora bool) float64 {
	if lora {
		return 2e-4
	}
	return 2e-5
}
