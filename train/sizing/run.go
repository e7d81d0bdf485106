// Package sizing says what a training run needs before it is started: memory per worker by part, whether that fits, operations, hours and cost.
// It works from the numbers in a model's config.json alone, so neither weights nor accelerators are needed.
//
// Counts of parameters are exact for the types in Config.Exact, and so are the bytes of weights, gradients, optimizer and adapter. Activations,
// logits and buffers are estimates by the formulas given at each function; frameworks differ by tens of percent. Time is operations over peak
// times a stated utilisation, money is time times a stated price: both are only as good as these two numbers.
//
// Sources: ZeRO (Rajbhandari et al. 2020, arXiv:1910.02054) for model states and their shares, Korthikanti et al. 2022 (arXiv:2205.05198)
// for activations and recomputation, LoRA (Hu et al. 2021, arXiv:2106.09685), and for operations 6 per parameter and token (Kaplan et al. 2020,
// arXiv:2001.08361) with attention apart.
package sizing

import (
	"fmt"
	"math"
	"slices"

	"github.com/because-lab/because"
)

// Method is a way of training a real checkpoint.
type Method string

// The methods. SDF is SFT on plain documents and needs what SFT needs; GRPO samples its own answers.
const (
	SFT  Method = "sft"
	SDF  Method = "sdf"
	GRPO Method = "grpo"
)

// DType is the type of weights, gradients and activations.
type DType string

// The types. With BF16 the optimizer keeps a float32 master copy.
const (
	BF16 DType = "bf16"
	FP32 DType = "fp32"
)

func (d DType) bytes() float64 {
	if d == FP32 {
		return 4
	}
	return 2
}

// Strategy is how workers share a model.
type Strategy string

// The strategies. DDP keeps everything on every worker; FSDP shares weights, gradients and optimizer, as ZeRO's third stage.
const (
	DDP  Strategy = "ddp"
	FSDP Strategy = "fsdp"
)

// Run is a training run to be planned. Zero values stand for the defaults named.
type Run struct {
	Model  string `json:"model"` // for display
	Config Config `json:"config"`

	Method    Method   `json:"method"`         // "": sft
	LoRA      *LoRA    `json:"lora,omitempty"` // nil: all parameters are trained
	DType     DType    `json:"dtype"`          // "": bf16
	Strategy  Strategy `json:"strategy"`       // "": ddp
	Workers   int64    `json:"workers"`        // accelerators; 0: 1
	SeqLen    int64    `json:"seq_len"`        // tokens of a sequence, for GRPO prompt and answer together; 0: 2048, or what the model takes if less
	Micro     int64    `json:"micro_batch"`    // sequences per worker and backward pass; 0: 1
	Recompute bool     `json:"recompute"`      // activations are computed again in the backward pass (gradient checkpointing)
	// Scores says that attention keeps its scores, quadratic in SeqLen, as plain ("eager") attention does. Flash and memory-efficient kernels do not.
	Scores bool `json:"scores,omitempty"`

	Tokens int64 `json:"tokens"` // SFT and SDF: tokens to process, all epochs together

	Steps     int64 `json:"steps,omitempty"`     // GRPO: policy updates
	Prompts   int64 `json:"prompts,omitempty"`   // GRPO: prompts per update
	Group     int64 `json:"group,omitempty"`     // GRPO: answers per prompt; 0: 8
	Answer    int64 `json:"answer,omitempty"`    // GRPO: tokens of an answer, a part of SeqLen; 0: half of SeqLen
	Rollouts  int64 `json:"rollouts,omitempty"`  // GRPO: answers that a worker samples at once; 0: its share of an update
	Reference bool  `json:"reference,omitempty"` // GRPO: a frozen reference model for the KL term; with LoRA it is the base

	GPU         GPU     `json:"gpu"`
	Reserve     float64 `json:"reserve"`                       // share of the memory that the plan leaves free, for context and fragmentation; 0: 0.1
	Utilization float64 `json:"utilization"`                   // share of the peak that training reaches; 0: 0.35
	Sampling    float64 `json:"sampling_utilization,omitzero"` // GRPO: the same of sampling, which memory holds up; 0: 0.05
}

// withDefaults fills the fields whose zero value stands for a default.
func (r Run) withDefaults() Run {
	r.Config = r.Config.withDefaults()
	def(&r.Method, SFT)
	def(&r.DType, BF16)
	def(&r.Strategy, DDP)
	def(&r.Workers, 1)
	if r.SeqLen == 0 {
		r.SeqLen = 2048
		if m := r.Config.MaxPositions; m > 0 {
			r.SeqLen = min(r.SeqLen, m)
		}
	}
	def(&r.Micro, 1)
	def(&r.Reserve, 0.1)
	def(&r.Utilization, 0.35)
	if r.Method == GRPO {
		def(&r.Group, 8)
		def(&r.Answer, max(1, r.SeqLen/2))
		def(&r.Sampling, 0.05)
		def(&r.Rollouts, max(1, ceilDiv(r.Prompts*r.Group, r.Workers)))
	}
	return r
}

// def sets what is zero.
func def[T comparable](x *T, v T) {
	var zero T
	if *x == zero {
		*x = v
	}
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / max(b, 1) }

// Validate reports the first field that makes no run.
func (r Run) Validate() error {
	for _, f := range []struct {
		name  string
		value int64
		most  int64
	}{
		{"workers", r.Workers, 1 << 20}, {"seq_len", r.SeqLen, 1 << 24}, {"micro_batch", r.Micro, 1 << 16}, {"steps", r.Steps, 1 << 32}, {"prompts", r.Prompts, 1 << 24},
		{"group", r.Group, 1 << 16}, {"answer", r.Answer, 1 << 24}, {"rollouts", r.Rollouts, 1 << 40}, {"tokens", r.Tokens, 1 << 52},
	} {
		if f.value < 0 || f.value > f.most {
			return r.wrong(f.name, fmt.Sprint(f.value), fmt.Sprintf("a number from 0 to %d", f.most))
		}
	}
	r = r.withDefaults()
	switch {
	case !slices.Contains([]Method{SFT, SDF, GRPO}, r.Method):
		return r.wrong("method", string(r.Method), "sft, sdf or grpo")
	case !slices.Contains([]DType{BF16, FP32}, r.DType):
		return r.wrong("dtype", string(r.DType), "bf16 or fp32")
	case !slices.Contains([]Strategy{DDP, FSDP}, r.Strategy):
		return r.wrong("strategy", string(r.Strategy), "ddp or fsdp")
	case r.Config.MaxPositions > 0 && r.SeqLen > r.Config.MaxPositions:
		return r.wrong("seq_len", fmt.Sprint(r.SeqLen), fmt.Sprintf("at most the model's %d positions", r.Config.MaxPositions))
	case r.Method != GRPO && r.Tokens == 0:
		return r.wrong("tokens", "0", "the number of tokens to train on")
	case r.Method == GRPO && (r.Steps == 0 || r.Prompts == 0):
		return r.wrong("steps or prompts", "0", "the number of updates and of prompts in each")
	case r.Answer > r.SeqLen:
		return r.wrong("answer", fmt.Sprint(r.Answer), fmt.Sprintf("at most seq_len, %d", r.SeqLen))
	}
	for _, f := range []struct {
		name        string
		value, most float64
	}{{"reserve", r.Reserve, 0.9}, {"utilization", r.Utilization, 1}, {"sampling_utilization", r.Sampling, 1}} {
		if math.IsNaN(f.value) || f.value < 0 || f.value > f.most {
			return r.wrong(f.name, fmt.Sprint(f.value), fmt.Sprintf("a share up to %v", f.most))
		}
	}
	if !(r.GPU.MemoryGiB > 0 && r.GPU.BF16TFLOPS > 0 && r.GPU.FP32TFLOPS > 0) {
		return r.wrong("gpu", r.GPU.Name, "an accelerator of the table")
	}
	return r.validateModel()
}

func (r Run) validateModel() error {
	if err := r.Config.Validate(); err != nil {
		return because.E("plan", r.Model, err, "")
	}
	if r.LoRA != nil {
		if err := r.LoRA.validate(r.Config); err != nil {
			return because.E("plan", "lora", err, "")
		}
	}
	return nil
}

func (r Run) wrong(field, value, want string) error {
	return because.E("plan", field, fmt.Errorf("it is %s, want %s", value, want), "")
}

// trained counts the parameters that are trained.
func (r Run) trained() int64 {
	if r.LoRA != nil {
		return r.LoRA.Params(r.Config)
	}
	return r.Config.Params().Total
}
