package evallog

import "encoding/json"

// Version is the version of the log format.
const Version = 2

// Status is how an evaluation stands.
type Status string

// The statuses of an evaluation. A log without a status is of a run that has not ended, or was killed.
const (
	Started   Status = "started"
	Success   Status = "success"
	Cancelled Status = "cancelled"
	Failed    Status = "error"
)

// Header is a log without its samples.
type Header struct {
	Version     int             `json:"version"`
	Status      Status          `json:"status"`
	Eval        Spec            `json:"eval"`
	Plan        Plan            `json:"plan"`
	Results     *Results        `json:"results,omitempty"`
	Stats       Stats           `json:"stats"`
	Error       *Error          `json:"error,omitempty"`
	Invalidated bool            `json:"invalidated,omitempty"`
	Tags        []string        `json:"tags,omitempty"`
	Metadata    json.RawMessage `json:"metadata,omitempty"`
	Raw         json.RawMessage `json:"-"` // as it was read
}

// Start is what is known when an evaluation begins.
type Start struct {
	Version int  `json:"version"` // set by the writer
	Eval    Spec `json:"eval"`
	Plan    Plan `json:"plan"`
}

// Spec says what is evaluated on what, and how. Raw fields are JSON objects where nothing else is said.
type Spec struct {
	EvalSetID           string                     `json:"eval_set_id,omitempty"`
	EvalID              string                     `json:"eval_id"`
	RunID               string                     `json:"run_id"`
	Created             string                     `json:"created"` // see Time
	Task                string                     `json:"task"`
	TaskID              string                     `json:"task_id"`
	TaskVersion         json.RawMessage            `json:"task_version,omitempty"` // a number or a string
	TaskFile            string                     `json:"task_file,omitempty"`
	TaskDisplayName     string                     `json:"task_display_name,omitempty"`
	TaskDescription     string                     `json:"task_description,omitempty"`
	TaskRegistryName    string                     `json:"task_registry_name,omitempty"`
	TaskAttribs         json.RawMessage            `json:"task_attribs,omitempty"`
	TaskArgs            json.RawMessage            `json:"task_args,omitempty"`
	TaskArgsPassed      json.RawMessage            `json:"task_args_passed,omitempty"`
	Solver              string                     `json:"solver,omitempty"`
	SolverArgs          json.RawMessage            `json:"solver_args,omitempty"`
	SolverArgsPassed    json.RawMessage            `json:"solver_args_passed,omitempty"`
	Tags                []string                   `json:"tags,omitempty"`
	Dataset             Dataset                    `json:"dataset"`
	Model               string                     `json:"model"`
	ModelGenerateConfig *GenerateConfig            `json:"model_generate_config,omitempty"`
	ModelBaseURL        string                     `json:"model_base_url,omitempty"`
	ModelArgs           json.RawMessage            `json:"model_args,omitempty"`
	ModelRoles          map[string]json.RawMessage `json:"model_roles,omitempty"` // role -> ModelRole, or a list of them
	Config              Config                     `json:"config"`
	Revision            *Revision                  `json:"revision,omitempty"`
	Packages            map[string]string          `json:"packages,omitempty"` // name -> version
	Metadata            json.RawMessage            `json:"metadata,omitempty"`
	Scorers             []Scorer                   `json:"scorers,omitempty"`
	Metrics             json.RawMessage            `json:"metrics,omitempty"`
}

// ModelRole is a model beside the one evaluated, such as a grader.
type ModelRole struct {
	Model   string          `json:"model"`
	Config  *GenerateConfig `json:"config,omitempty"`
	BaseURL string          `json:"base_url,omitempty"`
	Args    json.RawMessage `json:"args,omitempty"`
}

// Raw gives the role in the form that Spec.ModelRoles takes.
func (m ModelRole) Raw() (json.RawMessage, error) { return encode(nil, &m) }

// Dataset describes the samples of a task. A hash of its content belongs into Spec.Metadata, where Resume compares it.
type Dataset struct {
	Name      string `json:"name,omitempty"`
	Location  string `json:"location,omitempty"`
	Samples   int    `json:"samples"`
	SampleIDs []ID   `json:"sample_ids,omitempty"`
	Shuffled  bool   `json:"shuffled"`
}

// Config is how an evaluation is run.
type Config struct {
	Limit          json.RawMessage `json:"limit,omitempty"`     // a number, or [start, end]
	SampleID       json.RawMessage `json:"sample_id,omitempty"` // an id, or a list of ids
	SampleShuffle  json.RawMessage `json:"sample_shuffle,omitempty"`
	Epochs         int             `json:"epochs,omitempty"`
	EpochsReducer  []string        `json:"epochs_reducer,omitempty"`
	FailOnError    json.RawMessage `json:"fail_on_error,omitempty"` // a boolean, a share or a number of samples
	ContinueOnFail *bool           `json:"continue_on_fail,omitempty"`
	RetryOnError   int             `json:"retry_on_error,omitempty"`
	MessageLimit   int             `json:"message_limit,omitempty"`
	TokenLimit     int             `json:"token_limit,omitempty"`
	TurnLimit      int             `json:"turn_limit,omitempty"`
	TimeLimit      int             `json:"time_limit,omitempty"`    // seconds
	WorkingLimit   int             `json:"working_limit,omitempty"` // seconds
	CostLimit      float64         `json:"cost_limit,omitempty"`
	MaxSamples     int             `json:"max_samples,omitempty"`
	MaxTasks       int             `json:"max_tasks,omitempty"`
	LogSamples     *bool           `json:"log_samples,omitempty"`
	LogBuffer      int             `json:"log_buffer,omitempty"`
}

// Revision is the state of the source tree.
type Revision struct {
	Type   string `json:"type"` // "git"
	Origin string `json:"origin"`
	Commit string `json:"commit"`
	Dirty  *bool  `json:"dirty,omitempty"`
}

// Scorer names a scorer of the task.
type Scorer struct {
	Name     string          `json:"name"`
	Options  json.RawMessage `json:"options,omitempty"`
	Metrics  json.RawMessage `json:"metrics,omitempty"` // a list or an object
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// Plan is the chain of solvers.
type Plan struct {
	Name   string         `json:"name"`
	Steps  []Step         `json:"steps"`
	Finish *Step          `json:"finish,omitempty"`
	Config GenerateConfig `json:"config"`
}

// Step is one solver of a plan.
type Step struct {
	Solver       string          `json:"solver"`
	Params       json.RawMessage `json:"params,omitempty"`
	ParamsPassed json.RawMessage `json:"params_passed,omitempty"`
}

// GenerateConfig holds the options of a model's answers.
type GenerateConfig struct {
	MaxRetries       int             `json:"max_retries,omitempty"`
	Timeout          int             `json:"timeout,omitempty"` // seconds
	AttemptTimeout   int             `json:"attempt_timeout,omitempty"`
	MaxConnections   int             `json:"max_connections,omitempty"`
	SystemMessage    string          `json:"system_message,omitempty"`
	MaxTokens        int             `json:"max_tokens,omitempty"`
	TopP             *float64        `json:"top_p,omitempty"`
	Temperature      *float64        `json:"temperature,omitempty"`
	StopSeqs         []string        `json:"stop_seqs,omitempty"`
	FrequencyPenalty *float64        `json:"frequency_penalty,omitempty"`
	PresencePenalty  *float64        `json:"presence_penalty,omitempty"`
	Seed             *int64          `json:"seed,omitempty"`
	TopK             int             `json:"top_k,omitempty"`
	NumChoices       int             `json:"num_choices,omitempty"`
	Logprobs         *bool           `json:"logprobs,omitempty"`
	TopLogprobs      int             `json:"top_logprobs,omitempty"`
	ReasoningEffort  string          `json:"reasoning_effort,omitempty"`
	ReasoningTokens  int             `json:"reasoning_tokens,omitempty"`
	ExtraBody        json.RawMessage `json:"extra_body,omitempty"`
}

// Results are the metrics of a finished evaluation.
type Results struct {
	TotalSamples     int             `json:"total_samples"`
	CompletedSamples int             `json:"completed_samples"`
	Scores           []EvalScore     `json:"scores"`
	Metadata         json.RawMessage `json:"metadata,omitempty"`
}

// EvalScore holds the metrics of one scorer. Unscored samples are those without a value.
type EvalScore struct {
	Name            string            `json:"name"`
	Scorer          string            `json:"scorer"`
	Reducer         string            `json:"reducer,omitempty"`
	ScoredSamples   int               `json:"scored_samples"`
	UnscoredSamples int               `json:"unscored_samples"`
	Params          json.RawMessage   `json:"params,omitempty"`
	Metrics         map[string]Metric `json:"metrics"`
	Metadata        json.RawMessage   `json:"metadata,omitempty"`
}

// Metric is one number. Value may be NaN or infinite; the format allows it.
type Metric struct {
	Name     string          `json:"name"`
	Group    string          `json:"group,omitempty"`
	Value    float64         `json:"value"`
	Params   json.RawMessage `json:"params,omitempty"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// Stats say when an evaluation ran and what it used.
type Stats struct {
	StartedAt   string           `json:"started_at"`
	CompletedAt string           `json:"completed_at"`
	ModelUsage  map[string]Usage `json:"model_usage"`
	RoleUsage   map[string]Usage `json:"role_usage,omitempty"`
}

// Usage counts tokens.
type Usage struct {
	InputTokens           int      `json:"input_tokens"`
	OutputTokens          int      `json:"output_tokens"`
	TotalTokens           int      `json:"total_tokens"`
	InputTokensCacheWrite int      `json:"input_tokens_cache_write,omitempty"`
	InputTokensCacheRead  int      `json:"input_tokens_cache_read,omitempty"`
	ReasoningTokens       int      `json:"reasoning_tokens,omitempty"`
	TotalCost             *float64 `json:"total_cost,omitempty"` // US dollars
}

// Error is why an evaluation or a sample ended early.
type Error struct {
	Message       string `json:"message"`
	Traceback     string `json:"traceback"`
	TracebackANSI string `json:"traceback_ansi"`
}

// Reductions are the scores of one scorer over the epochs of each sample.
type Reductions struct {
	Scorer  string    `json:"scorer"`
	Reducer string    `json:"reducer,omitempty"`
	Samples []Reduced `json:"samples"`
}

// Reduced is the score of one sample over its epochs.
type Reduced struct {
	Score
	SampleID ID `json:"sample_id"`
}
