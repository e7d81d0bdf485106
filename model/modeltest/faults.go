package modeltest

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
)

// longestError bounds an error's text in bytes: a server may answer with a page of any size.
const longestError = 8 << 10

// fault is a fault with what its request needs.
type fault struct {
	name  string
	fault Fault
	wait  [2]time.Duration // the bounds of RetryAfter
	tools bool
}

// faultTable lists what goes wrong between a provider and its model. Dates are relative to now.
func faultTable(now time.Time) []fault {
	exactly := func(d time.Duration) [2]time.Duration { return [2]time.Duration{d, d} }
	date := now.Add(90 * time.Second).UTC().Format(http.TimeFormat)
	past := now.Add(-time.Hour).UTC().Format(http.TimeFormat)
	list := []fault{
		{"429 with seconds", Fault{Kind: model.RateLimited, Status: 429, RetryAfter: "7"}, exactly(7 * time.Second), false},
		{"429 with a date", Fault{Kind: model.RateLimited, Status: 429, RetryAfter: date}, [2]time.Duration{time.Second, 90 * time.Second}, false},
		{"429 with a date that is past", Fault{Kind: model.RateLimited, Status: 429, RetryAfter: past}, exactly(0), false},
		{"429 with nonsense", Fault{Kind: model.RateLimited, Status: 429, RetryAfter: "soon"}, exactly(0), false},
		{"429", Fault{Kind: model.RateLimited, Status: 429}, exactly(0), false},
		{"503 with seconds", Fault{Kind: model.Overloaded, Status: 503, RetryAfter: "2"}, exactly(2 * time.Second), false},
		{"context overflow", Fault{Kind: model.TooLong, Status: 400}, exactly(0), false},
		{"no tool support", Fault{Kind: model.NoTools, Status: 400}, exactly(0), true},
		{"moderation", Fault{Kind: model.Filtered, Status: 400}, exactly(0), false},
		{"bad request", Fault{Kind: model.Rejected, Status: 400}, exactly(0), false},
		{"unprocessable", Fault{Kind: model.Rejected, Status: 422}, exactly(0), false},
		{"bad request of a proxy", Fault{Kind: model.Rejected, Status: 400, Body: Page}, exactly(0), false},
		{"endless page", Fault{Kind: model.Overloaded, Status: 502, Body: Huge}, exactly(0), false},
		{"connection cut", Fault{Kind: model.Cut, Body: Half}, exactly(0), false},
	}
	for kind, statuses := range map[model.Kind][]int{model.Overloaded: {500, 502, 503, 504, 529}, model.Denied: {401, 403}, model.NotFound: {404}} {
		for _, status := range statuses {
			list = append(list, fault{fmt.Sprint(status), Fault{Kind: kind, Status: status}, exactly(0), false},
				fault{fmt.Sprint(status, " of a proxy"), Fault{Kind: kind, Status: status, Body: Page}, exactly(0), false},
				fault{fmt.Sprint(status, " without a body"), Fault{Kind: kind, Status: status, Body: Nothing}, exactly(0), false})
		}
	}
	for _, body := range []Body{Page, Truncated, Nothing, Null, Object} {
		list = append(list, fault{"garbage: " + string(body), Fault{Kind: model.Garbled, Body: body}, exactly(0), false})
	}
	return list
}

// faults checks that every failure becomes an error of its kind, is reported once, and tells no secret.
func (c *contract) faults(t *testing.T) {
	for _, tt := range faultTable(time.Now()) {
		t.Run(tt.name, func(t *testing.T) {
			if tt.tools && !c.has(Tools) {
				t.Skip("the provider lacks tools")
			}
			tt.fault.Text = "Incorrect key provided: " + Key + ". It was not taken."
			s := faulty(tt.fault)
			chat := c.open(t, s)
			r := user("hello")
			if tt.tools {
				r.Tools = []because.Tool{search}
			}
			_, err := chat.Answer(t.Context(), 1, r)
			e := failed(t, chat, err, tt.fault.Kind)
			if e.Status != tt.fault.Status && (tt.fault.Status != 0 || e.Status != http.StatusOK) {
				t.Errorf("status %d of %v, want %d", e.Status, err, tt.fault.Status)
			}
			if e.RetryAfter < tt.wait[0] || e.RetryAfter > tt.wait[1] {
				t.Errorf("retry after %v, want %v", e.RetryAfter, tt.wait)
			}
			if n := len(s.Asked()); n != 1 {
				t.Errorf("the provider sent the request %d times; retries are not its own", n)
			}
		})
	}
	for network, kind := range map[Network]model.Kind{Refused: model.Unreachable, Untrusted: model.BadTLS} {
		t.Run(string(network), func(t *testing.T) {
			s := replies(because.Response{Text: "never"})
			s.Network = network
			chat := c.open(t, s)
			_, err := chat.Answer(t.Context(), 1, user("hello"))
			failed(t, chat, err, kind)
		})
	}
}

// failed checks an error's kind, that it names the model, and that its text holds no key and is of a readable size.
func failed(t *testing.T, chat because.Chat, err error, kind model.Kind) *model.Error {
	t.Helper()
	var e *model.Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is %T %v, not a model.Error", err, err)
	}
	if e.Kind != kind {
		t.Errorf("kind %q of %v, want %q", e.Kind, err, kind)
	}
	if e.Model != chat.Name() {
		t.Errorf("the error names the model %q, which is called %q", e.Model, chat.Name())
	}
	secretless(t, err)
	return e
}

// secretless checks the texts of an error, of its causes and of its hint.
func secretless(t *testing.T, err error) {
	t.Helper()
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		text := fmt.Sprintf("%v %+v %#v %s", cause, cause, cause, because.Hint(cause))
		if strings.Contains(text, Key) {
			t.Errorf("the key stands in %T: %s", cause, text)
		}
		if len(cause.Error()) > longestError {
			t.Errorf("an error of %d bytes", len(cause.Error()))
		}
	}
}

// redirect checks that the key goes to no other host than the one it was given for.
func (c *contract) redirect(t *testing.T) {
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect} {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for name, values := range r.Header {
				if strings.Contains(strings.Join(values, " "), Key) {
					t.Errorf("after a redirect (%d) another host got the key in %s", status, name)
				}
			}
			http.Error(w, "not here", http.StatusNotFound)
		}))
		// Another name for this machine makes it another host to the client.
		elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
		chat := c.open(t, faulty(Fault{Status: status, Redirect: elsewhere, Kind: model.Rejected, Text: Key}))
		_, err := chat.Answer(t.Context(), 1, user("hello"))
		if err == nil {
			t.Errorf("a redirect (%d) gave an answer", status)
		} else {
			secretless(t, err)
		}
		other.CloseClientConnections()
		other.Close()
	}
}
