package sizing

// Compute is what a run costs in operations, time and money, all workers together where nothing else is said.
type Compute struct {
	Tokens        float64 `json:"tokens"`                   // that pass backward
	Sampled       float64 `json:"sampled_tokens,omitempty"` // GRPO: tokens of answers
	TrainFLOPs    float64 `json:"train_flops"`
	SamplingFLOPs float64 `json:"sampling_flops,omitempty"`
	Hours         float64 `json:"hours"` // by the clock
	GPUHours      float64 `json:"gpu_hours"`
	USD           float64 `json:"usd"` // GPUHours at the accelerator's price
}

// forward counts the operations of one token's forward pass: 2 per parameter that it is multiplied with (N), and in attention 2 a d for its scores and 2 a d
// for their sum with each of the earlier tokens, of which a sequence has SeqLen/2 on average (causal attention): 2 N + 2 L a d s.
func (r Run) forward() float64 {
	return 2*float64(r.Config.matrices()) + r.attention()
}

func (r Run) attention() float64 {
	return 2 * float64(r.Config.Layers*r.Config.attnWidth()) * float64(r.SeqLen)
}

// training counts the operations of a token in training. The backward pass takes twice the forward pass, so together 6 N + 6 L a d s
// (arXiv:2001.08361, section 2.1). With an adapter of A parameters the gradients of frozen weights fall away: 4 N + 6 A. Recompute does the layers' forward
// pass once more.
func (r Run) training() float64 {
	n := float64(r.Config.matrices())
	flops := 6*n + 3*r.attention()
	if r.LoRA != nil {
		flops = 4*n + 6*float64(r.trained()) + 3*r.attention()
	}
	if r.Recompute {
		flops += r.forward() - 2*float64(r.Config.Vocab*r.Config.Hidden)
		if r.LoRA != nil {
			flops += 2 * float64(r.trained())
		}
	}
	return flops
}

// compute adds up. GRPO samples every answer (a forward pass for each token of prompt and answer) and trains on it once; a reference adds a forward pass.
func (r Run) compute() Compute {
	c := Compute{Tokens: float64(r.Tokens)}
	if r.Method == GRPO {
		answers := float64(r.Steps) * float64(r.Prompts) * float64(r.Group)
		c.Tokens, c.Sampled = answers*float64(r.SeqLen), answers*float64(r.Answer)
		c.SamplingFLOPs = c.Tokens * r.forward()
	}
	c.TrainFLOPs = c.Tokens * r.training()
	if r.Method == GRPO && r.Reference {
		c.TrainFLOPs += c.Tokens * r.forward()
	}
	peak := r.GPU.BF16TFLOPS
	if r.DType == FP32 {
		peak = r.GPU.FP32TFLOPS
	}
	seconds := c.TrainFLOPs / (peak * 1e12 * r.Utilization)
	if c.SamplingFLOPs > 0 {
		seconds += c.SamplingFLOPs / (peak * 1e12 * r.Sampling)
	}
	c.GPUHours = seconds / 3600
	c.Hours = c.GPUHours / float64(r.Workers)
	c.USD = c.GPUHours * r.GPU.USDHour
	return c
}
