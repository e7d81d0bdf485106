package ray

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/because-lab/because/train"
)

// Validate finds what is wrong with a job before it is sent, all at once. The engine checks again, with the model and the data at hand.
func (j Job) Validate() error {
	var all []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			all = append(all, fmt.Errorf(format, args...))
		}
	}
	bad(j.Version != JobVersion, "version is %d, not %d", j.Version, JobVersion)
	for _, c := range []struct {
		field, value string
		choices      []any
	}{
		{"method", string(j.Method), methods}, {"dtype", j.DType, dtypes}, {"long", j.Long, longs}, {"schedule", j.Schedule, schedules},
		{"run.strategy", j.Run.Strategy, strategies},
	} {
		bad(!slices.Contains(c.choices, any(c.value)), "%s is %q, not one of %v", c.field, c.value, c.choices)
	}
	for field, text := range map[string]string{"model": j.Model, "data": j.Data, "data_sha256": j.SHA256, "run.out": j.Run.Out} {
		bad(text == "", "%s is empty", field)
	}
	bad(j.Run.Out != "" && !strings.Contains(j.Run.Out, "://"), "run.out is %q, no URI that head and workers could reach", j.Run.Out)
	for field, n := range map[string]int{"rows": j.Rows, "micro_batch": j.Micro, "seq_len": j.SeqLen, "run.workers": j.Run.Workers, "run.checkpoint_every": j.Run.CheckpointEvery,
		"run.keep": j.Run.Keep} {
		bad(n < 1, "%s is %d", field, n)
	}
	for field, n := range map[string]int{"epochs": j.Epochs, "steps": j.Steps, "warmup": j.Warmup, "run.retries": j.Run.Retries} {
		bad(n < 0, "%s is %d", field, n)
	}
	bad((j.Epochs == 0) == (j.Steps == 0), "one of epochs and steps must be given, and not both")
	all = append(all, j.numbers(), j.method())
	slices.SortFunc(all, func(a, b error) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return errors.Join(all...)
}

// numbers checks those that may be fractions. JSON has no other than finite ones.
func (j Job) numbers() error {
	var all []error
	for _, n := range []struct {
		field     string
		value     float64
		low, high float64
	}{
		{"lr", j.LR, 0, math.MaxFloat64}, {"floor", j.Floor, 0, 1}, {"beta1", j.Beta1, 0, 1}, {"beta2", j.Beta2, 0, 1}, {"eps", j.Eps, 0, 1},
		{"decay", j.Decay, 0, math.MaxFloat64}, {"clip", j.Clip, 0, math.MaxFloat64},
		{"run.gpus_per_worker", j.Run.GPUs, 0, math.MaxFloat64}, {"run.cpus_per_worker", j.Run.CPUs, 0, math.MaxFloat64},
	} {
		if !(n.value >= n.low && n.value <= n.high) {
			all = append(all, fmt.Errorf("%s is %v", n.field, n.value))
		}
	}
	return errors.Join(all...)
}

// method checks what belongs to reinforcement learning, and the adapter.
func (j Job) method() error {
	var all []error
	if (j.Method == train.RL) != (j.GRPO != nil) {
		all = append(all, fmt.Errorf("method is %s, and grpo is for rl alone", j.Method))
	}
	if g := j.GRPO; g != nil {
		if g.Group < 2 || j.Rows%max(g.Group, 1) != 0 {
			all = append(all, fmt.Errorf("grpo.group is %d; it must be 2 or more and divide rows (%d)", g.Group, j.Rows))
		}
		if g.MaxTokens < 1 || g.Reward == "" || !(g.Temperature > 0 && g.Temperature <= math.MaxFloat64) || !(g.Beta >= 0 && g.Beta <= math.MaxFloat64) {
			all = append(all, errors.New("grpo wants max_tokens and temperature above 0, beta of 0 or more, and the URL of a reward"))
		}
	}
	if l := j.LoRA; l != nil && (l.Rank < 1 || !(l.Alpha > 0 && l.Alpha <= math.MaxFloat64) || len(l.Targets) == 0) {
		all = append(all, errors.New("lora wants rank and alpha above 0, and targets"))
	}
	return errors.Join(all...)
}
