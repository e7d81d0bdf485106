// Package modeltest states once what every provider of a model must do. A provider's test calls Run with a function that opens the
// provider on a Script; a provider that speaks HTTP lets Serve play its server, and supplies only its wire format (Wire).
package modeltest

import (
	"sync"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// Key is the secret that a provider is opened with. It must reach the server, and no error text may hold it.
const Key = "sk-test-7d1f0c9b5e-not-for-anyone"

// Feature is something that not every provider can do.
type Feature string

// The features. A provider that lacks one must refuse a request that needs it, before it sends anything: by an error that does not
// pass and that has a hint (because.Hint) or is a model.Error of kind Rejected or NoTools. Scripted, HTTP and Reasoning are exceptions:
// what a provider lacks of them is not tested.
const (
	Scripted    Feature = "scripted answers" // it answers what the Script says
	HTTP        Feature = "HTTP"             // it reaches its model over HTTP, so that a network's faults can happen
	Reasoning   Feature = "reasoning"        // its answers tell reasoning apart from text
	Tools       Feature = "tools"
	Choice      Feature = "tool choice" // Request.Choice "none", "required" and a tool's name
	Prefill     Feature = "prefill"
	StopStrings Feature = "stop strings"
	Format      Feature = "format"
	Effort      Feature = "effort"
	Personas    Feature = "personas" // Request.As
)

// Network is what becomes of the connection to the provider's server.
type Network string

// The networks. Serve takes care of them.
const (
	Up        Network = ""
	Refused   Network = "refused"   // nobody listens
	Untrusted Network = "untrusted" // the server's certificate is signed by nobody
)

// Asked is a request as it reached the model behind a provider, read back from the wire. In Request, a system prompt is the first
// message, a tool's result is a message of RoleTool with the ID of its call, the given start of the answer is Prefill, and what was
// not sent is zero; a temperature that was not sent is because.OwnTemperature. A schema's name may be missing.
type Asked struct {
	Request because.Request
	Key     string // that came with it
}

// Step is what the model does with one request: it replies, or commits a fault.
type Step struct {
	// Reply is the answer. Its Text is what follows the request's Prefill; its Usage is to be told where the format tells usage.
	Reply because.Response
	Fault *Fault
}

// Body is what stands in the body of a response.
type Body string

// The bodies. Own is what the wire format has for the case.
const (
	Own       Body = ""
	Page      Body = "page"      // an HTML page, as proxies answer
	Huge      Body = "huge"      // an HTML page of a MiB
	Truncated Body = "truncated" // the answer's first half, complete as HTTP goes
	Nothing   Body = "nothing"   // no byte
	Null      Body = "null"      // JSON, but no answer
	Object    Body = "object"    // an empty JSON object
	Half      Body = "half"      // the answer's first half, then the connection is lost
	Silence   Body = "silence"   // nothing until the client goes away
)

// Fault is a failure of the model or of what lies between.
type Fault struct {
	Kind       model.Kind // what the provider must make of it
	Status     int        // of HTTP; 0 means 200
	RetryAfter string     // the header, if not empty
	Redirect   string     // the Location header, if not empty
	Text       string     // what the server says went wrong; it holds the key, as some servers' texts do
	Body       Body
}

// Script is how the model behind a provider behaves in one test. Many goroutines may use it at once.
type Script struct {
	Network Network

	next  func(n int, a Asked) Step
	mu    sync.Mutex
	asked []Asked
}

// Next records a request that reached the model and says what to do with it. Serve calls it; a provider without HTTP does it in its test.
func (s *Script) Next(a Asked) Step {
	s.mu.Lock()
	s.asked = append(s.asked, a)
	n := len(s.asked)
	s.mu.Unlock()
	return s.next(n-1, a)
}

// Asked gives the requests that reached the model, in their order.
func (s *Script) Asked() []Asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Asked(nil), s.asked...)
}

// replies makes a script of answers in a fixed order; the last is repeated.
func replies(list ...because.Response) *Script {
	return &Script{next: func(n int, _ Asked) Step { return Step{Reply: list[min(n, len(list)-1)]} }}
}

// faulty makes a script that commits one fault again and again.
func faulty(f Fault) *Script {
	return &Script{next: func(int, Asked) Step { return Step{Fault: &f} }}
}
