package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/because-lab/because"
	"github.com/because-lab/because/data/trl"
	"github.com/because-lab/because/engine/llama"
	rayengine "github.com/because-lab/because/engines/ray"
	"github.com/because-lab/because/internal/whole"
	"github.com/because-lab/because/train"
	"github.com/because-lab/because/train/ray"
)

const rayHelp = "`address` of the Ray cluster's dashboard (default: $RAY_API_SERVER_ADDRESS, $RAY_ADDRESS or " + ray.DefaultAddress + ")"

// rayOptions are the flags of training on a Ray cluster.
type rayOptions struct {
	address    string
	workers    int
	gpus, cpus float64
	strategy   string
	dtype      string
	revision   string
	retries    int
	wait       bool
	fresh      bool
	pip, env   []string
	python     string
}

func (o *rayOptions) addTo(f *pflag.FlagSet) {
	f.StringVar(&o.address, "ray", "", "ray: "+rayHelp)
	f.IntVar(&o.workers, "workers", 1, "ray: `number` of processes that share the work; results do not depend on it but for rounding")
	f.Float64Var(&o.gpus, "gpus-per-worker", 0, "ray: `GPUs` of a worker; 0 trains on the CPU")
	f.Float64Var(&o.cpus, "cpus-per-worker", 1, "ray: `cores` of a worker, which are its threads where it has no GPU")
	f.StringVar(&o.strategy, "strategy", "ddp", "ray: ddp (each worker has the whole model) or fsdp (each has a share of it)")
	f.StringVar(&o.dtype, "dtype", "float32", "ray: float32 or bfloat16, in which weights are kept while training")
	f.StringVar(&o.revision, "revision", "", "ray: `revision` of a model on the Hugging Face hub")
	f.IntVar(&o.retries, "retries", 3, "ray: `number` of times to go on from the last checkpoint after a worker or a node was lost")
	f.BoolVar(&o.wait, "wait", false, "ray: wait for nodes that the cluster does not have yet, instead of saying what lacks")
	f.BoolVar(&o.fresh, "fresh", false, "ray: start anew even if the cluster remembers that the job has succeeded, as when its results are gone")
	f.StringSliceVar(&o.pip, "pip", nil, "ray: `packages` that Ray is to install for the job")
	f.StringSliceVar(&o.env, "env", nil, "ray: `names` of variables to pass on to the job, such as HF_TOKEN or AWS_ACCESS_KEY_ID; who can see the job can see them")
	f.StringVar(&o.python, "python", "python", "ray: `command` of the Python interpreter on the cluster")
}

func (o rayOptions) client() (*ray.Client, error) {
	return ray.New(o.address, ray.Options{Wait: o.wait})
}

// variables gives the variables to pass on. One that is not set is an error, not an empty one.
func (o rayOptions) variables() (map[string]string, error) {
	out := map[string]string{}
	for _, name := range o.env {
		value, ok := os.LookupEnv(name)
		if !ok {
			return nil, usage("train", "--env "+name, "export it first", "the variable is not set")
		}
		out[name] = value
	}
	if token := os.Getenv(rewardToken); token != "" {
		out[rewardToken] = token
	}
	if o.wait {
		out[ray.WaitVariable] = "1"
	}
	return out, nil
}

// rlOptions are the flags of train rl.
type rlOptions struct {
	group, maxTokens  int
	temperature, beta float64
	reward            string
}

func (o *rlOptions) addTo(f *pflag.FlagSet) {
	f.IntVar(&o.group, "group", 8, "`number` of answers to each prompt, which are compared with one another")
	f.IntVar(&o.maxTokens, "max-tokens", 512, "`tokens` of an answer, at most")
	f.Float64Var(&o.temperature, "temperature", 1, "`temperature` of answers")
	f.Float64Var(&o.beta, "beta", 0, "`weight` of the distance from the start model; 0 for none")
	f.StringVar(&o.reward, "reward", "", "`address` of because serve --reward (required)")
}

// trainRay trains on a cluster, and shows it as if it were here.
func (a *app) trainRay(ctx context.Context, way trainWay, o trainOptions) error {
	client, err := o.ray.client()
	if err != nil {
		return usageError{err}
	}
	env, err := o.ray.variables()
	if err != nil {
		return err
	}
	job, data, clean, err := a.rayJob(ctx, way, o)
	if err != nil {
		return err
	}
	defer clean()
	started, err := client.Start(ctx, ray.Order{Job: job, Engine: rayengine.Files, Data: data, Env: env, Pip: o.ray.pip, Python: o.ray.python, Fresh: o.ray.fresh})
	if err != nil {
		return err
	}
	if started.Found {
		fmt.Fprintf(a.err, "job %s is there already (%s)\n", started.ID, strings.ToLower(string(started.Status)))
	}
	return a.followRay(ctx, client, started.ID, started.Out)
}

// attachRay follows a job that another call has started.
func (a *app) attachRay(ctx context.Context, id string, o rayOptions) error {
	client, err := o.client()
	if err != nil {
		return usageError{err}
	}
	details, err := client.Status(ctx, id)
	if err != nil {
		return err
	}
	return a.followRay(ctx, client, id, ray.OutOf(details))
}

func (a *app) followRay(ctx context.Context, client *ray.Client, id, out string) error {
	a.interrupt.resumable(fmt.Sprintf("job %s goes on; follow it with because train --attach %s --ray %s, end it with because train --cancel %s --ray %s",
		id, id, client.Address(), id, client.Address()))
	progress := a.showProgress(ctx, false)
	defer progress.Stop()
	report, done := progress.work("train " + id)
	var warned warnings
	result, err := client.Follow(ctx, id, ray.Show(report, warned.add))
	done(err)
	err = errors.Join(err, progress.Stop())
	warned.say(a)
	if err != nil {
		return err
	}
	return a.printRay(*result, out)
}

func (a *app) printRay(r ray.Result, out string) error {
	fmt.Fprintf(a.out, "%d steps on %d rows, %d tokens, %d parameters trained", r.Steps, r.Rows, r.Tokens, r.Trained)
	if n := len(r.Rewards); n > 0 {
		fmt.Fprintf(a.out, "; reward %.3f at first, %.3f at last\n", r.Rewards[0], r.Rewards[n-1])
	} else {
		fmt.Fprintf(a.out, "; loss %.4f at first, %.4f at last\n", r.First, r.Loss)
	}
	if r.Dropped > 0 {
		fmt.Fprintf(a.out, "%d rows had nothing left to learn after cutting and were left out\n", r.Dropped)
	}
	for _, part := range []struct{ what, folder string }{{"model", r.Model}, {"adapter", r.Adapter}} {
		if part.folder != "" {
			fmt.Fprintf(a.out, "%-8s %s\n", part.what, strings.TrimPrefix(out, "file://")+"/"+part.folder)
		}
	}
	return nil
}

// cancelTraining ends a job of a cluster, or a hosted one by its folder.
func (a *app) cancelTraining(ctx context.Context, which string, o rayOptions) error {
	if info, err := os.Stat(which); err == nil && info.IsDir() {
		return a.cancelHosted(ctx, which)
	}
	client, err := o.client()
	if err != nil {
		return usageError{err}
	}
	stopped, err := client.Stop(ctx, which)
	if err != nil {
		return err
	}
	if !stopped {
		fmt.Fprintf(a.out, "job %s had ended before\n", which)
		return nil
	}
	fmt.Fprintf(a.out, "job %s is told to stop; the same training goes on from its last checkpoint when it is started again\n", which)
	return nil
}

// rayJob makes the job, and the file of its data where that is sent along.
func (a *app) rayJob(ctx context.Context, way trainWay, o trainOptions) (job ray.Job, data string, clean func(), err error) {
	clean = func() {}
	out, err := uriOf(o.out)
	if err != nil {
		return job, "", clean, err
	}
	job = o.rayHyper(way)
	job.Run.Out = out
	if job.Model, err = a.rayModel(ctx, o.model, out); err != nil {
		return job, "", clean, err
	}
	if data, clean, err = o.rayData(way); err != nil {
		return job, "", clean, err
	}
	if job.Data, job.SHA256, err = ray.PutData(ctx, data, out); err != nil {
		return job, "", clean, err
	}
	if strings.Contains(job.Data, "://") {
		data = ""
	}
	return job, data, clean, nil
}

// rayHyper says how to train.
func (o trainOptions) rayHyper(way trainWay) ray.Job {
	rows := o.rows
	if rows == 0 {
		rows = o.batch * o.accumulate
	}
	lr := o.lr
	if lr == 0 {
		lr = defaultRate(o.lora > 0)
	}
	job := ray.Job{Version: ray.JobVersion, Method: train.Method(way.name), Ref: o.ray.revision, DType: o.ray.dtype, Seed: o.seed, Rows: rows, Micro: o.batch,
		SeqLen: o.seqLen, Long: o.long, Steps: o.steps, LR: lr, Schedule: o.schedule, Warmup: o.warmup, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: o.decay, Clip: o.clip,
		Run: ray.Run{Workers: o.ray.workers, GPUs: o.ray.gpus, CPUs: o.ray.cpus, Strategy: o.ray.strategy, Recompute: o.recompute, CheckpointEvery: max(o.every, 1),
			Keep: o.keep, Retries: o.ray.retries, BF16: o.bf16}}
	if o.steps == 0 {
		job.Epochs = o.epochs
	}
	if o.lora > 0 {
		job.LoRA = &ray.LoRA{Rank: o.lora, Alpha: o.alpha, Targets: o.targets, Merge: o.merge}
		if o.alpha == 0 {
			job.LoRA.Alpha = 2 * float64(o.lora)
		}
		if len(o.targets) == 0 {
			job.LoRA.Targets = llama.LoRATargets()
		}
	}
	if way.name == rlWay.name {
		job.GRPO = &ray.GRPO{Group: o.rl.group, MaxTokens: o.rl.maxTokens, Temperature: o.rl.temperature, Beta: o.rl.beta, Reward: o.rl.reward}
	}
	return job
}

// rayModel says where the cluster finds the model: on the hub, or a checkpoint of this machine that is put into the storage of the results.
func (a *app) rayModel(ctx context.Context, name, out string) (string, error) {
	path, local := strings.CutPrefix(name, "local:")
	if !local {
		if _, err := os.Stat(name); err != nil || strings.Contains(name, "://") {
			return strings.TrimPrefix(name, "hf:"), nil // a repository, or a URI
		}
		path = name
	}
	path, err := a.modelPath(ctx, path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", because.E("train", path, err, "")
	}
	if !info.IsDir() {
		return "", usage("train", path, "give the folder of its Hugging Face form", "a cluster trains folders alone")
	}
	if out == "" || strings.HasPrefix(out, "file://") {
		return uriOf(path) // whoever reaches the results reaches it
	}
	progress := a.showProgress(ctx, false)
	defer progress.Stop()
	report, done := progress.work("upload " + filepath.Base(path))
	uri, err := ray.PutModel(ctx, path, out, report)
	done(err)
	return uri, errors.Join(err, progress.Stop())
}

// rayData gives the file of the data as the engine takes it. Rows of prompts may say what their reward is to know as "rubric"; they are written anew with it as "task".
func (o trainOptions) rayData(way trainWay) (file string, clean func(), err error) {
	if way.name != rlWay.name {
		_, err := trl.Read(o.data) // a row that is wrong is better known before anything is sent
		return o.data, func() {}, err
	}
	text, err := promptRows(o.data)
	if err != nil {
		return "", func() {}, err
	}
	dir, err := os.MkdirTemp("", "because-train-*")
	if err != nil {
		return "", func() {}, because.E("train rl", "", err, "")
	}
	file, clean = filepath.Join(dir, "data.jsonl"), func() { os.RemoveAll(dir) }
	if err := whole.WriteFile(file, text); err != nil {
		clean()
		return "", func() {}, because.E("train rl", file, err, "")
	}
	return file, clean, nil
}

// promptRows reads prompts for RL, and leaves of each row what the engine takes.
func promptRows(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, because.E("train rl", file, err, "")
	}
	var out []byte
	for n, line := range strings.Split(string(text), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		var row struct {
			ID     string          `json:"id,omitempty"`
			Prompt json.RawMessage `json:"prompt"`
			Task   string          `json:"task,omitempty"`
			Rubric string          `json:"rubric,omitempty"`
		}
		err := json.Unmarshal([]byte(line), &row)
		if err == nil && len(row.Prompt) == 0 {
			err = errors.New("the row has no prompt")
		}
		if row.Task == "" {
			row.Task = row.Rubric
		}
		row.Rubric = ""
		var made []byte
		if err == nil {
			made, err = json.Marshal(row)
		}
		if err != nil {
			return nil, because.E("train rl", fmt.Sprintf("%s:%d", file, n+1), err, `a row is {"prompt": ..., "rubric": "what a good answer does"}`)
		}
		out = append(append(out, made...), '\n')
	}
	return out, nil
}

// uriOf makes a URI of a path; one stays as it is.
func uriOf(path string) (string, error) {
	if strings.Contains(path, "://") {
		return strings.TrimSuffix(path, "/"), nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", because.E("train", path, err, "")
	}
	return "file://" + filepath.ToSlash(abs), nil
}
