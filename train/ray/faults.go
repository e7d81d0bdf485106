package ray

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/because-lab/because"
)

// What can be wrong with a cluster's answer; errors.Is finds them.
var (
	ErrUnreachable = errors.New("the cluster cannot be reached")
	ErrNotRay      = errors.New("this is not the dashboard of Ray")
	ErrVersion     = errors.New("the cluster's Ray is of a version that is not supported")
	ErrDenied      = errors.New("the cluster refuses the token")
	ErrNotFound    = errors.New("the cluster does not know it")
	ErrConflict    = errors.New("there is one of this name already")
	ErrTooLarge    = errors.New("it is larger than the cluster takes")
	ErrServer      = errors.New("the cluster failed to answer")
	ErrRequest     = errors.New("the cluster refuses the request")
)

// Fault is a request that came to nothing: its kind (one of the errors above) and what was answered, in Ray's words where there are some.
type Fault struct {
	Status int // of HTTP; 0: there was no answer
	Kind   error
	Text   string
	Err    error // of the network
}

func (f *Fault) Error() string {
	text := f.Kind.Error()
	if f.Text != "" {
		text += ": " + f.Text
	}
	if f.Status != 0 && f.Status != http.StatusOK {
		text += fmt.Sprintf(" (HTTP %d)", f.Status)
	}
	return text
}

// Unwrap gives kind and cause.
func (f *Fault) Unwrap() []error {
	if f.Err == nil {
		return []error{f.Kind}
	}
	return []error{f.Kind, f.Err}
}

// unreachable makes a fault of an error of the network. The address stands in the error's subject, so it is left out of the text.
func (c *Client) unreachable(err error) error {
	var known *Fault
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, ErrNotRay):
		var u *url.Error
		errors.As(err, &u)
		return &Fault{Kind: ErrNotRay, Text: strings.TrimPrefix(u.Err.Error(), ErrNotRay.Error()+": ")}
	case errors.Is(err, context.DeadlineExceeded):
		return &Fault{Kind: ErrUnreachable, Text: "no answer in time", Err: err}
	}
	text := err.Error()
	var u *url.Error
	if errors.As(err, &u) {
		text = u.Err.Error()
	}
	return &Fault{Kind: ErrUnreachable, Text: text, Err: err}
}

// refused makes a fault of an answer that is not 2xx.
func refused(status int, contentType, text string) error {
	f := &Fault{Status: status, Text: cause(text)}
	if strings.Contains(contentType, "html") || looksHTML(text) {
		f.Text = "the answer is a web page, as of a proxy"
	}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		f.Kind = ErrDenied
	case status == http.StatusNotFound && strings.Contains(contentType, "html"):
		f.Kind = ErrNotRay
	case status == http.StatusNotFound:
		f.Kind = ErrNotFound
	case strings.Contains(text, "already exists"):
		f.Kind = ErrConflict
	case status == http.StatusRequestEntityTooLarge:
		f.Kind = ErrTooLarge
	case status >= 500 || status == http.StatusTooManyRequests:
		f.Kind = ErrServer
	case status/100 == 3:
		f.Kind = ErrNotRay
	default:
		f.Kind = ErrRequest
	}
	return f
}

// cause takes the last word of a Python traceback, also of one that holds another; other text is given whole, up to a length.
func cause(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	last := ""
	for i := len(lines) - 1; i >= 0 && last == ""; i-- {
		last = strings.TrimRight(strings.TrimSpace(lines[i]), ".")
	}
	if !strings.Contains(text, "Traceback (most recent call last)") && len(lines) <= 5 {
		last = strings.Join(strings.Fields(text), " ")
	}
	return clip(last, 600)
}

// clip cuts a text to a number of bytes, between characters.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + " ..."
}

func looksHTML(text string) bool {
	head := strings.ToLower(strings.TrimSpace(text[:min(len(text), 200)]))
	return strings.HasPrefix(head, "<!doctype html") || strings.HasPrefix(head, "<html")
}

// describe says what an answer is that is no JSON.
func describe(contentType, text string) string {
	switch {
	case strings.Contains(contentType, "html") || looksHTML(text):
		return "a web page"
	case strings.TrimSpace(text) == "":
		return "empty"
	}
	return fmt.Sprintf("%q", clip(strings.TrimSpace(text), 60))
}

// passing tells whether a fault may pass by itself.
func passing(err error) bool {
	return errors.Is(err, ErrUnreachable) || errors.Is(err, ErrServer)
}

func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}

// fail gives an error its operation, its subject and a hint.
func (c *Client) fail(op, subject string, err error) error {
	if err == nil {
		return nil
	}
	var known *because.Error
	if errors.As(err, &known) {
		return err
	}
	if subject == "" {
		subject = c.Address()
	} else {
		subject += " on " + c.Address()
	}
	return because.E(op, subject, err, c.hint(err))
}

func (c *Client) hint(err error) string {
	var refusal *net.OpError
	switch {
	case errors.Is(err, ErrUnreachable) && errors.As(err, &refusal) && refusal.Op == "dial":
		return "is the cluster up (ray status), and is this the port of its dashboard (8265 unless told otherwise)? From outside, ray dashboard or ssh -L 8265:localhost:8265 HEAD makes a way in"
	case errors.Is(err, ErrUnreachable):
		return "look at the cluster with ray status, and at what lies between it and this machine"
	case errors.Is(err, ErrNotRay):
		return "give the address of Ray's dashboard, such as http://head:8265; behind a proxy, with the path and the headers (RAY_JOB_HEADERS) that it wants"
	case errors.Is(err, ErrVersion):
		return "run a cluster with Ray " + Supported
	case errors.Is(err, ErrDenied):
		return "put the cluster's token into RAY_AUTH_TOKEN, or what a proxy wants into RAY_JOB_HEADERS"
	case errors.Is(err, ErrNotFound):
		return "a cluster that was started anew has forgotten its jobs; start the job again, and it goes on from its last checkpoint"
	case errors.Is(err, ErrNoResult):
		return "start it afresh (--fresh): the engine finds what it left in the job's folder and tells its result again"
	case errors.Is(err, ErrTooLarge):
		return "put the data into storage that the cluster reaches (s3://, gs://, a shared folder) and give its URI"
	case errors.Is(err, ErrServer):
		return "the logs of the head have more (dashboard.log, dashboard_agent.log); a head that is starting up needs a minute"
	}
	return ""
}
