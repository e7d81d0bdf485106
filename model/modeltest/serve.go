package modeltest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/because-lab/because"
)

// Wire is a provider's HTTP format as its server speaks it. All three functions are needed.
type Wire struct {
	// Asked reads a request; see the type for what goes where. An error fails the test: it is for a path, method, header or body that
	// the real server would not take.
	Asked func(r *http.Request, body []byte) (Asked, error)
	// Reply writes an answer with its headers, whole or as a stream, as the request wants it.
	Reply func(w http.ResponseWriter, a Asked, reply because.Response)
	// Error gives the body of an error response as the real server words it for the fault's Kind and Status, with the fault's Text in it.
	Error func(f Fault) []byte
}

// Serve plays a provider's server for the length of the test and gives its base URL, without a slash at the end.
func Serve(t testing.TB, s *Script, wire Wire) string {
	t.Helper()
	h := &server{t, s, wire}
	var srv *httptest.Server
	if s.Network == Untrusted {
		srv = httptest.NewUnstartedServer(h)
		srv.Config.ErrorLog = quiet
		srv.StartTLS()
	} else {
		srv = httptest.NewServer(h)
	}
	if s.Network == Refused {
		srv.Close()
		return srv.URL
	}
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL
}

type server struct {
	t      testing.TB
	script *Script
	wire   Wire
}

// ServeHTTP reads a request by the wire format and does what the script says.
func (h *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	asked, err := h.wire.Asked(r, body)
	if err != nil {
		h.t.Errorf("%s %s: the server can't read the request: %v\n%s", r.Method, r.URL, err, body)
		http.Error(w, "not a request", http.StatusTeapot)
		return
	}
	step := h.script.Next(asked)
	if step.Fault != nil {
		h.fail(w, r, asked, *step.Fault)
		return
	}
	h.wire.Reply(w, asked, step.Reply)
}

// fail commits a fault.
func (h *server) fail(w http.ResponseWriter, r *http.Request, a Asked, f Fault) {
	if f.Body == Silence {
		<-r.Context().Done()
		return
	}
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	if f.Redirect != "" {
		w.Header().Set("Location", f.Redirect)
	}
	if f.Status == 0 {
		f.Status = http.StatusOK
	}
	whole := httptest.NewRecorder()
	h.wire.Reply(whole, a, because.Response{Text: strings.Repeat("an answer that is long enough to be cut ", 8), Stop: because.StopEnd})
	half := whole.Body.Bytes()[:whole.Body.Len()/2]
	kind, content := "text/html", []byte("<html><body><h1>"+f.Text+"</h1></body></html>")
	switch f.Body {
	case Own:
		kind, content = "application/json", h.wire.Error(f)
	case Huge:
		content = bytes.Repeat(content, 1<<20/len(content))
	case Nothing:
		content = nil
	case Null:
		kind, content = "application/json", []byte("null")
	case Object:
		kind, content = "application/json", []byte("{}")
	case Truncated, Half:
		kind, content = whole.Header().Get("Content-Type"), half
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(f.Status)
	if _, err := w.Write(content); err != nil || f.Body != Half {
		return
	}
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush() // so that what is cut is the body, not the header
	}
	panic(http.ErrAbortHandler) // closes the connection without a word
}
