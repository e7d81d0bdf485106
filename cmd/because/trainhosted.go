package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/because-lab/because/data/trl"
	"github.com/because-lab/because/train/hosted"
)

// hostedOptions are the flags of training at a hosted service (--engine openai), beside those of train sft that mean something there:
// --model, --data, --out, --epochs, --batch and --seed.
type hostedOptions struct {
	baseURL      string
	suffix       string
	yes          bool
	budget       float64
	lrMultiplier float64
	validation   string
	prices       string

	flags *pflag.FlagSet // tells which flags were given
	waits hosted.Options // how long to wait between looks; zero but in tests
}

func (o *hostedOptions) addTo(f *pflag.FlagSet) {
	f.StringVar(&o.baseURL, "base-url", "", "openai: `URL` of a compatible service, with /v1; its key comes from "+compatibleKey)
	f.StringVar(&o.suffix, "suffix", "", "openai: `text` for the name of the trained model")
	f.BoolVar(&o.yes, "yes", false, "openai: agree that the training costs money")
	f.Float64Var(&o.budget, "budget", 0, "openai: agree to an estimated cost of this many `dollars` at most")
	f.Float64Var(&o.lrMultiplier, "lr-multiplier", 0, "openai: `factor` of the service's learning rate (default: the service's choice)")
	f.StringVar(&o.validation, "validation", "", "openai: `file` of rows on which the service measures its loss")
	f.StringVar(&o.prices, "prices", "", "openai: `file` of prices per million training tokens, instead of the built-in table")
	o.flags = f
}

// given tells whether a flag stands on the command line.
func (o *hostedOptions) given(name string) bool { return o.flags != nil && o.flags.Changed(name) }

// otherEngines are flags of train sft that mean nothing at a hosted service.
var otherEngines = []string{"lora", "alpha", "targets", "merge", "lr", "schedule", "warmup", "decay", "clip", "rows", "seq-len", "accumulate", "steps", "long",
	"checkpoint-every", "keep", "bf16", "recompute",
	"ray", "workers", "gpus-per-worker", "cpus-per-worker", "strategy", "dtype", "revision", "retries", "wait", "fresh", "pip", "env", "python"}

// check refuses what a hosted service can't do.
func (o *hostedOptions) check(way string) error {
	op := "train " + way
	if way != sftWay.name {
		return usage(op, "--engine", "train on documents with --engine local, or on conversations with train sft", "hosted services train on conversations only")
	}
	if i := slices.IndexFunc(otherEngines, o.given); i >= 0 {
		hint := "leave it out"
		if otherEngines[i] == "lr" {
			hint = "give --lr-multiplier, a factor of the service's own rate"
		}
		return usage(op, "--"+otherEngines[i], hint, "it means nothing at a hosted service")
	}
	return nil
}

// trainHosted trains at a service that has OpenAI's fine-tuning API. The job goes on there when this process ends.
func (a *app) trainHosted(ctx context.Context, way trainWay, o trainOptions, h hostedOptions) error {
	if err := o.check(way.name); err != nil {
		return err
	}
	if err := h.check(way.name); err != nil {
		return err
	}
	options, err := h.options(o)
	if err != nil {
		return err
	}
	a.interrupt.resumable("run the same command again")
	options.Attached = func(job string) {
		a.interrupt.resumable(fmt.Sprintf("the job %s goes on at the service; the same command follows it, because train --cancel %s ends it", job, o.out))
	}
	var report func(done, total float64, unit, note string)
	options.Report = func(done, total float64, unit, note string) { report(done, total, unit, note) }
	plan, err := hosted.New(options)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.out, plan.Estimate())
	consent := hosted.Consent{Yes: h.yes}
	if h.given("budget") {
		consent.Budget = &h.budget
	}
	if err := plan.Agreed(consent); errors.Is(err, hosted.ErrConsent) {
		return usageError{err}
	} else if err != nil {
		return err
	}
	progress := a.showProgress(ctx, false)
	defer progress.Stop()
	show, done := progress.work("train " + filepath.Base(o.out))
	report = show
	result, err := plan.Run(ctx, consent)
	done(err)
	if err := errors.Join(err, progress.Stop()); err != nil {
		return err
	}
	a.printHosted(o, h, result)
	return nil
}

// printHosted says what came of a run.
func (a *app) printHosted(o trainOptions, h hostedOptions, r hosted.Result) {
	if r.Problem != "" {
		a.warn(fmt.Errorf("the metrics are what the job's events told: %s", r.Problem))
	}
	cost := "price unknown"
	if r.Cost != nil {
		cost = fmt.Sprintf("about $%.2f by the prices of the estimate", *r.Cost)
	}
	fmt.Fprintf(a.out, "%d tokens trained, as the service counts them; %s\n", r.Tokens, cost)
	if r.Last != nil {
		text := fmt.Sprintf("step %d", r.Last.Step)
		for _, name := range []string{"train_loss", "valid_loss", "full_valid_loss"} {
			if v := r.Last.Values[name]; v != nil {
				text += fmt.Sprintf(", %s %.4f", name, *v)
			}
		}
		fmt.Fprintln(a.out, text)
	}
	name := "openai/" + r.Model
	if h.baseURL != "" && !hosted.IsOpenAI(h.baseURL) {
		name = "openai-api:" + strings.TrimRight(h.baseURL, "/") + "/" + r.Model
	}
	fmt.Fprintf(a.out, "model    %s\nresults  %s\n", name, o.out)
}

// options makes those of the run.
func (o *hostedOptions) options(t trainOptions) (hosted.Options, error) {
	out := o.waits
	out.Out, out.Model, out.Epochs, out.Seed = t.out, strings.TrimPrefix(t.model, "openai/"), t.epochs, t.seed
	out.LRMultiplier, out.Suffix = o.lrMultiplier, o.suffix
	if o.given("batch") {
		out.Batch = t.batch
	}
	out.BaseURL = o.baseURL
	if out.BaseURL == "" {
		out.BaseURL = os.Getenv("OPENAI_BASE_URL")
	}
	var err error
	if out.Key, err = hostedKey(out.BaseURL); err != nil {
		return out, err
	}
	switch {
	case o.prices != "":
		out.Prices, err = hosted.OpenPrices(o.prices)
	case hosted.IsOpenAI(out.BaseURL):
		out.Prices = hosted.ListPrices()
	}
	if err != nil {
		return out, err
	}
	if out.Train, err = hostedData(t.data); err != nil {
		return out, err
	}
	if o.validation != "" {
		held, err := hostedData(o.validation)
		if err != nil {
			return out, err
		}
		out.Validation = &held
	}
	return out, nil
}

// hostedKey gives the key for a service. OpenAI's goes to OpenAI, and to where OPENAI_BASE_URL says that its API is; nowhere else.
func hostedKey(base string) (string, error) {
	if hosted.IsOpenAI(base) || base != "" && strings.TrimRight(base, "/") == strings.TrimRight(os.Getenv("OPENAI_BASE_URL"), "/") {
		return needKey("openai", openaiKey)
	}
	return os.Getenv(compatibleKey), nil
}

// hostedData reads a file of rows.
func hostedData(file string) (hosted.Data, error) {
	rows, err := trl.Read(file)
	if err != nil {
		return hosted.Data{}, err
	}
	out := hosted.Data{File: file}
	for _, r := range rows {
		out.Rows = append(out.Rows, hosted.Row{Place: fmt.Sprintf("%s:%d", file, r.Line), Text: r.Text, Messages: r.Messages, Tools: r.Tools, Loss: r.Loss})
	}
	return out, nil
}

// cancelHosted ends the job of the hosted run in a folder.
func (a *app) cancelHosted(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	job, status, err := hosted.Cancel(ctx, dir, hosted.CancelOptions{Key: hostedKey})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "job %s: %s\n", job, status)
	return nil
}
