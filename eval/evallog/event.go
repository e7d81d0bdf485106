package evallog

import "encoding/json"

// Event is something that happened in a sample.
type Event struct {
	Kind         string          `json:"event"` // set from the Body when written
	UUID         string          `json:"uuid,omitempty"`
	SpanID       string          `json:"span_id,omitempty"` // the span it belongs to
	Timestamp    string          `json:"timestamp"`         // see Time
	WorkingStart float64         `json:"working_start"`     // working seconds since the sample began
	Metadata     json.RawMessage `json:"metadata,omitempty"`
	Pending      bool            `json:"pending,omitempty"`
	Body         Body            `json:"-"` // nil for a kind that this package does not know
	Raw          json.RawMessage `json:"-"` // as it was read
}

// Body is what an event of its kind says: a pointer to one of the types below.
type Body interface{ kind() string }

// SampleInit is the first event of a sample.
type SampleInit struct {
	Sample InitSample      `json:"sample"`
	State  json.RawMessage `json:"state,omitempty"`
}

// InitSample is a sample before it is run.
type InitSample struct {
	ID       ID              `json:"id"`
	Input    Input           `json:"input"`
	Choices  []string        `json:"choices,omitempty"`
	Target   Texts           `json:"target"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// ModelEvent is a request to a model and its answer.
type ModelEvent struct {
	Model       string          `json:"model"`
	Role        string          `json:"role,omitempty"`
	Input       []Message       `json:"input"`
	InputRefs   [][2]int        `json:"input_refs,omitempty"` // ranges of EventsData.Messages that follow Input; resolved when read
	Tools       []Tool          `json:"tools"`
	ToolChoice  json.RawMessage `json:"tool_choice"` // "auto" when empty
	Config      GenerateConfig  `json:"config"`
	Output      Output          `json:"output"`
	Retries     int             `json:"retries,omitempty"`
	Error       string          `json:"error,omitempty"`
	Traceback   string          `json:"traceback,omitempty"`
	Cache       string          `json:"cache,omitempty"` // read or write
	Call        *Call           `json:"call,omitempty"`
	Completed   string          `json:"completed,omitempty"`
	WorkingTime float64         `json:"working_time,omitempty"`
}

// Call is the exchange with a provider as it was sent.
type Call struct {
	Request  json.RawMessage `json:"request"`
	Response json.RawMessage `json:"response,omitempty"`
	Time     float64         `json:"time,omitempty"`
	CallRefs [][2]int        `json:"call_refs,omitempty"` // ranges of EventsData.Calls
	CallKey  string          `json:"call_key,omitempty"`  // the field of Request that they stand for
}

// ToolEvent is a call of a tool and its result.
type ToolEvent struct {
	Type        string          `json:"type"` // "function"
	ID          string          `json:"id"`
	Function    string          `json:"function"`
	Arguments   json.RawMessage `json:"arguments"`
	Result      json.RawMessage `json:"result"` // a string, number, boolean or list of content
	Error       *ToolError      `json:"error,omitempty"`
	Completed   string          `json:"completed,omitempty"`
	WorkingTime float64         `json:"working_time,omitempty"`
	MessageID   string          `json:"message_id,omitempty"`
	Failed      bool            `json:"failed,omitempty"`
}

// ScoreEvent is a scorer's finding.
type ScoreEvent struct {
	Score        Score  `json:"score"`
	Target       *Texts `json:"target,omitempty"`
	Intermediate bool   `json:"intermediate,omitempty"`
	Scorer       string `json:"scorer,omitempty"`
}

// InfoEvent is a note: any JSON value, text being shown as Markdown.
type InfoEvent struct {
	Source string          `json:"source,omitempty"`
	Data   json.RawMessage `json:"data"`
}

// ErrorEvent is an error that ended the sample.
type ErrorEvent struct {
	Error Error `json:"error"`
}

// SampleLimitEvent says that a sample ran into a limit; Type is as in Limit.
type SampleLimitEvent struct {
	Type    string   `json:"type"`
	Message string   `json:"message"`
	Limit   *float64 `json:"limit,omitempty"`
}

// SpanBegin opens a span of events, such as one solver's; the events in it name it in SpanID.
type SpanBegin struct {
	ID       string `json:"id"`
	ParentID string `json:"parent_id,omitempty"`
	Type     string `json:"type,omitempty"`
	Name     string `json:"name"`
}

// SpanEnd closes a span.
type SpanEnd struct {
	ID string `json:"id"`
}

func (*SampleInit) kind() string       { return "sample_init" }
func (*ModelEvent) kind() string       { return "model" }
func (*ToolEvent) kind() string        { return "tool" }
func (*ScoreEvent) kind() string       { return "score" }
func (*InfoEvent) kind() string        { return "info" }
func (*ErrorEvent) kind() string       { return "error" }
func (*SampleLimitEvent) kind() string { return "sample_limit" }
func (*SpanBegin) kind() string        { return "span_begin" }
func (*SpanEnd) kind() string          { return "span_end" }

// newBody gives an empty body for a kind of event, nil for one that is unknown.
func newBody(kind string) Body {
	switch kind {
	case "sample_init":
		return new(SampleInit)
	case "model":
		return new(ModelEvent)
	case "tool":
		return new(ToolEvent)
	case "score":
		return new(ScoreEvent)
	case "info":
		return new(InfoEvent)
	case "error":
		return new(ErrorEvent)
	case "sample_limit":
		return new(SampleLimitEvent)
	case "span_begin":
		return new(SpanBegin)
	case "span_end":
		return new(SpanEnd)
	}
	return nil
}
