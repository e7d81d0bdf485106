package ray

import (
	"github.com/because-lab/because/train"
)

// Job is what a Ray cluster is asked to train: the JSON that the engine (engines/ray) reads, whose schema is
// engines/ray/because_ray/job.schema.json. All of it but Run is identity: equal jobs give equal results up to rounding, however many workers
// share the work.
//
// Paths are URIs (file://, s3://, gs://) that head and workers can reach; Model may be the name of a repository on the Hugging Face hub as well, and
// Data the name of a file that is sent along with the job.
type Job struct {
	Version int          `json:"version"` // of this form: JobVersion
	Method  train.Method `json:"method"`  // sft, sdf or rl (GRPO)
	Model   string       `json:"model"`
	Data    string       `json:"data"`                    // JSON lines
	SHA256  string       `json:"data_sha256"`             // of the data's bytes, in hex; the engine refuses others
	Ref     string       `json:"revision,omitempty"`      // of a hub model
	Adapter string       `json:"adapter,omitempty"`       // PEFT adapter to go on from
	DType   string       `json:"dtype"`                   // of the weights while training: float32 or bfloat16
	Chat    string       `json:"chat_template,omitempty"` // Jinja that takes the place of the tokenizer's own

	Seed     uint64  `json:"seed"`
	Ordered  bool    `json:"ordered"`     // rows in the order of the file, else shuffled as order.py says
	Rows     int     `json:"rows"`        // rows in a step, all workers together
	Micro    int     `json:"micro_batch"` // rows that a worker takes through the model at once, at most
	SeqLen   int     `json:"seq_len"`     // longest row in tokens
	Long     string  `json:"long"`        // what becomes of longer ones: error, cut or split
	Epochs   int     `json:"epochs"`      // not with Steps
	Steps    int     `json:"steps"`       // updates, going round the data as often as needed; 0: by Epochs
	LR       float64 `json:"lr"`          // peak learning rate
	Schedule string  `json:"schedule"`    // cosine, linear or constant, as optim.Schedule
	Floor    float64 `json:"floor"`       // final rate as a share of the peak
	Warmup   int     `json:"warmup"`      // steps
	Beta1    float64 `json:"beta1"`
	Beta2    float64 `json:"beta2"`
	Eps      float64 `json:"eps"`
	Decay    float64 `json:"decay"` // decoupled weight decay, of every trained parameter
	Clip     float64 `json:"clip"`  // limit of the gradient's norm; 0: none

	Snapshots []int `json:"snapshots,omitempty"` // steps after which the model is kept as well, in folders step-N beside the last one's

	LoRA *LoRA `json:"lora,omitempty"` // nil: all parameters
	GRPO *GRPO `json:"grpo,omitempty"` // for rl

	Run Run `json:"run"`
}

// JobVersion is the version of Job's form. The engine refuses others.
const JobVersion = 1

// WaitVariable lets a job wait for nodes that are not there yet, where it is 1 in the job's environment.
const WaitVariable = "BECAUSE_RAY_WAIT"

// LoRA asks for a low-rank adapter (arXiv:2106.09685).
type LoRA struct {
	Rank    int      `json:"rank"`
	Alpha   float64  `json:"alpha"`
	Targets []string `json:"targets"` // projections, such as q_proj
	Merge   bool     `json:"merge"`   // also write the model with the adapter merged into it
}

// GRPO has what reinforcement learning needs beside the rest (arXiv:2402.03300). Rows of the data have "prompt" (text or messages) and may have "id"
// and "task", which go to the reward as they are.
type GRPO struct {
	Group       int     `json:"group"`       // answers per prompt; Rows counts answers, so that Rows/Group prompts make a step
	MaxTokens   int     `json:"max_tokens"`  // of an answer
	Temperature float64 `json:"temperature"` // of sampling
	Beta        float64 `json:"beta"`        // weight of the distance from the start; 0: none
	Reward      string  `json:"reward"`      // URL of because serve --reward; its token, where it wants one, is in BECAUSE_REWARD_TOKEN of the job's environment
}

// Run says where and how a job runs. None of it may change what comes of it but by rounding.
type Run struct {
	Out             string  `json:"out"`              // URI of the folder for checkpoints and results
	Workers         int     `json:"workers"`          // processes that train
	GPUs            float64 `json:"gpus_per_worker"`  // 0: on the CPU
	CPUs            float64 `json:"cpus_per_worker"`  // also the threads of a worker without GPU
	Strategy        string  `json:"strategy"`         // ddp (each worker has the whole model) or fsdp (each has a share)
	Recompute       bool    `json:"recompute"`        // recompute activations: less memory, more time
	CheckpointEvery int     `json:"checkpoint_every"` // steps
	Keep            int     `json:"keep"`             // checkpoints
	Retries         int     `json:"retries"`          // times that a job goes on from its last checkpoint after a worker or node was lost
	BF16            bool    `json:"bf16"`             // write the final model in bfloat16
}
