package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/because-lab/because"
	"github.com/because-lab/because/train/hosted"
	"github.com/because-lab/because/train/sizing"
)

// sizingOptions are the flags of --plan.
type sizingOptions struct {
	gpu, gpus   string
	utilization float64
	tokens      int64
	json        bool
}

func (o *sizingOptions) addTo(f *pflag.FlagSet) {
	f.StringVar(&o.gpu, "gpu", "H100-80GB", "plan: `accelerator` of a worker")
	f.StringVar(&o.gpus, "gpus", "", "plan: `file` of accelerators with memory, speed and price, instead of the built-in table")
	f.Float64Var(&o.utilization, "utilization", 0.35, "plan: `share` of the accelerator's peak that training reaches")
	f.Int64Var(&o.tokens, "tokens", 0, "plan: `number` of tokens to train on (default: a quarter of the bytes of --data, times --epochs)")
	f.BoolVar(&o.json, "json", false, "plan: print JSON")
}

// planTraining prints what a run would need, and starts nothing.
func (a *app) planTraining(way trainWay, o trainOptions) error {
	if o.model == "" {
		return usage("train "+way.name, "--model", "see because train "+way.name+" --help", "is missing")
	}
	if o.engine == engineOpenAI {
		return a.planHosted(way, o)
	}
	run, err := o.sizingRun(way)
	if err != nil {
		return err
	}
	plan, err := sizing.Make(run)
	if err != nil {
		return usageError{err}
	}
	if o.sizing.json {
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		return e.Encode(plan)
	}
	return plan.Write(a.out)
}

func (a *app) planHosted(way trainWay, o trainOptions) error {
	if err := o.hosted.check(way.name); err != nil {
		return err
	}
	options, err := o.hosted.options(o)
	if err != nil {
		return err
	}
	plan, err := hosted.New(options)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, plan.Estimate())
	return err
}

// sizingRun says what is planned.
func (o trainOptions) sizingRun(way trainWay) (sizing.Run, error) {
	config, err := sizingConfig(o.model)
	if err != nil {
		return sizing.Run{}, err
	}
	gpu, err := o.sizing.accelerator()
	if err != nil {
		return sizing.Run{}, err
	}
	run := sizing.Run{Model: o.model, Config: config, Method: sizing.Method(way.name), DType: sizing.FP32, Strategy: sizing.Strategy(o.ray.strategy), Workers: int64(o.ray.workers),
		SeqLen: int64(o.seqLen), Micro: int64(o.batch), Recompute: o.recompute, GPU: gpu, Utilization: o.sizing.utilization}
	if o.ray.dtype == "bfloat16" {
		run.DType = sizing.BF16
	}
	if o.lora > 0 {
		run.LoRA = &sizing.LoRA{Rank: int64(o.lora), Targets: o.targets}
	}
	if way.name == rlWay.name {
		run.Method, run.Steps, run.Group, run.Answer, run.Reference = sizing.GRPO, int64(o.steps), int64(o.rl.group), int64(o.rl.maxTokens), o.rl.beta > 0
		run.Prompts = max(1, int64(o.rowsInStep()/max(1, o.rl.group)))
		return run, nil
	}
	run.Tokens, err = o.plannedTokens()
	return run, err
}

// rowsInStep is how many rows make a step on a cluster.
func (o trainOptions) rowsInStep() int {
	if o.rows > 0 {
		return o.rows
	}
	return o.batch * o.accumulate
}

// plannedTokens estimates the tokens of a run: four bytes each.
func (o trainOptions) plannedTokens() (int64, error) {
	if o.sizing.tokens > 0 {
		return o.sizing.tokens, nil
	}
	if o.steps > 0 {
		return int64(o.steps) * int64(o.rowsInStep()) * int64(o.seqLen), nil
	}
	if o.data == "" {
		return 0, usage("train", "--plan", "give --data, --tokens or --steps", "nothing says how much is to be trained on")
	}
	info, err := os.Stat(o.data)
	if err != nil {
		return 0, because.E("plan training", o.data, err, "")
	}
	return max(1, info.Size()/4*int64(o.epochs)), nil
}

func (o sizingOptions) accelerator() (sizing.GPU, error) {
	all := sizing.ShippedGPUs()
	if o.gpus != "" {
		text, err := os.ReadFile(o.gpus)
		if err != nil {
			return sizing.GPU{}, because.E("plan training", o.gpus, err, "")
		}
		if all, err = sizing.ReadGPUs(o.gpus, text); err != nil {
			return sizing.GPU{}, usageError{err}
		}
	}
	gpu, err := all.Find(o.gpu)
	if err != nil {
		return gpu, usageError{err}
	}
	return gpu, nil
}

// sizingConfig finds the numbers of a model: those of a folder's config.json, or of a well-known checkpoint.
func sizingConfig(name string) (sizing.Config, error) {
	path := strings.TrimPrefix(name, "local:")
	file := filepath.Join(path, "config.json")
	text, err := os.ReadFile(file)
	if err == nil {
		return sizing.ReadConfig(file, text)
	}
	if c, ok := sizing.Known(strings.TrimPrefix(name, "hf:")); ok {
		return c, nil
	}
	if strings.HasPrefix(name, "local:") || !errors.Is(err, os.ErrNotExist) {
		return sizing.Config{}, because.E("plan training", file, err, "a plan takes a Hugging Face folder, or one of "+strings.Join(sizing.KnownNames(), ", "))
	}
	return sizing.Config{}, usage("train", "--model", "known are "+strings.Join(sizing.KnownNames(), ", ")+"; or download the repository's config.json and give its folder",
		"the numbers of %s are not known here", name)
}
