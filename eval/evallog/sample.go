package evallog

import "encoding/json"

// Sample is one item of an evaluation as it went.
type Sample struct {
	ID           ID                `json:"id"`
	Epoch        int               `json:"epoch"` // from 1
	Input        Input             `json:"input"`
	Choices      []string          `json:"choices,omitempty"`
	Target       Texts             `json:"target"`
	Description  string            `json:"description,omitempty"`
	Sandbox      json.RawMessage   `json:"sandbox,omitempty"`
	Files        []string          `json:"files,omitempty"`
	Setup        string            `json:"setup,omitempty"`
	Messages     []Message         `json:"messages"`
	Output       Output            `json:"output"`
	Scores       map[string]Score  `json:"scores,omitempty"`
	Metadata     json.RawMessage   `json:"metadata,omitempty"` // an object
	Store        json.RawMessage   `json:"store,omitempty"`    // an object
	Events       []Event           `json:"events"`
	ModelUsage   map[string]Usage  `json:"model_usage"`
	RoleUsage    map[string]Usage  `json:"role_usage,omitempty"`
	StartedAt    string            `json:"started_at,omitempty"` // see Time
	CompletedAt  string            `json:"completed_at,omitempty"`
	TotalTime    float64           `json:"total_time,omitempty"`   // seconds
	WorkingTime  float64           `json:"working_time,omitempty"` // seconds, waiting apart
	UUID         string            `json:"uuid,omitempty"`
	Invalidation json.RawMessage   `json:"invalidation,omitempty"`
	Error        *Error            `json:"error,omitempty"`
	ErrorRetries []RetryError      `json:"error_retries,omitempty"`
	Attachments  map[string]string `json:"attachments,omitempty"` // texts that stand elsewhere as attachment://KEY
	EventsData   *EventsData       `json:"events_data,omitempty"`
	Limit        *Limit            `json:"limit,omitempty"`
	TurnCount    int               `json:"turn_count,omitempty"`
	Raw          json.RawMessage   `json:"-"` // as it was read, still condensed; see Resolved
}

// RetryError is an error of an attempt at a sample that was repeated.
type RetryError struct {
	Error
	Events []Event `json:"events,omitempty"`
}

// Limit is what ended a sample early. Type is context, time, working, message, token, turn, cost, operator or custom.
type Limit struct {
	Type   string  `json:"type"`
	Limit  float64 `json:"limit"`
	Reason string  `json:"reason,omitempty"`
}

// EventsData pools the messages and calls that model events refer to by number.
type EventsData struct {
	Messages []Message         `json:"messages"`
	Calls    []json.RawMessage `json:"calls"`
}

// Summary is what a list of samples shows of one.
type Summary struct {
	ID           ID               `json:"id"`
	Epoch        int              `json:"epoch"`
	Input        Input            `json:"input"`
	Choices      []string         `json:"choices,omitempty"`
	Target       Texts            `json:"target"`
	Description  string           `json:"description,omitempty"`
	Metadata     json.RawMessage  `json:"metadata,omitempty"`
	Scores       map[string]Score `json:"scores,omitempty"`
	ModelUsage   map[string]Usage `json:"model_usage,omitempty"`
	RoleUsage    map[string]Usage `json:"role_usage,omitempty"`
	StartedAt    string           `json:"started_at,omitempty"`
	CompletedAt  string           `json:"completed_at,omitempty"`
	TotalTime    float64          `json:"total_time,omitempty"`
	WorkingTime  float64          `json:"working_time,omitempty"`
	UUID         string           `json:"uuid,omitempty"`
	Error        string           `json:"error,omitempty"`
	Limit        string           `json:"limit,omitempty"`
	LimitReason  string           `json:"limit_reason,omitempty"`
	Retries      int              `json:"retries,omitempty"`
	Completed    bool             `json:"completed"`
	MessageCount int              `json:"message_count,omitempty"`
	TurnCount    int              `json:"turn_count,omitempty"`
	Raw          json.RawMessage  `json:"-"` // as it was read
}

// Message is one turn of a conversation. Role is system, user, assistant or tool. Inspect's data frames take messages of equal ID for one, in
// whatever sample, epoch or log they stand, and find a sample's messages in its model events: leave ID empty, and Writer.Sample sets one
// that fits.
type Message struct {
	ID         string          `json:"id,omitempty"`
	Role       string          `json:"role"`
	Content    Content         `json:"content"`
	Source     string          `json:"source,omitempty"` // input, generate or operator
	Metadata   json.RawMessage `json:"metadata,omitempty"`
	ToolCalls  []ToolCall      `json:"tool_calls,omitempty"`   // of the assistant
	Model      string          `json:"model,omitempty"`        // that wrote it, of the assistant
	ToolCallID Texts           `json:"tool_call_id,omitempty"` // of a tool's answer; a user message may have a list
	Function   string          `json:"function,omitempty"`     // of a tool's answer
	Error      *ToolError      `json:"error,omitempty"`        // of a tool's answer
}

// ToolCall is a model's request to call a tool.
type ToolCall struct {
	ID         string          `json:"id"`
	Function   string          `json:"function"`
	Arguments  json.RawMessage `json:"arguments"` // an object
	ParseError string          `json:"parse_error,omitempty"`
	View       json.RawMessage `json:"view,omitempty"`
	Type       string          `json:"type,omitempty"` // function (also when empty) or custom
}

// ToolError is why a tool call failed. Type is one of Inspect's words: parsing, timeout, permission, approval, unknown ...
type ToolError struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

// Tool declares a function that a model may call.
type Tool struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters,omitempty"` // a JSON Schema of type object
}

// Output is what a model answered.
type Output struct {
	Model      string          `json:"model"`
	Choices    []Choice        `json:"choices"`
	Completion string          `json:"completion"` // the text of the first choice
	Usage      *Usage          `json:"usage,omitempty"`
	Time       float64         `json:"time,omitempty"` // seconds
	Metadata   json.RawMessage `json:"metadata,omitempty"`
	Error      string          `json:"error,omitempty"`
}

// Choice is one of the answers to a request. StopReason is stop, max_tokens, model_length, tool_calls, content_filter or unknown.
type Choice struct {
	Message    Message         `json:"message"`
	StopReason string          `json:"stop_reason"`
	Logprobs   json.RawMessage `json:"logprobs,omitempty"`
}

// Score is a scorer's finding on one sample. Value is a number, a string, a boolean, or a list or object of those: see Number,
// String and Bool.
type Score struct {
	Value       json.RawMessage `json:"value"`
	Answer      string          `json:"answer,omitempty"`
	Explanation string          `json:"explanation,omitempty"`
	Reason      string          `json:"reason,omitempty"` // why there is no value: scoring_failed, refusal, grader_failed ...
	Metadata    json.RawMessage `json:"metadata,omitempty"`
	History     json.RawMessage `json:"history,omitempty"`
}
