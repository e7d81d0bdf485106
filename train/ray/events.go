package ray

// The engine says what it does on lines of the job's standard output that begin with EventMark and go on with the JSON of an Event. Every other line is log.
const EventMark = "@because "

// Kinds of events.
const (
	EventStart      = "start"      // training begins, or goes on after a fault: Steps, Rows, Step it goes on from, Trained
	EventStep       = "step"       // Metric
	EventCheckpoint = "checkpoint" // Step, URI
	EventWarning    = "warning"    // Message
	EventError      = "error"      // Error, Message, and for data Row and Column
	EventDone       = "done"       // Result
)

// Kinds of errors. A job that fails says which before it ends, where it still can.
const (
	ErrorJob       = "job"       // the job's JSON is not what the engine takes
	ErrorData      = "data"      // a row that cannot be trained on: Row from 1, Column
	ErrorModel     = "model"     // not found, not readable, not supported
	ErrorStorage   = "storage"   // not reachable, forbidden, full, half-written
	ErrorMemory    = "memory"    // out of memory, of host or GPU
	ErrorReward    = "reward"    // the reward could not be had
	ErrorResources = "resources" // not enough in the cluster
	ErrorPackage   = "package"   // a Python package is missing or of another version
	ErrorTrain     = "train"     // all else, such as a loss that is not finite
)

// Event is one line of the engine's.
type Event struct {
	Kind    string  `json:"event"`
	Step    int     `json:"step,omitempty"`
	Steps   int     `json:"steps,omitempty"`
	Rows    int     `json:"rows,omitempty"`    // sequences of the data
	Dropped int     `json:"dropped,omitempty"` // those of which cutting left nothing that carries loss
	Trained int     `json:"trained,omitempty"` // parameters
	URI     string  `json:"uri,omitempty"`
	Error   string  `json:"error,omitempty"`
	Message string  `json:"message,omitempty"`
	Row     int     `json:"row,omitempty"`
	Column  string  `json:"column,omitempty"`
	Metric  *Metric `json:"metric,omitempty"`
	Result  *Result `json:"result,omitempty"`
}

// Metric is a line of metrics.jsonl, as local training writes it: one step.
type Metric struct {
	Step   int      `json:"step"` // from 1
	Loss   float64  `json:"loss"` // before the update: mean over the tokens that carry loss
	LR     float64  `json:"lr"`
	Norm   float64  `json:"grad_norm"` // before clipping
	Tokens int      `json:"tokens"`    // of this step, all workers together, without padding
	Total  int      `json:"total_tokens"`
	Rate   float64  `json:"tokens_per_second"`
	Reward *float64 `json:"reward,omitempty"` // rl: mean
}

// Result is what a finished job says of itself, in result.json of its folder.
type Result struct {
	Steps   int               `json:"steps"`
	Rows    int               `json:"rows"`
	Dropped int               `json:"dropped"`
	Tokens  int               `json:"tokens"`
	Trained int               `json:"trained"`
	First   float64           `json:"first_loss"`
	Loss    float64           `json:"loss"`              // mean over the last tenth of the steps
	Model   string            `json:"model,omitempty"`   // folders below the job's
	Adapter string            `json:"adapter,omitempty"` //
	Rewards []float64         `json:"rewards,omitempty"` // rl: mean of each step
	Engine  map[string]string `json:"engine"`            // versions of ray, torch, transformers, trl, peft, python
}
