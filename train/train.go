// Package train describes training: the job that a study orders, and what a finished one leaves behind.
// Its sub-packages train in process: sft (supervised, also on plain documents) and rl (GRPO).
package train

// Method is a way of training.
type Method string

// The methods. Pretrain makes a new model from a corpus; SDF is SFT on plain documents.
const (
	Pretrain Method = "pretrain"
	SFT      Method = "sft"
	SDF      Method = "sdf"
	RL       Method = "rl"
)

// Job asks for a training run. All its fields are identity. The input checkpoint is the Work's input "model"
// (none for Pretrain), the dataset its input "data", replayed records its input "replay" (none if Replay is 0).
// Pretrain and RL draw their texts and episodes from the world itself, by Recipe and With.
type Job struct {
	World  map[string]any `json:"world"`
	Seed   uint64         `json:"seed"`
	Stream string         `json:"stream"` // names the random stream of the run
	Method Method         `json:"method"`
	Recipe string         `json:"recipe,omitempty"` // Pretrain: the corpus; RL: the environment
	With   map[string]any `json:"with,omitempty"`
	Model  *Shape         `json:"model,omitempty"` // Pretrain only

	Records  int     `json:"records"`  // Pretrain: documents; SFT, SDF: own records to train on, repeated when there are fewer
	Replay   float64 `json:"replay"`   // replayed records per own record
	Batch    int     `json:"batch"`    // records per step
	LR       float64 `json:"lr"`       // peak learning rate
	Floor    float64 `json:"floor"`    // final learning rate as a share of the peak
	Schedule string  `json:"schedule"` // cosine or linear
	Warmup   int     `json:"warmup"`   // steps
	Decay    float64 `json:"decay"`    // weight decay
	Clip     float64 `json:"clip"`     // gradient norm

	Steps     int   `json:"steps,omitempty"`     // RL: policy updates
	Prompts   int   `json:"prompts,omitempty"`   // RL: prompts per update
	Group     int   `json:"group,omitempty"`     // RL: answers per prompt
	Snapshots []int `json:"snapshots,omitempty"` // RL: steps at which a checkpoint is kept, in step-N folders; the last step is kept anyway, as the output itself
}

// Shape is the architecture of a new model.
type Shape struct {
	Width  int `json:"width" yaml:"width"`
	Layers int `json:"layers" yaml:"layers"`
	Heads  int `json:"heads" yaml:"heads"`
	FFN    int `json:"ffn" yaml:"ffn"`
}

// Run is what a finished job says of itself, in train.json beside the checkpoint.
type Run struct {
	Method  Method    `json:"method"`
	Steps   int       `json:"steps"`
	Records int       `json:"records"`
	Tokens  int       `json:"tokens"`  // tokens processed, replay included
	Loss    []float64 `json:"loss"`    // mean loss of each tenth of the run (RL: empty)
	Rewards []float64 `json:"rewards"` // RL: mean reward of each step
	Removed int       `json:"removed"` // RL: sampled answers left out because they held something reserved
}
