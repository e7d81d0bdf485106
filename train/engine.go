package train

import (
	"context"

	"github.com/because-lab/because"
)

// Engine trains checkpoints elsewhere than in this process, such as on a cluster. A world that gets one trains and answers through it.
// Implementations may be used by several goroutines at once.
type Engine interface {
	// Name tells this engine's arithmetic from others', such as "ray/1": it is part of the versions of the steps that it runs. Addresses and numbers of workers
	// are not in it.
	Name() string
	// Finetune trains a checkpoint on rows in their order, round and round, and writes the result. The same order on the same
	// files gives the same result but for rounding. An interruption leaves the work under way: the same order finds it again.
	Finetune(ctx context.Context, o Order) (Run, error)
	// Serve makes a checkpoint answer over OpenAI's API until the function given back is called.
	Serve(ctx context.Context, folder string) (endpoint Endpoint, stop func() error, err error)
}

// Order is what an engine is asked to do: SFT, SDF or RL.
type Order struct {
	Job
	Model string // folder of the start checkpoint, in Hugging Face's files
	Rows  string // file of JSON lines in TRL's columns, already in the order to train in: Job.Records of own and replayed ones together; RL: prompts
	Out   string // folder to write the checkpoint into

	SeqLen int     // longest row in tokens
	Long   string  // what becomes of longer ones: error, cut or split
	Rank   int     // of a low-rank adapter, which is merged in the end; 0: all parameters
	Beta2  float64 // of AdamW; 0: 0.999

	Reward    Reward // RL alone
	MaxTokens int    // RL: of an answer

	Report because.Progress
}

// Reward gives the rewards of a group of answers. Task is what the row of the prompt says of it.
type Reward func(ctx context.Context, task, prompt string, answers []string) ([]float64, error)

// Endpoint is where a served checkpoint answers.
type Endpoint struct {
	URL   string // up to and with /v1
	Model string
	Token string // empty: none is wanted
}
