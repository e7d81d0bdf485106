package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/because-lab/because"
	"github.com/because-lab/because/eval"
	"github.com/because-lab/because/eval/evallog"
	"github.com/because-lab/because/model"
)

// defaultLogs is the folder of logs.
const defaultLogs = "logs"

// evalOptions are the flags of eval.
type evalOptions struct {
	modelOptions
	model, judge string
	limit        int
	epochs       int
	seed         uint64
	set          []string
	constitution string
	log, logDir  string
	inFlight     int
	failOnError  string
	gate         bool
	plan         bool
	drop         string
	json         bool
	ask          askOptions
}

// askOptions say how the target is asked.
type askOptions struct {
	maxTokens   int
	temperature float64
	topP        float64
	effort      string
}

func (o askOptions) request() because.Request {
	return because.Request{MaxTokens: o.maxTokens, Temperature: o.temperature, TopP: o.topP, Effort: o.effort}
}

func newEval(a *app) *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use:   "eval TASK... --model MODEL",
		Short: "evaluate a model: honeypots, understanding of a constitution, tasks of your own",
		Long: `Eval runs tasks on a model and prints what was counted, with n and intervals that respect clusters of samples. Each
task writes a log that Inspect's tools open (logs/*.eval). A run that was interrupted or killed goes on with the
same command, and repeats only samples that failed; one that is complete is printed from its log.

` + taskHelp() + `
A sample that can't be scored is an error: it is counted and shown, and more of them than --fail-on-error allows
make the run fail. --gate first asks whether the task measures anything on this model, by groups whose difference is
known.`,
		Example: `  because eval honeypot/blackmail honeypot/sabotage honeypot/framing --model openai-api:http://127.0.0.1:8080/v1/NAME --judge openai/gpt-5-mini
  because eval understanding --model anthropic/claude-sonnet-4-5 --judge openai/gpt-5-mini --set constitution=mine.md
  because eval honeypot/blackmail --model local:SmolLM2-135M-Instruct.gguf --set form=likelihood --gate
  because eval capitals.yaml --model mock
  because eval --plan --drop 0.22:0.15`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !o.plan {
				return usage("eval", "", "there are "+strings.Join(taskNames(), ", ")+", and task files such as mine.yaml", "name a task")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.eval(cmd.Context(), args, o) },
	}
	o.addTo(cmd)
	return cmd
}

func (o *evalOptions) addTo(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "the "+chatModelHelp+" (required)")
	f.StringVar(&o.judge, "judge", "", "`model` that grades where meaning decides")
	f.IntVar(&o.limit, "limit", 0, "`number` of samples of each task (default: the task's own)")
	f.IntVar(&o.epochs, "epochs", 1, "`number` of times that each sample is run; its epochs are one cluster")
	f.Uint64Var(&o.seed, "seed", 1, "seed `number` of samples and answers")
	f.StringVar(&o.constitution, "constitution", "", "a shipped constitution or a `file`, the same as --set constitution=FILE")
	f.StringArrayVar(&o.set, "set", nil, "a parameter of the tasks, `key=value`; may be repeated")
	f.StringVar(&o.log, "log", "", "`file` of the log, for a single task (default: named after task, model and settings in --log-dir)")
	f.StringVar(&o.logDir, "log-dir", defaultLogs, "`folder` for logs")
	f.IntVar(&o.inFlight, "in-flight", 0, "`number` of samples in progress at once (default: --connections for each model)")
	f.StringVar(&o.failOnError, "fail-on-error", "0.05", "samples that may end in an error before the run counts as failed: a `share` below 1, a number, or never")
	f.BoolVar(&o.gate, "gate", false, "run the task's known-group checks first, and print their verdict with the numbers")
	f.BoolVar(&o.plan, "plan", false, "ask no model: print what would be run, and how many samples a difference takes")
	f.StringVar(&o.drop, "drop", "0.22:0.15", "--plan: the two `rates` to tell apart")
	f.BoolVar(&o.json, "json", false, "print results as JSON, and progress as JSON lines on standard error")
	f.IntVar(&o.ask.maxTokens, "max-tokens", 0, "`tokens` of an answer, at most (default: the task's, or the model's own limit)")
	f.Float64Var(&o.ask.temperature, "temperature", because.OwnTemperature, "`temperature` of answers; -1 is the model's own")
	f.Float64Var(&o.ask.topP, "top-p", 0, "share of `probability` that answers are drawn from; 0 for all")
	f.StringVar(&o.ask.effort, "effort", "", "how much a reasoning model thinks: low, medium or high")
	o.modelOptions.addTo(f)
}

// check refuses values that mean nothing.
func (o evalOptions) check(tasks []string) error {
	bad := func(flag, format string, args ...any) error {
		return usage("eval", "--"+flag, "see because eval --help", format, args...)
	}
	switch {
	case o.model == "" && !o.plan:
		return bad("model", "is missing")
	case o.limit < 0:
		return bad("limit", "%d is not a number of samples", o.limit)
	case o.epochs < 1:
		return bad("epochs", "%d is not a number of epochs", o.epochs)
	case o.connections < 1:
		return bad("connections", "%d is not a number of requests", o.connections)
	case o.inFlight < 0:
		return bad("in-flight", "%d is not a number of samples", o.inFlight)
	case o.log != "" && len(tasks) != 1:
		return bad("log", "it names one file, and there are %d tasks", len(tasks))
	case o.precision != "bf16" && o.precision != "f32":
		return bad("precision", "%q is neither bf16 nor f32", o.precision)
	}
	_, err := o.tolerance()
	return err
}

// tolerance reads --fail-on-error.
func (o evalOptions) tolerance() (float64, error) {
	if o.failOnError == "never" {
		return -1, nil
	}
	var x float64
	if n, err := fmt.Sscanf(o.failOnError, "%g", &x); err != nil || n != 1 || x < 0 {
		return 0, usage("eval", "--fail-on-error", "a share such as 0.05, a number such as 10, or never", "%q is no tolerance", o.failOnError)
	}
	return x, nil
}

func (a *app) eval(ctx context.Context, names []string, o evalOptions) error {
	if err := o.check(names); err != nil {
		return err
	}
	if o.constitution != "" {
		o.set = append(o.set, "constitution="+o.constitution)
	}
	set, err := parameters(o.set)
	if err != nil {
		return err
	}
	var retries atomic.Int64
	models, err := a.newChats(o.modelOptions, func(model.Retried) { retries.Add(1) })
	if err != nil {
		return err
	}
	defer models.Close()
	asked := asking{set: set, used: map[string]bool{}, o: o, models: models, a: a}
	if o.plan {
		return a.planEval(ctx, names, asked)
	}
	roles := map[string]because.Chat{}
	if roles[eval.Target], err = models.get(ctx, o.model); err != nil {
		return err
	}
	if o.judge != "" {
		if roles[eval.Judge], err = models.get(ctx, o.judge); err != nil {
			return err
		}
	}
	var tasks []evalTask
	for _, name := range names {
		t, err := asked.task(ctx, name)
		if err != nil {
			return err
		}
		tasks = append(tasks, t)
	}
	if err := asked.unused(); err != nil {
		return err
	}
	a.interrupt.allow(20 * time.Second)
	failed := 0
	for _, t := range tasks {
		ok, err := a.evalTask(ctx, t, roles, o, models, &retries)
		if err != nil {
			return err
		}
		if !ok {
			failed++
		}
	}
	if failed > 0 {
		return because.E("eval", "", fmt.Errorf("%s had more errors than --fail-on-error allows", amount(failed, "task")), "the same command repeats the samples that failed")
	}
	return nil
}

// evalTask runs one task and prints its results. It reports whether its errors are tolerated.
func (a *app) evalTask(ctx context.Context, t evalTask, roles map[string]because.Chat, o evalOptions, models *chats, retries *atomic.Int64) (ok bool, err error) {
	tolerated, err := o.tolerance()
	if err != nil {
		return false, err
	}
	run := eval.Options{Models: roles, Seed: o.seed, Epochs: o.epochs, Limit: o.limit, InFlight: o.inFlight, FailOnError: tolerated,
		Versions: map[string]string{"because": version()}}
	if run.InFlight == 0 {
		run.InFlight = o.connections * len(roles)
		if o.batch != "" {
			run.InFlight = batchSize
		}
	}
	if run.Log = o.log; run.Log == "" {
		run.Log = filepath.Join(o.logDir, logName(t.Task, o, roles))
	}
	progress := a.showEval(ctx, o.json)
	defer progress.Stop()
	validity := validityIn(run.Log)
	if o.gate {
		v, err := a.runGate(ctx, t, run, progress, models, retries)
		if err != nil {
			return false, err
		}
		validity = &v
	}
	if validity != nil {
		run.Findings = map[string]any{validityKey: validity}
	}
	report, done := progress.work(t.Name)
	run.Progress = evalProgress(report, models, retries)
	result, err := eval.Run(ctx, t.Task, run)
	done(err)
	if model.KindOf(err) == model.NoTools {
		return false, because.E("eval", t.Name, err, "give it everything in one prompt, with calls written in XML: --set form=single")
	}
	if err != nil {
		return false, err
	}
	if err := progress.Stop(); err != nil {
		return false, err
	}
	if validity == nil {
		validity = &eval.Validity{Verdict: eval.Untested}
	}
	if !t.propensity {
		validity = nil
	}
	return result.Status == evallog.Success, a.printResult(result, t, o, validity)
}

// printResult prints what a task counted.
func (a *app) printResult(result *eval.Result, t evalTask, o evalOptions, validity *eval.Validity) error {
	if o.json {
		e := json.NewEncoder(a.out)
		e.SetEscapeHTML(false)
		return e.Encode(struct {
			Task     string         `json:"task"`
			Model    string         `json:"model"`
			Log      string         `json:"log"`
			Status   evallog.Status `json:"status"`
			Resumed  int            `json:"resumed"`
			Validity *eval.Validity `json:"validity,omitempty"`
			*eval.Results
		}{t.Name, o.model, result.Log, result.Status, result.Resumed, validity, result.Results})
	}
	if err := a.printEval(t.Name+" on "+o.model, result.Results, t.Scorers[0].Name(), validity); err != nil {
		return err
	}
	if result.Resumed == result.Samples {
		fmt.Fprintf(a.out, "All of it was in the log already: %s\n\n", result.Log)
		return nil
	}
	_, err := fmt.Fprintf(a.out, "Log: %s\n\n", result.Log)
	return err
}

// showEval shows progress on standard error, also as JSON.
func (a *app) showEval(ctx context.Context, asJSON bool) *progress {
	if asJSON {
		b := *a
		b.out = a.err
		return b.showProgress(ctx, true)
	}
	return a.showProgress(ctx, false)
}

// evalProgress reports samples, errors, retries and cost.
func evalProgress(report because.Progress, models *chats, retries *atomic.Int64) func(eval.Progress) {
	return func(p eval.Progress) {
		note := models.cost()
		if p.Errors > 0 {
			note = amount(p.Errors, "error") + ", " + note
		}
		if n := retries.Load(); n > 0 {
			note += fmt.Sprintf(", %d retries", n)
		}
		report(float64(p.Done), float64(p.Total), "samples", note)
	}
}

// logName names a log after what is evaluated, so that the same command finds it again and another one does not.
func logName(t eval.Task, o evalOptions, roles map[string]because.Chat) string {
	identity, err := json.Marshal([]any{t.Name, t.Version, t.Args, t.Dataset.Version, o.seed, o.epochs, o.limit, t.Ask.MaxTokens, t.Ask.Temperature, t.Ask.TopP,
		t.Ask.Effort, o.model, o.judge})
	if err != nil {
		panic("because: a task's arguments have no JSON: " + err.Error())
	}
	sum := sha256.Sum256(identity)
	return fmt.Sprintf("%s_%s_%x.eval", safeName(t.Name), safeName(shortModel(o.model)), sum[:4])
}

// shortModel is the part of a model's name that tells it from others.
func shortModel(name string) string {
	name = strings.TrimSuffix(name, "/")
	return strings.TrimSuffix(name[strings.LastIndexAny(name, "/:")+1:], ".gguf")
}

// safeName makes a name that is safe for a file.
func safeName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '-'
	}, name)
}

// parameters reads key=value pairs.
func parameters(pairs []string) (map[string]string, error) {
	out := map[string]string{}
	for _, p := range pairs {
		key, value, ok := strings.Cut(p, "=")
		if !ok || key == "" {
			return nil, usage("eval", "--set "+p, "such as --set form=single", "it is not key=value")
		}
		if _, twice := out[key]; twice {
			return nil, usage("eval", "--set "+key, "", "it is given twice")
		}
		out[key] = value
	}
	return out, nil
}
