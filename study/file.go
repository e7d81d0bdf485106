package study

import "github.com/because-lab/because/train"

// File is a study: a YAML file (see Load), or the same filled in by Go. Everything in it is identity: what a change
// touches is made again, and nothing else. Where the work runs and on how many cores is not in it, but in Train, which is no identity apart from the engine.
type File struct {
	Study  string `yaml:"study"`            // name, also of the folder under runs/
	Title  string `yaml:"title,omitempty"`  // for people; Study where empty
	About  string `yaml:"about,omitempty"`  // a paragraph on the purpose
	Limits string `yaml:"limits,omitempty"` // what the study does not show
	Target string `yaml:"target"`           // whose world it runs in: organism, local:PATH, provider/model

	// Train says what trains the models; this process where nil.
	Train *Trainer `yaml:"train,omitempty"`

	// Constitution names the document that is taught: one that the target knows, or a file's path.
	Constitution string `yaml:"constitution,omitempty"`

	Seeds  []uint64     `yaml:"seeds,flow"`
	Quick  *Quick       `yaml:"quick,omitempty"`
	Worlds []Setting    `yaml:"worlds"` // the first is the primary one
	Model  *train.Shape `yaml:"model,omitempty,flow"`

	Replay   *Replay  `yaml:"replay,omitempty"`   // what stages with replay mix in
	Defaults Defaults `yaml:"defaults,omitempty"` // merged under each stage

	Init    []Stage `yaml:"init,omitempty"`    // makes the model that every arm starts from; the first stage pretrains it, unless the target is a checkpoint
	Control string  `yaml:"control,omitempty"` // the arm that others are compared with in tables; the first where empty
	Arms    []Arm   `yaml:"arms"`

	Evals  []Eval   `yaml:"evals"`                // the first is the one that tables and figures show
	Along  []string `yaml:"along,omitempty,flow"` // evals that are also run at each snapshot of RL
	Checks []Check  `yaml:"checks,omitempty"`

	Claims    []Claim    `yaml:"claims,omitempty"`
	Ablations []Ablation `yaml:"ablations,omitempty"`
	Sweeps    []Sweep    `yaml:"sweeps,omitempty"`

	source source // where it was read, for messages
}

// Quick is what a quick run changes: a run to try things out, whose numbers are not for reporting.
type Quick struct {
	Seeds   []uint64 `yaml:"seeds,omitempty,flow"`
	Samples int      `yaml:"samples,omitempty"`     // at most as many per eval and check
	Worlds  []string `yaml:"worlds,omitempty,flow"` // these alone
	Arms    []string `yaml:"arms,omitempty,flow"`   // these alone are measured; those they start from are still trained
}

// Setting is one world: the switches under which everything is done once.
type Setting struct {
	Name  string         `yaml:"name"`
	Title string         `yaml:"title,omitempty"`
	With  map[string]any `yaml:"with,omitempty,flow"` // switches, defined by the target
}

// Replay is the dataset that stages with replay mix in: one per world and seed, shared by all arms.
type Replay struct {
	Recipe string         `yaml:"recipe"`
	With   map[string]any `yaml:"with,omitempty,flow"`
	Tokens int            `yaml:"tokens"`
}

// Defaults are settings for the stages of each method.
type Defaults struct {
	Pretrain *Settings `yaml:"pretrain,omitempty"`
	SFT      *Settings `yaml:"sft,omitempty"`
	SDF      *Settings `yaml:"sdf,omitempty"`
	RL       *Settings `yaml:"rl,omitempty"`
}

// Stage is one training run. Exactly one field is set, which is the method.
type Stage struct {
	Pretrain *Settings `yaml:"pretrain,omitempty,flow"` // a new model, on documents of the world's corpus
	SFT      *Settings `yaml:"sft,omitempty,flow"`      // on conversations, loss on the assistant's turns
	SDF      *Settings `yaml:"sdf,omitempty,flow"`      // on documents, loss everywhere
	RL       *Settings `yaml:"rl,omitempty,flow"`       // GRPO on environments with a reward
}

// Settings are what a stage trains on and how. Nil means the default of the method. Tokens is how many unique tokens
// the recipe makes; Records how many records the stage trains on, the recipe's repeated where they are fewer, so
// that all arms of a method take equally many steps.
type Settings struct {
	Recipe string         `yaml:"recipe,omitempty"` // Pretrain: the corpus; SFT, SDF: the recipe; RL: the environment
	With   map[string]any `yaml:"with,omitempty,flow"`

	Tokens   *int     `yaml:"tokens,omitempty"`   // SFT, SDF
	Records  *int     `yaml:"records,omitempty"`  // Pretrain, SFT, SDF
	Replay   *float64 `yaml:"replay,omitempty"`   // SFT, SDF: replayed records per own record
	Batch    *int     `yaml:"batch,omitempty"`    // Pretrain, SFT, SDF: records per step
	LR       *float64 `yaml:"lr,omitempty"`       // peak learning rate
	Schedule string   `yaml:"schedule,omitempty"` // cosine, linear or constant; RL is constant by default
	Floor    *float64 `yaml:"floor,omitempty"`    // final learning rate as a share of the peak
	Warmup   *int     `yaml:"warmup,omitempty"`   // steps
	Decay    *float64 `yaml:"decay,omitempty"`    // weight decay
	Clip     *float64 `yaml:"clip,omitempty"`     // largest norm of the gradient

	Steps     *int  `yaml:"steps,omitempty"`     // RL: policy updates
	Prompts   *int  `yaml:"prompts,omitempty"`   // RL: prompts per update
	Group     *int  `yaml:"group,omitempty"`     // RL: answers per prompt
	Snapshots []int `yaml:"snapshots,omitempty"` // RL: steps after which the model is kept and evaluated

	// Stream names the stage's random stream. By default equal stages of different arms share theirs, so that arms are
	// paired, and a recipe that occurs twice on the way to a model has two.
	Stream string `yaml:"stream,omitempty"`
}

// Arm is one treatment of the model that Init makes, or of another arm's result.
type Arm struct {
	Name   string   `yaml:"name"`
	Title  string   `yaml:"title,omitempty"`
	From   string   `yaml:"from,omitempty"` // the arm whose result it starts from; Init's where empty
	Stages []Stage  `yaml:"stages,omitempty"`
	Worlds []string `yaml:"worlds,omitempty,flow"` // all where empty
	Evals  []string `yaml:"evals,omitempty,flow"`  // all where empty
}

// Eval is one cell of a task: the task under certain options.
type Eval struct {
	Name    string         `yaml:"name"`
	Title   string         `yaml:"title,omitempty"`
	Task    string         `yaml:"task"`
	With    map[string]any `yaml:"with,omitempty,flow"`
	Samples int            `yaml:"samples"`               // per arm, seed and world
	Arms    []string       `yaml:"arms,omitempty,flow"`   // all where empty
	Worlds  []string       `yaml:"worlds,omitempty,flow"` // all where empty
}

// Check is a known-group check of the instrument: the task under High must give the outcome more often than under Low.
type Check struct {
	Name    string         `yaml:"name"`
	Title   string         `yaml:"title,omitempty"`
	Arm     string         `yaml:"arm"`
	World   string         `yaml:"world,omitempty"` // the primary one where empty
	Task    string         `yaml:"task"`
	With    map[string]any `yaml:"with,omitempty,flow"` // options of both groups
	High    map[string]any `yaml:"high,flow"`           // options of the group known to have more
	Low     map[string]any `yaml:"low,flow"`
	Outcome string         `yaml:"outcome,omitempty"` // harmful where empty
	Samples int            `yaml:"samples"`           // per group and seed
	Margin  float64        `yaml:"margin"`            // smallest difference of rates that passes
}

// Predict says which way a claim expects its effect to go.
type Predict string

// The predictions. Same claims that the effect is smaller than a margin either way.
const (
	PredictLower  Predict = "lower"
	PredictHigher Predict = "higher"
	PredictSame   Predict = "same"
)

// Claim is a statement about a contrast: the sum over its terms of weight times rate, taken in each seed.
type Claim struct {
	ID        string `yaml:"id,omitempty"`
	Says      string `yaml:"says,omitempty"`
	Published string `yaml:"published,omitempty"` // the effect that was published
	Note      string `yaml:"note,omitempty"`      // printed with the result

	// What the terms count, where they do not say otherwise themselves.
	Eval    string `yaml:"eval,omitempty"`
	Outcome string `yaml:"outcome,omitempty"`
	Group   string `yaml:"group,omitempty"` // of the eval's counts, such as touches=persons; all samples where empty
	World   string `yaml:"world,omitempty"` // the primary one where empty

	Predict Predict  `yaml:"predict,omitempty"`
	SESOI   *float64 `yaml:"sesoi,omitempty"`  // smallest effect size of interest; for lower and higher
	Margin  *float64 `yaml:"margin,omitempty"` // for same and for ablations
	Terms   []Term   `yaml:"contrast,omitempty"`
}

// Term is one rate of a contrast.
type Term struct {
	Arm     string   `yaml:"arm"`
	Eval    string   `yaml:"eval,omitempty"`
	Outcome string   `yaml:"outcome,omitempty"`
	Group   string   `yaml:"group,omitempty"`
	World   string   `yaml:"world,omitempty"`
	Step    Step     `yaml:"step,omitempty"`
	Weight  *float64 `yaml:"weight,omitempty"` // 1 where nil
}

// Step says at which point of an arm's RL a rate is taken: a number of updates, StepLast, or StepMean.
type Step string

// StepLast is the end of the run (also the empty Step). StepMean is the mean over the start, all snapshots and the end.
const (
	StepLast Step = "last"
	StepMean Step = "mean"
)

// Ablation is a contrast that must vanish: a claim's form with a margin, or all claims of Repeat over again in
// another world, with IDs such as "E3 (cut)".
type Ablation struct {
	Claim  `yaml:",inline"`
	Repeat []string `yaml:"repeat,omitempty,flow"`
}

// Sweep names arms that differ in their unique tokens alone, for the figure of rate against tokens.
type Sweep struct {
	Name string   `yaml:"name"`
	Arms []string `yaml:"arms,flow"`
}
